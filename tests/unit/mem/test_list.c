#include "fixture.h"

#include "mem/list.h"

struct item {
    uint32_t id;
    struct mcq_node node;
};

#define ITEMS 12u

static struct item *item_of(struct mcq_node *n)
{
    return MCQ_CONTAINER_OF(n, struct item, node);
}

Test(list, empty)
{
    struct mcq_list l;
    mcq_list_init(&l);
    cr_assert(mcq_list_empty(&l));
    cr_assert_null(mcq_list_first(&l));
    cr_assert_null(mcq_list_last(&l));
    cr_assert_null(mcq_list_pop_front(&l));
    struct mcq_node alone = {NULL, NULL};
    mcq_node_unlink(&alone);
    cr_assert_not(mcq_node_linked(&alone));
}

/* The list against an array, forwards and backwards after every step. */
struct model {
    struct mcq_list list;
    struct item items[ITEMS];
    uint32_t order[ITEMS];
    uint32_t cnt;
};

static void model_insert(struct model *m, uint32_t pos, uint32_t id)
{
    for (uint32_t i = m->cnt; i > pos; i--)
        m->order[i] = m->order[i - 1];
    m->order[pos] = id;
    m->cnt++;
}

static void model_remove(struct model *m, uint32_t pos)
{
    m->cnt--;
    for (uint32_t i = pos; i < m->cnt; i++)
        m->order[i] = m->order[i + 1];
}

static void model_check(const struct model *m, uint64_t seed)
{
    uint32_t at = 0;
    for (struct mcq_node *n = mcq_list_first(&m->list); n != NULL; n = mcq_list_next(&m->list, n)) {
        cr_assert_lt(at, m->cnt, "seed %lu", (unsigned long)seed);
        cr_assert_eq(item_of(n)->id, m->order[at], "seed %lu", (unsigned long)seed);
        cr_assert_eq(n->prev->next, n);
        at++;
    }
    cr_assert_eq(at, m->cnt, "seed %lu", (unsigned long)seed);
    cr_assert_eq(mcq_list_empty(&m->list), m->cnt == 0);
    if (m->cnt != 0)
        cr_assert_eq(item_of(mcq_list_last(&m->list))->id, m->order[m->cnt - 1]);
}

static void model_step(struct model *m, struct rng *rng)
{
    uint32_t id = rng_below(rng, ITEMS);
    struct item *it = &m->items[id];
    uint32_t pos = 0;
    while (pos < m->cnt && m->order[pos] != id)
        pos++;
    cr_assert_eq(mcq_node_linked(&it->node), pos < m->cnt);
    if (rng_below(rng, 8) == 0) {
        struct mcq_node *n = mcq_list_pop_front(&m->list);
        cr_assert_eq(n == NULL, m->cnt == 0);
        if (n != NULL)
            model_remove(m, 0);
    } else if (pos < m->cnt) {
        mcq_node_unlink(&it->node);
        model_remove(m, pos);
    } else if (m->cnt != 0 && rng_below(rng, 2) == 0) {
        uint32_t before = rng_below(rng, m->cnt);
        mcq_list_insert_before(&m->items[m->order[before]].node, &it->node);
        model_insert(m, before, id);
    } else {
        mcq_list_push_back(&m->list, &it->node);
        model_insert(m, m->cnt, id);
    }
}

Test(list, random_against_model)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rng rng = {seed};
        struct model m;
        memset(&m, 0, sizeof(m));
        mcq_list_init(&m.list);
        for (uint32_t i = 0; i < ITEMS; i++)
            m.items[i].id = i;
        for (int step = 0; step < 2000; step++) {
            model_step(&m, &rng);
            model_check(&m, seed);
        }
    }
}

#ifndef NDEBUG
Test(list, linking_twice_asserts, .signal = SIGABRT)
{
    struct mcq_list l;
    struct mcq_node n = {NULL, NULL};
    mcq_list_init(&l);
    mcq_list_push_back(&l, &n);
    mcq_list_push_back(&l, &n);
}
#endif
