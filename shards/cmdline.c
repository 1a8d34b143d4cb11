#include <monocoque/app.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem/detail.h"
#include "mem/slice.h"
#include "shards/options.h"

/* The command line every program has. Each option has a setter; what it says about a bad value goes
 * behind "PROGRAM: --option: ". */

#define EXIT_USAGE 2
#define DIGITS     "0123456789"

static const char usage[] =
    "Monocoque options:\n"
    "  --shards N             threads, each with its own ring, memory and\n"
    "                         connections [1]\n"
    "  --cpus LIST            CPUs to pin shards to, in order: 2 or 0,2-5; none pins\n"
    "                         nothing [a core each, see mcq-topo]\n"
    "  --smt MODE             leave: one shard per core; use: once every core has\n"
    "                         one, siblings are taken, too [leave]\n"
    "  --nic NAME             network interface: cores of its NUMA node come first;\n"
    "                         node:1 names the node itself\n"
    "  --numa MODE            prefer: a shard's memory comes from its node as long as\n"
    "                         that has any; bind: from nowhere else; off: from where\n"
    "                         the kernel likes [prefer]\n"
    "  --idle MODE            what a shard does when there is nothing to do:\n"
    "                           spin             never sleep: lowest latency, but a\n"
    "                                            core at 100 %\n"
    "                           block            sleep at once: no CPU time, but a\n"
    "                                            wake-up per event\n"
    "                           spin-block[:US]  spin US microseconds after the last\n"
    "                                            event, then sleep\n"
    "                         [spin-block:50]\n"
    "  --ring MODE            how io_uring is driven: defer by the shard itself;\n"
    "                         sqpoll by a thread of the kernel on a CPU of its own;\n"
    "                         auto by that if --idle is spin, a CPU is to spare and\n"
    "                         a trial says it is faster [environment MCQ_RING, else\n"
    "                         auto]\n"
    "  --sqpoll-cpus LIST     where the kernel threads of sqpoll rings are pinned,\n"
    "                         each for the shards nearest to it; none: there are none\n"
    "                         [cores to spare]\n"
    "  --sqpoll-share N       shards that share such a thread, if --sqpoll-cpus\n"
    "                         doesn't say [1]\n"
    "  --sqpoll-idle MS       milliseconds without work until such a thread sleeps\n"
    "                         [10 on a CPU to spare, else 1]\n"
    "  --napi US[:prefer]     ask the network interfaces' receive queues for up to US\n"
    "                         microseconds before sleeping; prefer: with their\n"
    "                         interrupts off meanwhile, see napi_defer_hard_irqs\n"
    "                         [don't]\n"
    "  --arena SIZE           memory of a shard for sockets, connections and buffers\n"
    "                         [128M]\n"
    "  --large-bytes SIZE     memory of a shard for messages from 256 KiB up [128M]\n"
    "  --connections N        connections of a shard, 1 to 16384 [as many as the\n"
    "                         arena has room for]\n"
    "  --uring-features MASK  io_uring features to do without: -inc -mshot-limit\n"
    "                         -mshot-accept -ring-fd -hot, with commas between; or\n"
    "                         6.1 for what that kernel has. Known, but not used by\n"
    "                         this version: -min-wait -msgring -send-zc [environment\n"
    "                         MCQ_URING_FEATURES, else all are used]\n"
    "  --log LEVEL            the most to tell on stderr: error, warn, info, debug\n"
    "                         [warn]\n"
    "  --help                 show this and exit\n"
    "SIZE is in bytes, or ends in K, M or G (KiB, MiB, GiB). --option VALUE and\n"
    "--option=VALUE are the same. Nothing behind -- is an option.\n";

const char *mcq_opts_usage(void)
{
    return usage;
}

/* --- Values -------------------------------------------------------------------------------- */

typedef bool setter_fn(struct mcq_opts *o, const char *value, struct mcq_detail *why);

static bool bad(struct mcq_detail *why, const char *value, const char *wanted)
{
    (void)mcq_detail_set(why, MCQ_EINVAL, 0, "'%.48s' is not %s", value, wanted);
    return false;
}

/* Digits, all of [text, text + len), at most max; len may be 0, which is no number. */
static bool number_read(const char *text, size_t len, uint64_t max, uint64_t *value)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (text[i] < '0' || text[i] > '9' || sum > (max - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return len != 0;
}

static bool size_read(const char *text, uint64_t *bytes)
{
    static const char suffixes[] = "KMG";
    size_t len = strspn(text, DIGITS);
    unsigned shift = 0;
    if (text[len] != '\0') {
        const char *suffix = strchr(suffixes, text[len] & ~0x20); /* k and K alike */
        if (suffix == NULL || *suffix == '\0' || text[len + 1] != '\0')
            return false;
        shift = 10 * (unsigned)(suffix - suffixes + 1);
    }
    if (!number_read(text, len, UINT64_MAX >> shift, bytes))
        return false;
    *bytes <<= shift;
    return *bytes != 0;
}

/* The index of value in names, or cnt. */
static size_t name_find(const char *const *names, size_t cnt, const char *value)
{
    size_t i = 0;
    while (i < cnt && strcmp(names[i], value) != 0)
        i++;
    return i;
}

/* --- Setters ------------------------------------------------------------------------------- */

static bool set_shards(struct mcq_opts *o, const char *value, struct mcq_detail *why)
{
    uint64_t n;
    if (!number_read(value, strlen(value), MCQ_SHARDS_MAX, &n) || n == 0)
        return bad(why, value, "a whole number from 1 to 128");
    o->shards = (uint32_t)n;
    return true;
}

static bool set_cpus(struct mcq_opts *o, const char *value, struct mcq_detail *why)
{
    uint32_t cpus[MCQ_CPUS_MAX], cnt;
    o->cpus = value;
    return mcq_cpus_parse(value, cpus, &cnt, why) == MCQ_OK;
}

static bool set_smt(struct mcq_opts *o, const char *value, struct mcq_detail *why)
{
    static const char *const names[] = {"leave", "use"};
    size_t i = name_find(names, MCQ_CNT_OF(names), value);
    if (i == MCQ_CNT_OF(names))
        return bad(why, value, "one of leave, use");
    o->smt = i == 0 ? MCQ_SMT_LEAVE : MCQ_SMT_USE;
    return true;
}

static bool set_nic(struct mcq_opts *o, const char *value, struct mcq_detail *why)
{
    o->nic = value; /* the plan knows the interfaces */
    return mcq_nic_legal(value) || bad(why, value, "the name of a network interface");
}

static bool set_numa(struct mcq_opts *o, const char *value, struct mcq_detail *why)
{
    static const char *const names[] = {"prefer", "bind", "off"};
    static const enum mcq_numa modes[] = {MCQ_NUMA_PREFER, MCQ_NUMA_BIND, MCQ_NUMA_OFF};
    size_t i = name_find(names, MCQ_CNT_OF(names), value);
    if (i == MCQ_CNT_OF(names))
        return bad(why, value, "one of prefer, bind, off");
    o->numa = modes[i];
    return true;
}

static bool set_sqpoll_cpus(struct mcq_opts *o, const char *value, struct mcq_detail *why)
{
    uint32_t cpus[MCQ_CPUS_MAX], cnt;
    o->sqpoll_cpus = value;
    return mcq_cpus_parse(value, cpus, &cnt, why) == MCQ_OK;
}

static bool set_sqpoll_share(struct mcq_opts *o, const char *value, struct mcq_detail *why)
{
    uint64_t n;
    if (!number_read(value, strlen(value), MCQ_SHARDS_MAX, &n) || n == 0)
        return bad(why, value, "a whole number from 1 to 128");
    o->sqpoll_share = (uint32_t)n;
    return true;
}

static bool set_idle(struct mcq_opts *o, const char *value, struct mcq_detail *why)
{
    static const char *const names[] = {"spin", "spin-block", "block"};
    static const enum mcq_idle idles[] = {MCQ_IDLE_SPIN, MCQ_IDLE_SPIN_BLOCK, MCQ_IDLE_BLOCK};
    static const char timed[] = "spin-block:";
    size_t timed_len = sizeof(timed) - 1;
    if (strncmp(value, timed, timed_len) == 0) {
        const char *us = value + timed_len;
        uint64_t n;
        if (!number_read(us, strlen(us), MCQ_IDLE_SPIN_NS_MAX / 1000, &n) || n == 0)
            return bad(why, value, "spin-block:US with US from 1 to 10000000 microseconds");
        o->idle = MCQ_IDLE_SPIN_BLOCK;
        o->idle_spin_ns = n * 1000;
        return true;
    }
    size_t i = name_find(names, MCQ_CNT_OF(names), value);
    if (i == MCQ_CNT_OF(names))
        return bad(why, value, "one of spin, block, spin-block[:US]");
    o->idle = idles[i];
    o->idle_spin_ns = 0;
    return true;
}

static bool set_ring(struct mcq_opts *o, const char *value, struct mcq_detail *why)
{
    return mcq_ring_mode_find(value, &o->ring) || bad(why, value, "one of auto, defer, sqpoll");
}

static bool set_sqpoll_idle(struct mcq_opts *o, const char *value, struct mcq_detail *why)
{
    uint64_t n;
    if (!number_read(value, strlen(value), MCQ_SQPOLL_IDLE_MS_MAX, &n) || n == 0)
        return bad(why, value, "a whole number of milliseconds from 1 to 60000");
    o->sqpoll_idle_ms = (uint32_t)n;
    return true;
}

static bool set_napi(struct mcq_opts *o, const char *value, struct mcq_detail *why)
{
    size_t len = strcspn(value, ":");
    uint64_t n;
    if (!number_read(value, len, MCQ_NAPI_BUSY_US_MAX, &n) || n == 0 ||
        (value[len] != '\0' && strcmp(value + len, ":prefer") != 0))
        return bad(why, value, "US or US:prefer with US from 1 to 1000000 microseconds");
    o->napi_busy_us = (uint32_t)n;
    o->napi_prefer = value[len] != '\0';
    return true;
}

static bool set_arena(struct mcq_opts *o, const char *value, struct mcq_detail *why)
{
    return size_read(value, &o->arena_bytes) || bad(why, value, "a size such as 256M or 1G");
}

static bool set_large_bytes(struct mcq_opts *o, const char *value, struct mcq_detail *why)
{
    return size_read(value, &o->large_bytes) || bad(why, value, "a size such as 256M or 1G");
}

static bool set_connections(struct mcq_opts *o, const char *value, struct mcq_detail *why)
{
    uint64_t n;
    if (!number_read(value, strlen(value), MCQ_CONNECTIONS_MAX, &n) || n == 0)
        return bad(why, value, "a whole number from 1 to 16384");
    o->connections_max = (uint32_t)n;
    return true;
}

/* The ring knows the features and checks their names. */
static bool set_uring_features(struct mcq_opts *o, const char *value, struct mcq_detail *why)
{
    (void)why;
    o->uring_features = value;
    return true;
}

static bool set_log(struct mcq_opts *o, const char *value, struct mcq_detail *why)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    static const enum mcq_log_level levels[] = {MCQ_LOG_ERROR, MCQ_LOG_WARN, MCQ_LOG_INFO,
                                                MCQ_LOG_DEBUG};
    size_t i = name_find(names, MCQ_CNT_OF(names), value);
    if (i == MCQ_CNT_OF(names))
        return bad(why, value, "one of error, warn, info, debug");
    o->log_level = levels[i];
    return true;
}

/* --- argv ---------------------------------------------------------------------------------- */

static const struct option {
    const char *name;
    setter_fn *set; /* NULL: help, which has no value */
} options[] = {
    {"shards", set_shards},
    {"cpus", set_cpus},
    {"smt", set_smt},
    {"nic", set_nic},
    {"numa", set_numa},
    {"idle", set_idle},
    {"ring", set_ring},
    {"sqpoll-cpus", set_sqpoll_cpus},
    {"sqpoll-share", set_sqpoll_share},
    {"sqpoll-idle", set_sqpoll_idle},
    {"napi", set_napi},
    {"arena", set_arena},
    {"large-bytes", set_large_bytes},
    {"connections", set_connections},
    {"uring-features", set_uring_features},
    {"log", set_log},
    {"help", NULL},
};

/* The option that arg names; *value: what stands behind its '=', or NULL. */
static const struct option *option_find(const char *arg, const char **value)
{
    if (strncmp(arg, "--", 2) != 0)
        return NULL;
    size_t len = strcspn(arg + 2, "=");
    *value = arg[2 + len] == '=' ? arg + 2 + len + 1 : NULL;
    for (size_t i = 0; i < MCQ_CNT_OF(options); i++)
        if (strlen(options[i].name) == len && strncmp(options[i].name, arg + 2, len) == 0)
            return &options[i];
    return NULL;
}

_Noreturn static void usage_exit(const char *program, const char *name, const char *text)
{
    fprintf(stderr, "%s: --%s: %s\n", program, name, text);
    exit(EXIT_USAGE);
}

static const char *program_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* Takes the option at argv[*idx], moving *idx to its last word. */
static void option_take(const struct option *option, const char *value, struct mcq_opts *o,
                        char **argv, int *idx)
{
    const char *program = program_name(argv[0]);
    if (option->set == NULL) {
        if (value != NULL)
            usage_exit(program, option->name, "takes no value");
        fputs(usage, stdout);
        exit(EXIT_SUCCESS);
    }
    if (value == NULL) {
        /* Another option follows: the value was forgotten. A mask starts with one '-'. */
        value = argv[*idx + 1];
        if (value == NULL || strncmp(value, "--", 2) == 0)
            usage_exit(program, option->name, "needs a value, see --help");
        (*idx)++;
    }
    struct mcq_detail why = {.text = ""};
    if (!option->set(o, value, &why))
        usage_exit(program, option->name, why.text);
}

static void args_take(struct mcq_opts *o, int *argc, char **argv)
{
    int kept = 1, idx = 1;
    for (; idx < *argc && strcmp(argv[idx], "--") != 0; idx++) {
        const char *value = NULL;
        const struct option *option = option_find(argv[idx], &value);
        if (option != NULL)
            option_take(option, value, o, argv, &idx);
        else
            argv[kept++] = argv[idx];
    }
    while (idx < *argc)
        argv[kept++] = argv[idx++];
    argv[kept] = NULL;
    *argc = kept;
}

void mcq_opts_parse(struct mcq_opts *opts, int *argc, char **argv)
{
    /* The caller's struct may be of an older version, and shorter: no byte past its size is
     * touched. */
    struct mcq_opts o = MCQ_OPTS_INIT;
    size_t size = mcq_min(opts->size, sizeof(o));
    if (size < sizeof(size_t)) {
        fputs("mcq_opts_parse: struct mcq_opts was not set up: start from MCQ_OPTS_INIT\n", stderr);
        exit(EXIT_USAGE);
    }
    mcq_bytes_copy(&o, opts, size);
    if (o.log == NULL)
        o.log = mcq_log_stderr;
    if (o.log_level == MCQ_LOG_ERROR)
        o.log_level = MCQ_LOG_WARN;
    if (*argc > 0)
        args_take(&o, argc, argv);
    mcq_bytes_copy(opts, &o, size);
}
