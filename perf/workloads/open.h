/*
 * open: one open-loop measurement: an echo server, or a stranger's, and a generator against it; and
 * whether what came out of it may be believed.
 *
 * A run is refused when a message is lost, doubled, out of order or damaged; when less than
 * PERF_SHARE_MIN of what was asked was sent in time; when the generator's own lag is above its
 * limit (perf_open_lag_max); and when the server fell so far behind that its answers went on for
 * PERF_BEHIND_MAX of the whole after the last was due.
 */
#ifndef MCQ_PERF_WORKLOADS_OPEN_H
#define MCQ_PERF_WORKLOADS_OPEN_H

#include "perf/options.h"
#include "perf/workloads/arms.h"
#include "perf/workloads/generator.h"

#define PERF_SHARE_MIN  0.999
#define PERF_BEHIND_MAX 0.2

struct perf_open;

struct perf_open_job {
    size_t size;
    uint32_t conns;
    enum perf_transport transport;
    const char *endpoint;    /* a server that isn't ours, or NULL */
    const char *socket_type; /* with an endpoint */
    struct perf_handler handler;
    struct perf_generator_spec generator;
    uint32_t interval_cnt; /* histograms over time; 0: none */
    uint64_t interval_ns;
    bool trace; /* system calls are counted; the times are worth nothing then */
    void (*tick)(void *ctx, const struct perf_open *open); /* as struct perf_crew has it */
    void *tick_ctx;
};

/* In memory that is shared with the crew. */
struct perf_open {
    const struct perf_open_job *job;
    const struct perf_arm *arm;
    struct perf_tally tally;
    _Atomic(pid_t) pids[2];    /* PERF_SERVER, PERF_CLIENT; 0: none, or not yet */
    _Atomic(uint64_t) buffers; /* in use at the server; UINT64_MAX: not told */
};

struct perf_open_job perf_open_job_make(const struct perf_options *options);

/* NULL with a reason. Given back by perf_open_end. */
struct perf_open *perf_open_new(const struct perf_open_job *job, const struct perf_arm *arm,
                                char *reason);
void perf_open_end(struct perf_open *open);

/* One crew, whose run this is: metrics, histograms, and refused if it has to be. */
bool perf_open_measure(struct perf_open *open, struct perf_run *run, char *reason);
/* perf_open_new, _measure and _end in one. */
bool perf_open_run(const struct perf_open_job *job, const struct perf_arm *arm,
                   struct perf_run *run, char *reason);
/* A short crew of its own, followed, at PERF_TRACED_RATE at most: the system calls per message, for
 * all runs of the arm. Nothing where the host forbids it. */
#define PERF_TRACED_RATE 1000.0
double perf_open_traced_rate(const struct perf_open_job *job);
void perf_open_trace(const struct perf_open_job *job, struct perf_arm *arm);

/* How large the lag's p99 may be. A generator that spins is late by the turn of the library that it
 * is in when a message falls due: two system calls, of some 10 us each on a virtual machine. Half
 * of what a message takes anyway moves no figure's order. One that sleeps is woken as what it
 * measures is woken, and as late on a host that saves power. What is to be found is a generator
 * that was kept from its CPU, and that is late by milliseconds.
 */
#define PERF_LAG_SPIN_NS  UINT64_C(25000)
#define PERF_LAG_BLOCK_NS UINT64_C(200000)
uint64_t perf_open_lag_max(enum perf_idle idle, uint64_t service_p50_ns);

/* Refuses the run if the tally says so. A plain function, so that it can be tested. */
void perf_open_judge(const struct perf_tally *tally, const struct perf_generator_spec *spec,
                     enum perf_idle idle, struct perf_run *run);

#endif
