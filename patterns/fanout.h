/* Fan-out: which peers want this message, and giving it to each of them once.
 *
 *      topic "EUR" --> [near: up to 3 pipes] [far: list]      struct mcq_topic, in the prefix table
 *                            |                  |
 *                           sub                sub             struct mcq_sub: (peer, topic),
 *          pipe.subs -----------+------------------+              what a peer's end has to take
 * back
 *
 * Publishing walks the matching topics and their pipes; the pipe remembers the number of the
 * message it was given last, so several matches deliver once. A body worth sharing is made owned
 * once, before its first pipe, and every pipe holds a reference to it.
 *
 * On the wire a subscription is there or not: counting them is the subscriber's own affair, and
 * libzmq's SUB forwards every SUBSCRIBE but only the last CANCEL. A repeated one is counted in the
 * stats alone.
 *
 * Limits: subscriptions per peer and their bytes (MCQ_FANOUT_BYTES_MAX), the shard's pools.
 * Thread: the shard's. Pipes are borrowed until forget. Cost: publish O(matches + their pipes);
 * a change O(1); forget O(the peer's subscriptions).
 */
#ifndef MCQ_PATTERNS_FANOUT_H
#define MCQ_PATTERNS_FANOUT_H

#include "mem/pool.h"
#include "patterns/pipe.h"
#include "patterns/prefix.h"

#define MCQ_FANOUT_BYTES_MAX 1048576u /* bytes of topics one peer may have subscribed to */
#define MCQ_FANOUT_NEAR_MAX  3u       /* pipes named in the topic itself */

/* mcq_pipe.fanout_seq of a pipe that gets nothing more, whatever its subscriptions say. */
#define MCQ_FANOUT_CLOSED UINT64_MAX

struct mcq_sub;

struct mcq_topic {
    struct mcq_prefix prefix;
    uint32_t near_cnt;
    struct mcq_pipe *near_pipes[MCQ_FANOUT_NEAR_MAX];
    struct mcq_sub *near_subs[MCQ_FANOUT_NEAR_MAX];
    struct mcq_list far; /* of struct mcq_sub, those that found near full */
};

struct mcq_sub {
    struct mcq_sub *next; /* in its bucket */
    struct mcq_pipe *pipe;
    struct mcq_node topic_node; /* in mcq_topic.far, if it is there */
    struct mcq_node pipe_node;  /* in mcq_pipe.subs */
    struct mcq_topic *topic;
    uint32_t near_idx; /* < MCQ_FANOUT_NEAR_MAX: its place in near */
};

/* What all PUB sockets of a shard share. */
struct mcq_fanout_pools {
    struct mcq_pool topics, subs;
    struct mcq_sub **buckets; /* by topic and pipe */
    uint32_t bucket_cnt;      /* power of two >= 2 * subs_max */
};

size_t mcq_fanout_pools_footprint(uint32_t subs_max);
/* Carves. false: the arena is too small. */
MCQ_MUST_USE bool mcq_fanout_pools_init(struct mcq_fanout_pools *pools, struct mcq_arena *arena,
                                        uint32_t subs_max);

struct mcq_fanout {
    struct mcq_prefix_set topics; /* of struct mcq_topic */
    uint64_t seq;                 /* number of the message published last */
};

void mcq_fanout_init(struct mcq_psock *s);

/* Counts one more (or less) subscription of p to topic and tells the user when p's first begins
 * or last ends. Returns MCQ_REASON_LIMIT if p asks for more than it or the shard may have: nothing
 * changed. A cancel of what isn't there is ignored. */
enum mcq_reason mcq_fanout_change(struct mcq_psock *s, struct mcq_pipe *p, bool add,
                                  struct mcq_slice topic);
/* Ends all subscriptions of p, which gets nothing more; p->fanout_seq = 0 opens it again. */
void mcq_fanout_forget(struct mcq_psock *s, struct mcq_pipe *p);
/* Gives m to every pipe that wants it; those without room are skipped and counted. */
void mcq_fanout_publish(struct mcq_psock *s, const struct mcq_msg *m);

#endif
