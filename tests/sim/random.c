/* runtime/random.h on the simulated machine: each generator is seeded by the machine's. */
#include "runtime/random.h"

#include "tests/sim/kernel.h"

void mcq_random_init(struct mcq_random *r)
{
    r->s[0] = mcq_sim_random();
}

uint64_t mcq_random_next(struct mcq_random *r)
{
    uint64_t z = r->s[0] += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 32) * 0xd6e8feb86659fd93u;
    z = (z ^ z >> 32) * 0xd6e8feb86659fd93u;
    return z ^ z >> 32;
}
