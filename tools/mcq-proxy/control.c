#include <stdio.h>
#include <string.h>

#include "control.h"

#define COUNTERS 8u

static void answer(struct control *c, struct mcq_msg *reply)
{
    enum mcq_error err = mcq_send(c->sock, reply);
    if (err != MCQ_OK && err != MCQ_ESTATE)
        fprintf(stderr, "mcq-proxy: can't answer on control: %s\n", mcq_error_name(err));
}

static void answer_text(struct control *c, const char *text)
{
    struct mcq_msg reply = mcq_msg_of(text, strlen(text));
    answer(c, &reply);
}

/* In the order of zmq_proxy_steerable: what the front received and sent, then the back. */
static void answer_statistics(struct control *c)
{
    struct mcq_proxy_stats s;
    mcq_proxy_stats(c->proxy, &s);
    const uint64_t counters[COUNTERS] = {
        s.to_back.msgs,  s.to_back.bytes,  s.to_front.msgs, s.to_front.bytes,
        s.to_front.msgs, s.to_front.bytes, s.to_back.msgs,  s.to_back.bytes,
    };
    struct mcq_frame frames[COUNTERS];
    for (unsigned i = 0; i < COUNTERS; i++)
        frames[i] = (struct mcq_frame){&counters[i], sizeof counters[i]};
    struct mcq_msg reply = mcq_msg_of_frames(frames, COUNTERS);
    answer(c, &reply);
}

static bool is(const struct mcq_msg *msg, const char *command)
{
    return mcq_msg_frame_cnt(msg) == 1 && msg->len == strlen(command) &&
           memcmp(msg->data, command, msg->len) == 0;
}

static enum mcq_flow on_command(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct control *c = ctx;
    (void)sock, (void)from;
    if (c->proxy == NULL) {
        answer_text(c, "the proxy has ended");
    } else if (is(msg, "STATISTICS")) {
        answer_statistics(c);
    } else if (is(msg, "PAUSE")) {
        mcq_proxy_pause(c->proxy);
        answer_text(c, "");
    } else if (is(msg, "RESUME")) {
        mcq_proxy_resume(c->proxy);
        answer_text(c, "");
    } else if (is(msg, "TERMINATE")) {
        answer_text(c, "");
        c->handlers->terminate(c->ctx);
    } else {
        answer_text(c, "no such command: PAUSE, RESUME, TERMINATE and STATISTICS are known");
    }
    return MCQ_CONTINUE;
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct control *c = ctx;
    (void)sock;
    c->sock = NULL;
}

enum mcq_error control_open(struct control *control, struct mcq_shard *shard,
                            const struct mcq_sock_opts *opts, struct mcq_detail *detail)
{
    static const struct mcq_sock_handlers handlers = {.message = on_command, .closed = on_closed};
    return mcq_sock_open(shard, MCQ_REP, opts, &handlers, control, &control->sock, detail);
}
