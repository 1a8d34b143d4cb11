/* runtime/uring_probe.h on the simulated machine: it does everything, so that a process has what
 * its mask leaves. The real probe is tried out on it in a test. */
#include "runtime/uring_probe.h"

#include "mem/detail.h"

enum mcq_error mcq_uring_explain(int err, struct mcq_detail *detail)
{
    return mcq_detail_set(detail, MCQ_EOS, err, "the simulated ring failed with errno %d", err);
}

enum mcq_error mcq_uring_probe(struct mcq_uring *u, void *mem, struct mcq_features *f,
                               struct mcq_detail *detail)
{
    (void)mem;
    (void)detail;
    f->sqpoll = mcq_uring_is_sqpoll(u);
    f->hot &= !f->sqpoll;
    return MCQ_OK;
}
