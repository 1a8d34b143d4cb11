/* A linear scan: the first 8 bytes of every prefix and what of them counts, side by side; whoever
 * agrees there is compared in full. */
#include "prefix_kind.h"

#include <stdlib.h>
#include <string.h>

struct scan {
    struct mcq_arena arena;
    uint64_t *heads, *masks;
    struct prefix_obj **objs;
    uint32_t cnt;
};

static void scan_close(void *table)
{
    struct scan *t = table;
    mcq_arena_fini(&t->arena);
    free(t);
}

static void *scan_open(uint32_t cnt)
{
    struct scan *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return NULL;
    uint8_t *at = prefix_arena_open(&t->arena, (size_t)cnt * 24);
    if (at == NULL) {
        free(t);
        return NULL;
    }
    t->heads = (void *)at;
    t->masks = t->heads + cnt;
    t->objs = (void *)(t->masks + cnt);
    return t;
}

static bool scan_insert(void *table, struct prefix_obj *o)
{
    struct scan *t = table;
    struct mcq_slice key = prefix_obj_key(o);
    t->heads[t->cnt] = mcq_slice_head(key, 0);
    t->masks[t->cnt] = key.len >= 8 ? UINT64_MAX : ~(UINT64_MAX >> 8 * key.len);
    t->objs[t->cnt++] = o;
    return true;
}

static void scan_remove(void *table, struct prefix_obj *o)
{
    struct scan *t = table;
    uint32_t i = 0;
    while (t->objs[i] != o)
        i++;
    t->cnt--;
    t->heads[i] = t->heads[t->cnt];
    t->masks[i] = t->masks[t->cnt];
    t->objs[i] = t->objs[t->cnt];
}

static inline uint64_t find(void *table, struct mcq_slice topic, uint64_t *len)
{
    const struct scan *t = table;
    uint64_t head = mcq_slice_head(topic, 0);
    uint64_t cnt = 0;
    for (uint32_t i = 0; i < t->cnt; i++) {
        if (MCQ_LIKELY(((head ^ t->heads[i]) & t->masks[i]) != 0))
            continue;
        struct mcq_slice key = prefix_obj_key(t->objs[i]);
        if (key.len <= topic.len && memcmp(key.ptr, topic.ptr, key.len) == 0) {
            *len += key.len;
            cnt++;
        }
    }
    return cnt;
}

static uint64_t scan_match(void *table, const struct prefix_keys *k, uint64_t from, uint64_t cnt,
                           bool chained)
{
    PREFIX_KIND_MATCH(find);
}

static size_t scan_bytes(void *table)
{
    const struct scan *t = table;
    return t->cnt * (size_t)24;
}

const struct prefix_kind prefix_kind_scan = {"scan",     scan_open,  scan_insert, scan_remove,
                                             scan_match, scan_bytes, scan_close};
