/* Host: a process of the simulated machine: one shard, its timer, and the actors on it. It is
 * stepped by the world, may stand still, be killed and start again.
 */
#ifndef MCQ_TESTS_SIM_HOST_H
#define MCQ_TESTS_SIM_HOST_H

#include "tests/sim/scenario.h"
#include "tests/sim/tap.h"

#define MCQ_HOST_HOGS_MAX 2048u

struct mcq_host {
    uint32_t idx;
    bool alive;
    bool stopping; /* it was asked to end */
    bool stopped;  /* its shard has ended by itself */
    uint64_t down_until_ns, still_until_ns;
    struct mcq_shard shard;
    struct mcq_timer *ticker;
    uint64_t tick_at_ns; /* armed for; 0: not armed */
    uint64_t posts, posts_run;
    size_t arena_used;                     /* when it had started */
    uint64_t drops[MCQ_REASON_KILLED + 1]; /* as its sockets told */
    uint64_t steps;
    uint64_t turn_calls; /* the world's count of calls when its turn began */
    struct mcq_buf *hogs[MCQ_HOST_HOGS_MAX];
    uint32_t hog_cnt;
    struct mcq_actor *players[MCQ_SCENARIO_CASTS_MAX]; /* by cast; NULL: nobody */
};

/* Starts the process: its shard, its timer, a socket for each of its casts. */
void mcq_host_start(struct mcq_host *h, uint32_t idx);
/* One turn. */
void mcq_host_step(struct mcq_host *h);
void mcq_host_kill(struct mcq_host *h);
/* After its shard has stopped: everything must have been given back. */
void mcq_host_fini(struct mcq_host *h);
/* Opens a socket for every cast of this host that nobody plays. */
void mcq_host_fill(struct mcq_host *h);
/* Gives the hogged blocks back. */
void mcq_host_release(struct mcq_host *h);
/* Posts to it from another process's turn: that must make it runnable. */
void mcq_host_post(struct mcq_host *h);
/* Its sockets send a last message, and its shard stops. */
void mcq_host_stop(struct mcq_host *h);

#endif
