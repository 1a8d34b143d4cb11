#include "tests/sim/kernel.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/machine.h"
#include "tests/sim/outside.h"
#include "tests/sim/place.h"

struct mcq_sim_machine mcq_sim;
void (*mcq_sim_on_fail)(void);
void (*mcq_sim_on_select)(uint32_t process);

/* --- dice ---------------------------------------------------------------------------------- */

/* splitmix64 */
uint64_t mcq_sim_random(void)
{
    uint64_t z = mcq_sim.random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

bool mcq_sim_chance(uint32_t in_10000)
{
    return in_10000 != 0 && mcq_sim_below(10000) < in_10000;
}

uint64_t mcq_sim_hop(void)
{
    const struct mcq_sim_faults *f = &mcq_sim.faults;
    uint64_t max_ns = MCQ_SIM_HOP_NS;
    if (f->delay_max_ns != 0 && mcq_sim_strikes(f->delay, &mcq_sim.seen.delays))
        max_ns = f->delay_max_ns;
    return 1 + mcq_sim_below(max_ns);
}

/* --- life ---------------------------------------------------------------------------------- */

/* Nothing is ended in order: the last scenario may have been left anywhere. */
static void forget_all(void)
{
    mcq_sim_event_reset();
    mcq_sim_op_reset();
    mcq_sim_stream_reset();
    mcq_sim_file_reset();
    mcq_sim_place_reset();
    mcq_outside_reset();
}

void mcq_sim_open(uint64_t seed, const struct mcq_sim_faults *faults)
{
    forget_all();
    mcq_sim.open = true;
    mcq_sim.seed = seed;
    mcq_sim.random = seed;
    mcq_sim.trace = seed;
    mcq_sim.now_ns = MCQ_SIM_START_NS;
    mcq_sim.faults = *faults;
    mcq_sim.seen = (struct mcq_sim_seen){0};
    for (uint32_t i = 0; i < MCQ_SIM_PROCESSES_MAX; i++) {
        struct mcq_sim_process *p = &mcq_sim.process[i];
        p->leader = i;
        p->eventfd = NULL;
        mcq_sim_fds_reset(&p->fds);
        mcq_sim_ring_reset(&p->ring);
    }
    mcq_sim.selected = 0;
    mcq_sim.used = 1;
}

void mcq_sim_close(void)
{
    mcq_sim.open = false;
}

void mcq_sim_set_faults(const struct mcq_sim_faults *faults)
{
    mcq_sim.faults = *faults;
}

void mcq_sim_fail(const char *format, ...)
{
    va_list args;
    fprintf(stderr, "sim: seed %llu at %llu ns: ", (unsigned long long)mcq_sim.seed,
            (unsigned long long)(mcq_sim.now_ns - MCQ_SIM_START_NS));
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    if (mcq_sim_on_fail != NULL)
        mcq_sim_on_fail();
    abort();
}

/* --- processes ----------------------------------------------------------------------------- */

static struct mcq_sim_process *process_of(uint32_t process)
{
    if (process >= MCQ_SIM_PROCESSES_MAX)
        mcq_sim_fail("there is no process %u", process);
    return &mcq_sim.process[process];
}

void mcq_sim_select(uint32_t process)
{
    (void)process_of(process);
    mcq_sim.selected = process;
    if (process >= mcq_sim.used)
        mcq_sim.used = process + 1;
    if (mcq_sim_on_select != NULL)
        mcq_sim_on_select(process);
}

void mcq_sim_join(uint32_t process, uint32_t leader)
{
    if (process_of(process)->fds.cnt != 0 || process_of(leader)->leader != leader)
        mcq_sim_fail("process %u can't be joined to process %u", process, leader);
    process_of(process)->leader = leader;
}

bool mcq_sim_runnable(uint32_t process)
{
    return mcq_sim_ring_runnable(&process_of(process)->ring);
}

void mcq_sim_rest(uint32_t process, uint64_t wait_ns)
{
    mcq_sim_ring_rest(&process_of(process)->ring, wait_ns);
}

bool mcq_sim_waking(uint32_t process)
{
    const struct mcq_sim_file *f = process_of(process)->eventfd;
    return f != NULL && (f->value != 0 || mcq_sim_event_armed(&f->wake));
}

void mcq_sim_kill(uint32_t process)
{
    struct mcq_sim_process *p = process_of(process);
    mcq_sim_note(process);
    mcq_sim_ring_kill(&p->ring);
    mcq_sim_fd_close_all(process);
}

void mcq_sim_stop(uint32_t process, uint64_t until_ns)
{
    process_of(process)->ring.stopped_until_ns = until_ns;
}

uint32_t mcq_sim_open_fds(uint32_t process)
{
    const struct mcq_sim_process *p = process_of(process);
    return p->fds.cnt + (p->eventfd != NULL);
}

uint32_t mcq_sim_in_flight(uint32_t process)
{
    return process_of(process)->ring.in_flight;
}

/* --- time ---------------------------------------------------------------------------------- */

uint64_t mcq_sim_now_ns(void)
{
    return mcq_sim.now_ns;
}

/* When the first sleeper wakes by itself; *runnable: somebody doesn't sleep. */
static uint64_t first_deadline(bool *runnable)
{
    uint64_t first = UINT64_MAX;
    *runnable = false;
    for (uint32_t i = 0; i < mcq_sim.used; i++) {
        const struct mcq_sim_ring *r = &mcq_sim.process[i].ring;
        if (!r->open)
            continue;
        if (mcq_sim_ring_runnable(r))
            *runnable = true;
        else
            first = mcq_min_u64(first, mcq_sim_ring_next_ns(r));
    }
    return first;
}

bool mcq_sim_advance(void)
{
    const struct mcq_sim_faults *faults = &mcq_sim.faults;
    struct mcq_sim_event *e = mcq_sim_event_first();
    bool runnable;
    uint64_t until = first_deadline(&runnable);
    if (e == NULL && until == UINT64_MAX && !runnable)
        return false;
    if (runnable)
        until = mcq_min_u64(until, mcq_sim.now_ns + 1 + mcq_sim_below(MCQ_SIM_STEP_NS));
    if (faults->clock_step_max_ns != 0 &&
        mcq_sim_strikes(faults->clock_step, &mcq_sim.seen.clock_steps))
        mcq_sim.now_ns += 1 + mcq_sim_below(faults->clock_step_max_ns);
    bool happens = e != NULL && e->at_ns <= until;
    uint64_t at = happens ? e->at_ns : until;
    if (at > mcq_sim.now_ns)
        mcq_sim.now_ns = at;
    mcq_sim_note(mcq_sim.now_ns);
    if (!happens)
        return true;
    mcq_sim.seen.events++;
    mcq_sim_event_disarm(e);
    e->fn(e);
    return true;
}

/* --- what was seen ------------------------------------------------------------------------- */

const struct mcq_sim_seen *mcq_sim_seen(void)
{
    return &mcq_sim.seen;
}

uint64_t mcq_sim_trace(void)
{
    return mcq_sim.trace;
}
