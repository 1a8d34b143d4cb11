/*
 * footprint: memory of a process, and of the kernel for sockets.
 *
 * The kernel's is what /proc/meminfo says of slabs (sockets, files, epoll and io_uring entries: of
 * the whole host, so it takes many connections to tell them from what else goes on) and what
 * /proc/net/sockstat says of tcp buffers. Both ends of a connection on this host are in it.
 */
#ifndef MCQ_PERF_WORKLOADS_FOOTPRINT_H
#define MCQ_PERF_WORKLOADS_FOOTPRINT_H

#include <stdint.h>
#include <sys/types.h>

#define PERF_FOOTPRINT_NONE UINT64_MAX

/* PERF_FOOTPRINT_NONE: can't be read. */
struct perf_footprint {
    uint64_t rss_bytes, pss_bytes; /* of the process, all its threads */
    uint64_t slab_bytes, tcp_bytes;
};

void perf_footprint_read(struct perf_footprint *now, pid_t pid);

/* How much one of cnt has added between two readings; NAN where either isn't known. */
double perf_footprint_each(uint64_t before, uint64_t after, uint32_t cnt);

#endif
