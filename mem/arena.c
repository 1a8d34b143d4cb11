#include "mem/arena.h"

#include <stdio.h>

#include "mem/os_mem.h"
#include "mem/poison.h"

enum mcq_error mcq_arena_init(struct mcq_arena *a, size_t cap, int node, struct mcq_detail *detail)
{
    return mcq_arena_init_on(a, cap, node, MCQ_NODE_PREFER, detail);
}

enum mcq_error mcq_arena_init_on(struct mcq_arena *a, size_t cap, int node,
                                 enum mcq_node_policy policy, struct mcq_detail *detail)
{
    struct mcq_os_map map = {.node = node, .policy = policy};
    *a = (struct mcq_arena){.node = node, .node_percent = -1};
    enum mcq_error err = mcq_os_map(cap, &map, detail);
    if (err != MCQ_OK)
        return err;
    a->base = map.base;
    a->cap = cap;
    a->pages = map.pages;
    a->bind = map.bind;
    a->bind_failed = map.bind.code != MCQ_OK;
    mcq_poison(a->base, a->cap);
    return MCQ_OK;
}

void *mcq_arena_carve(struct mcq_arena *a, size_t len, size_t align)
{
    MCQ_ASSERT(!a->sealed);
    MCQ_ASSERT(align != 0 && (align & (align - 1)) == 0);
    size_t pad = (size_t)(-((uintptr_t)a->base + a->used)) & (align - 1);
    if (pad > a->cap - a->used || len > a->cap - a->used - pad)
        return NULL;
    uint8_t *at = a->base + a->used + pad;
    a->used += pad + len;
    mcq_unpoison(at, len);
    return at;
}

void mcq_arena_seal(struct mcq_arena *a, bool lock, struct mcq_detail *detail)
{
    MCQ_ASSERT(!a->sealed);
    mcq_os_populate(a->base, a->cap);
    if (a->pages == MCQ_PAGES_THP && !mcq_os_thp_obtained(a->base))
        a->pages = MCQ_PAGES_4K;
    a->node_percent = mcq_os_node_percent(a->base, a->cap, a->node);
    a->locked = lock && mcq_os_lock(a->base, a->cap, detail);
    a->sealed = true;
}

const char *mcq_arena_where(const struct mcq_arena *a, char where[MCQ_ARENA_WHERE_LEN])
{
    if (a->node == MCQ_NODE_ANY)
        return "on any node";
    if (a->node_percent < 0)
        snprintf(where, MCQ_ARENA_WHERE_LEN, "node %d wanted", a->node);
    else
        snprintf(where, MCQ_ARENA_WHERE_LEN, "node %d, %d %% of pages there", a->node,
                 a->node_percent);
    return where;
}

void mcq_arena_fini(struct mcq_arena *a)
{
    if (a->base == NULL)
        return;
    mcq_unpoison(a->base, a->cap);
    mcq_os_unmap(a->base, a->cap);
    *a = (struct mcq_arena){.node = a->node};
}
