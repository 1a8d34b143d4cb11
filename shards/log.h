/* Log: the app's callback with a level; cold paths only. Never prints by itself. */
#ifndef MCQ_SHARDS_LOG_H
#define MCQ_SHARDS_LOG_H

#include <monocoque/app.h>

#include "mem/pool.h"

struct mcq_log {
    mcq_log_fn *fn; /* NULL: silent */
    void *ctx;
    enum mcq_log_level level;
};

__attribute__((format(printf, 3, 4))) void mcq_log_line(const struct mcq_log *log,
                                                        enum mcq_log_level level, const char *fmt,
                                                        ...);

/* "shard N: pools: NAME MAX, ..." at level info; a pool that was never set up is left out. */
void mcq_log_pools(const struct mcq_log *log, uint32_t shard, const struct mcq_pool *const pools[],
                   size_t cnt);

#endif
