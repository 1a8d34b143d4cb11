#include "shards/mailbox.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ARENA_LEN ((size_t)1 << 20)

static struct mcq_arena arena;
static int fd;

static struct mcq_mailbox *mailbox_new(void)
{
    cr_assert_eq(mcq_arena_init(&arena, ARENA_LEN, MCQ_NODE_ANY, NULL), MCQ_OK);
    fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    cr_assert_geq(fd, 0);
    struct mcq_mailbox *m = mcq_mailbox_init(&arena, fd);
    cr_assert_not_null(m);
    return m;
}

static void mailbox_end(void)
{
    close(fd);
    mcq_arena_fini(&arena);
}

static uint64_t wakes_read(void)
{
    uint64_t n = 0;
    return read(fd, &n, sizeof(n)) == (ssize_t)sizeof(n) ? n : 0;
}

/* What ran, in order. */
static uintptr_t ran[4 * MCQ_MAILBOX_MAX];
static size_t ran_cnt;
static struct mcq_shard *ran_on;

static void note(struct mcq_shard *shard, void *arg)
{
    ran_on = shard;
    ran[ran_cnt++] = (uintptr_t)arg;
}

static void post_n(struct mcq_mailbox *m, uintptr_t first, size_t n)
{
    for (uintptr_t i = first; i < first + n; i++)
        cr_assert_eq(mcq_mailbox_post(m, note, (void *)i), MCQ_OK);
}

Test(mailbox, runs_in_order_with_shard_and_argument)
{
    struct mcq_mailbox *m = mailbox_new();
    struct mcq_shard *shard = (struct mcq_shard *)(void *)&arena;
    cr_assert(mcq_mailbox_empty(m));
    cr_assert_eq(mcq_mailbox_run(m, shard), 0);
    post_n(m, 1, 3);
    cr_assert_not(mcq_mailbox_empty(m));
    cr_assert_eq(mcq_mailbox_run(m, shard), 3);
    cr_assert_eq(ran_cnt, 3);
    cr_assert_eq(ran[0], 1);
    cr_assert_eq(ran[2], 3);
    cr_assert_eq(ran_on, shard);
    cr_assert(mcq_mailbox_empty(m));
    cr_assert_eq(mcq_mailbox_posts(m), 3);
    mailbox_end();
}

Test(mailbox, fits_its_footprint)
{
    struct mcq_arena a;
    cr_assert_eq(mcq_arena_init(&a, ARENA_LEN, MCQ_NODE_ANY, NULL), MCQ_OK);
    cr_assert_not_null(mcq_arena_carve(&a, ARENA_LEN - mcq_mailbox_footprint() - 1, 1));
    struct mcq_mailbox *m = mcq_mailbox_init(&a, -1);
    cr_assert_not_null(m, "an odd offset and the footprint are enough");
    cr_assert_eq((uintptr_t)m % MCQ_CACHE_LINE, 0);
    cr_assert_null(mcq_mailbox_init(&a, -1), "nothing is left for another one");
    cr_assert_eq(mcq_mailbox_post(m, note, NULL), MCQ_OK);
    mcq_arena_fini(&a);
}

Test(mailbox, full_is_told_and_counted_and_ends)
{
    struct mcq_mailbox *m = mailbox_new();
    post_n(m, 0, MCQ_MAILBOX_MAX);
    cr_assert_eq(mcq_mailbox_post(m, note, NULL), MCQ_EAGAIN);
    cr_assert_eq(mcq_mailbox_post(m, note, NULL), MCQ_EAGAIN);
    cr_assert_eq(mcq_mailbox_full(m), 2);
    cr_assert_eq(mcq_mailbox_posts(m), MCQ_MAILBOX_MAX);
    cr_assert_eq(mcq_mailbox_run(m, NULL), MCQ_MAILBOX_PER_TURN_MAX);
    post_n(m, MCQ_MAILBOX_MAX, MCQ_MAILBOX_PER_TURN_MAX);
    cr_assert_eq(mcq_mailbox_post(m, note, NULL), MCQ_EAGAIN);
    while (mcq_mailbox_run(m, NULL) != 0)
        ;
    cr_assert_eq(ran_cnt, MCQ_MAILBOX_MAX + MCQ_MAILBOX_PER_TURN_MAX);
    for (size_t i = 0; i < ran_cnt; i++)
        cr_assert_eq(ran[i], i);
    mailbox_end();
}

/* Many rounds through the ring, at every fill from 1 to more than a turn takes. */
Test(mailbox, wraps_at_every_offset)
{
    struct mcq_mailbox *m = mailbox_new();
    uintptr_t next = 0;
    for (size_t fill = 1; fill < 300; fill++) {
        ran_cnt = 0;
        post_n(m, next, fill);
        while (!mcq_mailbox_empty(m))
            cr_assert_gt(mcq_mailbox_run(m, NULL), 0);
        cr_assert_eq(ran_cnt, fill);
        for (size_t i = 0; i < fill; i++)
            cr_assert_eq(ran[i], next + i);
        next += fill;
    }
    mailbox_end();
}

static struct mcq_mailbox *self;

static void post_again(struct mcq_shard *shard, void *arg)
{
    (void)shard;
    ran_cnt++;
    cr_assert_eq(mcq_mailbox_post(self, post_again, arg), MCQ_OK);
}

/* A post that posts itself doesn't keep the turn; and has room even in a full mailbox. */
Test(mailbox, posts_of_posts_are_bounded_per_turn)
{
    self = mailbox_new();
    for (size_t i = 0; i < MCQ_MAILBOX_MAX; i++)
        cr_assert_eq(mcq_mailbox_post(self, post_again, NULL), MCQ_OK);
    cr_assert_eq(mcq_mailbox_run(self, NULL), MCQ_MAILBOX_PER_TURN_MAX);
    cr_assert_eq(ran_cnt, MCQ_MAILBOX_PER_TURN_MAX);
    cr_assert_eq(mcq_mailbox_full(self), 0);
    mailbox_end();
}

/* --- sleep and wake ------------------------------------------------------------------------ */

Test(mailbox, nobody_is_woken_who_is_awake)
{
    struct mcq_mailbox *m = mailbox_new();
    post_n(m, 0, 10);
    cr_assert_eq(wakes_read(), 0);
    cr_assert_eq(mcq_mailbox_wakes(m), 0);
    mailbox_end();
}

Test(mailbox, a_sleeper_is_woken_once)
{
    struct mcq_mailbox *m = mailbox_new();
    cr_assert(mcq_mailbox_sleep(m, true));
    post_n(m, 0, 10);
    cr_assert_eq(wakes_read(), 1, "one write for ten posts");
    cr_assert_eq(mcq_mailbox_wakes(m), 1);
    (void)mcq_mailbox_sleep(m, false);
    post_n(m, 0, 1);
    cr_assert_eq(wakes_read(), 0);
    mailbox_end();
}

Test(mailbox, nobody_sleeps_over_work)
{
    struct mcq_mailbox *m = mailbox_new();
    post_n(m, 0, 1);
    cr_assert_not(mcq_mailbox_sleep(m, true));
    post_n(m, 0, 1);
    cr_assert_eq(wakes_read(), 0, "the announcement was taken back");
    cr_assert_eq(mcq_mailbox_run(m, NULL), 2);
    cr_assert(mcq_mailbox_sleep(m, true));
    mailbox_end();
}

Test(mailbox, awake_by_itself_no_write)
{
    struct mcq_mailbox *m = mailbox_new();
    cr_assert(mcq_mailbox_sleep(m, true));
    (void)mcq_mailbox_sleep(m, false);
    post_n(m, 0, 1);
    mcq_mailbox_stop(m);
    cr_assert_eq(mcq_mailbox_wakes(m), 0);
    cr_assert_eq(wakes_read(), 0);
    mailbox_end();
}

/* --- stop ---------------------------------------------------------------------------------- */

Test(mailbox, stop_wakes)
{
    struct mcq_mailbox *m = mailbox_new();
    cr_assert_not(mcq_mailbox_stopped(m));
    cr_assert(mcq_mailbox_sleep(m, true));
    mcq_mailbox_stop(m);
    cr_assert(mcq_mailbox_stopped(m));
    cr_assert_eq(wakes_read(), 1);
    mailbox_end();
}

Test(mailbox, stop_is_seen_before_sleeping_and_lets_the_shard_linger)
{
    struct mcq_mailbox *m = mailbox_new();
    mcq_mailbox_stop(m);
    cr_assert_not(mcq_mailbox_sleep(m, true));
    cr_assert(mcq_mailbox_sleep(m, true), "lingering doesn't spin");
    (void)mcq_mailbox_sleep(m, false);
    mcq_mailbox_stop(m);
    cr_assert(mcq_mailbox_stopped(m));
    mailbox_end();
}

static void on_signal(int sig)
{
    (void)sig;
    mcq_mailbox_stop(self);
}

Test(mailbox, stop_from_a_signal_handler_keeps_errno)
{
    self = mailbox_new();
    struct sigaction action = {.sa_handler = on_signal};
    cr_assert_eq(sigaction(SIGUSR1, &action, NULL), 0);
    close(fd); /* the write fails */
    cr_assert(mcq_mailbox_sleep(self, true));
    errno = 4711;
    raise(SIGUSR1);
    cr_assert_eq(errno, 4711);
    cr_assert(mcq_mailbox_stopped(self));
    mcq_arena_fini(&arena);
}

Test(mailbox, a_full_eventfd_blocks_nobody)
{
    struct mcq_mailbox *m = mailbox_new();
    uint64_t most = UINT64_MAX - 1;
    cr_assert_eq(write(fd, &most, sizeof(most)), (ssize_t)sizeof(most));
    cr_assert(mcq_mailbox_sleep(m, true));
    post_n(m, 0, 1);
    struct pollfd p = {fd, POLLIN, 0};
    cr_assert_eq(poll(&p, 1, 0), 1);
    mailbox_end();
}
