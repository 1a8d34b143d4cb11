/*
 * crew: one measurement is a few processes, and the parent that waits for them.
 *
 * Each process of the crew is pinned, does its work, and ends; what it measured it writes into
 * shared memory the parent allocated before (perf_shared_new), so a result has no size limit. A
 * process that serves names its endpoint to the others. Once the process that measures has
 * reported, the others are told to stop. The parent waits with a deadline, kills what outlives it,
 * and has reaped all when it returns. Children die with the parent.
 */
#ifndef MCQ_PERF_RUN_CREW_H
#define MCQ_PERF_RUN_CREW_H

#include "perf/run/affinity.h"
#include "perf/run/usage.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERF_REASON_MAX   280
#define PERF_ENDPOINT_MAX 128
#define PERF_CREW_MAX     4u

/* Which of the crew's two CPUs a process is pinned to. */
enum perf_seat { PERF_SEAT_SERVER, PERF_SEAT_CLIENT };

struct perf_crew_board; /* shared by all of a crew */

/* What a process of the crew sees of the others and of the parent. */
struct perf_child {
    int cpu;      /* where this process is pinned, -1 when it is free */
    unsigned idx; /* its place in the crew */
    struct perf_crew_board *board;
    const atomic_bool *stop;
    char reason[PERF_REASON_MAX];
};

/* False means failed, with a reason set by perf_child_fail. */
typedef bool perf_child_fn(struct perf_child *child, void *job);

struct perf_post {
    const char *name; /* in reasons: "server" */
    perf_child_fn *run;
    void *job; /* borrowed; in shared memory where the parent is to read what was written */
    enum perf_seat seat;
};

struct perf_crew {
    struct perf_post posts[PERF_CREW_MAX];
    unsigned cnt;
    unsigned measures; /* when this one has reported, the others are stopped */
    enum perf_place place;
    uint64_t timeout_ns;
    bool trace; /* count system calls: under ptrace, so slower, and never for figures of time */
    /* Called by the parent about four times a second while the crew works; may be NULL. */
    void (*tick)(void *ctx);
    void *tick_ctx;
};

/* The usual crew of two: posts PERF_SERVER and PERF_CLIENT, each on its seat, with one job. The
 * caller sets place, timeout_ns and what else it wants. */
enum { PERF_SERVER, PERF_CLIENT };
void perf_crew_pair(struct perf_crew *crew, perf_child_fn *serve, perf_child_fn *run, void *job,
                    unsigned measures);

/* Runs all to their end. usage[cnt] is what each used between perf_child_begin and perf_child_end.
 * On failure false and a sentence in reason[PERF_REASON_MAX]. */
bool perf_crew_run(const struct perf_crew *crew, struct perf_usage *usage, char *reason);

/* One process of work in this very process, on the server's CPU, until stop is set. */
bool perf_crew_here(perf_child_fn *run, void *job, const atomic_bool *stop, char *reason);

/* Zeroed memory that children inherit shared; NULL with errno set. Given back by perf_shared_end.
 */
void *perf_shared_new(size_t len);
void perf_shared_end(void *data, size_t len);

/* --- in a child --------------------------------------------------------------------------------
 */

/* Names the endpoint this process serves; whose: the index of the post that names it. take waits,
 * and fails when that process ended before. endpoint has PERF_ENDPOINT_MAX bytes. */
bool perf_child_give_endpoint(struct perf_child *child, const char *endpoint);
bool perf_child_take_endpoint(struct perf_child *child, unsigned whose, char *endpoint);

/* The window in which this process's CPU time and system calls are counted. Without them its whole
 * life is. */
void perf_child_begin(struct perf_child *child);
void perf_child_end(struct perf_child *child);

/* The same for all processes of the crew at once: for the one that measures and knows when. Only
 * one may, once, and it has to end what it began. */
void perf_crew_begin(struct perf_child *child);
void perf_crew_end(struct perf_child *child);

/* True once the measuring process has its result: the others end. */
static inline bool perf_child_stopped(const struct perf_child *child)
{
    return atomic_load_explicit(child->stop, memory_order_relaxed);
}

/* Both note why this child can't go on and return false. The second adds what errno says. */
bool perf_child_fail(struct perf_child *child, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool perf_child_fail_os(struct perf_child *child, const char *what);

/* len bytes, none of them zero and all of them mapped, for a body or a buffer; NULL with the reason
 * noted. To be freed by the caller. */
void *perf_child_alloc(struct perf_child *child, size_t len);

#endif
