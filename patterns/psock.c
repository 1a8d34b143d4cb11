#include "patterns/psock.h"

void mcq_psock_init(struct mcq_psock *s, const struct mcq_pattern *pattern,
                    const struct mcq_psock_config *config)
{
    *s = (struct mcq_psock){
        .pattern = pattern,
        .up = config->up,
        .up_ctx = config->up_ctx,
        .env = config->env,
        .shared = config->shared,
        .stats = config->env->stats,
        .random = config->random,
        .random_ctx = config->random_ctx,
        .opts = config->opts,
    };
    mcq_list_init(&s->pipes);
    mcq_balance_init(&s->balance);
    if (pattern->open != NULL)
        pattern->open(s);
}

void mcq_psock_fini(struct mcq_psock *s)
{
    MCQ_ASSERT(mcq_list_empty(&s->pipes));
    if (s->pattern->close != NULL)
        s->pattern->close(s);
}

struct mcq_pipe *mcq_psock_find(const struct mcq_psock *s, struct mcq_slice identity)
{
    return identity.len == 0 ? NULL : mcq_registry_find(&s->shared->registry, s, identity);
}

void mcq_psock_add(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_list_push_back(&s->pipes, &p->peers_node);
    p->sheds = s->opts->slow == MCQ_SLOW_DROP_OLD;
    p->conflates = s->opts->slow == MCQ_SLOW_CONFLATE;
}

enum mcq_reason mcq_psock_attach(struct mcq_psock *s, struct mcq_pipe *p)
{
    MCQ_DASSERT(!p->up);
    p->up = true;
    p->dropped = 0;
    p->slow_cnt = 0;
    s->stats->peers_now++;
    if (p->identity_len != 0)
        mcq_registry_put(&s->shared->registry, p);
    if (++s->peers_up == 1) {
        s->sender_waits = true; /* sock.h: `writable` also after the first peer came up */
        mcq_psock_wake(s);
        if (s->up->peers != NULL)
            s->up->peers(s->up_ctx);
    }
    return MCQ_REASON_NONE;
}

void mcq_psock_detach(struct mcq_psock *s, struct mcq_pipe *p)
{
    if (!p->up)
        return;
    p->up = false;
    p->ending = false;
    mcq_psock_relieved(s, p);
    s->stats->peers_now--;
    mcq_registry_remove(p);
    if (--s->peers_up == 0 && s->up->peers != NULL)
        s->up->peers(s->up_ctx);
}

void mcq_psock_remove(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_psock_detach(s, p);
    mcq_node_unlink(&p->peers_node);
}

enum mcq_reason mcq_psock_refuse(struct mcq_psock *s, enum mcq_reason reason)
{
    s->stats->peers_refused++;
    return reason;
}

void mcq_psock_add_far(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_psock_add(s, p);
    p->up = true;
    p->dropped = 0;
    p->slow_cnt = 0;
}

void mcq_psock_enter_far(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_registry_put(&s->shared->registry, p);
}

/* A sender may wait for this very peer: its next send has another answer. */
void mcq_psock_leave_far(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_registry_remove(p);
    if (p->starved)
        mcq_psock_wake(s);
}

void mcq_psock_remove_far(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_psock_leave_far(s, p);
    p->up = false;
    p->ending = false;
    mcq_psock_relieved(s, p);
    mcq_node_unlink(&p->peers_node);
}

void mcq_psock_drop(struct mcq_psock *s, struct mcq_pipe *p, enum mcq_reason reason, uint64_t cnt)
{
    if (reason == MCQ_REASON_HWM || reason == MCQ_REASON_SLOW)
        s->stats->drops_hwm += cnt;
    else if (reason == MCQ_REASON_CONFLATED)
        s->stats->conflated += cnt;
    else if (reason == MCQ_REASON_NO_PEER)
        s->stats->drops_no_peer += cnt;
    else
        s->stats->drops_pattern += cnt;
    if (p != NULL && reason != MCQ_REASON_NO_PEER && reason != MCQ_REASON_PATTERN)
        p->dropped += cnt;
    s->up->dropped(s->up_ctx, p, reason, cnt);
}

enum mcq_error mcq_psock_again(struct mcq_psock *s)
{
    s->stats->again++;
    s->sender_waits = true;
    return MCQ_EAGAIN;
}

void mcq_psock_wake(struct mcq_psock *s)
{
    if (!s->sender_waits)
        return;
    s->sender_waits = false;
    s->up->writable(s->up_ctx);
}

bool mcq_psock_keeps(const struct mcq_psock *s, const struct mcq_pipe *p)
{
    return p->connecting && !s->opts->immediate && !s->pattern->forgets;
}

void mcq_psock_probe(struct mcq_psock *s, struct mcq_pipe *p)
{
    if (s->opts->probe && !p->arriving && !mcq_pipe_probe(p))
        mcq_psock_drop(s, p, MCQ_REASON_HWM, 1);
}

/* --- slow peers ---------------------------------------------------------------------------- */

void mcq_psock_refused(struct mcq_psock *s, struct mcq_pipe *p)
{
    if (p->slow || !p->at_mark || !p->up)
        return;
    p->slow = true;
    p->slow_cnt++;
    s->stats->slow_enters++;
    s->up->slow(s->up_ctx, p, true);
}

void mcq_psock_relieved(struct mcq_psock *s, struct mcq_pipe *p)
{
    if (!p->slow)
        return;
    p->slow = false;
    s->stats->slow_leaves++;
    s->up->slow(s->up_ctx, p, false);
}

void mcq_psock_end(struct mcq_psock *s, struct mcq_pipe *p, enum mcq_reason reason)
{
    if (!p->up || p->ending)
        return;
    p->ending = true;
    mcq_registry_remove(p);
    s->up->close_pipe(s->up_ctx, p, reason);
}

void mcq_psock_conflate(struct mcq_psock *s, struct mcq_pipe *p)
{
    uint64_t cnt = mcq_pipe_drop_old(p, SIZE_MAX);
    if (cnt != 0)
        mcq_psock_drop(s, p, MCQ_REASON_CONFLATED, cnt);
}

void mcq_psock_shed(struct mcq_psock *s, struct mcq_pipe *p, size_t need)
{
    uint64_t cnt = mcq_pipe_drop_old(p, need);
    if (cnt == 0)
        return;
    s->stats->drops_old += cnt;
    p->dropped += cnt;
    s->up->dropped(s->up_ctx, p, MCQ_REASON_HWM, cnt);
}

static enum mcq_error drop_new(struct mcq_psock *s, struct mcq_pipe *p, enum mcq_reason reason)
{
    mcq_psock_drop(s, p, reason, 1);
    return MCQ_OK;
}

static enum mcq_error put_newest(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_slice prefix,
                                 const struct mcq_msg *m, uint32_t first)
{
    mcq_psock_shed(s, p, p->at_mark ? mcq_pipe_need(prefix, m, first) : SIZE_MAX);
    enum mcq_error err = mcq_pipe_put(p, prefix, m, first);
    return err != MCQ_EAGAIN ? err : drop_new(s, p, MCQ_REASON_HWM);
}

static enum mcq_error put_conflated(struct mcq_psock *s, struct mcq_pipe *p,
                                    struct mcq_slice prefix, const struct mcq_msg *m,
                                    uint32_t first)
{
    mcq_psock_conflate(s, p);
    enum mcq_error err = mcq_pipe_put(p, prefix, m, first);
    return err != MCQ_EAGAIN ? err : drop_new(s, p, MCQ_REASON_HWM);
}

static enum mcq_error put_and_end(struct mcq_psock *s, struct mcq_pipe *p)
{
    if (!p->up || !p->at_mark || p->member)
        return drop_new(s, p, MCQ_REASON_HWM);
    s->stats->slow_disconnects += p->ending ? 0 : 1;
    mcq_psock_end(s, p, MCQ_REASON_SLOW);
    return drop_new(s, p, MCQ_REASON_SLOW);
}

static enum mcq_error put_full(struct mcq_psock *s, struct mcq_pipe *p, enum mcq_slow slow,
                               struct mcq_slice prefix, const struct mcq_msg *m, uint32_t first)
{
    mcq_psock_refused(s, p);
    switch (slow) {
    case MCQ_SLOW_DEFAULT:
    case MCQ_SLOW_BLOCK:
        break;
    case MCQ_SLOW_DROP_NEW:
        return drop_new(s, p, MCQ_REASON_HWM);
    case MCQ_SLOW_DROP_OLD:
        return put_newest(s, p, prefix, m, first);
    case MCQ_SLOW_CONFLATE:
        return put_conflated(s, p, prefix, m, first);
    case MCQ_SLOW_DISCONNECT:
        return put_and_end(s, p);
    }
    return mcq_psock_again(s);
}

enum mcq_error mcq_psock_put(struct mcq_psock *s, struct mcq_pipe *p, enum mcq_slow slow,
                             struct mcq_slice prefix, const struct mcq_msg *m, uint32_t first)
{
    enum mcq_error err = mcq_pipe_put(p, prefix, m, first);
    return MCQ_LIKELY(err != MCQ_EAGAIN) ? err : put_full(s, p, slow, prefix, m, first);
}

enum mcq_error mcq_psock_put_to(struct mcq_psock *s, struct mcq_pipe *to, const struct mcq_msg *m)
{
    enum mcq_error err = mcq_pipe_put(to, MCQ_PSOCK_NO_PREFIX, m, 0);
    if (MCQ_LIKELY(err != MCQ_EAGAIN))
        return err;
    return put_full(s, to, s->opts->slow_to, MCQ_PSOCK_NO_PREFIX, m, 0);
}

size_t mcq_psock_deliver(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_msg *msgs, size_t n)
{
    return s->up->deliver(s->up_ctx, p, msgs, n);
}

size_t mcq_psock_discard(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_msg *msgs, size_t n)
{
    (void)msgs;
    mcq_psock_drop(s, p, MCQ_REASON_PATTERN, n);
    return n;
}

enum mcq_error mcq_psock_send_refused(struct mcq_psock *s, struct mcq_pipe *to,
                                      const struct mcq_msg *m)
{
    (void)s;
    (void)to;
    (void)m;
    return MCQ_ENOTSUP;
}

void mcq_psock_writable(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_psock_relieved(s, p);
    mcq_psock_wake(s);
}
