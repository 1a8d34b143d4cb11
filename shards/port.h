/* RAW: atomics, a mutex and eventfds between a thread and its shard; see the handshake below;
 * shard.c calls.
 *
 * Port: two rings (shards/spsc) between a thread that is no shard's and one shard.
 *
 *      thread   publish; fence; the shard sleeps? wake it          (shards/mailbox: nudge)
 *      shard    announce the sleep (an exchange each way); look at every port again
 *      shard    publish; fence; exchange `sleeps` to false; it was true: write the eventfd
 *      thread   store `sleeps`; fence; look again; empty: poll the eventfd
 *
 * Attaching and parting go by the shard's list of newcomers, under a mutex, and by one flag of each
 * side. A port is freed by its thread, once the shard has let go of it; the shard lets go when the
 * thread closes, and of all when it ends.
 *
 * Thread: the shard's, but for the public calls of the thread's side. Cost of a turn: one load if
 * there is no port, else a load for each.
 */
#ifndef MCQ_SHARDS_PORT_H
#define MCQ_SHARDS_PORT_H

#include <monocoque/port.h>
#include <pthread.h>

#include "mem/list.h"

#define MCQ_PORT_PER_TURN_MAX 256u /* messages of one port */

/* The shard's part. */
struct mcq_ports {
    struct mcq_list open;   /* ends */
    bool news;              /* atomic: look at what is below */
    pthread_mutex_t mutex;  /* of all below */
    struct mcq_list coming; /* ends to be opened */
    uint32_t cnt;           /* open and coming */
    bool ended;
};

void mcq_ports_init(struct mcq_ports *ports);
/* Takes what has come, and what is new. Returns how much was done. */
uint32_t mcq_ports_take(struct mcq_shard *sh);
/* Nothing has come, and nobody; after the announcement of a sleep. */
bool mcq_ports_empty(const struct mcq_ports *ports);
/* Nobody is attached. */
bool mcq_ports_none(const struct mcq_ports *ports);
/* Sends replies on their way. */
void mcq_ports_publish(struct mcq_shard *sh);
/* The shard ends: lets go of all, and of whoever comes later. */
void mcq_ports_end(struct mcq_shard *sh);
void mcq_ports_fini(struct mcq_ports *ports);

static inline uint32_t mcq_ports_run(struct mcq_shard *sh, const struct mcq_ports *ports)
{
    if (MCQ_LIKELY(mcq_list_empty(&ports->open) &&
                   !__atomic_load_n(&ports->news, __ATOMIC_RELAXED)))
        return 0;
    return mcq_ports_take(sh);
}

#endif
