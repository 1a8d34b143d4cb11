/* Events: what happens to a socket's listeners and connections, told to its `event` handler.
 *
 * Those of one listener, connect or accepted peer come in this order; none is lost, none comes
 * twice, and what is told costs no memory:
 *
 *      bind        LISTENING, any number of LISTEN_FAILED, UNBOUND; LISTENING of a logical
 *                  socket is told once, by the member that bound first
 *      connect     each try: CONNECTING, and then
 *                      HANDSHAKE_FAILED                         the transport didn't come up
 *                      CONNECTED, HANDSHAKE_FAILED or REFUSED   it did, the handshake didn't
 *                      CONNECTED, UP, (a), DISCONNECTED
 *                  and after each: RETRY, or UNCONNECTED, which is the last
 *      accepted    ACCEPTED, and then HANDSHAKE_FAILED, REFUSED, or UP, (a), DISCONNECTED;
 *                  REFUSED alone if a limit, or a socket that closes, leaves no place for it
 *
 * (a) is what happens to the peer's queue: SLOW and SLOW_END in turns, and DROPPED. They are told
 * once per turn, coalesced: at most one DROPPED per peer and reason, with its count, behind SLOW
 * and before SLOW_END; SLOW and SLOW_END end in what is. The last of them come before DISCONNECTED,
 * and a slow peer is none any more then. The queue of a connect is there before UP and after
 * DISCONNECTED, too: peer is zero in what is told of it then. What was queued for a peer that
 * doesn't come back is DROPPED with the reason of its end, and counted as drops_end.
 *
 * So a connection that came up has exactly one UP and one DISCONNECTED, with the reason and what
 * may not have arrived; every connect has exactly one UNCONNECTED, every bind one UNBOUND.
 *
 * A connect is tried again after any end that wasn't asked for, a protocol error or the peer's
 * ERROR included: after reconnect_min_ms, then twice as long each time up to reconnect_max_ms,
 * until a connection has lasted for a second; each time a random quarter less or more. After
 * PEER_ERROR and INCOMPATIBLE, which are not likely to pass by themselves, reconnect_max_ms at once
 * (RFC 37 lets ERROR be final for the same credentials; the mechanism NULL has none to change).
 */
#ifndef MONOCOQUE_EVENT_H
#define MONOCOQUE_EVENT_H

#include <monocoque/base.h>
#include <monocoque/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum mcq_event_kind {
    MCQ_EVENT_LISTENING = 1, /* endpoint: the actual one, ephemeral port filled in */
    MCQ_EVENT_LISTEN_FAILED, /* accepting paused (EMFILE, ...); error, os_errno; retry_ns until the
                                next try */
    MCQ_EVENT_UNBOUND,
    MCQ_EVENT_ACCEPTED,
    MCQ_EVENT_CONNECTING,
    MCQ_EVENT_CONNECTED,        /* transport is up, the handshake runs */
    MCQ_EVENT_UP,               /* handshake done: peer may be sent to */
    MCQ_EVENT_HANDSHAKE_FAILED, /* reason, offset */
    MCQ_EVENT_RETRY,            /* a connect is tried again after retry_ns */
    MCQ_EVENT_DISCONNECTED,     /* reason and report */
    MCQ_EVENT_REFUSED,          /* a peer more than the pattern or a limit allows; reason */
    MCQ_EVENT_DROPPED,          /* cnt messages to peer (or to nobody) were dropped for `reason` */
    MCQ_EVENT_SLOW,             /* peer's queue reached a high-water mark: cnt messages wait */
    MCQ_EVENT_SLOW_END,         /* ... and has fallen to half of it, or its connection ends */
    MCQ_EVENT_UNCONNECTED /* a connect has ended and is not tried again; reason: LOCAL, TIMEOUT
                             (linger), KILLED while it was closing, or why it was refused */
};

enum mcq_reason {
    MCQ_REASON_NONE = 0,
    MCQ_REASON_PEER_CLOSED,  /* orderly end by the peer */
    MCQ_REASON_RESET,        /* connection reset, or refused, or unreachable */
    MCQ_REASON_PROTOCOL,     /* the peer broke ZMTP; offset = byte of its stream, detail = what */
    MCQ_REASON_HANDSHAKE,    /* not completed before its deadline */
    MCQ_REASON_INCOMPATIBLE, /* socket types, mechanisms or versions that may not meet */
    MCQ_REASON_PEER_ERROR,   /* the peer sent ERROR; detail = its reason text */
    MCQ_REASON_IDENTITY,     /* its identity is taken */
    MCQ_REASON_HEARTBEAT,    /* silent longer than agreed */
    MCQ_REASON_LIMIT,        /* a named limit: frame, message, subscriptions, peers, memory */
    MCQ_REASON_SLOW,         /* at its high-water mark, and the policy is to disconnect */
    MCQ_REASON_TIMEOUT,      /* connect or linger deadline */
    MCQ_REASON_LOCAL,        /* closed by this side */
    MCQ_REASON_HWM,          /* dropped at the high-water mark */
    MCQ_REASON_NO_PEER,      /* dropped: the addressed peer is gone */
    MCQ_REASON_PATTERN,      /* dropped: not expected by the pattern (late reply, no delimiter) */
    MCQ_REASON_OS,           /* another system error: os_errno */
    MCQ_REASON_CONFLATED,    /* dropped: a newer message took its place */
    MCQ_REASON_REPLACED,     /* a newer connection has its identity */
    MCQ_REASON_KILLED        /* ended at once by mcq_peer_kill */
};

/* What became of a connection. Message numbers count from 0 per connection and direction. */
struct mcq_report {
    uint64_t msgs_in, msgs_out; /* whole messages delivered to the callback / taken by the kernel */
    uint64_t bytes_in, bytes_out; /* stream bytes, framing included */
    uint64_t undelivered_bytes;   /* received, not given to the callback: paused, or cut short */
    uint64_t unacked_bytes;       /* taken by the kernel, not acknowledged by the peer's kernel */
    bool unacked_known;           /* false on ipc, where the kernel can't say */
    uint64_t lost_lo, lost_hi;    /* sent messages in [lost_lo, lost_hi) may not have arrived: those
                                     before are acknowledged by the peer's kernel, which is not to
                                     say that its program has read them */
};

struct mcq_event {
    enum mcq_event_kind kind;
    enum mcq_reason reason;
    struct mcq_peer peer; /* zero before the handshake is done */
    const char *endpoint; /* borrows; ours for listeners, the peer's for connections; never NULL */
    const char *detail;   /* borrows; a sentence, "" if there is none */
    enum mcq_error error;
    int os_errno;
    uint64_t offset; /* bytes of the peer's stream before the fault */
    uint64_t cnt;    /* DROPPED, SLOW: messages */
    uint64_t retry_ns;
    struct mcq_report report; /* DISCONNECTED */
};

/* Names as in the constants, lower case, without the prefix ("peer-closed"). Never NULL. */
MCQ_API const char *mcq_event_name(enum mcq_event_kind kind);
MCQ_API const char *mcq_reason_name(enum mcq_reason reason);

#ifdef __cplusplus
}
#endif
#endif
