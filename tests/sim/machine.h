/* Machine: what the files of the simulated kernel share: the one machine, its processes and its
 * dice. Private to them; scenarios include kernel.h.
 *
 *      kernel    the machine as scenarios see it       event    what happens when
 *      file      descriptors and what is behind them   stream   two directions of bytes
 *      place     who listens where                     socket   how connections begin and end
 *      op        an operation's life, and cancel       transfer what it does once it can
 *      abi       what a process sees of its ring       blocks   the buffer ring
 *      ring      work, completions, sleep              sqpoll   its thread of the kernel's
 *      outside   threads that are no shards
 *      net, clock, random, probe: the seam's rest
 *
 * All objects come from pools that grow by use and are emptied by mcq_sim_open, so that a machine
 * costs what is used of it.
 */
#ifndef MCQ_TESTS_SIM_MACHINE_H
#define MCQ_TESTS_SIM_MACHINE_H

#include "mem/base.h"
#include "tests/sim/blocks.h"
#include "tests/sim/event.h"
#include "tests/sim/file.h"
#include "tests/sim/kernel.h"
#include "tests/sim/op.h"
#include "tests/sim/ring.h"
#include "tests/sim/stream.h"

#define MCQ_SIM_STEP_NS    20000u /* of time while a process is runnable, at most */
#define MCQ_SIM_HOP_NS     50000u /* an undelayed segment or operation takes, at most */
#define MCQ_SIM_BUFFER_LEN 65536u /* of a direction of a stream, by default */
#define MCQ_SIM_START_NS   3600000000000ull

struct mcq_sim_process {
    uint32_t leader; /* whose descriptors it has; itself, unless it was joined */
    struct mcq_sim_fds fds;
    struct mcq_sim_file *eventfd;
    struct mcq_sim_ring ring;
};

struct mcq_sim_machine {
    bool open;
    uint64_t seed, random, trace, now_ns;
    struct mcq_sim_faults faults;
    struct mcq_sim_seen seen;
    uint32_t selected;
    uint32_t used; /* processes that were ever selected are below */
    struct mcq_sim_process process[MCQ_SIM_PROCESSES_MAX];
};

extern struct mcq_sim_machine mcq_sim;

/* Mixes into the trace. */
static inline void mcq_sim_note(uint64_t value)
{
    uint64_t h = (mcq_sim.trace ^ value) * 0x9e3779b97f4a7c15u;
    mcq_sim.trace = h ^ h >> 29;
}

/* A fault's dice, counted if it happens. */
static inline bool mcq_sim_strikes(uint32_t in_10000, uint64_t *seen)
{
    if (in_10000 == 0 || !mcq_sim_chance(in_10000))
        return false;
    ++*seen;
    return true;
}

/* Evenly from [0, cnt), cnt > 0. */
static inline uint64_t mcq_sim_below(uint64_t cnt)
{
    return (uint64_t)((unsigned __int128)mcq_sim_random() * cnt >> 64);
}

/* How long a segment takes. */
uint64_t mcq_sim_hop(void);

static inline struct mcq_sim_process *mcq_sim_process(uint32_t idx)
{
    return &mcq_sim.process[idx];
}

#endif
