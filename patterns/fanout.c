#include "patterns/fanout.h"

#include "patterns/psock.h"

size_t mcq_fanout_pools_footprint(uint32_t subs_max)
{
    /* Every subscription could be the only one to its topic. */
    return mcq_pool_footprint(sizeof(struct mcq_topic), subs_max) +
           mcq_pool_footprint(sizeof(struct mcq_sub), subs_max) +
           mcq_hash_bucket_cnt(subs_max) * sizeof(struct mcq_sub *) + MCQ_CACHE_LINE;
}

bool mcq_fanout_pools_init(struct mcq_fanout_pools *pools, struct mcq_arena *arena,
                           uint32_t subs_max)
{
    pools->bucket_cnt = mcq_hash_bucket_cnt(subs_max);
    pools->buckets =
        mcq_arena_carve(arena, pools->bucket_cnt * sizeof(*pools->buckets), MCQ_CACHE_LINE);
    return pools->buckets != NULL &&
           mcq_pool_init(&pools->topics, "topics", arena, sizeof(struct mcq_topic), subs_max) &&
           mcq_pool_init(&pools->subs, "subscriptions", arena, sizeof(struct mcq_sub), subs_max);
}

void mcq_fanout_init(struct mcq_psock *s)
{
    mcq_prefix_set_init(&s->pub.topics, &s->shared->prefixes);
    s->pub.seq = 0;
}

/* --- a topic's pipes ----------------------------------------------------------------------- */

static struct mcq_topic *topic_of(struct mcq_prefix *prefix)
{
    return MCQ_CONTAINER_OF(prefix, struct mcq_topic, prefix);
}

static struct mcq_sub *far_sub(struct mcq_node *n)
{
    return MCQ_CONTAINER_OF(n, struct mcq_sub, topic_node);
}

static bool topic_idle(const struct mcq_topic *t)
{
    return t->near_cnt == 0;
}

static void near_set(struct mcq_topic *t, uint32_t idx, struct mcq_sub *sub)
{
    t->near_pipes[idx] = sub->pipe;
    t->near_subs[idx] = sub;
    sub->near_idx = idx;
}

static void topic_join(struct mcq_topic *t, struct mcq_sub *sub)
{
    if (t->near_cnt < MCQ_FANOUT_NEAR_MAX) {
        near_set(t, t->near_cnt++, sub);
        return;
    }
    sub->near_idx = MCQ_FANOUT_NEAR_MAX;
    mcq_list_push_back(&t->far, &sub->topic_node);
}

/* A place that gets free in near is filled again, from far if anybody is there. */
static void topic_leave(struct mcq_topic *t, struct mcq_sub *sub)
{
    if (sub->near_idx == MCQ_FANOUT_NEAR_MAX) {
        mcq_node_unlink(&sub->topic_node);
        return;
    }
    struct mcq_node *n = mcq_list_pop_front(&t->far);
    if (n != NULL) {
        near_set(t, sub->near_idx, far_sub(n));
        return;
    }
    uint32_t last = --t->near_cnt;
    if (sub->near_idx != last)
        near_set(t, sub->near_idx, t->near_subs[last]);
}

/* --- a peer's subscriptions ---------------------------------------------------------------- */

static struct mcq_sub **bucket_of(struct mcq_fanout_pools *pools, const struct mcq_topic *t,
                                  const struct mcq_pipe *p)
{
    uint64_t h = mcq_hash_mix(t->prefix.hash, mcq_hash_of(p));
    return &pools->buckets[h & (pools->bucket_cnt - 1)];
}

static struct mcq_sub *sub_find(struct mcq_fanout_pools *pools, const struct mcq_topic *t,
                                const struct mcq_pipe *p)
{
    struct mcq_sub *sub = *bucket_of(pools, t, p);
    while (sub != NULL && (sub->topic != t || sub->pipe != p))
        sub = sub->next;
    return sub;
}

/* Finds or makes the topic. NULL: no room. */
static struct mcq_topic *topic_hold(struct mcq_psock *s, struct mcq_slice name)
{
    struct mcq_prefix *prefix = mcq_prefix_find(&s->pub.topics, name);
    if (prefix != NULL)
        return topic_of(prefix);
    struct mcq_topic *t = mcq_pool_take(&s->shared->fanout.topics);
    if (t == NULL)
        return NULL;
    t->near_cnt = 0;
    mcq_list_init(&t->far);
    if (mcq_prefix_insert(&s->pub.topics, &t->prefix, name))
        return t;
    mcq_pool_give(&s->shared->fanout.topics, t);
    return NULL;
}

static void topic_release(struct mcq_psock *s, struct mcq_topic *t)
{
    if (!topic_idle(t))
        return;
    mcq_prefix_remove(&t->prefix);
    mcq_prefix_release(&s->shared->prefixes, &t->prefix);
    mcq_pool_give(&s->shared->fanout.topics, t);
}

static void sub_enter(struct mcq_psock *s, struct mcq_topic *t, struct mcq_pipe *p,
                      struct mcq_sub *sub)
{
    struct mcq_sub **bucket = bucket_of(&s->shared->fanout, t, p);
    *sub = (struct mcq_sub){.next = *bucket, .pipe = p, .topic = t};
    *bucket = sub;
    topic_join(t, sub);
    mcq_list_push_back(&p->subs, &sub->pipe_node);
    p->subs_cnt++;
    p->subs_bytes += t->prefix.len;
    if (++s->stats->subs_now > s->stats->subs_peak)
        s->stats->subs_peak = s->stats->subs_now;
}

static void sub_leave(struct mcq_psock *s, struct mcq_sub *sub)
{
    struct mcq_topic *t = sub->topic;
    struct mcq_pipe *p = sub->pipe;
    struct mcq_sub **at = bucket_of(&s->shared->fanout, t, p);
    while (*at != sub)
        at = &(*at)->next;
    *at = sub->next;
    topic_leave(t, sub);
    mcq_node_unlink(&sub->pipe_node);
    p->subs_cnt--;
    p->subs_bytes -= t->prefix.len;
    s->stats->subs_now--;
    mcq_pool_give(&s->shared->fanout.subs, sub);
}

static enum mcq_reason refuse(struct mcq_psock *s)
{
    s->stats->subs_refused++;
    return MCQ_REASON_LIMIT;
}

static enum mcq_reason add_sub(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_slice name)
{
    bool fits = name.len <= MCQ_TOPIC_LEN_MAX && p->subs_cnt < s->opts->subs_max &&
                p->subs_bytes + name.len <= MCQ_FANOUT_BYTES_MAX;
    struct mcq_topic *t = fits ? topic_hold(s, name) : NULL;
    if (t == NULL)
        return refuse(s);
    struct mcq_sub *sub = mcq_pool_take(&s->shared->fanout.subs);
    if (sub == NULL) {
        topic_release(s, t);
        return refuse(s);
    }
    sub_enter(s, t, p, sub);
    s->up->subscription(s->up_ctx, p, true, name);
    return MCQ_REASON_NONE;
}

/* The topic outlives the user's handler: it may publish, and the name is borrowed from it. */
static void end_sub(struct mcq_psock *s, struct mcq_sub *sub)
{
    struct mcq_topic *t = sub->topic;
    struct mcq_pipe *p = sub->pipe;
    sub_leave(s, sub);
    s->up->subscription(s->up_ctx, p, false, mcq_prefix_key(&t->prefix));
    topic_release(s, t);
}

enum mcq_reason mcq_fanout_change(struct mcq_psock *s, struct mcq_pipe *p, bool add,
                                  struct mcq_slice name)
{
    struct mcq_prefix *prefix = mcq_prefix_find(&s->pub.topics, name);
    struct mcq_sub *sub = prefix != NULL ? sub_find(&s->shared->fanout, topic_of(prefix), p) : NULL;
    if (add && sub == NULL)
        return add_sub(s, p, name);
    if (add)
        s->stats->subs_duplicate++;
    else if (sub != NULL)
        end_sub(s, sub);
    return MCQ_REASON_NONE;
}

void mcq_fanout_forget(struct mcq_psock *s, struct mcq_pipe *p)
{
    struct mcq_node *n;
    p->fanout_seq = MCQ_FANOUT_CLOSED;
    while ((n = mcq_list_first(&p->subs)) != NULL)
        end_sub(s, MCQ_CONTAINER_OF(n, struct mcq_sub, pipe_node));
}

/* --- publishing ---------------------------------------------------------------------------- */

struct publication {
    struct mcq_psock *s;
    struct mcq_msg m;
    bool share; /* has a body worth sharing that is not owned yet */
    bool kept;  /* m holds a reference of ours */
};

static bool worth_sharing(const struct mcq_msg *m)
{
    if ((m->owner & MCQ_OWNER_OWNED) != 0)
        return false;
    for (uint32_t i = 0; i < m->frame_cnt; i++)
        if (mcq_msg_frame(m, i).len >= MCQ_PIPE_SHARE_MIN)
            return true;
    return false;
}

/* If there is no block for it, each pipe tries for a copy of its own. Blocks of the receive ring
 * are not lent to subscribers, who may hold them for as long as they like: pin_max is 0. */
static void share(struct publication *pub)
{
    struct mcq_msg kept;
    pub->share = false;
    if (mcq_buf_msg_keep(pub->s->env->heap, 0, &pub->m, &kept) != MCQ_OK)
        return;
    pub->m = kept;
    pub->kept = true;
}

static void give(struct publication *pub, struct mcq_pipe *p)
{
    struct mcq_psock *s = pub->s;
    if (p->fanout_seq >= s->pub.seq)
        return;
    p->fanout_seq = s->pub.seq;
    if (pub->share)
        share(pub);
    if (MCQ_UNLIKELY(mcq_pipe_put(p, MCQ_PSOCK_NO_PREFIX, &pub->m, 0) != MCQ_OK))
        mcq_psock_drop(s, p, MCQ_REASON_HWM, 1);
}

static void give_topic(struct publication *pub, struct mcq_topic *t)
{
    for (uint32_t i = 0; i < t->near_cnt; i++)
        give(pub, t->near_pipes[i]);
    for (struct mcq_node *n = mcq_list_first(&t->far); n != NULL; n = mcq_list_next(&t->far, n))
        give(pub, far_sub(n)->pipe);
}

void mcq_fanout_publish(struct mcq_psock *s, const struct mcq_msg *m)
{
    struct publication pub = {s, *m, worth_sharing(m), false};
    struct mcq_prefix_match match =
        mcq_prefix_match_of(&s->pub.topics, mcq_slice_of(m->data, m->len));
    struct mcq_prefix *prefix;
    s->pub.seq++;
    while ((prefix = mcq_prefix_match_next(&match)) != NULL)
        give_topic(&pub, topic_of(prefix));
    if (pub.kept)
        mcq_buf_msg_drop(s->env->heap, &pub.m);
}
