/*
 * option values: every option there is, and how its text becomes a value.
 *
 * One table; which command knows which option is the business of options.c. A value out of range is
 * refused with a sentence that says what is wanted.
 */
#ifndef MCQ_PERF_OPTION_VALUES_H
#define MCQ_PERF_OPTION_VALUES_H

#include "perf/options.h"

enum perf_option {
    PERF_OPT_PEER,
    PERF_OPT_PEERS,
    PERF_OPT_TRANSPORT,
    PERF_OPT_CONNECT,
    PERF_OPT_BIND,
    PERF_OPT_TYPE,
    PERF_OPT_IDLE,
    PERF_OPT_SIZE,
    PERF_OPT_COUNT,
    PERF_OPT_CONNS,
    PERF_OPT_SUBS,
    PERF_OPT_RATE,
    PERF_OPT_PACE,
    PERF_OPT_BURST,
    PERF_OPT_TRACE,
    PERF_OPT_LOAD,
    PERF_OPT_IDLE_CONNS,
    PERF_OPT_GAPS,
    PERF_OPT_SHARES,
    PERF_OPT_VIA,
    PERF_OPT_SECONDS,
    PERF_OPT_WARMUP,
    PERF_OPT_RUNS,
    PERF_OPT_SEED,
    PERF_OPT_DELAY,
    PERF_OPT_STALL,
    PERF_OPT_STALL_EVERY,
    PERF_OPT_OUT,
    PERF_OPT_PERCENT,
    PERF_OPT_QUICK,
    PERF_OPT_NO_TRACE,
    PERF_OPT_QUIET,
    PERF_OPT_JSON,
    PERF_OPT_ARENA,
    PERF_OPT_LARGE_BYTES,
    PERF_OPT_URING_FEATURES,
    PERF_OPT_LOG,
    PERF_OPT_CNT,
};

/* Without dashes: "size". */
const char *perf_option_name(enum perf_option opt);
bool perf_option_has_value(enum perf_option opt);

/* text: NULL for an option without a value; borrowed for good. False with a sentence on stderr. */
bool perf_option_take(struct perf_options *options, enum perf_option opt, char *text);

/* A sentence on stderr; false. */
bool perf_option_bad(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
