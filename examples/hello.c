/* hello: a server that answers "hello" and what it was asked.
 *
 *   hello [ENDPOINT]
 *   echo world | mcq-cat REQ --connect tcp://127.0.0.1:5555
 */
#include <monocoque.h>
#include <stdio.h>

/* Runs on the thread that read the socket; the reply leaves before that thread reads on. */
static enum mcq_flow on_request(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *request)
{
    (void)ctx, (void)from;
    struct mcq_frame frames[] = {{"hello", 5}, mcq_msg_frame(request, 0)};
    struct mcq_msg reply = mcq_msg_of_frames(frames, 2);
    if (mcq_send(sock, &reply) != MCQ_OK)
        fputs("hello: a reply was lost\n", stderr);
    return MCQ_CONTINUE;
}

static int start(struct mcq_shard *shard, void *endpoint)
{
    static const struct mcq_sock_handlers handlers = {.message = on_request};
    struct mcq_sock *sock;
    if (mcq_sock_open(shard, MCQ_REP, NULL, &handlers, NULL, &sock, NULL) != MCQ_OK)
        return 1;
    return mcq_sock_bind(sock, endpoint, NULL); /* mcq_run tells what failed */
}

int main(int argc, char **argv)
{
    struct mcq_opts opts = MCQ_OPTS_INIT;
    mcq_opts_parse(&opts, &argc, argv); /* --idle spin, --cpus 2, --help; the log is stderr */

    struct mcq_app app = {.start = start};
    char endpoint[] = "tcp://127.0.0.1:5555";
    return mcq_run(&opts, &app, argc > 1 ? argv[1] : endpoint, NULL) != MCQ_OK;
}
