#include "shards/remote_ref.h"

#include "shards/shard.h"

size_t mcq_remote_footprint(uint32_t refs_max)
{
    return mcq_pool_footprint(sizeof(struct mcq_remote_ref), refs_max);
}

bool mcq_remote_init(struct mcq_remote *r, struct mcq_arena *arena, uint32_t refs_max)
{
    *r = (struct mcq_remote){.out = 0};
    return mcq_pool_init(&r->refs, "remote references", arena, sizeof(struct mcq_remote_ref),
                         refs_max);
}

uint32_t mcq_remote_lend(struct mcq_shard *sh, struct mcq_buf *b)
{
    mcq_buf_ref(sh->heap, b);
    sh->remote.out++;
    return b->idx;
}

/* It waits for its way home. */
static void make_due(struct mcq_remote_ref *ref)
{
    struct mcq_remote *r = &ref->shard->remote;
    ref->next = r->due[ref->owner];
    r->due[ref->owner] = ref;
    r->owners[ref->owner / 64] |= UINT64_C(1) << ref->owner % 64;
    r->due_cnt++;
}

/* The external buf has ended. */
static void let_go(void *data, size_t len, void *hint)
{
    (void)data;
    (void)len;
    make_due(hint);
}

void mcq_remote_give_back(struct mcq_shard *sh, uint32_t owner, uint32_t idx)
{
    struct mcq_remote_ref *ref = mcq_pool_take(&sh->remote.refs);
    MCQ_ASSERT(ref != NULL);
    *ref = (struct mcq_remote_ref){.shard = sh, .owner = owner, .idx = idx};
    make_due(ref);
}

struct mcq_buf *mcq_remote_hold(struct mcq_shard *sh, uint32_t owner, uint32_t idx,
                                const void *data, size_t len)
{
    struct mcq_remote_ref *ref = mcq_pool_take(&sh->remote.refs);
    if (ref == NULL)
        return NULL;
    *ref = (struct mcq_remote_ref){.shard = sh, .owner = owner, .idx = idx};
    struct mcq_buf *b = mcq_buf_take_external(sh->heap, data, len, let_go, ref);
    if (b == NULL)
        mcq_pool_give(&sh->remote.refs, ref);
    return b;
}

bool mcq_remote_is_held(const struct mcq_buf *b, uint32_t *owner, uint32_t *idx)
{
    if (b->cls != MCQ_BUF_EXTERNAL || b->free_fn != let_go)
        return false;
    const struct mcq_remote_ref *ref = b->free_hint;
    *owner = ref->owner;
    *idx = ref->idx;
    return true;
}

void mcq_remote_forget(struct mcq_shard *sh, struct mcq_buf *b)
{
    MCQ_ASSERT(b->free_fn == let_go);
    mcq_pool_give(&sh->remote.refs, b->free_hint);
    b->free_fn = NULL;
    b->free_hint = NULL;
}

void mcq_remote_went(struct mcq_shard *sh)
{
    sh->remote.out++;
}

void mcq_remote_came(struct mcq_shard *sh)
{
    MCQ_ASSERT(sh->remote.out != 0);
    sh->remote.out--;
}

static uint32_t cnt_of(const struct mcq_remote_ref *ref, uint32_t max)
{
    uint32_t cnt = 0;
    for (; ref != NULL && cnt < max; ref = ref->next)
        cnt++;
    return cnt;
}

/* One record; false: there is no room. */
static bool send_some(struct mcq_shard *sh, uint32_t owner)
{
    struct mcq_remote *r = &sh->remote;
    uint32_t cnt = cnt_of(r->due[owner], MCQ_REMOTE_BATCH_CNT);
    uint32_t *idx =
        mcq_mesh_reserve(sh->mesh, owner, MCQ_LANE_URGENT, MCQ_MESH_RELEASE, cnt * sizeof(*idx));
    if (idx == NULL)
        return false;
    for (uint32_t i = 0; i < cnt; i++) {
        struct mcq_remote_ref *ref = r->due[owner];
        idx[i] = ref->idx;
        r->due[owner] = ref->next;
        mcq_pool_give(&r->refs, ref);
    }
    r->due_cnt -= cnt;
    mcq_mesh_commit(sh->mesh, owner, MCQ_LANE_URGENT);
    return true;
}

static void send_owner(struct mcq_shard *sh, uint32_t owner)
{
    struct mcq_remote *r = &sh->remote;
    while (r->due[owner] != NULL)
        if (mcq_mesh_waits(sh->mesh, owner, MCQ_LANE_URGENT) || !send_some(sh, owner))
            return;
    r->owners[owner / 64] &= ~(UINT64_C(1) << owner % 64);
}

bool mcq_remote_run(struct mcq_shard *sh)
{
    struct mcq_remote *r = &sh->remote;
    if (MCQ_LIKELY(r->due_cnt == 0))
        return false;
    for (uint32_t i = 0; i < MCQ_CNT_OF(r->owners); i++)
        for (uint64_t bits = r->owners[i]; bits != 0; bits &= bits - 1)
            send_owner(sh, i * 64 + (uint32_t)__builtin_ctzll(bits));
    return r->due_cnt != 0;
}

void mcq_remote_arrived(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    const uint32_t *idx = body;
    (void)from;
    for (size_t i = 0; i < len / sizeof(*idx); i++) {
        MCQ_ASSERT(sh->remote.out != 0);
        sh->remote.out--;
        mcq_buf_unref(sh->heap, mcq_buf_at(sh->heap, idx[i]));
    }
}

uint64_t mcq_remote_out_cnt(const struct mcq_shard *sh)
{
    return sh->remote.out;
}

uint32_t mcq_remote_held_cnt(const struct mcq_shard *sh)
{
    return sh->remote.refs.in_use;
}
