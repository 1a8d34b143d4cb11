#include "shards/post.h"

#include "mem/slice.h"
#include "shards/shard.h"

_Static_assert(MCQ_POST_LEN_MAX == MCQ_MESH_RECORD_MAX, "a post is one record");

static void *refused(struct mcq_mesh_end *e, uint32_t to, enum mcq_lane lane)
{
    e->tx[to * MCQ_LANE_CNT + lane].refused = true;
    return NULL;
}

static inline enum mcq_error reserve(struct mcq_shard *sh, uint32_t to, enum mcq_lane lane,
                                     uint32_t kind, size_t len, void **at)
{
    if (MCQ_UNLIKELY(sh != mcq_shard_here))
        return MCQ_ETHREAD;
    struct mcq_mesh_end *e = sh->mesh;
    if (MCQ_UNLIKELY(e == NULL || to >= e->cnt))
        return MCQ_EINVAL;
    if (MCQ_UNLIKELY(len > MCQ_POST_LEN_MAX))
        return MCQ_ETOOBIG;
    *at = mcq_mesh_reserve(e, to, lane, MCQ_MESH_POST, len);
    if (MCQ_UNLIKELY(*at == NULL)) {
        *at = refused(e, to, lane);
        return MCQ_EAGAIN;
    }
    mcq_mesh_set_tag(e, to, lane, kind);
    return MCQ_OK;
}

static inline enum mcq_error post(struct mcq_shard *sh, uint32_t to, enum mcq_lane lane,
                                  uint32_t kind, const void *data, size_t len)
{
    void *at;
    enum mcq_error err = reserve(sh, to, lane, kind, len, &at);
    if (MCQ_UNLIKELY(err != MCQ_OK))
        return err;
    mcq_bytes_copy_short(at, data, len);
    mcq_mesh_commit(sh->mesh, to, lane);
    return MCQ_OK;
}

enum mcq_error mcq_post_bytes(struct mcq_shard *from, uint32_t to, uint32_t kind, const void *data,
                              size_t len)
{
    return post(from, to, MCQ_LANE_BULK, kind, data, len);
}

enum mcq_error mcq_post_bytes_urgent(struct mcq_shard *from, uint32_t to, uint32_t kind,
                                     const void *data, size_t len)
{
    return post(from, to, MCQ_LANE_URGENT, kind, data, len);
}

enum mcq_error mcq_post_reserve(struct mcq_shard *from, uint32_t to, uint32_t kind, size_t len,
                                void **at)
{
    return reserve(from, to, MCQ_LANE_BULK, kind, len, at);
}

void mcq_post_commit(struct mcq_shard *from, uint32_t to)
{
    MCQ_DASSERT(from == mcq_shard_here && from->mesh != NULL && to < from->mesh->cnt);
    mcq_mesh_commit(from->mesh, to, MCQ_LANE_BULK);
}

void mcq_post_arrived(struct mcq_shard *sh, uint32_t from, uint32_t tag, const void *body,
                      size_t len)
{
    if (MCQ_LIKELY(sh->app != NULL && sh->app->on_post != NULL))
        sh->app->on_post(sh, sh->app_arg, from, tag, body, len);
}

void mcq_post_room(struct mcq_shard *sh, uint32_t to, enum mcq_lane lane)
{
    struct mcq_mesh_tx *tx = &sh->mesh->tx[to * MCQ_LANE_CNT + lane];
    if (!tx->refused)
        return;
    tx->refused = false;
    if (sh->app != NULL && sh->app->on_post_room != NULL)
        sh->app->on_post_room(sh, sh->app_arg, to);
}
