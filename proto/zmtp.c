#include "proto/zmtp.h"

#include "proto/command.h"
#include "proto/frame.h"
#include "proto/greeting.h"
#include "proto/mech_null.h"
#include "proto/old.h"
#include "proto/zmtp_private.h"

_Static_assert(sizeof(struct mcq_zmtp) <= 512, "a session's protocol state is copied whole");

/* The peer's greeting is whole, or it has none. */
static bool is_greeted(const struct mcq_zmtp *z)
{
    if (z->peer_major == MCQ_OLD_1 && z->greeting_in_len == 0)
        return true;
    return z->peer_major != 0 && z->greeting_in_len == mcq_greeting_len(z->peer_major);
}

static bool scan_holds(const struct mcq_zmtp *z)
{
    return z->scan_frames <= z->limits.frames_max && z->scan_len <= z->limits.msg_max &&
           (z->scan_frames == 0) == (z->scan_len == 0) &&
           (z->scan_frames == 0 || z->state == MCQ_ZMTP_TRAFFIC);
}

/* What is due, and was said, in this state. */
static bool output_holds(const struct mcq_zmtp *z)
{
    bool traffic = z->state == MCQ_ZMTP_TRAFFIC;
    bool ready_sent = (z->flags & MCQ_ZMTP_READY_SENT) != 0;
    size_t out_max = mcq_greeting_out_max(z->greeting_in_len, z->peer_major);
    if (z->greeting_out_len > out_max || (ready_sent && z->greeting_out_len != out_max))
        return false;
    if (!traffic && ((z->flags & MCQ_ZMTP_PONG_DUE) != 0 || z->ping != MCQ_ZMTP_PING_NONE))
        return false;
    if (z->ping != MCQ_ZMTP_PING_NONE && z->heartbeat_ms == 0)
        return false;
    return (z->flags & MCQ_ZMTP_ERROR_DUE) == 0 ||
           (z->state == MCQ_ZMTP_CLOSED && is_greeted(z) && z->peer_major >= MCQ_OLD_END);
}

bool mcq_zmtp_invariants(const struct mcq_zmtp *z)
{
    bool met = (z->flags & MCQ_ZMTP_MET) != 0;
    if (z->state > MCQ_ZMTP_CLOSED || z->type == 0 || z->type >= MCQ_ZMTP_TYPE_CNT ||
        z->peer_type >= MCQ_ZMTP_TYPE_CNT || (z->flags & ~MCQ_ZMTP_FLAGS) != 0)
        return false;
    if (z->need == 0 || z->pong_len > MCQ_ZMTP_PONG_CTX_MAX || !scan_holds(z) || !output_holds(z))
        return false;
    if (met && ((z->peer_type == 0 && !mcq_zmtp_is_ungreeted(z)) || z->peer_major == 0 ||
                (z->flags & MCQ_ZMTP_READY_SENT) == 0))
        return false;
    if (z->state == MCQ_ZMTP_CLOSED)
        return z->reason != 0 && z->fault != 0;
    return is_greeted(z) == (z->state > MCQ_ZMTP_GREETING) &&
           met == (z->state == MCQ_ZMTP_TRAFFIC) && z->reason == 0 && z->fault == 0;
}

void mcq_zmtp_init(struct mcq_zmtp *z, const struct mcq_zmtp_config *cfg, uint64_t now_ns)
{
    MCQ_ASSERT(cfg->type >= MCQ_PAIR && cfg->type < MCQ_ZMTP_TYPE_CNT);
    MCQ_ASSERT(cfg->identity.len <= MCQ_IDENTITY_LEN_MAX);
    MCQ_ASSERT(cfg->limits.frames_max > 0 && cfg->limits.frames_max <= MCQ_FRAME_CNT_MAX);
    MCQ_ASSERT(cfg->version_min <= MCQ_ZMTP_3_0);
    uint32_t timeout_ms = cfg->heartbeat_timeout_ms;
    *z = (struct mcq_zmtp){
        .state = MCQ_ZMTP_GREETING,
        .type = (uint8_t)cfg->type,
        .peer_mask = cfg->peer_mask,
        .need = 1,
        .limits = cfg->limits,
        .deadline_ns = cfg->handshake_deadline_ns,
        .last_rx_ns = now_ns,
        .last_tx_ns = now_ns,
        .heartbeat_ms = cfg->heartbeat_ms,
        .heartbeat_timeout_ms = timeout_ms != 0 ? timeout_ms : cfg->heartbeat_ms,
        .heartbeat_ttl_ms = cfg->heartbeat_ttl_ms,
        .version_min = (uint8_t)(cfg->version_min != 0 ? cfg->version_min : MCQ_ZMTP_2_0),
        .identity_len = (uint8_t)cfg->identity.len,
    };
    z->slow = mcq_zmtp_publishes(z);
    mcq_bytes_copy(z->identity, cfg->identity.ptr, cfg->identity.len);
    MCQ_DASSERT(mcq_zmtp_invariants(z));
}

/* --- the end of a stream ------------------------------------------------------------------ */

static void close_with(struct mcq_zmtp *z, enum mcq_fault fault, enum mcq_reason reason)
{
    if (z->state == MCQ_ZMTP_HANDSHAKE && reason == MCQ_REASON_INCOMPATIBLE &&
        z->peer_major >= MCQ_OLD_END)
        z->flags |= MCQ_ZMTP_ERROR_DUE;
    z->flags &= (uint8_t) ~(MCQ_ZMTP_PONG_DUE | MCQ_ZMTP_ALL_DUE);
    z->ping = MCQ_ZMTP_PING_NONE;
    z->state = MCQ_ZMTP_CLOSED;
    z->fault = (uint8_t)fault;
    z->reason = (uint8_t)reason;
    z->offset += z->scan_len;
    z->scan_len = 0;
    z->scan_frames = 0;
    z->need = 1;
}

void mcq_zmtp_close(struct mcq_zmtp *z, enum mcq_fault fault, struct mcq_proto_stats *stats)
{
    enum mcq_reason reason = mcq_fault_reason(fault);
    if (z->state == MCQ_ZMTP_GREETING || z->state == MCQ_ZMTP_HANDSHAKE)
        stats->handshakes_failed++;
    if (fault == MCQ_FAULT_HANDSHAKE_LATE)
        stats->handshakes_expired++;
    if (reason == MCQ_REASON_PROTOCOL)
        stats->errors++;
    if (reason == MCQ_REASON_HEARTBEAT)
        stats->heartbeats_expired++;
    close_with(z, fault, reason);
}

/* --- commands ----------------------------------------------------------------------------- */

/* Text of the peer's: shown to people, so only what a terminal takes literally. */
static enum mcq_fault on_error(struct mcq_zmtp *z, struct mcq_slice data)
{
    struct mcq_slice reason;
    enum mcq_fault fault = mcq_command_read_error(data, &reason);
    if (fault != MCQ_FAULT_NONE)
        return fault;
    for (size_t i = 0; i < reason.len; i++) {
        uint8_t c = reason.ptr[i];
        z->identity[i] = c >= 0x20 && c < 0x7f ? c : '?';
    }
    z->identity[reason.len] = 0;
    z->identity_len = 0;
    return MCQ_FAULT_PEER_ERROR;
}

static enum mcq_fault on_ready(struct mcq_zmtp_call *c, struct mcq_slice data)
{
    struct mcq_ready ready;
    enum mcq_fault fault = mcq_mech_null_read(data, &ready);
    if (fault != MCQ_FAULT_NONE)
        return fault;
    if (ready.type == 0 || (c->z->peer_mask & (1u << ready.type)) == 0)
        return MCQ_FAULT_TYPE;
    mcq_zmtp_meet(c, ready.type, ready.identity);
    return MCQ_FAULT_NONE;
}

static enum mcq_fault on_ping(struct mcq_zmtp_call *c, struct mcq_slice data)
{
    struct mcq_zmtp *z = c->z;
    struct mcq_slice context;
    enum mcq_fault fault = mcq_command_read_ping(data, &z->peer_ttl_ms, &context);
    if (fault != MCQ_FAULT_NONE)
        return fault;
    z->last_rx_ns = c->now_ns;
    z->pong_len = (uint8_t)mcq_min(context.len, MCQ_ZMTP_PONG_CTX_MAX);
    mcq_bytes_copy(z->pong_ctx, context.ptr, z->pong_len);
    z->flags |= MCQ_ZMTP_PONG_DUE;
    c->stats->pings_in++;
    c->ev->kind = MCQ_ZMTP_WROTE;
    return MCQ_FAULT_NONE;
}

static enum mcq_fault on_topic(struct mcq_zmtp_call *c, bool add, struct mcq_slice topic)
{
    if (topic.len > MCQ_TOPIC_LEN_MAX)
        return MCQ_FAULT_TOPIC_LEN;
    c->ev->kind = add ? MCQ_ZMTP_SUBSCRIBE : MCQ_ZMTP_CANCEL;
    c->ev->topic = topic;
    return MCQ_FAULT_NONE;
}

static enum mcq_fault handshake_command(struct mcq_zmtp_call *c, const struct mcq_command *cmd)
{
    switch (cmd->id) {
    case MCQ_COMMAND_READY:
        return on_ready(c, cmd->data);
    case MCQ_COMMAND_ERROR:
        return on_error(c->z, cmd->data);
    case MCQ_COMMAND_PING:
    case MCQ_COMMAND_PONG:
    case MCQ_COMMAND_SUBSCRIBE:
    case MCQ_COMMAND_CANCEL:
    case MCQ_COMMAND_UNKNOWN:
        return MCQ_FAULT_COMMAND_EARLY;
    }
    return MCQ_FAULT_COMMAND_EARLY;
}

static enum mcq_fault traffic_command(struct mcq_zmtp_call *c, const struct mcq_command *cmd)
{
    switch (cmd->id) {
    case MCQ_COMMAND_SUBSCRIBE:
    case MCQ_COMMAND_CANCEL:
        if (mcq_zmtp_publishes(c->z))
            return on_topic(c, cmd->id == MCQ_COMMAND_SUBSCRIBE, cmd->data);
        break;
    case MCQ_COMMAND_PING:
        return on_ping(c, cmd->data);
    case MCQ_COMMAND_PONG:
        c->z->last_rx_ns = c->now_ns;
        return MCQ_FAULT_NONE;
    case MCQ_COMMAND_ERROR:
        return on_error(c->z, cmd->data);
    case MCQ_COMMAND_READY:
        return MCQ_FAULT_READY_TWICE;
    case MCQ_COMMAND_UNKNOWN:
        break;
    }
    c->stats->commands_unknown++;
    return MCQ_FAULT_NONE;
}

/* A whole command is at the front. true: an event. */
static bool step_command(struct mcq_zmtp_call *c, const struct mcq_frame_head *head)
{
    struct mcq_reader r = *c->in;
    struct mcq_slice skipped, body;
    bool whole =
        mcq_reader_take(&r, head->len, &skipped) && mcq_reader_take(&r, head->body_len, &body);
    MCQ_ASSERT(whole);
    struct mcq_command cmd;
    enum mcq_fault fault = mcq_command_read(body, &cmd);
    if (fault == MCQ_FAULT_NONE)
        fault = c->z->state == MCQ_ZMTP_HANDSHAKE ? handshake_command(c, &cmd)
                                                  : traffic_command(c, &cmd);
    if (fault != MCQ_FAULT_NONE)
        return mcq_zmtp_die(c, fault);
    c->stats->commands_in++;
    mcq_zmtp_consume(c, head->len + head->body_len);
    return c->ev->kind != MCQ_ZMTP_MORE;
}

/* --- frames and messages ------------------------------------------------------------------- */

static enum mcq_fault check_command(const struct mcq_zmtp *z, const struct mcq_frame_head *head)
{
    if (z->scan_frames > 0)
        return MCQ_FAULT_COMMAND_INSIDE;
    return head->body_len <= MCQ_ZMTP_COMMAND_LEN_MAX ? MCQ_FAULT_NONE : MCQ_FAULT_COMMAND_LEN;
}

static enum mcq_fault check_frame(const struct mcq_zmtp *z, const struct mcq_frame_head *head)
{
    if ((head->flags & MCQ_FRAME_COMMAND) != 0)
        return check_command(z, head);
    if (z->state == MCQ_ZMTP_HANDSHAKE)
        return MCQ_FAULT_MESSAGE_EARLY;
    if (head->body_len > z->limits.frame_max)
        return MCQ_FAULT_FRAME_LEN;
    if (head->len + head->body_len > z->limits.msg_max - z->scan_len)
        return MCQ_FAULT_MSG_LEN;
    return z->scan_frames < z->limits.frames_max ? MCQ_FAULT_NONE : MCQ_FAULT_FRAME_CNT;
}

static enum mcq_fault read_head(const struct mcq_zmtp *z, struct mcq_slice s,
                                struct mcq_frame_head *head)
{
    if (MCQ_UNLIKELY(z->peer_major < MCQ_OLD_END))
        return mcq_old_head_read(z->peer_major, s, head);
    return mcq_frame_head_read(s, head);
}

/* Judges the frame behind the scanned ones. true: an event; false: it is whole. */
static bool scan_frame(struct mcq_zmtp_call *c, struct mcq_frame_head *head)
{
    struct mcq_zmtp *z = c->z;
    MCQ_ASSERT(mcq_reader_left(c->in) >= z->scan_len);
    struct mcq_slice rest = mcq_reader_rest(c->in);
    size_t window_len = rest.len;
    rest = mcq_slice_of(rest.ptr + z->scan_len, window_len - (size_t)z->scan_len);
    enum mcq_fault fault = read_head(z, rest, head);
    if (fault == MCQ_FAULT_NONE && head->need == 0)
        fault = check_frame(z, head);
    if (MCQ_UNLIKELY(fault != MCQ_FAULT_NONE))
        return mcq_zmtp_die(c, fault);
    if (head->need > 0)
        return mcq_zmtp_more(c, head->need);
    uint64_t have = rest.len - head->len;
    if (MCQ_LIKELY(have >= head->body_len))
        return false;
    mcq_zmtp_more(c, head->body_len - have);
    if (z->need >= MCQ_ZMTP_BODY_MIN) {
        c->ev->kind = MCQ_ZMTP_NEED_BODY;
        c->ev->window_len = window_len;
        c->ev->missing = z->need;
    }
    return true;
}

/* Length of the header at the front of s, which was judged before, and of its body. */
static size_t head_len_of(const struct mcq_zmtp *z, struct mcq_slice s, uint64_t *body_len)
{
    uint8_t flags;
    struct mcq_frame_head head;
    if (MCQ_LIKELY(!mcq_zmtp_is_v1(z)))
        return mcq_frame_head_get(s, &flags, body_len);
    enum mcq_fault fault = mcq_frame_v1_head_read(s, &head);
    MCQ_ASSERT(fault == MCQ_FAULT_NONE && head.need == 0);
    *body_len = head.body_len;
    return head.len;
}

/* All frames of the message at the front are whole and legal: views of them. */
static void fill_frames(struct mcq_zmtp_call *c)
{
    struct mcq_reader r = *c->in;
    uint32_t cnt = c->z->scan_frames;
    for (uint32_t i = 0; i < cnt; i++) {
        struct mcq_slice head, body;
        uint64_t len = 0;
        size_t head_len = head_len_of(c->z, mcq_reader_rest(&r), &len);
        bool whole = mcq_reader_take(&r, head_len, &head) && mcq_reader_take(&r, len, &body);
        MCQ_ASSERT(whole);
        c->frames[i].data = body.ptr;
        c->frames[i].len = body.len;
    }
    c->ev->frame_cnt = cnt;
}

/* The form of a subscription before 3.1; XPUB must take it from anyone. */
static bool is_subscription(const struct mcq_zmtp *z, struct mcq_slice body)
{
    return mcq_zmtp_publishes(z) && body.len > 0 && body.ptr[0] <= MCQ_ZMTP_BYTE_SUBSCRIBE;
}

static bool give_message(struct mcq_zmtp_call *c)
{
    struct mcq_zmtp *z = c->z;
    fill_frames(c);
    struct mcq_slice first = mcq_slice_of(c->frames[0].data, c->frames[0].len);
    if (c->ev->frame_cnt == 1 && is_subscription(z, first)) {
        c->ev->frame_cnt = 0;
        struct mcq_slice topic = mcq_slice_of(first.ptr + 1, first.len - 1);
        uint64_t len = z->scan_len;
        z->scan_frames = 0;
        z->scan_len = 0;
        enum mcq_fault fault = on_topic(c, first.ptr[0] == MCQ_ZMTP_BYTE_SUBSCRIBE, topic);
        if (fault != MCQ_FAULT_NONE)
            return mcq_zmtp_die(c, fault);
        c->stats->commands_in++;
        mcq_zmtp_consume(c, len);
        return true;
    }
    c->stats->msgs_in++;
    c->stats->frames_in += z->scan_frames;
    c->ev->window_len = (size_t)z->scan_len;
    mcq_zmtp_consume(c, z->scan_len);
    z->scan_frames = 0;
    z->scan_len = 0;
    return mcq_zmtp_tell(c, MCQ_ZMTP_MESSAGE);
}

/* Takes frames up to the end of a message or a command; true: an event. */
static bool step_frames(struct mcq_zmtp_call *c)
{
    struct mcq_zmtp *z = c->z;
    struct mcq_frame_head head;
    do {
        if (scan_frame(c, &head))
            return true;
        if ((head.flags & MCQ_FRAME_COMMAND) != 0)
            return step_command(c, &head);
        z->scan_frames++;
        z->scan_len += head.len + head.body_len;
    } while ((head.flags & MCQ_FRAME_MORE) != 0);
    return give_message(c);
}

static bool step_handshake(struct mcq_zmtp_call *c)
{
    if ((c->z->flags & MCQ_ZMTP_READY_SENT) == 0)
        return mcq_zmtp_tell(c, MCQ_ZMTP_WROTE);
    return c->z->peer_major < MCQ_OLD_END ? mcq_zmtp_identify(c) : step_frames(c);
}

static bool step_traffic(struct mcq_zmtp_call *c)
{
    if (c->z->slow && MCQ_UNLIKELY((c->z->flags & MCQ_ZMTP_ALL_DUE) != 0)) {
        c->z->flags &= (uint8_t)~MCQ_ZMTP_ALL_DUE;
        c->ev->topic = mcq_slice_of(c->in->ptr + c->in->pos, 0);
        return mcq_zmtp_tell(c, MCQ_ZMTP_SUBSCRIBE);
    }
    return step_frames(c);
}

static bool step(struct mcq_zmtp_call *c)
{
    switch ((enum mcq_zmtp_state)c->z->state) {
    case MCQ_ZMTP_GREETING:
        return mcq_zmtp_greet(c);
    case MCQ_ZMTP_HANDSHAKE:
        return step_handshake(c);
    case MCQ_ZMTP_TRAFFIC:
        return step_traffic(c);
    case MCQ_ZMTP_CLOSED:
        return mcq_zmtp_tell(c, MCQ_ZMTP_DEAD);
    }
    mcq_assert_fail("a known state", __FILE__, __LINE__);
}

void mcq_zmtp_next(struct mcq_zmtp *z, struct mcq_reader *in, uint64_t now_ns,
                   struct mcq_frame *frames, struct mcq_zmtp_event *ev,
                   struct mcq_proto_stats *stats)
{
    MCQ_DASSERT(mcq_zmtp_invariants(z));
    struct mcq_zmtp_call c = {z, in, frames, ev, stats, now_ns};
    *ev = (struct mcq_zmtp_event){.kind = MCQ_ZMTP_MORE};
    while (!step(&c))
        continue;
    MCQ_DASSERT(mcq_zmtp_invariants(z));
}

/* --- what the caller may know and do ------------------------------------------------------- */

bool mcq_zmtp_has_event(const struct mcq_zmtp *z)
{
    return (z->flags & MCQ_ZMTP_ALL_DUE) != 0;
}

void mcq_zmtp_fail(struct mcq_zmtp *z, enum mcq_reason reason)
{
    MCQ_ASSERT(reason != MCQ_REASON_NONE);
    if (z->state != MCQ_ZMTP_CLOSED)
        close_with(z, MCQ_FAULT_CALLER, reason);
}

enum mcq_reason mcq_zmtp_reason(const struct mcq_zmtp *z)
{
    return (enum mcq_reason)z->reason;
}

const char *mcq_zmtp_detail(const struct mcq_zmtp *z)
{
    if (z->fault == MCQ_FAULT_PEER_ERROR && z->identity[0] != 0)
        return (const char *)z->identity;
    return mcq_fault_text((enum mcq_fault)z->fault);
}

struct mcq_slice mcq_zmtp_peer_identity(const struct mcq_zmtp *z)
{
    return mcq_slice_of(z->identity, (z->flags & MCQ_ZMTP_MET) == 0 ? 0 : z->identity_len);
}
