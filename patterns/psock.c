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
}

enum mcq_reason mcq_psock_attach(struct mcq_psock *s, struct mcq_pipe *p)
{
    MCQ_DASSERT(!p->up);
    p->up = true;
    s->stats->peers_now++;
    if (p->identity_len != 0)
        mcq_registry_put(&s->shared->registry, p);
    if (++s->peers_up == 1) {
        s->sender_waits = true; /* sock.h: `writable` also after the first peer came up */
        mcq_psock_wake(s);
    }
    return MCQ_REASON_NONE;
}

void mcq_psock_detach(struct mcq_psock *s, struct mcq_pipe *p)
{
    if (!p->up)
        return;
    p->up = false;
    s->stats->peers_now--;
    s->peers_up--;
    mcq_registry_remove(p);
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

void mcq_psock_drop(struct mcq_psock *s, struct mcq_pipe *p, enum mcq_reason reason, uint64_t cnt)
{
    if (reason == MCQ_REASON_HWM)
        s->stats->drops_hwm += cnt;
    else if (reason == MCQ_REASON_NO_PEER)
        s->stats->drops_no_peer += cnt;
    else
        s->stats->drops_pattern += cnt;
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

enum mcq_error mcq_psock_put_to(struct mcq_psock *s, struct mcq_pipe *to, const struct mcq_msg *m)
{
    enum mcq_error err = mcq_pipe_put(to, MCQ_PSOCK_NO_PREFIX, m, 0);
    return err == MCQ_EAGAIN ? mcq_psock_again(s) : err;
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
    (void)p;
    mcq_psock_wake(s);
}
