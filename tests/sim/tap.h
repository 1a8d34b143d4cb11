/* Tap: what the world looks at inside a shard, because no public call tells: which queue took a
 * message, which two ends are one connection, whether every pool is full again. The one file of the
 * world that knows the insides of a link. */
#ifndef MCQ_TESTS_SIM_TAP_H
#define MCQ_TESTS_SIM_TAP_H

#include "shards/shard.h"

#define MCQ_TAP_LINKS_MAX 96u

struct mcq_tap_link {
    const void *link;     /* its place: reused after its end */
    const char *target;   /* what it connects to; NULL: accepted */
    struct mcq_peer peer; /* zero: not up */
    bool up;              /* its pattern gives it messages */
    bool member;          /* its pattern knows it */
    bool closing;
    bool probe;           /* one waits */
    bool dead;            /* its network has fallen silent for good */
    uint64_t out, queued; /* messages: taken by the kernel; waiting */
    uint64_t dropped;     /* messages that its slowness cost, of this connection */
    uint64_t stream;      /* number of the connection; 0: none. Both ends have the same */
    uint32_t side;        /* which end of it, 0 or 1 */
    const void *partner;  /* inproc: the link it is joined with; such have no stream */
};

/* The links of s, oldest first; returns how many. With its process selected. */
uint32_t mcq_tap_links(const struct mcq_sock *s, struct mcq_tap_link out[MCQ_TAP_LINKS_MAX]);
/* The last bind of a logical socket's member; false: it has none that isn't closing. */
struct mcq_tap_steering {
    uint32_t epoch, generation;
    const uint8_t *live; /* by shard */
};
bool mcq_tap_steering(const struct mcq_sock *s, struct mcq_tap_steering *out);
/* When the peer's connection was established. */
uint64_t mcq_tap_born_ns(const struct mcq_sock *s, struct mcq_peer peer);
/* Whether messages may still go to that peer: its connection has not begun to end. */
bool mcq_tap_up(const struct mcq_sock *s, struct mcq_peer peer);
/* The first pool of the shard that something was not given back to, NULL if there is none. */
const char *mcq_tap_leftover(const struct mcq_shard *sh);

#endif
