/* The fan-out against a model of it by brute force: peers subscribe, repeat themselves, cancel, go
 * with hundreds of subscriptions, come back on the same pipe while those are swept, run full under
 * each policy; after every step who holds which messages, what the user was told in which order,
 * and the counters must be the model's. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patterns/fanout.h"
#include "rig.h"

#define PEERS     12
#define TOPICS    364 /* all words over a, b, c of up to five letters */
#define QUEUE_MAX 64
#define GONE_MAX  64

struct sub {
    int topic;
    bool asked, real;
};

/* One connection's subscriptions, in the order in which they began. */
struct subscriber {
    uint64_t bits;
    int cnt;
    struct sub subs[TOPICS];
};

struct peer {
    struct rig_peer *p;
    uint32_t hwm;
    struct subscriber who;
    uint32_t queue[QUEUE_MAX];
    uint32_t queue_cnt;
};

struct model {
    struct rig *r;
    uint64_t seed;
    struct peer peers[PEERS];
    struct subscriber *gone[GONE_MAX];
    int gone_cnt;
    int members[TOPICS]; /* subscriptions, those not yet swept included */
    uint32_t msgs;
    uint64_t dropped, total;
    uint32_t writable_seen;
    bool waits;
    uint32_t partial_sweeps, takeovers, refusals;
    char told[RIG_TEXT_LEN];
};

static char names[TOPICS][8];

static void names_make(void)
{
    int cnt = 1;
    for (int from = 0; cnt < TOPICS; from++)
        for (char c = 'a'; c <= 'c'; c++, cnt++) {
            size_t len = strlen(names[from]);
            memcpy(names[cnt], names[from], sizeof names[cnt]);
            names[cnt][len] = c;
        }
}

static int below(struct model *m, int limit)
{
    return (int)(rig_random(&m->seed) % (uint64_t)limit);
}

static bool is_xpub(const struct model *m)
{
    return m->r->s.pattern->type == MCQ_XPUB;
}

static bool manual(const struct model *m)
{
    return m->r->opts.manual;
}

/* --- what the user must hear ----------------------------------------------------------------- */

static void expect_told(struct model *m, bool added, int topic, uint64_t bits)
{
    size_t len = strlen(m->told);
    snprintf(m->told + len, sizeof m->told - len, "%s%c%s@%" PRIu64, len == 0 ? "" : " ",
             added ? '+' : '-', names[topic], bits);
}

static void check_told(struct model *m)
{
    cr_assert_str_eq(rig_told(m->r), m->told);
    m->told[0] = '\0';
}

static bool hears_begin(const struct model *m, bool first, bool again)
{
    const struct mcq_psock_opts *o = &m->r->opts;
    return is_xpub(m) ? first || o->verbose || o->manual : !again;
}

static bool hears_end(const struct model *m, bool last)
{
    const struct mcq_psock_opts *o = &m->r->opts;
    return !is_xpub(m) || last || o->verboser || o->manual;
}

/* --- subscriptions --------------------------------------------------------------------------- */

static struct sub *find(struct subscriber *who, int topic)
{
    for (int i = 0; i < who->cnt; i++)
        if (who->subs[i].topic == topic)
            return &who->subs[i];
    return NULL;
}

static void sub_drop(struct model *m, struct subscriber *who, struct sub *sub)
{
    m->members[sub->topic]--;
    m->total--;
    memmove(sub, sub + 1, (size_t)(&who->subs[--who->cnt] - sub) * sizeof *sub);
}

static struct sub *sub_add(struct model *m, struct subscriber *who, int topic)
{
    m->members[topic]++;
    m->total++;
    who->subs[who->cnt] = (struct sub){.topic = topic};
    return &who->subs[who->cnt++];
}

static void peer_asks(struct model *m, struct peer *peer, bool add, int topic)
{
    struct subscriber *who = &peer->who;
    struct sub *sub = find(who, topic);
    bool again = sub != NULL && sub->asked;
    bool first = m->members[topic] == 0;
    m->takeovers += add && sub == NULL && !first && m->gone_cnt != 0;
    if (add) {
        if (sub == NULL)
            sub = sub_add(m, who, topic);
        sub->asked = true;
        sub->real = sub->real || !manual(m);
        if (hears_begin(m, first, again))
            expect_told(m, true, topic, who->bits);
    } else if (again) {
        sub->asked = false;
        sub->real = sub->real && manual(m);
        if (!sub->real)
            sub_drop(m, who, sub);
        if (hears_end(m, m->members[topic] == 0))
            expect_told(m, false, topic, who->bits);
    } else if (manual(m)) {
        expect_told(m, false, topic, who->bits);
    }
    cr_assert_eq(
        m->r->s.pattern->subscribed(&m->r->s, &peer->p->pipe, add, rig_slice(names[topic])),
        MCQ_REASON_NONE);
}

static void user_does(struct model *m, struct peer *peer, bool add, int topic)
{
    struct sub *sub = find(&peer->who, topic);
    enum mcq_error want = !add && (sub == NULL || !sub->real) ? MCQ_ENOENT : MCQ_OK;
    if (add) {
        if (sub == NULL)
            sub = sub_add(m, &peer->who, topic);
        sub->real = true;
    } else if (want == MCQ_OK) {
        sub->real = false;
        if (!sub->asked)
            sub_drop(m, &peer->who, sub);
    }
    cr_assert_eq(
        m->r->s.pattern->subscribe_peer(&m->r->s, &peer->p->pipe, add, rig_slice(names[topic])),
        want);
}

static void subscribe_many(struct model *m, struct peer *peer)
{
    for (int i = below(m, 200); i > 0; i--)
        peer_asks(m, peer, below(m, 8) != 0, below(m, TOPICS));
}

/* --- connections ----------------------------------------------------------------------------- */

static void goes(struct model *m, struct peer *peer)
{
    cr_assert_lt(m->gone_cnt, GONE_MAX);
    if (peer->who.cnt != 0) {
        m->gone[m->gone_cnt] = malloc(sizeof peer->who);
        *m->gone[m->gone_cnt++] = peer->who;
    }
    peer->who.cnt = 0;
}

static void comes(struct model *m, struct peer *peer)
{
    cr_assert_eq(rig_attach(peer->p, NULL), MCQ_REASON_NONE);
    peer->who.bits = m->r->next_bits;
}

static void is_new(struct model *m, struct peer *peer)
{
    static const uint32_t hwms[] = {1, 3, 10, QUEUE_MAX - 1};
    peer->hwm = hwms[below(m, 4)];
    peer->p = rig_peer_new(m->r, true, peer->hwm);
    peer->queue_cnt = 0;
}

static void connection_changes(struct model *m, struct peer *peer)
{
    bool up = peer->p->pipe.up;
    bool forever = below(m, 3) == 0;
    if (up)
        goes(m, peer);
    if (forever) {
        rig_peer_free(peer->p);
        is_new(m, peer);
    } else if (up) {
        rig_detach(peer->p);
    }
    if (!up || below(m, 2) == 0)
        comes(m, peer);
}

/* What the shard does once a turn. */
static void sweep(struct model *m)
{
    for (uint32_t i = 0; i < MCQ_FANOUT_SWEEP_MAX && m->gone_cnt != 0; i++) {
        struct subscriber *who = m->gone[0];
        struct sub sub = who->subs[0];
        sub_drop(m, who, &who->subs[0]);
        if (sub.asked && hears_end(m, m->members[sub.topic] == 0))
            expect_told(m, false, sub.topic, is_xpub(m) ? 0 : who->bits);
        if (who->cnt != 0)
            continue;
        free(who);
        memmove(&m->gone[0], &m->gone[1], (size_t)--m->gone_cnt * sizeof m->gone[0]);
    }
    m->partial_sweeps += m->gone_cnt != 0;
    cr_assert_eq(m->r->s.pattern->sweep(&m->r->s), m->gone_cnt != 0);
}

/* --- messages -------------------------------------------------------------------------------- */

static void text_make(uint32_t msg, char text[32])
{
    snprintf(text, 32, "%s%u", names[(msg * 2654435761u >> 8) % TOPICS], msg);
}

static bool wants(struct model *m, const struct peer *peer, const char *text)
{
    bool match = false;
    for (int i = 0; i < peer->who.cnt; i++) {
        const char *name = names[peer->who.subs[i].topic];
        match = match || (peer->who.subs[i].real && strncmp(text, name, strlen(name)) == 0);
    }
    return peer->p->pipe.up && match != m->r->opts.invert_matching;
}

static bool is_full(const struct peer *peer)
{
    return peer->queue_cnt >= peer->hwm;
}

static void queue_drop(struct model *m, struct peer *peer, uint32_t cnt)
{
    m->dropped += cnt;
    peer->queue_cnt -= cnt;
    memmove(peer->queue, peer->queue + cnt, peer->queue_cnt * sizeof peer->queue[0]);
}

static void gets(struct model *m, struct peer *peer, uint32_t msg)
{
    enum mcq_slow slow = m->r->opts.slow;
    if (slow == MCQ_SLOW_CONFLATE)
        queue_drop(m, peer, peer->queue_cnt);
    else if (slow == MCQ_SLOW_DROP_OLD && is_full(peer))
        queue_drop(m, peer, 1);
    if (is_full(peer))
        m->dropped++;
    else
        peer->queue[peer->queue_cnt++] = msg;
}

/* In the order in which it happened, which is the sweep's. */
static void check_closed(struct model *m, const bool *full)
{
    uint32_t cnt = 0;
    for (uint32_t k = 0; k < m->r->closed_cnt; k++)
        for (int i = 0; i < PEERS; i++)
            if (m->r->closed_pipes[k] == &m->peers[i].p->pipe) {
                cr_assert(full[i]);
                goes(m, &m->peers[i]);
            }
    for (int i = 0; i < PEERS; i++)
        cnt += full[i];
    cr_assert_eq(m->r->closed_cnt, m->r->opts.slow == MCQ_SLOW_DISCONNECT ? cnt : 0);
    m->r->closed_cnt = 0;
}

static bool anybody_full(struct model *m, const char *text)
{
    for (int i = 0; i < PEERS; i++)
        if (wants(m, &m->peers[i], text) && is_full(&m->peers[i]))
            return true;
    return false;
}

static void publish(struct model *m)
{
    char text[32];
    bool wanted[PEERS], full[PEERS];
    text_make(m->msgs, text);
    if (m->r->opts.slow == MCQ_SLOW_BLOCK && anybody_full(m, text)) {
        m->writable_seen = m->r->writable_cnt;
        m->waits = true;
        m->refusals++;
        cr_assert_eq(rig_send(m->r, NULL, text), MCQ_EAGAIN);
        return; /* the same is tried again */
    }
    for (int i = 0; i < PEERS; i++) {
        wanted[i] = wants(m, &m->peers[i], text);
        full[i] = wanted[i] && is_full(&m->peers[i]);
    }
    cr_assert_eq(rig_send(m->r, NULL, text), MCQ_OK);
    for (int i = 0; i < PEERS; i++)
        if (wanted[i])
            gets(m, &m->peers[i], m->msgs);
    check_closed(m, full);
    m->msgs++;
}

static void drain(struct model *m, struct peer *peer)
{
    (void)m;
    for (uint32_t i = 0; i < peer->queue_cnt; i++) {
        char text[32];
        text_make(peer->queue[i], text);
        const char *got = rig_got(peer->p);
        cr_assert(got != NULL && strcmp(got, text) == 0, "%s for %s", got, text);
    }
    cr_assert_null(rig_got(peer->p));
    peer->queue_cnt = 0;
}

/* --- the walk -------------------------------------------------------------------------------- */

static void step(struct model *m)
{
    struct peer *peer = &m->peers[below(m, PEERS)];
    int roll = below(m, 100);
    if (roll < 40)
        publish(m);
    else if (roll < 58)
        drain(m, peer);
    else if (roll < 64)
        connection_changes(m, peer);
    else if (roll < 72)
        sweep(m);
    else if (!peer->p->pipe.up)
        comes(m, peer);
    else if (roll < 76)
        subscribe_many(m, peer);
    else if (roll < 90 || !manual(m))
        peer_asks(m, peer, below(m, 3) != 0, below(m, TOPICS));
    else
        user_does(m, peer, below(m, 3) != 0, below(m, TOPICS));
}

/* Who was refused and could send now has been called, or is about to be. */
static void check_waiting(struct model *m)
{
    char text[32];
    text_make(m->msgs, text);
    if (m->waits && !anybody_full(m, text)) {
        cr_assert_gt(m->r->writable_cnt, m->writable_seen);
        m->waits = false;
    }
}

static void check(struct model *m)
{
    check_told(m);
    check_waiting(m);
    cr_assert_eq(m->r->stats.subs_now, m->total);
    cr_assert_eq(m->r->stats.drops_hwm + m->r->stats.drops_old + m->r->stats.conflated, m->dropped);
    for (int i = 0; i < PEERS; i++) {
        const struct peer *peer = &m->peers[i];
        cr_assert_eq(mcq_pipe_queued_msgs(&peer->p->pipe), peer->queue_cnt);
    }
}

static void walk(enum mcq_sock_type type, const struct mcq_psock_opts *opts, uint64_t seed)
{
    struct mcq_pattern_plan plan = {RIG_PEERS_MAX, 20000, 16, 4, 3};
    struct model *m = calloc(1, sizeof *m);
    names_make();
    m->r = rig_new_opts(type, &plan, opts);
    m->r->detach_on_close = true;
    m->seed = seed;
    for (int i = 0; i < PEERS; i++)
        is_new(m, &m->peers[i]);
    for (int i = 0; i < 6000; i++) {
        step(m);
        check(m);
    }
    cr_assert(m->partial_sweeps != 0 && m->takeovers != 0 && m->msgs > 50);
    cr_assert_eq(m->refusals != 0, opts->slow == MCQ_SLOW_BLOCK);
    rig_free(m->r);
    while (m->gone_cnt != 0)
        free(m->gone[--m->gone_cnt]);
    free(m);
}

static void walk_all_policies(enum mcq_sock_type type, struct mcq_psock_opts opts)
{
    static const enum mcq_slow policies[] = {MCQ_SLOW_BLOCK, MCQ_SLOW_DROP_NEW, MCQ_SLOW_DROP_OLD,
                                             MCQ_SLOW_CONFLATE, MCQ_SLOW_DISCONNECT};
    opts.subs_max = TOPICS;
    opts.subs_max_bytes = 1u << 20;
    opts.subs_sock_max = UINT32_MAX;
    opts.subs_sock_max_bytes = UINT32_MAX;
    for (size_t i = 0; i < MCQ_CNT_OF(policies); i++) {
        opts.slow = policies[i];
        walk(type, &opts, 11 + i);
    }
}

Test(fanout_model, pub)
{
    walk_all_policies(MCQ_PUB, (struct mcq_psock_opts){0});
}

Test(fanout_model, pub_with_invert_matching)
{
    walk_all_policies(MCQ_PUB, (struct mcq_psock_opts){.invert_matching = true});
}

Test(fanout_model, xpub)
{
    walk_all_policies(MCQ_XPUB, (struct mcq_psock_opts){0});
}

Test(fanout_model, xpub_verbose)
{
    walk_all_policies(MCQ_XPUB, (struct mcq_psock_opts){.verbose = true});
}

Test(fanout_model, xpub_verboser)
{
    walk_all_policies(MCQ_XPUB, (struct mcq_psock_opts){.verbose = true, .verboser = true});
}

Test(fanout_model, xpub_manual)
{
    walk_all_policies(MCQ_XPUB, (struct mcq_psock_opts){.manual = true});
}

Test(fanout_model, xpub_manual_with_invert_matching)
{
    walk_all_policies(MCQ_XPUB, (struct mcq_psock_opts){.manual = true, .invert_matching = true});
}
