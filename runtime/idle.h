/* Idle: when a loop that found nothing to do may sleep. A value; no system call. */
#ifndef MCQ_RUNTIME_IDLE_H
#define MCQ_RUNTIME_IDLE_H

#include <monocoque/app.h>

#include "mem/base.h"

#define MCQ_IDLE_SPIN_NS_DEFAULT 50000u

struct mcq_idler {
    enum mcq_idle mode;
    uint64_t spin_ns;
    uint64_t last_work_ns;
};

static inline struct mcq_idler mcq_idler_of(enum mcq_idle mode, uint64_t spin_ns, uint64_t now_ns)
{
    struct mcq_idler i = {mode == MCQ_IDLE_DEFAULT ? MCQ_IDLE_SPIN_BLOCK : mode,
                          spin_ns == 0 ? MCQ_IDLE_SPIN_NS_DEFAULT : spin_ns, now_ns};
    return i;
}

/* Once per turn; busy: there was work. True: sleep now. */
static inline bool mcq_idler_sleeps(struct mcq_idler *i, bool busy, uint64_t now_ns)
{
    if (busy) {
        i->last_work_ns = now_ns;
        return false;
    }
    if (i->mode == MCQ_IDLE_SPIN)
        return false;
    return i->mode == MCQ_IDLE_BLOCK || now_ns - i->last_work_ns >= i->spin_ns;
}

#endif
