/* SUB (RFC 29): delivers what matches a subscription; without one, nothing. The publisher filters
 * already; the filter here catches what was under way when a subscription ended, and publishers
 * that send more than they were asked for. invert_matching, as the publisher has to have it too:
 * delivers what matches none. */
#include "patterns/psock.h"
#include "patterns/tables.h"

static bool wants(const struct mcq_psock *s, const struct mcq_msg *m)
{
    return mcq_subs_match(&s->sub, mcq_slice_of(m->data, m->len)) != s->opts->invert_matching;
}

/* How many messages at the front are wanted (or aren't) alike: they go (or are dropped) in one go.
 */
static size_t run_len(const struct mcq_psock *s, const struct mcq_msg *msgs, size_t n, bool wanted)
{
    size_t len = 0;
    while (len < n && wants(s, &msgs[len]) == wanted)
        len++;
    return len;
}

/* The handler may change the subscriptions: each run is matched when its turn comes. */
static size_t sub_receive(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_msg *msgs, size_t n)
{
    size_t done = 0;
    if (mcq_prefix_set_takes_all(&s->sub.topics) && !s->opts->invert_matching)
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
    .attach = mcq_subs_attach,
    .detach = mcq_subs_detach,
    .remove = mcq_subs_remove,
    .receive = sub_receive,
    .send = mcq_psock_send_refused,
    .writable = mcq_psock_writable,
    .subscribe = mcq_subs_change,
    .control = mcq_subs_next,
    .told = mcq_subs_told,
    .wants = mcq_subs_wants,
};
