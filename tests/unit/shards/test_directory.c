/* The protocol of identities, over channels of this test's: whoever is granted an identity has it
 * alone, all shards agree in the end, and nothing is left behind, whatever overtakes what. */
#include "shards/directory.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS_MAX 8u
#define PEERS_MAX  64u
#define NAMES      12u
#define LIFE       7u
#define CHANNEL    6u /* messages on their way between two shards */

/* One connection: claims an identity, and delivers from its grant until its end. */
struct peer {
    struct world *w;
    uint32_t shard, name;
    struct mcq_claim *claim; /* NULL: none */
    struct mcq_peer peer;
    bool delivers, revoked;
};

struct channel {
    struct mcq_directory_msg msgs[CHANNEL];
    size_t lens[CHANNEL];
    uint32_t head, cnt;
};

struct node {
    struct world *w;
    struct mcq_arena arena;
    struct mcq_directory d;
    uint64_t gone;
};

struct world {
    uint32_t cnt;
    uint32_t room; /* in each channel */
    uint64_t seed, epoch;
    struct node nodes[SHARDS_MAX];
    struct channel channels[SHARDS_MAX][SHARDS_MAX];
    struct peer peers[PEERS_MAX];
    uint32_t deliverers[2 * NAMES];
    uint64_t granted, refused, revoked, moved;
    enum mcq_reason reason; /* of the last refusal */
};

static uint32_t dice(struct world *w, uint32_t n)
{
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((w->seed >> 33) % n);
}

/* Every other one is too long for a claim to hold itself. */
static struct mcq_slice identity(uint32_t name)
{
    static uint8_t text[MCQ_IDENTITY_LEN_MAX];
    size_t len = name % 2 == 0 ? 5 : 5 + MCQ_DIRECTORY_INLINE_MAX + name;
    memset(text, 'a', sizeof(text));
    snprintf((char *)text, sizeof(text), "p%03u", name);
    return mcq_slice_of(text, len);
}

static bool send(void *ctx, uint32_t to, const struct mcq_directory_msg *msg, size_t len)
{
    struct node *n = ctx;
    struct channel *c = &n->w->channels[n->d.id][to];
    if (c->cnt == n->w->room)
        return false;
    uint32_t at = (c->head + c->cnt++) % CHANNEL;
    memcpy(&c->msgs[at], msg, len);
    c->lens[at] = len;
    return true;
}

static void stop_delivering(struct peer *p)
{
    p->w->deliverers[p->name] -= p->delivers ? 1 : 0;
    p->delivers = false;
    p->revoked = false;
}

static void release(struct peer *p)
{
    stop_delivering(p);
    mcq_directory_release(&p->w->nodes[p->shard].d, p->claim);
    p->claim = NULL;
}

static void granted(void *ctx, void *owner)
{
    struct node *n = ctx;
    struct peer *p = owner;
    cr_assert_eq(p->shard, n->d.id);
    cr_assert_eq(++n->w->deliverers[p->name], 1, "two have identity %u", p->name);
    n->w->granted++;
    p->delivers = true;
    if (dice(n->w, 8) == 0)
        release(p);
    else
        mcq_directory_announce(&n->d, p->claim);
}

static void refused(void *ctx, void *owner, enum mcq_reason reason)
{
    struct node *n = ctx;
    struct peer *p = owner;
    cr_assert(!p->delivers);
    n->w->refused++;
    n->w->reason = reason;
    p->claim = NULL;
}

static void revoked(void *ctx, void *owner)
{
    struct node *n = ctx;
    struct peer *p = owner;
    cr_assert(p->delivers);
    n->w->revoked++;
    if (dice(n->w, 2) == 0)
        release(p);
    else
        p->revoked = true;
}

static void gone(void *ctx, struct mcq_peer peer)
{
    struct node *n = ctx;
    cr_assert_neq(peer.bits, 0);
    n->gone++;
}

static const struct mcq_directory_ops ops = {send, granted, refused, revoked, gone};

static struct world *world_new(uint32_t cnt, uint32_t room, uint64_t seed)
{
    struct world *w = calloc(1, sizeof(*w));
    *w = (struct world){.cnt = cnt, .room = room, .seed = seed};
    const struct mcq_directory_plan plan =
        mcq_directory_plan(cnt, PEERS_MAX, CHANNEL + 2, (size_t)1 << 20);
    cr_assert_eq(plan.claims_max, PEERS_MAX);
    for (uint32_t i = 0; i < cnt; i++) {
        struct node *n = &w->nodes[i];
        n->w = w;
        cr_assert_eq(mcq_arena_init(&n->arena, mcq_directory_footprint(&plan), MCQ_NODE_ANY, NULL),
                     MCQ_OK);
        cr_assert(mcq_directory_init(&n->d, &n->arena, i, &plan, &ops, n));
        mcq_directory_seed(&n->d, 42);
    }
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        w->peers[i].w = w;
    return w;
}

static void claim(struct world *w, struct peer *p, uint32_t shard, uint32_t name, bool replaces)
{
    p->shard = shard;
    p->name = name;
    p->peer = (struct mcq_peer){(uint64_t)shard << 56 | ++w->epoch};
    p->claim = mcq_directory_claim(&w->nodes[shard].d, LIFE, identity(name), p->peer, replaces, p);
}

/* One message of one channel. false: it is empty. */
static bool step_channel(struct world *w, uint32_t from, uint32_t to)
{
    struct channel *c = &w->channels[from][to];
    if (c->cnt == 0)
        return false;
    /* Exactly so long, so that nothing behind it is read. */
    void *copy = malloc(c->lens[c->head]);
    size_t len = c->lens[c->head];
    memcpy(copy, &c->msgs[c->head], len);
    c->head = (c->head + 1) % CHANNEL;
    c->cnt--;
    mcq_directory_feed(&w->nodes[to].d, from, copy, len);
    free(copy);
    return true;
}

/* Until there is nothing on its way and nothing due; those who were revoked end. */
static void settle(struct world *w)
{
    bool more = true;
    while (more) {
        more = false;
        for (uint32_t i = 0; i < PEERS_MAX; i++)
            if (w->peers[i].revoked)
                release(&w->peers[i]);
        for (uint32_t i = 0; i < w->cnt; i++) {
            (void)mcq_directory_run(&w->nodes[i].d);
            more |= w->nodes[i].d.due_cnt != 0;
        }
        for (uint32_t from = 0; from < w->cnt; from++)
            for (uint32_t to = 0; to < w->cnt; to++)
                while (step_channel(w, from, to))
                    more = true;
    }
}

static const struct peer *owner_of(const struct world *w, uint32_t name)
{
    const struct peer *owner = NULL;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        const struct peer *p = &w->peers[i];
        if (p->claim == NULL || p->name != name)
            continue;
        cr_assert(p->delivers && owner == NULL, "settled, and %u still waits", name);
        owner = p;
    }
    return owner;
}

/* Everyone knows who has it, and nobody knows anything else. */
static void check_agreement(const struct world *w)
{
    uint32_t owned = 0;
    for (uint32_t name = 0; name < 2 * NAMES; name++) {
        const struct peer *owner = owner_of(w, name);
        cr_assert_eq(w->deliverers[name], owner != NULL ? 1 : 0);
        owned += owner != NULL ? 1 : 0;
        for (uint32_t i = 0; i < w->cnt; i++) {
            const struct mcq_record *r = mcq_directory_find(&w->nodes[i].d, LIFE, identity(name));
            if (owner == NULL || owner->shard == i) {
                cr_assert_null(r);
                continue;
            }
            cr_assert_not_null(r);
            cr_assert_eq(r->bits, owner->peer.bits);
            cr_assert_eq(r->shard, owner->shard);
            cr_assert_eq(mcq_directory_name(&w->nodes[i].d, owner->peer), r);
        }
    }
    for (uint32_t i = 0; i < w->cnt; i++)
        cr_assert_leq(w->nodes[i].d.stats.records_now, owned);
}

static void world_end(struct world *w)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (w->peers[i].claim != NULL)
            release(&w->peers[i]);
    settle(w);
    check_agreement(w);
    for (uint32_t i = 0; i < w->cnt; i++) {
        struct mcq_directory *d = &w->nodes[i].d;
        cr_assert_eq(d->claims.in_use + d->records.in_use + d->longer.in_use + d->longer_cnt, 0);
        cr_assert_eq(d->stats.claims_now + d->stats.records_now + d->stats.records_empty, 0);
        mcq_arena_fini(&w->nodes[i].arena);
    }
    free(w);
}

/* --- in order ------------------------------------------------------------------------------- */

Test(directory, one_is_granted_and_found_by_the_others)
{
    struct world *w = world_new(3, CHANNEL, 1);
    struct peer *p = &w->peers[0];
    w->seed = 5; /* a dice that doesn't end it at once */
    claim(w, p, 1, 0, false);
    cr_assert(!p->delivers);
    settle(w);
    if (p->claim == NULL)
        claim(w, p, 1, 0, false);
    settle(w);
    cr_assert(p->delivers);
    cr_assert_null(mcq_directory_find(&w->nodes[1].d, LIFE, identity(0)));
    cr_assert_eq(mcq_directory_find(&w->nodes[0].d, LIFE, identity(0))->bits, p->peer.bits);
    cr_assert_eq(mcq_directory_find(&w->nodes[2].d, LIFE, identity(0))->shard, 1);
    cr_assert_null(mcq_directory_find(&w->nodes[2].d, LIFE + 1, identity(0)), "another socket's");
    cr_assert_null(mcq_directory_find(&w->nodes[2].d, LIFE, identity(1)));
    cr_assert_null(mcq_directory_find(&w->nodes[2].d, LIFE, mcq_slice_of(NULL, 0)));
    cr_assert_null(mcq_directory_name(&w->nodes[2].d, (struct mcq_peer){p->peer.bits + 1}));
    check_agreement(w);
    release(p);
    settle(w);
    cr_assert_eq(w->nodes[0].gone, 1);
    cr_assert_eq(w->nodes[1].gone, 0);
    cr_assert_eq(w->nodes[2].gone, 1);
    world_end(w);
}

/* Grants `p`, whatever the dice say. */
static void own(struct world *w, struct peer *p, uint32_t shard, uint32_t name)
{
    do {
        claim(w, p, shard, name, false);
        settle(w);
    } while (p->claim == NULL);
}

Test(directory, reject_refuses_the_newcomer)
{
    struct world *w = world_new(2, CHANNEL, 2);
    own(w, &w->peers[0], 0, 3);
    for (uint32_t shard = 0; shard < 2; shard++) {
        claim(w, &w->peers[1], shard, 3, false);
        settle(w);
        cr_assert_null(w->peers[1].claim);
        cr_assert_eq(w->reason, MCQ_REASON_IDENTITY);
        cr_assert(w->peers[0].delivers);
    }
    cr_assert_eq(w->revoked, 0);
    world_end(w);
}

/* The newcomer waits for the older one's end, however long that takes. */
Test(directory, replace_waits_for_the_older_one)
{
    struct world *w = world_new(2, CHANNEL, 3);
    struct peer *old = &w->peers[0], *new = &w->peers[1];
    own(w, old, 0, 4);
    claim(w, new, 1, 4, true);
    while (!old->revoked && old->claim != NULL) {
        for (uint32_t i = 0; i < 2; i++) {
            (void)mcq_directory_run(&w->nodes[i].d);
            for (uint32_t k = 0; k < 2; k++)
                (void)step_channel(w, k, i);
        }
        cr_assert(old->claim == NULL || !new->delivers);
    }
    settle(w);
    cr_assert_null(old->claim);
    cr_assert_eq(w->revoked, 1);
    world_end(w);
}

Test(directory, who_waits_is_replaced_by_one_newer_still)
{
    struct world *w = world_new(4, CHANNEL, 4);
    uint64_t before;
    own(w, &w->peers[0], 0, 6);
    before = w->refused;
    for (uint32_t i = 1; i < 4; i++)
        claim(w, &w->peers[i], i, 6, true);
    settle(w);
    /* One at most of the three was granted; those that only waited are told so. */
    cr_assert_null(w->peers[0].claim);
    cr_assert_geq(w->refused + w->granted, before + 2);
    if (w->refused > before)
        cr_assert_eq(w->reason, MCQ_REASON_REPLACED);
    check_agreement(w);
    world_end(w);
}

Test(directory, no_more_claims_than_there_is_room_for)
{
    struct world *w = world_new(2, CHANNEL, 5);
    struct mcq_directory *d = &w->nodes[0].d;
    struct peer p = {.w = w};
    struct mcq_claim *claims[PEERS_MAX];
    uint32_t cnt = 0;
    while (cnt < PEERS_MAX && mcq_directory_has_room(d, identity(1))) {
        claim(w, &p, 0, 2 * cnt + 1, false);
        claims[cnt++] = p.claim;
        cr_assert_not_null(p.claim);
    }
    cr_assert_eq(cnt, PEERS_MAX / MCQ_DIRECTORY_LONG_PART + 1);
    claim(w, &p, 0, 2 * cnt + 1, false);
    cr_assert_null(p.claim, "a long one too many");
    for (; cnt < PEERS_MAX; cnt++) {
        claim(w, &p, 0, 2 * cnt, false);
        claims[cnt] = p.claim;
        cr_assert_not_null(p.claim);
    }
    claim(w, &p, 0, 2 * cnt, false);
    cr_assert_null(p.claim);
    cr_assert_eq(d->stats.claims_empty, 2);
    for (uint32_t i = 0; i < cnt; i++)
        mcq_directory_release(d, claims[i]);
    cr_assert_eq(d->due_cnt, 0, "what was never said needs no end");
    world_end(w);
}

Test(directory, one_shard_alone_has_none)
{
    const struct mcq_directory_plan plan = mcq_directory_plan(1, 1000, 100, (size_t)1 << 20);
    struct mcq_directory d;
    cr_assert_eq(mcq_directory_footprint(&plan), 0);
    cr_assert(mcq_directory_init(&d, NULL, 0, &plan, &ops, NULL));
    cr_assert_null(mcq_directory_find(&d, LIFE, identity(0)));
    cr_assert_null(mcq_directory_name(&d, (struct mcq_peer){1}));
    cr_assert(!mcq_directory_run(&d));
}

Test(directory, plans_keep_to_their_bytes)
{
    for (uint32_t cnt = 2; cnt <= MCQ_SHARDS_MAX; cnt *= 2) {
        const struct mcq_directory_plan p = mcq_directory_plan(cnt, 16384, 128, (size_t)16 << 20);
        cr_assert_geq(p.claims_max, 256);
        cr_assert_geq(p.records_max, cnt * p.claims_max);
        /* what may be on its way comes on top */
        cr_assert_leq(mcq_directory_footprint(&p), ((size_t)16 << 20) + cnt * 128 * (size_t)1024);
    }
}

/* A newcomer's UP may be here before the older one's GONE, which then ends the older one alone. */
Test(directory, of_two_the_newer_is_found)
{
    struct world *w = world_new(2, CHANNEL, 8);
    struct mcq_directory *d = &w->nodes[0].d;
    struct mcq_directory_msg msg = {.bits = 100, .generation = 2, .life = LIFE, .len = 5};
    memcpy(msg.identity, identity(0).ptr, 5);
    const size_t len = MCQ_DIRECTORY_MSG_LEN_MIN + 5;
    msg.verb = MCQ_DIRECTORY_UP;
    mcq_directory_feed(d, 1, &msg, len);
    for (uint64_t generation = 1; generation <= 3; generation += 2) {
        msg.bits = 100 + generation;
        msg.generation = generation;
        mcq_directory_feed(d, 1, &msg, len);
        cr_assert_eq(mcq_directory_find(d, LIFE, identity(0))->bits, generation == 1 ? 100 : 103);
    }
    msg.verb = MCQ_DIRECTORY_GONE;
    for (uint64_t bits = 100; bits <= 101; bits++) {
        msg.bits = bits;
        mcq_directory_feed(d, 1, &msg, len);
        mcq_directory_feed(d, 1, &msg, len); /* nothing twice */
        cr_assert_eq(mcq_directory_find(d, LIFE, identity(0))->bits, 103);
    }
    msg.bits = 103;
    mcq_directory_feed(d, 1, &msg, len);
    cr_assert_eq(w->nodes[0].gone, 3);
    world_end(w);
}

/* --- a connection that changes its shard ----------------------------------------------------- */

static void move(struct world *w, struct peer *p, uint32_t to)
{
    uint64_t generation = mcq_directory_give(&w->nodes[p->shard].d, p->claim);
    p->shard = to;
    p->claim = mcq_directory_take(&w->nodes[to].d, LIFE, identity(p->name), p->peer, generation, p);
    cr_assert_not_null(p->claim);
}

Test(directory, one_that_moves_is_found_where_it_is)
{
    struct world *w = world_new(4, CHANNEL, 6);
    struct peer *p = &w->peers[0];
    own(w, p, 0, 5);
    for (uint32_t i = 1; i < 40; i++) {
        cr_assert(mcq_directory_settled(p->claim));
        move(w, p, i % 4);
        cr_assert(!mcq_directory_settled(p->claim));
        settle(w);
        check_agreement(w);
        claim(w, &w->peers[1], (i + 1) % 4, 5, false);
        settle(w);
        cr_assert_null(w->peers[1].claim, "it still has it");
    }
    world_end(w);
}

/* The one who asked it to go must not wait for a shard that it has left. */
Test(directory, one_that_moves_is_revoked_where_it_is)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct world *w = world_new(3, CHANNEL, seed);
        struct peer *p = &w->peers[0];
        own(w, p, 0, 8);
        claim(w, &w->peers[1], 1, 8, true);
        (void)mcq_directory_run(&w->nodes[1].d);
        for (uint32_t i = 0; i < 3; i++)
            while (step_channel(w, 1, i))
                (void)mcq_directory_run(&w->nodes[i].d); /* REVOKE is on its way */
        move(w, p, 2);
        settle(w);
        cr_assert_null(p->claim);
        world_end(w);
    }
}

/* --- anything at any time -------------------------------------------------------------------- */

static void do_claim(struct world *w)
{
    struct peer *p = &w->peers[dice(w, PEERS_MAX)];
    if (p->claim == NULL)
        claim(w, p, dice(w, w->cnt), dice(w, NAMES), dice(w, 3) != 0);
}

static void do_release(struct world *w)
{
    struct peer *p = &w->peers[dice(w, PEERS_MAX)];
    if (p->claim != NULL && (p->revoked || dice(w, 3) == 0))
        release(p);
}

/* Only where all that its shard has said is heard, as a hand-off has it. */
static void do_move(struct world *w)
{
    struct peer *p = &w->peers[dice(w, PEERS_MAX)];
    uint32_t to = dice(w, w->cnt);
    if (p->claim == NULL || to == p->shard || !mcq_directory_settled(p->claim))
        return;
    for (uint32_t i = 0; i < w->cnt; i++)
        if (w->channels[p->shard][i].cnt != 0)
            return;
    if (mcq_directory_has_room(&w->nodes[to].d, identity(p->name))) {
        move(w, p, to);
        w->moved++;
    }
}

static uint64_t interleave(uint64_t seed, uint32_t steps)
{
    struct world *w = world_new(2 + (uint32_t)(seed % (SHARDS_MAX - 1)),
                                1 + (uint32_t)(seed / 7 % CHANNEL), seed);
    for (uint32_t i = 0; i < steps; i++) {
        switch (dice(w, 9)) {
        case 3:
            do_move(w);
            break;
        case 0:
            do_claim(w);
            break;
        case 1:
            do_release(w);
            break;
        case 2:
            (void)mcq_directory_run(&w->nodes[dice(w, w->cnt)].d);
            break;
        default:
            (void)step_channel(w, dice(w, w->cnt), dice(w, w->cnt));
            break;
        }
        if (i % 512 == 511) {
            settle(w);
            check_agreement(w);
        }
    }
    cr_assert_gt(w->granted, 0);
    const uint64_t moved = w->moved;
    world_end(w);
    return moved;
}

Test(directory, one_owner_whatever_overtakes_what)
{
    for (uint64_t seed = 1; seed <= 3000; seed++)
        (void)interleave(seed, 700);
}

Test(directory, long_lives)
{
    uint64_t moved = 0;
    for (uint64_t seed = 10001; seed <= 10012; seed++)
        moved += interleave(seed, 60000);
    cr_assert_gt(moved, 100);
}
