#include "shards/claim.h"

#include "shards/remote_peer.h"
#include "shards/shard.h"

static struct mcq_slice identity_of(const struct mcq_link *link)
{
    return mcq_slice_of(link->pipe.identity, link->pipe.identity_len);
}

/* A name that was made up gives way to all others. */
static bool replaces(const struct mcq_link *link)
{
    return !link->nameless && link->sock->opts.identity_policy == MCQ_IDENTITY_REPLACE;
}

static void refuse(struct mcq_link *link, enum mcq_reason reason)
{
    link->refused = true;
    mcq_session_end(link, mcq_psock_refuse(&link->sock->psock, reason), 0);
}

static bool claim(struct mcq_link *link)
{
    struct mcq_psock *ps = &link->sock->psock;
    if (link->nameless)
        ps->pattern->name(ps, &link->pipe);
    link->claim = mcq_directory_claim(&link->shard->directory, link->sock->life, identity_of(link),
                                      mcq_link_name(link), replaces(link), link);
    if (link->claim == NULL) {
        link->session.detail = "no room for its identity: raise --arena";
        refuse(link, MCQ_REASON_LIMIT);
    }
    return link->claim != NULL;
}

bool mcq_claim_begin(struct mcq_link *link)
{
    struct mcq_session *s = &link->session;
    uint64_t patience_ns = link->sock->opts.handshake_ms * 1000000ull;
    link->claim_deadline_ns = s->zmtp.deadline_ns != 0
                                  ? s->zmtp.deadline_ns
                                  : mcq_shard_now_ns(link->shard) + patience_ns;
    link->nameless = link->pipe.identity_len == 0;
    if (!claim(link))
        return false;
    s->refused = true;
    mcq_link_touch(link);
    return true;
}

/* What follows from this shard, by whatever way, finds the peer known. */
void mcq_claim_up(struct mcq_link *link)
{
    mcq_directory_announce(&link->shard->directory, link->claim);
    (void)mcq_directory_run(&link->shard->directory);
}

void mcq_claim_end(struct mcq_link *link)
{
    struct mcq_claim *c = link->claim;
    link->claim = NULL;
    mcq_directory_release(&link->shard->directory, c);
}

void mcq_claim_late(struct mcq_link *link)
{
    link->shard->stats.proto.handshakes_expired++;
    link->session.detail = "its identity was not granted in time";
    mcq_session_end(link, MCQ_REASON_HANDSHAKE, 0);
}

/* --- what the directory tells ---------------------------------------------------------------- */

static bool say(void *ctx, uint32_t to, const struct mcq_directory_msg *msg, size_t len)
{
    struct mcq_shard *sh = ctx;
    return mcq_mesh_send(sh->mesh, to, MCQ_LANE_URGENT, MCQ_MESH_DIRECTORY, msg, len);
}

static void granted(void *ctx, void *owner)
{
    struct mcq_link *link = owner;
    (void)ctx;
    if (link->session.end_due != MCQ_REASON_NONE)
        return; /* it is about to end, which ends the claim */
    /* Its last owner was elsewhere, and is sent to by its own name at most. */
    struct mcq_pipe *far = mcq_psock_find(&link->sock->psock, identity_of(link));
    if (far != NULL && mcq_link_of_pipe(far)->remote)
        mcq_psock_leave_far(&link->sock->psock, far);
    (void)mcq_session_recall(link);
    (void)mcq_link_granted(link, (struct mcq_peer){link->claim->bits});
}

static void refused(void *ctx, void *owner, enum mcq_reason reason)
{
    struct mcq_link *link = owner;
    (void)ctx;
    link->claim = NULL;
    if (link->nameless)
        (void)claim(link);
    else
        refuse(link, reason);
}

static void revoked(void *ctx, void *owner)
{
    struct mcq_link *link = owner;
    (void)ctx;
    link->shard->stats.pattern.ghosts++;
    mcq_psock_end(&link->sock->psock, &link->pipe, MCQ_REASON_REPLACED);
}

static void gone(void *ctx, struct mcq_peer peer)
{
    mcq_remote_peer_gone(ctx, peer);
}

const struct mcq_directory_ops mcq_claim_ops = {
    .send = say,
    .granted = granted,
    .refused = refused,
    .revoked = revoked,
    .gone = gone,
};

void mcq_claim_arrived(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    mcq_directory_feed(&sh->directory, from, body, len);
}
