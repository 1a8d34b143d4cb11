/* A user's program, outside the tree: one request and one reply over tcp on one shard. */
#include <monocoque.h>
#include <stdio.h>
#include <string.h>

static struct mcq_sock *requester;
static int replies;

static enum mcq_flow on_request(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct mcq_frame f = mcq_msg_frame(msg, 0);
    (void)ctx;
    (void)from;
    if (mcq_send_bytes(sock, f.data, f.len) != MCQ_OK)
        mcq_stop(mcq_sock_shard(sock));
    return MCQ_CONTINUE;
}

static enum mcq_flow on_reply(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                              struct mcq_msg *msg)
{
    struct mcq_frame f = mcq_msg_frame(msg, 0);
    (void)ctx;
    (void)from;
    replies += f.len == 5 && memcmp(f.data, "hello", 5) == 0;
    mcq_stop(mcq_sock_shard(sock));
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers reply_handlers = {.message = on_request};
static const struct mcq_sock_handlers request_handlers = {.message = on_reply};

static int on_start(struct mcq_shard *shard, void *arg)
{
    struct mcq_sock *replier;
    (void)arg;
    return mcq_sock_open(shard, MCQ_REP, NULL, &reply_handlers, NULL, &replier, NULL) != MCQ_OK ||
           mcq_sock_bind(replier, "tcp://127.0.0.1:*", NULL) != MCQ_OK ||
           mcq_sock_open(shard, MCQ_REQ, NULL, &request_handlers, NULL, &requester, NULL) !=
               MCQ_OK ||
           mcq_sock_connect(requester, mcq_sock_endpoint(replier), NULL) != MCQ_OK ||
           mcq_send_bytes(requester, "hello", 5) != MCQ_OK;
}

int main(int argc, char **argv)
{
    struct mcq_opts opts = MCQ_OPTS_INIT;
    struct mcq_app app = {.start = on_start};
    struct mcq_detail detail;
    uint32_t version = mcq_version();

    mcq_opts_parse(&opts, &argc, argv);
    if (mcq_run(&opts, &app, NULL, &detail) != MCQ_OK) {
        fprintf(stderr, "echo: %s\n", detail.text);
        return 1;
    }
    printf("%u.%u.%u %d\n", version >> 16, version >> 8 & 255, version & 255, replies);
    return 0;
}
