#include "perf/option_values.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_MAX   UINT64_C(100000000)
#define CONNS_MAX   PERF_NODE_CONNS_MAX
#define RUNS_MAX    100u
#define SECONDS_MIN 0.05
#define SECONDS_MAX 86400.0
#define RATE_MAX    1e9
#define BURST_MAX   UINT64_C(1000000)
#define DELAY_NS    UINT64_C(1000000000)
#define STALL_MS    UINT64_C(60000)
#define GAP_NS_MAX  60e9
#define LIST_TEXT   512u

typedef bool take_fn(struct perf_options *options, const char *name, char *text);

bool perf_option_bad(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("mcq-perf: ", stderr);
    vfprintf(stderr, format, args);
    fputs(" (mcq-perf --help shows the usage)\n", stderr);
    va_end(args);
    return false;
}

/* --- kinds of values ---------------------------------------------------------------------------
 */

static bool number_parse(const char *name, const char *text, uint64_t min, uint64_t max,
                         uint64_t *value)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number < min || number > max) {
        return perf_option_bad("--%s wants a whole number from %llu to %llu, not '%s'", name,
                               (unsigned long long)min, (unsigned long long)max, text);
    }
    *value = number;
    return true;
}

static bool number32_parse(const char *name, const char *text, uint64_t min, uint64_t max,
                           uint32_t *value)
{
    uint64_t wide = 0;
    bool ok = number_parse(name, text, min, max, &wide);
    *value = (uint32_t)wide;
    return ok;
}

static bool real_parse(const char *name, const char *text, double min, double max, double *value)
{
    char *end = NULL;
    *value = strtod(text, &end);
    if (end == text || *end != '\0' || !(*value >= min && *value <= max)) {
        return perf_option_bad("--%s wants a number from %g to %g, not '%s'", name, min, max, text);
    }
    return true;
}

struct word {
    const char *text;
    int value;
};

static bool word_parse(const char *name, const char *text, const struct word *words, size_t cnt,
                       int *value)
{
    char wanted[LIST_TEXT] = "";
    size_t len = 0;
    for (size_t i = 0; i < cnt; i++) {
        if (strcmp(words[i].text, text) == 0) {
            *value = words[i].value;
            return true;
        }
        const char *between = i == 0 ? "" : i + 1 == cnt ? " or " : ", ";
        len += (size_t)snprintf(wanted + len, sizeof wanted - len, "%s%s", between, words[i].text);
    }
    return perf_option_bad("--%s wants %s, not '%s'", name, wanted, text);
}

/* Calls take for each part between commas; text stays as it is. */
static bool list_each(struct perf_options *options, const char *name, const char *text,
                      bool (*take)(struct perf_options *options, const char *name,
                                   const char *part))
{
    char copy[LIST_TEXT];
    char *rest = copy, *part;
    if ((size_t)snprintf(copy, sizeof copy, "%s", text) >= sizeof copy) {
        return perf_option_bad("--%s: the list is too long", name);
    }
    while ((part = strsep(&rest, ",")) != NULL) {
        if (!take(options, name, part)) {
            return false;
        }
    }
    return true;
}

static bool list_add(struct perf_list *list, const char *name, double value)
{
    if (list->cnt == PERF_LIST_MAX) {
        return perf_option_bad("--%s takes at most %u values", name, PERF_LIST_MAX);
    }
    list->values[list->cnt++] = value;
    return true;
}

/* "10us", "1.5ms", "2s"; a bare number is in us. */
static bool span_parse(const char *name, const char *text, double *ns)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"", 1e3}};
    char *end = NULL;
    double value = strtod(text, &end);
    for (size_t i = 0; end != text && i < sizeof units / sizeof units[0]; i++) {
        *ns = value * units[i].ns;
        if (strcmp(units[i].unit, end) == 0 && *ns >= 1 && *ns <= GAP_NS_MAX) {
            return true;
        }
    }
    return perf_option_bad("--%s wants times up to 60s, like 10us,5ms,2s, not '%s'", name, text);
}

/* --- one function per option -------------------------------------------------------------------
 */

static bool peer_add(struct perf_options *options, const char *name, const char *text)
{
    const struct perf_peer *peer = perf_peer_find(text);
    if (peer == NULL) {
        return perf_option_bad("--%s wants %s, not '%s'", name, perf_peer_names(), text);
    }
    if (options->peer_cnt == PERF_PEERS_MAX) {
        return perf_option_bad("--%s takes at most %u peers", name, PERF_PEERS_MAX);
    }
    for (unsigned i = 0; i < options->peer_cnt; i++) {
        if (options->peers[i] == peer) {
            return perf_option_bad("--%s names %s twice", name, text);
        }
    }
    options->peers[options->peer_cnt++] = peer;
    options->peer = options->peers[0];
    return true;
}

static bool peer_take(struct perf_options *options, const char *name, char *text)
{
    options->peer_cnt = 0;
    return peer_add(options, name, text);
}

static bool peers_take(struct perf_options *options, const char *name, char *text)
{
    options->peer_cnt = 0;
    options->peers_listed = true;
    return list_each(options, name, text, peer_add);
}

static bool transport_take(struct perf_options *options, const char *name, char *text)
{
    static const struct word words[] = {{"tcp", PERF_TRANSPORT_TCP}, {"ipc", PERF_TRANSPORT_IPC}};
    int value = 0;
    bool ok = word_parse(name, text, words, 2, &value);
    options->transport = (enum perf_transport)value;
    return ok;
}

static bool endpoint_parse(const char *name, const char *text, const char **endpoint)
{
    *endpoint = text;
    return strncmp(text, "tcp://", 6) == 0 || strncmp(text, "ipc://", 6) == 0 ||
           perf_option_bad("--%s wants tcp://HOST:PORT or ipc://PATH, not '%s'", name, text);
}

static bool connect_take(struct perf_options *options, const char *name, char *text)
{
    return endpoint_parse(name, text, &options->connect);
}

static bool bind_take(struct perf_options *options, const char *name, char *text)
{
    return endpoint_parse(name, text, &options->bind);
}

static bool type_take(struct perf_options *options, const char *name, char *text)
{
    static const struct word words[] = {{"dealer", 0}, {"req", 1}};
    int value = 0;
    bool ok = word_parse(name, text, words, 2, &value);
    options->socket_type = words[value].text;
    return ok;
}

static bool idle_take(struct perf_options *options, const char *name, char *text)
{
    static const struct word words[] = {{"spin", PERF_IDLE_SPIN}, {"block", PERF_IDLE_BLOCK}};
    int value = 0;
    bool ok = word_parse(name, text, words, 2, &value);
    options->idle = (enum perf_idle)value;
    return ok;
}

static bool size_take(struct perf_options *options, const char *name, char *text)
{
    uint64_t value = 0;
    bool ok = number_parse(name, text, 1, PERF_SIZE_MAX, &value);
    options->size = (size_t)value;
    return ok;
}

static bool count_take(struct perf_options *options, const char *name, char *text)
{
    return number_parse(name, text, 1, COUNT_MAX, &options->count);
}

static bool conns_take(struct perf_options *options, const char *name, char *text)
{
    return number32_parse(name, text, 1, CONNS_MAX, &options->conns);
}

static bool subs_take(struct perf_options *options, const char *name, char *text)
{
    return number32_parse(name, text, 1, CONNS_MAX, &options->subs);
}

static bool rate_take(struct perf_options *options, const char *name, char *text)
{
    return real_parse(name, text, 0.1, RATE_MAX, &options->rate);
}

static bool pace_take(struct perf_options *options, const char *name, char *text)
{
    static const struct word words[] = {{"fixed", PERF_PACE_FIXED},
                                        {"poisson", PERF_PACE_POISSON},
                                        {"burst", PERF_PACE_BURST},
                                        {"trace", PERF_PACE_TRACE}};
    int value = 0;
    bool ok = word_parse(name, text, words, 4, &value);
    options->pace = (enum perf_pace)value;
    return ok;
}

static bool burst_take(struct perf_options *options, const char *name, char *text)
{
    return number_parse(name, text, 1, BURST_MAX, &options->burst);
}

static bool trace_take(struct perf_options *options, const char *name, char *text)
{
    (void)name;
    options->trace_file = text;
    return true;
}

static bool load_take(struct perf_options *options, const char *name, char *text)
{
    return real_parse(name, text, 1e-6, 1, &options->load);
}

static bool idle_conns_add(struct perf_options *options, const char *name, const char *text)
{
    uint64_t value = 0;
    return number_parse(name, text, 0, CONNS_MAX, &value) &&
           list_add(&options->idle_conns, name, (double)value);
}

static bool idle_conns_take(struct perf_options *options, const char *name, char *text)
{
    options->idle_conns.cnt = 0;
    return list_each(options, name, text, idle_conns_add);
}

static bool gap_add(struct perf_options *options, const char *name, const char *text)
{
    double ns = 0;
    return span_parse(name, text, &ns) && list_add(&options->gaps_ns, name, ns);
}

static bool gaps_take(struct perf_options *options, const char *name, char *text)
{
    options->gaps_ns.cnt = 0;
    return list_each(options, name, text, gap_add);
}

static bool share_add(struct perf_options *options, const char *name, const char *text)
{
    double percent = 0;
    return real_parse(name, text, 0.1, 200, &percent) &&
           list_add(&options->shares, name, percent / 100);
}

static bool shares_take(struct perf_options *options, const char *name, char *text)
{
    options->shares.cnt = 0;
    return list_each(options, name, text, share_add);
}

static bool via_take(struct perf_options *options, const char *name, char *text)
{
    static const struct word words[] = {{"post", PERF_VIA_POST}, {"inproc", PERF_VIA_INPROC}};
    int value = 0;
    bool ok = word_parse(name, text, words, 2, &value);
    options->via = 1u << value;
    return ok;
}

static bool seconds_take(struct perf_options *options, const char *name, char *text)
{
    return real_parse(name, text, SECONDS_MIN, SECONDS_MAX, &options->seconds);
}

static bool warmup_take(struct perf_options *options, const char *name, char *text)
{
    return real_parse(name, text, 0, SECONDS_MAX, &options->warmup_s);
}

static bool runs_take(struct perf_options *options, const char *name, char *text)
{
    return number32_parse(name, text, 1, RUNS_MAX, &options->runs);
}

static bool seed_take(struct perf_options *options, const char *name, char *text)
{
    return number_parse(name, text, 1, UINT64_MAX, &options->seed);
}

static bool delay_take(struct perf_options *options, const char *name, char *text)
{
    return number_parse(name, text, 0, DELAY_NS, &options->delay_ns);
}

static bool stall_take(struct perf_options *options, const char *name, char *text)
{
    return number_parse(name, text, 1, STALL_MS, &options->stall_ms);
}

static bool stall_every_take(struct perf_options *options, const char *name, char *text)
{
    return number_parse(name, text, 1, STALL_MS, &options->stall_every_ms);
}

static bool out_take(struct perf_options *options, const char *name, char *text)
{
    options->out = text;
    return *text != '\0' || perf_option_bad("--%s wants the name of a file or folder", name);
}

static bool percent_take(struct perf_options *options, const char *name, char *text)
{
    return real_parse(name, text, 0, 1000, &options->percent);
}

static bool quick_take(struct perf_options *options, const char *name, char *text)
{
    (void)name, (void)text;
    options->quick = true;
    return true;
}

static bool no_trace_take(struct perf_options *options, const char *name, char *text)
{
    (void)name, (void)text;
    options->no_trace = true;
    return true;
}

static bool quiet_take(struct perf_options *options, const char *name, char *text)
{
    (void)name, (void)text;
    options->quiet = true;
    return true;
}

static bool json_take(struct perf_options *options, const char *name, char *text)
{
    (void)name, (void)text;
    options->json = true;
    return true;
}

/* The library's own options, for the mcq peer. */
static bool library_take(struct perf_options *options, const char *name, char *text)
{
    char option[32];
    (void)options;
    snprintf(option, sizeof option, "--%s", name);
    perf_peer_mcq_option(option, text);
    return true;
}

/* --- the table ---------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    take_fn *take;
    bool flag; /* has no value */
} table[PERF_OPT_CNT] = {
    [PERF_OPT_PEER] = {"peer", peer_take, false},
    [PERF_OPT_PEERS] = {"peers", peers_take, false},
    [PERF_OPT_TRANSPORT] = {"transport", transport_take, false},
    [PERF_OPT_CONNECT] = {"connect", connect_take, false},
    [PERF_OPT_BIND] = {"bind", bind_take, false},
    [PERF_OPT_TYPE] = {"type", type_take, false},
    [PERF_OPT_IDLE] = {"idle", idle_take, false},
    [PERF_OPT_SIZE] = {"size", size_take, false},
    [PERF_OPT_COUNT] = {"count", count_take, false},
    [PERF_OPT_CONNS] = {"conns", conns_take, false},
    [PERF_OPT_SUBS] = {"subs", subs_take, false},
    [PERF_OPT_RATE] = {"rate", rate_take, false},
    [PERF_OPT_PACE] = {"pace", pace_take, false},
    [PERF_OPT_BURST] = {"burst", burst_take, false},
    [PERF_OPT_TRACE] = {"trace", trace_take, false},
    [PERF_OPT_LOAD] = {"load", load_take, false},
    [PERF_OPT_IDLE_CONNS] = {"idle-conns", idle_conns_take, false},
    [PERF_OPT_GAPS] = {"gaps", gaps_take, false},
    [PERF_OPT_SHARES] = {"shares", shares_take, false},
    [PERF_OPT_VIA] = {"via", via_take, false},
    [PERF_OPT_SECONDS] = {"seconds", seconds_take, false},
    [PERF_OPT_WARMUP] = {"warmup", warmup_take, false},
    [PERF_OPT_RUNS] = {"runs", runs_take, false},
    [PERF_OPT_SEED] = {"seed", seed_take, false},
    [PERF_OPT_DELAY] = {"delay-ns", delay_take, false},
    [PERF_OPT_STALL] = {"stall-ms", stall_take, false},
    [PERF_OPT_STALL_EVERY] = {"stall-every-ms", stall_every_take, false},
    [PERF_OPT_OUT] = {"out", out_take, false},
    [PERF_OPT_PERCENT] = {"percent", percent_take, false},
    [PERF_OPT_QUICK] = {"quick", quick_take, true},
    [PERF_OPT_NO_TRACE] = {"no-trace", no_trace_take, true},
    [PERF_OPT_QUIET] = {"quiet", quiet_take, true},
    [PERF_OPT_JSON] = {"json", json_take, true},
    [PERF_OPT_ARENA] = {"arena", library_take, false},
    [PERF_OPT_LARGE_BYTES] = {"large-bytes", library_take, false},
    [PERF_OPT_URING_FEATURES] = {"uring-features", library_take, false},
    [PERF_OPT_LOG] = {"log", library_take, false},
};

const char *perf_option_name(enum perf_option opt)
{
    return table[opt].name;
}

bool perf_option_has_value(enum perf_option opt)
{
    return !table[opt].flag;
}

bool perf_option_take(struct perf_options *options, enum perf_option opt, char *text)
{
    return table[opt].take(options, table[opt].name, text);
}
