/* Thread: the one place with a pthread and a loop around mcq_shard_step. */
#ifndef MCQ_SHARDS_THREAD_H
#define MCQ_SHARDS_THREAD_H

#include <pthread.h>

#include "shards/shard.h"

struct mcq_thread {
    struct mcq_shard shard;
    pthread_t pthread;
    uint32_t id;
    struct mcq_roster *roster;         /* whose gates order its life */
    const struct mcq_topo_shard *seat; /* as planned; NULL: nowhere in particular */
    const struct mcq_opts *opts;
    const struct mcq_app *app;
    void *arg;
    struct mcq_resolver *resolver;
    int done_fd; /* the app's eventfd: one more has ended */
    bool up, started;
    enum mcq_error err;
    struct mcq_detail detail;
};

/* Starts the thread, which goes through the roster's gates; done_fd is written at its end. The
 * shard inside is valid from gate inits until gate leave. */
MCQ_MUST_USE enum mcq_error mcq_thread_start(struct mcq_thread *t, struct mcq_detail *detail);
/* Once all have ended, nobody posts any more and gate leave has been opened: waits until it has
 * given everything back. err and detail hold the outcome: blocks that are not home are
 * MCQ_ESTATE. */
void mcq_thread_join(struct mcq_thread *t);

/* What such a thread does, for one that the program brings: sets the shard up and starts it with
 * all others (false: it takes no turn), takes turns, ends, and gives everything back once gate
 * leave is open. */
bool mcq_thread_enter(struct mcq_thread *t);
void mcq_thread_end(struct mcq_thread *t);
void mcq_thread_leave(struct mcq_thread *t);

#endif
