/* sharded: one address served by all shards, as one ROUTER, with rules which client goes where.
 *
 *   sharded [ENDPOINT [STEERING]] [--shards 2] [--idle spin]
 *   sharded tcp://127.0.0.1:5560 127.1.0.0/16=0,127.2.0.0/16=1,mode=least
 *   echo hello | mcq-cat DEALER --connect tcp://127.0.0.1:5560     # hello, TAB, which shard
 *   printf 'bob\thello\n' | mcq-cat DEALER --connect tcp://127.0.0.1:5560
 *
 * A message of one frame comes back with the number of the shard that read it. One of two frames is
 * for the client that announced the first as its identity, on whichever shard that is. Once per
 * second every shard posts to shard 0 how much it has done, and shard 0 prints it.
 */
#include <inttypes.h>
#include <monocoque.h>
#include <stdio.h>
#include <string.h>

#define REPORT_NS 1000000000u

enum { POST_REPORT = 1 };

/* One per shard, written by its thread alone. */
struct worker {
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_timer *timer;
    uint64_t answered, forwarded, lost;
};

struct report {
    uint64_t answered, forwarded, lost;
    uint32_t clients;
};

struct service {
    const char *endpoint, *steer;
    struct worker workers[MCQ_SHARDS_MAX];
    struct report reports[MCQ_SHARDS_MAX]; /* shard 0's */
};

static void answer(struct worker *w, struct mcq_peer to, struct mcq_frame request)
{
    char name[16];
    int len = snprintf(name, sizeof name, "shard %" PRIu32, mcq_shard_id(w->shard));
    struct mcq_frame frames[] = {request, {name, (size_t)len}};
    struct mcq_msg msg = mcq_msg_of_frames(frames, 2);
    *(mcq_send_to(w->sock, to, &msg) == MCQ_OK ? &w->answered : &w->lost) += 1;
}

/* As it came: a ROUTER takes the first frame for the identity, and knows those of all shards. */
static void forward(struct worker *w, struct mcq_msg *msg)
{
    *(mcq_send(w->sock, msg) == MCQ_OK ? &w->forwarded : &w->lost) += 1;
}

static enum mcq_flow on_message(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    (void)sock;
    if (mcq_msg_frame_cnt(msg) == 1)
        answer(ctx, from, mcq_msg_frame(msg, 0));
    else
        forward(ctx, msg);
    return MCQ_CONTINUE;
}

/* Of rings, not of locks: shard 0 reads what was posted when it comes to it. */
static void on_report(void *ctx, struct mcq_timer *timer)
{
    struct worker *w = ctx;
    struct report r = {w->answered, w->forwarded, w->lost, mcq_sock_peer_cnt(w->sock)};
    if (mcq_post_bytes(w->shard, 0, POST_REPORT, &r, sizeof r) != MCQ_OK)
        fputs("a report was not posted\n", stderr);
    mcq_timer_arm(timer, mcq_shard_now(w->shard) + REPORT_NS);
}

static void on_post(struct mcq_shard *shard, void *arg, uint32_t from, uint32_t kind,
                    const void *data, size_t len)
{
    struct service *s = arg;
    if (kind != POST_REPORT || len != sizeof s->reports[from])
        return;
    memcpy(&s->reports[from], data, len);
    if (from != mcq_shard_cnt(shard) - 1)
        return;
    for (uint32_t i = 0; i <= from; i++)
        printf("%sshard %" PRIu32 ": clients %" PRIu32 ", answered %" PRIu64 ", forwarded %" PRIu64
               ", lost %" PRIu64,
               i == 0 ? "" : "; ", i, s->reports[i].clients, s->reports[i].answered,
               s->reports[i].forwarded, s->reports[i].lost);
    putchar('\n');
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct worker *w = ctx;
    (void)sock;
    mcq_timer_close(w->timer); /* its callback uses the socket, and it would keep the app running */
}

/* Called for each shard, on its thread. The same name, type and text make the sockets one. */
static int start(struct mcq_shard *shard, void *arg)
{
    static const struct mcq_sock_handlers handlers = {.message = on_message, .closed = on_closed};
    struct service *s = arg;
    struct worker *w = &s->workers[mcq_shard_id(shard)];
    struct mcq_detail why = {.text = "no timer left"};
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.logical = "service";
    opts.steer = s->steer;
    opts.router_mandatory = true; /* a send to nobody says so */
    w->shard = shard;
    if (mcq_timer_open(shard, on_report, w, &w->timer) != MCQ_OK ||
        mcq_sock_open(shard, MCQ_ROUTER, &opts, &handlers, w, &w->sock, &why) != MCQ_OK ||
        mcq_sock_bind(w->sock, s->endpoint, &why) != MCQ_OK) {
        fprintf(stderr, "sharded: %s\n", why.text);
        return 1;
    }
    mcq_timer_arm(w->timer, mcq_shard_now(shard) + REPORT_NS);
    return 0;
}

int main(int argc, char **argv)
{
    static struct service service;
    struct mcq_opts opts = MCQ_OPTS_INIT;
    opts.shards = 2;
    mcq_opts_parse(&opts, &argc, argv); /* --shards 8 overrules the line above */
    service.endpoint = argc > 1 ? argv[1] : "tcp://127.0.0.1:5560";
    service.steer = argc > 2 ? argv[2] : NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct mcq_app app = {.start = start, .on_post = on_post};
    return mcq_run(&opts, &app, &service, NULL) != MCQ_OK;
}
