/* SUB (RFC 29): delivers what matches a subscription; without one, nothing. The publisher filters
 * already; the filter here catches what was under way when a subscription ended, and publishers
 * that send more than they were asked for. */
#include "patterns/psock.h"
#include "patterns/tables.h"

static enum mcq_reason sub_attach(struct mcq_psock *s, struct mcq_pipe *p)
{
    enum mcq_reason reason = mcq_psock_attach(s, p);
    mcq_subs_begin(s, p);
    return reason;
}

static void sub_detach(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_psock_detach(s, p);
    mcq_subs_end(s);
}

static void sub_remove(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_psock_remove(s, p);
    mcq_subs_end(s);
}

/* How many messages at the front match (or don't) alike: they go (or are dropped) in one go. */
static size_t run_len(const struct mcq_psock *s, const struct mcq_msg *msgs, size_t n,
                      bool matching)
{
    size_t len = 0;
    while (len < n &&
           mcq_subs_match(&s->sub, mcq_slice_of(msgs[len].data, msgs[len].len)) == matching)
        len++;
    return len;
}

/* The handler may change the subscriptions: each run is matched when its turn comes. */
static size_t sub_receive(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_msg *msgs, size_t n)
{
    size_t done = 0;
    if (mcq_prefix_set_takes_all(&s->sub.topics))
        return mcq_psock_deliver(s, p, msgs, n);
    while (done < n) {
        size_t unwanted = run_len(s, msgs + done, n - done, false);
        s->stats->drops_filter += unwanted;
        done += unwanted;
        size_t wanted = run_len(s, msgs + done, n - done, true);
        size_t taken = wanted == 0 ? 0 : mcq_psock_deliver(s, p, msgs + done, wanted);
        done += taken;
        if (taken < wanted)
            break;
    }
    return done;
}

const struct mcq_pattern mcq_pattern_sub = {
    .type = MCQ_SUB,
    .peer_mask = MCQ_PEER(MCQ_PUB) | MCQ_PEER(MCQ_XPUB),
    .open = mcq_subs_init,
    .close = mcq_subs_fini,
    .add = mcq_psock_add,
    .attach = sub_attach,
    .detach = sub_detach,
    .remove = sub_remove,
    .receive = sub_receive,
    .send = mcq_psock_send_refused,
    .writable = mcq_psock_writable,
    .subscribe = mcq_subs_change,
    .control = mcq_subs_next,
};
