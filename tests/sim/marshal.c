#include "tests/sim/marshal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/dice.h"
#include "tests/sim/tap.h"

#define ADDRS_CNT  16u /* 127.0.0.0 and up: who connects is among them */
#define RULES_MAX  6u
#define STATES_MAX 128u
#define ANYBODY    UINT32_MAX

struct rule {
    uint8_t first, bits; /* bits of 127.0.0.first that count */
    uint32_t shard;
};

/* What was asked for, from then on. */
struct state {
    uint64_t at_ns;
    enum mcq_steer_mode mode;
    uint32_t weights[MCQ_TEAM_SHARDS_MAX];
    uint32_t rule_cnt;
    struct rule rules[RULES_MAX];
};

/* One bind of a circuit's members, as long as any of them has it. */
static struct post {
    uint32_t epoch; /* of the group; 0: none yet */
    uint32_t generation;
    uint32_t state_cnt;
    struct state states[STATES_MAX];
    bool live[MCQ_TEAM_SHARDS_MAX], drained[MCQ_TEAM_SHARDS_MAX];
    uint64_t live_since_ns[MCQ_TEAM_SHARDS_MAX]; /* or not live */
} posts[MCQ_MANY_CIRCUITS_MAX];

void mcq_marshal_reset(void)
{
    memset(posts, 0, sizeof(posts));
}

static uint32_t shard_cnt(void)
{
    return mcq_many_team(MCQ_MANY_HOUSE)->cnt;
}

static bool steers(const struct mcq_mate *m)
{
    return m->part->member && mcq_many()->circuits[m->part->circuit].steered;
}

/* --- what is there ------------------------------------------------------------------------- */

static void begin(struct post *p, const struct mcq_circuit *c, uint32_t epoch)
{
    *p = (struct post){.epoch = epoch, .generation = UINT32_MAX, .state_cnt = 1};
    p->states[0].mode = c->steering.mode;
    for (uint32_t i = 0; i < MCQ_TEAM_SHARDS_MAX; i++) {
        p->states[0].weights[i] = 1;
        p->live_since_ns[i] = mcq_sim_now_ns();
    }
}

static void look_at(const struct mcq_mate *m)
{
    struct mcq_tap_steering now;
    struct post *p = &posts[m->part->circuit];
    if (!mcq_tap_steering(m->sock, &now))
        return;
    if (now.epoch > p->epoch)
        begin(p, &mcq_many()->circuits[m->part->circuit], now.epoch);
    if (now.epoch != p->epoch || now.generation == p->generation)
        return;
    p->generation = now.generation;
    for (uint32_t i = 0; i < shard_cnt(); i++) {
        if (now.live[i] != p->live[i])
            p->live_since_ns[i] = mcq_sim_now_ns();
        p->live[i] = now.live[i];
    }
}

void mcq_marshal_look(void)
{
    const struct mcq_many *many = mcq_many();
    for (uint32_t i = 0; i < many->part_cnt; i++) {
        const struct mcq_mate *m = mcq_mate_of(&many->parts[i]);
        if (m != NULL && m->state == MCQ_MATE_OPEN && steers(m))
            look_at(m);
    }
}

/* --- changes ------------------------------------------------------------------------------- */

static struct mcq_steer_rule rule_of(const struct rule *r)
{
    return (struct mcq_steer_rule){
        .family = 4, .bits = r->bits, .addr = {127, 0, 0, r->first}, .shard = r->shard};
}

static struct rule draw_rule(void)
{
    uint8_t bits = (uint8_t)(mcq_dice_percent(50) ? 32 : mcq_dice_between(28, 31));
    uint8_t mask = (uint8_t)(0xff << (32 - bits));
    return (struct rule){
        .first = (uint8_t)mcq_dice_below(ADDRS_CNT) & mask,
        .bits = bits,
        .shard = mcq_dice_below(shard_cnt()),
    };
}

/* Of the rules and of those alike, the one that is there. */
static struct rule *same(struct state *s, const struct rule *r)
{
    for (uint32_t i = 0; i < s->rule_cnt; i++)
        if (s->rules[i].first == r->first && s->rules[i].bits == r->bits)
            return &s->rules[i];
    return NULL;
}

static void put(struct state *s, const struct rule *r)
{
    struct rule *at = same(s, r);
    if (at == NULL)
        at = &s->rules[s->rule_cnt++];
    *at = *r;
}

static enum mcq_error add(struct mcq_steer *steer, struct state *s, struct mcq_detail *why)
{
    struct rule r = draw_rule();
    struct mcq_steer_rule rule = rule_of(&r);
    if (s->rule_cnt == RULES_MAX)
        return MCQ_OK;
    put(s, &r);
    return mcq_steer_add(steer, &rule, why);
}

static enum mcq_error drop(struct mcq_steer *steer, struct state *s, struct mcq_detail *why)
{
    if (s->rule_cnt == 0)
        return MCQ_OK;
    uint32_t i = mcq_dice_below(s->rule_cnt);
    struct mcq_steer_rule rule = rule_of(&s->rules[i]);
    s->rules[i] = s->rules[--s->rule_cnt];
    return mcq_steer_remove(steer, &rule, why);
}

static enum mcq_error set_mode(struct mcq_steer *steer, struct state *s, struct mcq_detail *why)
{
    static const enum mcq_steer_mode modes[] = {MCQ_STEER_HASH, MCQ_STEER_PORT, MCQ_STEER_LEAST,
                                                MCQ_STEER_WEIGHTS};
    s->mode = modes[mcq_dice_below(MCQ_CNT_OF(modes))];
    return mcq_steer_set_mode(steer, s->mode, why);
}

static enum mcq_error set_weights(struct mcq_steer *steer, struct state *s, struct mcq_detail *why)
{
    for (uint32_t i = 0; i < shard_cnt(); i++)
        s->weights[i] = mcq_dice_percent(30) ? 0 : mcq_dice_scaled(9);
    s->weights[mcq_dice_below(shard_cnt())] = 1;
    return mcq_steer_set_weights(steer, s->weights, shard_cnt(), why);
}

/* Two rules at once, by text. */
static enum mcq_error set_text(struct mcq_steer *steer, struct state *s, struct mcq_detail *why)
{
    char text[128];
    struct rule a = draw_rule(), b = draw_rule();
    if (s->rule_cnt + 2 > RULES_MAX)
        return MCQ_OK;
    put(s, &a);
    put(s, &b);
    s->mode = MCQ_STEER_PORT;
    snprintf(text, sizeof(text), "127.0.0.%u/%u=%u,mode=port,127.0.0.%u/%u=%u", a.first, a.bits,
             a.shard, b.first, b.bits, b.shard);
    return mcq_steer_set(steer, text, why);
}

static enum mcq_error drain(struct mcq_steer *steer, struct post *p, uint32_t shard, bool on,
                            struct mcq_detail *why)
{
    p->drained[shard] = on;
    enum mcq_error err = mcq_steer_drain(steer, shard, on, why);
    return err == MCQ_EAGAIN ? MCQ_OK : err; /* told again before rest */
}

static void change(struct mcq_mate *m, struct post *p, struct mcq_steer *steer)
{
    typedef enum mcq_error change_fn(struct mcq_steer * steer, struct state * s,
                                     struct mcq_detail * why);
    static change_fn *const changes[] = {add, add, add, drop, set_mode, set_weights, set_text};
    struct mcq_detail why = {.text = ""};
    enum mcq_error err;
    uint32_t shard = mcq_dice_below(shard_cnt());
    if (mcq_dice_percent(40)) {
        err = drain(steer, p, shard, mcq_dice_percent(60), &why);
        mcq_many_trace("%s: drains shard %u: %d", mcq_mate_name(m), shard, p->drained[shard]);
    } else if (p->state_cnt == STATES_MAX) {
        return;
    } else {
        uint32_t kind = mcq_dice_below(MCQ_CNT_OF(changes));
        struct state *s = &p->states[p->state_cnt];
        *s = p->states[p->state_cnt - 1];
        s->at_ns = mcq_sim_now_ns();
        err = changes[kind](steer, s, &why);
        p->state_cnt++;
        mcq_many_trace("%s: steers, %u: %u rules, mode %u", mcq_mate_name(m), kind, s->rule_cnt,
                       s->mode);
    }
    if (err != MCQ_OK)
        mcq_sim_fail("%s: steering: %s: %s", mcq_mate_name(m), mcq_error_name(err), why.text);
}

/* NULL: its bind isn't there, or about to end. */
static struct mcq_steer *take(struct mcq_mate *m)
{
    struct mcq_detail why = {.text = ""};
    struct mcq_steer *steer;
    const struct post *p = &posts[m->part->circuit];
    struct mcq_tap_steering now;
    look_at(m);
    if (!mcq_tap_steering(m->sock, &now) || now.epoch != p->epoch)
        return NULL;
    enum mcq_error err = mcq_steer_of(m->sock, NULL, &steer, &why);
    if (err == MCQ_ENOENT)
        return NULL;
    if (err != MCQ_OK)
        mcq_sim_fail("%s: mcq_steer_of: %s", mcq_mate_name(m), why.text);
    return steer;
}

static void unbind(struct mcq_mate *m)
{
    struct mcq_detail why = {.text = ""};
    if (m->bound == 0)
        return;
    enum mcq_error err = mcq_sock_unbind(m->sock, mcq_many()->endpoints[m->part->binds[0]], &why);
    mcq_many_trace("%s: unbinds: %s", mcq_mate_name(m), mcq_error_name(err));
    if (err != MCQ_OK && err != MCQ_ENOENT)
        mcq_sim_fail("%s: unbind: %s", mcq_mate_name(m), why.text);
}

void mcq_marshal_act(struct mcq_mate *m)
{
    if (!steers(m) || !mcq_dice_percent(15))
        return;
    struct mcq_steer *steer = take(m);
    if (steer == NULL)
        return;
    for (uint32_t n = mcq_dice_scaled(3); n != 0; n--)
        change(m, &posts[m->part->circuit], steer);
    mcq_steer_close(steer);
    if (mcq_dice_percent(8))
        unbind(m);
}

void mcq_marshal_relax(struct mcq_mate *m)
{
    struct post *p = &posts[m->part->circuit];
    struct mcq_detail why;
    bool any = false;
    for (uint32_t i = 0; i < shard_cnt(); i++)
        any = any || p->drained[i];
    if (!steers(m) || !any)
        return;
    struct mcq_steer *steer = take(m);
    for (uint32_t i = 0; i < shard_cnt() && steer != NULL; i++)
        if (p->drained[i] && drain(steer, p, i, false, &why) != MCQ_OK)
            mcq_sim_fail("%s: steering: %s", mcq_mate_name(m), why.text);
    if (steer != NULL)
        mcq_steer_close(steer);
}

/* --- what comes ---------------------------------------------------------------------------- */

/* The longest rule, or the mode. */
static uint32_t decide(const struct state *s, uint32_t addr, uint32_t port)
{
    const struct rule *best = NULL;
    for (uint32_t i = 0; i < s->rule_cnt; i++) {
        const struct rule *r = &s->rules[i];
        if ((addr ^ r->first) >> (32 - r->bits) == 0 && (best == NULL || r->bits > best->bits))
            best = r;
    }
    if (best != NULL)
        return best->shard;
    return s->mode == MCQ_STEER_PORT ? port % shard_cnt() : ANYBODY;
}

static bool steady(const struct post *p, uint32_t shard, bool live, uint64_t from_ns)
{
    return p->live[shard] == live && p->live_since_ns[shard] < from_ns;
}

/* Some shard could take it all the time. */
static bool any_steady(const struct post *p, uint64_t from_ns)
{
    for (uint32_t i = 0; i < shard_cnt(); i++)
        if (steady(p, i, true, from_ns))
            return true;
    return false;
}

static bool allows(const struct post *p, const struct state *s, uint32_t addr, uint32_t port,
                   uint32_t shard, uint64_t from_ns)
{
    uint32_t due = decide(s, addr, port);
    if (due != ANYBODY && steady(p, due, true, from_ns))
        return due == shard;
    return !steady(p, shard, false, from_ns) || !any_steady(p, from_ns);
}

void mcq_marshal_landed(const struct mcq_mate *m, struct mcq_peer peer, const char *endpoint)
{
    const struct post *p = &posts[m->part->circuit];
    struct mcq_tap_steering now;
    unsigned addr, port;
    bool known = steers(m) && mcq_tap_steering(m->sock, &now) && now.epoch == p->epoch;
    if (!known || sscanf(endpoint, "tcp://127.0.0.%u:%u", &addr, &port) != 2)
        return;
    uint64_t from_ns = mcq_tap_born_ns(m->sock, peer);
    for (uint32_t i = p->state_cnt; i-- > 0;) {
        if (allows(p, &p->states[i], addr, port, m->part->shard, from_ns))
            return;
        if (p->states[i].at_ns < from_ns)
            break; /* those before were over */
    }
    mcq_sim_fail("%s: %s, which began %lu ns ago, is steered to shard %u: no state since says so",
                 mcq_mate_name(m), endpoint, (unsigned long)(mcq_sim_now_ns() - from_ns),
                 decide(&p->states[p->state_cnt - 1], addr, port));
}

/* Nothing else could have ended it. */
static bool is_calm(const struct mcq_many *many, const struct mcq_circuit *c)
{
    const struct mcq_sim_seen *seen = mcq_sim_seen();
    return c->steered && c->calm && !c->ends && !c->cuts && many->blow_cnt == 0 &&
           seen->resets + seen->half_opens + seen->clock_steps == 0;
}

void mcq_marshal_lost(const struct mcq_mate *m, const struct mcq_event *ev)
{
    bool began = ev->os_errno != ECONNREFUSED && ev->os_errno != ETIMEDOUT;
    bool lost = ev->kind == MCQ_EVENT_DISCONNECTED || ev->kind == MCQ_EVENT_HANDSHAKE_FAILED ||
                ev->kind == MCQ_EVENT_REFUSED;
    if (lost && began && mcq_many_phase() < MCQ_PHASE_END &&
        is_calm(mcq_many(), &mcq_many()->circuits[m->part->circuit]))
        mcq_sim_fail("%s: %s, and nobody has ended it", mcq_mate_name(m), mcq_event_name(ev->kind));
}
