/* RAW: a system call that yields the CPU; sound anywhere; thread.c and app.c call. */
#include "shards/homecoming.h"

#include <sched.h>

#include "shards/shard.h"

static void no_post(struct mcq_shard *sh, uint32_t from, uint32_t tag, const void *body, size_t len)
{
    (void)sh;
    (void)from;
    (void)tag;
    (void)body;
    (void)len;
}

/* Whoever is spoken of has ended. */
static void nothing(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    (void)sh;
    (void)from;
    (void)body;
    (void)len;
}

static void no_room(struct mcq_shard *sh, uint32_t to, enum mcq_lane lane)
{
    (void)sh;
    (void)to;
    (void)lane;
}

_Static_assert(MCQ_MESH_KIND_CNT == MCQ_MESH_DIRECTORY + 1, "every kind has a line here");

static const struct mcq_mesh_handlers HANDLERS = {
    .post = no_post,
    .of =
        {
            [MCQ_MESH_RELEASE] = mcq_remote_arrived,
            [MCQ_MESH_ACCEPT] = mcq_group_arrived, /* closes what no member is left for */
            [MCQ_MESH_BRIDGE_OPEN] = nothing,
            [MCQ_MESH_BRIDGE_OPENED] = nothing,
            [MCQ_MESH_BRIDGE_DATA] = nothing,
            [MCQ_MESH_BRIDGE_MARK] = nothing,
            [MCQ_MESH_BRIDGE_MARKED] = nothing,
            [MCQ_MESH_BRIDGE_TAKEN] = nothing,
            [MCQ_MESH_BRIDGE_CONTROL] = nothing,
            [MCQ_MESH_BRIDGE_ACK] = nothing,
            [MCQ_MESH_BRIDGE_HOLD] = nothing,
            [MCQ_MESH_BRIDGE_HELD] = nothing,
            [MCQ_MESH_BRIDGE_END] = nothing,
            [MCQ_MESH_INPROC_BOUND] = nothing,
            [MCQ_MESH_MOVE] = nothing,
            [MCQ_MESH_LOAD] = nothing,
            [MCQ_MESH_DIRECTORY] = nothing,
        },
    .room = no_room,
};

/* What comes home may be what others lent to this shard: there is something to send again. */
bool mcq_homecoming_carry(struct mcq_shard *sh)
{
    if (mcq_mesh_idle(sh->mesh) && sh->remote.due_cnt == 0 && sh->passes.cnt == 0)
        return false;
    mcq_roster_busy(sh->roster, sh->id);
    (void)mcq_mesh_take(sh->mesh, sh, &HANDLERS);
    (void)mcq_remote_run(sh);
    mcq_group_run(sh);
    mcq_mesh_publish(sh->mesh);
    return true;
}

/* A shard counts as busy until it has found nothing to carry, and nobody looks before all are
 * here: on_stop may take its time, so that is slept through. */
void mcq_homecoming_run(struct mcq_roster *r, uint32_t id, struct mcq_shard *sh)
{
    mcq_roster_busy(r, id);
    mcq_gate_advance(&r->stops);
    mcq_gate_wait(&r->stops, r->cnt);
    while ((sh != NULL && mcq_homecoming_carry(sh)) || !mcq_roster_home(r, id))
        sched_yield();
}

void mcq_homecoming_skip(struct mcq_roster *r, uint32_t id)
{
    (void)mcq_roster_home(r, id);
    mcq_gate_advance(&r->stops);
}
