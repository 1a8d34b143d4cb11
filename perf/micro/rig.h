/* Rig: a real shard in this thread with one socket and one peer whose handshake is done, so that
 * the way of a message through the library can be walked without the kernel in it. */
#ifndef MCQ_PERF_MICRO_RIG_H
#define MCQ_PERF_MICRO_RIG_H

#include <monocoque.h>

#include "shards/options.h"
#include "shards/shard.h"

struct rig {
    struct mcq_shard shard;
    struct mcq_sock *sock;
    struct mcq_link *link;
    int far_fd; /* the peer's end */
    uint64_t received;
    uint64_t sum; /* of a byte of each message: the compiler can't drop the handler */
};

/* Opens a shard, a socket of type and a peer of peer_type ("PUSH"). false: said on stderr why. */
bool rig_open(struct rig *rig, enum mcq_sock_type type, const char *peer_type);
void rig_close(struct rig *rig);

#endif
