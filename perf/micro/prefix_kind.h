/* prefix_kind: a way to keep prefixes, as mcq-micro compares them. All store the same objects, and
 * all find every stored prefix of a topic. */
#ifndef MCQ_PERF_MICRO_PREFIX_KIND_H
#define MCQ_PERF_MICRO_PREFIX_KIND_H

#include "prefix_keys.h"

struct prefix_kind {
    const char *name;
    /* Gives a table with room for cnt prefixes, all its memory faulted in. NULL: no memory. */
    void *(*open)(uint32_t cnt);
    bool (*insert)(void *table, struct prefix_obj *o); /* by the key that o has */
    void (*remove)(void *table, struct prefix_obj *o);
    /* Matches topics[from, from + cnt), modulo topic_cnt, each topic independent of the others or,
     * if chained, read only when the match before has given its object. Returns the matches. */
    uint64_t (*match)(void *table, const struct prefix_keys *k, uint64_t from, uint64_t cnt,
                      bool chained);
    size_t (*bytes)(void *table); /* in use, without the objects */
    void (*close)(void *table);
};

extern const struct prefix_kind prefix_kind_table; /* the library's */
extern const struct prefix_kind prefix_kind_scan;
extern const struct prefix_kind prefix_kind_trie;

/* The body of match: find(table, topic, &len) returns how many prefixes match, and adds their
 * lengths to len, so that each object was read. */
#define PREFIX_KIND_MATCH(find)                                                 \
    uint64_t matches = 0;                                                       \
    uint64_t end = from + cnt;                                                  \
    while (from != end) {                                                       \
        const struct prefix_topic *t = &k->topics[from++ & (k->topic_cnt - 1)]; \
        uint64_t len = 0;                                                       \
        matches += find(table, mcq_slice_of(t->bytes, t->len), &len);           \
        __asm__ volatile("" : "+r"(len));                                       \
        if (chained) {                                                          \
            len >>= 32; /* 0, but the processor has to wait for it */           \
            __asm__ volatile("add %1, %0" : "+r"(from) : "r"(len));             \
        }                                                                       \
    }                                                                           \
    return matches

#endif
