/* Ports: threads that are no shards talk with shards. Echo under every pressure, both ends asleep
 * and awake, rings that are full, threads that come and go, an app that stops under them. */
#include <monocoque.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/trial.h"

#define THREADS  4u
#define MSGS     60000u
#define RING_LEN 4096u
#define WAIT_NS  20000000000u

static struct {
    struct mcq_shard *shards[2];
    atomic_uint opened, closed;
    atomic_bool started;
} s;

/* --- the shard's side: what comes goes back, in order; what finds no room waits here -----------
 */

struct echo {
    uint64_t from[4096]; /* to be sent back */
    uint32_t head, tail;
};

static void drain(struct mcq_port_end *end, struct echo *e)
{
    while (e->head != e->tail &&
           mcq_port_reply(end, 7, &e->from[e->head % 4096], sizeof(uint64_t)) == MCQ_OK)
        e->head++;
}

static void on_opened(struct mcq_shard *shard, void *arg, struct mcq_port_end *end)
{
    (void)shard;
    (void)arg;
    mcq_port_set_user(end, calloc(1, sizeof(struct echo)));
    atomic_fetch_add(&s.opened, 1);
}

static void on_message(struct mcq_shard *shard, void *arg, struct mcq_port_end *end, uint32_t kind,
                       const void *data, size_t len)
{
    struct echo *e = mcq_port_user(end);
    (void)shard;
    (void)arg;
    CHECK(kind == 3 && len >= sizeof(uint64_t) && e->tail - e->head < 4096);
    memcpy(&e->from[e->tail++ % 4096], data, sizeof(uint64_t));
    drain(end, e);
}

static void on_room(struct mcq_shard *shard, void *arg, struct mcq_port_end *end)
{
    (void)shard;
    (void)arg;
    drain(end, mcq_port_user(end));
}

static void on_closed(struct mcq_shard *shard, void *arg, struct mcq_port_end *end)
{
    (void)shard;
    (void)arg;
    CHECK(mcq_port_reply(end, 7, "x", 1) == MCQ_ESTALE);
    free(mcq_port_user(end));
    atomic_fetch_add(&s.closed, 1);
}

static int start(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    s.shards[mcq_shard_id(shard)] = shard;
    struct mcq_port *port = NULL;
    CHECK(mcq_port_open(shard, 0, &port, NULL) == MCQ_ETHREAD);
    return 0;
}

static void never(void *ctx, struct mcq_timer *timer)
{
    (void)ctx;
    (void)timer;
}

/* A timer that is never armed keeps the app up until it is stopped. */
static int start_and_stay(struct mcq_shard *shard, void *arg)
{
    struct mcq_timer *timer;
    int err = start(shard, arg);
    CHECK(mcq_timer_open(shard, never, NULL, &timer) == MCQ_OK);
    if (mcq_shard_id(shard) == 1)
        atomic_store(&s.started, true);
    return err;
}

static const struct mcq_port_handlers handlers = {
    .opened = on_opened, .message = on_message, .room = on_room, .closed = on_closed};

/* --- an app in a thread of its own ----------------------------------------------------------- */

struct run {
    pthread_t thread;
    struct mcq_opts opts;
    enum mcq_error err;
};

static void *run_main(void *arg)
{
    struct run *r = arg;
    const struct mcq_app app = {.start = start_and_stay, .ports = &handlers};
    r->err = mcq_run(&r->opts, &app, NULL, NULL);
    return NULL;
}

static struct mcq_opts opts_of(enum mcq_idle idle)
{
    struct mcq_opts opts = MCQ_OPTS_INIT;
    opts.shards = 2;
    opts.arena_bytes = 16 << 20;
    opts.large_bytes = 1 << 20;
    opts.idle = idle;
    opts.no_mlock = true;
    opts.no_signals = true;
    opts.log = mcq_log_stderr;
    return opts;
}

static void run_open(struct run *r, enum mcq_idle idle)
{
    r->opts = opts_of(idle);
    memset(&s, 0, sizeof(s));
    CHECK(pthread_create(&r->thread, NULL, run_main, r) == 0);
    while (!atomic_load(&s.started))
        sched_yield();
}

static void run_close(struct run *r)
{
    mcq_stop(s.shards[0]);
    pthread_join(r->thread, NULL);
    CHECK(r->err == MCQ_OK);
    CHECK(atomic_load(&s.opened) == atomic_load(&s.closed));
}

/* --- the thread's side ----------------------------------------------------------------------- */

struct talk {
    pthread_t thread;
    uint32_t id, msgs;
    bool paced; /* waits for each answer, so that both ends fall asleep */
    uint64_t again, answers;
    bool ok;
};

static bool take_answers(struct mcq_port *port, struct talk *t)
{
    struct mcq_port_msg msgs[32];
    size_t n = mcq_port_recv(port, msgs, 32);
    for (size_t i = 0; i < n; i++) {
        uint64_t seq;
        memcpy(&seq, msgs[i].data, sizeof(seq));
        if (msgs[i].kind != 7 || msgs[i].len != sizeof(seq) || seq != t->answers++)
            return false;
    }
    return true;
}

static bool talk_through(struct mcq_port *port, struct talk *t)
{
    uint8_t body[64] = {0};
    uint64_t sent = 0;
    while (t->answers < t->msgs) {
        bool may = sent < t->msgs && sent - t->answers < (t->paced ? 1u : 3000u);
        enum mcq_error err = MCQ_EAGAIN;
        if (may) {
            memcpy(body, &sent, sizeof(sent));
            err = mcq_port_send(port, 3, body, sizeof(sent) + sent % 57);
            sent += err == MCQ_OK;
            t->again += err == MCQ_EAGAIN;
        }
        if (err != MCQ_OK && err != MCQ_EAGAIN)
            return false;
        if (err == MCQ_EAGAIN && mcq_port_wait(port, WAIT_NS) != MCQ_OK)
            return false; /* a wake was lost */
        if (!take_answers(port, t))
            return false;
    }
    return true;
}

static void *talk_main(void *arg)
{
    struct talk *t = arg;
    struct mcq_port *port;
    struct mcq_detail d = {.text = ""};
    if (mcq_port_open(s.shards[t->id % 2], RING_LEN, &port, &d) != MCQ_OK)
        return NULL;
    t->ok = talk_through(port, t);
    mcq_port_close(port);
    return NULL;
}

static void talks(enum mcq_idle idle, bool paced, uint32_t msgs)
{
    struct run r;
    struct talk t[THREADS] = {{0}};
    uint64_t again = 0;
    run_open(&r, idle);
    for (uint32_t i = 0; i < THREADS; i++) {
        t[i] = (struct talk){.id = i, .msgs = msgs, .paced = paced};
        CHECK(pthread_create(&t[i].thread, NULL, talk_main, &t[i]) == 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(t[i].thread, NULL);
        CHECK(t[i].ok && t[i].answers == msgs);
        again += t[i].again;
    }
    CHECK(paced || again != 0); /* or nothing was ever full */
    run_close(&r);
    CHECK(atomic_load(&s.closed) == THREADS);
}

static void streams(void)
{
    talks(MCQ_IDLE_BLOCK, false, MSGS);
}

static void questions_one_by_one(void)
{
    talks(MCQ_IDLE_BLOCK, true, 3000);
}

static void limits(void)
{
    struct run r;
    struct mcq_port *ports[MCQ_PORTS_MAX], *more;
    struct mcq_detail d = {.text = ""};
    static uint8_t body[MCQ_PORT_LEN_MAX + 1];
    run_open(&r, MCQ_IDLE_BLOCK);
    CHECK(mcq_port_open(s.shards[0], MCQ_PORT_RING_LEN_MAX + 1, &more, &d) == MCQ_EINVAL);
    for (uint32_t i = 0; i < MCQ_PORTS_MAX; i++)
        CHECK(mcq_port_open(s.shards[0], 0, &ports[i], &d) == MCQ_OK);
    CHECK(mcq_port_open(s.shards[0], 0, &more, &d) == MCQ_ELIMIT && d.text[0] != '\0');
    CHECK(mcq_port_send(ports[0], 3, body, sizeof(body)) == MCQ_ETOOBIG);
    CHECK(mcq_port_send(ports[0], 3, body, sizeof(body) - 1) == MCQ_OK);
    CHECK(mcq_port_wait(ports[0], WAIT_NS) == MCQ_OK);
    CHECK(mcq_port_wait(ports[1], 1000000) == MCQ_EAGAIN);
    for (uint32_t i = 0; i < MCQ_PORTS_MAX; i++)
        mcq_port_close(ports[i]);
    CHECK(mcq_port_open(s.shards[0], 0, &more, &d) == MCQ_OK);
    mcq_port_close(more);
    run_close(&r);
    CHECK(atomic_load(&s.closed) == MCQ_PORTS_MAX + 1);
}

/* A thread that was refused once and has nothing more to send is told of room once; after that it
 * sleeps. */
static void given_up(void)
{
    struct run r;
    struct mcq_port *port;
    struct talk t = {0};
    uint64_t seq = 0, again = 0;
    run_open(&r, MCQ_IDLE_BLOCK);
    CHECK(mcq_port_open(s.shards[0], RING_LEN, &port, NULL) == MCQ_OK);
    while (again == 0)
        if (mcq_port_send(port, 3, &seq, sizeof(seq)) == MCQ_OK)
            seq++;
        else
            again++;
    while (t.answers < seq && mcq_port_wait(port, WAIT_NS) == MCQ_OK)
        CHECK(take_answers(port, &t));
    CHECK(t.answers == seq);
    (void)mcq_port_wait(port, 0); /* of room, if the answers didn't tell first */
    CHECK(mcq_port_wait(port, 20000000) == MCQ_EAGAIN);
    mcq_port_close(port);
    run_close(&r);
}

/* The app stops while threads talk: each is told, and what it had sent before has been taken. */
static void stop_under_them(void)
{
    struct run r;
    struct mcq_port *port;
    struct mcq_detail d = {.text = ""};
    uint64_t seq = 0;
    run_open(&r, MCQ_IDLE_BLOCK);
    CHECK(mcq_port_open(s.shards[1], 0, &port, &d) == MCQ_OK);
    while (seq < 100 && mcq_port_send(port, 3, &seq, sizeof(seq)) == MCQ_OK)
        seq++;
    mcq_stop(s.shards[0]);
    enum mcq_error err;
    struct mcq_port_msg msgs[8];
    while ((err = mcq_port_wait(port, WAIT_NS)) == MCQ_OK)
        while (mcq_port_recv(port, msgs, 8) != 0)
            ;
    CHECK(err == MCQ_ESTALE);
    CHECK(mcq_port_send(port, 3, &seq, sizeof(seq)) == MCQ_ESTALE);
    pthread_join(r.thread, NULL);
    CHECK(r.err == MCQ_OK && atomic_load(&s.opened) == atomic_load(&s.closed));
    mcq_port_close(port); /* after mcq_run has returned */
}

/* --- an open port keeps the app up; its end lets it end -------------------------------------- */

static void *opener(void *arg)
{
    struct mcq_detail d;
    CHECK(mcq_port_open(s.shards[0], 0, arg, &d) == MCQ_OK);
    return NULL;
}

static void *closer(void *arg)
{
    struct mcq_port *port = arg;
    uint64_t seq = 0;
    struct mcq_port_msg msg;
    CHECK(mcq_port_send(port, 3, &seq, sizeof(seq)) == MCQ_OK);
    CHECK(mcq_port_wait(port, WAIT_NS) == MCQ_OK && mcq_port_recv(port, &msg, 1) == 1);
    mcq_port_close(port);
    return NULL;
}

static pthread_t closing;

static int start_with_port(struct mcq_shard *shard, void *arg)
{
    pthread_t opening;
    struct mcq_port *port = NULL;
    int err = start(shard, arg);
    if (mcq_shard_id(shard) == 0)
        return err;
    CHECK(pthread_create(&opening, NULL, opener, &port) == 0);
    pthread_join(opening, NULL);
    CHECK(port != NULL && pthread_create(&closing, NULL, closer, port) == 0);
    return err;
}

static void the_last_to_leave(void)
{
    const struct mcq_app app = {.start = start_with_port, .ports = &handlers};
    struct mcq_opts opts = opts_of(MCQ_IDLE_BLOCK);
    memset(&s, 0, sizeof(s));
    CHECK(mcq_run(&opts, &app, NULL, NULL) == MCQ_OK);
    pthread_join(closing, NULL);
    CHECK(atomic_load(&s.opened) == 1 && atomic_load(&s.closed) == 1);
}

static void run_named(const char *name, void (*fn)(void))
{
    mcq_trial_watch(name);
    fn();
}

int main(void)
{
    run_named("streams", streams);
    run_named("questions one by one", questions_one_by_one);
    run_named("limits", limits);
    run_named("given up", given_up);
    run_named("stop under them", stop_under_them);
    run_named("the last to leave", the_last_to_leave);
    return mcq_trial_end();
}
