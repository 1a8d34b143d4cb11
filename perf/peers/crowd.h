/*
 * crowd: the connections of a node of bare sockets, and what they have in common: where messages
 * go, when what is queued is sent, and when a connection is closed.
 *
 * How a peer waits is its own: a turn function, and a table of what happens to a connection. Sends
 * are queued; what is queued goes out in one piece at the beginning of the next poll, behind what
 * one connection brought, or once it is much. Closing is left to the end of a turn, so that a
 * connection met in one lives as long as that. One thread.
 *
 * A SERVER's token is the place and the life of the connection: one that ended is GONE, whoever has
 * its place. A PUB that may not drop has room when all its subscribers have.
 */
#ifndef MCQ_PERF_PEERS_CROWD_H
#define MCQ_PERF_PEERS_CROWD_H

#include "perf/peers/node.h"
#include "perf/peers/stream.h"

#include <time.h>

struct perf_crowd;

struct perf_crowd_ops {
    /* io_uring fails a request that would wait on a descriptor that isn't to be waited on. */
    bool fds_block;
    /* A connection was added. False with the reason noted. */
    bool (*added)(struct perf_crowd *crowd, struct perf_stream *stream);
    /* Sends what is queued, or begins to. */
    void (*flush)(struct perf_crowd *crowd, struct perf_stream *stream);
    /* Whether an ended one may be closed now; NULL: always. */
    bool (*leaves)(struct perf_crowd *crowd, struct perf_stream *stream);
};

struct perf_crowd {
    struct perf_node *node;
    const struct perf_crowd_ops *ops;
    int listener; /* -1: connects */
    struct perf_stream *streams;
    uint32_t cap, used; /* places, and those that were ever taken */
    uint32_t *live;     /* places of connections, in no order */
    uint32_t live_cnt;
    uint32_t *vacant;
    uint32_t vacant_cnt;
    uint32_t *dirty;
    uint32_t dirty_cnt;
    uint32_t blocked_cnt, ended_cnt;
    uint32_t turn;     /* of a PUSH that binds: whose it is */
    size_t out_max;    /* bytes queued per connection */
    uint64_t came_cnt; /* what a poll returns for */
    bool sends_only;   /* PUSH, PUB */
    bool failed;
    unsigned char *buffer; /* to read into */
};

/* Opens what the node's spec says. False with the reason noted: perf_crowd_close is still due. */
bool perf_crowd_open(struct perf_crowd *crowd, struct perf_node *n,
                     const struct perf_crowd_ops *ops);
void perf_crowd_close(struct perf_crowd *crowd);

enum perf_put perf_crowd_send(struct perf_crowd *crowd, uint64_t conn, const void *data,
                              size_t len);

/* Waits until until_ns at the longest (0: not at all) and does what there is to do. False with the
 * reason noted. */
typedef bool perf_turn_fn(struct perf_crowd *crowd, uint64_t until_ns);

/* What perf_node_ops.poll promises. */
bool perf_crowd_poll(struct perf_crowd *crowd, uint64_t until_ns, perf_turn_fn *turn);

/* --- for turns ---------------------------------------------------------------------------------
 */

/* How long a turn may sleep; a node that spins doesn't. */
struct timespec perf_crowd_left(const struct perf_crowd *crowd, uint64_t until_ns);

/* Takes fd. False when the node can't go on. More than there are places for are turned away. */
bool perf_crowd_add(struct perf_crowd *crowd, int fd);
/* All that wait. */
bool perf_crowd_accept(struct perf_crowd *crowd);
/* One receive of what there is. */
void perf_crowd_read(struct perf_crowd *crowd, struct perf_stream *stream);
/* What came, read in another way. */
void perf_crowd_take(struct perf_crowd *crowd, struct perf_stream *stream, const void *data,
                     size_t len);
/* One send of all that is queued. */
void perf_crowd_write(struct perf_crowd *crowd, struct perf_stream *stream);
void perf_crowd_end(struct perf_crowd *crowd, struct perf_stream *stream);
/* A connection that had no room has some now: what waits for that is told. */
void perf_crowd_room(struct perf_crowd *crowd, struct perf_stream *stream);

#endif
