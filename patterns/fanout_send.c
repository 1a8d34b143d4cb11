/* The fan-out's way out: one message to all who want it, in passes over their pipes. */
#include "patterns/fanout_private.h"
#include "patterns/psock.h"
#include "patterns/publication.h"

/* What is done with a pipe of the pass, once however many prefixes match. false: the pass ends. */
typedef bool visit_fn(struct mcq_publication *pub, struct mcq_pipe *p);

static bool visit_give(struct mcq_publication *pub, struct mcq_pipe *p)
{
    mcq_publication_give(pub, p);
    return true;
}

static bool visit_give_or_refuse(struct mcq_publication *pub, struct mcq_pipe *p)
{
    return mcq_publication_give_or_refuse(pub, p);
}

static bool visit_fits(struct mcq_publication *pub, struct mcq_pipe *p)
{
    return mcq_publication_fits(pub, p);
}

static bool visit_mark(struct mcq_publication *pub, struct mcq_pipe *p)
{
    (void)pub;
    (void)p;
    return true;
}

/* Always inline, so that the pass that gives is a loop without calls. */
#define INLINE static inline __attribute__((always_inline))

INLINE bool visit(struct mcq_publication *pub, struct mcq_pipe *p, visit_fn *fn)
{
    uint64_t seq = pub->s->pub.seq;
    if (p->fanout_seq >= seq)
        return true;
    p->fanout_seq = seq;
    return fn(pub, p);
}

/* swept: nobody that is gone is left in the topics; else the pipes of those aren't looked at. */
INLINE bool visit_topic(struct mcq_publication *pub, struct mcq_topic *t, bool swept, visit_fn *fn)
{
    for (uint32_t i = 0; i < t->near_cnt; i++)
        if ((swept || t->near_subs[i]->who->pipe != NULL) && !visit(pub, t->near_pipes[i], fn))
            return false;
    for (struct mcq_node *n = mcq_list_first(&t->far); n != NULL; n = mcq_list_next(&t->far, n)) {
        const struct mcq_sub *sub = mcq_sub_of_far(n);
        if ((swept || sub->who->pipe != NULL) && !visit(pub, sub->pipe, fn))
            return false;
    }
    return true;
}

/* A pass over all pipes with a matching subscription. */
INLINE bool pass(struct mcq_publication *pub, bool swept, visit_fn *fn)
{
    struct mcq_fanout *f = &pub->s->pub;
    struct mcq_prefix_match match =
        mcq_prefix_match_of(&f->topics, mcq_slice_of(pub->m.data, pub->m.len));
    struct mcq_prefix *prefix;
    f->seq++;
    while ((prefix = mcq_prefix_match_next(&match)) != NULL)
        if (!visit_topic(pub, mcq_topic_of(prefix), swept, fn))
            return false;
    return true;
}

/* A pass over all pipes that are up and that the last pass has not come to. */
static bool pass_rest(struct mcq_publication *pub, visit_fn *fn)
{
    struct mcq_psock *s = pub->s;
    for (struct mcq_node *n = mcq_list_first(&s->pipes); n != NULL;
         n = mcq_list_next(&s->pipes, n)) {
        struct mcq_pipe *p = MCQ_CONTAINER_OF(n, struct mcq_pipe, peers_node);
        if (p->up && !p->leaving && p->fanout_seq < s->pub.seq && !fn(pub, p))
            return false;
    }
    return true;
}

/* All who want it, whether they match or, inverted, don't. */
static bool pass_all(struct mcq_publication *pub, visit_fn *fn)
{
    if (!pub->s->opts->invert_matching)
        return pass(pub, false, fn);
    pass(pub, false, visit_mark);
    return pass_rest(pub, fn);
}

static enum mcq_error publish_block(struct mcq_publication *pub, visit_fn *fits,
                                    visit_fn *give_or_refuse)
{
    if (!pass_all(pub, fits))
        return mcq_psock_again(pub->s);
    pass_all(pub, give_or_refuse);
    return pub->err;
}

/* Not where the time goes: those that left are swept within a few turns, and who wants no message
 * to be lost waits for the slowest anyway. */
static __attribute__((noinline)) enum mcq_error publish_slow(struct mcq_publication *pub)
{
    if (pub->slow == MCQ_SLOW_BLOCK)
        return publish_block(pub, visit_fits, visit_give_or_refuse);
    pass_all(pub, visit_give);
    return MCQ_OK;
}

/* A queue that drops a message of the user's memory calls the user, who may send: such a send is
 * refused, as the marks of this one are in the pipes. */
static enum mcq_error refuse_nested(struct mcq_psock *s)
{
    s->pub.refused = true;
    return mcq_psock_again(s);
}

static void end_nested(struct mcq_psock *s)
{
    s->pub.refused = false;
    mcq_psock_wake(s);
}

enum mcq_error mcq_fanout_send(struct mcq_psock *s, struct mcq_pipe *to, const struct mcq_msg *m)
{
    struct mcq_fanout *f = &s->pub;
    struct mcq_publication pub;
    enum mcq_error err = MCQ_OK;
    if (to != NULL)
        return MCQ_ENOTSUP;
    if (MCQ_UNLIKELY(f->busy))
        return refuse_nested(s);
    f->busy = true;
    mcq_publication_begin(&pub, s, m);
    if (MCQ_LIKELY(f->plain && mcq_list_empty(&f->gone)))
        pass(&pub, true, visit_give);
    else
        err = publish_slow(&pub);
    mcq_publication_end(&pub);
    f->busy = false;
    if (MCQ_UNLIKELY(f->refused))
        end_nested(s);
    return err;
}

/* --- what comes from another member --------------------------------------------------------- */

static bool visit_own(struct mcq_publication *pub, struct mcq_pipe *p)
{
    return p->member || visit_give(pub, p);
}

static bool visit_own_or_refuse(struct mcq_publication *pub, struct mcq_pipe *p)
{
    return p->member || visit_give_or_refuse(pub, p);
}

static bool visit_own_fits(struct mcq_publication *pub, struct mcq_pipe *p)
{
    return p->member || visit_fits(pub, p);
}

static enum mcq_error relay(struct mcq_psock *s, const struct mcq_msg *m)
{
    struct mcq_publication pub;
    enum mcq_error err = MCQ_OK;
    mcq_publication_begin(&pub, s, m);
    if (pub.slow == MCQ_SLOW_BLOCK)
        err = publish_block(&pub, visit_own_fits, visit_own_or_refuse);
    else
        pass_all(&pub, visit_own);
    mcq_publication_end(&pub);
    return err;
}

size_t mcq_fanout_relay(struct mcq_psock *s, struct mcq_msg *msgs, size_t n)
{
    struct mcq_fanout *f = &s->pub;
    size_t done = 0;
    MCQ_DASSERT(!f->busy); /* it comes from the loop */
    f->busy = true;
    while (done < n) {
        enum mcq_error err = relay(s, &msgs[done]);
        if (err == MCQ_EAGAIN)
            break;
        if (err != MCQ_OK) /* more than any queue has room for */
            mcq_psock_drop(s, NULL, MCQ_REASON_HWM, 1);
        done++;
    }
    f->busy = false;
    if (MCQ_UNLIKELY(f->refused))
        end_nested(s);
    return done;
}
