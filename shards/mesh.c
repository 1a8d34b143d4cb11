/* RAW: the words that ends share, fences, and record bodies; sound by the handshake of mesh.h and
 * the two rules of spsc.h; shard.c and the owners of the kinds call. */
#include "shards/mesh.h"

#include "mem/fence.h"
#include "mem/slice.h"
#include "runtime/loop.h"
#include "runtime/net.h"
#include "shards/mesh_private.h"

#define RELEASE_CNT 64u /* records before the producer gets their room back */

/* --- sleep and wake ------------------------------------------------------------------------ */

/* For counters that others read and only this end writes: who sees that something was taken sees
 * that this shard had become busy before. */
static inline void count(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELEASE);
}

static inline uint64_t bit_of(uint32_t id)
{
    return UINT64_C(1) << id % MCQ_MESH_BITS;
}

/* Only whoever takes the flag away wakes. */
static void wake(struct mcq_mesh_end *e, struct mcq_mesh_shared *s)
{
    if ((__atomic_fetch_and(&s->word, ~MCQ_MESH_SLEEPS, __ATOMIC_ACQ_REL) & MCQ_MESH_SLEEPS) == 0)
        return;
    e->stats.wakes++;
    int ring_fd = __atomic_load_n(&s->ring_fd, __ATOMIC_ACQUIRE);
    if (e->loop != NULL && ring_fd >= 0 && mcq_loop_wake_ring(e->loop, ring_fd))
        return;
    int fd = __atomic_load_n(&s->wake_fd, __ATOMIC_ACQUIRE);
    if (fd >= 0)
        mcq_net_wake(fd);
}

/* After a store that `to` has to see, and a fence. */
static void knock(struct mcq_mesh_end *e, uint32_t to)
{
    struct mcq_mesh_shared *s = e->mesh->places[to].shared;
    uint64_t word = __atomic_load_n(&s->word, __ATOMIC_RELAXED);
    uint64_t bit = e->bits ? bit_of(e->id) : 0;
    if ((word & bit) != bit)
        word = __atomic_fetch_or(&s->word, bit, __ATOMIC_ACQ_REL);
    if (MCQ_UNLIKELY((word & MCQ_MESH_SLEEPS) != 0))
        wake(e, s);
}

static bool has_room(const struct mcq_mesh_end *e)
{
    for (uint32_t i = 0; i < e->waiting_cnt; i++)
        if (mcq_spsc_has_room(&e->tx[e->waiting[i]].ring))
            return true;
    return false;
}

bool mcq_mesh_empty(const struct mcq_mesh_end *e)
{
    if (e->left != 0 || e->dirty_cnt != 0)
        return false;
    if (e->bits && (__atomic_load_n(e->word, __ATOMIC_ACQUIRE) & ~MCQ_MESH_SLEEPS) != 0)
        return false;
    for (uint32_t i = 0; !e->bits && i < e->cnt * MCQ_LANE_CNT; i++)
        if (!mcq_spsc_empty(&e->rx[i]))
            return false;
    return !has_room(e);
}

bool mcq_mesh_idle(const struct mcq_mesh_end *e)
{
    return e->waiting_cnt == 0 && mcq_mesh_empty(e);
}

bool mcq_mesh_sleep(struct mcq_mesh_end *e, bool sleeping)
{
    if (!sleeping) {
        (void)__atomic_fetch_and(e->word, ~MCQ_MESH_SLEEPS, __ATOMIC_ACQ_REL);
        return true;
    }
    (void)__atomic_fetch_or(e->word, MCQ_MESH_SLEEPS, __ATOMIC_ACQ_REL);
    mcq_fence();
    if (mcq_mesh_empty(e))
        return true;
    (void)__atomic_fetch_and(e->word, ~MCQ_MESH_SLEEPS, __ATOMIC_ACQ_REL);
    return false;
}

/* --- producer ------------------------------------------------------------------------------ */

static inline struct mcq_mesh_tx *tx_of(const struct mcq_mesh_end *e, uint32_t to,
                                        enum mcq_lane lane)
{
    MCQ_DASSERT(to < e->cnt);
    return &e->tx[to * MCQ_LANE_CNT + lane];
}

static __attribute__((noinline, cold)) void *found_full(struct mcq_mesh_end *e,
                                                        struct mcq_mesh_tx *tx)
{
    e->stats.full++;
    e->full = true;
    if (tx->waiting)
        return NULL;
    tx->waiting = true;
    e->waiting[e->waiting_cnt++] = (uint16_t)(tx - e->tx);
    mcq_spsc_wait(&tx->ring);
    return NULL;
}

void *mcq_mesh_reserve(struct mcq_mesh_end *e, uint32_t to, enum mcq_lane lane,
                       enum mcq_mesh_kind kind, size_t len)
{
    struct mcq_mesh_tx *tx = tx_of(e, to, lane);
    void *body = mcq_spsc_reserve(&tx->ring, len);
    if (MCQ_UNLIKELY(body == NULL))
        return found_full(e, tx);
    tx->hdr = mcq_spsc_hdr(kind, 0, len);
    return body;
}

void mcq_mesh_set_tag(struct mcq_mesh_end *e, uint32_t to, enum mcq_lane lane, uint32_t tag)
{
    tx_of(e, to, lane)->hdr |= (uint64_t)tag << 32;
}

static void publish_ring(struct mcq_mesh_end *e, struct mcq_mesh_tx *tx)
{
    count(&e->stats.sent, tx->unpublished);
    tx->unpublished = 0;
    mcq_spsc_publish(&tx->ring);
}

void mcq_mesh_commit(struct mcq_mesh_end *e, uint32_t to, enum mcq_lane lane)
{
    struct mcq_mesh_tx *tx = tx_of(e, to, lane);
    mcq_spsc_commit(&tx->ring, tx->hdr);
    if (!tx->dirty) {
        tx->dirty = true;
        e->dirty[e->dirty_cnt++] = (uint16_t)(tx - e->tx);
    }
    if (MCQ_UNLIKELY(++tx->unpublished == MCQ_MESH_BATCH_CNT)) {
        publish_ring(e, tx);
        if (e->quiet)
            return;
        mcq_fence();
        knock(e, to);
    }
}

bool mcq_mesh_send(struct mcq_mesh_end *e, uint32_t to, enum mcq_lane lane, enum mcq_mesh_kind kind,
                   const void *body, size_t len)
{
    MCQ_ASSERT(len <= MCQ_MESH_RECORD_MAX);
    void *at = mcq_mesh_reserve(e, to, lane, kind, len);
    if (at == NULL)
        return false;
    mcq_bytes_copy(at, body, len);
    mcq_mesh_commit(e, to, lane);
    return true;
}

bool mcq_mesh_waits(const struct mcq_mesh_end *e, uint32_t to, enum mcq_lane lane)
{
    return tx_of(e, to, lane)->waiting;
}

void mcq_mesh_publish_all(struct mcq_mesh_end *e)
{
    uint32_t cnt = e->dirty_cnt;
    for (uint32_t i = 0; i < cnt; i++)
        publish_ring(e, &e->tx[e->dirty[i]]);
    if (!e->quiet)
        mcq_fence();
    for (uint32_t i = 0; i < cnt; i++) {
        struct mcq_mesh_tx *tx = &e->tx[e->dirty[i]];
        tx->dirty = false;
        if (!e->quiet)
            knock(e, e->dirty[i] / MCQ_LANE_CNT);
    }
    e->dirty_cnt = 0;
}

/* --- consumer ------------------------------------------------------------------------------ */

/* The producer may go on; one that sleeps because it waited for this is woken. */
static void release(struct mcq_mesh_end *e, uint32_t from, struct mcq_spsc_rx *rx)
{
    mcq_spsc_release(rx);
    if (e->quiet)
        return;
    mcq_fence();
    if (MCQ_UNLIKELY(mcq_spsc_awaited(rx)))
        knock(e, from);
}

static inline void hand_on(struct mcq_shard *sh, const struct mcq_mesh_handlers *h, uint32_t from,
                           const struct mcq_spsc_view *v)
{
    if (MCQ_LIKELY(v->kind == MCQ_MESH_POST)) {
        h->post(sh, from, v->tag, v->body, v->len);
        return;
    }
    MCQ_ASSERT(v->kind < MCQ_MESH_KIND_CNT && h->of[v->kind] != NULL);
    h->of[v->kind](sh, from, v->body, v->len);
}

/* Up to max records of one ring. */
static uint32_t take_ring(struct mcq_mesh_end *e, struct mcq_shard *sh,
                          const struct mcq_mesh_handlers *h, uint32_t from, struct mcq_spsc_rx *rx,
                          uint32_t max)
{
    struct mcq_spsc_view v;
    uint64_t before = rx->head;
    uint32_t cnt = 0;
    while (cnt < max && mcq_spsc_next(rx, &v)) {
        hand_on(sh, h, from, &v);
        if (++cnt % RELEASE_CNT == 0)
            mcq_spsc_release(rx);
    }
    if (rx->head != before)
        release(e, from, rx);
    count(&e->stats.taken, cnt);
    if (cnt == max)
        e->stats.later++;
    mcq_mesh_publish(e);
    return cnt;
}

static uint32_t limit_of(uint32_t used)
{
    uint32_t left = MCQ_MESH_PER_RUN_MAX - used;
    return left < MCQ_MESH_PER_RING_MAX ? left : MCQ_MESH_PER_RING_MAX;
}

/* One lane of one producer; a ring that is empty costs a load. */
static inline uint32_t take_lane(struct mcq_mesh_end *e, struct mcq_shard *sh,
                                 const struct mcq_mesh_handlers *h, uint32_t from,
                                 enum mcq_lane lane, uint32_t used)
{
    struct mcq_spsc_rx *rx = &e->rx[from * MCQ_LANE_CNT + lane];
    if (mcq_spsc_empty(rx) || used == MCQ_MESH_PER_RUN_MAX)
        return 0;
    return take_ring(e, sh, h, from, rx, limit_of(used));
}

static uint32_t scan(struct mcq_mesh_end *e, struct mcq_shard *sh,
                     const struct mcq_mesh_handlers *h, enum mcq_lane lane, uint32_t used)
{
    uint32_t from = e->first;
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < e->cnt; i++) {
        cnt += take_lane(e, sh, h, from, lane, used + cnt);
        if (++from == e->cnt)
            from = 0;
    }
    return cnt;
}

/* Who has knocked since. What was published before a knock that found the bit set is seen behind
 * the fence; what comes later sets it again. */
static void gather(struct mcq_mesh_end *e)
{
    if ((__atomic_load_n(e->word, __ATOMIC_RELAXED) & ~MCQ_MESH_SLEEPS) == 0)
        return;
    e->left |= __atomic_exchange_n(e->word, 0, __ATOMIC_ACQ_REL) & ~MCQ_MESH_SLEEPS;
    mcq_fence();
}

/* All producers that share a bit. Returns whether they have more. */
static bool take_bit(struct mcq_mesh_end *e, struct mcq_shard *sh,
                     const struct mcq_mesh_handlers *h, uint32_t bit, enum mcq_lane lane,
                     uint32_t *used)
{
    bool more = false;
    for (uint32_t from = bit; from < e->cnt; from += MCQ_MESH_BITS) {
        *used += take_lane(e, sh, h, from, lane, *used);
        more |= !mcq_spsc_empty(&e->rx[from * MCQ_LANE_CNT + MCQ_LANE_BULK]) ||
                !mcq_spsc_empty(&e->rx[from * MCQ_LANE_CNT + MCQ_LANE_URGENT]);
    }
    return more;
}

static uint32_t scan_bits(struct mcq_mesh_end *e, struct mcq_shard *sh,
                          const struct mcq_mesh_handlers *h, enum mcq_lane lane, uint32_t used)
{
    uint32_t before = used;
    uint64_t todo = e->left;
    while (todo != 0) {
        uint64_t ahead = todo & ~UINT64_C(0) << e->first % MCQ_MESH_BITS;
        uint32_t bit = (uint32_t)__builtin_ctzll(ahead != 0 ? ahead : todo);
        todo &= ~(UINT64_C(1) << bit);
        if (!take_bit(e, sh, h, bit, lane, &used))
            e->left &= ~(UINT64_C(1) << bit);
    }
    return used - before;
}

/* Which lanes have room again; those that are found full meanwhile wait for the next turn. */
static uint32_t tell_rooms(struct mcq_mesh_end *e, struct mcq_shard *sh,
                           const struct mcq_mesh_handlers *h)
{
    uint32_t told = 0;
    for (uint32_t i = e->waiting_cnt; i-- > 0;) {
        uint16_t idx = e->waiting[i];
        struct mcq_mesh_tx *tx = &e->tx[idx];
        if (!mcq_spsc_has_room(&tx->ring))
            continue;
        e->waiting[i] = e->waiting[--e->waiting_cnt];
        tx->waiting = false;
        mcq_spsc_wait_end(&tx->ring);
        told++;
        h->room(sh, idx / MCQ_LANE_CNT, idx % MCQ_LANE_CNT);
    }
    e->full = e->waiting_cnt != 0;
    e->stats.rooms += told;
    return told;
}

static inline uint32_t take(struct mcq_mesh_end *e, struct mcq_shard *sh,
                            const struct mcq_mesh_handlers *h, enum mcq_lane lane, uint32_t used)
{
    if (!e->bits)
        return scan(e, sh, h, lane, used);
    return e->left == 0 ? 0 : scan_bits(e, sh, h, lane, used);
}

uint32_t mcq_mesh_take(struct mcq_mesh_end *e, struct mcq_shard *sh,
                       const struct mcq_mesh_handlers *handlers)
{
    if (e->bits)
        gather(e);
    uint32_t cnt = take(e, sh, handlers, MCQ_LANE_URGENT, 0);
    cnt += take(e, sh, handlers, MCQ_LANE_BULK, cnt);
    if (cnt != 0 && ++e->first == e->cnt)
        e->first = 0;
    if (MCQ_UNLIKELY(e->waiting_cnt != 0)) {
        cnt += tell_rooms(e, sh, handlers);
        mcq_mesh_publish(e);
    }
    return cnt;
}
