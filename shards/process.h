/* Process: an app's side of its shards: options, threads, signals, the common end.
 *
 *      open --> its threads take turns --> close: waits for all, and gives everything back
 *
 * Embedded, the first shard has no thread: the caller's, which opens, takes its turns between
 * mcq_thread_enter and mcq_thread_end, and closes. Thread: one; blocks in close.
 */
#ifndef MCQ_SHARDS_PROCESS_H
#define MCQ_SHARDS_PROCESS_H

#include <monocoque/topo.h>

#include "shards/signals.h"
#include "shards/thread.h"

struct mcq_process {
    struct mcq_opts opts;
    struct mcq_thread *threads; /* opts.shards of them */
    uint32_t first;             /* with a thread of its own; those before are the caller's */
    uint32_t threads_end;       /* one past the last that was started */
    uint64_t running;           /* shards whose end hasn't been told */
    struct mcq_roster *roster;
    struct mcq_mesh *mesh;
    struct mcq_topo_plan seats;
    struct mcq_resolver *resolver;
    int done_fd;
    struct mcq_signals signals;
};

/* Starts the threads. Close follows in any case. opts as for mcq_run; app, arg: borrowed until
 * close. */
MCQ_MUST_USE enum mcq_error mcq_process_open(struct mcq_process *p, const struct mcq_opts *opts,
                                             const struct mcq_app *app, void *arg, bool embedded,
                                             struct mcq_detail *detail);
/* err: what open returned. Returns it, or else the first error of a shard. */
MCQ_MUST_USE enum mcq_error mcq_process_close(struct mcq_process *p, enum mcq_error err,
                                              struct mcq_detail *detail);

#endif
