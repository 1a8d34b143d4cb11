#include "tests/sim/team.h"

#include <monocoque/embed.h>
#include <string.h>

#include "shards/homecoming.h"
#include "tests/sim/dice.h"
#include "tests/sim/tap.h"

#define POLLS_IDLY 100u /* chance */

/* Who is which process of the machine. */
static struct mcq_team *team_of[MCQ_SIM_PROCESSES_MAX];

void mcq_team_reset(void)
{
    memset(team_of, 0, sizeof(team_of));
}

static void on_select(uint32_t process)
{
    struct mcq_team *t = team_of[process];
    mcq_shard_here = t != NULL && t->alive ? &t->shards[process - t->first].shard : NULL;
}

void mcq_team_select(struct mcq_team *t, uint32_t id)
{
    mcq_sim_select(t->first + id);
}

/* --- start --------------------------------------------------------------------------------- */

static void set_up(struct mcq_team *t, uint32_t id, const struct mcq_team_plan *plan)
{
    struct mcq_detail detail = {.text = ""};
    struct mcq_team_shard *s = &t->shards[id];
    memset(s, 0, sizeof(*s));
    team_of[t->first + id] = t;
    if (id != 0)
        mcq_sim_join(t->first + id, t->first);
    mcq_team_select(t, id);
    if (mcq_shard_init(&s->shard, id, plan->opts, NULL, &detail) != MCQ_OK)
        mcq_sim_fail("team %u: shard %u: %s", t->idx, id, detail.text);
    s->shard.app = plan->app;
    s->shard.app_arg = t;
    if (t->embedded && id == 0 && mcq_loop_bell_open(s->shard.loop, &detail) != MCQ_OK)
        mcq_sim_fail("team %u: %s", t->idx, detail.text);
    if (t->alone)
        return;
    s->shard.roster = t->roster;
    s->shard.mesh = mcq_mesh_at(t->mesh, id);
    mcq_mesh_attach(s->shard.mesh, s->shard.loop);
    mcq_roster_enter(t->roster, &s->shard);
}

static void set_up_roster(struct mcq_team *t, const struct mcq_team_plan *plan)
{
    struct mcq_detail detail = {.text = ""};
    const struct mcq_mesh_opts mo = {
        .cnt = t->cnt,
        .spins = plan->opts->idle == MCQ_IDLE_SPIN && !plan->embedded,
        .start = plan->ring_start,
        .ring_len_max = plan->ring_len_max,
    };
    t->roster = mcq_roster_create(t->cnt);
    if (t->roster == NULL || mcq_mesh_create(&mo, &t->mesh, &detail) != MCQ_OK)
        mcq_sim_fail("team %u: %s", t->idx, detail.text);
    t->roster->mesh = t->mesh;
}

void mcq_team_start(struct mcq_team *t, const struct mcq_team_plan *plan)
{
    mcq_sim_on_select = on_select;
    t->alive = true;
    t->stopping = false;
    t->alone = plan->alone;
    t->embedded = plan->embedded;
    t->waits = false;
    if (!t->alone)
        set_up_roster(t, plan);
    for (uint32_t id = 0; id < t->cnt; id++)
        set_up(t, id, plan);
    for (uint32_t id = 0; id < t->cnt; id++) {
        mcq_team_select(t, id);
        if (plan->app->start != NULL && plan->app->start(mcq_team_at(t, id), t) != 0)
            mcq_sim_fail("team %u: shard %u refused to start", t->idx, id);
    }
    for (uint32_t id = 0; id < t->cnt; id++)
        t->shards[id].arena_used = t->shards[id].shard.arena.used;
}

/* --- running ------------------------------------------------------------------------------- */

bool mcq_team_can_step(const struct mcq_team *t, uint32_t id)
{
    const struct mcq_team_shard *s = &t->shards[id];
    return t->alive && !s->over && s->still_until_ns <= mcq_sim_now_ns() &&
           (mcq_sim_runnable(t->first + id) ||
            (t->embedded && id == 0 && !t->waits && mcq_sim_chance(POLLS_IDLY)));
}

/* One turn by mcq_shard_poll, and the sleep after it. */
static bool poll_once(struct mcq_team *t, struct mcq_shard *sh)
{
    uint64_t wait_ns = 0;
    bool at_once = mcq_dice_percent(10);
    bool on = mcq_shard_poll(sh, at_once ? NULL : &wait_ns);
    if (on)
        mcq_sim_rest(t->first, at_once ? 0 : wait_ns);
    return on;
}

void mcq_team_step(struct mcq_team *t, uint32_t id)
{
    struct mcq_team_shard *s = &t->shards[id];
    mcq_team_select(t, id);
    s->turns++;
    bool polls = t->embedded && id == 0 && !t->waits;
    if (t->embedded && id == 0)
        mcq_sim_rest(t->first, 0);
    if (!(polls ? poll_once(t, &s->shard) : mcq_shard_step(&s->shard))) {
        s->over = true;
        mcq_ports_end(&s->shard);
    }
    if (!t->alone && s->shard.mesh->dirty_cnt != 0 && !s->over)
        mcq_sim_fail("team %u: a turn of shard %u ended with records that nobody can see", t->idx,
                     id);
}

void mcq_team_stop(struct mcq_team *t)
{
    t->stopping = true;
    t->waits = mcq_dice_percent(50);
    mcq_stop(mcq_team_at(t, 0));
}

bool mcq_team_over(const struct mcq_team *t)
{
    for (uint32_t id = 0; id < t->cnt; id++)
        if (!t->shards[id].over)
            return false;
    return true;
}

void mcq_team_check_sleep(const struct mcq_team *t, uint32_t id)
{
    const struct mcq_team_shard *s = &t->shards[id];
    if (!t->alive || s->over || mcq_sim_runnable(t->first + id) || mcq_sim_waking(t->first + id))
        return;
    if (!mcq_mailbox_empty(s->shard.mailbox))
        mcq_sim_fail("team %u: shard %u sleeps, and a post waits for it", t->idx, id);
    if (!t->alone && !mcq_mesh_empty(s->shard.mesh))
        mcq_sim_fail("team %u: shard %u sleeps, and a record, or room, waits for it", t->idx, id);
}

const char *mcq_team_unrest(const struct mcq_team *t)
{
    for (uint32_t id = 0; id < t->cnt; id++) {
        const struct mcq_shard *sh = &t->shards[id].shard;
        if (!mcq_mailbox_drained(sh->mailbox))
            return "a post doesn't run";
    }
    return t->alone || mcq_mesh_drained(t->mesh) ? NULL : "records between shards aren't taken";
}

/* --- the end ------------------------------------------------------------------------------- */

static void destroy_roster(struct mcq_team *t)
{
    if (t->alone)
        return;
    mcq_roster_destroy(t->roster);
    mcq_mesh_destroy(t->mesh);
    t->roster = NULL;
    t->mesh = NULL;
}

/* What the app has malloc'd goes in its own way, descriptors included: they would go anyway. */
void mcq_team_kill(struct mcq_team *t)
{
    mcq_team_select(t, 0);
    destroy_roster(t);
    for (uint32_t id = t->cnt; id-- > 0;)
        mcq_sim_kill(t->first + id);
    mcq_shard_here = NULL;
    for (uint32_t id = 0; id < t->cnt; id++)
        mcq_arena_fini(&t->shards[id].shard.arena);
    t->alive = false;
}

static void check_empty(struct mcq_team *t, uint32_t id)
{
    struct mcq_team_shard *s = &t->shards[id];
    if (s->shard.arena.used != s->arena_used)
        mcq_sim_fail("team %u: shard %u: memory was carved after its start", t->idx, id);
    const char *pool = mcq_tap_leftover(&s->shard);
    if (pool != NULL)
        mcq_sim_fail("team %u: shard %u: at the end the pool '%s' is not full", t->idx, id, pool);
    if (mcq_remote_out_cnt(&s->shard) != 0 || mcq_remote_held_cnt(&s->shard) != 0)
        mcq_sim_fail("team %u: shard %u: at the end %lu references are out, %u are held", t->idx,
                     id, (unsigned long)mcq_remote_out_cnt(&s->shard),
                     mcq_remote_held_cnt(&s->shard));
}

/* What was dropped late may have been lent by several shards, one after the other. */
static void bring_home(struct mcq_team *t)
{
    bool carried = !t->alone;
    while (carried) {
        carried = false;
        for (uint32_t id = 0; id < t->cnt; id++) {
            mcq_team_select(t, id);
            carried = mcq_homecoming_carry(mcq_team_at(t, id)) || carried;
        }
    }
}

void mcq_team_fini(struct mcq_team *t)
{
    bring_home(t);
    for (uint32_t id = 0; id < t->cnt; id++)
        check_empty(t, id);
    for (uint32_t id = t->cnt; id-- > 0;) {
        mcq_team_select(t, id);
        uint32_t astray = mcq_shard_fini(&t->shards[id].shard);
        if (astray != 0)
            mcq_sim_fail("team %u: shard %u: at the end %u blocks are not home", t->idx, id,
                         astray);
    }
    mcq_team_select(t, 0);
    destroy_roster(t);
    for (uint32_t id = 0; id < t->cnt; id++)
        if (mcq_sim_open_fds(t->first + id) != 0)
            mcq_sim_fail("team %u: at the end %u descriptors are open", t->idx,
                         mcq_sim_open_fds(t->first + id));
    t->alive = false;
}
