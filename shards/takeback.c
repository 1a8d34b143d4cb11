#include "shards/takeback.h"

#include "shards/shard.h"

/* They were within the limits when they were sent. */
static const struct mcq_cargo_limits no_limits = {UINT64_MAX, UINT64_MAX, MCQ_FRAME_CNT_MAX};

static size_t resend(struct mcq_cargo_job *job, struct mcq_msg *msgs, size_t n)
{
    struct mcq_channel *ch = job->ctx;
    return mcq_balance_resend(&ch->link->sock->psock, msgs, n);
}

static void settle(struct mcq_channel *ch, uint64_t bytes)
{
    struct mcq_link *link = ch->link;
    struct mcq_psock *ps = &link->sock->psock;
    bool room = bytes != 0 && mcq_pipe_taken(&link->pipe, (size_t)bytes);
    mcq_pipe_recall(&link->pipe);
    if (room && link->attached)
        ps->pattern->writable(ps, &link->pipe);
    if (!mcq_pipe_empty(&link->pipe))
        return;
    mcq_bridge_release(ch->bridge);
    if (!link->session.ended)
        mcq_link_drained(link);
}

/* Of this shard's own segments, as inproc offers them: held, the bridge has lent none. */
static bool send_again(struct mcq_channel *ch)
{
    struct mcq_pipe_run run;
    mcq_pipe_lend(&ch->link->pipe, MCQ_BRIDGE_SEGS, &run);
    struct mcq_cargo cargo = {.seg = run.seg, .off = run.off, .cnt = run.cnt};
    struct mcq_shard *sh = ch->link->shard;
    struct mcq_cargo_job job = {
        .shard = sh, .owner = sh->id, .limits = no_limits, .receive = resend, .ctx = ch};
    enum mcq_cargo_outcome out = mcq_cargo_offer(&cargo, &job, MCQ_BRIDGE_BATCHES);
    settle(ch, job.bytes);
    if (out != MCQ_CARGO_REFUSED && out != MCQ_CARGO_STARVED && ch->bridge->held)
        mcq_bridge_say(ch->bridge);
    return out != MCQ_CARGO_STARVED;
}

bool mcq_takeback_run(struct mcq_channel *ch)
{
    struct mcq_bridge *b = ch->bridge;
    bool held = b->held && !b->holding;
    bool any = mcq_balance_has_peers(&ch->link->sock->psock);
    if (ch->peers || mcq_pipe_empty(&ch->link->pipe)) {
        if (held)
            mcq_bridge_release(b);
        return true;
    }
    if (!any)
        return true;
    if (held)
        return send_again(ch);
    mcq_bridge_hold(b);
    return true;
}
