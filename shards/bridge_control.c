/* A bridge's control records, and what its owner says by them. */
#include "shards/bridge_private.h"
#include "shards/shard.h"

void mcq_bridge_say(struct mcq_bridge *b)
{
    mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_SAY);
}

/* Longer than a record: it lies in a block until the other end has read it. */
static const uint8_t *lend_control(struct mcq_bridge *b, struct mcq_slice head,
                                   struct mcq_slice body)
{
    struct mcq_buf_heap *heap = b->shard->heap;
    if (b->control != NULL)
        return NULL;
    b->control = mcq_buf_take(heap, head.len + body.len);
    if (b->control == NULL)
        return NULL;
    mcq_bytes_copy(b->control->base, head.ptr, head.len);
    mcq_bytes_copy(b->control->base + head.len, body.ptr, body.len);
    b->control->written = head.len + body.len;
    return b->control->base;
}

bool mcq_bridge_control(struct mcq_bridge *b, struct mcq_slice head, struct mcq_slice body)
{
    struct mcq_bridge_control_rec *rec;
    bool here = head.len + body.len <= MCQ_BRIDGE_CONTROL_MAX;
    const size_t len = head.len + body.len;
    rec = mcq_bridge_reserve(b, MCQ_MESH_BRIDGE_CONTROL, sizeof(*rec) + (here ? len : 0));
    if (rec == NULL)
        return false;
    rec->lent = here ? NULL : lend_control(b, head, body);
    if (!here && rec->lent == NULL)
        return false;
    rec->len = len;
    if (here) {
        mcq_bytes_copy(rec->bytes, head.ptr, head.len);
        mcq_bytes_copy(rec->bytes + head.len, body.ptr, body.len);
    }
    mcq_bridge_commit(b);
    return true;
}

void mcq_bridge_on_control(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    const struct mcq_bridge_control_rec *rec = body;
    struct mcq_bridge *b = mcq_bridge_find(sh, rec->to);
    (void)from;
    (void)len;
    if (b == NULL || b->state != MCQ_BRIDGE_OPEN)
        return;
    if (rec->lent != NULL)
        mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_ACK);
    b->ops->control(b, mcq_slice_of(rec->lent != NULL ? rec->lent : rec->bytes, rec->len));
}

enum mcq_bridge_step mcq_bridge_send_ack(struct mcq_bridge *b)
{
    if (mcq_bridge_reserve(b, MCQ_MESH_BRIDGE_ACK, sizeof(struct mcq_bridge_note_rec)) == NULL)
        return MCQ_BRIDGE_FULL;
    mcq_bridge_commit(b);
    return MCQ_BRIDGE_DONE;
}

void mcq_bridge_drop_control(struct mcq_bridge *b)
{
    if (b->control != NULL)
        mcq_buf_unref(b->shard->heap, b->control);
    b->control = NULL;
}

void mcq_bridge_on_ack(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    const struct mcq_bridge_note_rec *rec = body;
    struct mcq_bridge *b = mcq_bridge_find(sh, rec->to);
    (void)from;
    (void)len;
    if (b == NULL)
        return;
    mcq_bridge_drop_control(b);
    mcq_bridge_make_due(b, MCQ_BRIDGE_DUE_SAY | MCQ_BRIDGE_DUE_DATA);
}

/* A control that found no block waits as for memory, one that waits for its predecessor's for ACK.
 */
enum mcq_bridge_step mcq_bridge_say_due(struct mcq_bridge *b)
{
    if (b->state != MCQ_BRIDGE_OPEN || b->ops->say == NULL || b->ops->say(b))
        return MCQ_BRIDGE_DONE;
    if (mcq_mesh_waits(b->shard->mesh, b->to, MCQ_LANE_BULK))
        return MCQ_BRIDGE_FULL;
    if (b->control != NULL)
        return MCQ_BRIDGE_DONE;
    mcq_bridge_starve(b, MCQ_BRIDGE_DUE_SAY);
    return MCQ_BRIDGE_WAIT;
}
