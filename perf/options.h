/* options: the command line of mcq-perf. */
#ifndef MCQ_PERF_OPTIONS_H
#define MCQ_PERF_OPTIONS_H

#include "perf/peers/peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum perf_command {
    PERF_COMMAND_RTT,
    PERF_COMMAND_THROUGHPUT,
    PERF_COMMAND_COMPARE,
    PERF_COMMAND_SLOW,
    PERF_COMMAND_HOP,
};

/* hop: ways from shard to shard; bits 1 << PERF_VIA_* in the options. */
enum perf_via { PERF_VIA_POST, PERF_VIA_INPROC };

#define PERF_HOP_SIZE_DEFAULT 32u
#define PERF_HOP_SIZE_MIN     8u
#define PERF_HOP_SIZE_MAX     1024u

#define PERF_SIZE_DEFAULT    16u
#define PERF_SECONDS_DEFAULT 2.0

struct perf_options {
    enum perf_command command;
    const struct perf_peer *peer; /* NULL for compare and slow */
    enum perf_idle idle;
    size_t size;
    uint64_t count; /* 0: the default of the idle policy */
    double seconds; /* 0: the default of the command */
    unsigned runs;  /* 0: the default of the command */
    unsigned subs;  /* slow: subscribers; 0: the default */
    double load;    /* slow: share of the greatest rate; 0: the default */
    unsigned via;   /* hop: one or both */
    bool quick;
    bool json;
};

enum perf_parse { PERF_PARSE_RUN, PERF_PARSE_HELP, PERF_PARSE_BAD };

/* On PERF_PARSE_BAD a sentence has gone to stderr. */
enum perf_parse perf_options_parse(struct perf_options *options, int argc, char **argv);

void perf_options_help(void);

#endif
