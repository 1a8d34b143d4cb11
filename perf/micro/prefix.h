/* prefix: mcq-micro prefix [--max N] [--json]. The library's prefix table beside a linear scan and
 * a radix trie, from 10 prefixes to N [1,000,000]; then SUBSCRIBE and CANCEL as a publisher's peers
 * ask for them, 100 for each of N / 100 peers, with the memory they take.
 *
 *   in a row   ns per match when topics wait in line, so that the processor overlaps their matches
 *   alone      ... when each topic is known only after the match before: latency
 *
 * Updates: every prefix goes in, and all go out again, three times over; of each the shortest time
 * counts, so that max is the table's own worst. raw max is with what else the machine does.
 */
#ifndef MCQ_PERF_MICRO_PREFIX_H
#define MCQ_PERF_MICRO_PREFIX_H

/* Returns the exit status: 0 measured, 1 not, 2 wrong usage. */
int prefix_main(int argc, char **argv);

#endif
