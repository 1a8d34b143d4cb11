#include "patterns/subs.h"

#include "patterns/psock.h"

void mcq_subs_init(struct mcq_psock *s)
{
    mcq_prefix_set_init(&s->sub.topics, &s->shared->prefixes);
    mcq_list_init(&s->sub.log);
    mcq_list_init(&s->sub.over);
    s->sub.seq = 0;
    s->sub.told = NULL;
}

static struct mcq_subs_mark *mark_of(struct mcq_node *n)
{
    return MCQ_CONTAINER_OF(n, struct mcq_subs_mark, node);
}

static struct mcq_own_sub *owner_of(struct mcq_subs_mark *m)
{
    return m->add ? MCQ_CONTAINER_OF(m, struct mcq_own_sub, began)
                  : MCQ_CONTAINER_OF(m, struct mcq_own_sub, ended);
}

static void log_append(struct mcq_subs *subs, struct mcq_subs_mark *m, bool add)
{
    *m = (struct mcq_subs_mark){.seq = ++subs->seq, .add = add};
    mcq_list_push_back(&subs->log, &m->node);
}

static void log_remove(struct mcq_subs *subs, struct mcq_subs_mark *m)
{
    if (subs->told == m)
        subs->told = NULL;
    mcq_node_unlink(&m->node);
}

static void own_sub_free(struct mcq_psock *s, struct mcq_own_sub *own)
{
    log_remove(&s->sub, &own->began);
    log_remove(&s->sub, &own->ended);
    mcq_node_unlink(&own->ended_node);
    mcq_prefix_release(&s->shared->prefixes, &own->prefix);
    mcq_pool_give(&s->shared->own_subs, own);
}

/* No attached publisher still needs a mark up to here. */
static uint64_t passed_by_all(struct mcq_psock *s)
{
    uint64_t seq = s->sub.seq;
    for (struct mcq_node *n = mcq_list_first(&s->pipes); n != NULL;
         n = mcq_list_next(&s->pipes, n)) {
        struct mcq_pipe *p = MCQ_CONTAINER_OF(n, struct mcq_pipe, peers_node);
        if (p->up)
            seq = mcq_min_u64(seq,
                              p->control_seq > p->control_base ? p->control_seq : p->control_base);
    }
    return seq;
}

static void prune(struct mcq_psock *s)
{
    struct mcq_node *n = mcq_list_first(&s->sub.over);
    if (n == NULL)
        return;
    uint64_t passed = passed_by_all(s);
    while (n != NULL) {
        struct mcq_own_sub *own = MCQ_CONTAINER_OF(n, struct mcq_own_sub, ended_node);
        if (own->ended.seq > passed)
            return;
        own_sub_free(s, own);
        n = mcq_list_first(&s->sub.over);
    }
}

/* --- changes ------------------------------------------------------------------------------- */

static void tell_all(struct mcq_psock *s)
{
    for (struct mcq_node *n = mcq_list_first(&s->pipes); n != NULL;
         n = mcq_list_next(&s->pipes, n)) {
        struct mcq_pipe *p = MCQ_CONTAINER_OF(n, struct mcq_pipe, peers_node);
        if (p->up)
            s->up->control(s->up_ctx, p);
    }
}

static enum mcq_error begin(struct mcq_psock *s, struct mcq_slice topic)
{
    struct mcq_own_sub *own = mcq_pool_take(&s->shared->own_subs);
    if (own == NULL)
        return MCQ_ELIMIT;
    if (!mcq_prefix_insert(&s->sub.topics, &own->prefix, topic)) {
        mcq_pool_give(&s->shared->own_subs, own);
        return MCQ_ELIMIT;
    }
    own->cnt = 1;
    own->ended = (struct mcq_subs_mark){.add = false};
    own->ended_node = (struct mcq_node){NULL, NULL};
    log_append(&s->sub, &own->began, true);
    tell_all(s);
    return MCQ_OK;
}

static void end(struct mcq_psock *s, struct mcq_own_sub *own)
{
    mcq_prefix_remove(&s->sub.topics, &own->prefix);
    log_append(&s->sub, &own->ended, false);
    mcq_list_push_back(&s->sub.over, &own->ended_node);
    prune(s);
    tell_all(s);
}

enum mcq_error mcq_subs_change(struct mcq_psock *s, bool add, struct mcq_slice topic)
{
    if (topic.len > MCQ_TOPIC_LEN_MAX)
        return MCQ_EINVAL;
    struct mcq_prefix *prefix = mcq_prefix_find(&s->sub.topics, topic);
    if (prefix == NULL)
        return add ? begin(s, topic) : MCQ_ENOENT;
    struct mcq_own_sub *own = MCQ_CONTAINER_OF(prefix, struct mcq_own_sub, prefix);
    if (add && own->cnt == UINT32_MAX)
        return MCQ_ELIMIT;
    if (add)
        own->cnt++;
    else if (--own->cnt == 0)
        end(s, own);
    return MCQ_OK;
}

/* --- telling ------------------------------------------------------------------------------- */

/* The first mark behind seq. What isn't told yet is at the end of the log, so that is where to
 * look, unless the last call left the place. */
static struct mcq_node *first_behind(struct mcq_subs *subs, uint64_t seq)
{
    if (subs->told != NULL && subs->told->seq == seq)
        return mcq_list_next(&subs->log, &subs->told->node);
    struct mcq_node *at = NULL;
    struct mcq_node *n = mcq_list_last(&subs->log);
    while (n != NULL && mark_of(n)->seq > seq) {
        at = n;
        n = n->prev == &subs->log.head ? NULL : n->prev;
    }
    return at;
}

static bool concerns(struct mcq_subs_mark *m, const struct mcq_pipe *p)
{
    const struct mcq_own_sub *own = owner_of(m);
    return own->cnt != 0 || own->ended.seq > p->control_base;
}

bool mcq_subs_next(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_control *c)
{
    struct mcq_subs *subs = &s->sub;
    struct mcq_node *n = NULL;
    if (p->control_seq != subs->seq)
        n = first_behind(subs, p->control_seq);
    while (n != NULL && !concerns(mark_of(n), p))
        n = mcq_list_next(&subs->log, n);
    if (n == NULL) {
        p->control_seq = subs->seq;
        prune(s);
        return false;
    }
    struct mcq_subs_mark *m = mark_of(n);
    subs->told = m;
    *c = (struct mcq_control){m->add, mcq_prefix_key(&owner_of(m)->prefix), m->seq};
    return true;
}

/* --- from member to member ------------------------------------------------------------------- */

/* Its beginning was told, its end wasn't. */
static bool is_told(const struct mcq_own_sub *own, const struct mcq_pipe *p)
{
    bool ended = own->cnt == 0;
    if (own->began.seq > p->control_seq || (ended && own->ended.seq <= p->control_base))
        return false;
    return !ended || own->ended.seq > p->control_seq;
}

static size_t put_topic(struct mcq_slice topic, struct mcq_writer *w)
{
    if (w != NULL) {
        bool ok = mcq_writer_be32(w, (uint32_t)topic.len) && mcq_writer_put(w, topic);
        MCQ_ASSERT(ok);
    }
    return sizeof(uint32_t) + topic.len;
}

size_t mcq_subs_told(const struct mcq_psock *s, const struct mcq_pipe *p, struct mcq_writer *w)
{
    size_t len = 0;
    for (struct mcq_node *n = mcq_list_first(&s->sub.log); n != NULL;
         n = mcq_list_next(&s->sub.log, n)) {
        struct mcq_subs_mark *m = mark_of(n);
        const struct mcq_own_sub *own = owner_of(m);
        if (m->add && is_told(own, p))
            len += put_topic(mcq_prefix_key(&own->prefix), w);
    }
    return len;
}

bool mcq_subs_wants(const struct mcq_psock *s, struct mcq_slice topic)
{
    return mcq_prefix_find(&s->sub.topics, topic) != NULL;
}

/* --- publishers come and go ------------------------------------------------------------------ */

enum mcq_reason mcq_subs_attach(struct mcq_psock *s, struct mcq_pipe *p)
{
    enum mcq_reason reason = mcq_psock_attach(s, p);
    p->control_seq = 0;
    p->control_base = s->sub.seq;
    if (!mcq_list_empty(&s->sub.log))
        s->up->control(s->up_ctx, p);
    return reason;
}

void mcq_subs_detach(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_psock_detach(s, p);
    mcq_psock_wake(s); /* an XSUB may have waited for room there */
    prune(s);
}

void mcq_subs_remove(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_psock_remove(s, p);
    mcq_psock_wake(s);
    prune(s);
}

/* --- the filter ------------------------------------------------------------------------------ */

bool mcq_subs_match(const struct mcq_subs *subs, struct mcq_slice topic)
{
    struct mcq_prefix_match m = mcq_prefix_match_of(&subs->topics, topic);
    return mcq_prefix_match_next(&m) != NULL;
}

void mcq_subs_fini(struct mcq_psock *s)
{
    struct mcq_node *n;
    while ((n = mcq_list_first(&s->sub.log)) != NULL) {
        struct mcq_own_sub *own = owner_of(mark_of(n));
        if (own->cnt != 0)
            mcq_prefix_remove(&s->sub.topics, &own->prefix);
        own_sub_free(s, own);
    }
}
