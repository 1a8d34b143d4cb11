/* Clock: nanoseconds of CLOCK_MONOTONIC, for the price of reading a register.
 *
 * Where the CPU's time stamp counter is invariant, it is calibrated against the system's clock at
 * init and followed about every second by mcq_clock_sync, off the hot path: the rate is corrected,
 * so that time never runs back and errors are eaten up within the next second; a jump forward (a
 * machine that slept) is taken at once. Elsewhere every reading asks the system.
 *
 * Part of the simulation seam. Thread: the owner's; each loop has its own.
 */
#ifndef MCQ_RUNTIME_CLOCK_H
#define MCQ_RUNTIME_CLOCK_H

#include "mem/base.h"

struct mcq_clock {
    bool tsc;
    uint64_t base_tsc, base_ns;     /* time is base_ns + (tsc - base_tsc) * rate */
    uint64_t rate;                  /* ns per tick, 32.32 bits */
    uint64_t last_ns;               /* never read back behind it */
    uint64_t sync_ns;               /* when the next sync is due */
    uint64_t anchor_tsc, anchor_ns; /* a pair of both clocks, for the rate */
};

/* Takes about 2 ms: the first calibration. */
void mcq_clock_init(struct mcq_clock *c);
uint64_t mcq_clock_now(struct mcq_clock *c);
/* Follows the system's clock if it is time for it: one compare if not. now_ns: as just read. */
void mcq_clock_sync(struct mcq_clock *c, uint64_t now_ns);
/* Tells the CPU that we spin. */
void mcq_clock_relax(void);

#endif
