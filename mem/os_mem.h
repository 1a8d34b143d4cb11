/* RAW: the kernel's memory calls; sound because every range is one that mcq_os_map returned and
 * that its arena still owns; mem/arena.c calls it, setup code asks mcq_os_memlock_fits.
 *
 * All but the count of faults runs before the seal or after the last shard has gone: cold, may
 * allocate (stdio).
 */
#ifndef MCQ_MEM_OS_MEM_H
#define MCQ_MEM_OS_MEM_H

#include "mem/arena.h"

#define MCQ_OS_HUGE_LEN ((size_t)2 << 20)

struct mcq_os_map {
    int node; /* wanted: or MCQ_NODE_ANY */
    enum mcq_node_policy policy;
    uint8_t *base;
    enum mcq_pages pages;   /* obtained, as far as it can be known before the first touch */
    struct mcq_detail bind; /* code MCQ_OK: the node's policy is set, or none was wanted */
};

/* Maps len zeroed bytes: reserved huge pages, else transparent ones, else 4 KiB; with the policy of
 * map->node set before any page exists. Errors: MCQ_ENOMEM with text. */
MCQ_MUST_USE enum mcq_error mcq_os_map(size_t len, struct mcq_os_map *map,
                                       struct mcq_detail *detail);
/* Sets the policy of a mapping (page-aligned, not touched yet) whose owner is on node;
 * MCQ_NODE_ANY: nothing to do. A container may forbid it: a warning to be told, never the end.
 * Errors, with text: MCQ_EACCESS forbidden or unknown to the kernel; MCQ_EINVAL no such node, or
 * without memory. */
enum mcq_error mcq_os_bind_node(void *base, size_t len, int node, enum mcq_node_policy policy,
                                struct mcq_detail *detail);
/* The same for what this thread, or the kernel in its name, takes from now on where no mapping says
 * otherwise: rings of io_uring, its stack. Preferred, also with MCQ_NODE_BIND. */
enum mcq_error mcq_os_prefer_node(int node, struct mcq_detail *detail);
/* Of a sample of the touched pages, the percentage that is on node; -1: the kernel doesn't tell. */
int mcq_os_node_percent(const void *base, size_t len, int node);
void mcq_os_unmap(void *base, size_t len);
/* Faults every page in for writing; the bytes stay as they are. */
void mcq_os_populate(void *base, size_t len);
/* Whether the kernel backed the populated mapping at base with transparent huge pages for the
 * better half. True also if the kernel doesn't let us look (a process that can't be dumped). */
bool mcq_os_thp_obtained(const void *base);
/* Locks the range; raises the soft limit to the hard one if that helps. false: *detail (may be
 * NULL) has the sentence with the `ulimit -l` line. */
bool mcq_os_lock(const void *base, size_t len, struct mcq_detail *detail);
/* Locks all that the process has mapped by now: code, stacks, heap. What it has mapped but never
 * touched is faulted in. false: *detail (may be NULL) has the same sentence for all of it. */
bool mcq_os_lock_process(struct mcq_detail *detail);
/* Faults in the stack below the caller. */
void mcq_os_touch_stack(void);
/* Whether len more bytes may be locked or registered, by RLIMIT_MEMLOCK and CAP_IPC_LOCK. An
 * estimate: io_uring charges the user, whose other processes we don't see, and a capability
 * of a user namespace counts for nothing. what: names the memory in the text. */
bool mcq_os_memlock_fits(const char *what, size_t len, struct mcq_detail *detail);
/* Page faults without disk access of the calling thread so far. Cost: a system call. */
uint64_t mcq_os_minor_faults(void);

#endif
