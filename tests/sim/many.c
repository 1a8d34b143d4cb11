#include "tests/sim/many.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/dice.h"
#include "tests/sim/marshal.h"
#include "tests/sim/mate.h"
#include "tests/sim/visitor.h"

#define MS            1000000ull
#define SETTLE_MAX_NS (30000 * MS)
#define REST_NS       (100 * MS)
#define END_MAX_NS    (30000 * MS)
#define STEPS_MAX     6000000u
#define CHECK_EVERY   64u
#define HOLD_MAX_NS   3000000u

static struct mcq_many many;
static struct mcq_team teams[MCQ_MANY_TEAMS_MAX];
static struct {
    enum mcq_phase phase;
    uint64_t start_ns, phase_ns, calls, digest, sent, taken, steps, phase_steps;
    uint64_t rest_since_ns;
    uint64_t orphans; /* seen */
    uint32_t lives[MCQ_MANY_TEAMS_MAX];
    uint64_t down_until_ns[MCQ_MANY_TEAMS_MAX]; /* 0: it is up */
    uint64_t drops[MCQ_MANY_TEAMS_MAX][MCQ_TEAM_SHARDS_MAX][MCQ_REASON_KILLED + 1];
    const char *unrest;
    char restless[128];
} world;

struct mcq_many *mcq_many(void)
{
    return &many;
}

enum mcq_phase mcq_many_phase(void)
{
    return world.phase;
}

struct mcq_team *mcq_many_team(uint32_t idx)
{
    return &teams[idx];
}

uint32_t mcq_many_realm(uint32_t team)
{
    return world.lives[team] * MCQ_MANY_TEAMS_MAX + team;
}

void mcq_many_stir(void)
{
    world.calls++;
}

void mcq_many_count_sent(void)
{
    world.sent++;
}

void mcq_many_count_taken(void)
{
    world.taken++;
}

void mcq_many_dropped(uint32_t team, uint32_t shard, enum mcq_reason reason, uint64_t cnt)
{
    world.drops[team][shard][reason] += cnt;
}

void mcq_many_trace(const char *format, ...)
{
    va_list args;
    if (!mcq_world_tracing)
        return;
    printf("%12.6f ms  ", (double)(mcq_sim_now_ns() - world.start_ns) / 1e6);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

void mcq_many_digest(uint64_t value)
{
    uint64_t h = (world.digest ^ value) * 0x9e3779b97f4a7c15u;
    world.digest = h ^ h >> 29;
}

/* --- lives of teams ------------------------------------------------------------------------ */

static void start_team(uint32_t idx)
{
    const struct mcq_team_plan plan = {
        .opts = &many.opts[idx],
        .app = &mcq_many_app,
        .alone = idx != MCQ_MANY_HOUSE,
        .embedded = many.embedded[idx],
        .ring_len_max = many.ring_len_max,
        .ring_start = many.ring_start & ~(uint64_t)7,
    };
    world.lives[idx]++;
    world.down_until_ns[idx] = 0;
    memset(world.drops[idx], 0, sizeof(world.drops[idx]));
    if (idx == MCQ_MANY_HOUSE) {
        mcq_posts_init(mcq_many_posts());
        mcq_visitors_begin();
        mcq_marshal_reset();
        for (uint32_t i = 0; i < many.circuit_cnt; i++) {
            struct mcq_circuit *c = &many.circuits[i];
            c->put = c->left = c->dropped = 0;
            c->killed = false;
        }
    }
    mcq_team_start(&teams[idx], &plan);
}

static void check_sum(const struct mcq_team *t, const char *what, uint64_t told, uint64_t counted)
{
    if (told != counted)
        mcq_sim_fail("team %u: %s: %lu were told, %lu are counted", t->idx, what,
                     (unsigned long)told, (unsigned long)counted);
}

/* What its sockets told as dropped is what its shards have counted. */
static void check_drops(const struct mcq_team *t)
{
    uint64_t told = 0, counted = 0;
    for (uint32_t id = 0; id < t->cnt; id++) {
        const struct mcq_pattern_stats *s = &t->shards[id].shard.stats.pattern;
        for (uint32_t r = 0; r <= MCQ_REASON_KILLED; r++)
            told += world.drops[t->idx][id][r];
        counted += s->drops_hwm + s->drops_old + s->conflated + s->drops_no_peer +
                   s->drops_pattern + s->drops_end;
    }
    check_sum(t, "drops", told, counted);
}

/* Everything that was sent by one of the house's sockets of a circuit, or their members together,
 * has left with a connection or was told as dropped. */
static void check_balance(uint32_t idx)
{
    const struct mcq_circuit *c = &many.circuits[idx];
    enum mcq_sock_type type = MCQ_PAIR;
    for (uint32_t i = many.part_cnt; i-- > 0;)
        if (many.parts[i].circuit == idx)
            type = many.parts[i].type;
    bool adds_up = type == MCQ_PUSH || type == MCQ_DEALER || type == MCQ_ROUTER;
    if (!adds_up || c->killed || c->put == c->left + c->dropped)
        return;
    mcq_sim_fail("circuit %u: %lu messages were sent, but %lu left and %lu were dropped", idx,
                 (unsigned long)c->put, (unsigned long)c->left, (unsigned long)c->dropped);
}

static void end_team(struct mcq_team *t)
{
    check_drops(t);
    if (t->idx == MCQ_MANY_HOUSE)
        for (uint32_t i = 0; i < many.circuit_cnt; i++)
            check_balance(i);
    for (uint32_t i = 0; i < many.part_cnt; i++)
        if (many.parts[i].team == t->idx && mcq_mate_of(&many.parts[i]) != NULL)
            mcq_sim_fail("%s: its shard has ended, and it wasn't told `closed`",
                         mcq_mate_name(mcq_mate_of(&many.parts[i])));
    mcq_team_fini(t);
}

static void kill_team(struct mcq_team *t)
{
    if (t->idx == MCQ_MANY_HOUSE)
        mcq_visitors_kill();
    for (uint32_t i = 0; i < many.part_cnt; i++)
        if (many.parts[i].team == t->idx && mcq_mate_of(&many.parts[i]) != NULL)
            mcq_mate_kill(mcq_mate_of(&many.parts[i]));
    mcq_mate_send_forget(t->idx);
    mcq_team_kill(t);
    world.orphans = mcq_sim_seen()->orphans;
}

static void strike(const struct mcq_many_blow *b)
{
    static const char *const names[] = {"stands still", "is killed", "stops"};
    struct mcq_team *t = &teams[b->team];
    uint64_t until = mcq_sim_now_ns() + b->for_ns;
    if (!t->alive || t->stopping)
        return;
    mcq_many_trace("team %u, shard %u, %s", t->idx, b->shard, names[b->kind]);
    if (b->kind == MCQ_BLOW_STILL) {
        t->shards[b->shard].still_until_ns = until;
        return;
    }
    for (uint32_t i = 0; i < many.part_cnt; i++)
        if (many.parts[i].team == t->idx)
            many.circuits[many.parts[i].circuit].ends = true;
    world.down_until_ns[t->idx] = until;
    if (b->kind == MCQ_BLOW_KILL)
        kill_team(t);
    else
        mcq_team_stop(t);
}

static void run_lives(void)
{
    uint64_t now = mcq_sim_now_ns();
    for (uint32_t i = 0; i < many.blow_cnt; i++) {
        struct mcq_many_blow *b = &many.blows[i];
        if (b->at_ns == UINT64_MAX || world.start_ns + b->at_ns > now)
            continue;
        b->at_ns = UINT64_MAX;
        strike(b);
    }
    for (uint32_t i = 0; i < many.team_cnt; i++) {
        struct mcq_team *t = &teams[i];
        if (t->alive && t->stopping && mcq_team_over(t))
            end_team(t);
        if (!t->alive && world.phase != MCQ_PHASE_END && world.down_until_ns[i] <= now) {
            mcq_many_trace("team %u starts again", i);
            start_team(i);
        }
    }
}

/* Connections that wait at a listener which closes are for the others there, unless all end. */
static void after_turn(const struct mcq_team *t)
{
    uint64_t orphans = mcq_sim_seen()->orphans;
    if (t->idx == MCQ_MANY_HOUSE && t->alive)
        mcq_marshal_look();
    if (orphans != world.orphans && !t->stopping)
        mcq_sim_fail("team %u: a listener was closed over connections that others could have taken",
                     t->idx);
    world.orphans = orphans;
}

/* --- one round ----------------------------------------------------------------------------- */

/* Any shard that may be stepped; some are held up first. */
static bool step_any(void)
{
    uint32_t cnt = 0, first;
    for (uint32_t i = 0; i < many.team_cnt; i++)
        cnt += teams[i].cnt;
    first = mcq_dice_below(cnt);
    for (uint32_t i = 0; i < cnt; i++) {
        uint32_t at = (first + i) % cnt, team = 0;
        while (at >= teams[team].cnt)
            at -= teams[team++].cnt;
        struct mcq_team *t = &teams[team];
        if (!mcq_team_can_step(t, at))
            continue;
        if (world.phase == MCQ_PHASE_ACTIVE && mcq_sim_chance(many.hold)) {
            t->shards[at].still_until_ns = mcq_sim_now_ns() + mcq_dice_scaled(HOLD_MAX_NS);
            continue;
        }
        mcq_team_step(t, at);
        mcq_team_check_sleep(t, mcq_dice_below(t->cnt));
        after_turn(t);
        world.steps++;
        return true;
    }
    return false;
}

/* Time stands still without anybody who waits for it. */
static bool let_go(void)
{
    bool any = false;
    for (uint32_t i = 0; i < many.team_cnt; i++) {
        any = any || (!teams[i].alive && world.phase != MCQ_PHASE_END);
        world.down_until_ns[i] = mcq_min_u64(world.down_until_ns[i], mcq_sim_now_ns());
        for (uint32_t s = 0; s < teams[i].cnt; s++) {
            any = any || teams[i].shards[s].still_until_ns > mcq_sim_now_ns();
            teams[i].shards[s].still_until_ns = 0;
        }
    }
    return any;
}

static void round_once(void)
{
    bool outside = mcq_dice_percent(15) && mcq_outside_step();
    if (!outside && (mcq_dice_percent(20) || !step_any()))
        if (!mcq_sim_advance() && !mcq_outside_step() && !let_go())
            mcq_sim_fail("nothing will ever happen again: %s", world.restless);
    run_lives();
    if (world.steps - world.phase_steps > STEPS_MAX)
        mcq_sim_fail("%u steps, and still busy: %s %s", STEPS_MAX, world.restless,
                     world.unrest == NULL ? "now and then" : world.unrest);
}

/* --- rest ---------------------------------------------------------------------------------- */

static const char *unrest(void)
{
    const char *why;
    for (uint32_t i = 0; i < many.team_cnt; i++) {
        snprintf(world.restless, sizeof(world.restless), "team %u", i);
        if (!teams[i].alive || teams[i].stopping)
            return "a process is down";
        if ((why = mcq_team_unrest(&teams[i])) != NULL)
            return why;
    }
    snprintf(world.restless, sizeof(world.restless), "outside");
    if ((why = mcq_visitors_unrest()) != NULL)
        return why;
    if ((why = mcq_posts_unrest(mcq_many_posts(), &teams[MCQ_MANY_HOUSE])) != NULL)
        return why;
    for (uint32_t i = 1; i <= mcq_tie_cnt(); i++)
        if (mcq_tie_at(i)->state == MCQ_TIE_MOVING)
            return "a peer is on its way, and doesn't come";
    for (uint32_t i = 1; i <= mcq_mate_cnt(); i++) {
        const struct mcq_mate *m = mcq_mate_at(i);
        if ((why = mcq_mate_unrest(m)) == NULL &&
            (world.phase != MCQ_PHASE_GREET || !mcq_many_app_greets(m)))
            continue;
        snprintf(world.restless, sizeof(world.restless), "%s", mcq_mate_name(m));
        return why == NULL ? "it hasn't greeted yet" : why;
    }
    why = mcq_many_missing(world.restless, sizeof(world.restless));
    if (why == NULL && world.phase == MCQ_PHASE_GREET)
        why = mcq_many_unpublished(world.restless, sizeof(world.restless));
    return why;
}

static bool is_at_rest(void)
{
    uint64_t now = mcq_sim_now_ns();
    world.unrest = unrest();
    if (world.unrest != NULL)
        world.rest_since_ns = 0;
    else if (world.rest_since_ns == 0)
        world.rest_since_ns = now;
    return world.unrest == NULL && now - world.rest_since_ns >= REST_NS;
}

static void come_to_rest(void)
{
    for (uint32_t i = 1; i % CHECK_EVERY != 0 || !is_at_rest(); i++) {
        if (mcq_sim_now_ns() - world.phase_ns > SETTLE_MAX_NS)
            mcq_sim_fail("no rest within %u s: %s: %s", (unsigned)(SETTLE_MAX_NS / (1000 * MS)),
                         world.restless, world.unrest == NULL ? "now and then" : world.unrest);
        round_once();
    }
}

/* --- phases -------------------------------------------------------------------------------- */

static void enter(enum mcq_phase phase)
{
    static const char *const names[] = {"active", "settle", "greet", "end"};
    world.phase = phase;
    world.phase_ns = mcq_sim_now_ns();
    world.phase_steps = world.steps;
    world.rest_since_ns = 0;
    mcq_many_trace("--- %s", names[phase]);
}

static void settle(void)
{
    struct mcq_sim_faults calm = {.inline_done = many.faults.inline_done,
                                  .socket_buffer_bytes = many.faults.socket_buffer_bytes};
    mcq_sim_set_faults(&calm);
    for (uint32_t i = 0; i < many.blow_cnt; i++)
        many.blows[i].at_ns = UINT64_MAX;
    (void)let_go();
    enter(MCQ_PHASE_SETTLE);
    come_to_rest();
}

static void greet(void)
{
    enter(MCQ_PHASE_GREET);
    mcq_many_app_greet();
    mcq_many_greets();
    come_to_rest();
}

/* The far ends first or last. */
static void end(void)
{
    bool house_first = mcq_dice_percent(50);
    enter(MCQ_PHASE_END);
    for (uint32_t k = 0; k < many.team_cnt; k++) {
        struct mcq_team *t = &teams[house_first ? k : many.team_cnt - 1 - k];
        uint64_t began_ns = mcq_sim_now_ns();
        mcq_team_stop(t);
        while (t->alive) {
            if (mcq_sim_now_ns() - began_ns > END_MAX_NS)
                mcq_sim_fail("team %u has not ended within %u s", t->idx,
                             (unsigned)(END_MAX_NS / (1000 * MS)));
            round_once();
        }
    }
    while (mcq_outside_cnt() != 0)
        round_once();
}

static void open_machine(uint64_t seed)
{
    memset(&world, 0, sizeof(world));
    memset(&many, 0, sizeof(many));
    for (uint32_t i = 0; i < MCQ_MANY_TEAMS_MAX; i++)
        memset(&teams[i], 0, offsetof(struct mcq_team, shards));
    mcq_scenario_faults(seed, &many.faults);
    many.seed = seed;
    world.digest = seed;
    mcq_sim_open(seed, &many.faults);
    world.start_ns = mcq_sim_now_ns();
    mcq_team_reset();
    mcq_waybill_reset();
    mcq_mate_reset();
    mcq_many_app_reset();
}

void mcq_many_run(uint64_t seed, uint32_t shards, struct mcq_world_result *result)
{
    open_machine(seed);
    mcq_many_draw(&many, shards);
    mcq_sim_set_faults(&many.faults);
    for (uint32_t i = 0; i < many.team_cnt; i++)
        start_team(i);
    mcq_visitors_start(many.visitor_cnt);
    while (mcq_sim_now_ns() - world.start_ns < many.active_ns)
        round_once();
    settle();
    greet();
    end();
    mcq_many_digest(mcq_sim_trace());
    *result = (struct mcq_world_result){
        .steps = world.steps,
        .sent = world.sent,
        .taken = world.taken,
        .ended_ns = mcq_sim_now_ns() - world.start_ns,
        .digest = world.digest,
    };
    mcq_sim_close();
}
