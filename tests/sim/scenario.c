#include "tests/sim/scenario.h"

#include <stdio.h>
#include <string.h>

#include "patterns/pattern.h"
#include "tests/sim/dice.h"
#include "tests/sim/parcel.h"

#define MIB      (1u << 20)
#define MS       1000000ull
#define TCP_PORT 20001u

struct pair {
    enum mcq_sock_type hub, spoke;
};

static const struct pair pairs[] = {
    {MCQ_PAIR, MCQ_PAIR},     {MCQ_PUB, MCQ_SUB},       {MCQ_PUB, MCQ_XSUB},
    {MCQ_XPUB, MCQ_SUB},      {MCQ_XPUB, MCQ_XSUB},     {MCQ_REP, MCQ_REQ},
    {MCQ_REP, MCQ_DEALER},    {MCQ_ROUTER, MCQ_REQ},    {MCQ_ROUTER, MCQ_DEALER},
    {MCQ_DEALER, MCQ_DEALER}, {MCQ_ROUTER, MCQ_ROUTER}, {MCQ_PULL, MCQ_PUSH},
};

static const char *const features[] = {
    NULL,
    NULL,
    NULL,
    NULL,
    "6.1",
    "6.1",
    "-inc",
    "-mshot-limit",
    "-mshot-accept",
    "-hot",
    "-inc,-mshot-limit",
};

/* --- faults -------------------------------------------------------------------------------- */

/* Of its own, because the machine's numbers begin with the faults known. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint32_t below(uint64_t *state, uint32_t cnt)
{
    return (uint32_t)((next(state) >> 32) * cnt >> 32);
}

/* Mostly absent; else of any order of magnitude up to max. */
static uint32_t rate(uint64_t *state, uint32_t percent, uint32_t max)
{
    if (below(state, 100) >= percent)
        return 0;
    uint32_t bits = 32u - (uint32_t)__builtin_clz(max);
    uint32_t n = (uint32_t)(next(state) >> 32) >> (32u - 1u - below(state, bits));
    return n == 0 ? 1 : n > max ? max : n;
}

void mcq_scenario_faults(uint64_t seed, struct mcq_sim_faults *f)
{
    static const uint32_t buffers[] = {0, 0, 0, 64, 700, 4096, 9000, 20000, 262144};
    uint64_t s = seed ^ 0x6d6f6e6f636f71ull;
    *f = (struct mcq_sim_faults){.inline_done = below(&s, 10001)};
    f->socket_buffer_bytes = buffers[below(&s, sizeof(buffers) / sizeof(buffers[0]))];
    if (below(&s, 8) == 0)
        return;
    f->short_read = rate(&s, 50, 8000);
    f->short_write = rate(&s, 50, 8000);
    f->reset = rate(&s, 40, 100);
    f->half_open = rate(&s, 15, 60);
    f->delay = rate(&s, 50, 8000);
    f->delay_max_ns = (1 + below(&s, 20000)) * 1000ull;
    f->reorder = rate(&s, 50, 8000);
    f->enobufs = rate(&s, 30, 3000);
    f->cq_overflow = rate(&s, 30, 3000);
    f->shot_end = rate(&s, 40, 3000);
    f->emfile = rate(&s, 20, 3000);
    f->refused = rate(&s, 20, 3000);
    f->connect_lost = rate(&s, 20, 2000);
    f->cancel_late = rate(&s, 50, 8000);
    f->clock_step = rate(&s, 15, 30);
    f->clock_step_max_ns = (1 + below(&s, 200)) * MS;
}

/* --- the processes ------------------------------------------------------------------------- */

static void draw_host(struct mcq_scenario *s, uint32_t idx)
{
    struct mcq_opts *o = &s->opts[idx];
    bool sqpoll = mcq_dice_percent(20);
    *o = (struct mcq_opts){
        .size = sizeof(*o),
        .shards = 1,
        .idle = mcq_dice_percent(70)                 ? MCQ_IDLE_BLOCK
                : mcq_dice_percent(sqpoll ? 75 : 97) ? MCQ_IDLE_SPIN_BLOCK
                                                     : MCQ_IDLE_SPIN,
        .idle_spin_ns = mcq_dice_scaled(200000),
        .ring = sqpoll ? MCQ_RING_SQPOLL : MCQ_RING_DEFER,
        .sqpoll_idle_ms = mcq_dice_scaled(20),
        .arena_bytes = 2 * MIB,
        .large_bytes = 48 * MIB,
        .connections_max = 64,
        .uring_features = features[mcq_dice_below(sizeof(features) / sizeof(features[0]))],
        .no_signals = true,
        .no_mlock = true,
        .log_level = MCQ_LOG_ERROR,
    };
    if (mcq_dice_percent(8)) {
        o->connections_max = mcq_dice_between(3, 9);
        s->limited = true;
    }
    if (mcq_dice_percent(15))
        s->hogs[idx] = mcq_dice_percent(50) ? 16 : mcq_dice_between(8, 15);
    s->scarce = s->scarce || s->hogs[idx] != 0;
}

static void draw_blows(struct mcq_scenario *s)
{
    s->blow_cnt = mcq_dice_percent(50) ? 0 : mcq_dice_between(1, MCQ_SCENARIO_BLOWS_MAX);
    for (uint32_t i = 0; i < s->blow_cnt; i++) {
        struct mcq_blow *b = &s->blows[i];
        b->host = mcq_dice_below(s->host_cnt);
        b->kill = mcq_dice_percent(60);
        b->at_ns = mcq_dice_below((uint32_t)s->active_ns);
        b->for_ns = mcq_dice_scaled(b->kill ? 200000000 : 60000000);
    }
}

/* --- options of a socket ------------------------------------------------------------------- */

static bool publishes(enum mcq_sock_type type)
{
    return type == MCQ_PUB || type == MCQ_XPUB;
}

static bool subscribes(enum mcq_sock_type type)
{
    return type == MCQ_SUB || type == MCQ_XSUB;
}

static void draw_queues(struct mcq_cast *c, bool crawls)
{
    struct mcq_sock_opts *o = &c->opts;
    if (mcq_dice_percent(50))
        o->send_hwm_msgs = mcq_dice_scaled(32);
    else if (mcq_dice_percent(10))
        o->send_hwm_msgs = MCQ_UNLIMITED;
    if (mcq_dice_percent(30))
        o->send_hwm_bytes = mcq_dice_scaled(200000);
    /* Who takes a byte at a time is too slow for large messages: heartbeats would end him. */
    if (mcq_dice_percent(40))
        o->recv_hwm_bytes = crawls ? mcq_dice_scaled(2000) : mcq_dice_between(2000, 100000);
    if (mcq_dice_percent(30))
        o->recv_hwm_msgs = mcq_dice_scaled(40);
    if (c->type != MCQ_REQ && c->type != MCQ_SUB && c->type != MCQ_PULL && mcq_dice_percent(40))
        o->slow = (enum mcq_slow)mcq_dice_between(
            c->type == MCQ_REP ? MCQ_SLOW_DROP_NEW : MCQ_SLOW_BLOCK, MCQ_SLOW_DISCONNECT);
    o->immediate = mcq_dice_percent(20);
}

static void draw_times(struct mcq_cast *c)
{
    struct mcq_sock_opts *o = &c->opts;
    o->handshake_ms = mcq_dice_percent(30) ? mcq_dice_between(3, 100) : 1000;
    o->linger_ms = mcq_dice_percent(20)   ? MCQ_NONE
                   : mcq_dice_percent(50) ? 1000
                                          : mcq_dice_scaled(1000);
    o->reconnect_min_ms = mcq_dice_scaled(20);
    o->reconnect_max_ms = o->reconnect_min_ms + mcq_dice_scaled(60);
    o->connect_timeout_ms = mcq_dice_between(2, 100);
    if (mcq_dice_percent(30))
        o->heartbeat_ms = mcq_dice_between(2, 50);
    if (o->heartbeat_ms != 0 && mcq_dice_percent(50))
        o->heartbeat_timeout_ms = mcq_dice_between(2, 50);
    if (o->heartbeat_ms != 0 && mcq_dice_percent(50))
        o->heartbeat_ttl_ms = 100 * mcq_dice_between(1, 3);
    if (mcq_dice_percent(30))
        o->notsent_lowat_bytes = mcq_dice_scaled(100000);
    if (mcq_dice_percent(10))
        o->backlog = mcq_dice_between(1, 4);
}

static void draw_request(const struct mcq_scenario *s, struct mcq_cast *c)
{
    struct mcq_sock_opts *o = &c->opts;
    if (c->type != MCQ_REQ)
        return;
    if (s->scarce || mcq_dice_percent(50))
        o->request_timeout_ms = mcq_dice_between(2, 200);
    o->req_correlate = mcq_dice_percent(30);
    o->req_relaxed = mcq_dice_percent(30);
}

static void draw_publisher(struct mcq_cast *c)
{
    struct mcq_sock_opts *o = &c->opts;
    if (publishes(c->type)) {
        o->invert_matching = mcq_dice_percent(10);
        c->welcome = mcq_dice_percent(20);
    }
    if (c->type == MCQ_XPUB) {
        o->verbose = mcq_dice_percent(20);
        o->verboser = mcq_dice_percent(20);
        o->manual = mcq_dice_percent(20);
    }
}

static void draw_opts(struct mcq_scenario *s, struct mcq_cast *c, bool crawls)
{
    struct mcq_sock_opts *o = &c->opts;
    *o = (struct mcq_sock_opts)MCQ_SOCK_OPTS_INIT;
    draw_queues(c, crawls);
    draw_times(c);
    draw_request(s, c);
    draw_publisher(c);
    if (c->type == MCQ_ROUTER) {
        o->router_mandatory = mcq_dice_percent(40);
        o->identity_policy = mcq_dice_percent(50) ? MCQ_IDENTITY_REPLACE : MCQ_IDENTITY_REJECT;
    }
    bool probes = c->type == MCQ_ROUTER || c->type == MCQ_DEALER || c->type == MCQ_REQ;
    o->probe = probes && (c->far == MCQ_ROUTER || c->far == MCQ_DEALER) && mcq_dice_percent(15);
}

/* --- how it behaves ------------------------------------------------------------------------ */

static uint32_t sometimes(uint32_t percent, uint32_t max)
{
    return mcq_dice_percent(percent) ? mcq_dice_scaled(max) : 0;
}

static void draw_temper(struct mcq_cast *c, bool crawls)
{
    c->temper = (struct mcq_temper){
        .pause = sometimes(40, 3000),
        .keep = sometimes(40, 2000),
        .answer = sometimes(60, 8000),
        .late = sometimes(40, 8000),
        .close = sometimes(20, 100),
        .part = sometimes(30, 200),
        .move = sometimes(30, 200),
        .filter = sometimes(60, 2000),
        .foreign = sometimes(40, 5000),
    };
    static const enum mcq_size sizes[] = {MCQ_SIZE_TINY,  MCQ_SIZE_SMALL, MCQ_SIZE_SMALL,
                                          MCQ_SIZE_SMALL, MCQ_SIZE_MIXED, MCQ_SIZE_MIXED,
                                          MCQ_SIZE_MIXED, MCQ_SIZE_LARGE};
    c->size = crawls ? MCQ_SIZE_TINY : sizes[mcq_dice_below(8)];
    if (c->size == MCQ_SIZE_LARGE && c->opts.send_hwm_bytes == 0)
        c->opts.send_hwm_bytes = mcq_dice_between(1, 2) * MIB;
    c->batches = mcq_dice_percent(50);
    c->msgs_max = mcq_dice_between(10, c->size == MCQ_SIZE_LARGE ? 60 : 400);
    c->burst_max = mcq_dice_scaled(48);
    c->topics = subscribes(c->type) ? mcq_dice_below(1u << MCQ_PARCEL_TOPICS) &
                                          mcq_dice_below(1u << MCQ_PARCEL_TOPICS)
                                    : 0;
    if (subscribes(c->type) && mcq_dice_percent(30))
        c->topics |= 1;
}

/* --- who meets whom ------------------------------------------------------------------------ */

struct circuit {
    uint32_t first; /* cast */
    bool crawls;    /* byte by byte */
    uint32_t host;  /* all are there, and inproc is for them; HOSTS_MAX: anywhere */
};

static struct mcq_cast *cast_add(struct mcq_scenario *s, const struct circuit *circuit,
                                 enum mcq_sock_type type, enum mcq_sock_type far)
{
    struct mcq_cast *c = &s->casts[s->cast_cnt];
    *c = (struct mcq_cast){.idx = s->cast_cnt++,
                           .host = circuit->host < s->host_cnt ? circuit->host
                                                               : mcq_dice_below(s->host_cnt),
                           .circuit = circuit->first,
                           .type = type,
                           .far = far};
    draw_opts(s, c, circuit->crawls);
    draw_temper(c, circuit->crawls);
    return c;
}

static uint32_t endpoint_add(struct mcq_scenario *s, bool inproc)
{
    uint32_t idx = s->endpoint_cnt++;
    char *text = s->endpoints[idx];
    size_t len = sizeof(s->endpoints[0]);
    if (inproc && mcq_dice_percent(70)) {
        snprintf(text, len, "inproc://ep-%u", idx);
        return idx;
    }
    switch (mcq_dice_below(6)) {
    case 0:
        snprintf(text, len, "ipc:///sim/ep-%u", idx);
        break;
    case 1:
        snprintf(text, len, "ipc://@sim-%u", idx);
        break;
    case 2:
        snprintf(text, len, "tcp://[::1]:%u", TCP_PORT + idx);
        break;
    default:
        snprintf(text, len, "tcp://127.0.0.1:%u", TCP_PORT + idx);
    }
    return idx;
}

static void draw_identity(const struct mcq_scenario *s, struct mcq_cast *c, uint32_t circuit)
{
    bool may = c->type == MCQ_REQ || c->type == MCQ_DEALER || c->type == MCQ_ROUTER;
    if (!may || c->far != MCQ_ROUTER || !mcq_dice_percent(60))
        return;
    /* Two of one name: one of them, at most, is up. */
    bool twin = mcq_dice_percent(15);
    for (uint32_t i = circuit; i < c->idx && twin; i++)
        c->surplus = c->surplus || s->casts[i].twin;
    c->twin = twin;
    c->identity_len = (uint32_t)snprintf((char *)c->identity, sizeof(c->identity), "id-%u-%u",
                                         circuit, twin ? 99 : c->idx);
}

/* A hub binds, or all its spokes do. */
static void circuit_add(struct mcq_scenario *s, const struct pair *pair)
{
    const struct circuit circuit = {
        .first = s->cast_cnt,
        .crawls = mcq_dice_percent(8),
        .host = mcq_dice_percent(15) ? mcq_dice_below(s->host_cnt) : MCQ_SCENARIO_HOSTS_MAX,
    };
    bool swapped = mcq_dice_percent(50);
    enum mcq_sock_type hub_type = swapped ? pair->spoke : pair->hub;
    enum mcq_sock_type spoke_type = swapped ? pair->hub : pair->spoke;
    bool one = hub_type == MCQ_PAIR;
    uint32_t hub_cnt = !one && mcq_dice_percent(25) ? 2 : 1;
    uint32_t first = s->endpoint_cnt;
    for (uint32_t i = 0; i < hub_cnt; i++) {
        struct mcq_cast *hub = cast_add(s, &circuit, hub_type, spoke_type);
        hub->bind_cnt = mcq_dice_percent(25) ? 2 : 1;
        for (uint32_t k = 0; k < hub->bind_cnt; k++)
            hub->binds[k] = endpoint_add(s, circuit.host < s->host_cnt);
    }
    uint32_t spoke_cnt = one ? mcq_dice_between(1, 2) : mcq_dice_between(1, 4);
    for (uint32_t i = 0; i < spoke_cnt; i++) {
        struct mcq_cast *spoke = cast_add(s, &circuit, spoke_type, hub_type);
        draw_identity(s, spoke, circuit.first);
        spoke->surplus = spoke->surplus || (one && i != 0);
        spoke->connects[spoke->connect_cnt++] = first + mcq_dice_below(s->endpoint_cnt - first);
        uint32_t other = first + mcq_dice_below(s->endpoint_cnt - first);
        /* Two connections of one name to one ROUTER would be one too many. */
        bool may = !one && spoke->identity_len == 0;
        if (may && other != spoke->connects[0] && mcq_dice_percent(40))
            spoke->connects[spoke->connect_cnt++] = other;
    }
}

static const struct pair *draw_pair(void)
{
    for (;;) {
        const struct pair *p = &pairs[mcq_dice_below(sizeof(pairs) / sizeof(pairs[0]))];
        if (mcq_pattern_of(p->hub) != NULL && mcq_pattern_of(p->spoke) != NULL)
            return p;
    }
}

void mcq_scenario_draw(struct mcq_scenario *s)
{
    s->host_cnt = mcq_dice_between(2, MCQ_SCENARIO_HOSTS_MAX);
    s->active_ns = mcq_dice_between(20, 400) * MS;
    for (uint32_t i = 0; i < s->host_cnt; i++)
        draw_host(s, i);
    uint32_t circuits = mcq_dice_between(1, 3);
    for (uint32_t i = 0; i < circuits; i++)
        circuit_add(s, draw_pair());
    draw_blows(s);
}
