#include "shards/options.h"

#include <stdlib.h>
#include <string.h>

#include "mem/detail.h"
#include "mem/slice.h"

#define KIB              1024u
#define MIB              (1024u * KIB)
#define STRUCT_SIZE_MAX  4096u /* an option struct larger than this was never initialised */
#define ARENA_BYTES      (128ull * MIB)
#define LARGE_BYTES      (128ull * MIB)
#define MEMORY_BYTES_MAX (1024ull * 1024 * MIB)
#define IDLE_SPIN_NS     50000u
#define CPU_DIGITS       "0123456789"

enum mcq_error mcq_opts_sized_copy(const char *name, void *out, size_t cap, const void *opts,
                                   size_t size, struct mcq_detail *detail)
{
    if (size < sizeof(size_t) || size > STRUCT_SIZE_MAX)
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "%s: its size is %zu: start from its _INIT macro", name, size);
    const uint8_t *bytes = opts;
    for (size_t i = cap; i < size; i++) {
        if (bytes[i] != 0)
            return mcq_detail_set(detail, MCQ_EINVAL, 0,
                                  "%s: an option is set that version %d.%d.%d of the library "
                                  "doesn't know: install the version the program was built for",
                                  name, MCQ_VERSION_MAJOR, MCQ_VERSION_MINOR, MCQ_VERSION_PATCH);
    }
    mcq_bytes_copy(out, opts, mcq_min(size, cap));
    mcq_bytes_copy(out, &cap, sizeof(cap));
    return MCQ_OK;
}

/* --- CPUs --------------------------------------------------------------------------------- */

/* A number at *at, which moves past it; above the greatest CPU it stays MCQ_CPUS_MAX. */
static bool cpu_read(const char **at, uint32_t *cpu)
{
    size_t len = strspn(*at, CPU_DIGITS);
    *cpu = 0;
    for (size_t i = 0; i < len; i++) {
        *cpu = *cpu * 10 + (uint32_t)((*at)[i] - '0');
        if (*cpu > MCQ_CPUS_MAX)
            *cpu = MCQ_CPUS_MAX;
    }
    *at += len;
    return len != 0;
}

static bool range_read(const char **at, uint32_t *first, uint32_t *last)
{
    if (!cpu_read(at, first))
        return false;
    *last = *first;
    if (**at == '-') {
        (*at)++;
        if (!cpu_read(at, last))
            return false;
    }
    return *first <= *last && (**at == '\0' || (**at == ',' && (*at)[1] != '\0'));
}

static enum mcq_error cpus_read(const char *text, uint32_t cpus[MCQ_CPUS_MAX], uint32_t *cnt,
                                struct mcq_detail *detail)
{
    bool seen[MCQ_CPUS_MAX] = {false};
    uint32_t first, last;
    for (const char *at = text; *at != '\0'; at += *at == ',') {
        if (!range_read(&at, &first, &last))
            return mcq_detail_set(detail, MCQ_EINVAL, 0,
                                  "'%.64s' is not a list of CPUs: write 2, 0,2-5, or none", text);
        if (last >= MCQ_CPUS_MAX)
            return mcq_detail_set(detail, MCQ_EINVAL, 0, "'%.64s': CPUs go up to %u", text,
                                  MCQ_CPUS_MAX - 1);
        for (uint32_t cpu = first; cpu <= last; cpu++) {
            if (seen[cpu])
                return mcq_detail_set(detail, MCQ_EINVAL, 0, "'%.64s' names CPU %u twice", text,
                                      cpu);
            seen[cpu] = true;
            cpus[(*cnt)++] = cpu;
        }
    }
    return MCQ_OK;
}

enum mcq_error mcq_cpus_parse(const char *text, uint32_t cpus[MCQ_CPUS_MAX], uint32_t *cnt,
                              struct mcq_detail *detail)
{
    *cnt = 0;
    if (strcmp(text, "none") == 0)
        return MCQ_OK;
    if (text[0] == '\0')
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "'' is not a list of CPUs: write 2, 0,2-5, or none");
    enum mcq_error err = cpus_read(text, cpus, cnt, detail);
    if (err != MCQ_OK)
        *cnt = 0;
    return err;
}

bool mcq_ring_mode_find(const char *name, enum mcq_ring_mode *mode)
{
    static const char *const names[] = {"auto", "defer", "sqpoll"};
    static const enum mcq_ring_mode modes[] = {MCQ_RING_AUTO, MCQ_RING_DEFER, MCQ_RING_SQPOLL};
    for (size_t i = 0; i < MCQ_CNT_OF(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *mode = modes[i];
            return true;
        }
    return false;
}

/* --- The app's options --------------------------------------------------------------------- */

static enum mcq_error memory_check(const char *name, uint64_t *bytes, uint64_t dflt, uint32_t least,
                                   struct mcq_detail *detail)
{
    if (*bytes == 0)
        *bytes = dflt;
    if (*bytes < least || *bytes > MEMORY_BYTES_MAX)
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "%s: %llu bytes are outside of %u KiB to 1 TiB (on the command line "
                              "128M is 128 MiB)",
                              name, (unsigned long long)*bytes, least >> 10);
    return MCQ_OK;
}

/* The default of a list stays NULL: the plan knows what this process may use. */
static enum mcq_error cpus_check(const char *name, const char *list, struct mcq_detail *detail)
{
    uint32_t cpus[MCQ_CPUS_MAX], cnt = 0;
    struct mcq_detail why = {.text = ""};
    if (list == NULL || mcq_cpus_parse(list, cpus, &cnt, &why) == MCQ_OK)
        return MCQ_OK;
    return mcq_detail_set(detail, MCQ_EINVAL, 0, "%s: %s", name, why.text);
}

bool mcq_nic_legal(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strlen(name) <= MCQ_NIC_LEN_MAX &&
           strpbrk(name, "/ \t\n") == NULL;
}

static enum mcq_error places_check(struct mcq_opts *o, struct mcq_detail *detail)
{
    if (o->smt > MCQ_SMT_USE)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "smt: %u is no enum mcq_smt",
                              (unsigned)o->smt);
    if (o->numa > MCQ_NUMA_OFF)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "numa: %u is no enum mcq_numa",
                              (unsigned)o->numa);
    if (o->nic != NULL && !mcq_nic_legal(o->nic))
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "nic: '%.64s' is no name of a network interface: see `ip link`",
                              o->nic);
    if (o->sqpoll_share == 0)
        o->sqpoll_share = 1;
    if (o->sqpoll_share > MCQ_SHARDS_MAX)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "sqpoll_share: %u is above %u",
                              o->sqpoll_share, MCQ_SHARDS_MAX);
    enum mcq_error err = cpus_check("cpus", o->cpus, detail);
    return err != MCQ_OK ? err : cpus_check("sqpoll_cpus", o->sqpoll_cpus, detail);
}

static enum mcq_error modes_check(struct mcq_opts *o, struct mcq_detail *detail)
{
    if (o->idle > MCQ_IDLE_BLOCK)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "idle: %u is no enum mcq_idle",
                              (unsigned)o->idle);
    if (o->ring > MCQ_RING_SQPOLL)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "ring: %u is no enum mcq_ring_mode",
                              (unsigned)o->ring);
    if (o->log_level > MCQ_LOG_DEBUG)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "log_level: %u is no enum mcq_log_level",
                              (unsigned)o->log_level);
    if (o->idle == MCQ_IDLE_DEFAULT)
        o->idle = MCQ_IDLE_SPIN_BLOCK;
    if (o->idle_spin_ns == 0)
        o->idle_spin_ns = IDLE_SPIN_NS;
    if (o->idle_spin_ns > MCQ_IDLE_SPIN_NS_MAX)
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "idle_spin_ns: %llu is more than 10 s: use idle spin to never sleep",
                              (unsigned long long)o->idle_spin_ns);
    return MCQ_OK;
}

static enum mcq_error ring_check(struct mcq_opts *o, struct mcq_detail *detail)
{
    const char *env = getenv("MCQ_RING");
    if (o->ring == MCQ_RING_AUTO && env != NULL && env[0] != '\0' &&
        !mcq_ring_mode_find(env, &o->ring))
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "environment MCQ_RING: '%.32s' is not one of auto, defer, sqpoll",
                              env);
    if (o->sqpoll_idle_ms > MCQ_SQPOLL_IDLE_MS_MAX)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "sqpoll_idle_ms: %u is above %u",
                              o->sqpoll_idle_ms, MCQ_SQPOLL_IDLE_MS_MAX);
    if (o->napi_busy_us > MCQ_NAPI_BUSY_US_MAX)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "napi_busy_us: %u is above %u",
                              o->napi_busy_us, MCQ_NAPI_BUSY_US_MAX);
    if (o->napi_prefer && o->napi_busy_us == 0)
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "napi_prefer: nothing is polled while napi_busy_us is 0");
    return MCQ_OK;
}

static enum mcq_error counts_check(struct mcq_opts *o, struct mcq_detail *detail)
{
    if (o->shards == 0)
        o->shards = 1;
    if (o->shards > MCQ_SHARDS_MAX)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "shards: %u is above %u", o->shards,
                              MCQ_SHARDS_MAX);
    if (o->connections_max > MCQ_CONNECTIONS_MAX)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "connections_max: %u is above %u",
                              o->connections_max, MCQ_CONNECTIONS_MAX);
    return MCQ_OK;
}

enum mcq_error mcq_opts_effective(const struct mcq_opts *opts, struct mcq_opts *out,
                                  struct mcq_detail *detail)
{
    const struct mcq_opts none = MCQ_OPTS_INIT;
    if (opts == NULL)
        opts = &none;
    *out = (struct mcq_opts){0};
    enum mcq_error err =
        mcq_opts_sized_copy("struct mcq_opts", out, sizeof(*out), opts, opts->size, detail);
    if (err == MCQ_OK)
        err = counts_check(out, detail);
    if (err == MCQ_OK)
        err = places_check(out, detail);
    if (err == MCQ_OK)
        err = modes_check(out, detail);
    if (err == MCQ_OK)
        err = ring_check(out, detail);
    if (err == MCQ_OK)
        err = memory_check("arena_bytes", &out->arena_bytes, ARENA_BYTES, MCQ_ARENA_BYTES_MIN,
                           detail);
    if (err == MCQ_OK)
        err = memory_check("large_bytes", &out->large_bytes, LARGE_BYTES, MCQ_LARGE_BYTES_MIN,
                           detail);
    if (out->uring_features == NULL)
        out->uring_features = getenv("MCQ_URING_FEATURES");
    if (out->uring_features != NULL && out->uring_features[0] == '\0')
        out->uring_features = NULL;
    return err;
}
