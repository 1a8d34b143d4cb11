#include "mem/large.h"

#include "mem/poison.h"

#define PAGE_LEN 4096u

static uint32_t granules_in(size_t len)
{
    size_t cnt = len / MCQ_LARGE_GRANULE_LEN;
    MCQ_ASSERT(cnt < UINT32_MAX / 2);
    return (uint32_t)cnt;
}

static uint32_t run_cnt(uint32_t tag)
{
    return tag >> 1;
}

static bool run_used(uint32_t tag)
{
    return (tag & 1u) != 0;
}

static void tag_run(struct mcq_large *l, uint32_t first, uint32_t cnt, bool used)
{
    uint32_t tag = cnt << 1 | (used ? 1u : 0u);
    l->tags[first] = tag;
    l->tags[first + cnt - 1] = tag;
}

size_t mcq_large_footprint(size_t len)
{
    size_t cnt = granules_in(len);
    return PAGE_LEN + cnt * MCQ_LARGE_GRANULE_LEN + MCQ_CACHE_LINE + cnt * sizeof(uint32_t);
}

bool mcq_large_init(struct mcq_large *l, struct mcq_arena *arena, size_t len)
{
    uint32_t cnt = granules_in(len);
    size_t region_len = (size_t)cnt * MCQ_LARGE_GRANULE_LEN;
    l->granule_cnt = cnt;
    l->base = mcq_arena_carve(arena, region_len, PAGE_LEN);
    l->tags = mcq_arena_carve(arena, cnt * sizeof(uint32_t), MCQ_CACHE_LINE);
    if (l->base == NULL || l->tags == NULL)
        return false;
    if (cnt != 0)
        tag_run(l, 0, cnt, false);
    mcq_poison(l->base, region_len);
    return true;
}

static size_t granules_for(size_t len)
{
    size_t need = len / MCQ_LARGE_GRANULE_LEN + (len % MCQ_LARGE_GRANULE_LEN != 0);
    return mcq_max(need, 1);
}

static uint32_t granule_of(const struct mcq_large *l, const uint8_t *run)
{
    size_t offset = (size_t)((uintptr_t)run - (uintptr_t)l->base);
    MCQ_ASSERT(offset % MCQ_LARGE_GRANULE_LEN == 0 &&
               offset / MCQ_LARGE_GRANULE_LEN < l->granule_cnt);
    return (uint32_t)(offset / MCQ_LARGE_GRANULE_LEN);
}

uint8_t *mcq_large_take(struct mcq_large *l, size_t len, size_t *run_len)
{
    size_t need = granules_for(len);
    uint32_t at = 0;
    while (at < l->granule_cnt && (run_used(l->tags[at]) || run_cnt(l->tags[at]) < need))
        at += run_cnt(l->tags[at]);
    if (at == l->granule_cnt)
        return NULL;
    uint32_t cnt = (uint32_t)need;
    uint32_t left = run_cnt(l->tags[at]) - cnt;
    tag_run(l, at, cnt, true);
    if (left != 0)
        tag_run(l, at + cnt, left, false);
    *run_len = need * MCQ_LARGE_GRANULE_LEN;
    uint8_t *run = l->base + (size_t)at * MCQ_LARGE_GRANULE_LEN;
    mcq_unpoison(run, *run_len);
    return run;
}

bool mcq_large_grow(struct mcq_large *l, const uint8_t *run, size_t len, size_t *run_len)
{
    uint32_t first = granule_of(l, run);
    uint32_t cnt = run_cnt(l->tags[first]);
    uint32_t after = first + cnt;
    size_t need = granules_for(len);
    MCQ_ASSERT(run_used(l->tags[first]));
    if (need > cnt) {
        bool has_next = after < l->granule_cnt && !run_used(l->tags[after]);
        uint32_t next = has_next ? run_cnt(l->tags[after]) : 0;
        if (need - cnt > next)
            return false;
        uint32_t left = next - (uint32_t)(need - cnt);
        l->tags[after - 1] = 0;
        tag_run(l, first, (uint32_t)need, true);
        if (left != 0)
            tag_run(l, first + (uint32_t)need, left, false);
        mcq_unpoison(run + (size_t)cnt * MCQ_LARGE_GRANULE_LEN,
                     (need - cnt) * MCQ_LARGE_GRANULE_LEN);
        cnt = (uint32_t)need;
    }
    *run_len = (size_t)cnt * MCQ_LARGE_GRANULE_LEN;
    return true;
}

void mcq_large_give(struct mcq_large *l, const uint8_t *run)
{
    uint32_t first = granule_of(l, run);
    MCQ_ASSERT(run_used(l->tags[first]));
    uint32_t cnt = run_cnt(l->tags[first]);
    mcq_poison(run, (size_t)cnt * MCQ_LARGE_GRANULE_LEN);
    uint32_t after = first + cnt;
    /* tags inside a run are stale: cleared, so that a run given twice is seen */
    l->tags[first] = 0;
    if (after < l->granule_cnt && !run_used(l->tags[after]))
        cnt += run_cnt(l->tags[after]);
    if (first > 0 && !run_used(l->tags[first - 1])) {
        uint32_t before = run_cnt(l->tags[first - 1]);
        first -= before;
        cnt += before;
    }
    tag_run(l, first, cnt, false);
}
