#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/actor.h"
#include "tests/sim/dice.h"

#define MS             1000000ull
#define SETTLE_MAX_NS  (60000 * MS)
#define REST_NS        (150 * MS) /* all must be quiet for so long */
#define END_MAX_NS     (60000 * MS)
#define STEPS_MAX      3000000u
#define CHECK_EVERY    32u
#define GREETS         3u
#define WELCOME_UID    0xf00000u
#define WELCOME_LEN    24u
#define LOOK_AT_ONE_IN 16u

bool mcq_world_tracing;

static struct mcq_scenario scenario;
static struct mcq_host hosts[MCQ_SCENARIO_HOSTS_MAX];
static struct {
    enum mcq_phase phase;
    uint32_t number;
    uint64_t start_ns, phase_ns, calls, digest, sent, taken, steps, phase_steps;
    uint64_t rest_since_ns; /* 0: something moves */
    uint64_t rest_calls;    /* when all had come to rest */
    const char *unrest;
    const struct mcq_actor *restless;
    uint64_t told[MCQ_EVENT_UNCONNECTED + 1][MCQ_REASON_KILLED + 1];
} world;

struct mcq_scenario *mcq_world_scenario(void)
{
    return &scenario;
}

enum mcq_phase mcq_world_phase(void)
{
    return world.phase;
}

bool mcq_world_rested(uint64_t since)
{
    return world.phase == MCQ_PHASE_GREET && since < world.rest_calls;
}

uint64_t mcq_world_calls(void)
{
    return ++world.calls;
}

uint64_t mcq_world_steps(void)
{
    return world.steps;
}

uint32_t mcq_world_number(void)
{
    return ++world.number;
}

void mcq_world_count_sent(uint64_t cnt)
{
    world.sent += cnt;
}

void mcq_world_count_taken(void)
{
    world.taken++;
}

uint64_t mcq_world_told(enum mcq_event_kind kind, enum mcq_reason reason)
{
    return world.told[kind][reason];
}

void mcq_world_count_event(enum mcq_event_kind kind, enum mcq_reason reason)
{
    world.told[kind][reason]++;
}

/* --- telling ------------------------------------------------------------------------------- */

const char *mcq_world_name(const struct mcq_actor *a)
{
    static const char *const types[] = {"?",      "PAIR",   "PUB",  "SUB",  "REQ",  "REP",
                                        "DEALER", "ROUTER", "PULL", "PUSH", "XPUB", "XSUB"};
    static char text[8][32];
    static uint32_t next;
    char *t = text[next++ % 8];
    snprintf(t, sizeof(text[0]), "h%u %s@%u", a->host->idx, types[a->cast->type], a->uid);
    return t;
}

void mcq_world_digest(uint64_t value)
{
    uint64_t h = (world.digest ^ value) * 0x9e3779b97f4a7c15u;
    world.digest = h ^ h >> 29;
}

void mcq_world_trace(const char *format, ...)
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

struct mcq_parcel mcq_world_welcome(const struct mcq_cast *cast)
{
    return (struct mcq_parcel){.uid = WELCOME_UID + cast->idx,
                               .len = WELCOME_LEN,
                               .frame_cnt = 1,
                               .topic = MCQ_PARCEL_TOPIC_NONE};
}

/* --- blows --------------------------------------------------------------------------------- */

static void strike(const struct mcq_blow *b)
{
    struct mcq_host *h = &hosts[b->host];
    if (!h->alive)
        return;
    mcq_world_trace("host %u %s", h->idx, b->kill ? "is killed" : "stands still");
    if (!b->kill) {
        h->still_until_ns = mcq_sim_now_ns() + b->for_ns;
        return;
    }
    mcq_host_kill(h);
    h->down_until_ns = mcq_sim_now_ns() + b->for_ns;
}

static void run_blows(void)
{
    uint64_t now = mcq_sim_now_ns();
    for (uint32_t i = 0; i < scenario.blow_cnt; i++) {
        struct mcq_blow *b = &scenario.blows[i];
        if (b->at_ns == UINT64_MAX || world.start_ns + b->at_ns > now)
            continue;
        b->at_ns = UINT64_MAX;
        strike(b);
    }
    for (uint32_t i = 0; i < scenario.host_cnt; i++) {
        struct mcq_host *h = &hosts[i];
        if (!h->alive && h->down_until_ns != 0 && h->down_until_ns <= now) {
            mcq_world_trace("host %u starts again", i);
            mcq_host_start(h, i);
        }
    }
}

/* --- one round ----------------------------------------------------------------------------- */

static bool can_step(const struct mcq_host *h)
{
    return h->alive && !h->stopped && h->still_until_ns <= mcq_sim_now_ns() &&
           mcq_sim_runnable(h->idx);
}

static struct mcq_host *any_runnable(void)
{
    uint32_t first = mcq_dice_below(scenario.host_cnt);
    for (uint32_t i = 0; i < scenario.host_cnt; i++) {
        struct mcq_host *h = &hosts[(first + i) % scenario.host_cnt];
        if (can_step(h))
            return h;
    }
    return NULL;
}

static void look_at_all(const struct mcq_host *h)
{
    for (uint32_t i = 0; i < scenario.cast_cnt; i++)
        if (h->players[i] != NULL)
            mcq_ledger_look(h->players[i]);
}

/* Time stands still without a process. */
static bool wake_the_dead(void)
{
    bool any = false;
    for (uint32_t i = 0; i < scenario.host_cnt; i++)
        if (!hosts[i].alive) {
            hosts[i].down_until_ns = mcq_sim_now_ns();
            any = true;
        }
    return any;
}

static void post_to_any(void)
{
    struct mcq_host *h = &hosts[mcq_dice_below(scenario.host_cnt)];
    if (h->alive)
        mcq_host_post(h);
}

void mcq_world_round(void)
{
    struct mcq_host *h = mcq_dice_percent(25) ? NULL : any_runnable();
    if (h != NULL) {
        mcq_host_step(h);
        world.steps++;
        if (mcq_dice_below(LOOK_AT_ONE_IN) == 0)
            look_at_all(h);
    } else if (!mcq_sim_advance() && !wake_the_dead()) {
        mcq_sim_fail("nothing will ever happen again");
    }
    if (world.phase == MCQ_PHASE_ACTIVE && mcq_dice_percent(1))
        post_to_any();
    run_blows();
}

static const char *restless(void)
{
    static char text[160];
    snprintf(text, sizeof(text), "%s: %s",
             world.restless == NULL ? "" : mcq_world_name(world.restless),
             world.unrest == NULL ? "now and then" : world.unrest);
    return text;
}

static void rounds_bounded(void)
{
    if (world.steps - world.phase_steps > STEPS_MAX)
        mcq_sim_fail("%u steps, and still busy: %s", STEPS_MAX, restless());
}

/* --- phases -------------------------------------------------------------------------------- */

static void enter(enum mcq_phase phase)
{
    static const char *const names[] = {"active", "settle", "greet", "end"};
    world.phase = phase;
    world.phase_ns = mcq_sim_now_ns();
    world.phase_steps = world.steps;
    world.rest_since_ns = 0;
    mcq_world_trace("--- %s", names[phase]);
}

void mcq_world_open(uint64_t seed, const struct mcq_sim_faults *faults)
{
    memset(&world, 0, sizeof(world));
    memset(&scenario, 0, sizeof(scenario));
    world.digest = seed;
    scenario.faults = *faults;
    mcq_sim_open(seed, faults);
    world.start_ns = mcq_sim_now_ns();
    mcq_ledger_reset();
    mcq_actor_reset();
    memset(hosts, 0, sizeof(hosts));
}

static void on_select(uint32_t process)
{
    struct mcq_host *h = process < MCQ_SCENARIO_HOSTS_MAX ? &hosts[process] : NULL;
    mcq_shard_here = h != NULL && h->alive ? &h->shard : NULL;
}

void mcq_world_start(void)
{
    mcq_sim_on_select = on_select;
    for (uint32_t i = 0; i < scenario.host_cnt; i++)
        mcq_host_start(&hosts[i], i);
}

/* What keeps the world from being at rest; NULL: nothing. */
static const char *unrest(void)
{
    const char *why;
    struct mcq_actor *a;
    for (uint32_t i = 0; i < scenario.host_cnt; i++) {
        if (!hosts[i].alive)
            return "a process is down";
        mcq_sim_select(i);
        look_at_all(&hosts[i]);
    }
    for (uint32_t i = 0; (a = mcq_actor_at(i)) != NULL; i++)
        if ((why = mcq_actor_unrest(a)) != NULL) {
            world.restless = a;
            return why;
        }
    return mcq_ledger_unrest(&world.restless);
}

/* True once everything was quiet for a while. */
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
            mcq_sim_fail("no rest within %u s: %s", (unsigned)(SETTLE_MAX_NS / (1000 * MS)),
                         restless());
        rounds_bounded();
        mcq_world_round();
    }
}

static void settle(void)
{
    struct mcq_sim_faults calm = {.inline_done = scenario.faults.inline_done,
                                  .socket_buffer_bytes = scenario.faults.socket_buffer_bytes};
    mcq_sim_set_faults(&calm);
    for (uint32_t i = 0; i < scenario.blow_cnt; i++)
        scenario.blows[i].at_ns = UINT64_MAX;
    for (uint32_t i = 0; i < scenario.host_cnt; i++) {
        hosts[i].still_until_ns = 0;
        if (!hosts[i].alive)
            hosts[i].down_until_ns = mcq_sim_now_ns();
    }
    enter(MCQ_PHASE_SETTLE);
    come_to_rest();
}

static void greet(void)
{
    struct mcq_actor *a;
    enter(MCQ_PHASE_GREET);
    world.rest_calls = world.calls;
    for (uint32_t i = 0; (a = mcq_actor_at(i)) != NULL; i++)
        if (a->state == MCQ_ACTOR_OPEN)
            a->greets = GREETS;
    come_to_rest();
}

/* One process after the other, so that those who are left can hear the last of it. */
static void end(void)
{
    enter(MCQ_PHASE_END);
    for (uint32_t i = 0; i < scenario.host_cnt; i++) {
        uint64_t began_ns = mcq_sim_now_ns();
        mcq_host_stop(&hosts[i]);
        while (!hosts[i].stopped) {
            if (mcq_sim_now_ns() - began_ns > END_MAX_NS)
                mcq_sim_fail("host %u has not ended within %u s", i,
                             (unsigned)(END_MAX_NS / (1000 * MS)));
            rounds_bounded();
            mcq_world_round();
        }
        mcq_host_fini(&hosts[i]);
    }
}

void mcq_world_finish(struct mcq_world_result *result)
{
    settle();
    greet();
    end();
    mcq_world_digest(mcq_sim_trace());
    *result = (struct mcq_world_result){
        .steps = world.steps,
        .sent = world.sent,
        .taken = world.taken,
        .ended_ns = mcq_sim_now_ns() - world.start_ns,
        .digest = world.digest,
    };
    mcq_sim_close();
}

void mcq_world_run(uint64_t seed, struct mcq_world_result *result)
{
    struct mcq_sim_faults faults;
    mcq_scenario_faults(seed, &faults);
    mcq_world_open(seed, &faults);
    mcq_scenario_draw(&scenario);
    mcq_world_start();
    while (mcq_sim_now_ns() - world.start_ns < scenario.active_ns) {
        rounds_bounded();
        mcq_world_round();
    }
    mcq_world_finish(result);
}
