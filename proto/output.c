#include "proto/output.h"

#include "proto/command.h"
#include "proto/frame.h"
#include "proto/greeting.h"
#include "proto/mech_null.h"

static bool ready_due(const struct mcq_zmtp *z)
{
    return z->state == MCQ_ZMTP_HANDSHAKE && (z->flags & MCQ_OUTPUT_READY_SENT) == 0;
}

static bool greeting_due(const struct mcq_zmtp *z)
{
    if (z->state == MCQ_ZMTP_CLOSED && (z->flags & MCQ_OUTPUT_ERROR) == 0)
        return false;
    return z->greeting_out_len < mcq_greeting_out_max(z->greeting_in_len);
}

bool mcq_zmtp_wants_drain(const struct mcq_zmtp *z)
{
    return greeting_due(z) || ready_due(z) ||
           (z->flags & (MCQ_OUTPUT_PONG | MCQ_OUTPUT_ERROR)) != 0;
}

static bool put_greeting(struct mcq_zmtp *z, struct mcq_writer *w)
{
    if (!greeting_due(z))
        return true;
    size_t max = mcq_greeting_out_max(z->greeting_in_len);
    size_t len = mcq_greeting_put(w, z->greeting_out_len, max, z->identity_len);
    z->greeting_out_len = (uint8_t)(z->greeting_out_len + len);
    return z->greeting_out_len == max;
}

static bool put_ready(struct mcq_zmtp *z, struct mcq_writer *w)
{
    if (!ready_due(z))
        return true;
    struct mcq_slice identity = mcq_slice_of(z->identity, z->identity_len);
    if (!mcq_mech_null_put(w, (enum mcq_sock_type)z->type, identity))
        return false;
    z->flags |= MCQ_OUTPUT_READY_SENT;
    return true;
}

static bool put_error(struct mcq_zmtp *z, struct mcq_writer *w)
{
    if ((z->flags & MCQ_OUTPUT_ERROR) == 0)
        return true;
    struct mcq_slice text = mcq_slice_of_text("\x13Invalid socket type");
    if (!mcq_command_put(w, MCQ_COMMAND_ERROR, text))
        return false;
    z->flags &= (uint8_t)~MCQ_OUTPUT_ERROR;
    return true;
}

static bool put_pong(struct mcq_zmtp *z, struct mcq_writer *w, struct mcq_proto_stats *stats)
{
    if ((z->flags & MCQ_OUTPUT_PONG) == 0)
        return true;
    if (!mcq_command_put(w, MCQ_COMMAND_PONG, mcq_slice_of(z->pong_ctx, z->pong_len)))
        return false;
    z->flags &= (uint8_t)~MCQ_OUTPUT_PONG;
    stats->pongs_out++;
    return true;
}

bool mcq_zmtp_drain(struct mcq_zmtp *z, struct mcq_writer *w, struct mcq_proto_stats *stats)
{
    MCQ_DASSERT(mcq_zmtp_invariants(z));
    size_t before = w->len;
    bool done = put_greeting(z, w) && put_ready(z, w) && put_error(z, w) && put_pong(z, w, stats);
    MCQ_DASSERT(w->len - before <= MCQ_ZMTP_DRAIN_MAX);
    MCQ_DASSERT(mcq_zmtp_invariants(z));
    return done;
}

bool mcq_zmtp_put_subscription(const struct mcq_zmtp *z, struct mcq_writer *w, bool add,
                               struct mcq_slice topic)
{
    MCQ_ASSERT(topic.len <= MCQ_TOPIC_LEN_MAX);
    if (z->peer_minor > 0)
        return mcq_command_put(w, add ? MCQ_COMMAND_SUBSCRIBE : MCQ_COMMAND_CANCEL, topic);
    size_t len = 1 + topic.len;
    if (mcq_writer_room(w) < mcq_frame_head_len(len) + len)
        return false;
    return mcq_frame_head_write(w, 0, len) &&
           mcq_writer_u8(w, add ? MCQ_OUTPUT_SUBSCRIBE : MCQ_OUTPUT_CANCEL) &&
           mcq_writer_put(w, topic);
}
