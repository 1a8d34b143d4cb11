#include <criterion/criterion.h>
#include <string.h>

#include "rig.h"

static struct rig *rig_of(struct mcq_psock_opts opts)
{
    opts.slow = opts.slow == MCQ_SLOW_DEFAULT ? MCQ_SLOW_DROP_NEW : opts.slow;
    return rig_new_opts(MCQ_XSUB, NULL, &opts);
}

static enum mcq_error change(struct rig *r, bool add, const char *topic)
{
    return r->s.pattern->subscribe(&r->s, add, rig_slice(topic));
}

/* The next thing the publisher is told: "+topic", "-topic", "" for nothing. */
static const char *told(struct rig_peer *p)
{
    static char text[64];
    struct mcq_control c;
    memset(text, 0, sizeof text);
    if (!p->rig->s.pattern->control(&p->rig->s, &p->pipe, &c))
        return text;
    p->pipe.control_seq = c.seq;
    text[0] = c.add ? '+' : '-';
    memcpy(text + 1, c.topic.ptr, c.topic.len);
    return text;
}

Test(xsub, delivers_whatever_comes)
{
    struct rig *r = rig_of((struct mcq_psock_opts){0});
    struct rig_peer *p = rig_peer_up(r, NULL);
    rig_input(p, "unasked for");
    cr_assert_str_eq(r->last, "unasked for");
    cr_assert_eq(change(r, true, "a"), MCQ_OK);
    rig_input(p, "b|c");
    cr_assert_str_eq(r->last, "b|c");
    cr_assert_eq(r->stats.drops_filter, 0);
    rig_free(r);
}

Test(xsub, subscribes_as_a_sub_does_and_again_after_a_reconnect)
{
    struct rig *r = rig_of((struct mcq_psock_opts){0});
    struct rig_peer *p = rig_peer_new(r, true, MCQ_UNLIMITED);
    cr_assert_eq(change(r, true, "a"), MCQ_OK);
    cr_assert_eq(change(r, true, "a"), MCQ_OK);
    cr_assert_eq(change(r, true, "b"), MCQ_OK);
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    cr_assert_str_eq(told(p), "+a");
    cr_assert_str_eq(told(p), "+b");
    cr_assert_str_eq(told(p), "");
    rig_detach(p);
    cr_assert_eq(change(r, false, "b"), MCQ_OK);
    cr_assert_eq(change(r, false, "a"), MCQ_OK, "counted: one is left");
    cr_assert_eq(change(r, true, "c"), MCQ_OK);
    cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
    cr_assert_str_eq(told(p), "+a");
    cr_assert_str_eq(told(p), "+c");
    cr_assert_str_eq(told(p), "");
    cr_assert_eq(change(r, false, "a"), MCQ_OK);
    cr_assert_str_eq(told(p), "-a");
    cr_assert_eq(change(r, false, "a"), MCQ_ENOENT);
    rig_free(r);
}

/* Connects of ours queue before they are up, as everywhere; but not with `immediate`. */
Test(xsub, sends_upstream_to_every_publisher)
{
    for (int immediate = 0; immediate < 2; immediate++) {
        struct rig *r = rig_of((struct mcq_psock_opts){.immediate = immediate != 0});
        struct rig_peer *a = rig_peer_up(r, NULL);
        struct rig_peer *b = rig_peer_up(r, NULL);
        struct rig_peer *pending = rig_peer_new(r, true, MCQ_UNLIMITED);
        cr_assert_eq(rig_send(r, NULL, "up|stream"), MCQ_OK);
        cr_assert_str_eq(rig_got(a), "up|stream");
        cr_assert_str_eq(rig_got(b), "up|stream");
        cr_assert_eq(rig_drain(pending), immediate ? 0 : 1);
        rig_detach(b);
        cr_assert_eq(rig_send(r, NULL, "more"), MCQ_OK);
        cr_assert_str_eq(rig_got(a), "more");
        cr_assert_null(rig_got(b), "an accepted one takes nothing once it is gone");
        cr_assert_eq(rig_send(r, a, "x"), MCQ_ENOTSUP);
        rig_free(r);
    }
}

Test(xsub, nobody_there_is_no_error)
{
    struct rig *r = rig_of((struct mcq_psock_opts){.slow = MCQ_SLOW_BLOCK});
    cr_assert_eq(rig_send(r, NULL, "x"), MCQ_OK);
    rig_free(r);
}

/* A publisher would take it for a subscription. */
Test(xsub, what_looks_like_a_subscription_is_refused)
{
    struct rig *r = rig_of((struct mcq_psock_opts){0});
    struct rig_peer *p = rig_peer_up(r, NULL);
    static const struct {
        const char *bytes;
        size_t len;
        enum mcq_error err;
    } cases[] = {{"\x01"
                  "a",
                  2, MCQ_EINVAL},
                 {"\x00"
                  "a",
                  2, MCQ_EINVAL},
                 {"\x01", 1, MCQ_EINVAL},
                 {"\x02", 1, MCQ_OK},
                 {"", 0, MCQ_OK},
                 {"a\x01", 2, MCQ_OK}};
    size_t sent = 0;
    for (size_t i = 0; i < MCQ_CNT_OF(cases); i++) {
        struct mcq_msg m = mcq_msg_of(cases[i].bytes, cases[i].len);
        cr_assert_eq(r->s.pattern->send(&r->s, NULL, &m), cases[i].err, "case %zu", i);
        sent += cases[i].err == MCQ_OK;
    }
    struct mcq_frame frames[] = {{"\x01", 1}, {"b", 1}};
    struct mcq_msg m = mcq_msg_of_frames(frames, 2);
    cr_assert_eq(r->s.pattern->send(&r->s, NULL, &m), MCQ_EINVAL);
    cr_assert_eq(rig_drain(p), sent);
    rig_free(r);
}

Test(xsub, a_full_publisher_misses_the_message)
{
    struct rig *r = rig_of((struct mcq_psock_opts){0});
    struct rig_peer *full = rig_peer_new(r, false, 1);
    struct rig_peer *other = rig_peer_up(r, NULL);
    cr_assert_eq(rig_attach(full, NULL), MCQ_REASON_NONE);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(rig_send(r, NULL, "m"), MCQ_OK);
    cr_assert_eq(rig_drain(full), 1);
    cr_assert_eq(rig_drain(other), 3);
    cr_assert_eq(r->stats.drops_hwm, 2);
    rig_free(r);
}

Test(xsub, block_gives_to_all_or_to_nobody)
{
    struct rig *r = rig_of((struct mcq_psock_opts){.slow = MCQ_SLOW_BLOCK});
    struct rig_peer *other = rig_peer_up(r, NULL);
    struct rig_peer *full = rig_peer_new(r, true, 1);
    struct rig_peer *last = rig_peer_up(r, NULL);
    cr_assert_eq(rig_send(r, NULL, "1"), MCQ_OK, "one that isn't up takes it too");
    cr_assert_eq(rig_send(r, NULL, "2"), MCQ_EAGAIN);
    cr_assert_eq(rig_drain(other), 1);
    cr_assert_eq(rig_drain(last), 1);
    uint32_t writable = r->writable_cnt;
    cr_assert_eq(rig_drain(full), 1);
    cr_assert_eq(r->writable_cnt, writable + 1);
    cr_assert_eq(rig_send(r, NULL, "3"), MCQ_OK);
    cr_assert_eq(rig_send(r, NULL, "4"), MCQ_EAGAIN);
    rig_peer_free(full);
    cr_assert_eq(r->writable_cnt, writable + 2, "or when it goes");
    cr_assert_eq(rig_send(r, NULL, "4"), MCQ_OK);
    rig_free(r);
}

/* What it has is still sent; nothing more comes, and nobody waits for it. */
Test(xsub, a_publisher_that_is_left_gets_nothing_more)
{
    struct rig *r = rig_of((struct mcq_psock_opts){.slow = MCQ_SLOW_BLOCK});
    struct rig_peer *stays = rig_peer_up(r, NULL);
    struct rig_peer *left = rig_peer_new(r, true, 1);
    cr_assert_eq(rig_send(r, NULL, "2"), MCQ_OK);
    cr_assert_eq(rig_send(r, NULL, "3"), MCQ_EAGAIN);
    uint32_t writable = r->writable_cnt;
    left->pipe.leaving = true;
    r->s.pattern->retire(&r->s, &left->pipe);
    cr_assert_eq(r->writable_cnt, writable + 1);
    cr_assert_eq(rig_send(r, NULL, "4"), MCQ_OK);
    cr_assert_eq(rig_attach(left, NULL), MCQ_REASON_NONE);
    cr_assert_str_eq(rig_got(left), "2");
    cr_assert_eq(rig_send(r, NULL, "5"), MCQ_OK);
    cr_assert_null(rig_got(left));
    cr_assert_str_eq(rig_got(stays), "2");
    cr_assert_str_eq(rig_got(stays), "4");
    cr_assert_str_eq(rig_got(stays), "5");
    rig_free(r);
}

static uint32_t freed;

static void count_free(void *data, size_t len, void *hint)
{
    (void)data;
    (void)len;
    (void)hint;
    freed++;
}

Test(xsub, a_large_body_is_shared_by_all)
{
    static char body[100000];
    struct rig *r = rig_of((struct mcq_psock_opts){0});
    struct rig_peer *a = rig_peer_up(r, NULL);
    struct rig_peer *b = rig_peer_up(r, NULL);
    struct mcq_msg m;
    memset(body, 'x', sizeof body);
    cr_assert_eq(mcq_buf_msg_external(r->heap, body, sizeof body, count_free, NULL, &m), MCQ_OK);
    cr_assert_eq(r->s.pattern->send(&r->s, NULL, &m), MCQ_OK);
    mcq_buf_msg_drop(r->heap, &m);
    cr_assert_eq(rig_drain(a), 1);
    cr_assert_eq(freed, 0);
    cr_assert_eq(rig_drain(b), 1);
    cr_assert_eq(freed, 1);
    rig_free(r);
}
