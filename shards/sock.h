/* Sock: what a struct mcq_sock is inside: a pattern, its links and listeners, the user's handlers.
 *
 *      OPEN --mcq_sock_close--> CLOSING (links linger, listeners end) --all gone--> `closed`, freed
 */
#ifndef MCQ_SHARDS_SOCK_H
#define MCQ_SHARDS_SOCK_H

#include "patterns/psock.h"
#include "runtime/timer.h"
#include "shards/link.h"
#include "shards/listener.h"
#include "shards/member.h"

struct mcq_sock {
    struct mcq_shard *shard;
    uint32_t logical; /* index of the logical socket it is a member of; MCQ_LOGICAL_NONE */
    uint32_t life;    /* ... and its mcq_logical.life */
    bool claims;      /* its peers' identities are claimed: a ROUTER with members elsewhere */
    bool closing;
    struct mcq_member *member; /* with channels to the others; NULL: none */
    struct mcq_psock psock;
    struct mcq_sock_handlers handlers;
    void *ctx;
    struct mcq_sock_opts opts;          /* effective */
    struct mcq_sockopts sockopts;       /* those of them that the kernel gets */
    struct mcq_psock_opts pattern_opts; /* the pattern's part of them */
    char device[MCQ_DEVICE_LEN_MAX + 1];
    uint8_t identity[MCQ_IDENTITY_LEN_MAX];
    struct mcq_list links, listeners;
    struct mcq_pipe *reserved; /* by mcq_tx_reserve; the pipe knows whether it still holds */
    struct mcq_drops drops;    /* of no peer in particular */
    char bound[MCQ_ENDPOINT_LEN_MAX];
    struct mcq_timer_node request_timer;
    struct mcq_node shard_node;
    struct mcq_node writable_node;
    struct mcq_node drop_node;
    struct mcq_node sweep_node;
    struct mcq_node load_node; /* shards/placement */
    uint32_t load_next;
};

extern const struct mcq_psock_up mcq_sock_up;

/* Tells the event handler. Fields of ev beyond those given by the caller are filled in here. */
void mcq_sock_tell(struct mcq_sock *sock, struct mcq_event *ev);
/* Runs `writable` for those that wait; events of slowness and drops. Once per turn. */
void mcq_sock_run_writable(struct mcq_shard *shard);
void mcq_sock_run_due(struct mcq_shard *shard);
/* Those of one link, now, if there are any: it is about to lose its peer. */
void mcq_sock_tell_due(struct mcq_link *link);
/* Those of no peer in particular. */
void mcq_sock_tell_drops(struct mcq_sock *sock);
/* What peers that went have left behind, a bounded piece of it. Once per turn. */
void mcq_sock_run_sweeps(struct mcq_shard *shard);
/* A link or listener is gone, or all is swept: ends a closing socket that has nothing left. */
void mcq_sock_check_closed(struct mcq_sock *sock);

#endif
