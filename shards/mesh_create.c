/* RAW: what the app has of its mesh: one mapping per consumer, and the tables of each end; one
 * thread, before the shards run and after they have joined; app.c, thread.c and roster.c call. */
#include <stdlib.h>
#include <string.h>

#include "mem/detail.h"
#include "runtime/loop.h"
#include "shards/mesh_private.h"

/* Ring lengths by the number of shards: whoever has many neighbours hears less of each. */
static const struct {
    uint32_t cnt_max;
    size_t len[MCQ_LANE_CNT];
} SIZES[] = {
    {4, {(size_t)256 << 10, (size_t)64 << 10}},
    {16, {(size_t)64 << 10, (size_t)16 << 10}},
    {64, {(size_t)16 << 10, (size_t)4 << 10}},
    {MCQ_SHARDS_MAX, {(size_t)8 << 10, (size_t)4 << 10}},
};

size_t mcq_mesh_ring_len(uint32_t cnt, enum mcq_lane lane)
{
    size_t i = 0;
    while (SIZES[i].cnt_max < cnt)
        i++;
    return SIZES[i].len[lane];
}

static size_t ring_len(const struct mcq_mesh_opts *o, enum mcq_lane lane)
{
    size_t len = mcq_mesh_ring_len(o->cnt, lane);
    return o->ring_len_max == 0 ? len : mcq_min(o->ring_len_max, len);
}

static size_t place_footprint(const struct mcq_mesh_opts *o)
{
    size_t len = sizeof(struct mcq_mesh_shared) + MCQ_SPSC_APART;
    for (unsigned lane = 0; lane < MCQ_LANE_CNT; lane++)
        len += o->cnt * (mcq_spsc_footprint(ring_len(o, lane)) + MCQ_SPSC_APART);
    return len;
}

/* An end with its tables, in one piece of its own. */
static struct mcq_mesh_end *end_create(struct mcq_mesh *mesh, uint32_t id)
{
    size_t lanes = (size_t)mesh->cnt * MCQ_LANE_CNT;
    size_t rx_at = mcq_align_up(sizeof(struct mcq_mesh_end), MCQ_SPSC_APART);
    size_t tx_at = rx_at + mcq_align_up(lanes * sizeof(struct mcq_spsc_rx), MCQ_SPSC_APART);
    size_t dirty_at = tx_at + mcq_align_up(lanes * sizeof(struct mcq_mesh_tx), MCQ_SPSC_APART);
    size_t len = mcq_align_up(dirty_at + 2 * lanes * sizeof(uint16_t), MCQ_SPSC_APART);
    uint8_t *piece = aligned_alloc(MCQ_SPSC_APART, len);
    if (piece == NULL)
        return NULL;
    memset(piece, 0, len);
    void *end = piece, *rx = piece + rx_at, *tx = piece + tx_at, *dirty = piece + dirty_at;
    struct mcq_mesh_end *e = end;
    e->id = id;
    e->cnt = mesh->cnt;
    e->alone = mesh->cnt == 1;
    e->mesh = mesh;
    e->rx = rx;
    e->tx = tx;
    e->dirty = dirty;
    e->waiting = e->dirty + lanes;
    return e;
}

static bool place_create(struct mcq_mesh *mesh, uint32_t id, const struct mcq_mesh_opts *o,
                         struct mcq_detail *detail)
{
    struct mcq_mesh_place *p = &mesh->places[id];
    int node = o->nodes == NULL ? MCQ_NODE_ANY : o->nodes[id];
    if (mcq_arena_init_on(&p->arena, place_footprint(o), node, o->policy, detail) != MCQ_OK)
        return false;
    p->shared = mcq_arena_carve(&p->arena, sizeof(*p->shared), MCQ_SPSC_APART);
    p->end = end_create(mesh, id);
    if (p->shared == NULL || p->end == NULL) {
        (void)mcq_detail_set(detail, MCQ_ENOMEM, 0, "no memory for the rings between shards");
        return false;
    }
    p->shared->wake_fd = -1;
    p->shared->ring_fd = -1;
    p->end->word = &p->shared->word;
    p->end->bits = o->cnt > MCQ_MESH_SCAN_MAX;
    p->end->quiet = o->spins && !p->end->bits;
    return true;
}

/* The ring from -> to: its memory is to's, its two sides each end's own. */
static bool ring_create(struct mcq_mesh *mesh, uint32_t from, uint32_t to, unsigned lane,
                        const struct mcq_mesh_opts *o)
{
    size_t len = ring_len(o, lane);
    struct mcq_spsc *ring =
        mcq_arena_carve(&mesh->places[to].arena, mcq_spsc_footprint(len), MCQ_SPSC_APART);
    if (ring == NULL)
        return false;
    struct mcq_mesh_tx *tx = &mesh->places[from].end->tx[to * MCQ_LANE_CNT + lane];
    struct mcq_spsc_rx *rx = &mesh->places[to].end->rx[from * MCQ_LANE_CNT + lane];
    mcq_spsc_init(ring, len, o->start, &tx->ring, rx);
    return true;
}

static bool rings_create(struct mcq_mesh *mesh, const struct mcq_mesh_opts *o)
{
    for (uint32_t to = 0; to < o->cnt; to++)
        for (uint32_t from = 0; from < o->cnt; from++)
            for (unsigned lane = 0; lane < MCQ_LANE_CNT; lane++)
                if (!ring_create(mesh, from, to, lane, o))
                    return false;
    return true;
}

enum mcq_error mcq_mesh_create(const struct mcq_mesh_opts *o, struct mcq_mesh **mesh,
                               struct mcq_detail *detail)
{
    MCQ_ASSERT(o->cnt >= 1 && o->cnt <= MCQ_SHARDS_MAX);
    struct mcq_mesh *m = calloc(1, sizeof(*m) + o->cnt * sizeof(m->places[0]));
    if (m == NULL)
        return mcq_detail_set(detail, MCQ_ENOMEM, 0, "no memory for the rings between shards");
    m->cnt = o->cnt;
    for (uint32_t id = 0; id < o->cnt; id++)
        if (!place_create(m, id, o, detail)) {
            mcq_mesh_destroy(m);
            return MCQ_ENOMEM;
        }
    MCQ_ASSERT(rings_create(m, o)); /* the footprint is the sum of all */
    for (uint32_t id = 0; id < o->cnt; id++)
        mcq_arena_seal(&m->places[id].arena, o->lock, NULL);
    *mesh = m;
    return MCQ_OK;
}

void mcq_mesh_destroy(struct mcq_mesh *mesh)
{
    if (mesh == NULL)
        return;
    for (uint32_t id = 0; id < mesh->cnt; id++) {
        struct mcq_mesh_place *p = &mesh->places[id];
        free(p->end);
        if (p->arena.base != NULL)
            mcq_arena_fini(&p->arena);
    }
    free(mesh);
}

uint32_t mcq_mesh_cnt(const struct mcq_mesh *mesh)
{
    return mesh->cnt;
}

const struct mcq_arena *mcq_mesh_arena(const struct mcq_mesh *mesh, uint32_t id)
{
    return &mesh->places[id].arena;
}

struct mcq_mesh_end *mcq_mesh_at(struct mcq_mesh *mesh, uint32_t id)
{
    return mesh->places[id].end;
}

void mcq_mesh_attach_fd(struct mcq_mesh_end *e, int wake_fd)
{
    __atomic_store_n(&e->mesh->places[e->id].shared->wake_fd, wake_fd, __ATOMIC_RELEASE);
}

void mcq_mesh_attach(struct mcq_mesh_end *e, struct mcq_loop *loop)
{
    struct mcq_mesh_shared *s = e->mesh->places[e->id].shared;
    e->loop = loop;
    __atomic_store_n(&s->ring_fd, mcq_loop_ring_fd(loop), __ATOMIC_RELEASE);
    mcq_mesh_attach_fd(e, mcq_loop_wake_fd(loop));
}

bool mcq_mesh_drained(const struct mcq_mesh *mesh)
{
    uint64_t sent = 0, taken = 0;
    for (uint32_t id = 0; id < mesh->cnt; id++) {
        const struct mcq_mesh_stats *s = &mesh->places[id].end->stats;
        sent += __atomic_load_n(&s->sent, __ATOMIC_ACQUIRE);
        taken += __atomic_load_n(&s->taken, __ATOMIC_ACQUIRE);
    }
    return sent == taken;
}
