/* Plan: how a shard's memory is divided. A pure function of the options; every number is a named
 * sum, printed at start. */
#ifndef MCQ_SHARDS_PLAN_H
#define MCQ_SHARDS_PLAN_H

#include <monocoque/app.h>

#include "mem/buf.h"
#include "patterns/shared.h"
#include "runtime/loop.h"
#include "shards/directory.h"

#define MCQ_PLAN_SOCKS_MAX       256u
#define MCQ_PLAN_LISTENERS_MAX   256u
#define MCQ_PLAN_TARGETS_MAX     1024u
#define MCQ_PLAN_TIMERS_MAX      4096u /* the user's */
#define MCQ_PLAN_PROXIES_MAX     64u
#define MCQ_PLAN_CHANNELS_MAX    4096u /* from members of logical sockets to others */
#define MCQ_PLAN_REMOTE_REFS_MAX 8192u /* blocks of other shards that one holds */

struct mcq_plan {
    uint32_t conns_max; /* connections and listeners */
    uint32_t links_max, socks_max, listeners_max, targets_max, segs_max, timers_max, proxies_max;
    uint32_t remote_refs_max, bridges_max, members_max, channels_max, moves_max;
    uint32_t shards;                     /* of the app */
    uint32_t heap_timers_max;            /* every timer node there can be */
    struct mcq_directory_plan directory; /* with more shards than one */
    struct mcq_buf_plan bufs;
    struct mcq_pattern_plan patterns;
    size_t total; /* bytes to map */
};

/* opts: effective. A third of the arena at most is for connections. MCQ_EINVAL: connections_max is
 * more than fit; the text names how many do. */
MCQ_MUST_USE enum mcq_error mcq_plan_make(const struct mcq_opts *opts, struct mcq_plan *plan,
                                          struct mcq_detail *detail);

#endif
