/* wake: mcq-micro wake [--count N] [--json]. What a wake from one loop to another takes, by eventfd
 * and from ring to ring, to one that sleeps in the kernel and to one that spins; two CPUs.
 *
 *   wake   from before the call until the other loop is told of it
 *   call   what the caller spends
 *
 * "bare" is an eventfd between two threads that do nothing else: the floor of the sleeping rows.
 * The waker gives the other loop LET_SLEEP_NS to fall asleep before each wake.
 */
#ifndef MCQ_PERF_MICRO_WAKE_H
#define MCQ_PERF_MICRO_WAKE_H

/* Returns the exit status: 0 measured, 1 not, 2 wrong usage. */
int wake_main(int argc, char **argv);

#endif
