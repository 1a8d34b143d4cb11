/* RAW: atomics and byte-addressed records between two threads; sound because of the two rules
 * below; shards/mesh.c, shards/port.c and their tests call.
 *
 * Spsc: a ring of byte records from one thread to one other. A record is a header of 8 bytes
 * {u16 len, u16 kind, u32 tag} and len bytes of body, aligned to 8, contiguous: what doesn't fit
 * before the ring's end begins at its start again, behind a pad record that the consumer skips.
 *
 *      positions run freely (bytes, 64 bits, they may wrap); position & mask is the place in data
 *
 *           head                      published           tail
 *            |  records to be taken     |  withheld         |
 *      ------[hdr body][hdr body][hdr body][0   body][hdr body][0 ......
 *
 * Rule 1, what is there. There is no shared tail: the header itself says it. The slot at the tail
 * always holds 0, which no header is (kind is never 0), since each commit writes a 0 behind its
 * record before anybody can get there. Of several committed records the first one's header is
 * withheld; publish stores it, with release, and so shows all of them at once. A consumer that
 * sees a header (acquire) sees its body, and behind the last record finds a 0. A lone record thus
 * crosses with the one cache line it is in; a tail of its own would be a second transfer.
 * Rule 2, what may be overwritten. The consumer stores its head (release) when it is done with
 * everything before it; the producer writes no further than a full ring past the head it loaded
 * last (acquire), and loads it only when that one doesn't do.
 *
 * The shared head and the producer's `waits` stand 128 bytes apart (CPUs fetch lines in pairs);
 * the two sides' own fields are in memory of their own (struct mcq_spsc_tx, struct mcq_spsc_rx).
 *
 * Thread: tx the producer's, rx the consumer's. Cost: no atomic read-modify-write, no fence.
 */
#ifndef MCQ_SHARDS_SPSC_H
#define MCQ_SHARDS_SPSC_H

#include <string.h>

#include "mem/base.h"

#define MCQ_SPSC_APART    128u  /* bytes between what two cores write */
#define MCQ_SPSC_BODY_MAX 1024u /* bytes of a record */
#define MCQ_SPSC_LEN_MIN  4096u /* of a ring that any record fits in, wherever it begins */
#define MCQ_SPSC_HDR_LEN  8u
#define MCQ_SPSC_PAD      0xFFFFu /* kind of the records that fill the end */

/* The part both sides see; ring memory begins with it, data follows. */
struct mcq_spsc {
    /* The consumer's: everything before it may be overwritten. */
    _Alignas(MCQ_SPSC_APART) uint64_t head;
    /* The producer's: 0, or (position | 1) that the head has to reach before it wants to know. */
    _Alignas(MCQ_SPSC_APART) uint64_t waits;
    _Alignas(MCQ_SPSC_APART) uint8_t data[];
};

struct mcq_spsc_tx {
    uint8_t *data;
    uint64_t mask;
    uint64_t tail;     /* where the next record goes */
    uint64_t limit;    /* it may reach up to here: last loaded head + length of the ring */
    uint64_t first;    /* where the withheld header goes ... */
    uint64_t withheld; /* ... and that header; 0: nothing is unpublished */
};

struct mcq_spsc_rx {
    uint8_t *data;
    uint64_t mask;
    uint64_t head; /* the record that is looked at next */
};

/* A record that is there. body: borrowed until release. */
struct mcq_spsc_view {
    const void *body;
    uint32_t len, tag;
    uint16_t kind;
};

/* Bytes of ring memory for len bytes of data, a power of two. */
static inline size_t mcq_spsc_footprint(size_t len)
{
    return sizeof(struct mcq_spsc) + len;
}

/* ring: zeroed, aligned to MCQ_SPSC_APART, borrowed by both sides. start: first position, a
 * multiple of 8; 0 but for tests. Before the threads that use it know of it. */
static inline void mcq_spsc_init(struct mcq_spsc *ring, size_t len, uint64_t start,
                                 struct mcq_spsc_tx *tx, struct mcq_spsc_rx *rx)
{
    MCQ_ASSERT(len >= MCQ_CACHE_LINE && (len & (len - 1)) == 0 && start % MCQ_SPSC_HDR_LEN == 0);
    ring->head = start;
    *tx = (struct mcq_spsc_tx){
        .data = ring->data, .mask = len - 1, .tail = start, .limit = start + len};
    *rx = (struct mcq_spsc_rx){.data = ring->data, .mask = len - 1, .head = start};
}

static inline uint64_t *mcq_spsc_slot(uint8_t *data, uint64_t at)
{
    void *slot = data + at;
    return slot;
}

/* The shared part stands before the data. */
static inline struct mcq_spsc *mcq_spsc_of(uint8_t *data)
{
    void *ring = data - offsetof(struct mcq_spsc, data);
    return ring;
}

static inline uint64_t mcq_spsc_hdr(uint32_t kind, uint32_t tag, size_t len)
{
    return (uint64_t)tag << 32 | (uint64_t)kind << 16 | len;
}

/* Bytes that a record with len bytes of body takes. */
static inline uint64_t mcq_spsc_record_len(size_t len)
{
    return mcq_align_up(MCQ_SPSC_HDR_LEN + len, MCQ_SPSC_HDR_LEN);
}

/* --- producer ------------------------------------------------------------------------------ */

/* Puts a header at the tail and ends the ring behind its record. */
static inline void mcq_spsc_put(struct mcq_spsc_tx *tx, uint64_t hdr, uint64_t record_len)
{
    uint64_t next = tx->tail + record_len;
    __atomic_store_n(mcq_spsc_slot(tx->data, next & tx->mask), 0, __ATOMIC_RELAXED);
    if (tx->withheld == 0) {
        tx->withheld = hdr;
        tx->first = tx->tail;
    } else {
        __atomic_store_n(mcq_spsc_slot(tx->data, tx->tail & tx->mask), hdr, __ATOMIC_RELAXED);
    }
    tx->tail = next;
}

/* Whether positions up to `end` may be written; looks at the consumer's head if it must. */
static inline bool mcq_spsc_reaches(struct mcq_spsc_tx *tx, uint64_t end)
{
    if (MCQ_LIKELY((int64_t)(tx->limit - end) >= 0))
        return true;
    tx->limit = __atomic_load_n(&mcq_spsc_of(tx->data)->head, __ATOMIC_ACQUIRE) + tx->mask + 1;
    return (int64_t)(tx->limit - end) >= 0;
}

/* Room for a body of len <= MCQ_SPSC_BODY_MAX bytes, aligned to 8, to be written before the commit;
 * NULL: the ring is full. One reservation at a time; one that isn't committed costs nothing. */
static inline void *mcq_spsc_reserve(struct mcq_spsc_tx *tx, size_t len)
{
    MCQ_DASSERT(len <= MCQ_SPSC_BODY_MAX);
    uint64_t record_len = mcq_spsc_record_len(len);
    uint64_t left = tx->mask + 1 - (tx->tail & tx->mask); /* before the ring's end */
    uint64_t pad_len = MCQ_LIKELY(record_len <= left) ? 0 : left;
    if (MCQ_UNLIKELY(!mcq_spsc_reaches(tx, tx->tail + pad_len + record_len + MCQ_SPSC_HDR_LEN)))
        return NULL;
    if (MCQ_UNLIKELY(pad_len != 0))
        mcq_spsc_put(tx, mcq_spsc_hdr(MCQ_SPSC_PAD, 0, left - MCQ_SPSC_HDR_LEN), left);
    return tx->data + (tx->tail & tx->mask) + MCQ_SPSC_HDR_LEN;
}

/* The reserved record is complete; hdr: mcq_spsc_hdr with the reserved length or less. It stays
 * unseen until publish. */
static inline void mcq_spsc_commit(struct mcq_spsc_tx *tx, uint64_t hdr)
{
    MCQ_DASSERT((hdr >> 16 & 0xFFFF) != 0 && (hdr >> 16 & 0xFFFF) != MCQ_SPSC_PAD);
    mcq_spsc_put(tx, hdr, mcq_spsc_record_len(hdr & 0xFFFF));
}

/* Shows everything that was committed. */
static inline void mcq_spsc_publish(struct mcq_spsc_tx *tx)
{
    if (tx->withheld == 0)
        return;
    __atomic_store_n(mcq_spsc_slot(tx->data, tx->first & tx->mask), tx->withheld, __ATOMIC_RELEASE);
    tx->withheld = 0;
}

/* The head from which on any record fits: half of the ring is free, or twice the largest (one may
 * need as much padding as it is long), or all of it. */
static inline uint64_t mcq_spsc_room_at(const struct mcq_spsc_tx *tx)
{
    size_t len = (size_t)tx->mask + 1;
    size_t most = 2 * (size_t)mcq_spsc_record_len(MCQ_SPSC_BODY_MAX);
    return tx->tail - (len - mcq_min(mcq_max(len / 2, most), len));
}

/* Asks the consumer to look at `waits` from now on; see mesh.h for who is told. */
static inline void mcq_spsc_wait(struct mcq_spsc_tx *tx)
{
    __atomic_store_n(&mcq_spsc_of(tx->data)->waits, mcq_spsc_room_at(tx) | 1, __ATOMIC_RELAXED);
}

/* Whether there is as much room as was waited for; ends the waiting then. */
static inline bool mcq_spsc_has_room(const struct mcq_spsc_tx *tx)
{
    uint64_t head = __atomic_load_n(&mcq_spsc_of(tx->data)->head, __ATOMIC_ACQUIRE);
    return (int64_t)(head - mcq_spsc_room_at(tx)) >= 0;
}

static inline void mcq_spsc_wait_end(struct mcq_spsc_tx *tx)
{
    __atomic_store_n(&mcq_spsc_of(tx->data)->waits, 0, __ATOMIC_RELAXED);
}

/* --- consumer ------------------------------------------------------------------------------ */

static inline bool mcq_spsc_empty(const struct mcq_spsc_rx *rx)
{
    return __atomic_load_n(mcq_spsc_slot(rx->data, rx->head & rx->mask), __ATOMIC_ACQUIRE) == 0;
}

/* The next record, and steps past it; false: there is none. Pads are passed silently. The bytes
 * stay until release. */
static inline bool mcq_spsc_next(struct mcq_spsc_rx *rx, struct mcq_spsc_view *view)
{
    for (;;) {
        uint64_t at = rx->head & rx->mask;
        uint64_t hdr = __atomic_load_n(mcq_spsc_slot(rx->data, at), __ATOMIC_ACQUIRE);
        if (hdr == 0)
            return false;
        *view = (struct mcq_spsc_view){.body = rx->data + at + MCQ_SPSC_HDR_LEN,
                                       .len = hdr & 0xFFFF,
                                       .tag = (uint32_t)(hdr >> 32),
                                       .kind = (uint16_t)(hdr >> 16)};
        rx->head += mcq_spsc_record_len(view->len);
        if (MCQ_LIKELY(view->kind != MCQ_SPSC_PAD))
            return true;
    }
}

/* Everything that `next` gave may be overwritten. Once per batch. */
static inline void mcq_spsc_release(struct mcq_spsc_rx *rx)
{
    __atomic_store_n(&mcq_spsc_of(rx->data)->head, rx->head, __ATOMIC_RELEASE);
}

/* After a release: whether the producer waits, and for no more than is free now. */
static inline bool mcq_spsc_awaited(const struct mcq_spsc_rx *rx)
{
    uint64_t waits = __atomic_load_n(&mcq_spsc_of(rx->data)->waits, __ATOMIC_RELAXED);
    return waits != 0 && (int64_t)(rx->head - (waits & ~UINT64_C(1))) >= 0;
}

#endif
