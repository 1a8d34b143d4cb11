/* Random: a fast generator for spreading things out (jitter, first choices). Seeded by the kernel;
 * not for secrets. Part of the simulation seam. */
#ifndef MCQ_RUNTIME_RANDOM_H
#define MCQ_RUNTIME_RANDOM_H

#include "mem/base.h"

struct mcq_random {
    uint64_t s[4];
};

void mcq_random_init(struct mcq_random *r);
uint64_t mcq_random_next(struct mcq_random *r);

#endif
