/* Log: the app's callback with a level; cold paths only. Never prints by itself. */
#ifndef MCQ_SHARDS_LOG_H
#define MCQ_SHARDS_LOG_H

#include <monocoque/app.h>

struct mcq_log {
    mcq_log_fn *fn; /* NULL: silent */
    void *ctx;
    enum mcq_log_level level;
};

__attribute__((format(printf, 3, 4))) void mcq_log_line(const struct mcq_log *log,
                                                        enum mcq_log_level level, const char *fmt,
                                                        ...);

#endif
