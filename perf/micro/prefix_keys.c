#include "prefix_keys.h"

#include <stdlib.h>
#include <string.h>

uint64_t prefix_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed * UINT64_C(0x2545f4914f6cdd1d);
}

uint8_t *prefix_arena_open(struct mcq_arena *a, size_t len)
{
    if (mcq_arena_init(a, len + MCQ_CACHE_LINE, MCQ_NODE_ANY, NULL) != MCQ_OK)
        return NULL;
    uint8_t *at = mcq_arena_carve(a, len, MCQ_CACHE_LINE);
    mcq_arena_seal(a, false, NULL);
    return at;
}

struct key {
    uint8_t len;
    uint8_t bytes[PREFIX_KEY_MAX];
};

static int compare(const void *a, const void *b)
{
    const struct key *x = a;
    const struct key *y = b;
    int c = memcmp(x->bytes, y->bytes, x->len < y->len ? x->len : y->len);
    return c != 0 ? c : x->len - y->len;
}

static bool encloses(const struct key *a, const struct key *b)
{
    return a->len <= b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* Sorted; whoever is a prefix of another is one of the next. Returns how many are left. */
static uint32_t drop_nested(struct key *keys, uint32_t cnt)
{
    uint32_t kept = 0;
    qsort(keys, cnt, sizeof(*keys), compare);
    for (uint32_t i = 0; i < cnt; i++)
        if (i + 1 == cnt || !encloses(&keys[i], &keys[i + 1]))
            keys[kept++] = keys[i];
    return kept;
}

static void shuffle(struct key *keys, uint32_t cnt, uint64_t *seed)
{
    for (uint32_t i = cnt; i > 1; i--) {
        uint32_t j = (uint32_t)(prefix_random(seed) % i);
        struct key swap = keys[j];
        keys[j] = keys[i - 1];
        keys[i - 1] = swap;
    }
}

static void fill(struct prefix_keys *k, uint32_t cnt)
{
    uint32_t spare = cnt + cnt / 100 + 16;
    struct key *keys = malloc(spare * sizeof(*keys));
    for (uint32_t i = 0; keys != NULL && i < spare; i++) {
        keys[i].len = (uint8_t)(PREFIX_KEY_MIN +
                                prefix_random(&k->seed) % (PREFIX_KEY_MAX - PREFIX_KEY_MIN + 1));
        for (uint32_t j = 0; j < keys[i].len; j++)
            keys[i].bytes[j] = (uint8_t)(prefix_random(&k->seed) >> 32);
    }
    uint32_t kept = keys == NULL ? 0 : drop_nested(keys, spare);
    shuffle(keys, kept, &k->seed);
    k->cnt = kept < cnt ? kept : cnt;
    for (uint32_t i = 0; i < k->cnt; i++) {
        k->objs[i].node = (struct mcq_prefix){.len = keys[i].len};
        memcpy(k->objs[i].node.bytes, keys[i].bytes, keys[i].len);
    }
    free(keys);
}

bool prefix_keys_open(struct prefix_keys *k, uint32_t cnt)
{
    *k = (struct prefix_keys){.seed = 88172645463325252u, .topic_cnt = 65536};
    while (k->topic_cnt < cnt)
        k->topic_cnt *= 2;
    size_t objs_len = cnt * sizeof(*k->objs);
    uint8_t *at = prefix_arena_open(&k->arena, objs_len + k->topic_cnt * sizeof(*k->topics));
    if (at == NULL)
        return false;
    k->objs = (void *)at;
    k->topics = (void *)(at + objs_len);
    fill(k, cnt);
    return k->cnt == cnt;
}

void prefix_keys_close(struct prefix_keys *k)
{
    mcq_arena_fini(&k->arena);
}

void prefix_keys_ask(struct prefix_keys *k, uint32_t cnt)
{
    for (uint32_t i = 0; i < k->topic_cnt; i++) {
        struct mcq_slice key = prefix_obj_key(&k->objs[prefix_random(&k->seed) % cnt]);
        struct prefix_topic *t = &k->topics[i];
        t->len = (uint8_t)(key.len + prefix_random(&k->seed) % (PREFIX_TOPIC_MAX - PREFIX_KEY_MAX));
        memcpy(t->bytes, key.ptr, key.len);
        for (size_t j = key.len; j < t->len; j++)
            t->bytes[j] = (uint8_t)(prefix_random(&k->seed) >> 32);
    }
}
