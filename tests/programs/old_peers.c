/* Peers of ZMTP 1.0, for whom what is queued is reframed: each message whole and once, however
 * their connections are cut; bodies larger than any block; subscriptions only between messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/body.h"
#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define CUTS       60u
#define LAST_MSGS  300u
#define BUFFER     16384 /* SO_SNDBUF, SO_RCVBUF: sends come short */
#define FRAMES_MAX 4u
#define LEN_MAX    300000u
#define BIG_LEN    (64u << 20)
#define TOPICS     200u
#define CROWD      240u
#define CROWD_LEN  3000u

struct old {
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_timer *timer;
    struct mcq_diary diary;
    int listener;
    char endpoint[64];
    atomic_ulong ready, base, told, freed, topics;
    atomic_bool stop;
    bool exact;
    uint32_t next; /* message to be sent */
    uint8_t *scratch;
    uint64_t seed;
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* --- message number n, in either framing ------------------------------------------------------ */

static uint32_t frames_of(uint32_t n)
{
    return 1 + (uint32_t)(mix(n) % FRAMES_MAX);
}

/* Mostly short; around each length where a header changes its form; some beyond a block. */
static size_t len_of(uint32_t n, uint32_t i)
{
    uint64_t x = mix((uint64_t)n << 8 | (i + 1));
    size_t len = (size_t)(x >> 8);
    switch (x % 8) {
    case 0:
        len = 250 + len % 10;
        break;
    case 1:
        len = len % (len % 64 == 0 ? LEN_MAX : 5000);
        break;
    default:
        len = len % 40;
    }
    return i == 0 && len < 4 ? 4 : len;
}

static void fill(uint8_t *at, uint32_t n, uint32_t i, size_t len)
{
    mcq_body_fill(at, len, n * FRAMES_MAX + i);
    if (i == 0)
        memcpy(at, &n, 4);
}

static bool right(const uint8_t *at, uint32_t n, uint32_t i, size_t len)
{
    static uint8_t want[LEN_MAX];
    fill(want, n, i, len);
    return len == len_of(n, i) && memcmp(at, want, len) == 0;
}

/* Bytes it is in ZMTP 1.0. */
static uint64_t v1_len(uint32_t n)
{
    uint64_t len = 0;
    for (uint32_t i = 0; i < frames_of(n); i++)
        len += len_of(n, i) + (len_of(n, i) <= 253 ? 2 : 10);
    return len;
}

/* --- the far end ----------------------------------------------------------------------------- */

struct v1_frame {
    uint8_t *body;
    size_t len;
    bool more;
};

/* Reads at most *budget bytes more. */
static bool read_some(int fd, uint8_t *at, size_t len, uint64_t *budget)
{
    bool cut = len > *budget;
    size_t n = cut ? (size_t)*budget : len;
    *budget -= n;
    return mcq_raw_read(fd, at, n) && !cut;
}

static bool read_frame(int fd, struct v1_frame *f, uint64_t *budget)
{
    uint8_t head[10];
    uint64_t len;
    if (!read_some(fd, head, 2, budget))
        return false;
    len = head[0];
    if (head[0] == 255) {
        if (!read_some(fd, head + 2, 8, budget))
            return false;
        len = 0;
        for (unsigned i = 1; i < 9; i++)
            len = len << 8 | head[i];
        CHECK(len >= 255);
    }
    f->more = head[head[0] == 255 ? 9 : 1] == 1;
    CHECK(f->more || head[head[0] == 255 ? 9 : 1] == 0);
    if (!CHECK(len >= 1 && len - 1 <= BIG_LEN))
        return false;
    f->len = (size_t)len - 1;
    return read_some(fd, f->body, f->len, budget);
}

/* Whole messages from `first` on in order, until the budget is used up. Returns the next. */
static uint32_t read_messages(int fd, uint8_t *scratch, uint32_t first, uint32_t cnt,
                              uint64_t budget)
{
    struct v1_frame f = {.body = scratch};
    uint32_t n = first;
    for (; n < first + cnt; n++) {
        uint32_t frames = frames_of(n);
        for (uint32_t i = 0; i < frames; i++) {
            if (!read_frame(fd, &f, &budget))
                return n;
            if (!CHECK(right(f.body, n, i, f.len) && f.more == (i + 1 < frames)))
                return UINT32_MAX;
        }
    }
    return n;
}

/* Anonymous, with the flags of libzmq 2.1. */
static int accept_v1(struct old *o)
{
    uint8_t signature[10];
    int fd = mcq_raw_accept(o->listener);
    if (!CHECK(fd >= 0))
        return -1;
    CHECK(mcq_raw_write(fd, "\1\x7e", 2));
    CHECK(mcq_raw_read(fd, signature, 10));
    CHECK(memcmp(signature, "\xff\0\0\0\0\0\0\0\1\x7f", 10) == 0);
    return fd;
}

static void listen_v1(struct old *o)
{
    int len = BUFFER;
    o->listener = mcq_raw_listen(0, o->endpoint);
    CHECK(setsockopt(o->listener, SOL_SOCKET, SO_RCVBUF, &len, sizeof(len)) == 0);
    o->scratch = malloc(BIG_LEN);
    if (o->scratch == NULL)
        abort();
}

/* --- the near end ---------------------------------------------------------------------------- */

/* The report counts exactly those that are whole in what the kernel took. */
static void check_report(const struct old *o, const struct mcq_report *r)
{
    uint64_t len = 10; /* the signature */
    uint32_t n = (uint32_t)o->base;
    for (; len + v1_len(n) <= r->bytes_out; n++)
        len += v1_len(n);
    CHECK(r->msgs_out == n - o->base);
    CHECK(r->lost_hi == r->msgs_out + (len < r->bytes_out ? 1 : 0));
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct old *o = ctx;
    (void)sock;
    if (event->kind == MCQ_EVENT_DISCONNECTED) {
        if (o->exact)
            check_report(o, &event->report);
        atomic_fetch_add(&o->base, event->report.msgs_out);
        atomic_fetch_add(&o->told, 1);
    }
    mcq_diary_add(&o->diary, event);
}

static enum mcq_error send_next(struct old *o)
{
    static uint8_t bodies[FRAMES_MAX][LEN_MAX];
    struct mcq_frame frames[FRAMES_MAX];
    uint32_t cnt = frames_of(o->next);
    for (uint32_t i = 0; i < cnt; i++) {
        frames[i] = (struct mcq_frame){bodies[i], len_of(o->next, i)};
        fill(bodies[i], o->next, i, frames[i].len);
    }
    struct mcq_msg m = mcq_msg_of_frames(frames, cnt);
    return mcq_send(o->sock, &m);
}

static void pump(void *ctx, struct mcq_sock *sock)
{
    struct old *o = ctx;
    if (atomic_load(&o->stop)) {
        mcq_sock_close(sock);
        return;
    }
    while (send_next(o) == MCQ_OK)
        o->next++;
}

static const struct mcq_sock_handlers pumping = {.writable = pump, .event = on_event};

static void open_connected(struct old *o, enum mcq_sock_type type,
                           const struct mcq_sock_handlers *handlers)
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.zmtp_min = MCQ_ZMTP_1_0;
    opts.linger_ms = MCQ_NONE;
    opts.reconnect_min_ms = 1;
    opts.reconnect_max_ms = 5;
    opts.send_buffer_bytes = BUFFER;
    opts.send_hwm_bytes = 1u << 20;
    opts.heartbeat_ms = 5; /* it would send commands to a 3.x peer */
    CHECK(mcq_sock_open(o->shard, type, &opts, handlers, o, &o->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(o->sock, o->endpoint, NULL) == MCQ_OK);
}

/* --- cuts ------------------------------------------------------------------------------------ */

static int start_cuts(struct mcq_shard *shard, void *arg)
{
    struct old *o = arg;
    o->shard = shard;
    open_connected(o, MCQ_PUSH, &pumping);
    pump(o, o->sock);
    return 0;
}

/* What the last connection didn't take whole comes first on the next, whole, and nothing before
 * it: the report's number is exact. */
static void *cut_it(void *arg)
{
    struct old *o = arg;
    for (uint32_t cut = 0; cut < CUTS; cut++) {
        uint64_t x = mix(o->seed + cut);
        int fd = accept_v1(o);
        if (fd < 0 || !CHECK(o->told == cut))
            return NULL;
        uint64_t budget = x % (x % 3 == 0 ? 400000 : 3000);
        uint32_t base = (uint32_t)o->base;
        CHECK(read_messages(fd, o->scratch, base, UINT32_MAX - base - 1, budget) != UINT32_MAX);
        if (x % 5 == 0)
            mcq_raw_close(fd);
        else
            mcq_raw_reset(fd);
        if (!CHECK(mcq_trial_wait(&o->told, cut + 1)))
            return NULL;
    }
    int fd = accept_v1(o);
    uint32_t base = (uint32_t)o->base;
    CHECK(read_messages(fd, o->scratch, base, LAST_MSGS, UINT64_MAX) == base + LAST_MSGS);
    atomic_store(&o->stop, true);
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    return NULL;
}

static void cuts(uint64_t seed)
{
    struct old *o = calloc(1, sizeof(*o));
    o->seed = seed;
    o->exact = true;
    listen_v1(o);
    const struct mcq_trial trial = {"cuts", mcq_trial_opts(), start_cuts, cut_it, o};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(stats.proto.pings_out == 0 && stats.proto.msgs_out == o->base);
    CHECK(stats.loop.sends_short > 0);
    mcq_diary_end(&o->diary);
    mcq_raw_close(o->listener);
    free(o->scratch);
    free(o);
}

/* --- bodies larger than any block ------------------------------------------------------------- */

static void freed(void *data, size_t len, void *hint)
{
    (void)len;
    struct old *o = hint;
    free(data);
    atomic_fetch_add(&o->freed, 1);
}

static void close_all(struct mcq_shard *shard, void *arg)
{
    struct old *o = arg;
    (void)shard;
    mcq_sock_close(o->sock);
}

static const struct mcq_sock_handlers quiet = {.event = on_event};

static int start_big(struct mcq_shard *shard, void *arg)
{
    struct old *o = arg;
    struct mcq_msg m;
    uint8_t *memory = malloc(BIG_LEN);
    o->shard = shard;
    open_connected(o, MCQ_PUSH, &quiet);
    mcq_body_fill(memory, BIG_LEN, 7);
    CHECK(mcq_msg_from_memory(shard, memory, BIG_LEN, freed, o, &m) == MCQ_OK);
    CHECK(mcq_send(o->sock, &m) == MCQ_OK);
    return 0;
}

/* The first connection ends in the middle: the second gets it whole. */
static void *read_big(void *arg)
{
    struct old *o = arg;
    struct v1_frame f = {.body = o->scratch};
    uint64_t budget = BIG_LEN / 3;
    int fd = accept_v1(o);
    CHECK(!read_frame(fd, &f, &budget) && o->freed == 0);
    mcq_raw_reset(fd);
    fd = accept_v1(o);
    budget = UINT64_MAX;
    CHECK(read_frame(fd, &f, &budget) && !f.more && f.len == BIG_LEN);
    CHECK(mcq_body_right(f.body, BIG_LEN, 7));
    CHECK(mcq_trial_wait(&o->freed, 1));
    CHECK(o->base == 0);
    CHECK(mcq_post(o->shard, close_all, o) == MCQ_OK);
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    return NULL;
}

static void big(void)
{
    struct old *o = calloc(1, sizeof(*o));
    listen_v1(o);
    const struct mcq_trial trial = {"big", mcq_trial_opts(), start_big, read_big, o};
    struct mcq_shard_stats stats = mcq_trial_run(&trial);
    CHECK(stats.proto.msgs_out == 1 && o->freed == 1);
    /* It passes, it is not copied as a whole; and it is its owner's memory. */
    CHECK(stats.mem.blocks_peak < stats.loop.ring_target_now + 16 && stats.mem.large_peak == 0);
    mcq_raw_close(o->listener);
    free(o->scratch);
    free(o);
}

/* --- subscriptions between messages ----------------------------------------------------------- */

static void topic_name(char text[16], uint32_t n)
{
    snprintf(text, 16, "\1topic-%u", n);
}

static void subscribe_one(void *ctx, struct mcq_timer *timer)
{
    struct old *o = ctx;
    char text[16];
    unsigned long n = atomic_fetch_add(&o->topics, 1);
    topic_name(text, (uint32_t)n);
    CHECK(mcq_subscribe(o->sock, text + 1, strlen(text) - 1) == MCQ_OK);
    if (n + 1 < TOPICS)
        mcq_timer_arm(timer, mcq_shard_now(o->shard) + 200000);
    else
        mcq_timer_close(timer);
    while (send_next(o) == MCQ_OK && o->next % 64 != 0)
        o->next++;
    o->next++;
}

static const struct mcq_sock_handlers both = {.event = on_event};

static int start_both(struct mcq_shard *shard, void *arg)
{
    struct old *o = arg;
    o->shard = shard;
    open_connected(o, MCQ_XSUB, &both);
    CHECK(mcq_timer_open(shard, subscribe_one, o, &o->timer) == MCQ_OK);
    atomic_store(&o->ready, 1);
    return 0;
}

static void begin(struct mcq_shard *shard, void *arg)
{
    struct old *o = arg;
    (void)shard;
    mcq_timer_arm(o->timer, 0);
}

/* A subscription is a frame of its own, never one inside a message; all come, in order. */
static void *read_both(void *arg)
{
    struct old *o = arg;
    struct v1_frame f = {.body = o->scratch};
    uint64_t budget = UINT64_MAX;
    uint32_t topic = 0, at = 0, n = 0, last = 0;
    char want[16];
    int fd = accept_v1(o);
    CHECK(mcq_trial_wait(&o->ready, 1) && mcq_post(o->shard, begin, o) == MCQ_OK);
    while (topic < TOPICS || at != 0) {
        if (!CHECK(read_frame(fd, &f, &budget)))
            break;
        topic_name(want, topic);
        if (at == 0 && f.len == strlen(want) && f.body[0] == 1 &&
            memcmp(f.body, want, f.len) == 0) {
            CHECK(!f.more);
            topic++;
            continue;
        }
        if (at == 0)
            memcpy(&n, f.body, 4);
        if (!CHECK(right(f.body, n, at, f.len) && n >= last) ||
            !CHECK(f.more == (at + 1 < frames_of(n))))
            break;
        last = n;
        at = f.more ? at + 1 : 0;
    }
    CHECK(topic == TOPICS && last > 0);
    CHECK(mcq_post(o->shard, close_all, o) == MCQ_OK);
    CHECK(mcq_raw_ended(fd));
    mcq_raw_close(fd);
    return NULL;
}

static void subscriptions(void)
{
    struct old *o = calloc(1, sizeof(*o));
    o->next = 2; /* 0 and 1, like all with these as lowest byte, look like subscriptions */
    listen_v1(o);
    const struct mcq_trial trial = {"subscriptions", mcq_trial_opts(), start_both, read_both, o};
    mcq_trial_run(&trial);
    mcq_diary_end(&o->diary);
    mcq_raw_close(o->listener);
    free(o->scratch);
    free(o);
}

/* --- many who don't read ---------------------------------------------------------------------- */

static void publish(void *ctx, struct mcq_timer *timer)
{
    static const uint8_t body[CROWD_LEN];
    struct old *o = ctx;
    if (atomic_load(&o->stop)) {
        mcq_timer_close(timer);
        mcq_sock_close(o->sock);
        return;
    }
    for (unsigned i = 0; i < 8; i++)
        CHECK(mcq_send_bytes(o->sock, body, sizeof(body)) == MCQ_OK);
    mcq_timer_arm(timer, mcq_shard_now(o->shard) + 500000);
}

static int start_crowd(struct mcq_shard *shard, void *arg)
{
    struct old *o = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    o->shard = shard;
    opts.zmtp_min = MCQ_ZMTP_1_0;
    opts.linger_ms = MCQ_NONE;
    opts.send_buffer_bytes = BUFFER;
    CHECK(mcq_sock_open(shard, MCQ_PUB, &opts, &both, o, &o->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(o->sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
    snprintf(o->endpoint, sizeof(o->endpoint), "%s", mcq_sock_endpoint(o->sock));
    CHECK(mcq_timer_open(shard, publish, o, &o->timer) == MCQ_OK);
    atomic_store(&o->ready, 1);
    return 0;
}

/* A SUB of 1.0, to whom everything goes. */
static int join_crowd(struct old *o)
{
    int fd = mcq_raw_connect(o->endpoint, BUFFER);
    CHECK(fd >= 0 && mcq_raw_write(fd, "\1\0", 2));
    return fd;
}

/* Those who don't read leave memory for one who does. */
static void *read_in_crowd(void *arg)
{
    struct old *o = arg;
    int crowd[CROWD];
    uint8_t signature[10];
    CHECK(mcq_trial_wait(&o->ready, 1));
    for (unsigned i = 0; i < CROWD; i++)
        crowd[i] = join_crowd(o);
    CHECK(mcq_trial_wait(&o->diary.cnt[MCQ_EVENT_UP], CROWD));
    CHECK(mcq_post(o->shard, begin, o) == MCQ_OK);
    CHECK(mcq_trial_wait(&o->diary.dropped, CROWD * 200));
    int fd = join_crowd(o);
    CHECK(mcq_raw_read(fd, signature, 10));
    for (unsigned i = 0; i < LAST_MSGS; i++) {
        struct v1_frame f = {.body = o->scratch};
        uint64_t budget = UINT64_MAX;
        if (!CHECK(read_frame(fd, &f, &budget) && f.len == CROWD_LEN))
            break;
    }
    atomic_store(&o->stop, true);
    mcq_raw_close(fd);
    for (unsigned i = 0; i < CROWD; i++)
        mcq_raw_close(crowd[i]);
    return NULL;
}

static void crowd(void)
{
    struct old *o = calloc(1, sizeof(*o));
    o->scratch = malloc(BIG_LEN);
    const struct mcq_trial trial = {"crowd", mcq_trial_opts(), start_crowd, read_in_crowd, o};
    mcq_trial_run(&trial);
    mcq_diary_end(&o->diary);
    free(o->scratch);
    free(o);
}

int main(void)
{
    crowd();
    const char *seed = getenv("MCQ_SEED");
    for (uint64_t i = 0; i < 4; i++)
        cuts(seed != NULL ? strtoull(seed, NULL, 10) : 1000 * i);
    big();
    subscriptions();
    return mcq_trial_end();
}
