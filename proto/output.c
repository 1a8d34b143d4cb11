/* Output: what the state machine itself has to say, generated when there is room for it and never
 * queued: the greeting as far as the peer's allows, READY or the identity, one ERROR, the last
 * PING's PONG, one PING. Commands and frames are written whole or not at all, the greeting byte by
 * byte. Declared in zmtp.h.
 */
#include "proto/command.h"
#include "proto/frame.h"
#include "proto/greeting.h"
#include "proto/mech_null.h"
#include "proto/old.h"
#include "proto/zmtp_private.h"

#define TTL_MAX 65535u /* of a PING, in MCQ_COMMAND_TTL_UNIT_MS */

static bool ready_due(const struct mcq_zmtp *z)
{
    return z->state == MCQ_ZMTP_HANDSHAKE && (z->flags & MCQ_ZMTP_READY_SENT) == 0;
}

static bool greeting_due(const struct mcq_zmtp *z)
{
    if (z->state == MCQ_ZMTP_CLOSED && (z->flags & MCQ_ZMTP_ERROR_DUE) == 0)
        return false;
    return z->greeting_out_len < mcq_greeting_out_max(z->greeting_in_len, z->peer_major);
}

bool mcq_zmtp_wants_drain(const struct mcq_zmtp *z)
{
    return greeting_due(z) || ready_due(z) || z->ping == MCQ_ZMTP_PING_DUE ||
           (z->flags & (MCQ_ZMTP_PONG_DUE | MCQ_ZMTP_ERROR_DUE)) != 0;
}

static bool put_greeting(struct mcq_zmtp *z, struct mcq_writer *w)
{
    if (!greeting_due(z))
        return true;
    size_t max = mcq_greeting_out_max(z->greeting_in_len, z->peer_major);
    size_t len = mcq_greeting_put(w, z->greeting_out_len, max, z->peer_major,
                                  (enum mcq_sock_type)z->type, z->identity_len);
    z->greeting_out_len = (uint8_t)(z->greeting_out_len + len);
    return z->greeting_out_len == max;
}

static bool put_ready(struct mcq_zmtp *z, struct mcq_writer *w)
{
    if (!ready_due(z))
        return true;
    struct mcq_slice identity = mcq_slice_of(z->identity, z->identity_len);
    bool ok = z->peer_major < MCQ_OLD_END
                  ? mcq_old_identity_put(z->peer_major, mcq_zmtp_is_ungreeted(z), w, identity)
                  : mcq_mech_null_put(w, (enum mcq_sock_type)z->type, identity);
    if (!ok)
        return false;
    z->flags |= MCQ_ZMTP_READY_SENT;
    return true;
}

static bool put_error(struct mcq_zmtp *z, struct mcq_writer *w)
{
    if ((z->flags & MCQ_ZMTP_ERROR_DUE) == 0)
        return true;
    struct mcq_slice text = mcq_slice_of_text("\x13Invalid socket type");
    if (!mcq_command_put(w, MCQ_COMMAND_ERROR, text))
        return false;
    z->flags &= (uint8_t)~MCQ_ZMTP_ERROR_DUE;
    return true;
}

static bool put_pong(struct mcq_zmtp *z, struct mcq_writer *w, struct mcq_proto_stats *stats)
{
    if ((z->flags & MCQ_ZMTP_PONG_DUE) == 0)
        return true;
    if (!mcq_command_put(w, MCQ_COMMAND_PONG, mcq_slice_of(z->pong_ctx, z->pong_len)))
        return false;
    z->flags &= (uint8_t)~MCQ_ZMTP_PONG_DUE;
    stats->pongs_out++;
    return true;
}

static bool put_ping(struct mcq_zmtp *z, struct mcq_writer *w, struct mcq_proto_stats *stats)
{
    if (z->ping != MCQ_ZMTP_PING_DUE)
        return true;
    uint64_t ttl =
        ((uint64_t)z->heartbeat_ttl_ms + MCQ_COMMAND_TTL_UNIT_MS - 1) / MCQ_COMMAND_TTL_UNIT_MS;
    ttl = mcq_min_u64(ttl, TTL_MAX);
    uint8_t data[] = {(uint8_t)(ttl >> 8), (uint8_t)ttl};
    if (!mcq_command_put(w, MCQ_COMMAND_PING, mcq_slice_of(data, sizeof(data))))
        return false;
    z->ping = MCQ_ZMTP_PING_SAID;
    stats->pings_out++;
    return true;
}

bool mcq_zmtp_drain(struct mcq_zmtp *z, struct mcq_writer *w, struct mcq_proto_stats *stats)
{
    MCQ_DASSERT(mcq_zmtp_invariants(z));
    size_t before = w->len;
    bool done = put_greeting(z, w) && put_ready(z, w) && put_error(z, w) && put_pong(z, w, stats) &&
                put_ping(z, w, stats);
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
    bool v1 = mcq_zmtp_is_v1(z);
    if (mcq_writer_room(w) < (v1 ? mcq_frame_v1_head_len(len) : mcq_frame_head_len(len)) + len)
        return false;
    bool ok = v1 ? mcq_frame_v1_head_write(w, false, len) : mcq_frame_head_write(w, 0, len);
    return ok && mcq_writer_u8(w, add ? MCQ_ZMTP_BYTE_SUBSCRIBE : MCQ_ZMTP_BYTE_CANCEL) &&
           mcq_writer_put(w, topic);
}
