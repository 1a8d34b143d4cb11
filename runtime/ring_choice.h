/* Ring choice: whether a loop's ring is driven by its own enters (defer) or by a thread of the
 * kernel's (sqpoll), and the sentence why.
 *
 * auto takes sqpoll only where it can pay: the loop spins (one that sleeps needs an enter to sleep
 * in anyway), a CPU is to spare for the kernel's thread (sqpoll_pin; the plan knows), and a short
 * calibration says that a message gets round faster: two rings, one of each mode, send to and
 * receive from a socket pair, MCQ_RING_CHOICE_TRY_NS each. A thread that shares the loop's CPU
 * loses by orders of magnitude, so a plan that was wrong is found out, too.
 *
 * Cost: auto with a CPU to spare takes about 25 ms, all else nothing. Thread: the loop's.
 */
#ifndef MCQ_RUNTIME_RING_CHOICE_H
#define MCQ_RUNTIME_RING_CHOICE_H

#include "runtime/loop.h"

#define MCQ_RING_CHOICE_TRY_NS   10000000u
#define MCQ_RING_CHOICE_TEXT_LEN 160u

struct mcq_ring_choice {
    bool sqpoll;
    char why[MCQ_RING_CHOICE_TEXT_LEN]; /* of auto's choice; else empty */
};

/* Bytes of arena that choosing takes. */
size_t mcq_ring_choice_footprint(void);
struct mcq_ring_choice mcq_ring_choice_make(struct mcq_arena *arena,
                                            const struct mcq_loop_opts *opts);
/* auto, from what was measured: ns for a round, 0 if there was none. Pure. */
struct mcq_ring_choice mcq_ring_choice_faster(uint64_t defer_ns, uint64_t sqpoll_ns);

#endif
