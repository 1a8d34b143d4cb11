/* RAW: asks the kernel for a seed; sound because it fills a local of fixed size; part of the
 * simulation seam, called by loop and loop_init. */
#include "runtime/random.h"

#include <sys/random.h>
#include <time.h>

/* splitmix64: turns any seed into well-spread state, never all zero. */
static uint64_t mix(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void mcq_random_init(struct mcq_random *r)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed)) {
        struct timespec ts;
        (void)clock_gettime(CLOCK_MONOTONIC, &ts);
        seed = (uint64_t)ts.tv_sec << 32 ^ (uint64_t)ts.tv_nsec;
    }
    for (unsigned i = 0; i < 4; i++)
        r->s[i] = mix(&seed);
}

static uint64_t rotl(uint64_t x, unsigned k)
{
    return x << k | x >> (64 - k);
}

/* xoshiro256** */
uint64_t mcq_random_next(struct mcq_random *r)
{
    uint64_t *s = r->s;
    uint64_t out = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return out;
}
