/* The simulated machine: one network, one virtual clock, and the kernel's half of runtime/'s seam
 * (uring, net, clock, random), with faults drawn from a seed.
 *
 * A *process* is whatever runs with its own ring and random numbers: here one shard. It has its own
 * descriptors, too, unless it was joined to another one: then both are threads of one program.
 * The world selects one, steps it, selects the next; calls of the seam belong to the selected one.
 * Nothing happens by itself: a ring's wait returns at once and notes until when it would sleep;
 * bytes move and time passes only in mcq_sim_advance. Everything is a function of the seed, so a
 * run replays exactly.
 *
 * A process is *asleep* from a wait that found nothing until it is selected and stepped again. Its
 * mailbox counts as sleeping for as long: a post from the world, or from another process, writes
 * its eventfd, and that is what makes it runnable. A lost wake is seen as a process that has posts
 * and isn't runnable. A process that ended its turn without a wait (busy, or a spinning idle
 * policy) is awake and therefore runnable: with MCQ_IDLE_SPIN always.
 *
 * Thread: one. Errors: a call the real kernel would not forgive (a descriptor used after close, or
 * closed and reopened between preparing and submitting; a send buffer changed while in flight; a
 * block given twice to the ring; two operations with one tag; a ring closed over operations) is a
 * violation: mcq_sim_fail.
 */
#ifndef MCQ_TESTS_SIM_KERNEL_H
#define MCQ_TESTS_SIM_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MCQ_SIM_PROCESSES_MAX 24u

/* Chances in 10,000, drawn anew each time it could happen. Zero: never. */
struct mcq_sim_faults {
    uint32_t short_read, short_write; /* of 1 byte up to all but one */
    uint32_t reset;                   /* per delivery on a stream */
    uint32_t half_open;               /* the peer vanishes without FIN or RST */
    uint32_t delay;                   /* a segment takes up to delay_max_ns */
    uint64_t delay_max_ns;
    uint32_t inline_done;  /* an operation completes inside its submission, else at an advance */
    uint32_t reorder;      /* completions of different descriptors overtake each other */
    uint32_t enobufs;      /* a receive finds no block although there are some */
    uint32_t cq_overflow;  /* the completion queue holds back what it could give */
    uint32_t shot_end;     /* a multishot ends without a cause */
    uint32_t emfile;       /* accept fails */
    uint32_t refused;      /* a connect to somebody who listens is refused */
    uint32_t connect_lost; /* a connect never answers */
    uint32_t cancel_late;  /* a cancel finds its target already done */
    uint32_t clock_step;   /* an advance jumps by up to clock_step_max_ns */
    uint64_t clock_step_max_ns;
    uint32_t socket_buffer_bytes; /* of each stream and direction; 0: 64 KiB */
    uint64_t wake_max_ns;         /* until a written eventfd is seen to be, at most; 0: at once */
};

/* How often something happened on this machine: a fault that never happens tests nothing. */
struct mcq_sim_seen {
    uint64_t enters, dones, events, bytes; /* enters of a ring, completions, events, bytes moved */
    uint64_t connects, accepts, refusals;
    uint64_t short_reads, short_writes, resets, half_opens, delays, inlines, reorders;
    uint64_t enobufs, cq_overflows, shot_ends, emfiles, refuseds, connects_lost;
    uint64_t cancels, cancels_late, clock_steps, timeouts,
        aborts;       /* RST for unread or late bytes */
    uint64_t orphans; /* reset at a listener that closed, while another one was there */
};

/* Starts a machine; there is one at a time. */
void mcq_sim_open(uint64_t seed, const struct mcq_sim_faults *faults);
void mcq_sim_close(void);
/* Changes the faults from here on (a quiet end lets a scenario settle). */
void mcq_sim_set_faults(const struct mcq_sim_faults *faults);

void mcq_sim_select(uint32_t process);
/* The process, which has no descriptor yet, shares those of `leader` from here on. */
void mcq_sim_join(uint32_t process, uint32_t leader);
/* Called by select, if set: for what the world keeps per thread (mcq_shard_here). */
extern void (*mcq_sim_on_select)(uint32_t process);
uint64_t mcq_sim_now_ns(void);
/* The machine's own random numbers, for the scenario too: one stream, one seed. */
uint64_t mcq_sim_random(void);
bool mcq_sim_chance(uint32_t in_10000);

/* True if a step of the process would find a completion, deferred work, or a deadline passed of its
 * last wait; or if it is awake. False without a ring. */
bool mcq_sim_runnable(uint32_t process);
/* The process, whose turns don't sleep, does so by itself for at most so long, or until its bell
 * (mcq_uring_bell_open) rings; 0: not at all. */
void mcq_sim_rest(uint32_t process, uint64_t wait_ns);
/* Its eventfd has been written, and it hasn't seen that yet. */
bool mcq_sim_waking(uint32_t process);
/* Lets bytes, operations and time go on: by one event of the network, or, if none is earlier, to
 * the earliest wait's deadline. While a process is runnable time goes on in small steps. Returns
 * false if nothing at all would ever happen again. */
bool mcq_sim_advance(void);

/* Ends a process as kill -9 does: its descriptors are closed by the kernel (unread data makes that
 * a reset), its ring vanishes. Its memory is the caller's. Of joined ones: all, the leader last. */
void mcq_sim_kill(uint32_t process);

/* Stops it until then, as SIGSTOP does: it isn't runnable, and time goes on without it. It is for
 * the world not to step it. */
void mcq_sim_stop(uint32_t process, uint64_t until_ns);

/* Resources of a process, for checks at the end: descriptors with the ring's own and the eventfd's,
 * or, of one that was joined, the eventfd's alone; operations that were submitted and have no
 * completion yet. */
uint32_t mcq_sim_open_fds(uint32_t process);
uint32_t mcq_sim_in_flight(uint32_t process);

const struct mcq_sim_seen *mcq_sim_seen(void);
/* A hash of every completion and event so far: the same seed gives the same. */
uint64_t mcq_sim_trace(void);

/* A violation: prints the seed, the virtual time and the text, and ends the run of this seed. */
void mcq_sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Where mcq_sim_fail goes on: the world sets it (longjmp or exit). */
extern void (*mcq_sim_on_fail)(void);

#endif
