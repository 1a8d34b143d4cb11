/* A relay that flushes inside its handler: while a send is under way, and when its end is known to
 * the loop but not yet to the connection, no byte is sent twice. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/body.h"
#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define ROUNDS        5u
#define LEN           10000u
#define QUEUED        150u /* messages on their way out: more than the kernel takes */
#define SETTLED_TURNS 5u
#define DRY_MS        2 /* then nothing comes any more: the shard is held */

struct relay {
    struct mcq_shard *shard;
    struct mcq_sock *in, *out;
    struct mcq_diary in_diary, out_diary;
    char in_endpoint[64], out_endpoint[64];
    atomic_ulong ready, looks, held, released, relayed, sent, got;
    struct mcq_text stream; /* that came out and wasn't checked yet */
    struct mcq_shard_stats mid;
};

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct relay *r = ctx;
    mcq_diary_add(sock == r->in ? &r->in_diary : &r->out_diary, event);
}

static void put(struct relay *r)
{
    char body[LEN];
    mcq_body_fill(body, LEN, (uint32_t)r->sent);
    if (CHECK(mcq_send_bytes(r->out, body, LEN) == MCQ_OK))
        atomic_fetch_add(&r->sent, 1);
}

static enum mcq_flow relay_message(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                   struct mcq_msg *msg)
{
    struct relay *r = ctx;
    (void)sock;
    (void)from;
    (void)msg;
    put(r);
    CHECK(mcq_flush(r->out) == MCQ_OK);
    atomic_fetch_add(&r->relayed, 1);
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers relaying = {.message = relay_message, .event = on_event};

static struct mcq_sock *open_bound(struct relay *r, enum mcq_sock_type type, char endpoint[64])
{
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    struct mcq_sock *sock;
    opts.send_hwm_msgs = MCQ_UNLIMITED;
    CHECK(mcq_sock_open(r->shard, type, &opts, &relaying, r, &sock, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(sock, "tcp://127.0.0.1:*", NULL) == MCQ_OK);
    snprintf(endpoint, 64, "%s", mcq_sock_endpoint(sock));
    return sock;
}

static int start(struct mcq_shard *shard, void *arg)
{
    struct relay *r = arg;
    r->shard = shard;
    r->in = open_bound(r, MCQ_PULL, r->in_endpoint);
    r->out = open_bound(r, MCQ_PUSH, r->out_endpoint);
    atomic_store(&r->ready, 1);
    return 0;
}

/* --- posts ----------------------------------------------------------------------------------- */

static void fill(struct mcq_shard *shard, void *arg)
{
    struct relay *r = arg;
    (void)shard;
    while (r->sent - r->got < QUEUED)
        put(r);
}

static void look(struct mcq_shard *shard, void *arg)
{
    struct relay *r = arg;
    mcq_shard_stats(shard, &r->mid);
    atomic_fetch_add(&r->looks, 1);
}

/* The shard stands still until the far ends have done their part. */
static void hold(struct mcq_shard *shard, void *arg)
{
    struct relay *r = arg;
    unsigned long round = atomic_fetch_add(&r->held, 1) + 1;
    (void)shard;
    CHECK(mcq_trial_wait_quick(&r->released, round));
}

static void close_both(struct mcq_shard *shard, void *arg)
{
    struct relay *r = arg;
    (void)shard;
    mcq_sock_close(r->in);
    mcq_sock_close(r->out);
}

static void post(struct relay *r, mcq_post_fn *fn)
{
    CHECK(mcq_post(r->shard, fn, r) == MCQ_OK);
}

/* Nothing has been sent for some turns: a send waits for room. */
static void settle(struct relay *r)
{
    uint64_t seen = UINT64_MAX;
    for (unsigned same = 0; same < SETTLED_TURNS;) {
        unsigned long before = r->looks;
        post(r, look);
        if (!CHECK(mcq_trial_wait_quick(&r->looks, before + 1)))
            return;
        same = r->mid.proto.bytes_out == seen ? same + 1 : 0;
        seen = r->mid.proto.bytes_out;
    }
}

/* --- what came out --------------------------------------------------------------------------- */

/* Takes the whole messages off the front of the stream; each must be the next one. */
static bool check_stream(struct relay *r)
{
    struct mcq_text want = {NULL, 0, 0};
    char body[LEN];
    size_t at = 0;
    bool right = true;
    for (;;) {
        want.len = 0;
        mcq_body_fill(body, LEN, (uint32_t)r->got);
        mcq_raw_frame(&want, 0, body, LEN);
        if (r->stream.len - at < want.len || !right)
            break;
        right = memcmp(r->stream.ptr + at, want.ptr, want.len) == 0;
        at += want.len;
        atomic_fetch_add(&r->got, 1);
    }
    r->stream.len -= at;
    if (at != 0)
        memmove(r->stream.ptr, r->stream.ptr + at, r->stream.len);
    mcq_text_fini(&want);
    return CHECK(right);
}

static void read_what_is_there(struct relay *r, int fd)
{
    static char bytes[65536];
    struct pollfd p = {fd, POLLIN, 0};
    while (poll(&p, 1, DRY_MS) == 1) {
        size_t n = mcq_raw_read_some(fd, bytes, sizeof(bytes));
        if (n == 0) /* the stream has ended */
            return;
        mcq_text_add(&r->stream, bytes, n);
    }
}

static bool read_all(struct relay *r, int fd)
{
    size_t frame_len = LEN + 9;
    while (r->got < r->sent) {
        char bytes[LEN + 9];
        size_t n = frame_len - r->stream.len;
        if (!CHECK(mcq_raw_read(fd, bytes, n)))
            return false;
        mcq_text_add(&r->stream, bytes, n);
        if (!check_stream(r))
            return false;
    }
    return true;
}

/* A message comes in, and room for the send that waits: the shard learns of both in one turn. */
static bool one_round(struct relay *r, int push, int pull, unsigned long round)
{
    struct mcq_text out = {NULL, 0, 0};
    post(r, fill);
    settle(r);
    post(r, hold);
    CHECK(mcq_trial_wait_quick(&r->held, round));
    mcq_raw_frame(&out, 0, "go on", 5);
    CHECK(mcq_raw_write(push, out.ptr, out.len));
    read_what_is_there(r, pull);
    atomic_store(&r->released, round);
    CHECK(mcq_trial_wait_quick(&r->relayed, round));
    mcq_text_fini(&out);
    return check_stream(r);
}

static void *far_ends(void *arg)
{
    struct relay *r = arg;
    mcq_trial_wait(&r->ready, 1);
    int push = mcq_raw_open(r->in_endpoint, "PUSH");
    int pull = mcq_raw_connect(r->out_endpoint, 4096);
    CHECK(pull >= 0 && mcq_raw_hello(pull, "PULL", NULL));
    CHECK(mcq_trial_wait(&r->out_diary.cnt[MCQ_EVENT_UP], 1));
    bool right = true;
    for (unsigned long i = 1; i <= ROUNDS && right; i++)
        right = one_round(r, push, pull, i);
    if (right)
        CHECK(read_all(r, pull) && r->stream.len == 0);
    post(r, close_both);
    if (right)
        CHECK(mcq_raw_ended(pull));
    mcq_raw_close(push);
    mcq_raw_close(pull);
    return NULL;
}

int main(void)
{
    static struct relay r;
    struct mcq_trial trial = {"relay", mcq_trial_opts(), start, far_ends, &r};
    mcq_trial_run(&trial);
    CHECK(r.relayed == ROUNDS && r.got == r.sent && r.got >= ROUNDS + QUEUED);
    mcq_diary_end(&r.in_diary);
    mcq_diary_end(&r.out_diary);
    mcq_text_fini(&r.stream);
    return mcq_trial_end();
}
