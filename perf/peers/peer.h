/*
 * peer: what is measured. One file each, one table at its bottom.
 *
 * A peer is a table of functions over nodes (perf/peers/node.h), with which every workload works;
 * some have functions of their own for round trips and throughput besides, which take the library's
 * best path. Those bind what job says, name the endpoint to the other side and serve one client: an
 * rtt server ends after perf_rtt_trips answers; a sender ends when the receiver is gone or
 * perf_child_stopped says so. Every function runs in a process of its own, pinned already when it
 * is to be pinned, and closes what it opened.
 */
#ifndef MCQ_PERF_PEER_H
#define MCQ_PERF_PEER_H

#include "perf/peers/node.h"
#include "perf/workloads/rtt.h"
#include "perf/workloads/throughput.h"

struct perf_peer {
    const char *name;
    const char *missing; /* why this build can't run it, or NULL */
    bool always_blocks;  /* whatever idle policy is asked for */
    bool always_spins;
    bool rate_blocks; /* throughput over nodes: its threads get on better while it sleeps */
    bool has_threads; /* more than one thread per process: may be better left free */
    const struct perf_node_ops *node; /* NULL: only what is below */
    unsigned roles;                   /* of the node: 1u << enum perf_role each */
    unsigned transports;              /* 1u << enum perf_transport each */
    /* Both NULL: round trips go over nodes. */
    bool (*rtt_serve)(struct perf_child *child, const struct perf_rtt_job *job);
    bool (*rtt_run)(struct perf_child *child, const struct perf_rtt_job *job,
                    struct perf_rtt_meter *meter);
    /* Both NULL: throughput goes over nodes. */
    bool (*rate_receive)(struct perf_child *child, const struct perf_rate_job *job,
                         struct perf_rate_meter *meter);
    bool (*rate_send)(struct perf_child *child, const struct perf_rate_job *job);
};

#define PERF_ROLES_ALL      ((1u << PERF_ROLE_CNT) - 1u)
#define PERF_TRANSPORTS_ALL (1u << PERF_TRANSPORT_TCP | 1u << PERF_TRANSPORT_IPC)

extern const struct perf_peer perf_peer_mcq;
extern const struct perf_peer perf_peer_libzmq;
extern const struct perf_peer perf_peer_nng;
extern const struct perf_peer perf_peer_raw;
extern const struct perf_peer perf_peer_spin;
extern const struct perf_peer perf_peer_epoll;
extern const struct perf_peer perf_peer_uring;
extern const struct perf_peer perf_peer_raw_frames;

/* Sets an option of the library for the mcq peer, as every program's command line does: a bad value
 * ends the program with a sentence and status 2. text: borrowed for good. */
void perf_peer_mcq_option(const char *name, char *text);

/* NULL when there is none of that name. */
const struct perf_peer *perf_peer_find(const char *name);
/* "mcq, libzmq or raw": every name there is. */
const char *perf_peer_names(void);

static inline bool perf_peer_has_role(const struct perf_peer *peer, enum perf_role role)
{
    return peer->node != NULL && (peer->roles & 1u << role) != 0;
}

static inline bool perf_peer_has_rtt(const struct perf_peer *peer)
{
    return peer->rtt_run != NULL || (perf_peer_has_role(peer, PERF_ROLE_CLIENT) &&
                                     perf_peer_has_role(peer, PERF_ROLE_SERVER));
}

static inline bool perf_peer_has_rate(const struct perf_peer *peer)
{
    return peer->rate_send != NULL ||
           (perf_peer_has_role(peer, PERF_ROLE_PUSH) && perf_peer_has_role(peer, PERF_ROLE_PULL));
}

/* The policy in effect, which for a peer that always blocks isn't the one asked for. */
static inline enum perf_idle perf_peer_idle(const struct perf_peer *peer, enum perf_idle asked)
{
    enum perf_idle idle = peer->always_spins ? PERF_IDLE_SPIN : asked;
    return peer->always_blocks ? PERF_IDLE_BLOCK : idle;
}

#endif
