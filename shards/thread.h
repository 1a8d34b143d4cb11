/* Thread: the one place with a pthread and a loop around mcq_shard_step. */
#ifndef MCQ_SHARDS_THREAD_H
#define MCQ_SHARDS_THREAD_H

#include <pthread.h>

#include "shards/shard.h"

#define MCQ_THREAD_CPU_ANY UINT32_MAX

struct mcq_thread {
    struct mcq_shard shard;
    pthread_t pthread;
    uint32_t id;
    uint32_t cpu; /* MCQ_THREAD_CPU_ANY: not pinned */
    const struct mcq_opts *opts;
    const struct mcq_app *app;
    void *arg;
    struct mcq_resolver *resolver;
    int ready_fd, done_fd, end_fd; /* eventfds of the app: started (or failed), ended, may go */
    enum mcq_error err;
    struct mcq_detail detail;
};

/* Starts the thread; ready_fd is written once start has run or failed (err), done_fd at the end.
 * The shard inside is valid from ready until join. */
MCQ_MUST_USE enum mcq_error mcq_thread_start(struct mcq_thread *t, struct mcq_detail *detail);
/* Once done_fd was written and nobody posts any more: lets the thread give everything back, and
 * waits for its end. err and detail hold the outcome: blocks that are not home are MCQ_ESTATE. */
void mcq_thread_join(struct mcq_thread *t);
/* Sleeps until the eventfd was written. */
void mcq_thread_wait(int fd);

#endif
