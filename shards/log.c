#include "shards/log.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_LEN 512 /* with the NUL; a longer line ends in "..." */

/* A line may quote a peer's bytes: none of them may start a line or drive a terminal. */
static void line_clean(char *line)
{
    for (char *c = line; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte < 0x20 || byte == 0x7f)
            *c = '?';
    }
}

void mcq_log_line(const struct mcq_log *log, enum mcq_log_level level, const char *fmt, ...)
{
    if (log->fn == NULL || level > log->level)
        return;
    char line[LINE_LEN] = "";
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    if (len >= LINE_LEN)
        snprintf(line + LINE_LEN - 4, 4, "...");
    line_clean(line);
    log->fn(log->ctx, level, line);
}

void mcq_log_pools(const struct mcq_log *log, uint32_t shard, const struct mcq_pool *const pools[],
                   size_t cnt)
{
    char text[LINE_LEN] = "";
    size_t len = 0;
    for (size_t i = 0; i < cnt && len < sizeof(text); i++) {
        if (pools[i]->name != NULL)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %u", len == 0 ? "" : ", ",
                                    pools[i]->name, pools[i]->max);
    }
    mcq_log_line(log, MCQ_LOG_INFO, "shard %u: pools: %s", shard, text);
}

static const char *level_name(enum mcq_log_level level)
{
    switch (level) {
    case MCQ_LOG_ERROR:
        return "error";
    case MCQ_LOG_WARN:
        return "warn";
    case MCQ_LOG_INFO:
        return "info";
    case MCQ_LOG_DEBUG:
        return "debug";
    }
    return "unknown";
}

void mcq_log_stderr(void *ctx, enum mcq_log_level level, const char *line)
{
    (void)ctx;
    fprintf(stderr, "monocoque: %s: %s\n", level_name(level), line);
}
