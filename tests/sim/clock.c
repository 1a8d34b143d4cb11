/* runtime/clock.h on the simulated machine: all processes see its one time. */
#include "runtime/clock.h"

#include <unistd.h>

#include "tests/sim/machine.h"

#define L2_LEN (256L << 10)

void mcq_clock_init(struct mcq_clock *c)
{
    *c = (struct mcq_clock){0};
}

/* Every turn begins with it: the process is awake. */
uint64_t mcq_clock_now(struct mcq_clock *c)
{
    (void)c;
    mcq_sim_process(mcq_sim.selected)->ring.asleep = false;
    return mcq_sim.now_ns;
}

void mcq_clock_sync(struct mcq_clock *c, uint64_t now_ns)
{
    (void)c;
    (void)now_ns;
}

void mcq_clock_relax(void)
{
}

/* The linker puts this in sysconf's place: a run must not depend on the machine it is made on. */
long __real_sysconf(int name);
long __wrap_sysconf(int name);
long __wrap_sysconf(int name)
{
    return name == _SC_LEVEL2_CACHE_SIZE ? L2_LEN : __real_sysconf(name);
}
