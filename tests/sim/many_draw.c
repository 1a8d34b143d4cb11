/* What a seed with several shards stands for. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/dice.h"
#include "tests/sim/many.h"
#include "tests/sim/mate.h"
#include "tests/sim/outside.h"

#define MIB   (1u << 20)
#define MS    1000000ull
#define PORT0 21001u

struct pair {
    enum mcq_sock_type hub, spoke;
};

/* Of a logical socket and those it meets. */
static const struct pair logical_pairs[] = {
    {MCQ_ROUTER, MCQ_DEALER}, {MCQ_ROUTER, MCQ_DEALER}, {MCQ_ROUTER, MCQ_DEALER},
    {MCQ_PUB, MCQ_SUB},       {MCQ_XPUB, MCQ_SUB},      {MCQ_PUSH, MCQ_PULL},
    {MCQ_DEALER, MCQ_DEALER}, {MCQ_PULL, MCQ_PUSH},     {MCQ_SUB, MCQ_PUB},
    {MCQ_REP, MCQ_REQ},
};

/* By inproc. */
static const struct pair inproc_pairs[] = {
    {MCQ_PAIR, MCQ_PAIR},     {MCQ_PUSH, MCQ_PULL}, {MCQ_DEALER, MCQ_DEALER},
    {MCQ_ROUTER, MCQ_DEALER}, {MCQ_PUB, MCQ_SUB},   {MCQ_REP, MCQ_REQ},
};

/* --- processes ----------------------------------------------------------------------------- */

static void draw_opts(struct mcq_many *m, uint32_t team)
{
    static const char *const features[] = {NULL, NULL, NULL, NULL, "6.1", "-inc", "-mshot-limit"};
    struct mcq_opts *o = &m->opts[team];
    bool sqpoll = mcq_dice_percent(25);
    *o = (struct mcq_opts){
        .size = sizeof(*o),
        .shards = mcq_many_team(team)->cnt,
        .idle = mcq_dice_percent(80)                 ? MCQ_IDLE_BLOCK
                : mcq_dice_percent(sqpoll ? 88 : 95) ? MCQ_IDLE_SPIN_BLOCK
                                                     : MCQ_IDLE_SPIN,
        .idle_spin_ns = mcq_dice_scaled(200000),
        .ring = sqpoll ? MCQ_RING_SQPOLL : MCQ_RING_DEFER,
        .sqpoll_idle_ms = mcq_dice_scaled(20),
        .arena_bytes = 2 * MIB,
        .large_bytes = 24 * MIB,
        .connections_max = 64,
        .uring_features = features[mcq_dice_below(MCQ_CNT_OF(features))],
        .no_signals = true,
        .no_mlock = true,
        .log_level = MCQ_LOG_ERROR,
    };
}

static uint32_t draw_shards(void)
{
    uint32_t kind = mcq_dice_below(10);
    return kind < 4 ? 2 : kind < 8 ? mcq_dice_between(2, 5) : mcq_dice_between(6, 16);
}

static void draw_teams(struct mcq_many *m, uint32_t shards)
{
    uint32_t first = 0;
    m->team_cnt = mcq_dice_between(2, MCQ_MANY_TEAMS_MAX);
    for (uint32_t i = 0; i < m->team_cnt; i++) {
        struct mcq_team *t = mcq_many_team(i);
        t->idx = i;
        t->first = first;
        t->cnt = i != MCQ_MANY_HOUSE ? 1 : shards != 0 ? shards : draw_shards();
        first += t->cnt;
        draw_opts(m, i);
        m->embedded[i] = mcq_dice_percent(25);
    }
    m->ring_len_max = mcq_dice_percent(75) ? (size_t)4096 << mcq_dice_below(2) : 0;
    m->ring_start = mcq_dice_percent(30) ? UINT64_MAX - 8 * mcq_dice_below(4096) - 7 : 0;
    m->post_burst = mcq_dice_percent(70) ? mcq_dice_scaled(250) : 0;
    m->hold = mcq_dice_percent(60) ? mcq_dice_scaled(3000) : 0;
    m->visitor_cnt = mcq_dice_percent(50) ? 0 : mcq_dice_between(1, MCQ_OUTSIDE_MAX);
    if (mcq_dice_percent(50))
        m->faults.wake_max_ns = mcq_dice_scaled(300000);
}

static void draw_blows(struct mcq_many *m)
{
    m->blow_cnt = mcq_dice_percent(60) ? 0 : mcq_dice_between(1, MCQ_MANY_BLOWS_MAX);
    for (uint32_t i = 0; i < m->blow_cnt; i++) {
        struct mcq_many_blow *b = &m->blows[i];
        b->team = mcq_dice_percent(60) ? MCQ_MANY_HOUSE : mcq_dice_below(m->team_cnt);
        b->shard = mcq_dice_below(mcq_many_team(b->team)->cnt);
        b->kind = mcq_dice_percent(50)   ? MCQ_BLOW_STILL
                  : mcq_dice_percent(50) ? MCQ_BLOW_KILL
                                         : MCQ_BLOW_STOP;
        b->at_ns = mcq_dice_below((uint32_t)m->active_ns);
        b->for_ns = mcq_dice_scaled(b->kind == MCQ_BLOW_STILL ? 30000000 : 100000000);
    }
}

/* --- parts --------------------------------------------------------------------------------- */

static uint32_t sometimes(uint32_t percent, uint32_t max)
{
    return mcq_dice_percent(percent) ? mcq_dice_scaled(max) : 0;
}

/* calm: nothing that ends a connection or a socket. */
static void draw_manner(struct mcq_part *p, bool calm)
{
    p->manner = (struct mcq_manner){
        .pause = sometimes(40, 3000),
        .keep = sometimes(40, 2000),
        .answer = sometimes(60, 5000),
        .foreign = sometimes(40, 5000),
        .part = calm ? 0 : sometimes(40, 150),
        .move = sometimes(60, 2000),
        .close = calm ? 0 : sometimes(20, 60),
        .filter = sometimes(60, 2000),
    };
    p->msgs_max = mcq_dice_between(10, 300);
    p->burst_max = mcq_dice_scaled(60);
    p->batches = mcq_dice_percent(50);
}

/* What all of one side of a circuit have in common. */
static struct mcq_sock_opts draw_sock_opts(enum mcq_sock_type type)
{
    struct mcq_sock_opts o = MCQ_SOCK_OPTS_INIT;
    if (mcq_dice_percent(50))
        o.send_hwm_msgs = mcq_dice_scaled(64);
    if (mcq_dice_percent(25))
        o.send_hwm_bytes = mcq_dice_scaled(200000);
    if (mcq_dice_percent(30))
        o.recv_hwm_msgs = mcq_dice_scaled(40);
    if (mcq_dice_percent(30))
        o.recv_hwm_bytes = mcq_dice_between(2000, 100000);
    bool sheds = type == MCQ_ROUTER || type == MCQ_PUB || type == MCQ_XPUB || type == MCQ_PUSH ||
                 type == MCQ_DEALER;
    if (sheds && mcq_dice_percent(25))
        o.slow = (enum mcq_slow)mcq_dice_between(MCQ_SLOW_BLOCK, MCQ_SLOW_DISCONNECT);
    o.handshake_ms = 1000;
    o.linger_ms = 1000;
    o.reconnect_min_ms = mcq_dice_scaled(10);
    o.reconnect_max_ms = o.reconnect_min_ms + mcq_dice_scaled(40);
    o.connect_timeout_ms = mcq_dice_between(5, 100);
    if (type == MCQ_ROUTER) {
        o.router_mandatory = mcq_dice_percent(40);
        o.identity_policy = mcq_dice_percent(50) ? MCQ_IDENTITY_REPLACE : MCQ_IDENTITY_REJECT;
    }
    if (type == MCQ_REQ)
        o.request_timeout_ms = mcq_dice_between(20, 200);
    return o;
}

static struct mcq_part *part_add(struct mcq_many *m, uint32_t circuit, uint32_t team,
                                 uint32_t shard, const struct pair *pair, bool hub,
                                 const struct mcq_sock_opts *opts)
{
    struct mcq_part *p = &m->parts[m->part_cnt];
    *p = (struct mcq_part){.idx = m->part_cnt++,
                           .circuit = circuit,
                           .team = team,
                           .shard = shard,
                           .type = hub ? pair->hub : pair->spoke,
                           .far = hub ? pair->spoke : pair->hub,
                           .opts = *opts};
    static const uint32_t lens[] = {40, 400, 5000, 70000, 300000};
    p->len_max = lens[mcq_dice_below(MCQ_CNT_OF(lens))];
    p->topics = mcq_dice_below(1u << MCQ_MATE_TOPICS);
    return p;
}

static uint32_t endpoint_add(struct mcq_many *m, bool inproc)
{
    uint32_t idx = m->endpoint_cnt++;
    char *text = m->endpoints[idx];
    size_t len = sizeof(m->endpoints[0]);
    if (inproc)
        snprintf(text, len, "inproc://many-%u", idx);
    else if (mcq_dice_percent(30))
        snprintf(text, len, "ipc:///sim/many-%u", idx);
    else
        snprintf(text, len, "tcp://127.0.0.1:%u", PORT0 + idx);
    return idx;
}

/* The same, from an address of one's own. */
static uint32_t endpoint_from(struct mcq_many *m, uint32_t host, uint32_t to)
{
    uint32_t idx = m->endpoint_cnt++;
    char address[40];
    memcpy(address, m->endpoints[to] + strlen("tcp://"), sizeof(address) - strlen("tcp://"));
    snprintf(m->endpoints[idx], sizeof(m->endpoints[0]), "tcp://127.0.0.%u:0;%.20s", host & 15,
             address);
    return idx;
}

static void draw_identity(struct mcq_part *p, uint32_t circuit, uint32_t number, bool twin)
{
    if (p->far != MCQ_ROUTER)
        return;
    p->identity_len = (uint32_t)snprintf(p->identity, sizeof(p->identity), "id-%u-%u", circuit,
                                         twin ? 99 : number);
}

/* What needs no program in the kernel. */
static void draw_steering(struct mcq_circuit *c)
{
    static const enum mcq_steer_mode modes[] = {MCQ_STEER_HASH, MCQ_STEER_PORT, MCQ_STEER_LEAST};
    c->steering = (struct mcq_steer_opts)MCQ_STEER_OPTS_INIT;
    c->steering.mode = modes[mcq_dice_below(MCQ_CNT_OF(modes))];
    c->steering.rung = mcq_dice_percent(50) ? MCQ_STEER_RUNG_KERNEL : MCQ_STEER_RUNG_HANDOFF;
}

/* Members on all shards or some of them, and who meets them. */
static void add_logical(struct mcq_many *m, uint32_t idx)
{
    struct mcq_circuit *c = &m->circuits[idx];
    const struct mcq_team *house = mcq_many_team(MCQ_MANY_HOUSE);
    const struct pair *pair = &logical_pairs[mcq_dice_below(MCQ_CNT_OF(logical_pairs))];
    const struct mcq_sock_opts hub_opts = draw_sock_opts(pair->hub);
    const struct mcq_sock_opts spoke_opts = draw_sock_opts(pair->spoke);
    uint32_t ends[MCQ_TEAM_SHARDS_MAX], end_cnt = 0;
    bool calm = mcq_dice_percent(40);
    snprintf(c->logical, sizeof(c->logical), "many-%u", idx);
    c->cuts = hub_opts.slow > MCQ_SLOW_BLOCK || spoke_opts.slow > MCQ_SLOW_BLOCK;
    bool joins = mcq_dice_percent(60);
    draw_steering(c);
    c->calm = calm;
    c->moves = mcq_dice_percent(70);
    uint32_t missing = mcq_dice_percent(30) ? mcq_dice_below(50) : 0; /* percent of the shards */
    enum mcq_placement placement =
        mcq_dice_percent(60)
            ? MCQ_PLACEMENT_NONE
            : (enum mcq_placement)mcq_dice_between(MCQ_PLACEMENT_LEAST, MCQ_PLACEMENT_HANDLER);
    for (uint32_t s = 0; s < house->cnt; s++) {
        if (s != 0 && mcq_dice_percent(missing))
            continue;
        struct mcq_part *p = part_add(m, idx, MCQ_MANY_HOUSE, s, pair, true, &hub_opts);
        p->member = true;
        draw_manner(p, calm);
        p->opts.steering = &c->steering;
        p->opts.placement = placement;
        if (!joins || end_cnt == 0)
            ends[end_cnt++] = endpoint_add(m, false);
        p->binds[p->bind_cnt++] = ends[end_cnt - 1];
    }
    c->steered = joins && placement == MCQ_PLACEMENT_NONE && mcq_dice_percent(85) &&
                 strncmp(m->endpoints[ends[0]], "tcp", 3) == 0;
    uint32_t spokes = mcq_dice_between(1, 6);
    bool twins = mcq_dice_percent(30);
    for (uint32_t i = 0; i < spokes; i++) {
        uint32_t team =
            mcq_dice_percent(15) ? MCQ_MANY_HOUSE : mcq_dice_between(1, m->team_cnt - 1);
        struct mcq_part *p = part_add(m, idx, team, mcq_dice_below(mcq_many_team(team)->cnt), pair,
                                      false, &spoke_opts);
        draw_manner(p, calm);
        bool twin = twins && i < 2;
        if (mcq_dice_percent(80) || twin)
            draw_identity(p, idx, i, twin);
        p->surplus = twin && i == 1 && p->identity_len != 0;
        p->connects[p->connect_cnt++] =
            c->steered ? endpoint_from(m, i + 2, ends[0]) : ends[mcq_dice_below(end_cnt)];
        c->calm = c->calm && !twin;
        uint32_t other = ends[mcq_dice_below(end_cnt)];
        if (!c->steered && p->identity_len == 0 && other != p->connects[0] && mcq_dice_percent(30))
            p->connects[p->connect_cnt++] = other;
    }
}

/* One socket on a shard, and some on others, within the house. */
static void add_inproc(struct mcq_many *m, uint32_t idx)
{
    struct mcq_circuit *c = &m->circuits[idx];
    const struct mcq_team *house = mcq_many_team(MCQ_MANY_HOUSE);
    const struct pair *pair = &inproc_pairs[mcq_dice_below(MCQ_CNT_OF(inproc_pairs))];
    const struct mcq_sock_opts hub_opts = draw_sock_opts(pair->hub);
    const struct mcq_sock_opts spoke_opts = draw_sock_opts(pair->spoke);
    bool calm = mcq_dice_percent(40);
    c->across = true;
    c->cuts = hub_opts.slow > MCQ_SLOW_BLOCK || spoke_opts.slow > MCQ_SLOW_BLOCK;
    struct mcq_part *hub =
        part_add(m, idx, MCQ_MANY_HOUSE, mcq_dice_below(house->cnt), pair, true, &hub_opts);
    draw_manner(hub, calm);
    hub->binds[hub->bind_cnt++] = endpoint_add(m, true);
    uint32_t spokes = pair->hub == MCQ_PAIR ? 1 : mcq_dice_between(1, 4);
    for (uint32_t i = 0; i < spokes; i++) {
        uint32_t shard = mcq_dice_below(house->cnt);
        struct mcq_part *p = part_add(m, idx, MCQ_MANY_HOUSE, shard, pair, false, &spoke_opts);
        draw_manner(p, calm);
        draw_identity(p, idx, i, false);
        p->connects[p->connect_cnt++] = hub->binds[0];
    }
}

void mcq_many_draw(struct mcq_many *m, uint32_t shards)
{
    draw_teams(m, shards);
    m->active_ns = mcq_dice_between(10, 120) * MS;
    m->circuit_cnt = mcq_dice_between(1, 3);
    for (uint32_t i = 0; i < m->circuit_cnt; i++) {
        if (mcq_dice_percent(75))
            add_logical(m, i);
        else
            add_inproc(m, i);
    }
    draw_blows(m);
}
