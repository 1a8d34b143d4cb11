/* RAW: atomics and a mutex between the shards of one app; see the phases below; thread.c, app.c and
 * shard.c call.
 *
 * Roster: the shards of one app, and the phases of its life that they go through together.
 *
 *      init (all) --> start (one after the other, by id) --> run (all) --> ended --> on_stop (all)
 *           --> homecoming --> fini (all)
 *
 * A shard whose own work is finished goes on taking turns until every one's is: another may still
 * need what it holds. The app ends by itself when all are idle (no socket, timer or post) at one
 * moment. That is seen by looking twice: every shard idle, nothing on its way to any, every shard
 * still idle and none has been busy in between.
 *
 * Thread: any, but where a shard speaks of itself. Cost: some loads, and only of shards that are
 * idle or ending.
 */
#ifndef MCQ_SHARDS_ROSTER_H
#define MCQ_SHARDS_ROSTER_H

#include <monocoque/app.h>
#include <pthread.h>

#include "mem/base.h"
#include "shards/group.h"
#include "shards/inproc_names.h"
#include "shards/logical.h"

struct mcq_mesh;

/* Steps that shards wait for: a counter. */
struct mcq_gate {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    uint32_t value;
};

struct mcq_roster_entry {
    _Alignas(2 * MCQ_CACHE_LINE) struct mcq_shard *shard; /* NULL: not there yet, or gone */
    uint64_t busy_cnt;                                    /* times it became busy, odd: it is */
    bool ended;
};

struct mcq_roster {
    uint32_t cnt;
    uint32_t ended_cnt;
    bool failed; /* to start */
    bool over;
    uint64_t seed;         /* for what all shards hash alike; secret */
    struct mcq_mesh *mesh; /* between them; borrowed. NULL: there is none */
    struct mcq_gate inits, starts, stops, leave;
    struct mcq_logicals logicals;
    struct mcq_groups groups;
    struct mcq_inproc_names names;
    struct mcq_roster_entry entries[MCQ_SHARDS_MAX];
};

/* Gives a roster of cnt shards, all busy; NULL: no memory. */
struct mcq_roster *mcq_roster_create(uint32_t cnt);
void mcq_roster_destroy(struct mcq_roster *r);

void mcq_gate_advance(struct mcq_gate *g);
/* Until it was advanced `value` times. */
void mcq_gate_wait(struct mcq_gate *g, uint32_t value);

/* The shard has been set up: the others may reach it. Before gate inits. */
void mcq_roster_enter(struct mcq_roster *r, struct mcq_shard *sh);
/* One shard couldn't be set up, or refused to start: nobody starts any more. */
void mcq_roster_fail(struct mcq_roster *r);
bool mcq_roster_failed(const struct mcq_roster *r);

/* The shard with that id in [0, cnt), for mcq_post; NULL: it couldn't be set up. */
struct mcq_shard *mcq_roster_shard(const struct mcq_roster *r, uint32_t id);
/* Asks every shard to stop. Async-signal-safe, once all have been set up. */
void mcq_roster_stop(struct mcq_roster *r);
/* The shard has, or no longer has, something to do. True if all are idle and nothing is on its way
 * between them. */
void mcq_roster_busy(struct mcq_roster *r, uint32_t id);
bool mcq_roster_idle(struct mcq_roster *r, uint32_t id);
/* Homecoming: the shard has nothing to carry. True if nobody has, and nothing is on its way in the
 * rings between them. */
bool mcq_roster_home(struct mcq_roster *r, uint32_t id);
/* All are idle: the app ends. */
void mcq_roster_finish(struct mcq_roster *r, uint32_t id);
/* The shard has stopped and holds nothing any more; the last one wakes the others. */
void mcq_roster_end(struct mcq_roster *r, uint32_t id);
/* Nothing is left on any shard. */
bool mcq_roster_over(const struct mcq_roster *r);

#endif
