/* Arena: one mapping per shard, carved once at start, faulted in, then sealed.
 *
 * Lifecycle: init (maps, sets the NUMA policy before first touch, huge pages else THP else 4 KiB)
 * -> carve ... carve -> seal (populates, locks if allowed) -> fini (unmaps). Carving after the
 * seal is our bug and asserts. Thread: the shard's own, so that first touch is local.
 */
#ifndef MCQ_MEM_ARENA_H
#define MCQ_MEM_ARENA_H

#include "mem/base.h"

enum mcq_pages { MCQ_PAGES_4K = 0, MCQ_PAGES_THP, MCQ_PAGES_HUGE };

#define MCQ_NODE_ANY (-1)

enum mcq_node_policy {
    MCQ_NODE_PREFER = 0, /* other nodes when this one is full */
    MCQ_NODE_BIND        /* no other: a node that is full ends the process */
};

struct mcq_arena {
    uint8_t *base;
    size_t cap, used;     /* bytes */
    int node;             /* MCQ_NODE_ANY: no policy set */
    enum mcq_pages pages; /* what was obtained */
    bool locked, sealed;
    bool bind_failed;       /* the node's policy was refused (containers): reported, not fatal */
    struct mcq_detail bind; /* ... and why */
    int node_percent;       /* since the seal: of the pages sampled, how many are on node; -1: no
                               node, or the kernel doesn't tell */
};

/* Maps cap bytes. Errors: MCQ_ENOMEM with text. */
MCQ_MUST_USE enum mcq_error mcq_arena_init(struct mcq_arena *a, size_t cap, int node,
                                           struct mcq_detail *detail);
MCQ_MUST_USE enum mcq_error mcq_arena_init_on(struct mcq_arena *a, size_t cap, int node,
                                              enum mcq_node_policy policy,
                                              struct mcq_detail *detail);
/* Returns len zeroed bytes aligned to align (a power of two), NULL if the arena is too small. */
void *mcq_arena_carve(struct mcq_arena *a, size_t len, size_t align);
/* Faults everything in. lock: also mlock, if RLIMIT_MEMLOCK or CAP_IPC_LOCK allow; if not, locked
 * stays false and *detail (if given) holds a sentence with the exact `ulimit -l` line. */
void mcq_arena_seal(struct mcq_arena *a, bool lock, struct mcq_detail *detail);
/* On which node it is, for the log: "node 0, 100 % of pages there". Returns where, or a literal. */
#define MCQ_ARENA_WHERE_LEN 48u
const char *mcq_arena_where(const struct mcq_arena *a, char where[MCQ_ARENA_WHERE_LEN]);
void mcq_arena_fini(struct mcq_arena *a);

#endif
