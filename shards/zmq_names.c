/* The options of libzmq, by name: which of ours does that, or why none does. A program that is
 * moved over meets an error that helps instead of an option that is ignored. docs/OPTIONS.md is the
 * same table for people. */
#include "shards/zmq_names.h"

#include <string.h>

#include "mem/base.h"

struct entry {
    const char *name; /* without ZMQ_ */
    const char *ours; /* NULL: none */
    const char *why;
};

static const struct entry entries[] = {
    {"AFFINITY", NULL, "no I/O threads: a socket lives on the shard that opened it"},
    {"ROUTING_ID", "identity", "the same; of REQ, DEALER, ROUTER alone"},
    {"SUBSCRIBE", "call mcq_subscribe", "a call, at any time; XPUB manual: mcq_peer_subscribe"},
    {"UNSUBSCRIBE", "call mcq_unsubscribe",
     "a call, at any time; XPUB manual: mcq_peer_unsubscribe"},
    {"RATE", NULL, "no multicast transport"},
    {"RECOVERY_IVL", NULL, "no multicast transport"},
    {"SNDBUF", "send_buffer_bytes", "the same; -1 is leaving it out"},
    {"RCVBUF", "recv_buffer_bytes", "the same; -1 is leaving it out"},
    {"RCVMORE", NULL, "messages come whole: mcq_msg_frame_cnt"},
    {"FD", NULL, "no polling from outside: handlers are called"},
    {"EVENTS", NULL, "no polling: the handlers message and writable are called"},
    {"TYPE", "call mcq_sock_type", "a call"},
    {"LINGER", "linger_ms",
     "1 s by default instead of for ever; mcq_sock_close_within gives another at the end; 0 there "
     "is MCQ_NONE here"},
    {"RECONNECT_IVL", "reconnect_min_ms",
     "the same, with jitter of a quarter each way; never reconnecting: mcq_sock_disconnect, or "
     "stop_on_refused"},
    {"BACKLOG", "backlog", "the same, 1,024 by default"},
    {"RECONNECT_IVL_MAX", "reconnect_max_ms",
     "5 s by default instead of no growth; counts failures of the handshake too"},
    {"MAXMSGSIZE", "frame_max_bytes",
     "64 MiB by default instead of unlimited; msg_max_bytes and msg_frames_max limit the whole "
     "message"},
    {"SNDHWM", "send_hwm_msgs",
     "the same, beside send_hwm_bytes; 0 there is MCQ_UNLIMITED here; fixed at open"},
    {"RCVHWM", "recv_hwm_msgs",
     "the same, beside recv_hwm_bytes; 0 there is MCQ_UNLIMITED here; fixed at open"},
    {"MULTICAST_HOPS", NULL, "no multicast transport"},
    {"RCVTIMEO", NULL, "nothing blocks: a timer, or request_timeout_ms for REQ"},
    {"SNDTIMEO", NULL, "nothing blocks: MCQ_EAGAIN, then the handler writable"},
    {"IPV4ONLY", NULL, "an address of IPv6 is written in brackets; nothing to switch"},
    {"LAST_ENDPOINT", "call mcq_sock_endpoint", "a call"},
    {"ROUTER_MANDATORY", "router_mandatory",
     "unknown is MCQ_ENOENT, full MCQ_EAGAIN (or what slow says)"},
    {"TCP_KEEPALIVE", "keepalive_idle_s",
     "on as soon as one of keepalive_idle_s, keepalive_interval_s, keepalive_cnt is set"},
    {"TCP_KEEPALIVE_CNT", "keepalive_cnt", "the same"},
    {"TCP_KEEPALIVE_IDLE", "keepalive_idle_s", "the same"},
    {"TCP_KEEPALIVE_INTVL", "keepalive_interval_s", "the same"},
    {"TCP_ACCEPT_FILTER", NULL, "the host's firewall filters, or the event UP and mcq_peer_kill"},
    {"IMMEDIATE", "immediate", "the same"},
    {"XPUB_VERBOSE", "verbose", "the same, told by the subscription handler"},
    {"ROUTER_RAW", NULL, "raw tcp sessions are not part of this version"},
    {"IPV6", NULL, "always on: an address of IPv6 is written in brackets"},
    {"MECHANISM", NULL, "NULL alone in this version"},
    {"PLAIN_SERVER", NULL, "the mechanism PLAIN is not part of this version"},
    {"PLAIN_USERNAME", NULL, "the mechanism PLAIN is not part of this version"},
    {"PLAIN_PASSWORD", NULL, "the mechanism PLAIN is not part of this version"},
    {"CURVE_SERVER", NULL, "the mechanism CURVE is not part of this version"},
    {"CURVE_PUBLICKEY", NULL, "the mechanism CURVE is not part of this version"},
    {"CURVE_SECRETKEY", NULL, "the mechanism CURVE is not part of this version"},
    {"CURVE_SERVERKEY", NULL, "the mechanism CURVE is not part of this version"},
    {"PROBE_ROUTER", "probe", "the same"},
    {"REQ_CORRELATE", "req_correlate", "the same"},
    {"REQ_RELAXED", "req_relaxed",
     "the same; implies req_correlate, without which a late reply could pass for another's"},
    {"CONFLATE", "slow",
     "slow = conflate on the sending side, multipart included; a receiver's handler runs at once "
     "and has no queue to conflate: take the last of the batch"},
    {"ZAP_DOMAIN", NULL, "ZAP is not part of this version"},
    {"ROUTER_HANDOVER", "identity_policy", "identity_policy = replace"},
    {"TOS", "tos", "the same, for IPv6 too"},
    {"IPC_FILTER_PID", NULL, "the permissions of the socket file's folder decide"},
    {"IPC_FILTER_UID", NULL, "the permissions of the socket file's folder decide"},
    {"IPC_FILTER_GID", NULL, "the permissions of the socket file's folder decide"},
    {"CONNECT_ROUTING_ID", NULL,
     "peers are named by handles: mcq_send_to; mcq_peer_find by the identity they announce"},
    {"GSSAPI_SERVER", NULL, "the mechanism GSSAPI is not part of this version"},
    {"GSSAPI_PRINCIPAL", NULL, "the mechanism GSSAPI is not part of this version"},
    {"GSSAPI_SERVICE_PRINCIPAL", NULL, "the mechanism GSSAPI is not part of this version"},
    {"GSSAPI_PLAINTEXT", NULL, "the mechanism GSSAPI is not part of this version"},
    {"HANDSHAKE_IVL", "handshake_ms", "10 s by default"},
    {"SOCKS_PROXY", NULL, "connect to the proxy's far side by a tunnel of the host's"},
    {"XPUB_NODROP", "slow", "slow = block, for PUB and XPUB"},
    {"XPUB_MANUAL", "manual", "the same, with the peer named: mcq_peer_subscribe"},
    {"XPUB_WELCOME_MSG", "welcome", "the same"},
    {"STREAM_NOTIFY", NULL, "STREAM is not part of this version"},
    {"INVERT_MATCHING", "invert_matching", "the same"},
    {"HEARTBEAT_IVL", "heartbeat_ms",
     "the same, only while there is no traffic; libzmq pings regardless"},
    {"HEARTBEAT_TTL", "heartbeat_ttl_ms", "the same"},
    {"HEARTBEAT_TIMEOUT", "heartbeat_timeout_ms",
     "any byte counts as life, not whole messages alone"},
    {"XPUB_VERBOSER", "verboser", "the same, told by the subscription handler"},
    {"CONNECT_TIMEOUT", "connect_timeout_ms",
     "handshake_ms by default instead of the system's minutes"},
    {"TCP_MAXRT", "tcp_user_timeout_ms", "the same"},
    {"THREAD_SAFE", NULL, "never: a socket belongs to its shard's thread (MCQ_ETHREAD)"},
    {"MULTICAST_MAXTPDU", NULL, "no multicast transport"},
    {"VMCI_BUFFER_SIZE", NULL, "no VMCI transport"},
    {"VMCI_BUFFER_MIN_SIZE", NULL, "no VMCI transport"},
    {"VMCI_BUFFER_MAX_SIZE", NULL, "no VMCI transport"},
    {"VMCI_CONNECT_TIMEOUT", NULL, "no VMCI transport"},
    {"USE_FD", NULL, "listeners are the library's own, so that it can end and steer them"},
    {"GSSAPI_PRINCIPAL_NAMETYPE", NULL, "the mechanism GSSAPI is not part of this version"},
    {"GSSAPI_SERVICE_PRINCIPAL_NAMETYPE", NULL, "the mechanism GSSAPI is not part of this version"},
    {"BINDTODEVICE", "device", "the same"},
    {"ZAP_ENFORCE_DOMAIN", NULL, "ZAP is not part of this version"},
    {"LOOPBACK_FASTPATH", NULL, "an option of another system"},
    {"METADATA", NULL, "properties of the handshake are Socket-Type and Identity alone"},
    {"MULTICAST_LOOP", NULL, "no multicast transport"},
    {"ROUTER_NOTIFY", NULL, "the events UP and DISCONNECTED say it, with the reason"},
    {"XPUB_MANUAL_LAST_VALUE", NULL,
     "manual: mcq_peer_subscribe, then publish the last value to it"},
    {"SOCKS_USERNAME", NULL, "as SOCKS_PROXY"},
    {"SOCKS_PASSWORD", NULL, "as SOCKS_PROXY"},
    {"IN_BATCH_SIZE", NULL, "receive blocks of 32 KiB, shared; see docs/ARCHITECTURE.md"},
    {"OUT_BATCH_SIZE", NULL, "up to 256 KiB in one send; mcq_flush sends earlier"},
    {"WSS_KEY_PEM", NULL, "no WebSocket transport"},
    {"WSS_CERT_PEM", NULL, "no WebSocket transport"},
    {"WSS_TRUST_PEM", NULL, "no WebSocket transport"},
    {"WSS_HOSTNAME", NULL, "no WebSocket transport"},
    {"WSS_TRUST_SYSTEM", NULL, "no WebSocket transport"},
    {"ONLY_FIRST_SUBSCRIBE", NULL,
     "a subscription has its own call; message frames are never taken for one but the first"},
    {"RECONNECT_STOP", "stop_on_refused",
     "for refused connects; after a failed handshake the event tells, and mcq_sock_disconnect ends "
     "it"},
    {"HELLO_MSG", NULL, "send in the handler of the event UP"},
    {"DISCONNECT_MSG", NULL, "the event DISCONNECTED, with peer, reason and report"},
    {"PRIORITY", NULL, "all peers of a socket are equal"},
    {"BUSY_POLL", NULL, "idle = spin asks the sockets itself"},
    {"HICCUP_MSG", NULL, "the event DISCONNECTED, then RETRY"},
    {"XSUB_VERBOSE_UNSUBSCRIBE", NULL,
     "one CANCEL per topic ends a subscription, whatever its count"},
    {"TOPICS_COUNT", NULL, "mcq_shard_stats: pattern.subs_now"},
    {"NORM_MODE", NULL, "no NORM transport"},
    {"NORM_UNICAST_NACK", NULL, "no NORM transport"},
    {"NORM_BUFFER_SIZE", NULL, "no NORM transport"},
    {"NORM_SEGMENT_SIZE", NULL, "no NORM transport"},
    {"NORM_BLOCK_SIZE", NULL, "no NORM transport"},
    {"NORM_NUM_PARITY", NULL, "no NORM transport"},
    {"NORM_NUM_AUTOPARITY", NULL, "no NORM transport"},
    {"NORM_PUSH", NULL, "no NORM transport"},
};

static const struct entry *entry_of(const char *name)
{
    if (strncmp(name, "ZMQ_", 4) == 0)
        name += 4;
    for (size_t i = 0; i < MCQ_CNT_OF(entries); i++)
        if (strcmp(entries[i].name, name) == 0)
            return &entries[i];
    return NULL;
}

bool mcq_zmq_name_find(const char *name, const char **ours, const char **why)
{
    const struct entry *e = entry_of(name);
    if (e == NULL)
        return false;
    *ours = e->ours;
    *why = e->why;
    return true;
}
