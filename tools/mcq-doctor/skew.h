/* Skew: how far the time stamp counters of two cores are apart, seen by passing a word between
 * threads on both. */
#ifndef MCQ_DOCTOR_SKEW_H
#define MCQ_DOCTOR_SKEW_H

#include <stddef.h>

/* A source_answer_fn; ctx: struct set of CPUs (the first is compared with each other one). Lines
 * `pairs`, `rounds` (the fewest of a pair), `skew_ns` (the largest) and `bound_ns` (how exactly
 * that is known); or `error REASON`. */
void doctor_skew_measure(const void *ctx, char *lines, size_t len);

#endif
