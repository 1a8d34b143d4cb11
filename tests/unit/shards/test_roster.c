/* The shards of one app: in which order they start, how they end together, and what becomes of all
 * when one can't. */
#include <criterion/criterion.h>
#include <monocoque.h>
#include <stdatomic.h>
#include <string.h>

#include "shards/shard.h"

#define SHARDS 5u
#define HOPS   2000u

static struct story {
    uint32_t refuses; /* shard, SHARDS: none */
    uint32_t hops;
    bool stops;
    atomic_uint started, stopping, stopped, hopped;
    bool in_order;
} s;

static void hop(struct mcq_shard *sh, void *arg)
{
    struct mcq_shard *next = mcq_shard_at(sh, (mcq_shard_id(sh) + 1) % mcq_shard_cnt(sh));
    (void)arg;
    if (atomic_fetch_add(&s.hopped, 1) + 1 < s.hops)
        cr_assert_eq(mcq_post(next, hop, NULL), MCQ_OK);
    else if (s.stops)
        mcq_stop(sh);
}

static int start(struct mcq_shard *sh, void *arg)
{
    (void)arg;
    s.in_order = s.in_order && mcq_shard_id(sh) == atomic_fetch_add(&s.started, 1);
    for (uint32_t i = 0; i < mcq_shard_cnt(sh); i++)
        cr_assert_not_null(mcq_shard_at(sh, i));
    cr_assert_null(mcq_shard_at(sh, mcq_shard_cnt(sh)));
    if (mcq_shard_id(sh) == 0 && s.hops != 0)
        cr_assert_eq(mcq_post(mcq_shard_at(sh, 1), hop, NULL), MCQ_OK);
    return mcq_shard_id(sh) == s.refuses ? 1 : 0;
}

static void on_stopping(struct mcq_shard *sh, void *arg)
{
    (void)sh;
    (void)arg;
    atomic_fetch_add(&s.stopping, 1);
}

static void on_stop(struct mcq_shard *sh, void *arg)
{
    static const struct mcq_sock_handlers none = {.closed = NULL};
    struct mcq_sock *sock;
    (void)arg;
    atomic_fetch_add(&s.stopped, 1);
    cr_assert_eq(mcq_sock_open(sh, MCQ_PUSH, NULL, &none, NULL, &sock, NULL), MCQ_ESTATE);
}

static enum mcq_error run(const struct story *story, uint64_t arena_bytes, enum mcq_idle idle,
                          struct mcq_detail *detail)
{
    const struct mcq_app app = {.start = start, .on_stopping = on_stopping, .on_stop = on_stop};
    struct mcq_opts opts = MCQ_OPTS_INIT;
    opts.shards = SHARDS;
    opts.arena_bytes = arena_bytes;
    opts.large_bytes = 1 << 20;
    opts.idle = idle;
    opts.no_mlock = true;
    opts.no_signals = true;
    s = *story;
    s.in_order = true;
    *detail = (struct mcq_detail){.text = ""};
    return mcq_run(&opts, &app, NULL, detail);
}

TestSuite(roster, .timeout = 60);

Test(roster, all_start_in_order_and_end_when_nothing_is_left)
{
    struct mcq_detail d;
    const enum mcq_idle idles[] = {MCQ_IDLE_BLOCK, MCQ_IDLE_SPIN_BLOCK};
    for (unsigned i = 0; i < 2; i++) {
        const struct story story = {.refuses = SHARDS, .hops = HOPS};
        cr_assert_eq(run(&story, 16 << 20, idles[i], &d), MCQ_OK, "%s", d.text);
        cr_assert(s.in_order);
        cr_assert_eq(s.started, SHARDS);
        cr_assert_eq(s.hopped, HOPS, "a post was left behind");
        cr_assert_eq(s.stopping, 0, "nobody asked for the end");
        cr_assert_eq(s.stopped, SHARDS);
    }
}

Test(roster, one_stops_all)
{
    struct mcq_detail d;
    const struct story story = {.refuses = SHARDS, .hops = HOPS, .stops = true};
    cr_assert_eq(run(&story, 16 << 20, MCQ_IDLE_BLOCK, &d), MCQ_OK, "%s", d.text);
    cr_assert_eq(s.stopping, SHARDS);
    cr_assert_eq(s.stopped, SHARDS);
}

Test(roster, one_that_refuses_ends_those_before_it)
{
    struct mcq_detail d;
    const struct story story = {.refuses = 2};
    cr_assert_eq(run(&story, 16 << 20, MCQ_IDLE_BLOCK, &d), MCQ_ESTATE);
    cr_assert_str_eq(d.text, "shard 2: start refused to go on");
    cr_assert_eq(s.started, 3);
    cr_assert_eq(s.stopping, 3);
    cr_assert_eq(s.stopped, 3);
}

Test(roster, nobody_starts_if_one_cant_be_set_up)
{
    struct mcq_detail d;
    const struct story story = {.refuses = SHARDS};
    cr_assert_neq(run(&story, (uint64_t)1 << 45, MCQ_IDLE_BLOCK, &d), MCQ_OK);
    cr_assert_neq(d.text[0], '\0');
    cr_assert_eq(s.started, 0);
    cr_assert_eq(s.stopped, 0);
}

/* --- logical sockets ------------------------------------------------------------------------ */

struct opened {
    enum mcq_error err[SHARDS];
    struct mcq_detail detail[SHARDS];
    enum mcq_sock_type type[SHARDS];
    bool twice;
};

static void closed(void *ctx, struct mcq_sock *sock)
{
    (void)ctx;
    (void)sock;
}

static enum mcq_error open_member(struct mcq_shard *sh, const struct opened *o,
                                  struct mcq_sock **sock, struct mcq_detail *detail)
{
    static const struct mcq_sock_handlers handlers = {.closed = closed};
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    char name[] = "orders";
    opts.logical = name;
    enum mcq_error err =
        mcq_sock_open(sh, o->type[mcq_shard_id(sh)], &opts, &handlers, NULL, sock, detail);
    memset(name, 'x', sizeof(name) - 1); /* borrowed until open returned */
    return err;
}

static int open_members(struct mcq_shard *sh, void *arg)
{
    struct opened *o = arg;
    struct mcq_sock *sock, *more;
    uint32_t id = mcq_shard_id(sh);
    o->err[id] = open_member(sh, o, &sock, &o->detail[id]);
    if (o->twice && o->err[id] == MCQ_OK)
        o->err[id] = open_member(sh, o, &more, &o->detail[id]);
    if (o->err[id] == MCQ_OK || o->twice)
        mcq_sock_close(sock);
    return 0;
}

static void run_members(struct opened *o)
{
    const struct mcq_app app = {.start = open_members};
    struct mcq_opts opts = MCQ_OPTS_INIT;
    struct mcq_detail d = {.text = ""};
    opts.shards = SHARDS;
    opts.arena_bytes = 16 << 20;
    opts.large_bytes = 1 << 20;
    opts.idle = MCQ_IDLE_BLOCK;
    opts.no_mlock = true;
    opts.no_signals = true;
    cr_assert_eq(mcq_run(&opts, &app, o, &d), MCQ_OK, "%s", d.text);
}

Test(roster, members_of_a_logical_socket_have_one_type)
{
    struct opened o = {.type = {MCQ_ROUTER, MCQ_ROUTER, MCQ_DEALER, MCQ_ROUTER, MCQ_PAIR}};
    run_members(&o);
    for (uint32_t i = 0; i < SHARDS; i++)
        cr_assert_eq(o.err[i], i == 2 || i == 4 ? MCQ_EINVAL : MCQ_OK, "%s", o.detail[i].text);
    cr_assert_not_null(strstr(o.detail[2].text, "another type"));
    cr_assert_not_null(strstr(o.detail[4].text, "logical"));
}

Test(roster, a_shard_has_one_member)
{
    struct opened o = {.type = {MCQ_PUB, MCQ_PUB, MCQ_PUB, MCQ_PUB, MCQ_PUB}, .twice = true};
    run_members(&o);
    for (uint32_t i = 0; i < SHARDS; i++)
        cr_assert_eq(o.err[i], MCQ_EINVAL);
    cr_assert_not_null(strstr(o.detail[0].text, "shard 0 has a member already"));
}

/* --- the last moment -------------------------------------------------------------------------- */

static struct late {
    struct mcq_roster *r;
    struct mcq_shard *sh[2];
    unsigned posts, stopping;
} late;

static void late_set_up(struct mcq_shard *sh, uint32_t id, const struct mcq_app *app)
{
    struct mcq_opts opts = MCQ_OPTS_INIT;
    struct mcq_detail d = {.text = ""};
    opts.shards = 2;
    opts.arena_bytes = 16 << 20;
    opts.large_bytes = 1 << 20;
    opts.idle = MCQ_IDLE_SPIN;
    opts.no_mlock = true;
    mcq_shard_here = NULL;
    cr_assert_eq(mcq_shard_init(sh, id, &opts, NULL, &d), MCQ_OK, "%s", d.text);
    sh->roster = late.r;
    sh->app = app;
    mcq_roster_enter(late.r, sh);
    late.sh[id] = sh;
}

static bool late_step(uint32_t id)
{
    mcq_shard_here = late.sh[id];
    return mcq_shard_step(late.sh[id]);
}

static void late_stopping(struct mcq_shard *sh, void *arg)
{
    (void)sh;
    (void)arg;
    late.stopping++;
}

/* The other one declares it over while this runs. */
static void late_post(struct mcq_shard *sh, void *arg)
{
    static const struct mcq_sock_handlers none = {.closed = NULL};
    struct mcq_sock *sock;
    (void)arg;
    late.posts++;
    mcq_roster_finish(late.r, 0);
    cr_assert_eq(mcq_sock_open(sh, MCQ_PUSH, NULL, &none, NULL, &sock, NULL), MCQ_OK);
}

/* A thread posts to a shard that is idle, as all are, just before or just after that is seen: in
 * the first case it runs and the app ends all the same, in the other it doesn't. */
static void post_late(bool over_before)
{
    static struct mcq_shard shards[2];
    const struct mcq_app app = {.on_stopping = late_stopping};
    unsigned steps = 0;
    late = (struct late){.r = mcq_roster_create(2)};
    for (uint32_t i = 0; i < 2; i++)
        late_set_up(&shards[i], i, &app);
    while (!shards[1].idle && ++steps < 1000) /* while it spins it takes its time to say so */
        cr_assert(late_step(1));
    cr_assert(shards[1].idle);
    steps = 0;
    if (over_before)
        mcq_roster_finish(late.r, 0);
    cr_assert_eq(mcq_post(&shards[1], late_post, NULL), MCQ_OK);
    while (late_step(1))
        cr_assert_lt(++steps, 1000, "it runs on alone");
    cr_assert_eq(late.posts, over_before ? 0 : 1);
    cr_assert_eq(late.stopping, over_before ? 0 : 1);
    cr_assert(shards[1].stopping);
    for (uint32_t i = 0; i < 2; i++)
        cr_assert_eq(mcq_shard_fini(&shards[i]), 0);
    mcq_roster_destroy(late.r);
}

Test(roster, a_post_that_comes_too_late)
{
    post_late(true);
    post_late(false);
}
