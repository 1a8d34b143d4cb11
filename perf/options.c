#include "perf/options.h"

#include "perf/option_values.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define BIT(opt)    (UINT64_C(1) << PERF_OPT_##opt)
#define LIBRARY     (BIT(ARENA) | BIT(LARGE_BYTES) | BIT(URING_FEATURES) | BIT(LOG))
#define EVERYWHERE  (BIT(JSON) | LIBRARY)
#define OUTPUTS     (BIT(OUT) | BIT(QUIET) | BIT(NO_TRACE) | BIT(QUICK))
#define REPEATED    (BIT(SECONDS) | BIT(WARMUP) | BIT(RUNS) | BIT(SEED))
#define PEERS       (BIT(PEERS) | BIT(TRANSPORT) | BIT(IDLE))
#define SERVER      (BIT(DELAY) | BIT(STALL) | BIT(STALL_EVERY))
#define OPEN_LOOP   (BIT(RATE) | BIT(PACE) | BIT(BURST) | BIT(TRACE))
#define STRANGERS   (BIT(CONNECT) | BIT(TYPE))
#define NO_WORDS    0u, 0u
#define GETOPT_BASE 256 /* beyond what a short option could be */

_Static_assert(PERF_OPT_CNT <= 64, "one bit per option");

/* Which options each command knows, and how many words besides. */
static const struct command {
    const char *name;
    uint64_t known;
    unsigned words_min, words_max;
} commands[PERF_COMMAND_CNT] = {
    [PERF_COMMAND_RTT] = {"rtt",
                          BIT(PEER) | PEERS | BIT(SIZE) | BIT(COUNT) | BIT(RUNS) | SERVER |
                              STRANGERS | OUTPUTS,
                          NO_WORDS},
    [PERF_COMMAND_THROUGHPUT] = {"throughput",
                                 BIT(PEER) | BIT(PEERS) | BIT(TRANSPORT) | BIT(SIZE) |
                                     BIT(SECONDS) | BIT(RUNS) | OUTPUTS,
                                 NO_WORDS},
    [PERF_COMMAND_COMPARE] = {"compare",
                              BIT(COUNT) | BIT(SECONDS) | BIT(RUNS) | BIT(TRANSPORT) | OUTPUTS,
                              NO_WORDS},
    [PERF_COMMAND_SLOW] = {"slow", PEERS | BIT(SUBS) | BIT(SIZE) | BIT(LOAD) | REPEATED | OUTPUTS,
                           NO_WORDS},
    [PERF_COMMAND_HOP] = {"hop",
                          BIT(VIA) | BIT(IDLE) | BIT(SIZE) | BIT(COUNT) | BIT(OUT) | BIT(QUIET),
                          NO_WORDS},
    [PERF_COMMAND_LOAD] = {"load",
                           PEERS | BIT(SIZE) | BIT(CONNS) | OPEN_LOOP | REPEATED | SERVER |
                               STRANGERS | OUTPUTS,
                           NO_WORDS},
    [PERF_COMMAND_SWEEP] = {"sweep",
                            PEERS | BIT(SIZE) | BIT(CONNS) | BIT(PACE) | BIT(BURST) | BIT(RATE) |
                                BIT(SHARES) | REPEATED | SERVER | STRANGERS | OUTPUTS,
                            NO_WORDS},
    [PERF_COMMAND_IDLE] = {"idle",
                           PEERS | BIT(SIZE) | BIT(GAPS) | BIT(COUNT) | REPEATED | SERVER |
                               STRANGERS | OUTPUTS,
                           NO_WORDS},
    [PERF_COMMAND_FANOUT] = {"fanout",
                             PEERS | BIT(SIZE) | BIT(SUBS) | BIT(RATE) | BIT(PACE) | BIT(BURST) |
                                 BIT(LOAD) | REPEATED | OUTPUTS,
                             NO_WORDS},
    [PERF_COMMAND_FANIN] = {"fanin",
                            PEERS | BIT(SIZE) | BIT(CONNS) | BIT(RATE) | BIT(LOAD) | REPEATED |
                                OUTPUTS,
                            NO_WORDS},
    [PERF_COMMAND_CONNECT] = {"connect",
                              PEERS | BIT(SIZE) | BIT(CONNS) | BIT(COUNT) | REPEATED | STRANGERS |
                                  OUTPUTS,
                              NO_WORDS},
    [PERF_COMMAND_SCALE] = {"scale",
                            PEERS | BIT(SIZE) | BIT(CONNS) | BIT(IDLE_CONNS) | BIT(RATE) |
                                REPEATED | SERVER | OUTPUTS,
                            NO_WORDS},
    [PERF_COMMAND_SOAK] = {"soak",
                           PEERS | BIT(SIZE) | BIT(CONNS) | OPEN_LOOP | REPEATED | SERVER |
                               STRANGERS | OUTPUTS,
                           NO_WORDS},
    [PERF_COMMAND_JITTER] = {"jitter", BIT(SECONDS) | BIT(RUNS) | OUTPUTS, NO_WORDS},
    [PERF_COMMAND_SERVE] = {"serve",
                            BIT(PEER) | BIT(BIND) | BIT(IDLE) | BIT(SIZE) | BIT(CONNS) | SERVER |
                                BIT(QUIET),
                            NO_WORDS},
    [PERF_COMMAND_REPORT] = {"report", BIT(OUT), 1, PERF_LIST_MAX},
    [PERF_COMMAND_GATE] = {"gate", BIT(PERCENT), 2, 2},
    [PERF_COMMAND_AB] = {"ab", BIT(RUNS) | BIT(OUT) | BIT(QUIET), 2, 2},
};

static const char *const pace_names[] = {[PERF_PACE_FIXED] = "fixed",
                                         [PERF_PACE_POISSON] = "poisson",
                                         [PERF_PACE_BURST] = "burst",
                                         [PERF_PACE_TRACE] = "trace"};

const char *perf_command_name(enum perf_command command)
{
    return commands[command].name;
}

const char *perf_pace_name(enum perf_pace pace)
{
    return pace_names[pace];
}

const char *perf_transport_name(enum perf_transport transport)
{
    return transport == PERF_TRANSPORT_IPC ? "ipc" : "tcp";
}

struct perf_handler perf_options_handler(const struct perf_options *options)
{
    return (struct perf_handler){
        .delay_ns = options->delay_ns,
        .stall_ns = options->stall_ms * PERF_MS_NS,
        .stall_every_ns = options->stall_every_ms * PERF_MS_NS,
    };
}

/* --- what only shows once all options are read -------------------------------------------------
 */

static bool peer_check(const struct perf_options *options)
{
    bool wants = (commands[options->command].known & BIT(PEER)) != 0 && options->connect == NULL;
    if (wants && options->peer == NULL) {
        return perf_option_bad("%s needs --peer", commands[options->command].name);
    }
    if (options->command == PERF_COMMAND_RTT && options->peer != NULL && !options->peers_listed &&
        options->peer->missing == NULL && !perf_peer_has_rtt(options->peer)) {
        return perf_option_bad("%s has no round trip", options->peer->name);
    }
    return true;
}

static bool pace_check(const struct perf_options *options)
{
    if (options->pace == PERF_PACE_TRACE && options->trace_file == NULL) {
        return perf_option_bad("--pace trace needs --trace FILE");
    }
    if (options->trace_file != NULL && options->pace != PERF_PACE_TRACE) {
        return perf_option_bad("--trace goes with --pace trace");
    }
    return options->burst == 0 || options->pace == PERF_PACE_BURST ||
           perf_option_bad("--burst goes with --pace burst");
}

static bool options_check(const struct perf_options *options)
{
    const struct command *command = &commands[options->command];
    if (options->word_cnt < command->words_min) {
        return perf_option_bad("%s wants %u arguments", command->name, command->words_min);
    }
    if (options->word_cnt > command->words_max) {
        return perf_option_bad("'%s' is one argument too many", options->words[command->words_max]);
    }
    if (options->command == PERF_COMMAND_HOP &&
        (options->size < PERF_HOP_SIZE_MIN || options->size > PERF_HOP_SIZE_MAX)) {
        return perf_option_bad("hop: --size wants %u to %u", PERF_HOP_SIZE_MIN, PERF_HOP_SIZE_MAX);
    }
    if (options->command == PERF_COMMAND_SLOW && options->subs == 1) {
        return perf_option_bad("--subs wants at least 2: one is stopped");
    }
    if (options->command == PERF_COMMAND_SERVE && options->bind == NULL) {
        return perf_option_bad("serve needs --bind ENDPOINT");
    }
    if (options->socket_type != NULL && options->connect == NULL) {
        return perf_option_bad("--type goes with --connect");
    }
    if ((options->stall_ms == 0) != (options->stall_every_ms == 0)) {
        return perf_option_bad("--stall-ms and --stall-every-ms go together");
    }
    return peer_check(options) && pace_check(options);
}

/* --- reading -----------------------------------------------------------------------------------
 */

static bool command_parse(struct perf_options *options, const char *text)
{
    for (size_t i = 0; i < PERF_COMMAND_CNT; i++) {
        if (strcmp(commands[i].name, text) == 0) {
            options->command = (enum perf_command)i;
            return true;
        }
    }
    return perf_option_bad("the first argument is a command, like rtt or load, not '%s'", text);
}

static void longs_fill(struct option *longs)
{
    for (unsigned i = 0; i < PERF_OPT_CNT; i++) {
        int has = perf_option_has_value((enum perf_option)i) ? required_argument : no_argument;
        longs[i] =
            (struct option){perf_option_name((enum perf_option)i), has, NULL, GETOPT_BASE + (int)i};
    }
    longs[PERF_OPT_CNT] = (struct option){"help", no_argument, NULL, 'h'};
    longs[PERF_OPT_CNT + 1] = (struct option){NULL, 0, NULL, 0};
}

static enum perf_parse options_read(struct perf_options *options, int argc, char **argv)
{
    struct option longs[PERF_OPT_CNT + 2];
    const struct command *command = &commands[options->command];
    int got;
    longs_fill(longs);
    opterr = 0;
    while ((got = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
        if (got == 'h') {
            return PERF_PARSE_HELP;
        }
        if (got == '?' || got == ':') {
            perf_option_bad(got == ':' ? "%s wants a value" : "there is no option %s",
                            argv[optind - 1]);
            return PERF_PARSE_BAD;
        }
        enum perf_option opt = (enum perf_option)(got - GETOPT_BASE);
        if (((command->known | EVERYWHERE) & UINT64_C(1) << opt) == 0) {
            perf_option_bad("%s has no option --%s", command->name, perf_option_name(opt));
            return PERF_PARSE_BAD;
        }
        if (!perf_option_take(options, opt, optarg)) {
            return PERF_PARSE_BAD;
        }
    }
    options->words = argv + optind;
    options->word_cnt = (unsigned)(argc - optind);
    return PERF_PARSE_RUN;
}

enum perf_parse perf_options_parse(struct perf_options *options, int argc, char **argv)
{
    *options = (struct perf_options){
        .idle = PERF_IDLE_SPIN,
        .size = PERF_SIZE_DEFAULT,
        .warmup_s = -1,
        .percent = PERF_PERCENT_DEFAULT,
        .argc = argc - 1,
        .argv = argv + 1,
    };
    if (argc < 2) {
        perf_option_bad("which command?");
        return PERF_PARSE_BAD;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return PERF_PARSE_HELP;
    }
    if (!command_parse(options, argv[1])) {
        return PERF_PARSE_BAD;
    }
    if (options->command == PERF_COMMAND_HOP) {
        options->size = PERF_HOP_SIZE_DEFAULT;
        options->via = 1u << PERF_VIA_POST | 1u << PERF_VIA_INPROC;
    }
    enum perf_parse parsed = options_read(options, argc - 1, argv + 1);
    if (parsed == PERF_PARSE_RUN && !options_check(options)) {
        return PERF_PARSE_BAD;
    }
    return parsed;
}
