/* prefix: mcq-micro prefix [--max N] [--json]. The library's prefix table beside a linear scan and
 * a radix trie, from 10 prefixes to N [1,000,000]; then SUBSCRIBE and CANCEL as a publisher's peers
 * ask for them, 100 for each of N / 100 peers, with the memory they take.
 *
 *   alone    ns per match when each topic is known only after the match before: latency
 *   stream   ... when topics wait in line, so that the processor overlaps their matches
 */
#ifndef MCQ_PERF_MICRO_PREFIX_H
#define MCQ_PERF_MICRO_PREFIX_H

/* Returns the exit status: 0 measured, 1 not, 2 wrong usage. */
int prefix_main(int argc, char **argv);

#endif
