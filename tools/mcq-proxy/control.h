/* Control: the socket by which a proxy is steered, with the commands of zmq_proxy_steerable. Each
 * request is a command and gets its reply; what is no command is answered with a sentence. */
#ifndef MCQ_PROXY_CONTROL_H
#define MCQ_PROXY_CONTROL_H

#include <monocoque.h>

struct control_handlers {
    /* TERMINATE was asked for; the reply is on its way. */
    void (*terminate)(void *ctx);
};

struct control {
    struct mcq_proxy *proxy; /* NULL once it has closed */
    const struct control_handlers *handlers;
    void *ctx;
    struct mcq_sock *sock; /* NULL: none, or closed */
};

/* Opens the socket; proxy, handlers and ctx are borrowed until it has closed. */
MCQ_MUST_USE enum mcq_error control_open(struct control *control, struct mcq_shard *shard,
                                         const struct mcq_sock_opts *opts,
                                         struct mcq_detail *detail);

#endif
