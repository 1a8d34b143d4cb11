#include "patterns/publication.h"

#include "patterns/psock.h"

static bool worth_sharing(const struct mcq_msg *m)
{
    if ((m->owner & MCQ_OWNER_OWNED) != 0)
        return false;
    for (uint32_t i = 0; i < m->frame_cnt; i++)
        if (mcq_msg_frame(m, i).len >= MCQ_PIPE_SHARE_MIN)
            return true;
    return false;
}

/* Bytes that a queue copies; large bodies are shared. */
static size_t copy_len(const struct mcq_msg *m, size_t need)
{
    for (uint32_t i = 0; i < m->frame_cnt; i++) {
        size_t len = mcq_msg_frame(m, i).len;
        need -= len >= MCQ_PIPE_SHARE_MIN ? len : 0;
    }
    return need;
}

void mcq_publication_begin(struct mcq_publication *pub, struct mcq_psock *s,
                           const struct mcq_msg *m)
{
    bool small = m->frame_cnt == 1 && m->len < MCQ_PIPE_SHARE_MIN;
    *pub = (struct mcq_publication){
        .s = s,
        .m = *m,
        .slow = s->opts->slow,
        .small = small,
        .share = !small && worth_sharing(m),
    };
    if (MCQ_LIKELY(pub->slow != MCQ_SLOW_BLOCK))
        return;
    pub->need = mcq_pipe_need(MCQ_PSOCK_NO_PREFIX, m, 0);
    pub->copy_len = copy_len(m, pub->need);
}

void mcq_publication_end(struct mcq_publication *pub)
{
    if (pub->kept)
        mcq_buf_msg_drop(pub->s->env->heap, &pub->m);
}

/* What has_room and reserve are asked for is without the header that they add themselves. */
bool mcq_publication_fits(const struct mcq_publication *pub, struct mcq_pipe *p)
{
    void *at;
    size_t copy = mcq_min(pub->copy_len - mcq_frame_head_len(0), MCQ_PIPE_RESERVE_MAX);
    size_t need = pub->need - mcq_min(pub->need, MCQ_FRAME_HEAD_MAX);
    if (mcq_pipe_has_room(p, need) && mcq_pipe_reserve(p, copy, &at) == MCQ_OK)
        return true;
    mcq_psock_refused(pub->s, p);
    return false;
}

/* If there is no block for it, each pipe tries for a copy of its own. Blocks of the receive ring
 * are not lent to subscribers, who may hold them for as long as they like: pin_max is 0. */
static void share(struct mcq_publication *pub)
{
    struct mcq_msg kept;
    pub->share = false;
    if (mcq_buf_msg_keep(pub->s->env->heap, 0, &pub->m, &kept) != MCQ_OK)
        return;
    pub->m = kept;
    pub->kept = true;
}

void mcq_publication_put(struct mcq_publication *pub, struct mcq_pipe *p)
{
    if (pub->share)
        share(pub);
    enum mcq_error err = mcq_psock_put(pub->s, p, pub->slow, MCQ_PSOCK_NO_PREFIX, &pub->m, 0);
    if (pub->slow == MCQ_SLOW_BLOCK)
        pub->err = err;
    else if (err != MCQ_OK) /* more than any queue has room for */
        mcq_psock_drop(pub->s, p, MCQ_REASON_HWM, 1);
}

bool mcq_publication_give_or_refuse(struct mcq_publication *pub, struct mcq_pipe *p)
{
    mcq_publication_give(pub, p);
    pub->slow = MCQ_SLOW_DROP_NEW;
    return pub->err == MCQ_OK;
}

/* --- to all -------------------------------------------------------------------------------- */

static bool takes(const struct mcq_psock *s, const struct mcq_pipe *p)
{
    return !p->leaving && (p->up || mcq_psock_keeps(s, p));
}

static bool all_fit(const struct mcq_publication *pub)
{
    const struct mcq_psock *s = pub->s;
    for (struct mcq_node *n = mcq_list_first(&s->pipes); n != NULL;
         n = mcq_list_next(&s->pipes, n)) {
        struct mcq_pipe *p = MCQ_CONTAINER_OF(n, struct mcq_pipe, peers_node);
        if (takes(s, p) && !mcq_publication_fits(pub, p))
            return false;
    }
    return true;
}

enum mcq_error mcq_publication_to_all(struct mcq_psock *s, const struct mcq_msg *m)
{
    struct mcq_publication pub;
    bool block = s->opts->slow == MCQ_SLOW_BLOCK;
    mcq_publication_begin(&pub, s, m);
    if (block && !all_fit(&pub))
        return mcq_psock_again(s);
    for (struct mcq_node *n = mcq_list_first(&s->pipes); n != NULL && pub.err == MCQ_OK;
         n = mcq_list_next(&s->pipes, n)) {
        struct mcq_pipe *p = MCQ_CONTAINER_OF(n, struct mcq_pipe, peers_node);
        if (!takes(s, p))
            continue;
        if (block)
            mcq_publication_give_or_refuse(&pub, p);
        else
            mcq_publication_give(&pub, p);
    }
    mcq_publication_end(&pub);
    return pub.err;
}

/* One that has just come up is not slow, whatever its predecessor has left. */
static enum mcq_slow welcome_slow(enum mcq_slow slow)
{
    return slow == MCQ_SLOW_BLOCK || slow == MCQ_SLOW_DISCONNECT ? MCQ_SLOW_DROP_NEW : slow;
}

void mcq_publication_welcome(struct mcq_psock *s, struct mcq_pipe *p)
{
    const struct mcq_psock_opts *o = s->opts;
    if (o->welcome_len == 0 || p->arriving)
        return;
    struct mcq_msg m = mcq_msg_of(o->welcome, o->welcome_len);
    if (mcq_psock_put(s, p, welcome_slow(o->slow), MCQ_PSOCK_NO_PREFIX, &m, 0) != MCQ_OK)
        mcq_psock_drop(s, p, MCQ_REASON_HWM, 1);
}
