/* What arrives is delivered, whole, once and in order: however it was cut on the way, however
 * often the handler pauses, whatever is kept of it.
 *
 *     flow [SEED] */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/body.h"
#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define KEPT_MAX   200u
#define FRAMES_MAX 5u

struct flow {
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_timer *timer;
    struct mcq_diary diary;
    struct mcq_peer paused;
    char endpoint[64];
    atomic_ulong ready, got, wrong, posts, pauses;
    uint64_t random, peer_random; /* each side has its own */
    uint32_t msgs;                /* how many there are */
    size_t small, large;          /* lengths of frames */
    bool hold;                    /* no resume yet */
    bool pausing;
    bool one_by_one;
    bool keeping;
    struct mcq_msg kept[KEPT_MAX]; /* of every second message, dropped in random order */
    uint32_t kept_seq[KEPT_MAX];
    uint32_t keeps;
    struct mcq_text log;
    const struct mcq_text *stream;
    struct mcq_shard_stats mid;
};

/* xorshift64 */
static uint32_t below(uint64_t *state, uint32_t limit)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 32) % limit;
}

/* --- messages that both sides know ----------------------------------------------------------- */

static uint32_t frames_of(uint32_t seq)
{
    return seq % 3 != 0 ? 1 : 1 + seq % FRAMES_MAX;
}

static size_t len_of(const struct flow *f, uint32_t seq, uint32_t frame)
{
    if (f->large != 0 && seq % 97 == 50 && frame == 0)
        return f->large + seq % 11;
    return (seq * 7919u + frame * 104729u) % (f->small + 1);
}

static bool is_message(const struct flow *f, const struct mcq_msg *m, uint32_t seq)
{
    if (mcq_msg_frame_cnt(m) != frames_of(seq))
        return false;
    for (uint32_t i = 0; i < m->frame_cnt; i++) {
        struct mcq_frame fr = mcq_msg_frame(m, i);
        if (fr.len != len_of(f, seq, i) || !mcq_body_right(fr.data, fr.len, seq * 16 + i))
            return false;
    }
    return true;
}

static void add_message(const struct flow *f, struct mcq_text *out, uint32_t seq)
{
    static __thread uint8_t body[4u << 20];
    for (uint32_t i = 0; i < frames_of(seq); i++) {
        size_t len = len_of(f, seq, i);
        mcq_body_fill(body, len, seq * 16 + i);
        mcq_raw_frame(out, i + 1 < frames_of(seq) ? MCQ_RAW_MORE : 0, body, len);
    }
}

/* --- keeping --------------------------------------------------------------------------------- */

static void drop_kept(struct flow *f, uint32_t at)
{
    if (f->kept[at].frame_cnt == 0)
        return;
    CHECK(is_message(f, &f->kept[at], f->kept_seq[at]));
    mcq_msg_drop(f->shard, &f->kept[at]);
    CHECK(f->kept[at].frame_cnt == 0);
}

static void keep(struct flow *f, const struct mcq_msg *m, uint32_t seq)
{
    uint32_t at = below(&f->random, KEPT_MAX);
    drop_kept(f, at);
    CHECK(mcq_msg_keep(f->shard, m, &f->kept[at]) == MCQ_OK);
    f->kept_seq[at] = seq;
    f->keeps++;
}

/* --- the shard's side ------------------------------------------------------------------------ */

static void take(struct flow *f, const struct mcq_msg *m)
{
    uint32_t seq = (uint32_t)f->got;
    if (!is_message(f, m, seq))
        atomic_fetch_add(&f->wrong, 1);
    else if (f->keeping)
        keep(f, m, seq);
    atomic_fetch_add(&f->got, 1);
}

static void finish_if_done(struct flow *f, struct mcq_sock *sock)
{
    if (f->got < f->msgs)
        return;
    for (uint32_t i = 0; i < KEPT_MAX; i++)
        drop_kept(f, i);
    mcq_sock_close(sock);
    if (f->timer != NULL)
        mcq_timer_close(f->timer);
    f->timer = NULL;
}

static void resume(void *ctx, struct mcq_timer *timer)
{
    struct flow *f = ctx;
    (void)timer;
    CHECK(mcq_peer_resume(f->sock, f->paused) == MCQ_OK);
}

static void pause_for(struct flow *f, struct mcq_peer from)
{
    f->paused = from;
    atomic_fetch_add(&f->pauses, 1);
    if (!f->hold && f->timer != NULL)
        mcq_timer_arm(f->timer, mcq_shard_now(f->shard) + below(&f->random, 50000));
}

static size_t on_messages(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                          struct mcq_msg *msgs, size_t n)
{
    struct flow *f = ctx;
    size_t k = n;
    CHECK(n >= 1 && n <= 256);
    if (f->pausing && below(&f->random, 3) == 0)
        k = below(&f->random, (uint32_t)n);
    for (size_t i = 0; i < k; i++)
        take(f, &msgs[i]);
    memset(msgs, 0xa5, n * sizeof(*msgs)); /* the array is ours to scribble on */
    if (k < n)
        pause_for(f, from);
    finish_if_done(f, sock);
    return k;
}

static enum mcq_flow on_message(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct flow *f = ctx;
    take(f, msg);
    finish_if_done(f, sock);
    if (!f->pausing || f->got >= f->msgs || below(&f->random, 5) != 0)
        return MCQ_CONTINUE;
    pause_for(f, from);
    return MCQ_PAUSE;
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct flow *f = ctx;
    (void)sock;
    mcq_diary_add(&f->diary, event);
}

static const struct mcq_sock_handlers many = {.messages = on_messages, .event = on_event};
static const struct mcq_sock_handlers one = {.message = on_message, .event = on_event};

static int start(struct mcq_shard *shard, void *arg)
{
    struct flow *f = arg;
    f->shard = shard;
    CHECK(mcq_timer_open(shard, resume, f, &f->timer) == MCQ_OK);
    CHECK(mcq_sock_open(shard, MCQ_PULL, NULL, f->one_by_one ? &one : &many, f, &f->sock, NULL) ==
          MCQ_OK);
    CHECK(mcq_sock_bind(f->sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
    snprintf(f->endpoint, sizeof(f->endpoint), "%s", mcq_sock_endpoint(f->sock));
    atomic_store(&f->ready, 1);
    return 0;
}

/* --- a long stream --------------------------------------------------------------------------- */

/* Writes in pieces of random length. */
static void write_cut(struct flow *f, int fd, const struct mcq_text *out, uint64_t *random)
{
    size_t at = 0;
    (void)f;
    while (at < out->len) {
        uint32_t max = below(random, 4) == 0 ? 100 : 100000;
        size_t n = 1 + below(random, max);
        if (n > out->len - at)
            n = out->len - at;
        if (!CHECK(mcq_raw_write(fd, out->ptr + at, n)))
            return;
        at += n;
    }
}

static void *push(void *arg)
{
    struct flow *f = arg;
    struct mcq_text out = {NULL, 0, 0};
    uint64_t random = f->peer_random;
    mcq_trial_wait(&f->ready, 1);
    int fd = mcq_raw_open(f->endpoint, "PUSH");
    for (uint32_t i = 0; i < f->msgs; i++) {
        add_message(f, &out, i);
        if (i % 50 == 7)
            mcq_raw_command(&out, "PING", "\0\12context", 9);
    }
    write_cut(f, fd, &out, &random);
    CHECK(mcq_raw_ended(fd)); /* the socket closes once it has all */
    mcq_raw_close(fd);
    mcq_text_fini(&out);
    return NULL;
}

static void stream(const char *name, struct flow *f)
{
    struct mcq_trial trial = {name, mcq_trial_opts(), start, push, f};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(f->got == f->msgs && f->wrong == 0);
    CHECK(stats.proto.msgs_in == f->msgs);
    CHECK(stats.pattern.pauses == f->pauses && (!f->pausing || f->pauses > 10));
    /* The block that the kernel still fills counts as pinned until it is full. */
    CHECK(stats.mem.pinned_now <= 32768 && f->diary.dropped == 0);
    if (f->keeping)
        CHECK(f->keeps == f->msgs && stats.mem.keeps_copied > 0 && stats.mem.keeps_shared > 0);
    mcq_diary_end(&f->diary);
    free(f);
}

static struct flow *flow_new(uint64_t random, uint32_t msgs, size_t small, size_t large)
{
    struct flow *f = calloc(1, sizeof(*f));
    if (f == NULL)
        abort();
    f->random = random;
    f->peer_random = random + 77;
    f->msgs = msgs;
    f->small = small;
    f->large = large;
    return f;
}

static void streams(uint64_t seed)
{
    const struct {
        uint32_t msgs;
        size_t small, large;
    } shapes[] = {{20000, 40, 0}, {5000, 3000, 0}, {2000, 20000, 0}, {1000, 3000, 400000}};
    for (unsigned i = 0; i < 16; i++) {
        char name[80];
        unsigned k = i / 4;
        struct flow *f = flow_new(seed + i, shapes[k].msgs, shapes[k].small, shapes[k].large);
        f->pausing = (i & 1) != 0;
        f->one_by_one = (i & 2) != 0;
        snprintf(name, sizeof(name), "stream of frames up to %zu and %zu, %s, %s", f->small,
                 f->large, f->one_by_one ? "message" : "messages",
                 f->pausing ? "paused" : "unpaused");
        stream(name, f);
    }
}

static void keeping(uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++) {
        struct flow *f = flow_new(seed + 40 + i, 4000, i < 2 ? 8000 : 6000, i < 2 ? 0 : 300000);
        f->keeping = true;
        f->pausing = (i & 1) != 0;
        stream("keeping", f);
    }
}

/* --- TCP pushes back ------------------------------------------------------------------------- */

static void let_go(struct mcq_shard *shard, void *arg)
{
    struct flow *f = arg;
    f->hold = false;
    mcq_shard_stats(shard, &f->mid);
    mcq_timer_arm(f->timer, 0);
}

static bool writable_soon(int fd)
{
    struct pollfd p = {fd, POLLOUT, 0};
    return poll(&p, 1, 300) == 1;
}

static void *push_until_stuck(void *arg)
{
    struct flow *f = arg;
    struct mcq_text out = {NULL, 0, 0};
    size_t at = 0;
    mcq_trial_wait(&f->ready, 1);
    int fd = mcq_raw_open(f->endpoint, "PUSH");
    for (uint32_t i = 0; i < f->msgs; i++)
        add_message(f, &out, i);
    while (at < out.len && writable_soon(fd))
        at += mcq_raw_write_some(fd, out.ptr + at, out.len - at);
    CHECK(at < out.len && f->got < f->msgs); /* stuck */
    CHECK(mcq_post(f->shard, let_go, f) == MCQ_OK);
    CHECK(mcq_raw_write(fd, out.ptr + at, out.len - at));
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    mcq_text_fini(&out);
    return NULL;
}

static void push_back(uint64_t seed)
{
    struct flow *f = flow_new(seed, 20000, 3000, 0);
    struct mcq_trial trial = {"TCP pushes back", mcq_trial_opts(), start, push_until_stuck, f};
    f->pausing = true;
    f->hold = true;
    mcq_trial_run(&trial);
    CHECK(f->got == f->msgs && f->wrong == 0);
    /* A credit or two beside the receive ring. */
    CHECK(f->mid.mem.blocks_peak - f->mid.loop.ring_target_now < 64);
    CHECK(f->mid.proto.bytes_in < 4u << 20 && f->mid.mem.large_peak <= 1u << 20);
    mcq_diary_end(&f->diary);
    free(f);
}

/* --- every split ----------------------------------------------------------------------------- */

static void write_log(void *ctx, const struct mcq_msg *m)
{
    struct flow *f = ctx;
    mcq_text_printf(&f->log, "message");
    for (uint32_t i = 0; i < m->frame_cnt; i++) {
        struct mcq_frame fr = mcq_msg_frame(m, i);
        mcq_text_printf(&f->log, " |");
        mcq_text_hex(&f->log, fr.data, fr.len);
    }
    mcq_text_printf(&f->log, "\n");
}

static size_t log_messages(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                           struct mcq_msg *msgs, size_t n)
{
    (void)sock;
    (void)from;
    for (size_t i = 0; i < n; i++)
        write_log(ctx, &msgs[i]);
    return n;
}

static const struct mcq_sock_handlers logging = {.messages = log_messages, .event = on_event};

static int start_log(struct mcq_shard *shard, void *arg)
{
    struct flow *f = arg;
    f->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_PULL, NULL, &logging, f, &f->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(f->sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
    snprintf(f->endpoint, sizeof(f->endpoint), "%s", mcq_sock_endpoint(f->sock));
    atomic_store(&f->ready, 1);
    return 0;
}

static void count_post(struct mcq_shard *shard, void *arg)
{
    struct flow *f = arg;
    (void)shard;
    atomic_fetch_add(&f->posts, 1);
}

/* Two turns of the shard have passed. */
static void let_shard_turn(struct flow *f)
{
    for (unsigned i = 0; i < 2; i++) {
        unsigned long before = f->posts;
        CHECK(mcq_post(f->shard, count_post, f) == MCQ_OK);
        mcq_trial_wait_quick(&f->posts, before + 1);
    }
}

static void end_log(struct mcq_shard *shard, void *arg)
{
    struct flow *f = arg;
    (void)shard;
    mcq_sock_close(f->sock);
}

static void split_stream(struct mcq_text *out)
{
    static const char big[300] = "big";
    mcq_raw_greeting(out);
    mcq_raw_ready(out, "PUSH", "split");
    mcq_raw_frame(out, 0, "one", 3);
    mcq_raw_frame(out, 0, "", 0);
    mcq_raw_frame(out, MCQ_RAW_MORE, "", 0);
    mcq_raw_frame(out, MCQ_RAW_MORE, "two", 3);
    mcq_raw_frame(out, 0, "three", 5);
    mcq_raw_command(out, "PING", "\0\12abc", 5);
    mcq_raw_frame(out, 0, "four", 4);
    mcq_raw_command(out, "UNKNOWN", "data", 4);
    mcq_raw_frame(out, MCQ_RAW_MORE, big, sizeof(big));
    mcq_raw_frame(out, 0, "", 0);
    mcq_raw_frame(out, 0, "last", 4);
}

static void one_split(struct flow *f, const struct mcq_text *out, size_t at, struct mcq_text *log)
{
    unsigned long down = f->diary.cnt[MCQ_EVENT_DISCONNECTED];
    int fd = mcq_raw_connect(f->endpoint, 0);
    CHECK(fd >= 0 && mcq_raw_write(fd, out->ptr, at));
    let_shard_turn(f);
    CHECK(mcq_raw_write(fd, out->ptr + at, out->len - at));
    mcq_raw_shut(fd);
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    CHECK(mcq_trial_wait_quick(&f->diary.cnt[MCQ_EVENT_DISCONNECTED], down + 1));
    *log = f->log;
    f->log = (struct mcq_text){NULL, 0, 0};
}

static void *every_split(void *arg)
{
    struct flow *f = arg;
    struct mcq_text out = {NULL, 0, 0}, whole = {NULL, 0, 0}, log;
    mcq_trial_wait(&f->ready, 1);
    split_stream(&out);
    one_split(f, &out, out.len, &whole);
    CHECK(whole.len > 100);
    for (size_t at = 0; at < out.len; at++) {
        one_split(f, &out, at, &log);
        if (!CHECK(log.len == whole.len && memcmp(log.ptr, whole.ptr, log.len) == 0))
            printf("  at %zu:\n%.*s\n", at, (int)log.len, log.ptr);
        mcq_text_fini(&log);
    }
    CHECK(mcq_post(f->shard, end_log, f) == MCQ_OK);
    mcq_text_fini(&whole);
    mcq_text_fini(&out);
    return NULL;
}

static void splits(void)
{
    struct flow *f = flow_new(1, 0, 0, 0);
    struct mcq_trial trial = {"every split", mcq_trial_opts(), start_log, every_split, f};
    mcq_trial_run(&trial);
    mcq_diary_end(&f->diary);
    free(f);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20260708;
    printf("seed %llu\n", (unsigned long long)seed);
    splits();
    streams(seed);
    keeping(seed);
    push_back(seed);
    return mcq_trial_end();
}
