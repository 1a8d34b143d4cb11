#include "patterns/prefix.h"

#include <monocoque/sock.h>

/* Each prefix hangs somewhere, and all but a set's first need at most one fork, which hangs
 * somewhere as well. */
static uint32_t nodes_max(uint32_t prefixes_max)
{
    return 2 * prefixes_max;
}

size_t mcq_prefix_table_footprint(uint32_t prefixes_max)
{
    return mcq_prefix_map_footprint(nodes_max(prefixes_max)) +
           mcq_pool_footprint(sizeof(struct mcq_prefix), prefixes_max);
}

bool mcq_prefix_table_init(struct mcq_prefix_table *t, struct mcq_arena *arena,
                           struct mcq_buf_heap *heap, uint32_t prefixes_max, uint32_t long_max,
                           uint64_t seed)
{
    t->heap = heap;
    t->long_cnt = 0;
    t->long_max = long_max;
    return mcq_prefix_map_init(&t->map, arena, nodes_max(prefixes_max), seed) &&
           mcq_pool_init(&t->forks, "topic forks", arena, sizeof(struct mcq_prefix), prefixes_max);
}

/* mcq_prefix_fork.spans of one in which no topic ends. */
#define SPANS_BRANCH (1u << MCQ_PREFIX_STRIDE)

static void fork_init(struct mcq_prefix *f, size_t len)
{
    *f = (struct mcq_prefix){.len = (uint16_t)len, .is_fork = true};
    f->fork = (struct mcq_prefix_fork){.value = NULL};
    mcq_list_init(&f->fork.kids);
}

void mcq_prefix_set_init(struct mcq_prefix_set *set, struct mcq_prefix_table *table)
{
    set->table = table;
    fork_init(&set->root, 0);
}

/* --- searching ----------------------------------------------------------------------------- */

/* What hangs in the fork under that span of the topic. */
static inline struct mcq_prefix *kid_of(const struct mcq_prefix_match *m, uint32_t span)
{
    return mcq_prefix_map_find(m->map, m->fork, mcq_prefix_word(m->fork, m->topic, span), span);
}

static inline void enter_fork(struct mcq_prefix_match *m, const struct mcq_prefix *fork)
{
    m->fork = fork;
    m->spans = fork->len <= m->topic.len ? mcq_prefix_spans(fork, m->topic) : 0;
}

/* A topic that is found need not match: between forks nothing was compared. */
static inline bool is_match(const struct mcq_prefix_match *m, const struct mcq_prefix *node)
{
    return mcq_slice_starts(m->topic, mcq_prefix_key(node));
}

static __attribute__((noinline)) struct mcq_prefix *look_on(struct mcq_prefix_match *m)
{
    while (m->spans != 0) {
        uint32_t span = (uint32_t)__builtin_ctz(m->spans);
        struct mcq_prefix *node = span == 0 ? m->fork->fork.value : kid_of(m, span);
        m->spans &= m->spans - 1;
        if (node == NULL)
            continue;
        if (node->is_fork)
            enter_fork(m, node);
        else if (is_match(m, node))
            return node;
    }
    return NULL;
}

/* Mostly there is one place to look at, and what is found there matches. */
struct mcq_prefix *mcq_prefix_match_look(struct mcq_prefix_match *m)
{
    if (MCQ_LIKELY(m->spans == SPANS_BRANCH)) {
        struct mcq_prefix *node = kid_of(m, MCQ_PREFIX_STRIDE);
        m->spans = 0;
        if (node == NULL)
            return NULL;
        if (MCQ_UNLIKELY(node->is_fork))
            enter_fork(m, node);
        else if (MCQ_LIKELY(is_match(m, node)))
            return node;
    }
    return look_on(m);
}

/* Down to where key hangs or would. Gives the fork, and what hangs there under key's name: a
 * topic, a fork that is longer than key, or NULL. */
static struct mcq_prefix *descend(const struct mcq_prefix_set *set, struct mcq_slice key,
                                  const struct mcq_prefix **fork)
{
    const struct mcq_prefix *f = &set->root;
    for (;;) {
        uint32_t span = mcq_prefix_span(f, key);
        *fork = f;
        if (span == 0)
            return f->fork.value;
        struct mcq_prefix *node =
            mcq_prefix_map_find(&set->table->map, f, mcq_prefix_word(f, key, span), span);
        if (node == NULL || !node->is_fork || node->len > key.len)
            return node;
        f = node;
    }
}

struct mcq_prefix *mcq_prefix_find(const struct mcq_prefix_set *set, struct mcq_slice topic)
{
    const struct mcq_prefix *fork;
    struct mcq_prefix *node = descend(set, topic, &fork);
    if (node == NULL || node->is_fork)
        return NULL;
    return mcq_slice_equal(mcq_prefix_key(node), topic) ? node : NULL;
}

/* --- hanging -------------------------------------------------------------------------------- */

/* Topics go first, so that one is found soon where any will do. */
static void hang(struct mcq_prefix_map *map, struct mcq_prefix *f, struct mcq_prefix *node,
                 uint32_t word, uint32_t span)
{
    struct mcq_list *kids = &f->fork.kids;
    node->above = f;
    node->word = word;
    node->span = (uint8_t)span;
    node->kin = (struct mcq_node){NULL, NULL};
    mcq_list_insert_before(node->is_fork ? &kids->head : kids->head.next, &node->kin);
    f->fork.cnt[span]++;
    f->fork.spans |= 1u << span;
    if (span == 0)
        f->fork.value = node;
    else
        mcq_prefix_map_put(map, node);
}

static void unhang(struct mcq_prefix_map *map, struct mcq_prefix *node)
{
    struct mcq_prefix_fork *f = &node->above->fork;
    if (node->span == 0)
        f->value = NULL;
    else
        mcq_prefix_map_drop(map, node);
    if (--f->cnt[node->span] == 0)
        f->spans &= ~(1u << node->span);
    mcq_node_unlink(&node->kin);
}

/* Where key, that of node or of any below it, leads from f. */
static void hang_at(struct mcq_prefix_map *map, struct mcq_prefix *f, struct mcq_prefix *node,
                    struct mcq_slice key)
{
    uint32_t span = mcq_prefix_span(f, key);
    hang(map, f, node, mcq_prefix_word(f, key, span), span);
}

static struct mcq_prefix *first_of(const struct mcq_prefix *f)
{
    struct mcq_node *n = mcq_list_first(&f->fork.kids);
    return n == NULL ? NULL : MCQ_CONTAINER_OF(n, struct mcq_prefix, kin);
}

/* --- entering -------------------------------------------------------------------------------- */

static bool key_store(struct mcq_prefix_table *t, struct mcq_prefix *node, struct mcq_slice topic)
{
    MCQ_ASSERT(topic.len <= MCQ_TOPIC_LEN_MAX);
    node->len = (uint16_t)topic.len;
    node->is_fork = false;
    if (topic.len <= MCQ_PREFIX_INLINE_MAX) {
        mcq_bytes_copy(node->bytes, topic.ptr, topic.len);
        return true;
    }
    if (t->long_cnt == t->long_max)
        return false;
    node->buf = mcq_buf_take(t->heap, topic.len);
    if (node->buf == NULL)
        return false;
    t->long_cnt++;
    mcq_buf_filled(t->heap, node->buf, topic.len);
    mcq_bytes_copy(node->buf->base, topic.ptr, topic.len);
    return true;
}

void mcq_prefix_release(struct mcq_prefix_table *t, struct mcq_prefix *node)
{
    if (node->len <= MCQ_PREFIX_INLINE_MAX)
        return;
    mcq_buf_unref(t->heap, node->buf);
    t->long_cnt--;
}

/* A topic that has as much in common with key as any has: one below where key's way ends. NULL: the
 * set is empty. */
static struct mcq_prefix *nearest(const struct mcq_prefix_set *set, struct mcq_slice key)
{
    const struct mcq_prefix *f;
    struct mcq_prefix *node = descend(set, key, &f);
    if (node == NULL)
        node = first_of(f);
    while (node != NULL && node->is_fork)
        node = first_of(node);
    return node;
}

/* node and what hangs there, which leads to beside, part after `common` bytes: a fork takes its
 * place, and both. */
static bool part(struct mcq_prefix_table *t, struct mcq_prefix *there, struct mcq_prefix *node,
                 const struct mcq_prefix *beside, size_t common)
{
    struct mcq_prefix *f = mcq_pool_take(&t->forks);
    if (f == NULL)
        return false;
    fork_init(f, common - common % MCQ_PREFIX_STRIDE);
    unhang(&t->map, there);
    hang(&t->map, there->above, f, there->word, there->span);
    hang_at(&t->map, f, there, mcq_prefix_key(beside));
    hang_at(&t->map, f, node, mcq_prefix_key(node));
    return true;
}

static bool enter(struct mcq_prefix_set *set, struct mcq_prefix *node)
{
    struct mcq_prefix_table *t = set->table;
    struct mcq_slice key = mcq_prefix_key(node);
    struct mcq_prefix *beside = nearest(set, key);
    if (t->map.max - t->map.cnt < 2)
        return false;
    if (beside == NULL) {
        hang_at(&t->map, &set->root, node, key);
        return true;
    }
    /* up again to where both have come the same way for sure */
    size_t common = mcq_slice_common(mcq_prefix_key(beside), key, 0);
    struct mcq_prefix *there = beside;
    while (there->above->len > common)
        there = there->above;
    struct mcq_prefix *f = there->above;
    uint32_t span = mcq_prefix_span(f, key);
    uint32_t word = mcq_prefix_word(f, key, span);
    if (there->span == span && there->word == word)
        return part(t, there, node, beside, common);
    hang(&t->map, f, node, word, span);
    return true;
}

bool mcq_prefix_insert(struct mcq_prefix_set *set, struct mcq_prefix *node, struct mcq_slice topic)
{
    if (!key_store(set->table, node, topic))
        return false;
    if (enter(set, node))
        return true;
    mcq_prefix_release(set->table, node);
    return false;
}

/* --- leaving --------------------------------------------------------------------------------- */

/* Where only one kid is left, it takes the fork's place. */
static void collapse(struct mcq_prefix_table *t, struct mcq_prefix *f)
{
    struct mcq_prefix *last = first_of(f);
    if (f->above == NULL || mcq_list_next(&f->fork.kids, &last->kin) != NULL)
        return;
    unhang(&t->map, last);
    unhang(&t->map, f);
    hang(&t->map, f->above, last, f->word, f->span);
    mcq_pool_give(&t->forks, f);
}

void mcq_prefix_remove(struct mcq_prefix_set *set, struct mcq_prefix *node)
{
    unhang(&set->table->map, node);
    collapse(set->table, node->above);
}
