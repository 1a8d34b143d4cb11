#include "patterns/balance.h"

#include "patterns/psock.h"

static void ring_init(struct mcq_balance_ring *r)
{
    mcq_list_init(&r->list);
    mcq_list_init(&r->full);
    r->current = NULL;
}

void mcq_balance_init(struct mcq_balance *b)
{
    ring_init(&b->up);
    ring_init(&b->far);
    ring_init(&b->pending);
    b->active = &b->pending;
}

/* Behind everybody who waits for a turn. */
static void ring_add(struct mcq_balance_ring *r, struct mcq_pipe *p)
{
    struct mcq_node *before = r->current != NULL ? &r->current->balance_node : &r->list.head;
    mcq_list_insert_before(before, &p->balance_node);
    if (r->current == NULL)
        r->current = p;
}

static void ring_remove(struct mcq_balance_ring *r, struct mcq_pipe *p)
{
    if (!mcq_node_linked(&p->balance_node))
        return;
    p->full = false;
    if (r->current == p) {
        struct mcq_node *n = mcq_list_next(&r->list, &p->balance_node);
        if (n == NULL)
            n = mcq_list_first(&r->list);
        r->current = MCQ_CONTAINER_OF(n, struct mcq_pipe, balance_node);
        if (r->current == p)
            r->current = NULL;
    }
    mcq_node_unlink(&p->balance_node);
}

/* In no turn until it has room. */
static void ring_retire(struct mcq_balance_ring *r, struct mcq_pipe *p)
{
    ring_remove(r, p);
    mcq_list_push_back(&r->full, &p->balance_node);
    p->full = true;
}

static struct mcq_balance_ring *ring_of(struct mcq_balance *b, const struct mcq_pipe *p)
{
    if (p->member)
        return &b->far;
    return p->up ? &b->up : &b->pending;
}

/* Without a choice there is no turn to keep. */
static struct mcq_pipe *solo_of(const struct mcq_psock *s, const struct mcq_balance_ring *r)
{
    const struct mcq_node *head = &r->list.head;
    bool alone = r->current != NULL && head->next == head->prev;
    return alone && s->pattern->pick != NULL ? r->current : NULL;
}

static bool ring_empty(const struct mcq_balance_ring *r)
{
    return r->current == NULL && mcq_list_empty(&r->full);
}

/* After any change: the right ring is active, and a sender hears of room. */
static void settle(struct mcq_psock *s)
{
    struct mcq_balance *b = &s->balance;
    b->active = ring_empty(&b->far) ? &b->pending : &b->far;
    if (s->peers_up != 0)
        b->active = &b->up;
    s->solo = solo_of(s, b->active);
    if (b->active->current != NULL)
        mcq_psock_wake(s);
}

void mcq_balance_add(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_psock_add(s, p);
    if (mcq_psock_keeps(s, p))
        ring_add(&s->balance.pending, p);
    settle(s);
}

enum mcq_reason mcq_balance_attach(struct mcq_psock *s, struct mcq_pipe *p)
{
    ring_remove(&s->balance.pending, p);
    mcq_psock_attach(s, p);
    mcq_psock_probe(s, p);
    if (!p->leaving)
        ring_add(&s->balance.up, p);
    settle(s);
    return MCQ_REASON_NONE;
}

void mcq_balance_detach(struct mcq_psock *s, struct mcq_pipe *p)
{
    if (!p->up)
        return;
    ring_remove(&s->balance.up, p);
    mcq_psock_detach(s, p);
    if (mcq_psock_keeps(s, p) && !p->leaving)
        ring_add(&s->balance.pending, p);
    settle(s);
}

void mcq_balance_remove(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_balance_detach(s, p);
    ring_remove(&s->balance.pending, p);
    mcq_psock_remove(s, p);
    settle(s);
}

void mcq_balance_writable(struct mcq_psock *s, struct mcq_pipe *p)
{
    struct mcq_balance_ring *r = ring_of(&s->balance, p);
    mcq_psock_relieved(s, p);
    if (p->full && !p->ending) {
        ring_remove(r, p);
        ring_add(r, p);
    }
    settle(s);
}

void mcq_balance_retire(struct mcq_psock *s, struct mcq_pipe *p)
{
    ring_remove(ring_of(&s->balance, p), p);
    settle(s);
}

void mcq_balance_member(struct mcq_psock *s, struct mcq_pipe *p, bool on)
{
    struct mcq_balance_ring *r = &s->balance.far;
    bool is_on = mcq_node_linked(&p->balance_node);
    if (on && !is_on)
        ring_add(r, p);
    else if (!on)
        ring_remove(r, p);
    settle(s);
}

void mcq_balance_stay(struct mcq_psock *s, struct mcq_pipe *p)
{
    if (!mcq_node_linked(&p->balance_node) && !p->ending)
        ring_add(ring_of(&s->balance, p), p);
    settle(s);
}

void mcq_balance_end(struct mcq_psock *s, struct mcq_pipe *p, enum mcq_reason reason)
{
    if (!p->up)
        return;
    mcq_balance_retire(s, p);
    mcq_psock_end(s, p, reason);
}

/* p took nothing: it leaves the ring until it has room. An empty pipe can't be full: memory is
 * short, for everybody. Returns whether another pipe is worth a try. */
static bool skip(struct mcq_psock *s, struct mcq_pipe *p)
{
    struct mcq_balance_ring *r = s->balance.active;
    if (mcq_pipe_empty(p))
        return false;
    mcq_psock_refused(s, p);
    ring_retire(r, p);
    s->solo = solo_of(s, r);
    return r->current != NULL;
}

/* Nobody has room: whom `slow` applies to. NULL: there is nobody. */
static struct mcq_pipe *longest_full(const struct mcq_psock *s)
{
    const struct mcq_balance_ring *r = s->balance.active;
    struct mcq_node *n = mcq_list_first(&r->full);
    return n != NULL ? MCQ_CONTAINER_OF(n, struct mcq_pipe, balance_node) : r->current;
}

static enum mcq_error room_for(struct mcq_pipe *p, size_t len)
{
    if (len <= MCQ_PIPE_SHARE_MIN)
        return mcq_pipe_room(p, mcq_frame_head_len(len) + len);
    return mcq_pipe_has_room(p, len) ? MCQ_OK : MCQ_EAGAIN;
}

/* Nobody has room for a message of len bytes that isn't there yet. */
static struct mcq_pipe *make_room(struct mcq_psock *s, size_t len, enum mcq_error *err)
{
    struct mcq_pipe *p = longest_full(s);
    if (p != NULL && s->opts->slow == MCQ_SLOW_DROP_OLD)
        mcq_psock_shed(s, p, mcq_frame_head_len(len) + len);
    else if (p != NULL && s->opts->slow == MCQ_SLOW_CONFLATE)
        mcq_psock_conflate(s, p);
    else
        p = NULL;
    *err = p != NULL ? room_for(p, len) : MCQ_EAGAIN;
    if (*err == MCQ_OK)
        return p;
    if (*err == MCQ_EAGAIN && s->opts->slow == MCQ_SLOW_BLOCK)
        *err = mcq_psock_again(s);
    return NULL;
}

struct mcq_pipe *mcq_balance_search(struct mcq_psock *s, size_t len, enum mcq_error *err)
{
    struct mcq_balance *b = &s->balance;
    while (b->active->current != NULL) {
        struct mcq_pipe *p = b->active->current;
        *err = room_for(p, len);
        if (*err == MCQ_OK)
            return p;
        if (*err != MCQ_EAGAIN)
            return NULL;
        if (!skip(s, p))
            break;
    }
    return make_room(s, len, err);
}

static enum mcq_error put_full(struct mcq_psock *s, struct mcq_slice prefix,
                               const struct mcq_msg *m, struct mcq_pipe **to)
{
    *to = longest_full(s);
    if (*to == NULL || s->opts->slow == MCQ_SLOW_BLOCK)
        return mcq_psock_again(s);
    return mcq_psock_put(s, *to, s->opts->slow, prefix, m, 0);
}

enum mcq_error mcq_balance_put(struct mcq_psock *s, struct mcq_slice prefix,
                               const struct mcq_msg *m, struct mcq_pipe **to)
{
    struct mcq_balance *b = &s->balance;
    while (b->active->current != NULL) {
        struct mcq_pipe *p = b->active->current;
        enum mcq_error err = mcq_pipe_put(p, prefix, m, 0);
        *to = p;
        if (err != MCQ_EAGAIN)
            return err;
        if (!skip(s, p))
            break;
    }
    return put_full(s, prefix, m, to);
}

enum mcq_error mcq_balance_send(struct mcq_psock *s, struct mcq_pipe *to, const struct mcq_msg *m)
{
    if (to != NULL)
        return mcq_psock_put_to(s, to, m);
    enum mcq_error err = mcq_balance_put(s, MCQ_PSOCK_NO_PREFIX, m, &to);
    if (err == MCQ_OK)
        mcq_balance_advance(&s->balance, to);
    return err;
}

bool mcq_balance_has_peers(const struct mcq_psock *s)
{
    return s->balance.active != &s->balance.pending;
}

static size_t share_out(struct mcq_psock *s, bool own, struct mcq_msg *msgs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct mcq_pipe *to = NULL;
        bool any = own ? s->peers_up != 0 : mcq_balance_has_peers(s);
        enum mcq_error err =
            any ? mcq_balance_put(s, MCQ_PSOCK_NO_PREFIX, &msgs[i], &to) : mcq_psock_again(s);
        if (err == MCQ_EAGAIN)
            return i;
        if (err == MCQ_OK)
            mcq_balance_advance(&s->balance, to);
        else /* more than any queue has room for */
            mcq_psock_drop(s, NULL, MCQ_REASON_HWM, 1);
    }
    return n;
}

size_t mcq_balance_relay(struct mcq_psock *s, struct mcq_msg *msgs, size_t n)
{
    return share_out(s, true, msgs, n);
}

size_t mcq_balance_resend(struct mcq_psock *s, struct mcq_msg *msgs, size_t n)
{
    return share_out(s, false, msgs, n);
}

struct mcq_pipe *mcq_balance_pick_slot(struct mcq_psock *s, size_t len, enum mcq_error *err)
{
    return mcq_balance_pick(s, &s->balance, len, err);
}

void mcq_balance_chosen(struct mcq_psock *s, struct mcq_pipe *p)
{
    mcq_balance_advance(&s->balance, p);
}
