/* Bufs: refcounted blocks of one shard, and the heap they come from.
 *
 * Life:   free --take--> held --counts reach zero--> free
 *
 *   app_cnt      references of the application's side: the session's window, views kept by the
 *                user, transmit queues
 *   tx_cnt       the kernel reads it for a send, until the completion
 *   kernel       a receive block is in the buffer ring (the kernel writes into it). Incremental
 *                blocks are the kernel's and the application's at once
 *   written      bytes [0, written) are visible; nobody reads past it (law 2)
 *
 * A buf is freed in exactly one function (consider_free in buf.c) when app_cnt == 0, tx_cnt == 0
 * and !kernel. Counts are plain and belong to the owner shard's thread. The five laws and the
 * tests that attack them: mem/INVARIANTS.md.
 *
 * Sizes: classes of fixed blocks, each a named pool, and a region of large runs (granules of
 * 256 KiB, first fit) for bodies that are bigger. External bufs describe memory of the user's.
 */
#ifndef MCQ_MEM_BUF_H
#define MCQ_MEM_BUF_H

#include <monocoque/msg.h>
#include <monocoque/stats.h>

#include "mem/pool.h"

enum mcq_buf_class {
    MCQ_BUF_512 = 0, /* kept small messages, control bytes */
    MCQ_BUF_4K,      /* first transmit block of a pipe, small residues */
    MCQ_BUF_32K,     /* receive ring blocks, transmit blocks, residues */
    MCQ_BUF_256K,    /* residues of larger messages */
    MCQ_BUF_LARGE,   /* a run of the large region */
    MCQ_BUF_EXTERNAL /* memory of the user's */
};
#define MCQ_BUF_POOL_CNT      4u /* the classes that are pools */
#define MCQ_BUF_RX_LEN        32768u
#define MCQ_BUF_LARGE_MIN     262144u /* bytes; smaller goes to the pools */
#define MCQ_BUF_GRANULE_LEN   262144u
#define MCQ_BUF_KEEP_COPY_MAX 4096u /* messages up to this are copied by keep */

struct mcq_buf {
    uint8_t *base; /* cap bytes; stable for the buf's life */
    size_t cap;
    size_t written;
    uint32_t app_cnt;
    uint32_t tx_cnt;
    uint32_t idx;         /* position in the heap's table: what mcq_msg.owner names */
    uint8_t cls;          /* enum mcq_buf_class */
    bool kernel;          /* receive block in the buffer ring */
    bool pinned;          /* counted in pinned_now */
    bool rx;              /* taken as a receive block */
    uint32_t parent;      /* idx + 1 of the buf this one's frames point into, 0 if none */
    mcq_free_fn *free_fn; /* EXTERNAL */
    void *free_hint;
};

/* How many blocks of each class, how much for large bodies; shapes the footprint. */
struct mcq_buf_plan {
    uint32_t cnt[MCQ_BUF_POOL_CNT];
    size_t large_bytes;    /* multiple of the granule */
    uint32_t external_cnt; /* descriptors for LARGE and EXTERNAL */
};

struct mcq_buf_heap; /* opaque outside mem/; carved from the arena */

/* What the heap begins with, for the inline functions below alone. */
struct mcq_buf_table {
    struct mcq_buf *bufs;
    uint32_t cnt;
};

/* Bytes of arena the plan needs. */
size_t mcq_buf_heap_footprint(const struct mcq_buf_plan *plan);
/* Gives the heap, NULL if the arena is too small. stats: borrowed for the heap's life. */
struct mcq_buf_heap *mcq_buf_heap_init(struct mcq_arena *arena, const struct mcq_buf_plan *plan,
                                       struct mcq_mem_stats *stats);
/* The last cnt free blocks of 32 KiB are mcq_buf_take_rx's alone [0]. */
void mcq_buf_heap_reserve_rx(struct mcq_buf_heap *h, uint32_t cnt);
/* Blocks of 32 KiB that mcq_buf_take can still give. */
uint32_t mcq_buf_heap_left(const struct mcq_buf_heap *h);
/* Asserts nothing; returns how many bufs are still in use (0 at a clean end). */
uint32_t mcq_buf_heap_in_use(const struct mcq_buf_heap *h);
/* The pool behind a class in [0, MCQ_BUF_POOL_CNT): its name, size and counters, for printing. */
const struct mcq_pool *mcq_buf_heap_pool(const struct mcq_buf_heap *h, unsigned cls);

/* Gives a buf of at least len bytes, app_cnt 1, written 0: of the smallest class that fits or, if
 * that one is empty, of the next; a large run from MCQ_BUF_LARGE_MIN up. NULL if there is none:
 * counted. */
struct mcq_buf *mcq_buf_take(struct mcq_buf_heap *h, size_t len);
/* Makes b at least len bytes long where it is: views stay good. false: it is no large run, or what
 * follows it isn't free. O(1). */
MCQ_MUST_USE bool mcq_buf_grow(struct mcq_buf_heap *h, struct mcq_buf *b, size_t len);
/* Blocks of 256 KiB are running out: half of them are in use. */
bool mcq_buf_heap_scarce(const struct mcq_buf_heap *h);
/* While on, a take that finds no block of 256 KiB may use all of the large region, not just half:
 * for one whose memory is about to come back. */
void mcq_buf_heap_urgent(struct mcq_buf_heap *h, bool on);
/* The largest body there can be a block for. */
size_t mcq_buf_heap_len_max(const struct mcq_buf_heap *h);
/* Gives a receive block: 32 KiB, app_cnt 0, kernel true: it is about to go into the ring. Poisoned
 * until mcq_buf_filled: a simulated kernel must fill it before it copies into it. */
struct mcq_buf *mcq_buf_take_rx(struct mcq_buf_heap *h);
/* Gives an external buf over data[0, len), app_cnt 1. */
struct mcq_buf *mcq_buf_take_external(struct mcq_buf_heap *h, const void *data, size_t len,
                                      mcq_free_fn *free_fn, void *hint);

static inline bool mcq_buf_live(const struct mcq_buf *b)
{
    return (b->app_cnt | b->tx_cnt | (uint32_t)b->kernel) != 0;
}

static inline void mcq_buf_ref(struct mcq_buf_heap *h, struct mcq_buf *b)
{
    (void)h;
    MCQ_DASSERT(mcq_buf_live(b));
    b->app_cnt++;
}

void mcq_buf_unref(struct mcq_buf_heap *h, struct mcq_buf *b);
void mcq_buf_tx_ref(struct mcq_buf_heap *h, struct mcq_buf *b);
void mcq_buf_tx_unref(struct mcq_buf_heap *h, struct mcq_buf *b);
/* The kernel wrote len more bytes: they become visible (unpoisoned). */
void mcq_buf_filled(struct mcq_buf_heap *h, struct mcq_buf *b, size_t len);
/* The kernel won't touch it again. */
void mcq_buf_kernel_done(struct mcq_buf_heap *h, struct mcq_buf *b);

static inline struct mcq_buf *mcq_buf_at(const struct mcq_buf_heap *h, uint32_t idx)
{
    const void *head = h;
    const struct mcq_buf_table *t = head;
    MCQ_DASSERT(idx < t->cnt);
    return &t->bufs[idx];
}

/* --- owner word of struct mcq_msg: 0 = the caller's own bytes ----------------------------------
 */
#define MCQ_OWNER_OWNED 0x80000000u /* the message holds one app reference */

static inline uint32_t mcq_owner_borrowed(const struct mcq_buf *b)
{
    return b->idx + 1;
}

/* The buf an owner word names, NULL for the caller's own bytes. */
static inline struct mcq_buf *mcq_owner_buf(const struct mcq_buf_heap *h, uint32_t owner)
{
    uint32_t nr = owner & ~MCQ_OWNER_OWNED;
    return nr == 0 ? NULL : mcq_buf_at(h, nr - 1);
}

/* The work behind mcq_msg_keep / mcq_msg_from_memory / mcq_msg_drop (public contract there).
 * pin_max: bytes of receive blocks that kept messages may pin. */
MCQ_MUST_USE enum mcq_error mcq_buf_msg_keep(struct mcq_buf_heap *h, size_t pin_max,
                                             const struct mcq_msg *src, struct mcq_msg *kept);
MCQ_MUST_USE enum mcq_error mcq_buf_msg_external(struct mcq_buf_heap *h, const void *data,
                                                 size_t len, mcq_free_fn *free_fn, void *hint,
                                                 struct mcq_msg *msg);
void mcq_buf_msg_drop(struct mcq_buf_heap *h, struct mcq_msg *msg);

#endif
