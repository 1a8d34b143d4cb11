/* Listener: one bind of a socket. */
#ifndef MCQ_SHARDS_LISTENER_H
#define MCQ_SHARDS_LISTENER_H

#include "mem/list.h"
#include "runtime/loop.h"
#include "shards/endpoint.h"
#include "shards/group.h"

struct mcq_sock;

/* After EMFILE and the like, doubling with each failure until somebody was accepted. */
#define MCQ_LISTENER_RETRY_MIN_NS 100000000u
#define MCQ_LISTENER_RETRY_MAX_NS 3200000000u

struct mcq_listener {
    struct mcq_sock *sock;
    struct mcq_conn *conn;           /* NULL: inproc */
    char text[MCQ_ENDPOINT_LEN_MAX]; /* the actual endpoint */
    bool announced, closing;
    struct mcq_group *group; /* the collective bind it is part of; NULL: its own */
    bool silent;             /* another member tells of it */
    bool suspended;          /* drains: conn is closing, the bind stays; then conn is NULL */
    bool parted;       /* of a group: its descriptor is being closed, its number may be another's */
    uint64_t retry_ns; /* after the next failure */
    struct mcq_timer_node timer; /* announces, and accepts again after a failure */
    struct mcq_node sock_node;
    struct mcq_node name_node; /* inproc: in the shard's list of names */
};

/* text: ep's, as the user wrote it. */
MCQ_MUST_USE enum mcq_error mcq_listener_open(struct mcq_sock *sock, const struct mcq_endpoint *ep,
                                              const char *text, struct mcq_detail *detail);
void mcq_listener_event(struct mcq_listener *l, const struct mcq_io_event *ev);
void mcq_listener_close(struct mcq_listener *l);

#endif
