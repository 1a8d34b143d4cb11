#include <monocoque/event.h>

/* Values come from a program that may be built against a newer header: never NULL. */

const char *mcq_event_name(enum mcq_event_kind kind)
{
    switch (kind) {
    case MCQ_EVENT_LISTENING:
        return "listening";
    case MCQ_EVENT_LISTEN_FAILED:
        return "listen-failed";
    case MCQ_EVENT_UNBOUND:
        return "unbound";
    case MCQ_EVENT_ACCEPTED:
        return "accepted";
    case MCQ_EVENT_CONNECTING:
        return "connecting";
    case MCQ_EVENT_CONNECTED:
        return "connected";
    case MCQ_EVENT_UP:
        return "up";
    case MCQ_EVENT_HANDSHAKE_FAILED:
        return "handshake-failed";
    case MCQ_EVENT_RETRY:
        return "retry";
    case MCQ_EVENT_DISCONNECTED:
        return "disconnected";
    case MCQ_EVENT_REFUSED:
        return "refused";
    case MCQ_EVENT_DROPPED:
        return "dropped";
    case MCQ_EVENT_SLOW:
        return "slow";
    case MCQ_EVENT_SLOW_END:
        return "slow-end";
    case MCQ_EVENT_UNCONNECTED:
        return "unconnected";
    }
    return "unknown-event";
}

const char *mcq_reason_name(enum mcq_reason reason)
{
    switch (reason) {
    case MCQ_REASON_NONE:
        return "none";
    case MCQ_REASON_PEER_CLOSED:
        return "peer-closed";
    case MCQ_REASON_RESET:
        return "reset";
    case MCQ_REASON_PROTOCOL:
        return "protocol";
    case MCQ_REASON_HANDSHAKE:
        return "handshake";
    case MCQ_REASON_INCOMPATIBLE:
        return "incompatible";
    case MCQ_REASON_PEER_ERROR:
        return "peer-error";
    case MCQ_REASON_IDENTITY:
        return "identity";
    case MCQ_REASON_HEARTBEAT:
        return "heartbeat";
    case MCQ_REASON_LIMIT:
        return "limit";
    case MCQ_REASON_SLOW:
        return "slow";
    case MCQ_REASON_TIMEOUT:
        return "timeout";
    case MCQ_REASON_LOCAL:
        return "local";
    case MCQ_REASON_HWM:
        return "hwm";
    case MCQ_REASON_NO_PEER:
        return "no-peer";
    case MCQ_REASON_PATTERN:
        return "pattern";
    case MCQ_REASON_CONFLATED:
        return "conflated";
    case MCQ_REASON_REPLACED:
        return "replaced";
    case MCQ_REASON_KILLED:
        return "killed";
    case MCQ_REASON_OS:
        return "os";
    }
    return "unknown-reason";
}
