/* Programs that ask for trouble: sockets closed inside any event, handlers that call for themselves
 * again and again, what can never fit, commits of what isn't reserved. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/body.h"
#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define ENOUGH    100u   /* runs of a handler that calls for itself before the app ends */
#define TOO_OFTEN 10000u /* then it gives up: the test has failed */
#define SENDS_MAX 1024u

struct misuse {
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_diary diary;
    char endpoint[64];
    int listener;
    atomic_ulong ready, closed;
    enum mcq_event_kind close_at;
    bool ending;
    unsigned long runs, in_turn; /* of a handler: all, in this turn */
    uint64_t turn_ns;
    size_t lens[SENDS_MAX]; /* of what was sent */
    uint32_t sends;
};

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct misuse *m = ctx;
    (void)sock;
    mcq_diary_add(&m->diary, event);
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct misuse *m = ctx;
    (void)sock;
    atomic_fetch_add(&m->closed, 1);
}

static const struct mcq_sock_handlers watching = {.event = on_event, .closed = on_closed};

static void trial(const char *name, int (*start)(struct mcq_shard *, void *), void *(*peer)(void *),
                  struct misuse *m)
{
    struct mcq_trial t = {name, mcq_trial_opts(), start, peer, m};
    t.opts.arena_bytes = 16u << 20;
    t.opts.large_bytes = 4u << 20;
    mcq_trial_run(&t);
    mcq_diary_end(&m->diary);
}

/* How often it has run in this turn. */
static unsigned long count_run(struct misuse *m)
{
    uint64_t now = mcq_shard_now(m->shard);
    m->in_turn = now == m->turn_ns ? m->in_turn + 1 : 1;
    m->turn_ns = now;
    m->runs++;
    return m->in_turn;
}

/* --- a socket that closes inside its event handler ------------------------------------------- */

static void close_inside(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct misuse *m = ctx;
    static const char body[8000];
    if (event->kind == m->close_at)
        mcq_sock_close(sock);
    else if (event->kind == MCQ_EVENT_UP)
        while (mcq_send_bytes(sock, body, sizeof(body)) == MCQ_OK)
            ;
    on_event(ctx, sock, event);
}

static const struct mcq_sock_handlers closing = {.event = close_inside, .closed = on_closed};

static int start_closing(struct mcq_shard *shard, void *arg)
{
    struct misuse *m = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.linger_ms = MCQ_NONE;
    m->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_PUSH, &opts, &closing, m, &m->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(m->sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
    snprintf(m->endpoint, sizeof(m->endpoint), "%s", mcq_sock_endpoint(m->sock));
    atomic_store(&m->ready, 1);
    return 0;
}

/* Reads nothing, and resets: what is queued for it is dropped. */
static void *come_and_go(void *arg)
{
    struct misuse *m = arg;
    mcq_trial_wait(&m->ready, 1);
    int fd = mcq_raw_connect(m->endpoint, 4096);
    if (fd < 0) /* closed by then */
        return NULL;
    if (mcq_raw_hello(fd, "PULL", NULL))
        mcq_trial_wait(m->close_at <= MCQ_EVENT_UP ? &m->closed : &m->diary.cnt[MCQ_EVENT_UP], 1);
    mcq_raw_reset(fd);
    return NULL;
}

static void close_at(const char *name, enum mcq_event_kind kind)
{
    struct misuse m = {.close_at = kind};
    trial(name, start_closing, come_and_go, &m);
    CHECK(m.closed == 1 && m.diary.cnt[kind] == 1);
}

/* --- handlers that call for themselves ------------------------------------------------------- */

static void arm_for_the_past(void *ctx, struct mcq_timer *timer)
{
    struct misuse *m = ctx;
    CHECK(count_run(m) == 1);
    if (m->runs < TOO_OFTEN)
        mcq_timer_arm(timer, 0);
}

static void end_app(void *ctx, struct mcq_timer *timer)
{
    struct misuse *m = ctx;
    if (m->runs < ENOUGH) {
        mcq_timer_arm(timer, mcq_shard_now(m->shard) + 1000000);
        return;
    }
    m->ending = true;
    mcq_stop(m->shard);
}

static void end_soon(struct misuse *m)
{
    struct mcq_timer *timer;
    CHECK(mcq_timer_open(m->shard, end_app, m, &timer) == MCQ_OK);
    mcq_timer_arm(timer, mcq_shard_now(m->shard) + 2000000);
}

static int start_past(struct mcq_shard *shard, void *arg)
{
    struct misuse *m = arg;
    struct mcq_timer *timer;
    m->shard = shard;
    CHECK(mcq_timer_open(shard, arm_for_the_past, m, &timer) == MCQ_OK);
    mcq_timer_arm(timer, 0);
    end_soon(m);
    return 0;
}

static void send_to_nobody(struct misuse *m)
{
    const struct mcq_frame frames[2] = {{"nobody", 6}, {"x", 1}};
    struct mcq_msg msg = mcq_msg_of_frames(frames, 2);
    CHECK(mcq_send(m->sock, &msg) == MCQ_OK);
}

static void drop_again(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct misuse *m = ctx;
    on_event(ctx, sock, event);
    CHECK(event->kind == MCQ_EVENT_DROPPED && event->reason == MCQ_REASON_NO_PEER);
    if (CHECK(count_run(m) < TOO_OFTEN) && !m->ending)
        send_to_nobody(m);
}

static const struct mcq_sock_handlers dropping = {.event = drop_again, .closed = on_closed};

static int start_drops(struct mcq_shard *shard, void *arg)
{
    struct misuse *m = arg;
    m->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_ROUTER, NULL, &dropping, m, &m->sock, NULL) == MCQ_OK);
    send_to_nobody(m);
    end_soon(m);
    return 0;
}

static void post_again(struct mcq_shard *shard, void *arg)
{
    struct misuse *m = arg;
    m->runs++;
    if (CHECK(m->runs < TOO_OFTEN))
        CHECK(mcq_post(shard, post_again, m) == MCQ_OK);
}

static int start_posts(struct mcq_shard *shard, void *arg)
{
    struct misuse *m = arg;
    CHECK(mcq_sock_open(shard, MCQ_PULL, NULL, &watching, m, &m->sock, NULL) == MCQ_OK);
    CHECK(mcq_post(shard, post_again, m) == MCQ_OK);
    mcq_stop(shard);
    return 0;
}

/* --- after the end --------------------------------------------------------------------------- */

static void open_in_on_stop(struct mcq_shard *shard, void *arg)
{
    struct misuse *m = arg;
    struct mcq_detail detail = {.text = ""};
    CHECK(mcq_sock_open(shard, MCQ_PULL, NULL, &watching, m, &m->sock, &detail) == MCQ_ESTATE &&
          detail.text[0] != '\0');
    m->runs++;
}

static int start_nothing(struct mcq_shard *shard, void *arg)
{
    return shard == NULL || arg == NULL;
}

static void on_stop(void)
{
    const struct mcq_app app = {.start = start_nothing, .on_stop = open_in_on_stop};
    struct mcq_opts opts = mcq_trial_opts();
    struct misuse m = {.runs = 0};
    CHECK(mcq_run(&opts, &app, &m, NULL) == MCQ_OK && m.runs == 1 && m.closed == 0);
}

/* --- what can never fit ---------------------------------------------------------------------- */

#define REGION (4u << 20)

static void never_writable(void *ctx, struct mcq_sock *sock)
{
    (void)ctx;
    (void)sock;
    CHECK(false);
}

static const struct mcq_sock_handlers waiting = {
    .writable = never_writable, .event = on_event, .closed = on_closed};

static void send_frames(struct misuse *m, const void *body, size_t len, uint32_t cnt)
{
    static struct mcq_frame frames[MCQ_FRAME_CNT_MAX];
    for (uint32_t i = 0; i < cnt; i++)
        frames[i] = (struct mcq_frame){body, len};
    struct mcq_msg msg = mcq_msg_of_frames(frames, cnt);
    CHECK(mcq_send(m->sock, &msg) == MCQ_ETOOBIG);
    CHECK(msg.frame_cnt == cnt && msg.len == len); /* on failure nothing has changed */
}

static void send_too_big(struct misuse *m)
{
    char *body = calloc(1, REGION + 1);
    struct mcq_msg wide = mcq_msg_of(body, SIZE_MAX), kept;
    if (body == NULL)
        abort();
    CHECK(mcq_send_bytes(m->sock, body, REGION + 1) == MCQ_ETOOBIG);
    CHECK(mcq_send_bytes(m->sock, body, SIZE_MAX - 4) == MCQ_ETOOBIG);
    CHECK(mcq_send(m->sock, &wide) == MCQ_ETOOBIG);
    CHECK(mcq_msg_keep(m->shard, &wide, &kept) != MCQ_OK);
    send_frames(m, body, REGION + 1, 2);
    send_frames(m, body, SIZE_MAX / 2 + 50, 2);
    send_frames(m, body, 20000, MCQ_FRAME_CNT_MAX);         /* more blocks than there are */
    CHECK(mcq_send_bytes(m->sock, body, REGION) == MCQ_OK); /* just fits */
    CHECK(mcq_send_bytes(m->sock, body, REGION + 1) == MCQ_ETOOBIG);
    free(body);
}

static int start_too_big(struct mcq_shard *shard, void *arg)
{
    struct misuse *m = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.linger_ms = MCQ_NONE;
    m->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_PUSH, &opts, &waiting, m, &m->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(m->sock, m->endpoint, NULL) == MCQ_OK);
    send_too_big(m);
    m->runs = ENOUGH;
    end_soon(m);
    return 0;
}

/* --- commits of what isn't reserved ---------------------------------------------------------- */

static void put(struct misuse *m, size_t len)
{
    static char body[16384];
    mcq_body_fill(body, len, m->sends);
    if (CHECK(mcq_send_bytes(m->sock, body, len) == MCQ_OK))
        m->lens[m->sends++] = len;
}

static void reserve(struct misuse *m, size_t len)
{
    void *at;
    if (CHECK(mcq_tx_reserve(m->sock, len, &at) == MCQ_OK))
        mcq_body_fill(at, len, m->sends);
}

static void commit(struct misuse *m, size_t len)
{
    if (CHECK(mcq_tx_commit(m->sock, len) == MCQ_OK))
        m->lens[m->sends++] = len;
    CHECK(mcq_tx_commit(m->sock, len) == MCQ_ESTATE);
}

static void open_reserving(struct mcq_shard *shard, struct misuse *m)
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.linger_ms = 8000;
    CHECK(mcq_sock_open(shard, MCQ_PUSH, &opts, &watching, m, &m->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(m->sock, m->endpoint, NULL) == MCQ_OK);
}

/* Sends in between have taken the room, by less than a block and by more than one. */
static int start_late_commits(struct mcq_shard *shard, void *arg)
{
    struct misuse *m = arg;
    open_reserving(shard, m);
    CHECK(mcq_tx_commit(m->sock, 0) == MCQ_ESTATE);
    put(m, 8000);
    reserve(m, 16384);
    put(m, 16000);
    CHECK(mcq_tx_commit(m->sock, 16384) == MCQ_ESTATE);
    reserve(m, 300);
    put(m, 12000);
    put(m, 12000);
    put(m, 720);
    for (unsigned i = 0; i < 3; i++)
        CHECK(mcq_tx_commit(m->sock, 200) == MCQ_ESTATE);
    reserve(m, 16384);
    commit(m, 16384);
    reserve(m, 300);
    commit(m, 2); /* a shorter head than was reserved */
    mcq_sock_close(m->sock);
    atomic_store(&m->ready, 1);
    return 0;
}

/* What is committed counts at the high-water mark of 1,000 messages. */
static int start_full_commits(struct mcq_shard *shard, void *arg)
{
    struct misuse *m = arg;
    void *at;
    open_reserving(shard, m);
    while (m->sends < 990)
        put(m, 1);
    while (m->sends < 1000) {
        reserve(m, 10);
        commit(m, 10);
    }
    CHECK(mcq_tx_reserve(m->sock, 10, &at) == MCQ_EAGAIN);
    CHECK(mcq_tx_commit(m->sock, 10) == MCQ_ESTATE);
    CHECK(mcq_send_bytes(m->sock, "x", 1) == MCQ_EAGAIN);
    mcq_sock_close(m->sock);
    atomic_store(&m->ready, 1);
    return 0;
}

/* Exactly what was sent or committed comes. */
static void *take_sends(void *arg)
{
    struct misuse *m = arg;
    struct mcq_text body = {NULL, 0, 0};
    int fd = mcq_raw_accept(m->listener);
    unsigned flags = 0, i = 0;
    CHECK(mcq_trial_wait(&m->ready, 1) && fd >= 0 && mcq_raw_hello(fd, "PULL", NULL));
    while (mcq_raw_next_message(fd, &flags, &body)) {
        CHECK(i < m->sends && body.len == m->lens[i] && mcq_body_right(body.ptr, body.len, i));
        i++;
    }
    CHECK(i == m->sends);
    mcq_raw_close(fd);
    mcq_text_fini(&body);
    return NULL;
}

static void connecting(const char *name, int (*start)(struct mcq_shard *, void *),
                       void *(*peer)(void *))
{
    struct misuse m = {.runs = 0};
    m.listener = mcq_raw_listen(0, m.endpoint);
    trial(name, start, peer, &m);
    mcq_raw_close(m.listener);
    CHECK(m.closed == 1);
}

int main(void)
{
    close_at("closed in LISTENING", MCQ_EVENT_LISTENING);
    close_at("closed in ACCEPTED", MCQ_EVENT_ACCEPTED);
    close_at("closed in UP", MCQ_EVENT_UP);
    close_at("closed in DISCONNECTED", MCQ_EVENT_DISCONNECTED);
    close_at("closed in DROPPED", MCQ_EVENT_DROPPED);
    trial("a timer armed for the past", start_past, NULL, &(struct misuse){.runs = 0});
    trial("DROPPED that drops", start_drops, NULL, &(struct misuse){.runs = 0});
    trial("posts that post, and a stop", start_posts, NULL, &(struct misuse){.runs = 0});
    on_stop();
    connecting("too big", start_too_big, NULL);
    connecting("late commits", start_late_commits, take_sends);
    connecting("commits at the mark", start_full_commits, take_sends);
    return mcq_trial_end();
}
