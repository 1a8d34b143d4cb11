/*
 * flatness: does what should stay flat stay flat? Memory and descriptors of both processes, and the
 * buffers the server's library holds, once per interval of a run, and how they slope.
 *
 * Memory is what a process has of its own (anonymous): pages it shares with the harness, which
 * writes its histograms there, aren't its. Read by the parent, from /proc.
 */
#ifndef MCQ_PERF_WORKLOADS_FLATNESS_H
#define MCQ_PERF_WORKLOADS_FLATNESS_H

#include "perf/output/result.h"

#include <sys/types.h>

struct perf_flatness {
    uint32_t cnt; /* intervals */
    double interval_s;
    double *rss[2], *fds[2]; /* PERF_SERVER, PERF_CLIENT; NAN: not read */
    double *buffers;
};

void perf_flatness_init(struct perf_flatness *flatness, uint32_t cnt, double interval_s);
void perf_flatness_end(struct perf_flatness *flatness);

/* What is so in interval idx, unless that is known; pids: 0 for none; buffers: UINT64_MAX unknown.
 */
void perf_flatness_look(struct perf_flatness *flatness, uint32_t idx, const pid_t *pids,
                        uint64_t buffers);
/* Series (the server's; without one the client's) and slopes. */
void perf_flatness_tell(const struct perf_flatness *flatness, struct perf_run *run);

/* Per minute, by least squares over what is known, without the first tenth, in which a process
 * settles. NAN with fewer than three values. */
double perf_flatness_slope(const double *values, uint32_t cnt, double interval_s);

#endif
