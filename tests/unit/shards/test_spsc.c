#include "shards/spsc.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define LEN_MAX 65536u

struct rig {
    struct mcq_spsc *ring;
    struct mcq_spsc_tx tx;
    struct mcq_spsc_rx rx;
};

static struct rig rig_new(size_t len, uint64_t start)
{
    struct rig r;
    r.ring = aligned_alloc(MCQ_SPSC_APART, mcq_align_up(mcq_spsc_footprint(len), MCQ_SPSC_APART));
    cr_assert_not_null(r.ring);
    memset(r.ring, 0, mcq_spsc_footprint(len));
    mcq_spsc_init(r.ring, len, start, &r.tx, &r.rx);
    return r;
}

static bool put(struct rig *r, uint16_t kind, uint32_t tag, size_t len)
{
    uint8_t *at = mcq_spsc_reserve(&r->tx, len);
    if (at == NULL)
        return false;
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)(tag + i);
    mcq_spsc_commit(&r->tx, mcq_spsc_hdr(kind, tag, len));
    return true;
}

static void expect(const struct mcq_spsc_view *v, uint16_t kind, uint32_t tag, size_t len)
{
    cr_assert_eq(v->kind, kind);
    cr_assert_eq(v->tag, tag);
    cr_assert_eq(v->len, len);
    cr_assert_eq((uintptr_t)v->body % 8, 0);
    const uint8_t *at = v->body;
    for (size_t i = 0; i < len; i++)
        cr_assert_eq(at[i], (uint8_t)(tag + i), "byte %zu of %zu", i, len);
}

Test(spsc, what_two_cores_write_is_apart)
{
    cr_assert_geq(offsetof(struct mcq_spsc, waits) - offsetof(struct mcq_spsc, head), 128);
    cr_assert_geq(offsetof(struct mcq_spsc, data) - offsetof(struct mcq_spsc, waits), 128);
    cr_assert_eq(_Alignof(struct mcq_spsc), 128);
}

Test(spsc, nothing_is_seen_before_publish_and_then_all)
{
    struct rig r = rig_new(4096, 0);
    struct mcq_spsc_view v;
    cr_assert(mcq_spsc_empty(&r.rx));
    for (uint32_t i = 0; i < 5; i++)
        cr_assert(put(&r, 7, i, 3 * i));
    cr_assert(mcq_spsc_empty(&r.rx));
    cr_assert_not(mcq_spsc_next(&r.rx, &v));
    mcq_spsc_publish(&r.tx);
    cr_assert(put(&r, 7, 5, 100)); /* not published */
    for (uint32_t i = 0; i < 5; i++) {
        cr_assert(mcq_spsc_next(&r.rx, &v));
        expect(&v, 7, i, 3 * i);
    }
    cr_assert_not(mcq_spsc_next(&r.rx, &v));
    mcq_spsc_publish(&r.tx);
    mcq_spsc_publish(&r.tx);
    cr_assert(mcq_spsc_next(&r.rx, &v));
    expect(&v, 7, 5, 100);
    free(r.ring);
}

Test(spsc, a_reservation_without_commit_leaves_nothing)
{
    struct rig r = rig_new(4096, 0);
    struct mcq_spsc_view v;
    for (uint32_t i = 0; i < 1000; i++) {
        size_t len = i * 37 % 1025;
        uint8_t *at = mcq_spsc_reserve(&r.tx, len);
        cr_assert_not_null(at);
        memset(at, 0xFF, len);
        mcq_spsc_publish(&r.tx);
        cr_assert_not(mcq_spsc_next(&r.rx, &v), "round %u", i);
        cr_assert(put(&r, 1, i, len));
        mcq_spsc_publish(&r.tx);
        cr_assert(mcq_spsc_next(&r.rx, &v));
        expect(&v, 1, i, len);
        mcq_spsc_release(&r.rx);
    }
    free(r.ring);
}

Test(spsc, a_shorter_commit_is_what_is_seen)
{
    struct rig r = rig_new(4096, 0);
    struct mcq_spsc_view v;
    memset(mcq_spsc_reserve(&r.tx, 1000), 0xFF, 1000);
    mcq_spsc_commit(&r.tx, mcq_spsc_hdr(3, 9, 1));
    mcq_spsc_publish(&r.tx);
    cr_assert(mcq_spsc_next(&r.rx, &v));
    cr_assert_eq(v.len, 1);
    cr_assert_not(mcq_spsc_next(&r.rx, &v));
    free(r.ring);
}

Test(spsc, full_until_released_however_much_was_seen)
{
    struct rig r = rig_new(4096, 0);
    struct mcq_spsc_view v;
    uint32_t cnt = 0, seen = 0;
    while (put(&r, 1, cnt, 24))
        cnt++;
    cr_assert_eq(cnt, 4096 / 32 - 1); /* the last slot ends the ring */
    mcq_spsc_publish(&r.tx);
    while (mcq_spsc_next(&r.rx, &v))
        expect(&v, 1, seen++, 24);
    cr_assert_eq(seen, cnt);
    cr_assert_null(mcq_spsc_reserve(&r.tx, 24));
    mcq_spsc_release(&r.rx);
    cr_assert_not_null(mcq_spsc_reserve(&r.tx, 24));
    free(r.ring);
}

Test(spsc, once_there_is_room_any_record_fits)
{
    for (size_t len = MCQ_SPSC_LEN_MIN; len <= LEN_MAX; len *= 2)
        for (uint32_t step = 0; step <= 1024; step += 8) {
            struct rig r = rig_new(len, 0);
            struct mcq_spsc_view v;
            while (put(&r, 1, 1, step))
                ;
            cr_assert_not(mcq_spsc_has_room(&r.tx));
            cr_assert_not(mcq_spsc_awaited(&r.rx));
            mcq_spsc_wait(&r.tx);
            mcq_spsc_publish(&r.tx);
            cr_assert_not(mcq_spsc_awaited(&r.rx));
            while (!mcq_spsc_has_room(&r.tx)) {
                cr_assert_not(mcq_spsc_awaited(&r.rx));
                cr_assert(mcq_spsc_next(&r.rx, &v), "room was promised");
                mcq_spsc_release(&r.rx);
            }
            cr_assert(mcq_spsc_awaited(&r.rx));
            mcq_spsc_wait_end(&r.tx);
            cr_assert_not(mcq_spsc_awaited(&r.rx));
            cr_assert_not_null(mcq_spsc_reserve(&r.tx, MCQ_SPSC_BODY_MAX), "len %zu step %u", len,
                               step);
            free(r.ring);
        }
}

/* --- against a queue ----------------------------------------------------------------------- */

static uint64_t rng;

static uint32_t below(uint32_t limit)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)(rng >> 32) % limit;
}

#define QUEUE_CNT 65536u

struct model {
    uint16_t len[QUEUE_CNT]; /* by number */
    uint32_t made, shown, seen;
};

static void random_put(struct rig *r, struct model *m, uint32_t len_max)
{
    uint16_t len = (uint16_t)below(len_max + 1);
    if (!put(r, (uint16_t)(1 + len % 7), m->made, len))
        return;
    m->len[m->made++ % QUEUE_CNT] = len;
}

static void random_next(struct rig *r, struct model *m)
{
    struct mcq_spsc_view v;
    bool any = mcq_spsc_next(&r->rx, &v);
    cr_assert_eq(any, m->seen != m->shown);
    if (!any)
        return;
    uint16_t len = m->len[m->seen % QUEUE_CNT];
    expect(&v, (uint16_t)(1 + len % 7), m->seen++, len);
}

static void random_run(size_t len, uint64_t start, uint32_t len_max, uint32_t steps)
{
    struct rig r = rig_new(len, start);
    struct model *m = calloc(1, sizeof(*m));
    rng = 88172645463325252u + start + len;
    for (uint32_t i = 0; i < steps; i++)
        switch (below(8)) {
        case 0:
        case 1:
        case 2:
            random_put(&r, m, len_max);
            break;
        case 3:
            mcq_spsc_publish(&r.tx);
            m->shown = m->made;
            break;
        case 4:
            mcq_spsc_release(&r.rx);
            break;
        default:
            random_next(&r, m);
            break;
        }
    cr_assert_gt(m->seen, steps / 16);
    free(m);
    free(r.ring);
}

/* Positions wrap, at the width of the field and at those it might have been cut to. */
Test(spsc, random_against_model_wherever_it_starts)
{
    static const uint64_t wraps[] = {0, UINT64_C(1) << 31, UINT64_C(1) << 32, UINT64_C(1) << 63};
    for (size_t w = 0; w < MCQ_CNT_OF(wraps); w++)
        for (uint64_t before = 0; before <= 4096; before += 1016) {
            random_run(4096, wraps[w] - before, 1024, 5000);
            random_run(4096, wraps[w] - before, 40, 5000);
            random_run(16384, wraps[w] - before, 200, 5000);
        }
}

/* --- every way a ring of eight slots can be used ------------------------------------------------
 *
 * Breadth first over all states that these operations lead to. What is free is always filled with
 * what looks like a record, so that one slot looked at too early or too late shows. */
#define SMALL    64u
#define PHANTOM  mcq_spsc_hdr(5, 0, 0)
#define LENS_CNT 5u
static const uint16_t LENS[LENS_CNT] = {0, 8, 13, 24, 40};

struct state {
    uint64_t words[SMALL / 8];
    uint64_t head, tail, limit, first, withheld, seen_at; /* positions: relative to base */
    uint8_t len[8];                                       /* records not seen, oldest first */
    uint8_t cnt, shown_cnt;
    uint8_t number; /* of the oldest, % 8 */
};

static struct state state_of(const struct rig *r, const struct state *s)
{
    struct state n = *s;
    memcpy(n.words, r->ring->data, SMALL);
    uint64_t base = r->ring->head & ~(uint64_t)(SMALL - 1);
    n.head = r->ring->head - base;
    n.tail = r->tx.tail - base;
    n.limit = r->tx.limit - base;
    n.first = r->tx.withheld == 0 ? 0 : r->tx.first - base;
    n.withheld = r->tx.withheld;
    n.seen_at = r->rx.head - base;
    return n;
}

static void restore(struct rig *r, const struct state *s)
{
    memcpy(r->ring->data, s->words, SMALL);
    r->ring->head = s->head;
    r->tx = (struct mcq_spsc_tx){.data = r->ring->data,
                                 .mask = SMALL - 1,
                                 .tail = s->tail,
                                 .limit = s->limit,
                                 .first = s->first,
                                 .withheld = s->withheld};
    r->rx = (struct mcq_spsc_rx){.data = r->ring->data, .mask = SMALL - 1, .head = s->seen_at};
}

/* Whether it fits, by another way of reckoning: slots taken one by one. */
static bool fits(const struct state *s, size_t len)
{
    size_t slots = 1 + (len + 7) / 8;
    size_t at = s->tail / 8 % 8, used = (size_t)(s->tail - s->head) / 8, left = 8 - used;
    size_t pad = at + slots > 8 ? 8 - at : 0;
    return pad + slots + 1 <= left;
}

static void step_put(struct rig *r, struct state *s, uint32_t which)
{
    uint16_t len = LENS[which];
    uint8_t number = (uint8_t)((s->number + s->cnt) % 8);
    bool expected = fits(s, len);
    uint64_t *at = mcq_spsc_reserve(&r->tx, len);
    cr_assert_eq(at != NULL, expected);
    if (at == NULL)
        return;
    for (size_t i = 0; i < (len + 7u) / 8; i++)
        at[i] = PHANTOM;
    mcq_spsc_commit(&r->tx, mcq_spsc_hdr(1 + which, number, len));
    cr_assert_lt(s->cnt, 8);
    s->len[s->cnt++] = (uint8_t)which;
}

static void step_next(struct rig *r, struct state *s)
{
    struct mcq_spsc_view v;
    bool any = mcq_spsc_next(&r->rx, &v);
    cr_assert_eq(any, s->shown_cnt != 0);
    if (!any)
        return;
    const uint64_t *at = v.body;
    cr_assert_eq(v.kind, 1 + s->len[0]);
    cr_assert_eq(v.len, LENS[s->len[0]]);
    cr_assert_eq(v.tag, s->number);
    for (size_t i = 0; i < (v.len + 7u) / 8; i++)
        cr_assert_eq(at[i], PHANTOM);
    memmove(s->len, s->len + 1, sizeof(s->len) - 1);
    s->len[7] = 0;
    s->number = (uint8_t)((s->number + 1) % 8);
    s->cnt--;
    s->shown_cnt--;
}

static void step_release(struct rig *r)
{
    uint64_t from = r->ring->head;
    mcq_spsc_release(&r->rx);
    for (; from != r->ring->head; from += 8)
        *mcq_spsc_slot(r->ring->data, from % SMALL) = PHANTOM;
}

#define STATES_MAX (1u << 20)
#define OPS_CNT    (LENS_CNT + 3)

static struct state *states;
static uint32_t *table; /* open addressing, idx + 1 */
static uint32_t states_cnt;

static void visit(const struct state *s)
{
    uint64_t h = 1469598103934665603u;
    const uint8_t *p = (const uint8_t *)s;
    for (size_t i = 0; i < sizeof(*s); i++)
        h = (h ^ p[i]) * 1099511628211u;
    for (uint32_t at = (uint32_t)(h >> 40);; at++) {
        uint32_t *slot = &table[at % (4 * STATES_MAX)];
        if (*slot == 0) {
            cr_assert_lt(states_cnt, STATES_MAX);
            states[states_cnt] = *s;
            *slot = ++states_cnt;
            return;
        }
        if (memcmp(&states[*slot - 1], s, sizeof(*s)) == 0)
            return;
    }
}

static void step(struct rig *r, const struct state *from, uint32_t op)
{
    struct state s = *from;
    restore(r, &s);
    if (op < LENS_CNT) {
        step_put(r, &s, op);
    } else if (op == LENS_CNT) {
        mcq_spsc_publish(&r->tx);
        s.shown_cnt = s.cnt;
    } else if (op == LENS_CNT + 1) {
        step_next(r, &s);
    } else {
        step_release(r);
    }
    s = state_of(r, &s);
    visit(&s);
}

Test(spsc, every_state_of_a_small_ring, .timeout = 300)
{
    struct rig r = rig_new(SMALL, 0);
    for (size_t i = 1; i < SMALL / 8; i++)
        *mcq_spsc_slot(r.ring->data, i * 8) = PHANTOM;
    states = calloc(STATES_MAX, sizeof(*states));
    table = calloc((size_t)4 * STATES_MAX, sizeof(*table));
    cr_assert(states != NULL && table != NULL);
    struct state first;
    memset(&first, 0, sizeof(first));
    first = state_of(&r, &first);
    visit(&first);
    for (uint32_t i = 0; i < states_cnt; i++) {
        struct state from = states[i];
        for (uint32_t op = 0; op < OPS_CNT; op++)
            step(&r, &from, op);
    }
    cr_log_info("%u states", states_cnt);
    cr_assert_gt(states_cnt, 1000);
    free(states);
    free(table);
    free(r.ring);
}
