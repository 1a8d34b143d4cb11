/* Team: the shards of one app on the simulated machine, set up as mcq_run sets them up and stepped
 * one turn at a time, in any order, by the world. Each is a process of the machine that shares the
 * descriptors of the first. A team of one without a roster is a program of a single shard.
 *
 *      start (all set up, then app->start by id) -> step ... -> stop -> step ... -> over -> fini
 *                                                     \--> kill
 */
#ifndef MCQ_TESTS_SIM_TEAM_H
#define MCQ_TESTS_SIM_TEAM_H

#include "shards/shard.h"
#include "tests/sim/kernel.h"

#define MCQ_TEAM_SHARDS_MAX 16u

struct mcq_team_shard {
    struct mcq_shard shard;
    bool over;               /* its last turn was taken */
    uint64_t still_until_ns; /* it isn't stepped before */
    uint64_t turns;
    size_t arena_used; /* when all had started */
};

struct mcq_team {
    uint32_t idx, first, cnt; /* processes [first, first + cnt) */
    bool alive, stopping;
    bool alone;    /* without a roster */
    bool embedded; /* shard 0 is polled by a loop that isn't the library's */
    bool waits;    /* ... which only waits for the end now (mcq_embed_close) */
    struct mcq_roster *roster;
    struct mcq_mesh *mesh;
    struct mcq_team_shard shards[MCQ_TEAM_SHARDS_MAX];
};

struct mcq_team_plan {
    const struct mcq_opts *opts;
    const struct mcq_app *app; /* on_post, start ...; arg: the team */
    bool alone, embedded;
    size_t ring_len_max; /* of the mesh, as its option */
    uint64_t ring_start;
};

/* On first use all zero but for idx, first and cnt. */
void mcq_team_start(struct mcq_team *t, const struct mcq_team_plan *plan);
/* Whether the shard would find something to do, and isn't held up. Who polls it does so without a
 * cause now and then. */
bool mcq_team_can_step(const struct mcq_team *t, uint32_t id);
/* One turn of it. */
void mcq_team_step(struct mcq_team *t, uint32_t id);
/* As kill -9. */
void mcq_team_kill(struct mcq_team *t);
/* As mcq_stop on one of its shards, from inside or outside. */
void mcq_team_stop(struct mcq_team *t);
/* All have taken their last turn. */
bool mcq_team_over(const struct mcq_team *t);
/* Everything must have been given back. */
void mcq_team_fini(struct mcq_team *t);

/* A shard that sleeps has nothing to do, or is being woken: else it would sleep on. */
void mcq_team_check_sleep(const struct mcq_team *t, uint32_t id);
/* NULL: nothing is on its way between its shards and none has work; only true while nothing
 * moves. */
const char *mcq_team_unrest(const struct mcq_team *t);
/* Selects the shard: calls from here on are its own. */
void mcq_team_select(struct mcq_team *t, uint32_t id);
/* The machine forgets who was where. */
void mcq_team_reset(void);

static inline struct mcq_shard *mcq_team_at(struct mcq_team *t, uint32_t id)
{
    return &t->shards[id].shard;
}

#endif
