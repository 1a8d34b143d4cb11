#include "mem/pool.h"

#include "mem/poison.h"

#define OBJ_ALIGN 16u /* of every length */
#define PAGE_LEN  4096u

/* Blocks of whole pages start on a page: the kernel's copies then cross as few as possible. */
static size_t base_align(size_t obj_len)
{
    return obj_len % PAGE_LEN == 0 ? PAGE_LEN : MCQ_CACHE_LINE;
}

size_t mcq_pool_footprint(size_t obj_len, uint32_t max)
{
    size_t len = mcq_align_up(obj_len, OBJ_ALIGN);
    size_t objs = base_align(len) + len * max;
    return objs + MCQ_CACHE_LINE + (sizeof(uint32_t) + sizeof(uint8_t)) * max;
}

bool mcq_pool_init(struct mcq_pool *p, const char *name, struct mcq_arena *arena, size_t obj_len,
                   uint32_t max)
{
    MCQ_ASSERT(obj_len != 0);
    size_t len = mcq_align_up(obj_len, OBJ_ALIGN);
    *p = (struct mcq_pool){.name = name, .obj_len = len, .max = max, .free_cnt = max};
    p->obj_inv = UINT64_MAX / (len / 8) + 1;
    p->base = mcq_arena_carve(arena, len * max, base_align(len));
    p->free_idx = mcq_arena_carve(arena, sizeof(uint32_t) * max, MCQ_CACHE_LINE);
    p->taken = mcq_arena_carve(arena, max, 1);
    if (p->base == NULL || p->free_idx == NULL || p->taken == NULL)
        return false;
    for (uint32_t i = 0; i < max; i++)
        p->free_idx[i] = max - 1 - i;
    mcq_poison(p->base, len * max);
    return true;
}

void *mcq_pool_take(struct mcq_pool *p)
{
    if (MCQ_UNLIKELY(p->free_cnt == 0)) {
        p->empty_cnt++;
        return NULL;
    }
    uint32_t idx = p->free_idx[--p->free_cnt];
    p->taken[idx] = 1;
    if (++p->in_use > p->in_use_peak)
        p->in_use_peak = p->in_use;
    uint8_t *obj = p->base + idx * p->obj_len;
    mcq_unpoison(obj, p->obj_len);
    return obj;
}

/* Always checked: an object given twice would later be two objects in one place. */
void mcq_pool_give(struct mcq_pool *p, void *obj)
{
    uint32_t idx = mcq_pool_idx(p, obj);
    MCQ_ASSERT(p->taken[idx] != 0);
    p->taken[idx] = 0;
    p->free_idx[p->free_cnt++] = idx;
    p->in_use--;
    mcq_poison(obj, p->obj_len);
}

/* Multiplies by the inverse, a quarter of the cost of dividing: exact for a multiple of obj_len,
 * and anything else fails the assert. */
uint32_t mcq_pool_idx(const struct mcq_pool *p, const void *obj)
{
    uint64_t offset = (uint64_t)((uintptr_t)obj - (uintptr_t)p->base);
    uint64_t idx = (uint64_t)(((unsigned __int128)(offset / 8) * p->obj_inv) >> 64);
    MCQ_ASSERT(idx < p->max && idx * p->obj_len == offset);
    return (uint32_t)idx;
}

void *mcq_pool_at(const struct mcq_pool *p, uint32_t idx)
{
    MCQ_ASSERT(idx < p->max);
    return p->base + idx * p->obj_len;
}
