#include "shards/bridge.h"

#include "shards/bridge_private.h"
#include "shards/shard.h"

/* --- the shard's ---------------------------------------------------------------------------- */

size_t mcq_bridges_footprint(uint32_t bridges_max, uint32_t shards)
{
    return mcq_pool_footprint(sizeof(struct mcq_bridge), bridges_max) +
           bridges_max * sizeof(uint32_t) +
           (size_t)shards * MCQ_BRIDGE_OPENS_MAX * sizeof(struct mcq_bridge_refusal) +
           2 * MCQ_CACHE_LINE;
}

static void move_all(struct mcq_list *from, struct mcq_list *to)
{
    struct mcq_node *n;
    while ((n = mcq_list_pop_front(from)) != NULL)
        mcq_list_push_back(to, n);
}

static void hungry(struct mcq_timer_node *timer, uint64_t now_ns)
{
    struct mcq_bridges *all = MCQ_CONTAINER_OF(timer, struct mcq_bridges, hungry);
    (void)now_ns;
    move_all(&all->starved, &all->due);
}

bool mcq_bridges_init(struct mcq_bridges *all, struct mcq_arena *arena, uint32_t bridges_max,
                      uint32_t shards)
{
    const size_t refusals_len =
        (size_t)shards * MCQ_BRIDGE_OPENS_MAX * sizeof(struct mcq_bridge_refusal);
    *all = (struct mcq_bridges){.kinds = mcq_bridge_kinds, .hungry = {.fn = hungry}};
    mcq_list_init(&all->due);
    mcq_list_init(&all->full);
    mcq_list_init(&all->openings);
    mcq_list_init(&all->starved);
    all->epochs = mcq_arena_carve(arena, bridges_max * sizeof(*all->epochs), MCQ_CACHE_LINE);
    all->refusals = mcq_arena_carve(arena, refusals_len, MCQ_CACHE_LINE);
    return all->epochs != NULL && all->refusals != NULL &&
           mcq_pool_init(&all->pool, "bridges", arena, sizeof(struct mcq_bridge), bridges_max);
}

/* --- ends ----------------------------------------------------------------------------------- */

struct mcq_bridge *mcq_bridge_find(struct mcq_shard *sh, struct mcq_bridge_ref ref)
{
    struct mcq_bridges *all = &sh->bridges;
    if (ref.slot < all->pool.max && ref.epoch % 2 != 0 && all->epochs[ref.slot] == ref.epoch)
        return mcq_pool_at(&all->pool, ref.slot);
    all->stats.stale++;
    return NULL;
}

static struct mcq_bridge *take(struct mcq_shard *sh, uint32_t to, enum mcq_bridge_kind kind)
{
    struct mcq_bridges *all = &sh->bridges;
    struct mcq_bridge *b = mcq_pool_take(&all->pool);
    if (b == NULL)
        return NULL;
    uint32_t slot = mcq_pool_idx(&all->pool, b);
    *b = (struct mcq_bridge){
        .shard = sh, .to = to, .kind = kind, .self = {slot, ++all->epochs[slot]}};
    all->stats.bridges_now++;
    return b;
}

static void give(struct mcq_bridge *b)
{
    struct mcq_bridges *all = &b->shard->bridges;
    all->epochs[b->self.slot]++;
    all->stats.bridges_now--;
    mcq_node_unlink(&b->due_node);
    mcq_pool_give(&all->pool, b);
}

void mcq_bridge_make_due(struct mcq_bridge *b, uint32_t bits)
{
    b->due |= bits;
    mcq_node_unlink(&b->due_node);
    mcq_list_push_back(&b->shard->bridges.due, &b->due_node);
}

static void wait_in(struct mcq_bridge *b, uint32_t bit, struct mcq_list *list)
{
    b->due |= bit;
    mcq_node_unlink(&b->due_node);
    mcq_list_push_back(list, &b->due_node);
}

void mcq_bridge_starve(struct mcq_bridge *b, uint32_t bit)
{
    struct mcq_bridges *all = &b->shard->bridges;
    struct mcq_timers *timers = mcq_loop_timers(b->shard->loop);
    wait_in(b, bit, &all->starved);
    if (all->hungry.heap_pos == 0)
        mcq_timer_node_arm(timers, &all->hungry, mcq_shard_now_ns(b->shard) + MCQ_BRIDGE_HUNGRY_NS);
}

void mcq_bridge_join(struct mcq_bridge *b, struct mcq_link *link)
{
    b->link = link;
    link->bridge = b;
    link->pipe.whole = true;
    link->pipe.lends = true;
}

void *mcq_bridge_reserve(struct mcq_bridge *b, enum mcq_mesh_kind kind, size_t len)
{
    struct mcq_bridge_note_rec *rec =
        mcq_mesh_reserve(b->shard->mesh, b->to, MCQ_LANE_BULK, kind, len);
    if (rec != NULL)
        rec->to = b->other;
    return rec;
}

void mcq_bridge_commit(struct mcq_bridge *b)
{
    mcq_mesh_commit(b->shard->mesh, b->to, MCQ_LANE_BULK);
}

/* --- opening -------------------------------------------------------------------------------- */

struct mcq_bridge *mcq_bridge_open(struct mcq_shard *sh, struct mcq_link *link, uint32_t to,
                                   enum mcq_bridge_kind kind, const struct mcq_bridge_ops *ops,
                                   void *ctx)
{
    struct mcq_bridge *b = take(sh, to, kind);
    if (b == NULL)
        return NULL;
    b->ops = ops;
    b->ctx = ctx;
    if (link != NULL)
        mcq_bridge_join(b, link);
    sh->bridges.stats.opened++;
    mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_OPEN);
    return b;
}

static size_t introduce(struct mcq_bridge *b, uint8_t what[MCQ_BRIDGE_OPEN_MAX])
{
    struct mcq_writer w = mcq_writer_of(what, MCQ_BRIDGE_OPEN_MAX);
    if (b->ops->introduce != NULL)
        b->ops->introduce(b, &w);
    return w.len;
}

static enum mcq_bridge_step send_open(struct mcq_bridge *b)
{
    struct mcq_bridges *all = &b->shard->bridges;
    struct mcq_bridge_open_rec *rec;
    uint8_t what[MCQ_BRIDGE_OPEN_MAX];
    if (all->opens == MCQ_BRIDGE_OPENS_MAX) {
        wait_in(b, MCQ_BRIDGE_DUE_OPEN, &all->openings);
        return MCQ_BRIDGE_WAIT;
    }
    size_t len = introduce(b, what);
    rec = mcq_mesh_reserve(b->shard->mesh, b->to, MCQ_LANE_BULK, MCQ_MESH_BRIDGE_OPEN,
                           sizeof(*rec) + len);
    if (rec == NULL)
        return MCQ_BRIDGE_FULL;
    rec->from = b->self;
    rec->kind = b->kind;
    rec->len = (uint32_t)len;
    mcq_bytes_copy(rec->what, what, len);
    mcq_bridge_commit(b);
    all->opens++;
    return MCQ_BRIDGE_DONE;
}

static bool send_refusal(struct mcq_shard *sh, uint32_t to, struct mcq_bridge_ref ref,
                         enum mcq_reason reason)
{
    struct mcq_bridge_opened_rec *rec =
        mcq_mesh_reserve(sh->mesh, to, MCQ_LANE_BULK, MCQ_MESH_BRIDGE_OPENED, sizeof(*rec));
    if (rec == NULL)
        return false;
    *rec = (struct mcq_bridge_opened_rec){.to = ref, .reason = reason};
    mcq_mesh_commit(sh->mesh, to, MCQ_LANE_BULK);
    return true;
}

/* There is no end to answer with. Everybody waits for at most OPENS_MAX answers: it has a place. */
static void refuse_soon(struct mcq_shard *sh, uint32_t from, struct mcq_bridge_ref ref)
{
    struct mcq_bridges *all = &sh->bridges;
    if (!send_refusal(sh, from, ref, MCQ_REASON_LIMIT))
        all->refusals[all->refusal_cnt++] = (struct mcq_bridge_refusal){ref, from};
}

static void run_refusals(struct mcq_shard *sh)
{
    struct mcq_bridges *all = &sh->bridges;
    uint32_t left = 0;
    for (uint32_t i = 0; i < all->refusal_cnt; i++) {
        const struct mcq_bridge_refusal r = all->refusals[i];
        if (!send_refusal(sh, r.shard, r.to, MCQ_REASON_LIMIT))
            all->refusals[left++] = r;
    }
    all->refusal_cnt = left;
}

/* An opener that is refused hears why; what the answer says is asked for when it has room. */
static enum mcq_bridge_step send_answer(struct mcq_bridge *b)
{
    struct mcq_bridge_opened_rec *rec;
    uint8_t what[MCQ_BRIDGE_OPEN_MAX];
    if (b->ops == NULL) {
        if (!send_refusal(b->shard, b->to, b->other, b->reason))
            return MCQ_BRIDGE_FULL;
        give(b);
        return MCQ_BRIDGE_WAIT;
    }
    size_t len = introduce(b, what);
    rec = mcq_bridge_reserve(b, MCQ_MESH_BRIDGE_OPENED, sizeof(*rec) + len);
    if (rec == NULL)
        return MCQ_BRIDGE_FULL;
    rec->from = b->self;
    rec->reason = MCQ_REASON_NONE;
    rec->len = (uint32_t)len;
    mcq_bytes_copy(rec->what, what, len);
    mcq_bridge_commit(b);
    if (b->state == MCQ_BRIDGE_OPENING)
        b->state = MCQ_BRIDGE_OPEN;
    b->due |= MCQ_BRIDGE_DUE_SAY | MCQ_BRIDGE_DUE_DATA;
    return MCQ_BRIDGE_DONE;
}

static void run_one(struct mcq_bridge *b);

void mcq_bridge_on_open(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    const struct mcq_bridge_open_rec *rec = body;
    struct mcq_bridge *b = take(sh, from, rec->kind);
    (void)len;
    if (b == NULL) {
        sh->bridges.stats.refused++;
        refuse_soon(sh, from, rec->from);
        return;
    }
    b->other = rec->from;
    mcq_bridge_accept_fn *answer = sh->bridges.kinds[rec->kind];
    b->reason = answer == NULL ? MCQ_REASON_INCOMPATIBLE
                               : answer(b, from, mcq_slice_of(rec->what, rec->len));
    if (b->reason != MCQ_REASON_NONE) {
        sh->bridges.stats.refused++;
        b->ops = NULL;
    }
    b->due |= MCQ_BRIDGE_DUE_ANSWER;
    run_one(b);
}

static void closed(struct mcq_bridge *b);

/* Also a link that waits for another answer may have its turn now. */
static void answered(struct mcq_bridges *all)
{
    MCQ_ASSERT(all->opens != 0);
    all->opens--;
    move_all(&all->openings, &all->due);
}

static void open_refused(struct mcq_bridge *b, enum mcq_reason reason)
{
    bool told = b->state == MCQ_BRIDGE_ENDING;
    b->state = MCQ_BRIDGE_ENDING;
    b->end_said = true;
    b->end_heard = true;
    if (!told && b->ops->ended != NULL)
        b->ops->ended(b, reason, 0);
    closed(b);
}

void mcq_bridge_on_opened(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    const struct mcq_bridge_opened_rec *rec = body;
    struct mcq_bridge *b = mcq_bridge_find(sh, rec->to);
    (void)from;
    (void)len;
    answered(&sh->bridges);
    if (b == NULL)
        return;
    if (rec->from.epoch == 0) {
        open_refused(b, rec->reason);
        return;
    }
    b->other = rec->from;
    if (b->state == MCQ_BRIDGE_OPENING) {
        b->state = MCQ_BRIDGE_OPEN;
        if (b->ops->opened != NULL)
            b->ops->opened(b, mcq_slice_of(rec->what, rec->len));
    }
    mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_SAY | MCQ_BRIDGE_DUE_DATA |
                               (b->state == MCQ_BRIDGE_ENDING ? MCQ_BRIDGE_DUE_END : 0));
}

/* --- the end -------------------------------------------------------------------------------- */

static bool end_is_due(const struct mcq_bridge *b)
{
    return b->state == MCQ_BRIDGE_ENDING && !b->end_said && b->other.epoch != 0;
}

void mcq_bridge_end(struct mcq_bridge *b, enum mcq_reason reason, uint32_t lost)
{
    if (b->state == MCQ_BRIDGE_ENDING)
        return;
    b->state = MCQ_BRIDGE_ENDING;
    b->reason = reason;
    b->lost = lost;
    mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_END);
}

static enum mcq_bridge_step send_end(struct mcq_bridge *b)
{
    struct mcq_bridge_end_rec *rec;
    if (!end_is_due(b)) /* nobody to tell yet */
        return MCQ_BRIDGE_DONE;
    rec = mcq_bridge_reserve(b, MCQ_MESH_BRIDGE_END, sizeof(*rec));
    if (rec == NULL)
        return MCQ_BRIDGE_FULL;
    uint32_t kept = mcq_bridge_forget(b);
    rec->bytes = b->got;
    rec->kept = kept != 0 ? kept : b->kept;
    rec->reason = b->reason;
    rec->lost = b->lost;
    mcq_bridge_commit(b);
    b->end_said = true;
    if (!b->end_heard)
        return MCQ_BRIDGE_WAIT;
    closed(b);
    return MCQ_BRIDGE_WAIT;
}

/* The same link, behind it something else. */
static void open_again(struct mcq_bridge *b)
{
    struct mcq_bridges *all = &b->shard->bridges;
    mcq_bridge_drop_control(b);
    b->again = false;
    b->to = b->next_to;
    all->epochs[b->self.slot] += 2;
    b->self.epoch = all->epochs[b->self.slot];
    b->other = (struct mcq_bridge_ref){0, 0};
    b->state = MCQ_BRIDGE_OPENING;
    b->end_said = false;
    b->end_heard = false;
    b->lent = 0;
    b->taken = 0;
    b->got = 0;
    b->told = 0;
    all->stats.opened++;
    mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_OPEN | (b->holding ? MCQ_BRIDGE_DUE_HOLD : 0));
}

static void closed(struct mcq_bridge *b)
{
    if (b->again) {
        open_again(b);
        return;
    }
    mcq_bridge_drop_control(b);
    if (b->ops->closed != NULL)
        b->ops->closed(b);
    give(b);
}

void mcq_bridge_on_end(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    const struct mcq_bridge_end_rec *rec = body;
    struct mcq_bridge *b = mcq_bridge_find(sh, rec->to);
    (void)from;
    (void)len;
    if (b == NULL)
        return;
    bool told = b->state == MCQ_BRIDGE_ENDING;
    b->end_heard = true;
    b->state = MCQ_BRIDGE_ENDING;
    mcq_bridge_count_taken(b, rec->bytes);
    mcq_bridge_take_back(b, rec->kept);
    if (!told && b->ops->ended != NULL)
        b->ops->ended(b, rec->reason, rec->lost);
    if (b->end_said)
        closed(b);
    else
        mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_END);
}

void mcq_bridge_retarget(struct mcq_bridge *b, uint32_t to, enum mcq_reason reason)
{
    MCQ_ASSERT(b->held && !b->holding && b->lent == b->taken);
    b->again = true;
    b->next_to = to;
    mcq_bridge_end(b, reason, 0);
}

void mcq_bridge_again(struct mcq_bridge *b, uint32_t to)
{
    MCQ_ASSERT(b->state == MCQ_BRIDGE_ENDING && b->lent == b->taken);
    b->again = true;
    b->next_to = to;
}

/* --- what is due ---------------------------------------------------------------------------- */

static enum mcq_bridge_step tell_held(struct mcq_bridge *b)
{
    if (!b->holding || b->state == MCQ_BRIDGE_ENDING)
        return MCQ_BRIDGE_DONE;
    b->holding = false;
    if (b->ops->held != NULL)
        b->ops->held(b);
    return MCQ_BRIDGE_DONE;
}

static enum mcq_bridge_step run_bit(struct mcq_bridge *b, uint32_t bit)
{
    switch (bit) {
    case MCQ_BRIDGE_DUE_OPEN:
        return send_open(b);
    case MCQ_BRIDGE_DUE_ANSWER:
        return send_answer(b);
    case MCQ_BRIDGE_DUE_ACK:
        return mcq_bridge_send_ack(b);
    case MCQ_BRIDGE_DUE_SAY:
        return mcq_bridge_say_due(b);
    case MCQ_BRIDGE_DUE_DATA:
        return mcq_bridge_send_data(b) == MCQ_BRIDGE_FULL ? MCQ_BRIDGE_FULL : MCQ_BRIDGE_DONE;
    case MCQ_BRIDGE_DUE_OFFER:
        return mcq_bridge_offer(b);
    case MCQ_BRIDGE_DUE_TAKEN:
        return mcq_bridge_send_taken(b);
    case MCQ_BRIDGE_DUE_HOLD:
        return mcq_bridge_send_hold(b);
    case MCQ_BRIDGE_DUE_HELD:
        return mcq_bridge_send_held(b);
    case MCQ_BRIDGE_DUE_TELL:
        return tell_held(b);
    case MCQ_BRIDGE_DUE_MARKED:
        return mcq_bridge_send_marked(b);
    default: /* the last bit */
        return send_end(b);
    }
}

/* Each bit once; what becomes due meanwhile has its turn in the next. WAIT may mean it is gone. */
static void run_one(struct mcq_bridge *b)
{
    uint32_t due = b->due;
    if (b->end_said) { /* the other end may be gone */
        b->due = 0;
        return;
    }
    while (due != 0) {
        uint32_t bit = due & -due;
        due &= ~bit;
        if ((b->due & bit) == 0)
            continue;
        b->due &= ~bit;
        enum mcq_bridge_step step = run_bit(b, bit);
        if (step == MCQ_BRIDGE_WAIT)
            return;
        if (step == MCQ_BRIDGE_DONE)
            continue;
        wait_in(b, bit, &b->shard->bridges.full);
        b->shard->bridges.stats.lanes_full++;
        return;
    }
    if (b->due != 0)
        mcq_bridge_make_due(b, 0);
}

bool mcq_bridges_run(struct mcq_shard *sh)
{
    struct mcq_bridges *all = &sh->bridges;
    struct mcq_list batch;
    struct mcq_node *n;
    if (MCQ_LIKELY(mcq_list_empty(&all->due)))
        return false;
    all->early = false;
    mcq_list_init(&batch);
    move_all(&all->due, &batch);
    while ((n = mcq_list_pop_front(&batch)) != NULL)
        run_one(MCQ_CONTAINER_OF(n, struct mcq_bridge, due_node));
    return !mcq_list_empty(&all->due);
}

void mcq_bridges_room(struct mcq_shard *sh, uint32_t to)
{
    (void)to;
    run_refusals(sh);
    move_all(&sh->bridges.full, &sh->bridges.due);
}
