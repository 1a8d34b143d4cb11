/*
 * bodies: message bodies that a library sends from where they lie, and gives back once it has.
 *
 * Each is filler that waits for its stamp (perf/workloads/throughput.h). Taken by one thread, given
 * back by any. There are as many as were ever on their way at once.
 */
#ifndef MCQ_PERF_PEERS_BODIES_H
#define MCQ_PERF_PEERS_BODIES_H

#include <stdatomic.h>
#include <stddef.h>

struct perf_body;

struct perf_bodies {
    const void *filler; /* what each begins as */
    size_t size;
    struct perf_body *free;               /* the taker's */
    _Atomic(struct perf_body *) returned; /* anybody's */
};

/* filler: borrowed, size bytes. */
void perf_bodies_init(struct perf_bodies *bodies, const void *filler, size_t size);
/* Once all are back; others are lost. */
void perf_bodies_fini(struct perf_bodies *bodies);
/* NULL: no memory. */
void *perf_bodies_take(struct perf_bodies *bodies);
void perf_bodies_give(struct perf_bodies *bodies, void *data);

#endif
