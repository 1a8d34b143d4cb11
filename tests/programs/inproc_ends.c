/* Beginnings and ends over inproc: names, who is refused and why, what is told, what is counted
 * when a side goes, and a crowd of sockets that do anything at any time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/body.h"
#include "tests/support/trial.h"

#define NAME "inproc://here"
#define ENDS 6u
#define US   UINT64_C(1000)

struct stage;

struct end {
    struct stage *stage;
    struct mcq_sock *sock;
    struct mcq_diary diary;
    struct mcq_peer peer; /* the last that came up */
    enum mcq_flow flow;
    bool kills; /* whoever sends */
    unsigned long got, sent;
    bool closed;
    unsigned long left; /* DROPPED, for whatever reason */
    uint32_t last;      /* the number that came last */
    void (*on_up)(struct end *e);
};

/* Steps, each begun once the one before has come true. */
struct stage {
    struct mcq_shard *shard;
    struct mcq_timer *timer;
    struct end end[ENDS];
    const struct step *steps;
    unsigned at;
    unsigned long marks[4]; /* the steps' own */
};

struct step {
    void (*begin)(struct stage *s);
    bool (*is_true)(struct stage *s);
};

/* --- handlers --------------------------------------------------------------------------------- */

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct end *e = ctx;
    (void)sock;
    mcq_diary_add(&e->diary, event);
    if (event->kind == MCQ_EVENT_DROPPED)
        e->left += event->cnt;
    if (event->kind != MCQ_EVENT_UP)
        return;
    e->peer = event->peer;
    if (e->on_up != NULL)
        e->on_up(e);
}

static enum mcq_flow on_message(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct end *e = ctx;
    e->got++;
    if (e->kills)
        (void)mcq_peer_kill(sock, from);
    if (msg->len == sizeof(e->last))
        memcpy(&e->last, msg->data, sizeof(e->last));
    return e->flow;
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct end *e = ctx;
    (void)sock;
    mcq_diary_end(&e->diary);
    e->closed = true;
}

static const struct mcq_sock_handlers plain = {
    .message = on_message, .event = on_event, .closed = on_closed};

static struct mcq_sock *open_end(struct stage *s, unsigned i, enum mcq_sock_type type,
                                 const struct mcq_sock_opts *opts)
{
    struct end *e = &s->end[i];
    e->stage = s;
    CHECK(mcq_sock_open(s->shard, type, opts, &plain, e, &e->sock, NULL) == MCQ_OK);
    return e->sock;
}

static void bind_end(struct stage *s, unsigned i, enum mcq_sock_type type)
{
    CHECK(mcq_sock_bind(open_end(s, i, type, NULL), NAME, NULL) == MCQ_OK);
}

static void connect_end(struct stage *s, unsigned i, enum mcq_sock_type type)
{
    CHECK(mcq_sock_connect(open_end(s, i, type, NULL), NAME, NULL) == MCQ_OK);
}

/* Until there is no room, or cnt. */
static void send_some(struct end *e, unsigned long cnt)
{
    for (; cnt > 0 && mcq_send_bytes(e->sock, "something", 9) == MCQ_OK; cnt--)
        e->sent++;
}

static unsigned long told(const struct stage *s, unsigned i, enum mcq_event_kind kind)
{
    return s->end[i].diary.cnt[kind];
}

static unsigned long why(const struct stage *s, unsigned i, enum mcq_reason reason)
{
    return s->end[i].diary.reasons[reason];
}

/* --- the run ---------------------------------------------------------------------------------- */

static void on_timer(void *ctx, struct mcq_timer *timer)
{
    struct stage *s = ctx;
    while (s->steps[s->at].begin != NULL && s->steps[s->at].is_true(s)) {
        s->at++;
        if (s->steps[s->at].begin != NULL)
            s->steps[s->at].begin(s);
    }
    if (s->steps[s->at].begin == NULL) {
        mcq_timer_close(timer);
        for (unsigned i = 0; i < ENDS; i++)
            if (s->end[i].sock != NULL && !s->end[i].closed)
                mcq_sock_close(s->end[i].sock);
        return;
    }
    mcq_timer_arm(timer, mcq_shard_now(s->shard) + 100 * US);
}

static int on_start(struct mcq_shard *shard, void *arg)
{
    struct stage *s = arg;
    s->shard = shard;
    CHECK(mcq_timer_open(shard, on_timer, s, &s->timer) == MCQ_OK);
    s->steps[0].begin(s);
    mcq_timer_arm(s->timer, mcq_shard_now(shard));
    return 0;
}

static struct mcq_shard_stats play(const char *name, const struct step *steps)
{
    static struct stage s;
    memset(&s, 0, sizeof(s));
    s.steps = steps;
    struct mcq_trial trial = {name, mcq_trial_opts(), on_start, NULL, &s};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    for (unsigned i = 0; i < ENDS; i++)
        CHECK(s.end[i].sock == NULL || s.end[i].closed);
    return stats;
}

static bool at_once(struct stage *s)
{
    (void)s;
    return true;
}

/* --- names ------------------------------------------------------------------------------------ */

static void names_taken(struct stage *s)
{
    struct mcq_detail detail = {.text = ""};
    char name[9 + 255 + 1];
    memset(name, 'n', sizeof(name));
    memcpy(name, "inproc://", 9);
    name[sizeof(name) - 1] = '\0';
    bind_end(s, 0, MCQ_PULL);
    CHECK(strcmp(mcq_sock_endpoint(s->end[0].sock), NAME) == 0);
    open_end(s, 1, MCQ_PULL, NULL);
    CHECK(mcq_sock_bind(s->end[1].sock, NAME, &detail) == MCQ_EADDRINUSE);
    CHECK(strstr(detail.text, NAME) != NULL);
    CHECK(mcq_sock_bind(s->end[0].sock, NAME, NULL) == MCQ_EADDRINUSE);
    CHECK(mcq_sock_bind(s->end[1].sock, name, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(s->end[0].sock, name, &detail) == MCQ_EADDRINUSE);
    CHECK(strlen(detail.text) < MCQ_DETAIL_TEXT_LEN - 1 && strstr(detail.text, "unbind") != NULL);
    CHECK(mcq_sock_unbind(s->end[0].sock, "inproc://her", NULL) == MCQ_ENOENT);
    CHECK(mcq_sock_unbind(s->end[1].sock, NAME, NULL) == MCQ_ENOENT);
    /* free at once, though UNBOUND has still to be told */
    CHECK(mcq_sock_unbind(s->end[0].sock, NAME, NULL) == MCQ_OK);
    CHECK(mcq_sock_unbind(s->end[0].sock, NAME, NULL) == MCQ_ENOENT);
    CHECK(mcq_sock_bind(s->end[1].sock, NAME, NULL) == MCQ_OK);
    connect_end(s, 2, MCQ_PUSH);
}

static bool names_right(struct stage *s)
{
    return told(s, 1, MCQ_EVENT_UP) == 1 && told(s, 2, MCQ_EVENT_UP) == 1 &&
           told(s, 0, MCQ_EVENT_UNBOUND) == 1 && told(s, 0, MCQ_EVENT_UP) == 0 &&
           told(s, 1, MCQ_EVENT_LISTENING) == 2;
}

/* --- a connect waits for its bind, and a link for the next one -------------------------------- */

static void early_connect(struct stage *s)
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.send_hwm_msgs = 10;
    CHECK(mcq_sock_connect(open_end(s, 0, MCQ_PUSH, &opts), NAME, NULL) == MCQ_OK);
    send_some(&s->end[0], 100);
    CHECK(s->end[0].sent == 10);
    s->marks[0] = 0;
}

static bool early_waited(struct stage *s)
{
    CHECK(told(s, 0, MCQ_EVENT_RETRY) == 0 && told(s, 0, MCQ_EVENT_HANDSHAKE_FAILED) == 0);
    return ++s->marks[0] == 20;
}

static void early_bind(struct stage *s)
{
    bind_end(s, 1, MCQ_PULL);
}

static bool early_came(struct stage *s)
{
    return s->end[1].got == 10;
}

/* Unbound: the peers stay. Closed: the connect waits again, and keeps its queue. */
static void early_unbind(struct stage *s)
{
    CHECK(mcq_sock_unbind(s->end[1].sock, NAME, NULL) == MCQ_OK);
    send_some(&s->end[0], 5);
}

static bool early_stayed(struct stage *s)
{
    return s->end[1].got == 15 && told(s, 1, MCQ_EVENT_UNBOUND) == 1;
}

static void early_close(struct stage *s)
{
    mcq_sock_close(s->end[1].sock);
}

static bool early_gone(struct stage *s)
{
    return s->end[1].closed && told(s, 0, MCQ_EVENT_DISCONNECTED) == 1;
}

static void early_again(struct stage *s)
{
    CHECK(why(s, 0, MCQ_REASON_PEER_CLOSED) == 1 && why(s, 1, MCQ_REASON_LOCAL) == 1);
    CHECK(s->end[0].diary.report.msgs_out == 15 && s->end[1].diary.report.msgs_in == 15);
    CHECK(mcq_sock_peer_cnt(s->end[0].sock) == 0);
    send_some(&s->end[0], 7);
    bind_end(s, 2, MCQ_PULL);
}

static bool early_rejoined(struct stage *s)
{
    return s->end[2].got == 7 && told(s, 0, MCQ_EVENT_UP) == 2;
}

static void early_disconnect(struct stage *s)
{
    send_some(&s->end[0], 3);
    CHECK(mcq_sock_disconnect(s->end[0].sock, NAME, NULL) == MCQ_OK);
    CHECK(mcq_sock_disconnect(s->end[0].sock, NAME, NULL) == MCQ_ENOENT);
}

static bool early_left(struct stage *s)
{
    return s->end[2].got == 10 && told(s, 0, MCQ_EVENT_DISCONNECTED) == 2 &&
           why(s, 2, MCQ_REASON_PEER_CLOSED) == 1;
}

/* --- who may not meet ------------------------------------------------------------------------- */

static void misfits(struct stage *s)
{
    bind_end(s, 0, MCQ_PUSH);
    connect_end(s, 1, MCQ_PUSH);
    connect_end(s, 2, MCQ_REQ);
}

static bool misfits_refused(struct stage *s)
{
    return why(s, 0, MCQ_REASON_INCOMPATIBLE) >= 2 && told(s, 1, MCQ_EVENT_RETRY) >= 1 &&
           told(s, 2, MCQ_EVENT_RETRY) >= 1;
}

static void misfits_end(struct stage *s)
{
    for (unsigned i = 0; i < 3; i++) {
        CHECK(told(s, i, MCQ_EVENT_HANDSHAKE_FAILED) == why(s, i, MCQ_REASON_INCOMPATIBLE));
        CHECK(told(s, i, MCQ_EVENT_UP) == 0);
    }
    CHECK(told(s, 0, MCQ_EVENT_ACCEPTED) >= 2);
}

/* PAIR has one peer; the second comes in once the first has gone. */
static void second(struct stage *s)
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.reconnect_min_ms = 1;
    opts.reconnect_max_ms = 2;
    bind_end(s, 0, MCQ_PAIR);
    connect_end(s, 1, MCQ_PAIR);
    CHECK(mcq_sock_connect(open_end(s, 2, MCQ_PAIR, &opts), NAME, NULL) == MCQ_OK);
    send_some(&s->end[2], 4);
}

static bool second_refused(struct stage *s)
{
    return told(s, 1, MCQ_EVENT_UP) == 1 && why(s, 0, MCQ_REASON_LIMIT) >= 2 &&
           told(s, 2, MCQ_EVENT_RETRY) >= 2;
}

static void second_goes(struct stage *s)
{
    CHECK(told(s, 0, MCQ_EVENT_REFUSED) == why(s, 0, MCQ_REASON_LIMIT));
    CHECK(told(s, 2, MCQ_EVENT_HANDSHAKE_FAILED) == why(s, 2, MCQ_REASON_LIMIT));
    CHECK(told(s, 2, MCQ_EVENT_UP) == 0 && s->end[0].got == 0);
    mcq_sock_close(s->end[1].sock);
}

static bool second_came(struct stage *s)
{
    return s->end[0].got == 4 && told(s, 2, MCQ_EVENT_UP) == 1;
}

static void namesakes(struct stage *s)
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.identity = "twin";
    opts.identity_len = 4;
    bind_end(s, 0, MCQ_ROUTER);
    for (unsigned i = 1; i <= 2; i++)
        CHECK(mcq_sock_connect(open_end(s, i, MCQ_DEALER, &opts), NAME, NULL) == MCQ_OK);
    connect_end(s, 3, MCQ_DEALER);
}

static bool namesakes_refused(struct stage *s)
{
    return why(s, 0, MCQ_REASON_IDENTITY) >= 1 && told(s, 3, MCQ_EVENT_UP) == 1 &&
           told(s, 1, MCQ_EVENT_UP) == 1;
}

static void namesakes_found(struct stage *s)
{
    struct mcq_peer peer;
    struct mcq_frame id;
    struct mcq_frame frames[2] = {{"twin", 4}, {"hello", 5}};
    struct mcq_msg msg = mcq_msg_of_frames(frames, 2);
    CHECK(told(s, 2, MCQ_EVENT_UP) == 0 && why(s, 2, MCQ_REASON_IDENTITY) >= 1);
    CHECK(mcq_peer_find(s->end[0].sock, "twin", 4, &peer) == MCQ_OK);
    CHECK(mcq_peer_identity(s->end[0].sock, peer, &id) == MCQ_OK);
    CHECK(id.len == 4 && memcmp(id.data, "twin", 4) == 0);
    CHECK(mcq_send(s->end[0].sock, &msg) == MCQ_OK);
    CHECK(mcq_peer_identity(s->end[0].sock, s->end[0].peer, &id) == MCQ_OK);
    CHECK(id.len == 5 && *(const char *)id.data == 0);
    CHECK(mcq_peer_identity(s->end[1].sock, s->end[1].peer, &id) == MCQ_OK && id.len == 0);
}

static bool namesakes_addressed(struct stage *s)
{
    return s->end[1].got == 1;
}

/* A socket that is its own peer. */
static void self(struct stage *s)
{
    bind_end(s, 0, MCQ_DEALER);
    CHECK(mcq_sock_connect(s->end[0].sock, NAME, NULL) == MCQ_OK);
    send_some(&s->end[0], 9);
}

static bool self_heard(struct stage *s)
{
    return s->end[0].got == 9 && told(s, 0, MCQ_EVENT_UP) == 2;
}

/* --- what is queued when a side goes ---------------------------------------------------------- */

/* A PUSH whose PULL pauses at once. */
static void stuck(struct stage *s, bool push_binds)
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.send_hwm_msgs = 50;
    open_end(s, 0, MCQ_PUSH, &opts);
    open_end(s, 1, MCQ_PULL, NULL);
    s->end[1].flow = MCQ_PAUSE;
    CHECK(mcq_sock_bind(s->end[!push_binds].sock, NAME, NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(s->end[push_binds].sock, NAME, NULL) == MCQ_OK);
}

static void stuck_accepting(struct stage *s)
{
    stuck(s, true);
}

static void stuck_connecting(struct stage *s)
{
    stuck(s, false);
}

static bool both_up(struct stage *s)
{
    return told(s, 0, MCQ_EVENT_UP) == 1 && told(s, 1, MCQ_EVENT_UP) == 1;
}

static void stuck_fill(struct stage *s)
{
    send_some(&s->end[0], 1000);
    CHECK(s->end[0].sent == 50);
}

static bool stuck_paused(struct stage *s)
{
    send_some(&s->end[0], 1000); /* no room again before half of it has gone */
    return s->end[1].got == 1 && s->end[0].sent == 50;
}

static void stuck_close(struct stage *s)
{
    mcq_sock_close_within(s->end[0].sock, 5);
}

static bool stuck_closed(struct stage *s)
{
    return s->end[0].closed && told(s, 1, MCQ_EVENT_DISCONNECTED) == 1;
}

static void stuck_counted(struct stage *s)
{
    CHECK(s->end[1].got == 1 && s->end[0].left == 49);
    CHECK(s->end[0].diary.report.msgs_out == 1 && s->end[1].diary.report.msgs_in == 1);
    CHECK(s->end[0].diary.report.lost_lo == s->end[0].diary.report.lost_hi);
}

static void stuck_close_at_once(struct stage *s)
{
    mcq_sock_close_within(s->end[0].sock, MCQ_NONE);
}

/* In time, what is queued still goes. */
static void stuck_close_and_resume(struct stage *s)
{
    mcq_sock_close_within(s->end[0].sock, 60000); /* longer than a trial may take */
    s->end[1].flow = MCQ_CONTINUE;
    CHECK(mcq_peer_resume(s->end[1].sock, s->end[1].peer) == MCQ_OK);
}

static void stuck_all_came(struct stage *s)
{
    CHECK(s->end[1].got == 50 && s->end[0].left == 0);
    CHECK(s->end[0].diary.report.msgs_out == 50 && s->end[1].diary.report.msgs_in == 50);
}

/* The receiver ends it: the sender's connect keeps what is queued, and comes back with it. */
static void stuck_peer_close(struct stage *s)
{
    s->end[1].flow = MCQ_CONTINUE;
    CHECK(mcq_peer_close(s->end[1].sock, s->end[1].peer) == MCQ_OK);
}

static bool stuck_came_back(struct stage *s)
{
    return told(s, 0, MCQ_EVENT_UP) == 2 && s->end[1].got == 50;
}

static void stuck_came_whole(struct stage *s)
{
    CHECK(told(s, 0, MCQ_EVENT_DISCONNECTED) == 1 && why(s, 0, MCQ_REASON_PEER_CLOSED) == 1);
    CHECK(s->end[0].left == 0 && told(s, 0, MCQ_EVENT_RETRY) == 1);
}

/* One that nobody has bound: its queue waits until the linger deadline. */
static void lonely(struct stage *s)
{
    connect_end(s, 0, MCQ_PUSH);
    send_some(&s->end[0], 12);
    mcq_sock_close_within(s->end[0].sock, 5);
}

static bool lonely_closed(struct stage *s)
{
    return s->end[0].closed;
}

static void lonely_counted(struct stage *s)
{
    CHECK(s->end[0].left == 12 && told(s, 0, MCQ_EVENT_UP) == 0);
}

/* A bind within the linger of the connect. */
static void lonely_saved(struct stage *s)
{
    connect_end(s, 0, MCQ_PUSH);
    send_some(&s->end[0], 12);
    mcq_sock_close_within(s->end[0].sock, 60000);
    bind_end(s, 1, MCQ_PULL);
}

static bool lonely_came(struct stage *s)
{
    return s->end[0].closed && s->end[1].got == 12;
}

/* --- slow receivers --------------------------------------------------------------------------- */

#define NUMBERS 40u

static void slow_open(struct stage *s, enum mcq_slow slow)
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.send_hwm_msgs = 10;
    opts.slow = slow;
    opts.reconnect_min_ms = 1;
    opts.heartbeat_ms = 1; /* there is nobody to be heard */
    CHECK(mcq_sock_connect(open_end(s, 0, MCQ_PUSH, &opts), NAME, NULL) == MCQ_OK);
    bind_end(s, 1, MCQ_PULL);
    s->end[1].flow = MCQ_PAUSE;
}

static void slow_drop_new(struct stage *s)
{
    slow_open(s, MCQ_SLOW_DROP_NEW);
}

static void slow_drop_old(struct stage *s)
{
    slow_open(s, MCQ_SLOW_DROP_OLD);
}

static void slow_conflate(struct stage *s)
{
    slow_open(s, MCQ_SLOW_CONFLATE);
}

static void slow_disconnect(struct stage *s)
{
    slow_open(s, MCQ_SLOW_DISCONNECT);
}

static void slow_number(struct stage *s)
{
    uint32_t nr = (uint32_t)s->end[0].sent + 1;
    enum mcq_error err = mcq_send_bytes(s->end[0].sock, &nr, sizeof(nr));
    s->end[0].sent += err == MCQ_OK;
}

static bool slow_stuck(struct stage *s)
{
    return s->end[1].got == 1;
}

/* More than there is room for, while nobody takes any. */
static void slow_flood(struct stage *s)
{
    struct mcq_peer_stats stats;
    CHECK(mcq_peer_stats(s->end[1].sock, s->end[1].peer, &stats) == MCQ_OK);
    CHECK(stats.paused && stats.msgs_in == 1 && stats.bytes_in == 6 && stats.unacked_bytes == 0);
    while (s->end[0].sent < NUMBERS)
        slow_number(s);
    if (mcq_peer_stats(s->end[0].sock, s->end[0].peer, &stats) != MCQ_OK)
        return; /* the policy is to disconnect */
    CHECK(stats.msgs_out == 1 && stats.queued_msgs <= 10 && stats.dropped >= NUMBERS - 11);
    CHECK(stats.queued_msgs + stats.dropped == NUMBERS - 1 && stats.queued_bytes >= 6);
}

static void slow_resume(struct stage *s)
{
    s->end[1].flow = MCQ_CONTINUE;
    CHECK(mcq_peer_resume(s->end[1].sock, s->end[1].peer) == MCQ_OK);
}

static bool slow_told(struct stage *s)
{
    return s->end[1].got + s->end[0].left == NUMBERS;
}

static void slow_kept_first(struct stage *s)
{
    CHECK(s->end[1].got == 11 && s->end[1].last == 11 && told(s, 0, MCQ_EVENT_SLOW) == 1);
}

static void slow_kept_last(struct stage *s)
{
    CHECK(s->end[1].got == 11 && s->end[1].last == NUMBERS);
}

static void slow_kept_newest(struct stage *s)
{
    CHECK(s->end[1].got == 2 && s->end[1].last == NUMBERS);
}

/* Bodies of several blocks, in a queue of which some may always be dropped. */
static void slow_large(struct stage *s)
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.send_hwm_bytes = 250000;
    opts.slow = MCQ_SLOW_DROP_OLD;
    CHECK(mcq_sock_connect(open_end(s, 0, MCQ_PUSH, &opts), NAME, NULL) == MCQ_OK);
    bind_end(s, 1, MCQ_PULL);
    s->end[1].flow = MCQ_PAUSE;
}

static void slow_large_flood(struct stage *s)
{
    static uint8_t body[100000];
    for (; s->end[0].sent < NUMBERS; s->end[0].sent++)
        CHECK(mcq_send_bytes(s->end[0].sock, body, sizeof(body)) == MCQ_OK);
}

static void slow_large_kept(struct stage *s)
{
    CHECK(s->end[1].got >= 2 && s->end[1].got <= 4);
}

/* The eleventh ends the pair; a connect keeps what it has queued, and comes back. */
static bool slow_came_back(struct stage *s)
{
    if (why(s, 1, MCQ_REASON_RESET) == 1)
        s->end[1].flow = MCQ_CONTINUE;
    return told(s, 0, MCQ_EVENT_UP) >= 2 && s->end[1].got + s->end[0].left == s->end[0].sent;
}

static void slow_ended(struct stage *s)
{
    uint32_t nr = (uint32_t)s->end[0].sent + 1;
    while (s->end[0].sent < 12 && mcq_send_bytes(s->end[0].sock, &nr, sizeof(nr)) == MCQ_OK)
        nr = (uint32_t)++s->end[0].sent + 1;
}

static void slow_end_counted(struct stage *s)
{
    CHECK(why(s, 0, MCQ_REASON_SLOW) == 1 && s->end[0].left >= 1 && s->end[1].got >= 10);
}

/* --- killed ----------------------------------------------------------------------------------- */

static void kill_here(struct stage *s)
{
    CHECK(mcq_peer_kill(s->end[0].sock, s->end[0].peer) == MCQ_OK);
    CHECK(told(s, 0, MCQ_EVENT_DISCONNECTED) == 0);
    s->end[1].flow = MCQ_CONTINUE;
}

static bool killed_accepted(struct stage *s)
{
    return told(s, 0, MCQ_EVENT_DISCONNECTED) == 1 && told(s, 1, MCQ_EVENT_UP) == 2;
}

static void killed_told(struct stage *s)
{
    CHECK(why(s, 0, MCQ_REASON_KILLED) == 1 && why(s, 1, MCQ_REASON_RESET) == 1);
    CHECK(s->end[0].left == 49 && s->end[1].got == 1);
}

static bool killed_connected(struct stage *s)
{
    return told(s, 0, MCQ_EVENT_UP) == 2 && s->end[1].got == 50;
}

static void killed_whole(struct stage *s)
{
    CHECK(why(s, 0, MCQ_REASON_KILLED) == 1 && why(s, 1, MCQ_REASON_RESET) == 1);
    CHECK(s->end[0].left == 0);
}

/* Inside a handler: nothing of the next batch comes any more. */
static void kill_inside(struct stage *s)
{
    bind_end(s, 0, MCQ_PUSH);
    connect_end(s, 1, MCQ_PULL);
    s->end[1].kills = true;
}

static void kill_inside_send(struct stage *s)
{
    send_some(&s->end[0], 700);
    CHECK(s->end[0].sent == 700);
}

static bool kill_inside_told(struct stage *s)
{
    return told(s, 0, MCQ_EVENT_DISCONNECTED) == 1 && told(s, 1, MCQ_EVENT_DISCONNECTED) == 1;
}

static void kill_inside_counted(struct stage *s)
{
    CHECK(s->end[1].got >= 1 && s->end[1].got <= 256);
    CHECK(s->end[1].got + s->end[0].left == 700);
    CHECK(s->end[0].diary.report.msgs_out == s->end[1].got);
}

/* A newcomer takes over the identity of a ghost. */
static void ghost(struct stage *s)
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT, named = MCQ_SOCK_OPTS_INIT;
    opts.identity_policy = MCQ_IDENTITY_REPLACE;
    named.identity = "twin";
    named.identity_len = 4;
    CHECK(mcq_sock_bind(open_end(s, 0, MCQ_ROUTER, &opts), NAME, NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(open_end(s, 1, MCQ_DEALER, &named), NAME, NULL) == MCQ_OK);
    open_end(s, 2, MCQ_DEALER, &named);
}

static void ghost_replaced(struct stage *s)
{
    CHECK(mcq_sock_connect(s->end[2].sock, NAME, NULL) == MCQ_OK);
}

static bool ghost_gone(struct stage *s)
{
    if (told(s, 1, MCQ_EVENT_DISCONNECTED) == 1 && !s->end[1].closed)
        mcq_sock_close_within(s->end[1].sock, MCQ_NONE); /* else it would come back */
    return s->end[1].closed && told(s, 2, MCQ_EVENT_UP) == 1;
}

static void ghost_told(struct stage *s)
{
    CHECK(why(s, 0, MCQ_REASON_REPLACED) == 1 && why(s, 1, MCQ_REASON_RESET) == 1);
    CHECK(mcq_sock_peer_cnt(s->end[0].sock) == 1);
}

/* --- more than the receiver takes ------------------------------------------------------------- */

static void too_many(struct stage *s)
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    struct mcq_frame frames[4] = {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}};
    struct mcq_msg few = mcq_msg_of_frames(frames, 3), many = mcq_msg_of_frames(frames, 4);
    opts.msg_frames_max = 3;
    opts.reconnect_min_ms = 1;
    CHECK(mcq_sock_connect(open_end(s, 0, MCQ_PUSH, &opts), NAME, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(open_end(s, 1, MCQ_PULL, &opts), NAME, NULL) == MCQ_OK);
    CHECK(mcq_send(s->end[0].sock, &few) == MCQ_OK);
    CHECK(mcq_send(s->end[0].sock, &many) == MCQ_OK);
    few = mcq_msg_of_frames(frames, 3);
    CHECK(mcq_send(s->end[0].sock, &few) == MCQ_OK);
}

static bool too_many_lost(struct stage *s)
{
    return s->end[1].got == 2 && told(s, 0, MCQ_EVENT_UP) == 2;
}

static void too_many_told(struct stage *s)
{
    const struct mcq_report *from = &s->end[0].diary.report, *to = &s->end[1].diary.report;
    CHECK(why(s, 1, MCQ_REASON_LIMIT) == 1 && why(s, 0, MCQ_REASON_RESET) == 1);
    CHECK(from->msgs_out == 2 && from->lost_lo == 1 && from->lost_hi == 2 && to->msgs_in == 1);
    CHECK(s->end[0].left == 0);
}

static void too_long(struct stage *s)
{
    static uint8_t body[30000];
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.frame_max_bytes = 1000;
    opts.reconnect_min_ms = 1;
    CHECK(mcq_sock_connect(open_end(s, 0, MCQ_PUSH, &opts), NAME, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(open_end(s, 1, MCQ_PULL, &opts), NAME, NULL) == MCQ_OK);
    CHECK(mcq_send_bytes(s->end[0].sock, body, 1000) == MCQ_OK);
    CHECK(mcq_send_bytes(s->end[0].sock, body, 30000) == MCQ_OK);
    CHECK(mcq_send_bytes(s->end[0].sock, body, 1000) == MCQ_OK);
}

/* --- ends inside handlers --------------------------------------------------------------------- */

static void close_all(struct end *e)
{
    for (unsigned i = 0; i < 2; i++)
        mcq_sock_close(e->stage->end[i].sock);
}

static void close_peers(struct end *e)
{
    for (unsigned i = 0; i < 2; i++)
        (void)mcq_peer_close(e->stage->end[i].sock, e->stage->end[i].peer);
    for (unsigned i = 0; i < 2; i++)
        CHECK(mcq_sock_unbind(e->stage->end[i].sock, NAME, NULL) == MCQ_OK ||
              mcq_sock_disconnect(e->stage->end[i].sock, NAME, NULL) == MCQ_OK || i == 1);
}

static void abrupt(struct stage *s, unsigned i, void (*act)(struct end *))
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.linger_ms = 20; /* one side may go before the other's queue was its turn */
    s->end[i].on_up = act;
    CHECK(mcq_sock_bind(open_end(s, 0, MCQ_PAIR, &opts), NAME, NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(open_end(s, 1, MCQ_PAIR, &opts), NAME, NULL) == MCQ_OK);
    send_some(&s->end[0], 3);
    send_some(&s->end[1], 3);
}

static void abrupt_bound_closes(struct stage *s)
{
    abrupt(s, 0, close_all);
}

static void abrupt_connected_closes(struct stage *s)
{
    abrupt(s, 1, close_all);
}

static void abrupt_bound_parts(struct stage *s)
{
    abrupt(s, 0, close_peers);
}

static void abrupt_connected_parts(struct stage *s)
{
    abrupt(s, 1, close_peers);
}

static bool abrupt_closed(struct stage *s)
{
    return s->end[0].closed && s->end[1].closed;
}

static bool abrupt_parted(struct stage *s)
{
    return mcq_sock_peer_cnt(s->end[0].sock) == 0 && mcq_sock_peer_cnt(s->end[1].sock) == 0 &&
           told(s, 0, MCQ_EVENT_UP) == 1;
}

#define PLAY(name, ...) play(name, (const struct step[]){__VA_ARGS__, {NULL, NULL}})

static void all_plays(void)
{
    PLAY("names", {names_taken, names_right});
    PLAY("connect before bind", {early_connect, early_waited}, {early_bind, early_came},
         {early_unbind, early_stayed}, {early_close, early_gone}, {early_again, early_rejoined},
         {early_disconnect, early_left});
    PLAY("misfits", {misfits, misfits_refused}, {misfits_end, at_once});
    PLAY("a second peer of a PAIR", {second, second_refused}, {second_goes, second_came});
    PLAY("namesakes", {namesakes, namesakes_refused}, {namesakes_found, namesakes_addressed});
    PLAY("a socket and itself", {self, self_heard});
    PLAY("linger of the accepting side", {stuck_accepting, both_up}, {stuck_fill, stuck_paused},
         {stuck_close, stuck_closed}, {stuck_counted, at_once});
    PLAY("linger of the connecting side", {stuck_connecting, both_up}, {stuck_fill, stuck_paused},
         {stuck_close, stuck_closed}, {stuck_counted, at_once});
    PLAY("no linger", {stuck_connecting, both_up}, {stuck_fill, stuck_paused},
         {stuck_close_at_once, stuck_closed}, {stuck_counted, at_once});
    PLAY("resumed in time", {stuck_accepting, both_up}, {stuck_fill, stuck_paused},
         {stuck_close_and_resume, stuck_closed}, {stuck_all_came, at_once});
    PLAY("closed by the receiver", {stuck_connecting, both_up}, {stuck_fill, stuck_paused},
         {stuck_peer_close, stuck_came_back}, {stuck_came_whole, at_once});
    PLAY("nobody comes", {lonely, lonely_closed}, {lonely_counted, at_once});
    PLAY("somebody comes late", {lonely_saved, lonely_came});
    PLAY("more frames than it takes", {too_many, too_many_lost}, {too_many_told, at_once});
    PLAY("longer than it takes", {too_long, too_many_lost}, {too_many_told, at_once});
    PLAY("drop-new", {slow_drop_new, both_up}, {slow_number, slow_stuck}, {slow_flood, at_once},
         {slow_resume, slow_told}, {slow_kept_first, at_once});
    PLAY("drop-old", {slow_drop_old, both_up}, {slow_number, slow_stuck}, {slow_flood, at_once},
         {slow_resume, slow_told}, {slow_kept_last, at_once});
    PLAY("drop-old of large bodies", {slow_large, both_up}, {slow_number, slow_stuck},
         {slow_large_flood, at_once}, {slow_resume, slow_told}, {slow_large_kept, at_once});
    PLAY("conflate", {slow_conflate, both_up}, {slow_number, slow_stuck}, {slow_flood, at_once},
         {slow_resume, slow_told}, {slow_kept_newest, at_once});
    PLAY("disconnect", {slow_disconnect, both_up}, {slow_number, slow_stuck},
         {slow_ended, slow_came_back}, {slow_end_counted, at_once});
    PLAY("killed, accepting", {stuck_accepting, both_up}, {stuck_fill, stuck_paused},
         {kill_here, killed_accepted}, {killed_told, at_once});
    PLAY("killed, connecting", {stuck_connecting, both_up}, {stuck_fill, stuck_paused},
         {kill_here, killed_connected}, {killed_whole, at_once});
    PLAY("killed inside", {kill_inside, both_up}, {kill_inside_send, kill_inside_told},
         {kill_inside_counted, at_once});
    PLAY("a ghost", {ghost, both_up}, {ghost_replaced, ghost_gone}, {ghost_told, at_once});
    PLAY("closed in UP, accepting", {abrupt_bound_closes, abrupt_closed});
    PLAY("closed in UP, connecting", {abrupt_connected_closes, abrupt_closed});
    PLAY("parted in UP, accepting", {abrupt_bound_parts, abrupt_parted});
    PLAY("parted in UP, connecting", {abrupt_connected_parts, abrupt_parted});
}

/* --- anything at any time --------------------------------------------------------------------- */

#define SOCKS 10u
#define ACTS  60000u

struct actor {
    struct chaos *chaos;
    struct mcq_sock *sock; /* NULL: none */
    struct mcq_peer peer;
    struct mcq_diary *diary;
};

struct chaos {
    struct mcq_shard *shard;
    struct mcq_timer *timer;
    struct actor actors[SOCKS];
    uint64_t random;
    unsigned long acts, sent, got, left, lost;
};

static uint32_t roll(struct chaos *c, uint32_t sides)
{
    c->random = c->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(c->random >> 33) % sides;
}

static void act(struct chaos *c);

static void chaos_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct actor *a = ctx;
    struct chaos *c = a->chaos;
    (void)sock;
    mcq_diary_add(a->diary, event);
    if (event->kind == MCQ_EVENT_UP)
        a->peer = event->peer;
    if (event->kind == MCQ_EVENT_DROPPED)
        c->left += event->cnt;
    if (event->kind == MCQ_EVENT_DISCONNECTED)
        c->lost += event->report.lost_hi - event->report.lost_lo;
    if (roll(c, 4) == 0)
        act(c);
}

static size_t chaos_messages(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                             struct mcq_msg *msgs, size_t n)
{
    struct actor *a = ctx;
    struct chaos *c = a->chaos;
    size_t i = 0;
    for (; i < n && roll(c, 64) != 0; i++) {
        uint32_t seq;
        CHECK(msgs[i].len >= sizeof(seq));
        memcpy(&seq, msgs[i].data, sizeof(seq));
        if (!mcq_body_right((const uint8_t *)msgs[i].data + sizeof(seq), msgs[i].len - sizeof(seq),
                            seq))
            CHECK(!"the body is right");
        c->got++;
        if (roll(c, 16) == 0)
            act(c);
    }
    a->peer = from;
    if (i < n && roll(c, 2) == 0)
        (void)mcq_peer_resume(sock, from);
    return i;
}

static void chaos_writable(void *ctx, struct mcq_sock *sock)
{
    struct actor *a = ctx;
    (void)sock;
    act(a->chaos);
}

static void chaos_closed(void *ctx, struct mcq_sock *sock)
{
    struct actor *a = ctx;
    (void)sock;
    mcq_diary_end(a->diary);
    free(a->diary);
    a->sock = NULL;
    if (a->chaos->timer != NULL)
        act(a->chaos);
}

static const struct mcq_sock_handlers acting = {.messages = chaos_messages,
                                                .writable = chaos_writable,
                                                .event = chaos_event,
                                                .closed = chaos_closed};

static void chaos_open(struct chaos *c, struct actor *a)
{
    static const enum mcq_sock_type types[] = {MCQ_PUSH, MCQ_PULL, MCQ_DEALER, MCQ_PAIR};
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.send_hwm_msgs = 1 + roll(c, 40);
    opts.reconnect_min_ms = 1;
    opts.reconnect_max_ms = 1;
    opts.linger_ms = 3;
    enum mcq_sock_type type = types[roll(c, 4)];
    if (type != MCQ_PULL && roll(c, 2) == 0)
        opts.slow = (enum mcq_slow)roll(c, MCQ_SLOW_DISCONNECT + 1);
    *a = (struct actor){.chaos = c, .diary = calloc(1, sizeof(*a->diary))};
    CHECK(mcq_sock_open(c->shard, type, &opts, &acting, a, &a->sock, NULL) == MCQ_OK);
}

static void chaos_send(struct chaos *c, struct actor *a)
{
    static uint8_t body[70000];
    for (uint32_t n = roll(c, 30); n > 0; n--) {
        size_t len = 4 + (roll(c, 20) == 0 ? roll(c, 60000) : roll(c, 100));
        uint32_t seq = (uint32_t)c->sent;
        memcpy(body, &seq, sizeof(seq));
        mcq_body_fill(body + sizeof(seq), len - sizeof(seq), seq);
        if (mcq_send_bytes(a->sock, body, len) != MCQ_OK)
            return;
        c->sent++;
    }
}

static void act(struct chaos *c)
{
    static const char *const names[] = {"inproc://a", "inproc://b", "inproc://c"};
    struct actor *a = &c->actors[roll(c, SOCKS)];
    const char *name = names[roll(c, 3)];
    c->acts++;
    if (a->sock == NULL) {
        if (c->timer != NULL)
            chaos_open(c, a);
        return;
    }
    switch (roll(c, 40)) {
    case 0 ... 3:
        (void)!mcq_sock_bind(a->sock, name, NULL);
        break;
    case 4 ... 7:
        (void)!mcq_sock_connect(a->sock, name, NULL);
        break;
    case 8:
        (void)!mcq_sock_unbind(a->sock, name, NULL);
        break;
    case 9 ... 10:
        (void)!mcq_sock_disconnect(a->sock, name, NULL);
        break;
    case 11:
        (void)(roll(c, 2) == 0 ? mcq_peer_close : mcq_peer_kill)(a->sock, a->peer);
        break;
    case 12:
        mcq_sock_close_within(a->sock, roll(c, 2) == 0 ? MCQ_NONE : 2);
        break;
    case 13 ... 19:
        (void)mcq_peer_resume(a->sock, a->peer);
        break;
    case 20:
        CHECK(mcq_flush(a->sock) == MCQ_OK);
        break;
    default:
        chaos_send(c, a);
    }
}

static void chaos_tick(void *ctx, struct mcq_timer *timer)
{
    struct chaos *c = ctx;
    for (uint32_t n = roll(c, 8); n > 0; n--)
        act(c);
    if (c->acts < ACTS) {
        mcq_timer_arm(timer, mcq_shard_now(c->shard) + roll(c, 3) * US);
        return;
    }
    c->timer = NULL;
    mcq_timer_close(timer);
    mcq_stop(c->shard);
}

static int chaos_start(struct mcq_shard *shard, void *arg)
{
    struct chaos *c = arg;
    c->shard = shard;
    CHECK(mcq_timer_open(shard, chaos_tick, c, &c->timer) == MCQ_OK);
    mcq_timer_arm(c->timer, mcq_shard_now(shard));
    return 0;
}

/* What was sent has arrived, or somebody was told that it won't. */
static void chaos(uint64_t seed)
{
    struct chaos c = {.random = seed};
    struct mcq_trial trial = {"anything at any time", mcq_trial_opts(), chaos_start, NULL, &c};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    if (!CHECK(c.sent == c.got + c.left + c.lost) || !CHECK(c.got > ACTS / 4))
        printf("  seed %llu: sent %lu, got %lu, left %lu, lost %lu\n", (unsigned long long)seed,
               c.sent, c.got, c.left, c.lost);
    CHECK(stats.proto.msgs_in == c.got && stats.proto.msgs_out == c.got + c.lost);
    CHECK(stats.mem.blocks_now == 0 || stats.loop.conns_peak == 0);
}

int main(int argc, char **argv)
{
    all_plays();
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    for (uint64_t i = 0; i < 5; i++)
        chaos(seed + i);
    return mcq_trial_end();
}
