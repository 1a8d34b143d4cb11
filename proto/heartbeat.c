/* Heartbeat: what time does to a stream: the handshake's deadline, the time to live a peer told
 * with its PING, and our own PING with its answer. Lazy: traffic stores a time, the caller's timer
 * comes back to look. Declared in zmtp.h. */
#include "proto/zmtp_private.h"

#define NS_PER_MS UINT64_C(1000000)

static uint64_t after_ms(uint64_t from_ns, uint32_t ms)
{
    return from_ns + ms * NS_PER_MS;
}

/* Our PING is answered by input that is not older. Input of the same moment counts: the answer to
 * one that left at once may carry that time. */
static bool is_waiting(const struct mcq_zmtp *z)
{
    return z->ping >= MCQ_ZMTP_PING_DUE ||
           (z->ping == MCQ_ZMTP_PING_ASKED && z->last_rx_ns < z->ping_ns);
}

/* The end of a PING that waits. */
static uint64_t answer_by(const struct mcq_zmtp *z)
{
    return after_ms(mcq_max(z->last_rx_ns, z->ping_ns), z->heartbeat_timeout_ms);
}

/* When a PING is due, or has waited too long. Its answer may make the next one due before that, so
 * while it waits there is a look every heartbeat. */
static uint64_t heartbeat_at(const struct mcq_zmtp *z)
{
    if (is_waiting(z))
        return mcq_min_u64(answer_by(z), z->look_ns);
    return after_ms(mcq_min_u64(z->last_rx_ns, z->last_tx_ns), z->heartbeat_ms);
}

/* UINT64_MAX: never, of both. */
static uint64_t silent_at(const struct mcq_zmtp *z)
{
    return z->peer_ttl_ms == 0 ? UINT64_MAX : after_ms(z->last_rx_ns, z->peer_ttl_ms);
}

static uint64_t traffic_expiry(const struct mcq_zmtp *z)
{
    uint64_t at = silent_at(z);
    if (z->heartbeat_ms != 0)
        at = mcq_min_u64(at, heartbeat_at(z));
    return at == UINT64_MAX ? 0 : at;
}

uint64_t mcq_zmtp_expiry(const struct mcq_zmtp *z)
{
    switch ((enum mcq_zmtp_state)z->state) {
    case MCQ_ZMTP_GREETING:
    case MCQ_ZMTP_HANDSHAKE:
        return z->deadline_ns;
    case MCQ_ZMTP_TRAFFIC:
        return traffic_expiry(z);
    case MCQ_ZMTP_CLOSED:
        return 0;
    }
    mcq_assert_fail("a known state", __FILE__, __LINE__);
}

void mcq_zmtp_deaf(struct mcq_zmtp *z, uint64_t since_ns, uint64_t now_ns)
{
    const uint64_t len = now_ns > since_ns ? now_ns - since_ns : 0;
    z->last_rx_ns = mcq_min_u64(z->last_rx_ns + len, now_ns);
    z->ping_ns = mcq_min_u64(z->ping_ns + len, now_ns);
    z->look_ns += len;
}

/* What is too late at now_ns; NONE if nothing is. */
static enum mcq_fault fault_of(const struct mcq_zmtp *z, uint64_t now_ns)
{
    if (z->state != MCQ_ZMTP_TRAFFIC)
        return MCQ_FAULT_HANDSHAKE_LATE;
    if (now_ns >= silent_at(z))
        return MCQ_FAULT_SILENT;
    return is_waiting(z) && now_ns >= answer_by(z) ? MCQ_FAULT_UNANSWERED : MCQ_FAULT_NONE;
}

bool mcq_zmtp_expire(struct mcq_zmtp *z, uint64_t now_ns, struct mcq_proto_stats *stats)
{
    uint64_t expiry = mcq_zmtp_expiry(z);
    if (expiry == 0 || now_ns < expiry)
        return false;
    enum mcq_fault fault = fault_of(z, now_ns);
    if (fault != MCQ_FAULT_NONE) {
        mcq_zmtp_close(z, fault, stats);
        return true;
    }
    if (!is_waiting(z)) {
        z->ping = MCQ_ZMTP_PING_DUE;
        z->ping_ns = now_ns;
    }
    z->look_ns = after_ms(now_ns, z->heartbeat_ms);
    return false;
}
