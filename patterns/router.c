/* ROUTER (RFC 28): addresses its peers by identity, which each has to itself. What comes is
 * delivered without an identity frame, for the peer's handle says who; what goes to nobody is
 * dropped, counted and told, or MCQ_ENOENT if router_mandatory. Adds no empty delimiter.
 *
 * A newcomer with the identity of another is refused (identity policy reject), or takes it over at
 * once (replace): the older connection is a ghost, which nobody finds any more, and ends. What was
 * queued for it ends, or waits for its next connection, as at any disconnect.
 */
#include "patterns/psock.h"
#include "patterns/tables.h"

#define ROUTER_GENERATED_LEN 5u /* RFC 28: a zero byte, then 4 of our choice */

static void router_open(struct mcq_psock *s)
{
    s->router.next_id = (uint32_t)s->random(s->random_ctx);
}

/* Of several members each has numbers of its own. */
static uint32_t next_id(struct mcq_psock *s)
{
    uint32_t id = s->router.next_id++;
    return s->opts->member ? (uint32_t)s->opts->member_id << 24 | (id & 0xffffff) : id;
}

/* A peer may have announced a name of that form, against the RFC; then the next number is tried.
 * Ends: there are more numbers than connections. */
static void router_name(struct mcq_psock *s, struct mcq_pipe *p)
{
    p->identity_len = ROUTER_GENERATED_LEN;
    do {
        struct mcq_writer w = mcq_writer_of(p->identity, ROUTER_GENERATED_LEN);
        (void)mcq_writer_u8(&w, 0);
        (void)mcq_writer_be32(&w, next_id(s));
    } while (mcq_psock_find(s, mcq_slice_of(p->identity, p->identity_len)) != NULL);
}

/* Whoever else has p's identity makes way for it; false: p has to go. */
static bool claim_identity(struct mcq_psock *s, struct mcq_pipe *p)
{
    struct mcq_pipe *owner = mcq_psock_find(s, mcq_slice_of(p->identity, p->identity_len));
    if (owner == NULL)
        return true;
    if (s->opts->identity_policy == MCQ_IDENTITY_REJECT)
        return false;
    s->stats->ghosts++;
    mcq_psock_end(s, owner, MCQ_REASON_REPLACED);
    return true;
}

static enum mcq_reason router_attach(struct mcq_psock *s, struct mcq_pipe *p)
{
    if (p->identity_len == 0)
        router_name(s, p);
    else if (!claim_identity(s, p))
        return mcq_psock_refuse(s, MCQ_REASON_IDENTITY);
    mcq_psock_probe(s, p);
    return mcq_psock_attach(s, p);
}

/* A sender may wait for this very peer: its next send has another answer. */
static void router_detach(struct mcq_psock *s, struct mcq_pipe *p)
{
    bool awaited = p->up && p->starved;
    mcq_psock_detach(s, p);
    if (awaited)
        mcq_psock_wake(s);
}

/* Also if the peer has moved to another shard: it is sent to over there. */
static void router_remove(struct mcq_psock *s, struct mcq_pipe *p)
{
    router_detach(s, p);
    mcq_psock_remove(s, p);
}

static enum mcq_error send_by_identity(struct mcq_psock *s, const struct mcq_msg *m)
{
    if (m->frame_cnt < 2)
        return MCQ_EINVAL;
    enum mcq_error err = MCQ_ENOENT;
    struct mcq_pipe *p = mcq_psock_find(s, mcq_slice_of(m->data, m->len));
    if (p == NULL && s->up->find_far != NULL)
        p = s->up->find_far(s->up_ctx, mcq_slice_of(m->data, m->len), &err);
    if (p != NULL)
        return mcq_psock_put(s, p, s->opts->slow, MCQ_PSOCK_NO_PREFIX, m, 1);
    if (err != MCQ_ENOENT || s->opts->router_mandatory)
        return err;
    mcq_psock_drop(s, NULL, MCQ_REASON_NO_PEER, 1);
    return MCQ_OK;
}

static enum mcq_error router_send(struct mcq_psock *s, struct mcq_pipe *to, const struct mcq_msg *m)
{
    return to != NULL ? mcq_psock_put_to(s, to, m) : send_by_identity(s, m);
}

const struct mcq_pattern mcq_pattern_router = {
    .type = MCQ_ROUTER,
    .peer_mask = MCQ_PEER(MCQ_REQ) | MCQ_PEER(MCQ_DEALER) | MCQ_PEER(MCQ_ROUTER),
    .open = router_open,
    .add = mcq_psock_add,
    .name = router_name,
    .attach = router_attach,
    .detach = router_detach,
    .remove = router_remove,
    .receive = mcq_psock_deliver,
    .send = router_send,
    .writable = mcq_psock_writable,
};
