#include "patterns/fanout.h"

#include "patterns/fanout_private.h"
#include "patterns/hash.h"
#include "patterns/psock.h"
#include "patterns/publication.h"

/* Connections that are up, and as many that are not and wait for the sweep. */
static uint32_t subscribers_max(uint32_t connections_max)
{
    return 2 * connections_max;
}

size_t mcq_fanout_pools_footprint(uint32_t subs_max, uint32_t connections_max)
{
    /* Every subscription could be the only one to its topic. */
    return mcq_pool_footprint(sizeof(struct mcq_topic), subs_max) +
           mcq_pool_footprint(sizeof(struct mcq_sub), subs_max) +
           mcq_pool_footprint(sizeof(struct mcq_subscriber), subscribers_max(connections_max)) +
           mcq_hash_bucket_cnt(subs_max) * sizeof(uint32_t) + MCQ_CACHE_LINE;
}

bool mcq_fanout_pools_init(struct mcq_fanout_pools *pools, struct mcq_arena *arena,
                           uint32_t subs_max, uint32_t connections_max)
{
    pools->bucket_cnt = mcq_hash_bucket_cnt(subs_max);
    pools->buckets =
        mcq_arena_carve(arena, pools->bucket_cnt * sizeof(*pools->buckets), MCQ_CACHE_LINE);
    return pools->buckets != NULL &&
           mcq_pool_init(&pools->topics, "topics", arena, sizeof(struct mcq_topic), subs_max) &&
           mcq_pool_init(&pools->subs, "subscriptions", arena, sizeof(struct mcq_sub), subs_max) &&
           mcq_pool_init(&pools->subscribers, "subscribers", arena, sizeof(struct mcq_subscriber),
                         subscribers_max(connections_max));
}

void mcq_fanout_open(struct mcq_psock *s)
{
    s->pub = (struct mcq_fanout){
        .plain = s->opts->slow != MCQ_SLOW_BLOCK && !s->opts->invert_matching,
    };
    mcq_prefix_set_init(&s->pub.topics, &s->shared->prefixes);
    mcq_list_init(&s->pub.gone);
    mcq_list_init(&s->pub.unknown);
}

void mcq_fanout_close(struct mcq_psock *s)
{
    MCQ_ASSERT(mcq_list_empty(&s->pub.gone));
}

static bool is_xpub(const struct mcq_psock *s)
{
    return s->pattern->type == MCQ_XPUB;
}

/* --- a topic's pipes ----------------------------------------------------------------------- */

static void near_set(struct mcq_topic *t, uint32_t idx, struct mcq_sub *sub)
{
    t->near_pipes[idx] = sub->pipe;
    t->near_subs[idx] = sub;
    sub->near_idx = (uint8_t)idx;
}

static void topic_join(struct mcq_topic *t, struct mcq_sub *sub)
{
    sub->real = true;
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
    sub->real = false;
    if (sub->near_idx == MCQ_FANOUT_NEAR_MAX) {
        mcq_node_unlink(&sub->topic_node);
        return;
    }
    struct mcq_node *n = mcq_list_pop_front(&t->far);
    if (n != NULL) {
        near_set(t, sub->near_idx, mcq_sub_of_far(n));
        return;
    }
    uint32_t last = --t->near_cnt;
    if (sub->near_idx != last)
        near_set(t, sub->near_idx, t->near_subs[last]);
}

/* Finds or makes the topic, and holds it. NULL: no room. */
static struct mcq_topic *topic_hold(struct mcq_psock *s, struct mcq_slice name)
{
    struct mcq_prefix *prefix = mcq_prefix_find(&s->pub.topics, name);
    if (prefix != NULL) {
        mcq_topic_of(prefix)->hold_cnt++;
        return mcq_topic_of(prefix);
    }
    struct mcq_topic *t = mcq_pool_take(&s->shared->fanout.topics);
    if (t == NULL)
        return NULL;
    t->sub_cnt = 0;
    t->member_cnt = 0;
    t->told = false;
    t->hold_cnt = 1;
    t->near_cnt = 0;
    mcq_list_init(&t->far);
    if (mcq_prefix_insert(&s->pub.topics, &t->prefix, name))
        return t;
    mcq_pool_give(&s->shared->fanout.topics, t);
    return NULL;
}

static void topic_release(struct mcq_psock *s, struct mcq_topic *t)
{
    t->hold_cnt--;
    if (t->sub_cnt != 0 || t->hold_cnt != 0)
        return;
    mcq_prefix_remove(&s->pub.topics, &t->prefix);
    mcq_prefix_release(&s->shared->prefixes, &t->prefix);
    mcq_pool_give(&s->shared->fanout.topics, t);
}

/* --- a peer's subscriptions ---------------------------------------------------------------- */

static uint32_t *bucket_of(struct mcq_fanout_pools *pools, const struct mcq_topic *t,
                           const struct mcq_subscriber *who)
{
    uint64_t h = mcq_hash_mix(mcq_hash_of(t), mcq_hash_of(who));
    return &pools->buckets[h & (pools->bucket_cnt - 1)];
}

static struct mcq_sub *sub_at(const struct mcq_fanout_pools *pools, uint32_t place)
{
    return place == 0 ? NULL : mcq_pool_at(&pools->subs, place - 1);
}

static struct mcq_sub *sub_find(struct mcq_psock *s, const struct mcq_pipe *p,
                                struct mcq_slice name)
{
    struct mcq_fanout_pools *pools = &s->shared->fanout;
    struct mcq_prefix *prefix = mcq_prefix_find(&s->pub.topics, name);
    if (prefix == NULL || p->subscriber == NULL)
        return NULL;
    const struct mcq_topic *t = mcq_topic_of(prefix);
    struct mcq_sub *sub = sub_at(pools, *bucket_of(pools, t, p->subscriber));
    while (sub != NULL && (sub->topic != t || sub->who != p->subscriber))
        sub = sub_at(pools, sub->next);
    return sub;
}

static bool subscriber_open(struct mcq_psock *s, struct mcq_pipe *p)
{
    if (p->subscriber != NULL)
        return true;
    struct mcq_subscriber *who = mcq_pool_take(&s->shared->fanout.subscribers);
    if (who == NULL)
        return false;
    *who = (struct mcq_subscriber){.pipe = p, .peer = p->peer, .member = p->member};
    mcq_list_init(&who->subs);
    p->subscriber = who;
    return true;
}

/* Of this member's own peers. */
static uint32_t own_cnt(const struct mcq_topic *t)
{
    return t->sub_cnt - t->member_cnt;
}

/* A subscription came or went: the other members hear of the first and the last. */
static void count_sub(struct mcq_psock *s, struct mcq_topic *t, const struct mcq_subscriber *who,
                      bool added)
{
    const struct mcq_slice name = mcq_prefix_key(&t->prefix);
    t->sub_cnt = added ? t->sub_cnt + 1 : t->sub_cnt - 1;
    if (who->member) {
        t->member_cnt = added ? t->member_cnt + 1 : t->member_cnt - 1;
        return;
    }
    s->pub.subs_cnt = added ? s->pub.subs_cnt + 1 : s->pub.subs_cnt - 1;
    s->pub.subs_bytes = added ? s->pub.subs_bytes + name.len : s->pub.subs_bytes - name.len;
    if (s->up->wanted != NULL && own_cnt(t) == (added ? 1 : 0))
        s->up->wanted(s->up_ctx, added, name);
}

static void sub_enter(struct mcq_psock *s, struct mcq_topic *t, struct mcq_subscriber *who,
                      struct mcq_sub *sub)
{
    struct mcq_fanout_pools *pools = &s->shared->fanout;
    uint32_t *bucket = bucket_of(pools, t, who);
    *sub = (struct mcq_sub){.pipe = who->pipe, .who = who, .topic = t, .next = *bucket};
    *bucket = mcq_pool_idx(&pools->subs, sub) + 1;
    mcq_list_push_back(&who->subs, &sub->who_node);
    who->cnt++;
    who->bytes += mcq_prefix_key(&t->prefix).len;
    count_sub(s, t, who, true);
    if (++s->stats->subs_now > s->stats->subs_peak)
        s->stats->subs_peak = s->stats->subs_now;
}

static void sub_leave(struct mcq_psock *s, struct mcq_sub *sub)
{
    struct mcq_fanout_pools *pools = &s->shared->fanout;
    uint32_t *at = bucket_of(pools, sub->topic, sub->who);
    while (sub_at(pools, *at) != sub)
        at = &sub_at(pools, *at)->next;
    *at = sub->next;
    if (sub->real)
        topic_leave(sub->topic, sub);
    mcq_node_unlink(&sub->who_node);
    mcq_node_unlink(&sub->unknown_node);
    sub->who->cnt--;
    sub->who->bytes -= mcq_prefix_key(&sub->topic->prefix).len;
    count_sub(s, sub->topic, sub->who, false);
    s->stats->subs_now--;
    mcq_pool_give(&pools->subs, sub);
}

static bool fits(const struct mcq_psock *s, const struct mcq_pipe *p, struct mcq_slice name)
{
    const struct mcq_subscriber *who = p->subscriber;
    const struct mcq_psock_opts *o = s->opts;
    return name.len <= MCQ_TOPIC_LEN_MAX && who->cnt < o->subs_max &&
           who->bytes + name.len <= o->subs_max_bytes && s->pub.subs_cnt < o->subs_sock_max &&
           s->pub.subs_bytes + name.len <= o->subs_sock_max_bytes;
}

/* A subscription of p's to a held topic, neither asked for nor real yet. NULL: more than p or the
 * shard may have. */
static struct mcq_sub *sub_make(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_topic *t)
{
    struct mcq_sub *sub = mcq_pool_take(&s->shared->fanout.subs);
    if (sub != NULL)
        sub_enter(s, t, p->subscriber, sub);
    return sub;
}

/* --- telling the user ---------------------------------------------------------------------- */

static void tell(struct mcq_psock *s, struct mcq_peer peer, bool added, struct mcq_slice name)
{
    s->up->subscription(s->up_ctx, peer, added, name);
}

/* first: nobody else is subscribed to it. again: the peer itself is. */
static bool is_told(const struct mcq_psock *s, bool first, bool again)
{
    if (!is_xpub(s))
        return !again;
    return s->opts->manual || s->opts->verbose || first;
}

static bool each_end_is_told(const struct mcq_psock *s)
{
    return !is_xpub(s) || s->opts->manual || s->opts->verboser;
}

/* --- changes ------------------------------------------------------------------------------- */

static enum mcq_reason refuse(struct mcq_psock *s)
{
    s->stats->subs_refused++;
    return MCQ_REASON_LIMIT;
}

/* Of a logical socket, a peer is welcome once all members know what it wants. */
static void welcome(struct mcq_psock *s, struct mcq_pipe *p)
{
    if (p == NULL || p->welcomed)
        return;
    p->welcomed = true;
    mcq_publication_welcome(s, p);
}

/* The subscription is a peer's of this member's own, and every member knows of it. */
static void become_real(struct mcq_psock *s, struct mcq_topic *t, struct mcq_sub *sub, bool first)
{
    struct mcq_peer peer = sub->who->peer;
    welcome(s, sub->pipe);
    if (!s->opts->manual)
        topic_join(t, sub);
    t->told = true;
    if (is_told(s, first, false))
        tell(s, peer, true, mcq_prefix_key(&t->prefix));
}

/* What has to be known first: by an XPUB's user, and by whom a welcome tells that it is. */
static uint64_t unknown(const struct mcq_psock *s)
{
    bool matters = is_xpub(s) || s->opts->welcome_len != 0;
    return matters && s->up->unknown != NULL ? s->up->unknown(s->up_ctx) : 0;
}

#define NEVER_TOLD UINT64_MAX /* its peer was gone before anybody could be */

void mcq_fanout_known(struct mcq_psock *s, uint64_t up_to)
{
    struct mcq_node *n;
    while ((n = mcq_list_first(&s->pub.unknown)) != NULL) {
        struct mcq_sub *sub = MCQ_CONTAINER_OF(n, struct mcq_sub, unknown_node);
        struct mcq_topic *t = sub->topic;
        if (sub->unknown > up_to)
            return;
        mcq_node_unlink(n);
        sub->unknown = NEVER_TOLD;
        if (sub->who->pipe == NULL)
            continue;
        sub->unknown = 0;
        t->hold_cnt++;
        become_real(s, t, sub, !t->told);
        topic_release(s, t);
    }
}

/* The topic is held while the user is told: the handler may end what has just begun. */
static enum mcq_reason begin(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_slice name)
{
    struct mcq_topic *t = subscriber_open(s, p) && fits(s, p, name) ? topic_hold(s, name) : NULL;
    if (t == NULL)
        return refuse(s);
    bool first = own_cnt(t) == 0;
    struct mcq_sub *sub = sub_make(s, p, t);
    if (sub != NULL) {
        sub->asked = true;
        sub->unknown = unknown(s);
        if (sub->unknown == 0)
            become_real(s, t, sub, first);
        else
            mcq_list_push_back(&s->pub.unknown, &sub->unknown_node);
    }
    topic_release(s, t);
    return sub != NULL ? MCQ_REASON_NONE : refuse(s);
}

/* The topic is held while the user is told: the name is borrowed from it. */
static void end(struct mcq_psock *s, struct mcq_sub *sub, struct mcq_peer peer)
{
    struct mcq_topic *t = sub->topic;
    bool asked = sub->asked && !sub->who->member;
    bool known = sub->unknown == 0;
    t->hold_cnt++;
    sub_leave(s, sub);
    /* The last may be one whose beginning was never told; the topic's was. */
    bool over = own_cnt(t) == 0 && (known || t->told);
    if (own_cnt(t) == 0)
        t->told = false;
    if (asked && (each_end_is_told(s) ? known : over))
        tell(s, peer, false, mcq_prefix_key(&t->prefix));
    topic_release(s, t);
}

static enum mcq_reason change_asked(struct mcq_psock *s, struct mcq_pipe *p, bool add,
                                    struct mcq_slice name)
{
    struct mcq_sub *sub = sub_find(s, p, name);
    bool again = sub != NULL && sub->asked;
    if (add && sub == NULL)
        return begin(s, p, name);
    if (!add && again && !(s->opts->manual && sub->real)) {
        end(s, sub, p->peer);
        return MCQ_REASON_NONE;
    }
    if (add && again)
        s->stats->subs_duplicate++;
    if (again && sub->unknown != 0)
        return MCQ_REASON_NONE;
    if (sub != NULL) /* what the user has made real stays until the user ends it */
        sub->asked = add;
    if (add ? is_told(s, false, again) : s->opts->manual)
        tell(s, p->peer, add, name);
    return MCQ_REASON_NONE;
}

enum mcq_reason mcq_fanout_change(struct mcq_psock *s, struct mcq_pipe *p, bool add,
                                  struct mcq_slice name)
{
    if (p->leaving)
        return MCQ_REASON_NONE;
    enum mcq_reason reason = change_asked(s, p, add, name);
    mcq_psock_wake(s); /* who was waited for may not be in the way any more */
    return reason;
}

static enum mcq_error begin_for(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_sub *sub,
                                struct mcq_slice name)
{
    if (sub != NULL) {
        if (!sub->real)
            topic_join(sub->topic, sub);
        return MCQ_OK;
    }
    struct mcq_topic *t = subscriber_open(s, p) && fits(s, p, name) ? topic_hold(s, name) : NULL;
    if (t == NULL)
        return MCQ_ELIMIT;
    sub = sub_make(s, p, t);
    if (sub != NULL)
        topic_join(t, sub);
    topic_release(s, t);
    return sub != NULL ? MCQ_OK : MCQ_ELIMIT;
}

static enum mcq_error end_for(struct mcq_psock *s, struct mcq_sub *sub)
{
    if (sub == NULL || !sub->real)
        return MCQ_ENOENT;
    if (sub->asked)
        topic_leave(sub->topic, sub);
    else
        end(s, sub, sub->who->peer);
    return MCQ_OK;
}

/* From within a free callback, while a message is given: the pass over the topics wouldn't bear it.
 */
static enum mcq_error refuse_nested(struct mcq_psock *s)
{
    s->pub.refused = true;
    s->sender_waits = true;
    return MCQ_EAGAIN;
}

enum mcq_error mcq_fanout_change_for(struct mcq_psock *s, struct mcq_pipe *p, bool add,
                                     struct mcq_slice name)
{
    if (!s->opts->manual)
        return MCQ_ENOTSUP;
    if (p->leaving)
        return MCQ_ESTALE;
    if (s->pub.busy)
        return refuse_nested(s);
    struct mcq_sub *sub = sub_find(s, p, name);
    enum mcq_error err = add ? begin_for(s, p, sub, name) : end_for(s, sub);
    if (err == MCQ_ELIMIT)
        s->stats->subs_refused++;
    mcq_psock_wake(s);
    return err;
}

/* --- members ------------------------------------------------------------------------------- */

#define EVERYTHING mcq_slice_of("", 0)

/* The subscription to everything is there from the start, so that it can't fail when it is needed
 * because something else has. */
bool mcq_fanout_member_open(struct mcq_psock *s, struct mcq_pipe *p)
{
    struct mcq_topic *t = subscriber_open(s, p) ? topic_hold(s, EVERYTHING) : NULL;
    bool ok = t != NULL && sub_make(s, p, t) != NULL;
    if (t != NULL)
        topic_release(s, t);
    if (ok)
        mcq_list_push_back(&s->pipes, &p->peers_node);
    else if (p->subscriber != NULL)
        mcq_pool_give(&s->shared->fanout.subscribers, p->subscriber);
    if (!ok)
        p->subscriber = NULL;
    return ok;
}

static void set_real(struct mcq_sub *sub, bool on)
{
    if (on && !sub->real)
        topic_join(sub->topic, sub);
    else if (!on && sub->real)
        topic_leave(sub->topic, sub);
}

/* Asked for: the member wants everything. Else it may be flooded. */
void mcq_fanout_member_flood(struct mcq_psock *s, struct mcq_pipe *p, bool on)
{
    struct mcq_sub *sub = sub_find(s, p, EVERYTHING);
    p->subscriber->flooded = on;
    set_real(sub, on || sub->asked);
}

bool mcq_fanout_member_change(struct mcq_psock *s, struct mcq_pipe *p, bool add,
                              struct mcq_slice name)
{
    struct mcq_sub *sub = sub_find(s, p, name);
    mcq_psock_wake(s); /* who was waited for may not be in the way any more */
    if (name.len == 0) {
        sub->asked = add;
        set_real(sub, add || p->subscriber->flooded);
        return true;
    }
    if (!add && sub != NULL)
        end(s, sub, (struct mcq_peer){0});
    if (!add || sub != NULL)
        return sub != NULL;
    struct mcq_topic *t = topic_hold(s, name);
    if (t == NULL)
        return false;
    sub = sub_make(s, p, t);
    if (sub != NULL)
        topic_join(t, sub);
    topic_release(s, t);
    return sub != NULL;
}

/* --- peers come and go --------------------------------------------------------------------- */

enum mcq_reason mcq_fanout_attach(struct mcq_psock *s, struct mcq_pipe *p)
{
    enum mcq_reason reason = mcq_psock_attach(s, p);
    p->welcomed = p->arriving; /* where it comes from, or see inherit */
    if (s->up->member == NULL || !s->up->member(s->up_ctx))
        welcome(s, p);
    return reason;
}

/* Nothing is given to p any more; its subscriptions are swept. */
static void subscriber_leave(struct mcq_psock *s, struct mcq_pipe *p)
{
    struct mcq_subscriber *who = p->subscriber;
    p->subscriber = NULL;
    mcq_psock_wake(s);
    if (who == NULL)
        return;
    who->pipe = NULL;
    if (who->cnt == 0) {
        mcq_pool_give(&s->shared->fanout.subscribers, who);
        return;
    }
    mcq_list_push_back(&s->pub.gone, &who->gone_node);
    s->up->sweep(s->up_ctx);
}

void mcq_fanout_member_close(struct mcq_psock *s, struct mcq_pipe *p)
{
    subscriber_leave(s, p);
    mcq_node_unlink(&p->peers_node);
}

void mcq_fanout_detach(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_psock_detach(s, p);
    subscriber_leave(s, p);
}

void mcq_fanout_retire(struct mcq_psock *s, struct mcq_pipe *p)
{
    if (p->leaving)
        subscriber_leave(s, p);
}

void mcq_fanout_remove(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_fanout_detach(s, p);
    mcq_psock_remove(s, p);
}

/* The oldest of the first that went. PUB tells who it was; XPUB's topics are nobody's. */
static void sweep_one(struct mcq_psock *s, struct mcq_subscriber *who)
{
    struct mcq_node *n = mcq_list_first(&who->subs);
    end(s, MCQ_CONTAINER_OF(n, struct mcq_sub, who_node),
        is_xpub(s) ? (struct mcq_peer){0} : who->peer);
    if (who->cnt != 0)
        return;
    mcq_node_unlink(&who->gone_node);
    mcq_pool_give(&s->shared->fanout.subscribers, who);
}

bool mcq_fanout_sweep(struct mcq_psock *s)
{
    struct mcq_node *n;
    for (uint32_t i = 0; i < MCQ_FANOUT_SWEEP_MAX; i++) {
        if ((n = mcq_list_first(&s->pub.gone)) == NULL)
            return false;
        sweep_one(s, MCQ_CONTAINER_OF(n, struct mcq_subscriber, gone_node));
    }
    bool more = !mcq_list_empty(&s->pub.gone);
    s->stats->sweeps_limited += more;
    return more;
}
