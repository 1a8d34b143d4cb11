#include "shards/log.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

struct heard {
    unsigned cnt;
    enum mcq_log_level level;
    char line[1024];
};

static void hear(void *ctx, enum mcq_log_level level, const char *line)
{
    struct heard *h = ctx;
    h->cnt++;
    h->level = level;
    snprintf(h->line, sizeof(h->line), "%s", line);
}

Test(log, tells_up_to_its_level)
{
    struct heard h = {0};
    struct mcq_log log = {hear, &h, MCQ_LOG_INFO};
    mcq_log_line(&log, MCQ_LOG_ERROR, "e %d", 1);
    cr_assert_str_eq(h.line, "e 1");
    mcq_log_line(&log, MCQ_LOG_INFO, "i %s", "two");
    cr_assert_str_eq(h.line, "i two");
    cr_assert_eq(h.level, MCQ_LOG_INFO);
    mcq_log_line(&log, MCQ_LOG_DEBUG, "d");
    cr_assert_eq(h.cnt, 2);
}

Test(log, silent_without_a_callback)
{
    struct mcq_log log = {NULL, NULL, MCQ_LOG_DEBUG};
    mcq_log_line(&log, MCQ_LOG_ERROR, "nobody hears %d", 1);
}

Test(log, a_long_line_is_cut_and_says_so)
{
    struct heard h = {0};
    struct mcq_log log = {hear, &h, MCQ_LOG_ERROR};
    char text[512];
    memset(text, 'x', sizeof(text));
    mcq_log_line(&log, MCQ_LOG_ERROR, "%.511s", text);
    cr_assert_eq(strlen(h.line), 511);
    cr_assert_str_eq(h.line + 508, "xxx", "511 characters fit");
    mcq_log_line(&log, MCQ_LOG_ERROR, "%.512s", text);
    cr_assert_eq(strlen(h.line), 511);
    cr_assert_str_eq(h.line + 507, "x...");
}

/* What a peer says is quoted in lines: it must not forge one, or drive the terminal. */
Test(log, control_characters_are_shown_as_question_marks)
{
    struct heard h = {0};
    struct mcq_log log = {hear, &h, MCQ_LOG_ERROR};
    mcq_log_line(&log, MCQ_LOG_ERROR, "peer: %s", "a\nerror: forged\r\x1b[2J\x7f\xc3\xa9");
    cr_assert_str_eq(h.line, "peer: a?error: forged??[2J?\xc3\xa9");
}

Test(log, stderr_has_one_line_with_the_level, .init = cr_redirect_stderr)
{
    mcq_log_stderr(NULL, MCQ_LOG_WARN, "50 % of it");
    fflush(stderr);
    cr_assert_stderr_eq_str("monocoque: warn: 50 % of it\n");
}

Test(log, pools_by_name_and_maximum)
{
    struct heard h = {0};
    struct mcq_log log = {hear, &h, MCQ_LOG_INFO};
    const struct mcq_pool links = {.name = "links", .max = 7};
    const struct mcq_pool timers = {.name = "timers", .max = 4294967295u};
    const struct mcq_pool none = {.max = 0}; /* a part of the shard that isn't needed here */
    const struct mcq_pool *const pools[] = {&none, &links, &none, &timers};
    mcq_log_pools(&log, 3, pools, MCQ_CNT_OF(pools));
    cr_assert_str_eq(h.line, "shard 3: pools: links 7, timers 4294967295");
    const struct mcq_pool *many[100];
    for (size_t i = 0; i < 100; i++)
        many[i] = &links;
    mcq_log_pools(&log, 3, many, 100); /* cut, not overrun */
    cr_assert_lt(strlen(h.line), 512);
    cr_assert_str_eq(h.line + strlen(h.line) - 3, "...");
}
