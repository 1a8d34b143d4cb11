/* reqrep: both sides of a request and its reply.
 *
 *   reqrep server [ENDPOINT]            squares the numbers it is sent, until Ctrl-C
 *   reqrep client [ENDPOINT [COUNT]]    asks for 1, 2, ... COUNT, one after the other
 *
 * The client shows what a REQ needs to be robust: a server that isn't there yet (`writable` says
 * when it is) and one that doesn't answer (`timeout`).
 */
#include <inttypes.h>
#include <monocoque.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reqrep {
    bool client;
    const char *endpoint;
    uint64_t count;
    uint64_t asked;
    bool failed;
};

/* A message's bytes are only good until the callback returns, and end without a zero. */
static uint64_t read_number(const struct mcq_msg *msg)
{
    char text[32] = "";
    if (msg->len < sizeof text)
        memcpy(text, msg->data, msg->len);
    return strtoull(text, NULL, 10);
}

static enum mcq_error send_number(struct mcq_sock *sock, uint64_t number)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%" PRIu64, number);
    return mcq_send_bytes(sock, text, (size_t)len);
}

/* --- Server ---------------------------------------------------------------------------------- */

static enum mcq_flow on_request(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *request)
{
    (void)ctx, (void)from;
    uint64_t number = read_number(request);
    /* A REP is never full: it answers whoever asked last, or counts the reply as dropped. */
    if (send_number(sock, number * number) != MCQ_OK)
        fputs("reqrep: a reply was lost\n", stderr);
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers server_handlers = {.message = on_request};

/* --- Client ---------------------------------------------------------------------------------- */

/* Asks the next question, or ends: closing its last socket ends the program. */
static void ask(struct reqrep *r, struct mcq_sock *sock)
{
    if (r->asked == r->count) {
        mcq_sock_close(sock);
        return;
    }
    enum mcq_error err = send_number(sock, r->asked + 1);
    if (err == MCQ_OK)
        r->asked++;
    else if (err != MCQ_EAGAIN) /* nobody there yet: on_writable comes later */
        fprintf(stderr, "reqrep: %s\n", mcq_error_name(err));
}

static void on_writable(void *ctx, struct mcq_sock *sock)
{
    struct reqrep *r = ctx;
    if (r->asked == 0)
        ask(r, sock);
}

static enum mcq_flow on_reply(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                              struct mcq_msg *reply)
{
    struct reqrep *r = ctx;
    (void)from;
    printf("%" PRIu64 " squared is %" PRIu64 "\n", r->asked, read_number(reply));
    ask(r, sock);
    return MCQ_CONTINUE;
}

static void on_timeout(void *ctx, struct mcq_sock *sock)
{
    struct reqrep *r = ctx;
    fprintf(stderr, "reqrep: no reply to %" PRIu64 "\n", r->asked);
    r->failed = true;
    mcq_sock_close(sock);
}

static const struct mcq_sock_handlers client_handlers = {
    .message = on_reply,
    .writable = on_writable,
    .timeout = on_timeout,
};

/* --- Both ------------------------------------------------------------------------------------ */

static int start(struct mcq_shard *shard, void *arg)
{
    struct reqrep *r = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    if (r->client)
        opts.request_timeout_ms = 10000;

    struct mcq_sock *sock;
    struct mcq_detail why;
    enum mcq_sock_type type = r->client ? MCQ_REQ : MCQ_REP;
    const struct mcq_sock_handlers *handlers = r->client ? &client_handlers : &server_handlers;
    enum mcq_error err = mcq_sock_open(shard, type, &opts, handlers, r, &sock, &why);
    if (err == MCQ_OK)
        err = r->client ? mcq_sock_connect(sock, r->endpoint, &why)
                        : mcq_sock_bind(sock, r->endpoint, &why);
    if (err != MCQ_OK) {
        fprintf(stderr, "reqrep: %s\n", why.text);
        return 1;
    }
    if (r->client)
        ask(r, sock);
    return 0;
}

int main(int argc, char **argv)
{
    struct mcq_opts opts = MCQ_OPTS_INIT;
    mcq_opts_parse(&opts, &argc, argv);
    if (argc < 2 || (strcmp(argv[1], "server") != 0 && strcmp(argv[1], "client") != 0)) {
        fputs("usage: reqrep server|client [ENDPOINT [COUNT]]\n", stderr);
        return 2;
    }
    struct reqrep r = {
        .client = strcmp(argv[1], "client") == 0,
        .endpoint = argc > 2 ? argv[2] : "tcp://127.0.0.1:5555",
        .count = argc > 3 ? strtoull(argv[3], NULL, 10) : 10,
    };
    struct mcq_app app = {.start = start};
    enum mcq_error err = mcq_run(&opts, &app, &r, NULL);
    return err != MCQ_OK || r.failed;
}
