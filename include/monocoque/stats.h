/* Stats: counters, single-writer and plain, read in process by their shard.
 *
 * Every limit of the library has its counter here. All count since start, unless named *_now.
 */
#ifndef MONOCOQUE_STATS_H
#define MONOCOQUE_STATS_H

#include <monocoque/base.h>
#include <monocoque/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mcq_loop_stats {
    uint64_t turns, turns_idle;    /* passes of the loop; those that found nothing to do */
    uint64_t enters, enters_extra; /* io_uring_enter calls; those beyond the first of a turn */
    uint64_t waits;                /* enters that slept */
    uint64_t sqes, cqes;
    uint64_t sq_full;     /* an operation waited for room in the submission queue */
    uint64_t cq_overflow; /* completions the kernel had to hold back */
    uint64_t stale;       /* completions of an ended connection, settled and dropped */
    uint64_t recvs, sends, accepts, connects;
    uint64_t sends_short;     /* the kernel took only a part */
    uint64_t enobufs;         /* receive shots ended because the ring was empty */
    uint64_t rearms;          /* receives armed again from the waiting line */
    uint64_t shots_limited;   /* receive shots ended by their credit */
    uint64_t ring_target_now; /* blocks the receive ring is topped up to */
    uint64_t timers_fired;
    uint64_t conns_now, conns_peak; /* connections of every state, and listeners */
    uint64_t conns_refused;         /* table full: accepted and closed, or not begun */
};

struct mcq_mem_stats {
    uint64_t blocks_now, blocks_peak, blocks_empty; /* all classes; takes that found none */
    uint64_t large_now, large_peak, large_empty;    /* bytes, bytes, takes that found no room */
    uint64_t pinned_now;                            /* bytes of receive blocks kept by the user */
    uint64_t keeps_copied, keeps_shared;
    uint64_t minor_faults; /* of the shard's thread since the seal */
};

struct mcq_proto_stats {
    uint64_t msgs_in, msgs_out, frames_in, bytes_in, bytes_out;
    uint64_t commands_in, commands_unknown, pings_in, pongs_out;
    uint64_t pings_out, heartbeats_expired; /* peers that were silent too long */
    uint64_t handshakes, handshakes_failed, handshakes_expired;
    uint64_t bytes_undelivered;     /* received, but the connection ended before their delivery */
    uint64_t errors;                /* streams that broke the protocol */
    uint64_t assembled;             /* messages that spanned receive blocks */
    uint64_t large_in, large_waits; /* frames received into their own block; waits for room */
};

struct mcq_pattern_stats {
    uint64_t drops_hwm;     /* the peer's queue was full: drop-new, disconnect */
    uint64_t drops_no_peer; /* ROUTER, REP: addressed to nobody */
    uint64_t drops_pattern; /* late or foreign replies, requests without delimiter, ... */
    uint64_t drops_filter;  /* SUB: arrived without matching a subscription */
    uint64_t drops_handler; /* arrived at a socket without a message handler */
    uint64_t drops_end;     /* queued at a connection or socket when it ended */
    uint64_t drops_old;     /* drop-old: made room for a newer one */
    uint64_t conflated;     /* conflate: a newer one took its place */
    uint64_t slow_enters, slow_leaves, slow_disconnects;
    uint64_t ghosts; /* identity policy replace: older connections ended */
    uint64_t again;  /* sends refused with MCQ_EAGAIN */
    uint64_t subs_now, subs_peak, subs_duplicate, subs_refused;
    uint64_t sweeps_limited; /* turns that left subscriptions of peers that went to the next */
    uint64_t peers_now, peers_refused;
    uint64_t pauses, resumes;
};

/* Takes that found a pool empty, which the caller was told as MCQ_ELIMIT, or the peer by being
 * closed. How many each pool has is logged at start. */
struct mcq_pool_stats {
    uint64_t links_empty;       /* connections_max: accepted or connecting */
    uint64_t connects_empty;    /* mcq_sock_connect */
    uint64_t socks_empty;       /* mcq_sock_open */
    uint64_t listeners_empty;   /* mcq_sock_bind */
    uint64_t timers_empty;      /* mcq_timer_open */
    uint64_t segments_empty;    /* queued messages of more than one part: MCQ_EAGAIN or a drop */
    uint64_t proxies_empty;     /* mcq_proxy_open */
    uint64_t remote_refs_empty; /* messages of other shards that were copied instead of shared */
};

/* Between shards. A record is one post, one release of memory, one step of some protocol. */
struct mcq_mesh_stats {
    uint64_t sent, taken; /* records */
    uint64_t full;        /* sends that found their ring full: MCQ_EAGAIN, or tried again later */
    uint64_t rooms;       /* rings that had room again */
    uint64_t wakes;       /* shards that were asleep and got woken */
    uint64_t later;       /* turns that left records to the next */
};

/* Between the shards of one app. */
struct mcq_bridge_stats {
    uint64_t opened, refused;               /* bridges; of those asked for by other shards */
    uint64_t flights, flights_by_value;     /* lent to other shards; those whose bytes went along */
    uint64_t flights_in, msgs_in, bytes_in; /* from other shards */
    uint64_t stalls;                        /* times a receiver had no room */
    uint64_t kept;       /* large frames of other shards that were kept or passed on by reference */
    uint64_t lanes_full; /* something had to wait for room between two shards */
    uint64_t stale;      /* records for a bridge that has ended */
    uint64_t bridges_now, bridges_empty; /* the pool: in use; takes that found none */
};

/* Identities of logical ROUTERs: what this shard claims for its own peers, and what it decides for
 * those of all. */
struct mcq_directory_stats {
    uint64_t claims, claims_now;
    uint64_t claims_empty; /* peers refused: as many as this shard may have, see the log at start */
    uint64_t grants, refusals; /* decided here */
    uint64_t revokes;          /* ... against an older owner, for a newer one */
    uint64_t records_now;      /* identities of all shards that are known here */
    uint64_t records_empty;    /* ... that found no room: not to be found from here */
    uint64_t stale;            /* what was said of a claim that had ended */
};

/* Connections on their way from shard to shard (mcq_peer_move, placement). */
struct mcq_move_stats {
    uint64_t begun, left, stayed; /* of this shard's: on their way, gone, not gone in the end */
    uint64_t came, refused;       /* of others': taken over; without room here */
    uint64_t asks_lost; /* other shards' requests: the peer is moving or gone, isn't the logical
                         * socket's, or the rings were full */
};

struct mcq_shard_stats {
    struct mcq_loop_stats loop;
    struct mcq_mem_stats mem;
    struct mcq_proto_stats proto;
    struct mcq_pattern_stats pattern;
    struct mcq_pool_stats pools;
    struct mcq_bridge_stats bridge;
    uint64_t posts, posts_full, wakes;
    uint64_t hops, hops_later; /* inproc: rounds of a turn; turns that left some to the next */
    uint64_t disconnects[32];  /* connections that ended after the transport was up, by enum
                                  mcq_reason: DISCONNECTED, HANDSHAKE_FAILED and REFUSED */
    struct mcq_mesh_stats mesh;
    struct mcq_directory_stats directory;
    struct mcq_move_stats moves;
};

/* mcq_shard_stats copies the counters. Thread: owning shard. Cost: about 1 KB copied. */
MCQ_API void mcq_shard_stats(const struct mcq_shard *shard, struct mcq_shard_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
