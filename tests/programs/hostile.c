/* Peers that take without giving: what they hold is bounded, and a healthy one beside them goes
 * on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/body.h"
#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define MIB           (1u << 20)
#define PEERS_MAX     128u
#define PAUSED        120u
#define PAUSED_MSGS   2900u
#define LORIS         100u
#define HEALTHY_MSGS  20u
#define HEALTHY_LEN   100000u
#define SETTLED_TURNS 5u

struct hostile {
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_diary diary;
    char endpoint[64];
    atomic_ulong ready, got, wrong, looks;
    bool pausing;
    size_t len;       /* of each frame of a good message */
    uint32_t frames;  /* of each good message */
    uint64_t in_room; /* bytes that may be taken from peers that are paused */
    int fds[PEERS_MAX];
    uint32_t fd_cnt;
    struct mcq_shard_stats mid;
};

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct hostile *h = ctx;
    (void)sock;
    mcq_diary_add(&h->diary, event);
}

static enum mcq_flow on_message(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct hostile *h = ctx;
    bool right = mcq_msg_frame_cnt(msg) == h->frames;
    (void)sock;
    (void)from;
    for (uint32_t i = 0; right && i < h->frames; i++) {
        struct mcq_frame f = mcq_msg_frame(msg, i);
        right = f.len == h->len && mcq_body_right(f.data, f.len, i);
    }
    if (!right)
        atomic_fetch_add(&h->wrong, 1);
    atomic_fetch_add(&h->got, 1);
    return h->pausing ? MCQ_PAUSE : MCQ_CONTINUE;
}

static const struct mcq_sock_handlers pulling = {.message = on_message, .event = on_event};

static int start_pull(struct mcq_shard *shard, void *arg)
{
    struct hostile *h = arg;
    h->shard = shard;
    CHECK(mcq_sock_open(shard, MCQ_PULL, NULL, &pulling, h, &h->sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(h->sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
    snprintf(h->endpoint, sizeof(h->endpoint), "%s", mcq_sock_endpoint(h->sock));
    atomic_store(&h->ready, 1);
    return 0;
}

/* --- the far ends ---------------------------------------------------------------------------- */

static int peer_open(struct hostile *h)
{
    mcq_trial_wait(&h->ready, 1);
    return h->fds[h->fd_cnt++] = mcq_raw_open(h->endpoint, "PUSH");
}

static void look(struct mcq_shard *shard, void *arg)
{
    struct hostile *h = arg;
    mcq_shard_stats(shard, &h->mid);
    atomic_fetch_add(&h->looks, 1);
}

/* Nothing has come in for some turns: the shard has taken what it will. */
static void settle(struct hostile *h)
{
    uint64_t seen = UINT64_MAX;
    for (unsigned same = 0; same < SETTLED_TURNS;) {
        unsigned long before = h->looks;
        if (!CHECK(mcq_post(h->shard, look, h) == MCQ_OK) ||
            !CHECK(mcq_trial_wait_quick(&h->looks, before + 1)))
            return;
        same = h->mid.proto.bytes_in == seen ? same + 1 : 0;
        seen = h->mid.proto.bytes_in;
    }
}

static void close_sock(struct mcq_shard *shard, void *arg)
{
    struct hostile *h = arg;
    mcq_shard_stats(shard, &h->mid);
    mcq_sock_close(h->sock);
}

static void leave_all(struct hostile *h)
{
    for (uint32_t i = 0; i < h->fd_cnt; i++)
        mcq_raw_close(h->fds[i]);
    CHECK(mcq_trial_wait(&h->diary.cnt[MCQ_EVENT_DISCONNECTED], h->fd_cnt));
    CHECK(mcq_post(h->shard, close_sock, h) == MCQ_OK);
}

/* Frame idx of a good message. */
static void good_frame(const struct hostile *h, struct mcq_text *out, uint32_t idx)
{
    char *body = malloc(h->len);
    if (body == NULL)
        abort();
    mcq_body_fill(body, h->len, idx);
    mcq_raw_frame(out, idx + 1 < h->frames ? MCQ_RAW_MORE : 0, body, h->len);
    free(body);
}

/* The first sent bytes of a frame of len bytes, head included, and nothing more of it. */
static void begin_frame(struct hostile *h, uint64_t len, size_t sent)
{
    char *bytes = calloc(1, sent);
    if (bytes == NULL)
        abort();
    bytes[0] = 2;
    for (unsigned i = 0; i < 8; i++)
        bytes[1 + i] = (char)(uint8_t)(len >> (56 - 8 * i));
    CHECK(mcq_raw_write(peer_open(h), bytes, sent));
    free(bytes);
}

static struct mcq_shard_stats trial(const char *name, void *(*peer)(void *), struct hostile *h,
                                    uint64_t arena_bytes, uint64_t large_bytes)
{
    struct mcq_trial t = {name, mcq_trial_opts(), start_pull, peer, h};
    t.opts.arena_bytes = arena_bytes;
    t.opts.large_bytes = large_bytes;
    struct mcq_shard_stats stats = mcq_trial_run(&t);
    CHECK(h->wrong == 0);
    mcq_diary_end(&h->diary);
    return stats;
}

/* --- paused by their user -------------------------------------------------------------------- */

static void resume_all(struct mcq_shard *shard, void *arg)
{
    struct hostile *h = arg;
    (void)shard;
    h->pausing = false;
    for (unsigned i = 0; i < h->diary.up_cnt; i++)
        CHECK(mcq_peer_resume(h->sock, h->diary.up[i]) == MCQ_OK);
}

static void *push_to_paused(void *arg)
{
    struct hostile *h = arg;
    struct mcq_text one = {NULL, 0, 0}, out = {NULL, 0, 0};
    unsigned long whole = 0;
    good_frame(h, &one, 0);
    for (uint32_t i = 0; i < PAUSED_MSGS; i++)
        mcq_text_add(&out, one.ptr, one.len);
    for (unsigned i = 0; i < PAUSED; i++)
        whole += mcq_raw_write_some(peer_open(h), out.ptr, out.len) / one.len;
    CHECK(mcq_trial_wait(&h->got, PAUSED)); /* one each */
    settle(h);
    CHECK(h->got == PAUSED && h->mid.pattern.pauses == PAUSED);
    CHECK(h->diary.cnt[MCQ_EVENT_DISCONNECTED] == 0 && h->mid.pattern.peers_now == PAUSED);
    CHECK(h->mid.proto.bytes_in < h->in_room && whole * one.len > h->in_room);
    CHECK(mcq_post(h->shard, resume_all, h) == MCQ_OK);
    CHECK(mcq_trial_wait(&h->got, whole));
    CHECK(h->diary.cnt[MCQ_EVENT_DISCONNECTED] == 0);
    leave_all(h);
    mcq_text_fini(&one);
    mcq_text_fini(&out);
    return NULL;
}

/* They wait in what memory there is, and lose nothing. */
static void paused(void)
{
    struct hostile h = {.frames = 1, .len = 100, .pausing = true, .in_room = 12 * MIB};
    trial("many peers paused", push_to_paused, &h, 32 * MIB, 1 * MIB);
}

/* --- frames that don't go on ----------------------------------------------------------------- */

static void *push_beside_loris(void *arg)
{
    struct hostile *h = arg;
    struct mcq_text out = {NULL, 0, 0};
    for (unsigned i = 0; i < LORIS; i++)
        begin_frame(h, 2 * HEALTHY_LEN, 40000);
    settle(h);
    good_frame(h, &out, 0);
    int fd = peer_open(h);
    for (uint32_t i = 0; i < HEALTHY_MSGS; i++) {
        bool ok = mcq_raw_write(fd, out.ptr, out.len / 2);
        settle(h); /* so that its first half has to be kept */
        if (!CHECK(ok && mcq_raw_write(fd, out.ptr + out.len / 2, out.len - out.len / 2)) ||
            !CHECK(mcq_trial_wait_quick(&h->got, i + 1)))
            break;
    }
    CHECK(h->got == HEALTHY_MSGS);
    leave_all(h);
    mcq_text_fini(&out);
    return NULL;
}

static void loris(uint64_t arena_bytes, unsigned long closed_max)
{
    struct hostile h = {.frames = 1, .len = HEALTHY_LEN};
    trial("slow loris", push_beside_loris, &h, arena_bytes, arena_bytes);
    CHECK(h.diary.reasons[MCQ_REASON_LIMIT] <= closed_max);
}

/* Three that hold nearly all of the large region with 9 bytes each: one gives way. */
static void *push_beside_hogs(void *arg)
{
    struct hostile *h = arg;
    struct mcq_text out = {NULL, 0, 0};
    for (unsigned i = 0; i < 3; i++)
        begin_frame(h, 42 * (MIB / 4) - 1000, 9);
    settle(h);
    CHECK(h->mid.mem.large_now > 31 * MIB); /* what is announced has its room */
    good_frame(h, &out, 0);
    CHECK(mcq_raw_write(peer_open(h), out.ptr, out.len));
    CHECK(mcq_trial_wait(&h->got, 1));
    CHECK(h->diary.reasons[MCQ_REASON_LIMIT] == 1);
    leave_all(h);
    mcq_text_fini(&out);
    return NULL;
}

static void hogs(void)
{
    struct hostile h = {.frames = 1, .len = 1000000};
    struct mcq_shard_stats stats = trial("hogs", push_beside_hogs, &h, 32 * MIB, 32 * MIB);
    CHECK(stats.proto.large_waits >= 1 && stats.mem.large_peak <= 32 * MIB);
}

/* --- large frames, many in one message ------------------------------------------------------- */

static void *push_multipart(void *arg)
{
    struct hostile *h = arg;
    struct mcq_text out = {NULL, 0, 0};
    int fd = peer_open(h);
    for (uint32_t i = 0; i < h->frames; i++) {
        out.len = 0;
        good_frame(h, &out, i);
        if (!CHECK(mcq_raw_write(fd, out.ptr, out.len)))
            break;
    }
    CHECK(mcq_trial_wait(&h->got, 1));
    CHECK(h->diary.cnt[MCQ_EVENT_DISCONNECTED] == 0);
    leave_all(h);
    mcq_text_fini(&out);
    return NULL;
}

static void multipart(uint32_t frames, size_t len)
{
    struct hostile h = {.frames = frames, .len = len};
    trial("multipart of large frames", push_multipart, &h, 32 * MIB, 128 * MIB);
    CHECK(h.got == 1);
}

/* --- silence longer than agreed -------------------------------------------------------------- */

static void ping(int fd, const char *ttl)
{
    struct mcq_text out = {NULL, 0, 0}, in = {NULL, 0, 0};
    unsigned flags = 0;
    mcq_raw_command(&out, "PING", ttl, 2);
    CHECK(mcq_raw_write(fd, out.ptr, out.len));
    CHECK(mcq_raw_next(fd, &flags, &in) && flags == MCQ_RAW_COMMAND && in.len == 5 &&
          memcmp(in.ptr, "\4PONG", 5) == 0);
    mcq_text_fini(&out);
    mcq_text_fini(&in);
}

static void *fall_silent(void *arg)
{
    struct hostile *h = arg;
    struct mcq_text out = {NULL, 0, 0};
    int silent = peer_open(h);
    int other = peer_open(h);
    ping(other, "\0\0"); /* no TTL: may be silent for ever */
    ping(silent, "\0\2");
    CHECK(mcq_raw_ended(silent));
    CHECK(mcq_trial_wait(&h->diary.reasons[MCQ_REASON_HEARTBEAT], 1));
    good_frame(h, &out, 0);
    CHECK(mcq_raw_write(other, out.ptr, out.len));
    CHECK(mcq_trial_wait(&h->got, 1));
    leave_all(h);
    CHECK(h->diary.reasons[MCQ_REASON_HEARTBEAT] == 1);
    mcq_text_fini(&out);
    return NULL;
}

static void silence(void)
{
    struct hostile h = {.frames = 1, .len = 100};
    trial("PING with a TTL, then silence", fall_silent, &h, 16 * MIB, 1 * MIB);
}

int main(void)
{
    paused();
    loris(128 * MIB, 0);
    loris(32 * MIB, LORIS);
    hogs();
    multipart(10, 6000000);
    multipart(200, 300000);
    silence();
    return mcq_trial_end();
}
