/* Ghosts: connections that are gone for one end and not yet for the other, for millions of steps in
 * one world each: reconnects with the same identity while the old connection's close is on its
 * way, downs and subscriptions that come late, descriptors and slots used again, completions of
 * connections that have ended, all in random order. ROUTER with reject and with replace, PUB, XPUB,
 * and REQ with REP.
 *
 *   ghosts [STEPS [SEED]]     steps of shards in all [10,000,000]
 *
 * The ledger (tests/sim/ledger.h) checks each world; here is only what makes ghosts, and that there
 * were some. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/dice.h"
#include "tests/sim/parcel.h"
#include "tests/sim/world.h"

#define STEPS    10000000u
#define SPOKES   3u
#define HOSTS    3u
#define LATE_NS  10000000u /* at most so long an end is on its way */
#define ARENA    (2u << 20)
#define ANY_MSGS UINT32_MAX

struct haunt {
    const char *name;
    enum mcq_sock_type hub, spoke;
    enum mcq_identity_policy policy;
    bool twins; /* two spokes have one name */
};

static const struct haunt haunts[] = {
    {"router-reject", MCQ_ROUTER, MCQ_DEALER, MCQ_IDENTITY_REJECT, false},
    {"router-reject-twins", MCQ_ROUTER, MCQ_REQ, MCQ_IDENTITY_REJECT, true},
    {"router-replace", MCQ_ROUTER, MCQ_DEALER, MCQ_IDENTITY_REPLACE, false},
    {"router-replace-twins", MCQ_ROUTER, MCQ_DEALER, MCQ_IDENTITY_REPLACE, true},
    {"pub", MCQ_PUB, MCQ_SUB, MCQ_IDENTITY_REJECT, false},
    {"xpub", MCQ_XPUB, MCQ_XSUB, MCQ_IDENTITY_REJECT, false},
    {"rep", MCQ_REP, MCQ_REQ, MCQ_IDENTITY_REJECT, false},
};

static const struct mcq_sim_faults faults = {
    .short_read = 500,
    .short_write = 500,
    .reset = 40,
    .delay = 5000,
    .delay_max_ns = LATE_NS,
    .inline_done = 3000,
    .reorder = 3000,
    .shot_end = 300,
    .connect_lost = 50,
    .cancel_late = 5000,
    .socket_buffer_bytes = 4096,
};

/* --- the scenario -------------------------------------------------------------------------- */

static struct mcq_cast *cast_add(struct mcq_scenario *s, enum mcq_sock_type type,
                                 enum mcq_sock_type far)
{
    struct mcq_cast *c = &s->casts[s->cast_cnt];
    *c = (struct mcq_cast){
        .idx = s->cast_cnt,
        .host = s->cast_cnt % HOSTS,
        .type = type,
        .far = far,
        .opts = MCQ_SOCK_OPTS_INIT,
        .size = MCQ_SIZE_SMALL,
        .msgs_max = ANY_MSGS,
        .burst_max = 6,
        .batches = s->cast_cnt % 2 != 0,
        .temper = {.pause = 200,
                   .keep = 100,
                   .answer = 500,
                   .late = 1000,
                   .close = 5,
                   .part = s->cast_cnt == 0 ? 20 : 400,
                   .move = 20,
                   .filter = 2000},
    };
    s->cast_cnt++;
    c->opts.handshake_ms = 20;
    c->opts.linger_ms = 3;
    c->opts.reconnect_min_ms = 1;
    c->opts.reconnect_max_ms = 4;
    c->opts.connect_timeout_ms = 10;
    c->opts.send_hwm_msgs = 64;
    if (type == MCQ_REQ)
        c->opts.request_timeout_ms = 5;
    return c;
}

static void haunt_draw(struct mcq_scenario *s, const struct haunt *h)
{
    s->host_cnt = HOSTS;
    for (uint32_t i = 0; i < HOSTS; i++)
        s->opts[i] = (struct mcq_opts){.size = sizeof(s->opts[i]),
                                       .shards = 1,
                                       .idle = MCQ_IDLE_BLOCK,
                                       .ring = MCQ_RING_DEFER,
                                       .arena_bytes = ARENA,
                                       .large_bytes = 16 * ARENA,
                                       .connections_max = 48,
                                       .uring_features = i == 1 ? "6.1" : NULL,
                                       .no_signals = true,
                                       .no_mlock = true};
    snprintf(s->endpoints[0], sizeof(s->endpoints[0]), "tcp://127.0.0.1:20001");
    snprintf(s->endpoints[1], sizeof(s->endpoints[1]), "ipc:///sim/ghosts");
    s->endpoint_cnt = 2;
    struct mcq_cast *hub = cast_add(s, h->hub, h->spoke);
    hub->bind_cnt = 2;
    hub->binds[1] = 1;
    if (h->hub == MCQ_ROUTER)
        hub->opts.identity_policy = h->policy;
    for (uint32_t i = 0; i < SPOKES; i++) {
        struct mcq_cast *spoke = cast_add(s, h->spoke, h->hub);
        spoke->connects[spoke->connect_cnt++] = i % 2;
        if (h->spoke == MCQ_SUB || h->spoke == MCQ_XSUB)
            spoke->topics = 1u << i | 1u << (i + 3);
        if (h->hub == MCQ_ROUTER)
            spoke->identity_len = (uint32_t)snprintf(
                (char *)spoke->identity, sizeof(spoke->identity), "ghost-%u", h->twins ? i / 2 : i);
        spoke->twin = h->twins;
        spoke->surplus = h->twins && i == 1;
    }
}

/* --- running ------------------------------------------------------------------------------- */

static uint64_t told(enum mcq_event_kind kind)
{
    uint64_t sum = 0;
    for (enum mcq_reason r = MCQ_REASON_NONE; r <= MCQ_REASON_KILLED; r++)
        sum += mcq_world_told(kind, r);
    return sum;
}

/* What never happened was not tested; short runs may miss the rare ones. */
static bool haunted(const struct haunt *h, uint64_t steps)
{
    uint64_t replaced = mcq_world_told(MCQ_EVENT_DISCONNECTED, MCQ_REASON_REPLACED);
    uint64_t refused = mcq_world_told(MCQ_EVENT_REFUSED, MCQ_REASON_IDENTITY);
    uint64_t downs = told(MCQ_EVENT_DISCONNECTED);
    printf("%-22s %9llu steps, %llu connections up, %llu ended, %llu by replacement, %llu "
           "refused for their identity\n",
           h->name, (unsigned long long)steps, (unsigned long long)told(MCQ_EVENT_UP),
           (unsigned long long)downs, (unsigned long long)replaced, (unsigned long long)refused);
    if (steps < STEPS / 20)
        return true;
    if (h->hub == MCQ_ROUTER && (h->policy == MCQ_IDENTITY_REPLACE ? replaced : refused) == 0)
        return false;
    return downs != 0 && mcq_sim_seen()->cancels_late != 0 && mcq_sim_seen()->resets != 0;
}

static bool run(const struct haunt *h, uint64_t seed, uint64_t steps)
{
    struct mcq_world_result result;
    mcq_world_open(seed, &faults);
    haunt_draw(mcq_world_scenario(), h);
    mcq_world_start();
    while (mcq_world_steps() < steps)
        mcq_world_round();
    mcq_world_finish(&result);
    return haunted(h, result.steps);
}

int main(int argc, char **argv)
{
    uint64_t steps = argc > 1 ? strtoull(argv[1], NULL, 0) : STEPS;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    unsigned passed = 0, cnt = sizeof(haunts) / sizeof(haunts[0]);
    for (unsigned i = 0; i < cnt; i++)
        passed += run(&haunts[i], seed + i, steps / cnt);
    printf("%u passed, %u failed\n", passed, cnt - passed);
    return passed != cnt;
}
