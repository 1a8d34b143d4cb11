/* A radix trie: paths without a branch are compressed, nodes have room for 4, 16, 48 or 256 kids
 * and grow and shrink with them, and where only one prefix is left its object hangs in the node
 * above. Nodes of a size are reused from a list. */
#include "prefix_kind.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#include <stdlib.h>
#include <string.h>

enum kind { NODE4, NODE16, NODE48, NODE256, KINDS };

#define SKIP_MAX 12u /* bytes of a compressed path in one node; longer ones take several */

struct node {
    uint8_t kind;
    uint8_t skip_len;
    uint16_t cnt; /* kids */
    uint8_t skip[SKIP_MAX];
    struct prefix_obj *value; /* the prefix that ends here */
};

struct node4 {
    struct node node;
    uint8_t bytes[4];
    void *kids[4];
};

struct node16 {
    struct node node;
    uint8_t bytes[16];
    void *kids[16];
};

struct node48 {
    struct node node;
    uint8_t places[256]; /* and 1; 0: none */
    void *kids[48];
};

struct node256 {
    struct node node;
    void *kids[256];
};

static const size_t lens[KINDS] = {sizeof(struct node4), sizeof(struct node16),
                                   sizeof(struct node48), sizeof(struct node256)};
static const uint16_t maxima[KINDS] = {4, 16, 48, 256};

struct trie {
    struct mcq_arena arena;
    uint8_t *at, *end; /* not yet cut */
    void *free[KINDS]; /* first word: the next */
    void *root;
    size_t used;
};

/* A kid is a node or, with its lowest bit set, an object. */
static inline bool is_leaf(const void *kid)
{
    return ((uintptr_t)kid & 1) != 0;
}

static inline struct prefix_obj *leaf_obj(void *kid)
{
    return (struct prefix_obj *)(void *)((char *)kid - 1);
}

static inline void *leaf_of(struct prefix_obj *o)
{
    return (char *)o + 1;
}

/* --- nodes ---------------------------------------------------------------------------------- */

static struct node *node_take(struct trie *t, enum kind kind)
{
    void *n = t->free[kind];
    if (n != NULL) {
        memcpy(&t->free[kind], n, sizeof(void *));
    } else {
        size_t len = mcq_align_up(lens[kind], 16);
        if ((size_t)(t->end - t->at) < len)
            abort();
        n = t->at;
        t->at += len;
    }
    memset(n, 0, lens[kind]);
    t->used += lens[kind];
    struct node *node = n;
    node->kind = (uint8_t)kind;
    return node;
}

static void node_give(struct trie *t, struct node *n)
{
    enum kind kind = n->kind;
    t->used -= lens[kind];
    memcpy(n, &t->free[kind], sizeof(void *));
    t->free[kind] = n;
}

/* Bit by bit: those of the 16 bytes that equal byte. */
static inline uint32_t hits16(const uint8_t *bytes, uint8_t byte)
{
#if defined(__SSE2__)
    __m128i all = _mm_loadu_si128((const __m128i *)(const void *)bytes);
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(all, _mm_set1_epi8((char)byte)));
#else
    uint32_t hits = 0;
    for (uint32_t i = 0; i < 16; i++)
        hits |= (uint32_t)(bytes[i] == byte) << i;
    return hits;
#endif
}

static inline uint32_t place16(const struct node16 *n, uint8_t byte)
{
    uint32_t hits = hits16(n->bytes, byte) & ((1u << n->node.cnt) - 1);
    return hits == 0 ? 16 : (uint32_t)__builtin_ctz(hits);
}

/* Where the kid for byte is kept, NULL if there is none. */
static inline void **kid_at(struct node *n, uint8_t byte)
{
    switch ((enum kind)n->kind) {
    case NODE4: {
        struct node4 *n4 = (struct node4 *)n;
        for (uint32_t i = 0; i < n->cnt; i++)
            if (n4->bytes[i] == byte)
                return &n4->kids[i];
        return NULL;
    }
    case NODE16: {
        struct node16 *n16 = (struct node16 *)n;
        uint32_t i = place16(n16, byte);
        return i == 16 ? NULL : &n16->kids[i];
    }
    case NODE48: {
        struct node48 *n48 = (struct node48 *)n;
        return n48->places[byte] == 0 ? NULL : &n48->kids[n48->places[byte] - 1];
    }
    case NODE256:
        return &((struct node256 *)n)->kids[byte];
    case KINDS:
        break;
    }
    return NULL;
}

static void kid_put(struct node *n, uint8_t byte, void *kid)
{
    switch ((enum kind)n->kind) {
    case NODE4:
        ((struct node4 *)n)->bytes[n->cnt] = byte;
        ((struct node4 *)n)->kids[n->cnt] = kid;
        break;
    case NODE16:
        ((struct node16 *)n)->bytes[n->cnt] = byte;
        ((struct node16 *)n)->kids[n->cnt] = kid;
        break;
    case NODE48: {
        uint32_t i = 0;
        while (((struct node48 *)n)->kids[i] != NULL)
            i++;
        ((struct node48 *)n)->kids[i] = kid;
        ((struct node48 *)n)->places[byte] = (uint8_t)(i + 1);
        break;
    }
    case NODE256:
        ((struct node256 *)n)->kids[byte] = kid;
        break;
    case KINDS:
        break;
    }
    n->cnt++;
}

/* Order doesn't matter in small nodes: the last takes the place. */
static void kid_drop(struct node *n, uint8_t byte)
{
    void **at = kid_at(n, byte);
    n->cnt--;
    switch ((enum kind)n->kind) {
    case NODE4: {
        struct node4 *n4 = (struct node4 *)n;
        *at = n4->kids[n->cnt];
        n4->bytes[at - n4->kids] = n4->bytes[n->cnt];
        break;
    }
    case NODE16: {
        struct node16 *n16 = (struct node16 *)n;
        *at = n16->kids[n->cnt];
        n16->bytes[at - n16->kids] = n16->bytes[n->cnt];
        break;
    }
    case NODE48:
        *at = NULL;
        ((struct node48 *)n)->places[byte] = 0;
        break;
    case NODE256:
        *at = NULL;
        break;
    case KINDS:
        break;
    }
}

/* Another node of that kind with the same contents. */
static struct node *node_turn(struct trie *t, struct node *n, enum kind kind)
{
    struct node *to = node_take(t, kind);
    to->skip_len = n->skip_len;
    memcpy(to->skip, n->skip, SKIP_MAX);
    to->value = n->value;
    for (uint32_t byte = 0; byte < 256; byte++) {
        void **kid = kid_at(n, (uint8_t)byte);
        if (kid != NULL && *kid != NULL)
            kid_put(to, (uint8_t)byte, *kid);
    }
    node_give(t, n);
    return to;
}

/* --- matching -------------------------------------------------------------------------------- */

static inline uint64_t find(void *table, struct mcq_slice topic, uint64_t *len)
{
    const struct trie *t = table;
    void *at = t->root;
    size_t pos = 0;
    uint64_t cnt = 0;
    while (at != NULL && !is_leaf(at)) {
        struct node *n = at;
        if (n->skip_len != 0) {
            if (topic.len - pos < n->skip_len || memcmp(topic.ptr + pos, n->skip, n->skip_len) != 0)
                return cnt;
            pos += n->skip_len;
        }
        if (n->value != NULL) {
            *len += n->value->node.len;
            cnt++;
        }
        if (pos == topic.len)
            return cnt;
        void **kid = kid_at(n, topic.ptr[pos++]);
        at = kid == NULL ? NULL : *kid;
    }
    if (at == NULL)
        return cnt;
    struct mcq_slice key = prefix_obj_key(leaf_obj(at));
    if (key.len > topic.len || memcmp(topic.ptr + pos, key.ptr + pos, key.len - pos) != 0)
        return cnt;
    *len += key.len;
    return cnt + 1;
}

static uint64_t trie_match(void *table, const struct prefix_keys *k, uint64_t from, uint64_t cnt,
                           bool chained)
{
    PREFIX_KIND_MATCH(find);
}

/* --- changing -------------------------------------------------------------------------------- */

/* Puts o, whose key is the node's path up to pos, below n. */
static void hang(struct node *n, struct prefix_obj *o, size_t pos)
{
    struct mcq_slice key = prefix_obj_key(o);
    if (pos == key.len)
        n->value = o;
    else
        kid_put(n, key.ptr[pos], leaf_of(o));
}

/* In place of a leaf: the path that both share, in as many nodes as it takes, and a fork. */
static void *fork_leaf(struct trie *t, struct prefix_obj *old, struct prefix_obj *o, size_t pos)
{
    struct mcq_slice a = prefix_obj_key(old);
    struct mcq_slice b = prefix_obj_key(o);
    size_t common = mcq_slice_common(a, b, pos);
    void *top = NULL;
    void **at = &top;
    for (;;) {
        struct node *n = node_take(t, NODE4);
        n->skip_len = (uint8_t)mcq_min(SKIP_MAX, common - pos);
        memcpy(n->skip, a.ptr + pos, n->skip_len);
        pos += n->skip_len;
        *at = n;
        if (pos == common) {
            hang(n, old, pos);
            hang(n, o, pos);
            return top;
        }
        kid_put(n, a.ptr[pos], n); /* the next of the chain takes this place */
        at = kid_at(n, a.ptr[pos++]);
    }
}

/* The path of n is left after `common` of its bytes. */
static void *fork_node(struct trie *t, struct node *n, struct prefix_obj *o, size_t pos,
                       size_t common)
{
    struct node *top = node_take(t, NODE4);
    top->skip_len = (uint8_t)common;
    memcpy(top->skip, n->skip, common);
    uint8_t byte = n->skip[common];
    n->skip_len = (uint8_t)(n->skip_len - common - 1);
    memmove(n->skip, n->skip + common + 1, n->skip_len);
    kid_put(top, byte, n);
    hang(top, o, pos + common);
    return top;
}

static bool trie_insert(void *table, struct prefix_obj *o)
{
    struct trie *t = table;
    struct mcq_slice key = prefix_obj_key(o);
    void **at = &t->root;
    size_t pos = 0;
    for (;;) {
        if (*at == NULL) {
            *at = leaf_of(o);
            return true;
        }
        if (is_leaf(*at)) {
            *at = fork_leaf(t, leaf_obj(*at), o, pos);
            return true;
        }
        struct node *n = *at;
        struct mcq_slice skip = mcq_slice_of(n->skip, n->skip_len);
        size_t common = mcq_slice_common(skip, mcq_slice_of(key.ptr + pos, key.len - pos), 0);
        if (common < n->skip_len) {
            *at = fork_node(t, n, o, pos, common);
            return true;
        }
        pos += common;
        void **kid = pos == key.len ? NULL : kid_at(n, key.ptr[pos]);
        if (kid != NULL && *kid != NULL) {
            at = kid;
            pos++;
            continue;
        }
        if (pos != key.len && n->cnt == maxima[n->kind])
            *at = n = node_turn(t, n, n->kind + 1u);
        hang(n, o, pos);
        return true;
    }
}

/* A node with one kid and no value gives way to the kid, if their paths fit into one. */
static void *collapse(struct trie *t, struct node *n)
{
    struct node4 *n4 = (struct node4 *)n;
    if (n->cnt == 0) {
        void *leaf = n->value == NULL ? NULL : leaf_of(n->value);
        node_give(t, n);
        return leaf;
    }
    if (n->cnt != 1 || n->value != NULL)
        return n;
    void *kid = n4->kids[0];
    if (!is_leaf(kid)) {
        struct node *below = kid;
        uint32_t len = n->skip_len + 1u + below->skip_len;
        if (len > SKIP_MAX)
            return n;
        memmove(below->skip + n->skip_len + 1, below->skip, below->skip_len);
        memcpy(below->skip, n->skip, n->skip_len);
        below->skip[n->skip_len] = n4->bytes[0];
        below->skip_len = (uint8_t)len;
    }
    node_give(t, n);
    return kid;
}

/* Shrinks with slack, so that a kid that comes and goes doesn't turn the node each time. */
static void *shrink(struct trie *t, struct node *n)
{
    static const uint16_t low[KINDS] = {0, 3, 12, 40};
    if (n->kind == NODE4)
        return collapse(t, n);
    return n->cnt <= low[n->kind] ? node_turn(t, n, n->kind - 1u) : n;
}

static void trie_remove(void *table, struct prefix_obj *o)
{
    struct trie *t = table;
    struct mcq_slice key = prefix_obj_key(o);
    void **at = &t->root;
    void **above = NULL;
    size_t pos = 0;
    while (!is_leaf(*at)) {
        struct node *n = *at;
        pos += n->skip_len;
        if (pos == key.len) {
            n->value = NULL;
            *at = shrink(t, n);
            return;
        }
        above = at;
        at = kid_at(n, key.ptr[pos++]);
    }
    if (above == NULL) {
        t->root = NULL;
        return;
    }
    kid_drop(*above, key.ptr[pos - 1]);
    *above = shrink(t, *above);
}

/* --- life ------------------------------------------------------------------------------------ */

static void trie_close(void *table)
{
    struct trie *t = table;
    mcq_arena_fini(&t->arena);
    free(t);
}

static void *trie_open(uint32_t cnt)
{
    struct trie *t = calloc(1, sizeof(*t));
    size_t len = (size_t)cnt * 160 + (1u << 20);
    if (t == NULL)
        return NULL;
    t->at = prefix_arena_open(&t->arena, len);
    if (t->at == NULL) {
        free(t);
        return NULL;
    }
    t->end = t->at + len;
    return t;
}

static size_t trie_bytes(void *table)
{
    const struct trie *t = table;
    return t->used;
}

const struct prefix_kind prefix_kind_trie = {"trie",     trie_open,  trie_insert, trie_remove,
                                             trie_match, trie_bytes, trie_close};
