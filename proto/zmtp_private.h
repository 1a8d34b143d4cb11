/* The state machine's inside, shared by zmtp.c (commands, frames, the end), zmtp_hello.c (greeting
 * and handshake) and heartbeat.c (time). */
#ifndef MCQ_PROTO_ZMTP_PRIVATE_H
#define MCQ_PROTO_ZMTP_PRIVATE_H

#include "proto/fault.h"
#include "proto/zmtp.h"

/* mcq_zmtp.flags */
#define MCQ_ZMTP_READY_SENT 0x01u /* ours, or our identity's frame */
#define MCQ_ZMTP_PONG_DUE   0x02u
#define MCQ_ZMTP_ERROR_DUE  0x04u
#define MCQ_ZMTP_MET        0x08u /* the handshake was done: the identity is the peer's */
#define MCQ_ZMTP_ALL_DUE    0x10u /* the event that a 1.0 peer subscribes to everything */
#define MCQ_ZMTP_FLAGS      0x1fu

/* First byte of a subscription in its message form (RFC 23, RFC 29). */
#define MCQ_ZMTP_BYTE_CANCEL    0u
#define MCQ_ZMTP_BYTE_SUBSCRIBE 1u

/* One call of mcq_zmtp_next: its arguments. */
struct mcq_zmtp_call {
    struct mcq_zmtp *z;
    struct mcq_reader *in;
    struct mcq_frame *frames;
    struct mcq_zmtp_event *ev;
    struct mcq_proto_stats *stats;
    uint64_t now_ns;
};

/* Ends the stream; fault says why. */
void mcq_zmtp_close(struct mcq_zmtp *z, enum mcq_fault fault, struct mcq_proto_stats *stats);

/* These end one step of next: true, there is an event to return. */
static inline bool mcq_zmtp_die(struct mcq_zmtp_call *c, enum mcq_fault fault)
{
    mcq_zmtp_close(c->z, fault, c->stats);
    c->ev->kind = MCQ_ZMTP_DEAD;
    return true;
}

static inline bool mcq_zmtp_more(struct mcq_zmtp_call *c, uint64_t need)
{
    c->z->need = need;
    c->ev->kind = MCQ_ZMTP_MORE;
    return true;
}

static inline bool mcq_zmtp_tell(struct mcq_zmtp_call *c, enum mcq_zmtp_kind kind)
{
    c->ev->kind = kind;
    return true;
}

static inline void mcq_zmtp_consume(struct mcq_zmtp_call *c, uint64_t len)
{
    struct mcq_slice taken;
    bool ok = mcq_reader_take(c->in, len, &taken);
    MCQ_ASSERT(ok);
    c->z->offset += len;
    c->stats->bytes_in += len;
}

/* What subscribers send is a subscription if it looks like one. */
static inline bool mcq_zmtp_publishes(const struct mcq_zmtp *z)
{
    return z->type == MCQ_PUB || z->type == MCQ_XPUB;
}

/* A ZMTP 1.0 peer without a greeting; the state is beyond GREETING. */
static inline bool mcq_zmtp_is_ungreeted(const struct mcq_zmtp *z)
{
    return z->peer_major == 1 && z->greeting_in_len == 0;
}

/* One step of next in GREETING, and in HANDSHAKE with a peer of before 3.0. false: go on. */
bool mcq_zmtp_greet(struct mcq_zmtp_call *c);
bool mcq_zmtp_identify(struct mcq_zmtp_call *c);
/* The handshake is done; type 0: not known. */
void mcq_zmtp_meet(struct mcq_zmtp_call *c, enum mcq_sock_type type, struct mcq_slice identity);

#endif
