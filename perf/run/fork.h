/*
 * fork: one measurement is two processes, a server and a client, and the parent that waits for
 * them.
 *
 * The server binds an ephemeral port and passes it to the client through a pipe. Each child reports
 * success or a reason through a pipe of its own; the one that measures adds its result. The parent
 * waits with a deadline, kills what outlives it, and has reaped both children when it returns.
 * Children die with the parent.
 */
#ifndef MCQ_PERF_FORK_H
#define MCQ_PERF_FORK_H

#include "perf/run/affinity.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERF_REASON_MAX 280

/* A report goes through its pipe in one atomic write, so result and header stay below PIPE_BUF. */
#define PERF_RESULT_MAX 1024

/* What a child sees of the other process and of the parent. */
struct perf_child {
    int cpu; /* where this process is pinned, -1 when it is free */
    int port_fd;
    const atomic_bool *stop;
    char reason[PERF_REASON_MAX];
};

enum perf_side { PERF_SERVER, PERF_CLIENT };

/* False means failed, with a reason set by perf_child_fail. */
typedef bool (*perf_child_fn)(struct perf_child *child, void *job);

struct perf_pair {
    perf_child_fn serve;
    perf_child_fn run;
    void *job;    /* borrowed; each child works on its own copy */
    void *result; /* inside the job: copied from the measuring child's memory to the parent's */
    size_t result_len;
    enum perf_side measures;
    enum perf_place place;
    uint64_t timeout_ns;
};

/* Runs both children to their end. On failure false and a sentence in reason[PERF_REASON_MAX]. */
bool perf_pair_run(const struct perf_pair *pair, char *reason);

/* Server's: tells the client the port it listens on. */
bool perf_child_give_port(struct perf_child *child, uint16_t port);

/* Client's: waits for the server's port. */
bool perf_child_take_port(struct perf_child *child, uint16_t *port);

/* True once the measuring side has its result: the other one ends. */
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
