/* How a link ends, and what its timer looks at. */
#include <errno.h>

#include "shards/claim.h"
#include "shards/link_private.h"
#include "shards/remote_peer.h"
#include "shards/shard.h"

#define HUNGRY_RETRY_NS 10000000u

/* --- closing ------------------------------------------------------------------------------- */

bool mcq_link_is_late(struct mcq_link *link)
{
    if (mcq_shard_now_ns(link->shard) < link->linger_deadline_ns)
        return false;
    if (!mcq_pipe_empty(&link->pipe))
        link->close_reason = link->late_reason;
    return true;
}

static bool has_session(const struct mcq_link *link)
{
    return link->session.conn != NULL || link->inproc.partner != NULL || link->bridge != NULL;
}

/* Nothing is left to send, or it is too late: end the connection, if there is one. What is to end
 * at once doesn't wait for the peer's end of the stream. */
static void finish(struct mcq_link *link)
{
    mcq_handoff_call_off(link);
    bool late = mcq_link_is_late(link);
    bool at_once = late || link->session.end_due != MCQ_REASON_NONE;
    if (link->state == MCQ_LINK_CONNECTING)
        mcq_target_fail(link, MCQ_REASON_LOCAL, 0);
    else if (!has_session(link))
        mcq_link_remove(link);
    else if (link->attached && !at_once)
        mcq_session_close(link, link->close_reason, link->linger_deadline_ns);
    else
        mcq_session_end(link, link->close_reason, 0);
}

void mcq_link_drained(struct mcq_link *link)
{
    if (link->closing && mcq_pipe_empty(&link->pipe))
        finish(link);
}

/* The pattern chooses others from now on. One that is on its way from here keeps still: another
 * shard may be reading what it is subscribed to. */
static void retire(struct mcq_link *link)
{
    struct mcq_psock *ps = &link->sock->psock;
    const bool lent = link->held && link->move != NULL;
    if (link->added && !lent && ps->pattern->retire != NULL)
        ps->pattern->retire(ps, &link->pipe);
}

/* Else what is queued would never end, as long as there is more to send. */
void mcq_link_close(struct mcq_link *link, enum mcq_reason reason, uint64_t linger_ns)
{
    if (link->closing)
        return;
    link->closing = true;
    link->pipe.leaving = true;
    retire(link);
    link->close_reason = reason;
    link->late_reason = linger_ns != 0 ? MCQ_REASON_TIMEOUT : reason;
    link->linger_deadline_ns = mcq_shard_now_ns(link->shard) + linger_ns;
    mcq_link_touch(link); /* from the timer, never inside the caller's call */
}

void mcq_link_kill(struct mcq_link *link)
{
    if (link->attached) {
        retire(link);
        mcq_psock_end(&link->sock->psock, &link->pipe, MCQ_REASON_KILLED);
    } else {
        mcq_session_end_soon(link, MCQ_REASON_KILLED);
    }
}

/* --- deadlines ----------------------------------------------------------------------------- */

/* By then at the latest. */
static void tick_by(struct mcq_link *link, uint64_t at_ns)
{
    if (link->timer.heap_pos == 0 || at_ns < link->timer.at_ns)
        mcq_timer_node_arm(mcq_loop_timers(link->shard->loop), &link->timer, at_ns);
}

void mcq_link_touch(struct mcq_link *link)
{
    tick_by(link, mcq_shard_now_ns(link->shard));
}

void mcq_link_hungry(struct mcq_link *link)
{
    if (link->hungry)
        return;
    link->hungry = true;
    tick_by(link, mcq_shard_now_ns(link->shard) + HUNGRY_RETRY_NS);
}

void mcq_link_room(struct mcq_link *link)
{
    struct mcq_psock *ps = &link->sock->psock;
    ps->pattern->writable(ps, &link->pipe);
    mcq_remote_peer_room(link);
}

static void tick_hungry(struct mcq_link *link)
{
    if (!link->hungry)
        return;
    link->hungry = false;
    link->pipe.env->mark(link->pipe.env->ctx, &link->pipe);
    if (link->pipe.starved && mcq_pipe_empty(&link->pipe)) {
        link->pipe.starved = false;
        mcq_link_room(link);
    }
}

static bool due(uint64_t at_ns, uint64_t now_ns, uint64_t *next_ns)
{
    if (at_ns == 0)
        return false;
    if (at_ns <= now_ns)
        return true;
    *next_ns = mcq_min_u64(*next_ns, at_ns);
    return false;
}

static void tick_session(struct mcq_link *link, uint64_t now_ns, uint64_t *next_ns)
{
    struct mcq_session *s = &link->session;
    if (s->end_due != MCQ_REASON_NONE)
        mcq_session_end(link, s->end_due, 0);
    if (link->claim != NULL && !link->attached && due(link->claim_deadline_ns, now_ns, next_ns))
        mcq_claim_late(link);
    if (s->body_wait_ns != 0) {
        mcq_session_deliver(link);
        *next_ns = now_ns + MCQ_SESSION_BODY_RETRY_NS;
    }
    if (s->ended || s->moving)
        return;
    if (s->zmtp.state == MCQ_ZMTP_TRAFFIC && !s->conn->recv_armed)
        mcq_zmtp_alive(&s->zmtp, now_ns); /* nobody listens: its silence is ours */
    if (!due(mcq_zmtp_expiry(&s->zmtp), now_ns, next_ns))
        return;
    if (mcq_zmtp_expire(&s->zmtp, now_ns, &link->shard->stats.proto)) {
        mcq_session_end(link, mcq_zmtp_reason(&s->zmtp), 0);
        return;
    }
    if (mcq_zmtp_wants_drain(&s->zmtp)) /* a PING */
        link->pipe.env->mark(link->pipe.env->ctx, &link->pipe);
    due(mcq_zmtp_expiry(&s->zmtp), now_ns, next_ns);
}

/* Returns false once the link is gone. */
static bool tick_closing(struct mcq_link *link, uint64_t now_ns, uint64_t *next_ns)
{
    if (!link->closing)
        return true;
    bool late = due(link->linger_deadline_ns, now_ns, next_ns);
    if (!late && !mcq_pipe_empty(&link->pipe) && (link->target != NULL || link->attached))
        return true;
    bool gone = !has_session(link);
    finish(link);
    return !gone;
}

void mcq_link_tick(struct mcq_timer_node *timer, uint64_t now_ns)
{
    struct mcq_link *link = MCQ_CONTAINER_OF(timer, struct mcq_link, timer);
    uint64_t next_ns = UINT64_MAX;
    if (link->held)
        return; /* whoever ends that looks again */
    if (!tick_closing(link, now_ns, &next_ns))
        return;
    tick_hungry(link);
    switch (link->state) {
    case MCQ_LINK_WAITING:
        if (link->target != NULL && due(link->target->retry_at_ns, now_ns, &next_ns)) {
            mcq_target_try(link);
            return; /* which set its own time */
        }
        break;
    case MCQ_LINK_CONNECTING:
        if (due(link->target->deadline_ns, now_ns, &next_ns))
            mcq_target_fail(link, MCQ_REASON_TIMEOUT, ETIMEDOUT);
        break;
    case MCQ_LINK_SESSION:
        tick_session(link, now_ns, &next_ns);
        break;
    case MCQ_LINK_RESOLVING:
        if (link->target->ep.inproc)
            mcq_inproc_connect(link);
        break;
    case MCQ_LINK_AWAY:
        break;
    }
    if (link->hungry)
        next_ns = mcq_min_u64(next_ns, now_ns + HUNGRY_RETRY_NS);
    if (next_ns != UINT64_MAX)
        tick_by(link, next_ns);
}
