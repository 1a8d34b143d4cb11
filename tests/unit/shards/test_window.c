/* A window against a plain buffer, with blocks running out and with views of it kept; and the sizes
 * it may take. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "shards/window.h"

#define SEEDS 100u
#define OPS   600u
#define KEPT  16u

struct room {
    uint64_t seed, random;
    struct mcq_arena arena;
    struct mcq_mem_stats mem;
    struct mcq_buf_heap *heap;
    struct mcq_window w;
    uint8_t *model; /* what the window must hold */
    size_t len;
    uint64_t next; /* of the stream */
    struct mcq_buf *hoard[64];
    uint32_t hoard_cnt;
    struct {
        struct mcq_buf *buf;
        uint8_t *at, *copy;
        size_t len;
    } kept[KEPT];
};

#define want(r, x) cr_assert((x), "seed %llu: %s", (unsigned long long)(r)->seed, #x)
#define MODEL_LEN  (2u << 20)

static uint32_t below(struct room *r, uint32_t max)
{
    uint64_t z = (r->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    return (uint32_t)((z ^ (z >> 31)) % max);
}

static struct room *room_new(uint64_t seed)
{
    const struct mcq_buf_plan plan = {{8, 6, 6, 3}, 6 * MCQ_BUF_GRANULE_LEN, 8};
    struct room *r = calloc(1, sizeof(*r));
    r->seed = seed;
    r->random = seed * 104729;
    r->model = malloc(MODEL_LEN);
    cr_assert_eq(
        mcq_arena_init(&r->arena, mcq_buf_heap_footprint(&plan) + 65536, MCQ_NODE_ANY, NULL),
        MCQ_OK);
    r->heap = mcq_buf_heap_init(&r->arena, &plan, &r->mem);
    cr_assert_not_null(r->heap);
    return r;
}

static void give_back(struct room *r)
{
    while (r->hoard_cnt != 0)
        mcq_buf_unref(r->heap, r->hoard[--r->hoard_cnt]);
}

static void unkeep(struct room *r, uint32_t i)
{
    if (r->kept[i].buf == NULL)
        return;
    want(r, memcmp(r->kept[i].at, r->kept[i].copy, r->kept[i].len) == 0);
    mcq_buf_unref(r->heap, r->kept[i].buf);
    free(r->kept[i].copy);
    r->kept[i].buf = NULL;
}

static void room_end(struct room *r)
{
    give_back(r);
    for (uint32_t i = 0; i < KEPT; i++)
        unkeep(r, i);
    mcq_window_drop(r->heap, &r->w);
    want(r, mcq_buf_heap_in_use(r->heap) == 0);
    mcq_arena_fini(&r->arena);
    free(r->model);
    free(r);
}

static void check(struct room *r)
{
    struct mcq_slice s = mcq_window_slice(&r->w);
    want(r, s.len == r->len);
    want(r, r->len == 0 || memcmp(s.ptr, r->model, r->len) == 0);
    if (r->w.buf == NULL) {
        want(r, mcq_window_room(&r->w) == 0);
        return;
    }
    want(r, r->w.off + r->w.len <= r->w.buf->cap);
    want(r, r->w.buf->written >= r->w.off + r->w.len);
    want(r, mcq_window_room(&r->w) == r->w.buf->cap - r->w.off - r->w.len);
}

static void append(struct room *r)
{
    static uint8_t bytes[70000];
    size_t len = below(r, 3) == 0 ? below(r, 70000) : below(r, 2000);
    uint64_t need = below(r, 3) == 0 ? below(r, 300000) : 0;
    if (r->len + len > 600000)
        return;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)((r->next + i) * 31 >> 3);
    if (!mcq_window_append(r->heap, &r->w, mcq_slice_of(bytes, len), need))
        return; /* nothing changed: the check that follows tells */
    memcpy(r->model + r->len, bytes, len);
    r->len += len;
    r->next += len;
}

static void reserve(struct room *r)
{
    size_t more = below(r, 2) == 0 ? below(r, 400000) : below(r, 40000);
    if (mcq_window_reserve(r->heap, &r->w, more))
        want(r, mcq_window_room(&r->w) >= more || more == 0);
}

static void consume(struct room *r)
{
    size_t n = below(r, 3) == 0 ? r->len : below(r, (uint32_t)r->len + 1);
    bool to_end = n == r->len;
    mcq_window_consume(r->heap, &r->w, n);
    memmove(r->model, r->model + n, r->len - n);
    r->len -= n;
    want(r, !to_end || r->w.buf == NULL); /* an idle session holds no block */
}

/* The user keeps a view of it: it must not change any more. */
static void keep(struct room *r)
{
    uint32_t i = below(r, KEPT);
    unkeep(r, i);
    if (r->len == 0)
        return;
    size_t off = below(r, (uint32_t)r->len);
    size_t len = 1 + below(r, (uint32_t)(r->len - off));
    mcq_buf_ref(r->heap, r->w.buf);
    r->kept[i].buf = r->w.buf;
    r->kept[i].at = r->w.buf->base + r->w.off + off;
    r->kept[i].len = len;
    r->kept[i].copy = malloc(len);
    memcpy(r->kept[i].copy, r->kept[i].at, len);
}

static void hoard(struct room *r)
{
    static const size_t lens[] = {512, 4096, MCQ_BUF_RX_LEN, 200000, MCQ_BUF_LARGE_MIN};
    give_back(r);
    size_t len = lens[below(r, 5)];
    struct mcq_buf *b;
    while (below(r, 2) == 0 && r->hoard_cnt < 64 && (b = mcq_buf_take(r->heap, len)) != NULL)
        r->hoard[r->hoard_cnt++] = b;
}

Test(window, random_against_a_buffer)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct room *r = room_new(seed);
        for (uint32_t i = 0; i < OPS; i++) {
            switch (below(r, 8)) {
            case 0:
            case 1:
            case 2:
                append(r);
                break;
            case 3:
            case 4:
                consume(r);
                break;
            case 5:
                reserve(r);
                break;
            case 6:
                keep(r);
                break;
            default:
                hoard(r);
                break;
            }
            check(r);
        }
        room_end(r);
    }
}

/* A block is sized by what was received, whatever is announced. */
Test(window, announced_bytes_take_no_room)
{
    struct room *r = room_new(1);
    static const uint8_t bytes[40000];
    cr_assert(mcq_window_append(r->heap, &r->w, mcq_slice_of(bytes, 9), UINT64_MAX));
    cr_assert_leq(r->w.buf->cap, 512);
    mcq_window_drop(r->heap, &r->w);
    cr_assert(mcq_window_append(r->heap, &r->w, mcq_slice_of(bytes, 3000), 60000000));
    cr_assert_leq(r->w.buf->cap, 32768);
    mcq_window_drop(r->heap, &r->w);
    cr_assert(mcq_window_append(r->heap, &r->w, mcq_slice_of(bytes, 40000), 60000000));
    cr_assert_leq(r->w.buf->cap, 262144);
    room_end(r);
}

/* No block for it: nothing has changed, and what is there can still be consumed. */
Test(window, without_a_block_nothing_changes)
{
    struct room *r = room_new(1);
    static const uint8_t bytes[200000];
    cr_assert(mcq_window_append(r->heap, &r->w, mcq_slice_of("hello", 5), 0));
    struct mcq_window before = r->w;
    for (size_t len = 200000; len <= MCQ_BUF_LARGE_MIN; len += MCQ_BUF_LARGE_MIN - 200000)
        for (struct mcq_buf *b; (b = mcq_buf_take(r->heap, len)) != NULL;)
            r->hoard[r->hoard_cnt++] = b;
    cr_assert_not(mcq_window_append(r->heap, &r->w, mcq_slice_of(bytes, 200000), 100000));
    cr_assert_not(mcq_window_reserve(r->heap, &r->w, 100000));
    cr_assert_eq(r->w.buf, before.buf);
    cr_assert_eq(r->w.off, before.off);
    cr_assert_eq(r->w.len, before.len);
    cr_assert_eq(memcmp(mcq_window_slice(&r->w).ptr, "hello", 5), 0);
    mcq_window_consume(r->heap, &r->w, 5);
    cr_assert_null(r->w.buf);
    room_end(r);
}
