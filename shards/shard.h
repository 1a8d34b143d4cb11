/* Shard: one core's thread state; composes mem, runtime, proto and patterns.
 *
 * The turn (mcq_shard_step): records -> reap -> deliver -> timers -> records -> mailbox -> flush ->
 * submit (or sleep). Records of other shards are looked for twice, since one that has just missed
 * its look waits a turn for the next.
 * Bounded everywhere: events, batches per connection, timers, posts, bytes per flush. The while
 * loop and the pthread are in thread.c, so a test or a program can step a shard by itself.
 */
#ifndef MCQ_SHARDS_SHARD_H
#define MCQ_SHARDS_SHARD_H

#include <monocoque/stats.h>
#include <monocoque/topo.h>

#include "mem/arena.h"
#include "mem/buf.h"
#include "patterns/shared.h"
#include "runtime/loop.h"
#include "shards/alias.h"
#include "shards/bridge.h"
#include "shards/directory.h"
#include "shards/handoff.h"
#include "shards/log.h"
#include "shards/mailbox.h"
#include "shards/mesh.h"
#include "shards/placement.h"
#include "shards/plan.h"
#include "shards/port.h"
#include "shards/proxy.h"
#include "shards/remote_peer.h"
#include "shards/remote_ref.h"
#include "shards/roster.h"
#include "shards/sock.h"
#include "shards/timer.h"

#define MCQ_SHARD_EVENTS_MAX  256u   /* completions of one reap */
#define MCQ_SHARD_REAPS_MAX   16u    /* reaps of one turn */
#define MCQ_SHARD_FLUSH_MAX   1024u  /* sends of one turn */
#define MCQ_SHARD_HOPS_MAX    8u     /* from socket to socket by inproc, of one turn */
#define MCQ_SHARD_HOPPED_MAX  2048u  /* ... none is begun after so many messages */
#define MCQ_SHARD_DUE_MAX     64u    /* peers, and sockets, whose drops are told in one turn */
#define MCQ_SHARD_SWEEPS_MAX  4u     /* sockets swept in one turn */
#define MCQ_SHARD_OLDEST_NS   20000u /* oldest unsent message before a send inside a callback */
#define MCQ_SHARD_PRESSED_LEN 65536u /* queued bytes of a peer before one */

struct mcq_shard {
    /* hot */
    struct mcq_loop *loop;
    struct mcq_buf_heap *heap;
    struct mcq_list ready;    /* sessions with input to deliver */
    struct mcq_list marked;   /* pipes to flush */
    struct mcq_list writable; /* sockets whose `writable` is due */
    struct mcq_list due;      /* links with slowness or drops to be told */
    struct mcq_list sock_drops;
    struct mcq_list sweeps; /* sockets whose pattern has work left over from peers that went */
    uint64_t oldest_ns;     /* when the first pipe of this turn was marked */
    struct mcq_pipe_env env;
    struct mcq_mailbox *mailbox;
    struct mcq_mesh_end *mesh; /* NULL: stepped by somebody else, alone */
    struct mcq_remote remote;
    struct mcq_bridges bridges;
    struct mcq_directory directory;
    struct mcq_remote_dead dead;
    struct mcq_handoff handoff;
    struct mcq_placements placement;
    struct mcq_ports ports;
    /* cold */
    uint32_t id;
    void *user;
    bool stopping;
    bool idle;                 /* as the roster knows it: nothing to do but what others send */
    uint32_t calm_cnt;         /* turns since then in which there was none either ... */
    uint32_t calm_max;         /* ... and so many are needed until it tells the roster */
    struct mcq_roster *roster; /* NULL: alone */
    const struct mcq_app *app; /* NULL: stepped by somebody else */
    void *app_arg;
    uint32_t timers_open;
    size_t pin_max;
    struct mcq_resolver *resolver; /* the app's */
    struct mcq_log log;
    struct mcq_arena arena;
    struct mcq_plan plan;
    uint32_t *epochs;                           /* per link slot: of its newest peer name */
    bool *live;                                 /* ... and whether that peer is up */
    struct mcq_alias alias;                     /* peers whose home is another shard */
    struct mcq_sock *members[MCQ_LOGICALS_MAX]; /* this shard's, by the logical socket's index */
    struct mcq_pool member_pool, channels;
    struct mcq_pool links, socks, listeners, targets, segs, timers, proxies;
    struct mcq_pattern_shared *shared;
    struct mcq_list sock_list;
    struct mcq_detail last_failed; /* setup call of the user's; code MCQ_OK: none */
    struct mcq_shard_stats stats;
    struct mcq_inproc inproc;
    struct mcq_group_passes passes; /* accepted connections on their way to other shards */
    /* scratch of one delivery */
    struct mcq_io_event events[MCQ_SHARD_EVENTS_MAX];
    struct mcq_msg views[MCQ_SESSION_BATCH_MAX];
    struct mcq_frame frames[MCQ_FRAME_CNT_MAX + 1];
    struct mcq_frame proxy_frames[MCQ_FRAME_CNT_MAX];
    char text[MCQ_ENDPOINT_LEN_MAX];
};

/* The shard of the calling thread, NULL on others. */
extern __thread struct mcq_shard *mcq_shard_here;

/* Thread: the one that will step it; faults the arena in and seals it. opts: effective. resolver:
 * borrowed until fini; NULL if no host name will be connected to. Alone, until roster is set. */
MCQ_MUST_USE enum mcq_error mcq_shard_init(struct mcq_shard *sh, uint32_t id,
                                           const struct mcq_opts *opts,
                                           struct mcq_resolver *resolver,
                                           struct mcq_detail *detail);
/* The node of its memory, or MCQ_NODE_ANY: seat (may be NULL) and numa decide; and how strictly. */
int mcq_shard_node(const struct mcq_opts *opts, const struct mcq_topo_shard *seat);
enum mcq_node_policy mcq_shard_node_policy(const struct mcq_opts *opts);
/* Where the plan puts a shard; NULL: nowhere in particular, nobody. Borrowed. */
struct mcq_shard_place {
    const struct mcq_topo_shard *seat;
    const struct mcq_shard *kin; /* it has been set up, and its ring's kernel thread is ours, too */
};

/* The same there: its memory on the seat's node, unless numa is off. The thread has been pinned
 * before. */
MCQ_MUST_USE enum mcq_error mcq_shard_init_at(struct mcq_shard *sh, uint32_t id,
                                              const struct mcq_opts *opts,
                                              const struct mcq_shard_place *place,
                                              struct mcq_resolver *resolver,
                                              struct mcq_detail *detail);
/* One turn; sleeps as the idle policy has it. Returns false once it is stopped and empty, and so
 * are all shards of its roster. */
bool mcq_shard_step(struct mcq_shard *sh);
/* What a setup call of the user's returns: err, a failure also in detail (may be NULL) and
 * remembered, for a start that refuses to go on. */
enum mcq_error mcq_shard_told(struct mcq_shard *sh, enum mcq_error err,
                              const struct mcq_detail *why, struct mcq_detail *detail);
/* Ties the socket's pattern part to this shard. */
void mcq_shard_psock_init(struct mcq_shard *sh, struct mcq_sock *sock,
                          const struct mcq_pattern *pattern);
/* Stops, drains and gives everything back. Returns the number of bufs that were not home (0). */
uint32_t mcq_shard_fini(struct mcq_shard *sh);

static inline uint64_t mcq_shard_now_ns(const struct mcq_shard *sh)
{
    return mcq_loop_now(sh->loop);
}

#endif
