/* RAW: atomics; sound by the handshake of mailbox.h and by a sequence
 * number per cell; mcq_post, the resolver and shards/thread.c call. */
#include "shards/mailbox.h"

#include <sched.h>

#include "runtime/net.h"

#define CELL_MASK (MCQ_MAILBOX_MAX - 1)

_Static_assert((MCQ_MAILBOX_MAX & CELL_MASK) == 0, "cells are found by mask");

/* For a round that starts at position p: seq == p, the cell is free; p + 1, it holds a post. Taking
 * the post sets p + MCQ_MAILBOX_MAX, the same cell's position in the next round. */
struct cell {
    uint64_t seq;
    mcq_post_fn *fn;
    void *arg;
};

struct mcq_mailbox {
    /* What producers write, the shard only when it sleeps. */
    _Alignas(MCQ_CACHE_LINE) uint64_t tail;
    bool sleeping;
    uint32_t inside; /* threads within post or stop */
    uint64_t full, wakes;
    /* What the shard reads in every turn, and hardly anybody writes. */
    _Alignas(MCQ_CACHE_LINE) bool stop;
    int wake_fd;
    /* The shard's own. */
    _Alignas(MCQ_CACHE_LINE) uint64_t head;
    bool stop_told;
    _Alignas(MCQ_CACHE_LINE) struct cell cells[MCQ_MAILBOX_MAX];
};

size_t mcq_mailbox_footprint(void)
{
    return sizeof(struct mcq_mailbox) + MCQ_CACHE_LINE;
}

struct mcq_mailbox *mcq_mailbox_init(struct mcq_arena *arena, int wake_fd)
{
    struct mcq_mailbox *m = mcq_arena_carve(arena, sizeof(*m), MCQ_CACHE_LINE);
    if (m == NULL)
        return NULL;
    m->wake_fd = wake_fd;
    for (size_t i = 0; i < MCQ_MAILBOX_MAX; i++)
        m->cells[i].seq = i;
    return m;
}

/* Async-signal-safe. */
static void wake(struct mcq_mailbox *m)
{
    if (!__atomic_exchange_n(&m->sleeping, false, __ATOMIC_ACQ_REL))
        return;
    __atomic_fetch_add(&m->wakes, 1, __ATOMIC_RELAXED);
    if (m->wake_fd >= 0)
        mcq_net_wake(m->wake_fd);
}

/* A free cell, made ours by moving the tail past it; NULL: none is free. */
static struct cell *cell_claim(struct mcq_mailbox *m, uint64_t *pos)
{
    *pos = __atomic_load_n(&m->tail, __ATOMIC_RELAXED);
    for (;;) {
        struct cell *cell = &m->cells[*pos & CELL_MASK];
        uint64_t seq = __atomic_load_n(&cell->seq, __ATOMIC_ACQUIRE);
        if (seq == *pos) {
            if (__atomic_compare_exchange_n(&m->tail, pos, *pos + 1, true, __ATOMIC_RELAXED,
                                            __ATOMIC_RELAXED))
                return cell;
        } else if ((int64_t)(seq - *pos) < 0) {
            return NULL;
        } else {
            *pos = __atomic_load_n(&m->tail, __ATOMIC_RELAXED);
        }
    }
}

static enum mcq_error publish(struct mcq_mailbox *m, mcq_post_fn *fn, void *arg)
{
    uint64_t pos;
    struct cell *cell = cell_claim(m, &pos);
    if (cell == NULL) {
        __atomic_fetch_add(&m->full, 1, __ATOMIC_RELAXED);
        return MCQ_EAGAIN;
    }
    cell->fn = fn;
    cell->arg = arg;
    __atomic_store_n(&cell->seq, pos + 1, __ATOMIC_RELEASE);
    wake(m);
    return MCQ_OK;
}

enum mcq_error mcq_mailbox_post(struct mcq_mailbox *m, mcq_post_fn *fn, void *arg)
{
    __atomic_fetch_add(&m->inside, 1, __ATOMIC_RELAXED);
    enum mcq_error err = publish(m, fn, arg);
    __atomic_fetch_sub(&m->inside, 1, __ATOMIC_RELEASE);
    return err;
}

void mcq_mailbox_stop(struct mcq_mailbox *m)
{
    __atomic_fetch_add(&m->inside, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&m->stop, true, __ATOMIC_RELEASE);
    wake(m);
    __atomic_fetch_sub(&m->inside, 1, __ATOMIC_RELEASE);
}

void mcq_mailbox_nudge(struct mcq_mailbox *m)
{
    __atomic_fetch_add(&m->inside, 1, __ATOMIC_RELAXED);
    wake(m);
    __atomic_fetch_sub(&m->inside, 1, __ATOMIC_RELEASE);
}

/* Cells are freed in order: if the last one is, all are. */
bool mcq_mailbox_drained(const struct mcq_mailbox *m)
{
    uint64_t tail = __atomic_load_n(&m->tail, __ATOMIC_SEQ_CST);
    if (tail == 0)
        return true;
    const struct cell *last = &m->cells[(tail - 1) & CELL_MASK];
    return __atomic_load_n(&last->seq, __ATOMIC_SEQ_CST) == tail - 1 + MCQ_MAILBOX_MAX;
}

void mcq_mailbox_quiesce(const struct mcq_mailbox *m)
{
    while (__atomic_load_n(&m->inside, __ATOMIC_ACQUIRE) != 0)
        sched_yield();
}

bool mcq_mailbox_stopped(const struct mcq_mailbox *m)
{
    return __atomic_load_n(&m->stop, __ATOMIC_ACQUIRE);
}

bool mcq_mailbox_empty(const struct mcq_mailbox *m)
{
    const struct cell *cell = &m->cells[m->head & CELL_MASK];
    return __atomic_load_n(&cell->seq, __ATOMIC_ACQUIRE) != m->head + 1;
}

uint32_t mcq_mailbox_run(struct mcq_mailbox *m, struct mcq_shard *shard)
{
    uint32_t cnt = 0;
    while (cnt < MCQ_MAILBOX_PER_TURN_MAX && !mcq_mailbox_empty(m)) {
        struct cell *cell = &m->cells[m->head & CELL_MASK];
        mcq_post_fn *fn = cell->fn;
        void *arg = cell->arg;
        /* Freed before it runs: a post may post. */
        __atomic_store_n(&cell->seq, m->head + MCQ_MAILBOX_MAX, __ATOMIC_RELEASE);
        m->head++;
        cnt++;
        fn(shard, arg);
    }
    return cnt;
}

bool mcq_mailbox_sleep(void *ctx, bool sleeping)
{
    struct mcq_mailbox *m = ctx;
    (void)__atomic_exchange_n(&m->sleeping, sleeping, __ATOMIC_ACQ_REL);
    if (!sleeping)
        return true;
    bool stop = !m->stop_told && mcq_mailbox_stopped(m);
    if (mcq_mailbox_empty(m) && !stop)
        return true;
    m->stop_told = m->stop_told || stop;
    (void)__atomic_exchange_n(&m->sleeping, false, __ATOMIC_ACQ_REL);
    return false;
}

uint64_t mcq_mailbox_posts(const struct mcq_mailbox *m)
{
    return __atomic_load_n(&m->tail, __ATOMIC_RELAXED);
}

uint64_t mcq_mailbox_full(const struct mcq_mailbox *m)
{
    return __atomic_load_n(&m->full, __ATOMIC_RELAXED);
}

uint64_t mcq_mailbox_wakes(const struct mcq_mailbox *m)
{
    return __atomic_load_n(&m->wakes, __ATOMIC_RELAXED);
}
