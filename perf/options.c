#include "perf/options.h"

#include "perf/workloads/fanout.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MAX_BYTES ((uint64_t)16 * 1024 * 1024)
#define COUNT_MAX      UINT64_C(100000000)
#define RUNS_MAX       100u
#define SECONDS_MIN    0.05
#define SECONDS_MAX    3600.0

enum {
    OPT_PEER = 1,
    OPT_IDLE,
    OPT_SIZE,
    OPT_COUNT,
    OPT_SECONDS,
    OPT_RUNS,
    OPT_SUBS,
    OPT_LOAD,
    OPT_QUICK,
    OPT_JSON,
    OPT_ARENA,
    OPT_LARGE_BYTES,
    OPT_URING_FEATURES,
    OPT_LOG,
    OPT_VIA
};

#define OPT_BIT(opt) (1u << (opt))
#define OPT_LIBRARY \
    (OPT_BIT(OPT_ARENA) | OPT_BIT(OPT_LARGE_BYTES) | OPT_BIT(OPT_URING_FEATURES) | OPT_BIT(OPT_LOG))

/* Which options each command knows, besides --json, --help and the library's. */
static const struct {
    const char *name;
    unsigned known;
} commands[] = {
    [PERF_COMMAND_RTT] = {"rtt", OPT_BIT(OPT_PEER) | OPT_BIT(OPT_IDLE) | OPT_BIT(OPT_SIZE) |
                                     OPT_BIT(OPT_COUNT)},
    [PERF_COMMAND_THROUGHPUT] = {"throughput",
                                 OPT_BIT(OPT_PEER) | OPT_BIT(OPT_SIZE) | OPT_BIT(OPT_SECONDS)},
    [PERF_COMMAND_COMPARE] = {"compare", OPT_BIT(OPT_QUICK) | OPT_BIT(OPT_COUNT) |
                                             OPT_BIT(OPT_SECONDS) | OPT_BIT(OPT_RUNS)},
    [PERF_COMMAND_SLOW] = {"slow", OPT_BIT(OPT_SUBS) | OPT_BIT(OPT_SIZE) | OPT_BIT(OPT_LOAD) |
                                       OPT_BIT(OPT_SECONDS) | OPT_BIT(OPT_RUNS)},
    [PERF_COMMAND_HOP] = {"hop", OPT_BIT(OPT_VIA) | OPT_BIT(OPT_IDLE) | OPT_BIT(OPT_SIZE) |
                                     OPT_BIT(OPT_COUNT)},
};

void perf_options_help(void)
{
    puts(
        "usage: mcq-perf rtt        --peer mcq|libzmq|raw [--idle spin|block] [--size N]\n"
        "                           [--count N] [--json]\n"
        "       mcq-perf throughput --peer mcq|libzmq|raw|raw-frames [--size N] [--seconds S]\n"
        "                           [--json]\n"
        "       mcq-perf compare    [--quick] [--count N] [--seconds S] [--runs N] [--json]\n"
        "       mcq-perf slow       [--subs N] [--size N] [--load SHARE] [--seconds S] [--runs N]\n"
        "                           [--json]\n"
        "       mcq-perf hop        [--via post|inproc] [--idle spin|block] [--size N] [--count "
        "N]\n"
        "                           [--json]\n"
        "\n"
        "rtt         REQ/REP over tcp loopback, one request at a time: percentiles in us.\n"
        "throughput  PUSH to PULL over tcp loopback, counted by the receiver.\n"
        "compare     all peers and workloads in one run, interleaved, as one table.\n"
        "slow        PUB to many SUBs of which one is stopped: what that costs the others.\n"
        "hop         from shard to shard of one process: round trips beside the floor (a cache\n"
        "            line to and fro; blocking: an eventfd), and a stream one way. Both ways.\n"
        "\n"
        "Two processes on two CPUs, warm-up excluded. Peers: mcq is Monocoque; libzmq always\n"
        "blocks and is measured pinned and free, the better is reported; raw is bare sockets;\n"
        "raw-frames is ZMTP framing on bare sockets. Defaults: --idle spin, --size 16, --count\n"
        "100000 spinning or 20000 blocking, --seconds 2; hop: --size 32, 1000000 and 50000.\n"
        "\n"
        "Options of the library, for the mcq peer: --arena SIZE, --large-bytes SIZE,\n"
        "--uring-features MASK, --log LEVEL. Placement and --idle are mcq-perf's own.");
}

__attribute__((format(printf, 1, 2))) static bool bad(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("mcq-perf: ", stderr);
    vfprintf(stderr, format, args);
    fputs(" (mcq-perf --help shows the usage)\n", stderr);
    va_end(args);
    return false;
}

static bool number_parse(const char *name, const char *text, uint64_t max, uint64_t *value)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number < 1 || number > max) {
        return bad("--%s wants a whole number from 1 to %llu, not '%s'", name,
                   (unsigned long long)max, text);
    }
    *value = number;
    return true;
}

static bool load_parse(const char *text, double *load)
{
    char *end = NULL;
    *load = strtod(text, &end);
    if (end == text || *end != '\0' || !(*load > 0 && *load <= 1)) {
        return bad("--load wants a share above 0 and up to 1, not '%s'", text);
    }
    return true;
}

static bool seconds_parse(const char *text, double *seconds)
{
    char *end = NULL;
    *seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(*seconds >= SECONDS_MIN && *seconds <= SECONDS_MAX)) {
        return bad("--seconds wants a number from %g to %g, not '%s'", SECONDS_MIN, SECONDS_MAX,
                   text);
    }
    return true;
}

static bool peer_parse(const char *text, const struct perf_peer **peer)
{
    *peer = perf_peer_find(text);
    return *peer != NULL || bad("--peer wants mcq, libzmq, raw or raw-frames, not '%s'", text);
}

static bool idle_parse(const char *text, enum perf_idle *idle)
{
    if (strcmp(text, "spin") == 0) {
        *idle = PERF_IDLE_SPIN;
    } else if (strcmp(text, "block") == 0) {
        *idle = PERF_IDLE_BLOCK;
    } else {
        return bad("--idle wants spin or block, not '%s'", text);
    }
    return true;
}

static bool via_parse(const char *text, unsigned *via)
{
    if (strcmp(text, "post") == 0) {
        *via = 1u << PERF_VIA_POST;
    } else if (strcmp(text, "inproc") == 0) {
        *via = 1u << PERF_VIA_INPROC;
    } else {
        return bad("--via wants post or inproc, not '%s'", text);
    }
    return true;
}

static bool size_parse(const char *text, size_t *size)
{
    uint64_t value = 0;
    bool ok = number_parse("size", text, SIZE_MAX_BYTES, &value);
    *size = (size_t)value;
    return ok;
}

static bool subs_parse(const char *text, unsigned *subs)
{
    uint64_t value = 0;
    bool ok = number_parse("subs", text, PERF_FANOUT_SUBS_MAX, &value);
    *subs = (unsigned)value;
    return ok && (value > 1 || bad("--subs wants at least 2: one is stopped"));
}

static bool runs_parse(const char *text, unsigned *runs)
{
    uint64_t value = 0;
    bool ok = number_parse("runs", text, RUNS_MAX, &value);
    *runs = (unsigned)value;
    return ok;
}

static bool option_take(struct perf_options *options, int opt, char *text)
{
    switch (opt) {
    case OPT_PEER:
        return peer_parse(text, &options->peer);
    case OPT_IDLE:
        return idle_parse(text, &options->idle);
    case OPT_SIZE:
        return size_parse(text, &options->size);
    case OPT_COUNT:
        return number_parse("count", text, COUNT_MAX, &options->count);
    case OPT_SECONDS:
        return seconds_parse(text, &options->seconds);
    case OPT_RUNS:
        return runs_parse(text, &options->runs);
    case OPT_SUBS:
        return subs_parse(text, &options->subs);
    case OPT_LOAD:
        return load_parse(text, &options->load);
    case OPT_VIA:
        return via_parse(text, &options->via);
    case OPT_QUICK:
        options->quick = true;
        return true;
    case OPT_JSON:
        options->json = true;
        return true;
    case OPT_ARENA:
        perf_peer_mcq_option("--arena", text);
        return true;
    case OPT_LARGE_BYTES:
        perf_peer_mcq_option("--large-bytes", text);
        return true;
    case OPT_URING_FEATURES:
        perf_peer_mcq_option("--uring-features", text);
        return true;
    case OPT_LOG:
        perf_peer_mcq_option("--log", text);
        return true;
    }
    return bad("there is no such option");
}

/* What only shows once all options are read. */
static bool options_check(const struct perf_options *options)
{
    if (options->command == PERF_COMMAND_HOP) {
        return (options->size >= PERF_HOP_SIZE_MIN && options->size <= PERF_HOP_SIZE_MAX) ||
               bad("hop: --size wants %u to %u", PERF_HOP_SIZE_MIN, PERF_HOP_SIZE_MAX);
    }
    if (options->command == PERF_COMMAND_COMPARE || options->command == PERF_COMMAND_SLOW) {
        return true;
    }
    if (options->peer == NULL) {
        return bad("%s needs --peer", commands[options->command].name);
    }
    if (options->command == PERF_COMMAND_RTT && options->peer->rtt_run == NULL &&
        options->peer->missing == NULL) {
        return bad("%s has no round trip", options->peer->name);
    }
    return true;
}

static bool command_parse(struct perf_options *options, const char *text)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, text) == 0) {
            options->command = (enum perf_command)i;
            return true;
        }
    }
    return bad("the first argument is rtt, throughput, compare, slow or hop, not '%s'", text);
}

static enum perf_parse options_read(struct perf_options *options, int argc, char **argv)
{
    static const struct option longs[] = {
        {"peer", required_argument, NULL, OPT_PEER},
        {"idle", required_argument, NULL, OPT_IDLE},
        {"size", required_argument, NULL, OPT_SIZE},
        {"count", required_argument, NULL, OPT_COUNT},
        {"seconds", required_argument, NULL, OPT_SECONDS},
        {"runs", required_argument, NULL, OPT_RUNS},
        {"subs", required_argument, NULL, OPT_SUBS},
        {"load", required_argument, NULL, OPT_LOAD},
        {"quick", no_argument, NULL, OPT_QUICK},
        {"json", no_argument, NULL, OPT_JSON},
        {"arena", required_argument, NULL, OPT_ARENA},
        {"large-bytes", required_argument, NULL, OPT_LARGE_BYTES},
        {"uring-features", required_argument, NULL, OPT_URING_FEATURES},
        {"log", required_argument, NULL, OPT_LOG},
        {"via", required_argument, NULL, OPT_VIA},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    unsigned known = commands[options->command].known | OPT_BIT(OPT_JSON) | OPT_LIBRARY;
    int opt;
    opterr = 0;
    while ((opt = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
        if (opt == 'h') {
            return PERF_PARSE_HELP;
        }
        if (opt == '?' || opt == ':') {
            bad(opt == ':' ? "%s wants a value" : "there is no option %s", argv[optind - 1]);
            return PERF_PARSE_BAD;
        }
        if ((known & OPT_BIT(opt)) == 0) {
            bad("%s has no option --%s", commands[options->command].name, longs[opt - 1].name);
            return PERF_PARSE_BAD;
        }
        if (!option_take(options, opt, optarg)) {
            return PERF_PARSE_BAD;
        }
    }
    if (optind < argc) {
        bad("'%s' is one argument too many", argv[optind]);
        return PERF_PARSE_BAD;
    }
    return PERF_PARSE_RUN;
}

enum perf_parse perf_options_parse(struct perf_options *options, int argc, char **argv)
{
    *options = (struct perf_options){.idle = PERF_IDLE_SPIN, .size = PERF_SIZE_DEFAULT};
    if (argc < 2) {
        bad("which command?");
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
