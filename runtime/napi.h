/* NAPI: instead of sleeping until a network interface interrupts, the loop asks the interface's
 * receive queue itself, as long as napi_busy_us says.
 *
 * The kernel polls the queues it knows of inside an enter that waits, and only there: a loop that
 * spins makes one such enter, with no time to wait, in each turn that has found nothing, and no
 * connection is hot, since its question's answer would end every wait. Since Linux 6.13 (static)
 * the loop names each queue when it sees the first connection on it. Before (6.9, dynamic) the
 * kernel notes a queue when a receive is armed to wait, and forgets it a minute later. Connections
 * of this host's own (loopback, unix) have no queue.
 *
 * Without it, and without an error: an older kernel, or one built without CONFIG_NET_RX_BUSY_POLL;
 * `why` is then a sentence. Thread: the loop's.
 */
#ifndef MCQ_RUNTIME_NAPI_H
#define MCQ_RUNTIME_NAPI_H

#include "runtime/uring.h"

#define MCQ_NAPI_QUEUES_MAX 16u /* of one shard; connections beyond are received by interrupt */
#define MCQ_NAPI_TEXT_LEN   128u

struct mcq_napi {
    bool on;
    bool by_name; /* static: the loop names queues */
    uint32_t cnt; /* of them */
    uint32_t ids[MCQ_NAPI_QUEUES_MAX];
    char why[MCQ_NAPI_TEXT_LEN]; /* if it was asked for and is not on */
};

/* busy_us 0: off. prefer: interrupts of the queue stay off while the loop polls (needs the
 * interface's gro_flush_timeout and napi_defer_hard_irqs). */
void mcq_napi_open(struct mcq_napi *n, struct mcq_uring *ring, uint32_t busy_us, bool prefer);
/* fd is a connection's: its queue is polled from now on. Cold; a system call or two if on. */
void mcq_napi_see(struct mcq_napi *n, struct mcq_uring *ring, int fd);

#endif
