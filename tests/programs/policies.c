/* A reader that stalls, under every policy, on every way to send: what it gets in the end, and what
 * is counted and told of the rest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define MSGS 4000u
#define LEN  1000u
#define TICK 100u /* messages of one callback */
#define HWM  100u

enum way { SEND, BYTES, MANY, RESERVE, TO, BY_IDENTITY, WAY_CNT };

static const char *const way_names[WAY_CNT] = {
    "mcq_send", "mcq_send_bytes", "mcq_send_many", "mcq_tx_reserve", "mcq_send_to", "by identity",
};

struct policy {
    enum mcq_sock_type type;
    enum mcq_slow slow;
    enum way way;
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_timer *timer;
    struct mcq_diary diary;
    struct mcq_peer peer;
    char endpoint[64];
    uint32_t next;  /* number of the next message */
    uint32_t taken; /* messages mcq_send was done with */
    bool waits;     /* for writable */
    atomic_ulong ready, again, done, slow_told, slow_ended;
    unsigned long told[MCQ_REASON_KILLED + 1]; /* messages dropped, by reason */
    struct mcq_shard_stats mid;
};

/* --- the sender --------------------------------------------------------------------------------
 */

static enum mcq_error send_reserved(struct mcq_sock *sock, const char *body)
{
    void *at;
    enum mcq_error err = mcq_tx_reserve(sock, LEN, &at);
    if (err != MCQ_OK)
        return err;
    memcpy(at, body, LEN);
    CHECK(mcq_tx_commit(sock, LEN) == MCQ_OK);
    return MCQ_OK;
}

static enum mcq_error send_one(struct policy *p, const char *body)
{
    struct mcq_frame frames[] = {{"me", 2}, {body, LEN}};
    struct mcq_msg m = mcq_msg_of(body, LEN);
    size_t sent;
    switch (p->way) {
    case BYTES:
        return mcq_send_bytes(p->sock, body, LEN);
    case MANY:
        return mcq_send_many(p->sock, &m, 1, &sent);
    case RESERVE:
        return send_reserved(p->sock, body);
    case TO:
        return mcq_send_to(p->sock, p->peer, &m);
    case BY_IDENTITY:
        m = mcq_msg_of_frames(frames, 2);
        return mcq_send(p->sock, &m);
    case SEND:
    case WAY_CNT:
        break;
    }
    return mcq_send(p->sock, &m);
}

/* Everything has been sent, or the peer is gone: nothing is dropped from now on. */
static void finish_sending(struct policy *p)
{
    mcq_shard_stats(p->shard, &p->mid);
    atomic_store(&p->done, 1);
}

static void send_some(struct policy *p)
{
    char body[LEN] = "";
    for (uint32_t i = 0; i < TICK && p->next < MSGS && !p->waits; i++) {
        memcpy(body, &p->next, sizeof(p->next));
        enum mcq_error err = send_one(p, body);
        if (err == MCQ_EAGAIN) {
            p->waits = true;
            atomic_fetch_add(&p->again, 1);
        } else if (err == MCQ_ESTALE) {
            p->next = MSGS;
        } else if (CHECK(err == MCQ_OK)) {
            p->next++;
            p->taken++;
        }
    }
    if (p->next == MSGS && p->done == 0)
        finish_sending(p);
}

static void on_tick(void *ctx, struct mcq_timer *timer)
{
    struct policy *p = ctx;
    send_some(p);
    if (p->next < MSGS && !p->waits)
        mcq_timer_arm(timer, mcq_shard_now(p->shard) + 200000);
}

static void on_writable(void *ctx, struct mcq_sock *sock)
{
    struct policy *p = ctx;
    (void)sock;
    if (!p->waits)
        return;
    p->waits = false;
    mcq_timer_arm(p->timer, 0);
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct policy *p = ctx;
    (void)sock;
    mcq_diary_add(&p->diary, event);
    if (event->kind == MCQ_EVENT_UP) {
        p->peer = event->peer;
        mcq_timer_arm(p->timer, 0);
    }
    if (event->kind == MCQ_EVENT_DROPPED)
        p->told[event->reason] += event->cnt;
    if (event->kind == MCQ_EVENT_SLOW) {
        CHECK(mcq_peer_equal(event->peer, p->peer) && event->cnt == HWM);
        CHECK(p->slow_told == p->slow_ended);
        atomic_fetch_add(&p->slow_told, 1);
    }
    if (event->kind == MCQ_EVENT_SLOW_END) {
        atomic_fetch_add(&p->slow_ended, 1);
        CHECK(mcq_peer_equal(event->peer, p->peer) && p->slow_told == p->slow_ended);
    }
    if (event->kind == MCQ_EVENT_DISCONNECTED && p->done == 0)
        finish_sending(p);
}

static const struct mcq_sock_handlers handlers = {.event = on_event, .writable = on_writable};

static int start(struct mcq_shard *shard, void *arg)
{
    struct policy *p = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.slow = p->slow;
    opts.send_hwm_msgs = HWM;
    opts.send_buffer_bytes = 4096;
    opts.notsent_lowat_bytes = 4096;
    p->shard = shard;
    CHECK(mcq_timer_open(shard, on_tick, p, &p->timer) == MCQ_OK);
    CHECK(mcq_sock_open(shard, p->type, &opts, &handlers, p, &p->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(p->sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
    snprintf(p->endpoint, sizeof(p->endpoint), "%s", mcq_sock_endpoint(p->sock));
    atomic_store(&p->ready, 1);
    return 0;
}

/* --- the reader --------------------------------------------------------------------------------
 */

static void stop(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    mcq_stop(shard);
}

/* Reads up to `most` messages: whole, in order, none twice. Returns how many came; *last is the
 * number of the last, *gapless the first number that was missing. */
static unsigned read_numbers(int fd, unsigned most, uint32_t *last, uint32_t *gapless)
{
    struct mcq_text body = {NULL, 0, 0};
    unsigned flags, cnt = 0;
    *gapless = 0;
    while (cnt < most && mcq_raw_next_message(fd, &flags, &body)) {
        uint32_t n = UINT32_MAX;
        CHECK(body.len == LEN && (flags & MCQ_RAW_MORE) == 0);
        memcpy(&n, body.ptr, sizeof(n));
        CHECK(n < MSGS && (cnt == 0 || n > *last));
        *gapless += n == *gapless ? 1 : 0;
        *last = n;
        cnt++;
    }
    mcq_text_fini(&body);
    return cnt;
}

static uint64_t dropped(const struct mcq_shard_stats *stats)
{
    const struct mcq_pattern_stats *s = &stats->pattern;
    return s->drops_hwm + s->drops_old + s->conflated + s->drops_no_peer;
}

static const char *peer_type(const struct policy *p)
{
    switch ((int)p->type) {
    case MCQ_PUSH:
        return "PULL";
    case MCQ_PAIR:
        return "PAIR";
    default:
        return "DEALER";
    }
}

static void read_to_the_end(struct policy *p, int fd)
{
    uint32_t last = 0, gapless;
    bool blocks = p->slow == MCQ_SLOW_BLOCK;
    if (!blocks && p->slow != MCQ_SLOW_DISCONNECT && p->again == 0)
        CHECK(mcq_trial_wait(&p->done, 1));
    if (p->again != 0 && !blocks)
        blocks = true; /* reservations of policies that have nothing to drop yet */
    unsigned cnt =
        read_numbers(fd, blocks ? MSGS : (unsigned)(MSGS - dropped(&p->mid)), &last, &gapless);
    CHECK(mcq_trial_wait(&p->done, 1));
    CHECK(cnt + dropped(&p->mid) == MSGS);
    CHECK(last == MSGS - 1 || p->slow == MCQ_SLOW_DROP_NEW);
    CHECK(gapless >= HWM || p->slow == MCQ_SLOW_DROP_OLD || p->slow == MCQ_SLOW_CONFLATE);
    CHECK(!blocks || (cnt == MSGS && p->again != 0));
    CHECK(mcq_trial_wait(&p->slow_ended, p->slow_told));
}

static void read_what_is_left(struct policy *p, int fd)
{
    uint32_t last = 0, gapless;
    CHECK(mcq_trial_wait(&p->diary.cnt[MCQ_EVENT_DISCONNECTED], 1));
    unsigned cnt = read_numbers(fd, MSGS, &last, &gapless);
    CHECK(cnt == gapless);
}

static void *stall(void *arg)
{
    struct policy *p = arg;
    mcq_trial_wait(&p->ready, 1);
    int fd = mcq_raw_connect(p->endpoint, 4096);
    CHECK(fd >= 0 && mcq_raw_hello(fd, peer_type(p), "me"));
    /* It reads nothing until the policy has had its say. */
    for (unsigned i = 0; i < MCQ_RAW_WAIT_MS && p->done == 0 && p->again == 0; i++)
        usleep(1000);
    if (p->slow == MCQ_SLOW_DISCONNECT && p->way != RESERVE)
        read_what_is_left(p, fd);
    else
        read_to_the_end(p, fd);
    CHECK(mcq_post(p->shard, stop, p) == MCQ_OK);
    mcq_raw_close(fd);
    return NULL;
}

/* --- what was counted --------------------------------------------------------------------------
 */

static void check_told(const struct policy *p, const struct mcq_pattern_stats *s)
{
    uint64_t ended = p->told[MCQ_REASON_HWM] + p->told[MCQ_REASON_SLOW];
    CHECK(ended == s->drops_hwm + s->drops_old + s->drops_end);
    CHECK(p->told[MCQ_REASON_CONFLATED] == s->conflated);
    CHECK(p->told[MCQ_REASON_NO_PEER] == s->drops_no_peer);
    CHECK(s->slow_enters == s->slow_leaves);
    /* Coming and going within a turn is told once. */
    CHECK(p->slow_told == p->slow_ended && p->slow_told <= s->slow_enters);
    CHECK((p->slow_told != 0) == (s->slow_enters != 0));
}

static void check_policy(const struct policy *p, const struct mcq_pattern_stats *s)
{
    bool reserves = p->way == RESERVE;
    switch (p->slow) {
    case MCQ_SLOW_DEFAULT:
    case MCQ_SLOW_BLOCK:
        CHECK(s->again != 0 && s->drops_hwm + s->drops_old + s->conflated == 0);
        break;
    case MCQ_SLOW_DROP_NEW:
        CHECK((s->drops_hwm != 0) != reserves && s->drops_old == 0);
        break;
    case MCQ_SLOW_DROP_OLD:
        CHECK(s->drops_old > MSGS / 2 && s->drops_hwm == 0 && s->again == 0);
        break;
    case MCQ_SLOW_CONFLATE:
        CHECK(s->conflated > MSGS / 2 && s->drops_hwm + s->drops_old + s->slow_enters == 0);
        break;
    case MCQ_SLOW_DISCONNECT:
        CHECK(s->slow_disconnects == (reserves ? 0 : 1));
        CHECK(p->diary.reasons[MCQ_REASON_SLOW] == (reserves ? 0 : 1));
        CHECK(reserves || p->told[MCQ_REASON_SLOW] != 0);
        CHECK((s->drops_end == 0) == reserves && s->drops_end <= HWM);
        break;
    }
}

static void run(enum mcq_sock_type type, enum mcq_slow slow, enum way way)
{
    static const char *const slow_names[] = {"default",  "block",    "drop-new",
                                             "drop-old", "conflate", "disconnect"};
    char name[96];
    struct policy *p = calloc(1, sizeof(*p));
    snprintf(name, sizeof(name), "type %d, %s, %s", (int)type, slow_names[slow], way_names[way]);
    p->type = type;
    p->slow = slow;
    p->way = way;
    struct mcq_trial trial = {name, mcq_trial_opts(), start, stall, p};
    const struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(p->taken == stats.proto.msgs_out + dropped(&stats) + stats.pattern.drops_end);
    check_told(p, &stats.pattern);
    check_policy(p, &stats.pattern);
    mcq_diary_end(&p->diary);
    free(p);
}

int main(void)
{
    for (int slow = MCQ_SLOW_BLOCK; slow <= MCQ_SLOW_DISCONNECT; slow++) {
        for (int way = SEND; way <= TO; way++)
            run(MCQ_PUSH, (enum mcq_slow)slow, (enum way)way);
        run(MCQ_DEALER, (enum mcq_slow)slow, SEND);
        run(MCQ_PAIR, (enum mcq_slow)slow, BYTES);
        run(MCQ_ROUTER, (enum mcq_slow)slow, TO);
        if (slow != MCQ_SLOW_BLOCK)
            run(MCQ_ROUTER, (enum mcq_slow)slow, BY_IDENTITY);
    }
    return mcq_trial_end();
}
