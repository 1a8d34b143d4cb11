/* Listener: one bind of a socket. */
#ifndef MCQ_SHARDS_LISTENER_H
#define MCQ_SHARDS_LISTENER_H

#include "mem/list.h"
#include "runtime/loop.h"
#include "shards/endpoint.h"

struct mcq_sock;

#define MCQ_LISTENER_RETRY_NS 100000000 /* after EMFILE and the like */

struct mcq_listener {
    struct mcq_sock *sock;
    struct mcq_conn *conn;
    char text[MCQ_ENDPOINT_LEN_MAX]; /* the actual endpoint */
    bool announced, closing;
    struct mcq_timer_node timer; /* announces, and accepts again after a failure */
    struct mcq_node sock_node;
};

MCQ_MUST_USE enum mcq_error mcq_listener_open(struct mcq_sock *sock, const struct mcq_endpoint *ep,
                                              struct mcq_detail *detail);
void mcq_listener_event(struct mcq_listener *l, const struct mcq_io_event *ev);
void mcq_listener_close(struct mcq_listener *l);

#endif
