/* A program that takes shard 0's turns in a loop of its own. */
#include <criterion/criterion.h>
#include <monocoque.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#define ROUNDS 300u

static struct {
    uint32_t refuses;
    uint32_t answers; /* shard 0's */
    uint32_t stops;
    struct mcq_timer *timer;
} s;

static struct mcq_opts two(void)
{
    struct mcq_opts opts = MCQ_OPTS_INIT;
    opts.shards = 2;
    opts.arena_bytes = 16 << 20;
    opts.large_bytes = 1 << 20;
    opts.idle = MCQ_IDLE_BLOCK;
    opts.no_mlock = true;
    return opts;
}

/* Nothing else wakes the shard until the answer comes, but for every third question. */
static void ask(void *ctx, struct mcq_timer *timer)
{
    (void)timer;
    cr_assert_eq(mcq_post_bytes(ctx, 1, 0, "ask", 3), MCQ_OK);
}

static void on_post(struct mcq_shard *shard, void *arg, uint32_t from, uint32_t kind,
                    const void *data, size_t len)
{
    (void)arg;
    (void)kind;
    if (mcq_shard_id(shard) == 1)
        cr_assert_eq(mcq_post_bytes(shard, from, 0, data, len), MCQ_OK);
    else if (++s.answers % 3 == 0)
        mcq_timer_arm(s.timer, mcq_shard_now(shard) + 1000000);
    else
        ask(shard, s.timer);
}

static int start(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    if (mcq_shard_id(shard) == 0) {
        cr_assert_eq(mcq_timer_open(shard, ask, shard, &s.timer), MCQ_OK);
        mcq_timer_arm(s.timer, mcq_shard_now(shard));
    }
    return mcq_shard_id(shard) == s.refuses ? 1 : 0;
}

static void on_stop(struct mcq_shard *shard, void *arg)
{
    (void)shard;
    (void)arg;
    __atomic_fetch_add(&s.stops, 1, __ATOMIC_RELAXED);
}

static struct mcq_embed *ended;
static struct mcq_port *held;

static const struct mcq_app app = {.start = start, .on_stop = on_stop, .on_post = on_post};

TestSuite(embed, .timeout = 60);

/* Both by timer and by the other shard's answer it must be told in time, and not without need: a
 * round takes a turn that is woken and one that finds nothing. */
static void sleep_and_wake(enum mcq_idle idle, enum mcq_ring_mode ring)
{
    struct mcq_opts opts = two();
    opts.idle = idle;
    opts.ring = ring;
    struct mcq_embed *e = NULL;
    struct mcq_detail d = {.text = ""};
    uint64_t wait_ns, turns = 0, late = 0;
    s.refuses = 2;
    cr_assert_eq(mcq_embed_open(&opts, &app, NULL, &e, &d), MCQ_OK, "%s", d.text);
    struct mcq_shard *shard = mcq_embed_shard(e);
    while (s.answers < ROUNDS && mcq_shard_poll(shard, &wait_ns)) {
        struct pollfd p = {.fd = mcq_shard_fd(shard), .events = POLLIN};
        uint64_t ms = wait_ns / 1000000 + (wait_ns % 1000000 != 0);
        turns++;
        if (wait_ns != 0)
            late += poll(&p, 1, ms > 5000 ? 5000 : (int)ms) == 0 && ms >= 5000;
    }
    cr_assert_eq(s.answers, ROUNDS);
    cr_assert_eq(late, 0, "a wake was lost");
    cr_assert_lt(turns, 6 * ROUNDS, "%u turns: it is woken without need", (unsigned)turns);
    mcq_timer_close(s.timer);
    while (mcq_shard_poll(shard, NULL)) /* nothing is left: it ends by itself */
        ;
    cr_assert_eq(mcq_embed_close(e, &d), MCQ_OK, "%s", d.text);
    cr_assert_eq(s.stops, 2);
}

Test(embed, it_sleeps_and_is_woken)
{
    sleep_and_wake(MCQ_IDLE_BLOCK, MCQ_RING_DEFER);
}

/* The program sleeps though the other shard never does. */
Test(embed, it_sleeps_beside_one_that_spins)
{
    sleep_and_wake(MCQ_IDLE_SPIN, MCQ_RING_DEFER);
}

/* The kernel's thread reads what wakes the shard, and the program isn't told of it until then. */
Test(embed, it_sleeps_and_is_woken_by_a_kernel_thread)
{
    sleep_and_wake(MCQ_IDLE_BLOCK, MCQ_RING_SQPOLL);
}

Test(embed, it_sleeps_with_a_kernel_thread_beside_one_that_spins)
{
    sleep_and_wake(MCQ_IDLE_SPIN, MCQ_RING_SQPOLL);
}

static void *open_late(void *arg)
{
    struct mcq_port *port = NULL;
    struct mcq_detail d;
    enum mcq_error *err = arg;
    *err = mcq_port_open(mcq_embed_shard(ended), 0, &port, &d);
    return NULL;
}

static void *wait_for_the_end(void *arg)
{
    enum mcq_error *err = arg;
    *err = mcq_port_wait(held, 30000000000u);
    return NULL;
}

static void *open_first(void *arg)
{
    struct mcq_detail d;
    enum mcq_error *err = arg;
    *err = mcq_port_open(mcq_embed_shard(ended), 0, &held, &d);
    return NULL;
}

static enum mcq_error on_thread(void *(*fn)(void *))
{
    pthread_t thread;
    enum mcq_error err = MCQ_OK;
    cr_assert_eq(pthread_create(&thread, NULL, fn, &err), 0);
    pthread_join(thread, NULL);
    return err;
}

/* A thread may be joined between the last poll and close: its port has been told by then. */
Test(embed, ports_are_told_when_the_last_turn_is_taken)
{
    struct mcq_opts opts = two();
    struct mcq_detail d = {.text = ""};
    s.refuses = 2;
    cr_assert_eq(mcq_embed_open(&opts, &app, NULL, &ended, &d), MCQ_OK, "%s", d.text);
    cr_assert_eq(on_thread(open_first), MCQ_OK);
    mcq_stop(mcq_embed_shard(ended));
    while (mcq_shard_poll(mcq_embed_shard(ended), NULL))
        ;
    cr_assert_eq(on_thread(wait_for_the_end), MCQ_ESTALE);
    cr_assert_eq(on_thread(open_late), MCQ_ESTALE);
    cr_assert_eq(mcq_embed_close(ended, &d), MCQ_OK, "%s", d.text);
    mcq_port_close(held);
}

/* A thread that comes after the end is told so, though nobody has stopped the app. */
Test(embed, with_nothing_open_it_ends_before_a_port_is)
{
    static const struct mcq_app bare = {.start = NULL};
    struct mcq_opts opts = two();
    struct mcq_detail d = {.text = ""};
    cr_assert_eq(mcq_embed_open(&opts, &bare, NULL, &ended, &d), MCQ_OK, "%s", d.text);
    while (mcq_shard_poll(mcq_embed_shard(ended), NULL))
        ;
    cr_assert_eq(on_thread(open_late), MCQ_ESTALE);
    cr_assert(!mcq_shard_poll(mcq_embed_shard(ended), NULL));
    cr_assert_eq(mcq_embed_close(ended, &d), MCQ_OK, "%s", d.text);
}

Test(embed, closing_ends_it)
{
    struct mcq_opts opts = two();
    struct mcq_embed *e = NULL;
    struct mcq_detail d = {.text = ""};
    s.refuses = 2;
    for (unsigned i = 1; i <= 3; i++) {
        s.answers = 0;
        cr_assert_eq(mcq_embed_open(&opts, &app, NULL, &e, &d), MCQ_OK, "%s", d.text);
        struct mcq_embed *second = NULL;
        cr_assert_eq(mcq_embed_open(&opts, &app, NULL, &second, NULL), MCQ_ETHREAD);
        cr_assert(mcq_shard_poll(mcq_embed_shard(e), NULL));
        cr_assert_eq(mcq_embed_close(e, &d), MCQ_OK, "%s", d.text);
        cr_assert_eq(s.stops, 2 * i);
    }
}

Test(embed, a_start_that_refuses)
{
    for (s.refuses = 0; s.refuses < 2; s.refuses++) {
        struct mcq_opts opts = two();
        struct mcq_embed *e = NULL;
        struct mcq_detail d = {.text = ""};
        char text[] = "shard 0: start refused to go on";
        text[6] = (char)('0' + s.refuses);
        s.stops = 0;
        cr_assert_eq(mcq_embed_open(&opts, &app, NULL, &e, &d), MCQ_ESTATE);
        cr_assert_str_eq(d.text, text);
        cr_assert_null(e);
        cr_assert_eq(s.stops, s.refuses + 1);
    }
}
