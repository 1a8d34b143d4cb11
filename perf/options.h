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
    PERF_COMMAND_LOAD,
    PERF_COMMAND_SWEEP,
    PERF_COMMAND_IDLE,
    PERF_COMMAND_FANOUT,
    PERF_COMMAND_FANIN,
    PERF_COMMAND_CONNECT,
    PERF_COMMAND_SCALE,
    PERF_COMMAND_SOAK,
    PERF_COMMAND_JITTER,
    PERF_COMMAND_SERVE, /* from here on nothing is measured */
    PERF_COMMAND_REPORT,
    PERF_COMMAND_GATE,
    PERF_COMMAND_AB,
    PERF_COMMAND_CNT,
};

/* What mcq-perf exits with. */
enum perf_exit {
    PERF_EXIT_MEASURED = 0,
    PERF_EXIT_MISSING = 1, /* something couldn't be measured, or mustn't be believed */
    PERF_EXIT_USAGE = 2,
    PERF_EXIT_WORSE = 3, /* gate */
};

/* hop: ways from shard to shard; bits 1 << PERF_VIA_* in the options. */
enum perf_via { PERF_VIA_POST, PERF_VIA_INPROC };

/* When messages are due: at even distances, as a Poisson process, in bursts at even distances, or
 * as a file says. */
enum perf_pace { PERF_PACE_FIXED, PERF_PACE_POISSON, PERF_PACE_BURST, PERF_PACE_TRACE };

#define PERF_HOP_SIZE_DEFAULT 32u
#define PERF_HOP_SIZE_MIN     8u
#define PERF_HOP_SIZE_MAX     1024u

#define PERF_SIZE_DEFAULT    16u
#define PERF_SIZE_MAX        ((size_t)16 * 1024 * 1024)
#define PERF_SECONDS_DEFAULT 2.0
#define PERF_PERCENT_DEFAULT 2.0

#define PERF_PEERS_MAX 8u
#define PERF_LIST_MAX  32u

/* Of a list on the command line. cnt is 0: the default of the command. */
struct perf_list {
    double values[PERF_LIST_MAX];
    unsigned cnt;
};

/* Zero or NULL is the default of the command, where nothing else is said. */
struct perf_options {
    enum perf_command command;
    int argc; /* all arguments from the command on, for artefacts; borrowed */
    char **argv;
    char *const *words; /* what isn't an option: files, commands */
    unsigned word_cnt;

    const struct perf_peer *peer; /* --peer, or the first of --peers; NULL: none was given */
    const struct perf_peer *peers[PERF_PEERS_MAX];
    unsigned peer_cnt;
    bool peers_listed; /* by --peers */
    enum perf_transport transport;
    const char *connect;     /* endpoint of a server that isn't ours */
    const char *bind;        /* serve */
    const char *socket_type; /* with connect: "dealer" or "req" */
    enum perf_idle idle;

    size_t size;
    uint64_t count;
    uint32_t conns;
    uint32_t subs;
    double rate; /* messages per second */
    enum perf_pace pace;
    uint64_t burst;
    const char *trace_file;
    double load;                 /* slow: share of the greatest rate */
    struct perf_list idle_conns; /* scale */
    struct perf_list gaps_ns;    /* idle */
    struct perf_list shares;     /* sweep: of the measured maximum, above 0 */
    unsigned via;                /* hop: one or both */

    double seconds;
    double warmup_s; /* below 0: the default of the command */
    unsigned runs;
    uint64_t seed;
    uint64_t delay_ns; /* what the echoing server burns per message */
    uint64_t stall_ms; /* ... and how long it sleeps, every stall_every_ms */
    uint64_t stall_every_ms;

    const char *out;
    double percent; /* gate */
    bool quick;
    bool no_trace;
    bool quiet;
    bool json;
};

enum perf_parse { PERF_PARSE_RUN, PERF_PARSE_HELP, PERF_PARSE_BAD };

/* On PERF_PARSE_BAD a sentence has gone to stderr. */
enum perf_parse perf_options_parse(struct perf_options *options, int argc, char **argv);

void perf_options_help(void);

/* What the echoing server is to do per message. */
struct perf_handler perf_options_handler(const struct perf_options *options);

const char *perf_command_name(enum perf_command command);
const char *perf_pace_name(enum perf_pace pace);
const char *perf_transport_name(enum perf_transport transport);

#endif
