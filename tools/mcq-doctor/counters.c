/* Numbers from many files: time of the soft interrupt threads, throttling by heat, SMIs. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exam.h"
#include "words.h"

#define MSR_SMI_COUNT 0x34

struct threads {
    const struct exam *e;
    const char *later; /* "/later" or "" */
    uint32_t found;
    int64_t ticks;
};

/* The time in user and kernel mode, fields 14 and 15; the name in parentheses may hold anything. */
static bool stat_ticks(const char *text, int64_t *ticks)
{
    int64_t values[15];
    const char *at = strrchr(text, ')');
    if (at == NULL || at[1] != ' ' || at[2] == '\0' || at[3] != ' ' ||
        doctor_words_numbers(at + 4, values, 12) < 12)
        return false;
    *ticks = values[10] + values[11];
    return true;
}

static bool thread_time(void *ctx, const char *name)
{
    struct threads *s = ctx;
    struct text t;
    uint32_t cpu;
    int64_t ticks;
    char rest = '\0';
    if (strspn(name, "0123456789") != strlen(name) ||
        !doctor_source_read(&s->e->source, &t, "/proc/%s/comm", name))
        return true;
    bool ours = sscanf(t.at, "ksoftirqd/%5" SCNu32 "%c", &cpu, &rest) >= 1 &&
                (rest == '\n' || rest == '\0') && doctor_set_has(&s->e->shards_on, cpu);
    doctor_text_drop(&t);
    if (!ours)
        return true;
    bool read = doctor_source_read(&s->e->source, &t, "%s/proc/%s/stat", s->later, name) ||
                doctor_source_read(&s->e->source, &t, "/proc/%s/stat", name);
    if (read && stat_ticks(t.at, &ticks)) {
        s->ticks += ticks;
        s->found++;
    }
    doctor_text_drop(&t);
    return true;
}

static bool ksoftirqd(const struct exam *e, const char *later, int64_t *value, char *path,
                      char *why)
{
    struct threads s = {.e = e, .later = later};
    snprintf(path, SOURCE_PATH_LEN, "/proc/*/stat of ksoftirqd");
    int err = doctor_source_names(&e->source, "/proc", thread_time, &s);
    if (err != 0)
        snprintf(why, SOURCE_WHY_LEN, "/proc: %s", strerror(err));
    else if (s.found < doctor_set_cnt(&e->shards_on) || s.found == 0)
        snprintf(why, SOURCE_WHY_LEN,
                 "/proc shows %" PRIu32 " of the ksoftirqd threads of %" PRIu32 " shard CPUs",
                 s.found, doctor_set_cnt(&e->shards_on));
    *value = s.ticks;
    return err == 0 && s.found > 0 && s.found >= doctor_set_cnt(&e->shards_on);
}

static bool thermal_of(const struct exam *e, const char *later, uint32_t cpu, const char *which,
                       int64_t *sum, char *path, char *why)
{
    struct text t;
    int64_t value = 0;
    char at[SOURCE_PATH_LEN];
    snprintf(at, sizeof at,
             "/sys/devices/system/cpu/cpu%" PRIu32 "/thermal_throttle/%s_throttle_count", cpu,
             which);
    bool read = later[0] != '\0' && doctor_source_read(&e->source, &t, "%s%s", later, at);
    if (!read && !doctor_source_read(&e->source, &t, "%s", at)) {
        snprintf(why, SOURCE_WHY_LEN, "%s", t.why);
        return false;
    }
    bool formed = doctor_words_number(t.at, &value);
    if (!formed)
        snprintf(why, SOURCE_WHY_LEN, "%.120s: no number", at);
    if (path[0] == '\0')
        snprintf(path, SOURCE_PATH_LEN, "%s", at);
    *sum += value;
    doctor_text_drop(&t);
    return formed;
}

static bool thermal(const struct exam *e, const char *later, int64_t *value, char *path, char *why)
{
    bool known = doctor_set_cnt(&e->shards_on) != 0;
    if (!known)
        snprintf(why, SOURCE_WHY_LEN, "which CPUs the shards run on isn't known: give --cpus");
    for (uint32_t cpu = doctor_set_next(&e->shards_on, 0); known && cpu < SET_CPUS_MAX;
         cpu = doctor_set_next(&e->shards_on, cpu + 1))
        known = thermal_of(e, later, cpu, "core", value, path, why) &&
                thermal_of(e, later, cpu, "package", value, path, why);
    return known;
}

/* One for the whole package: an SMI stops all its CPUs. */
static bool smi(const struct exam *e, const char *later, int64_t *value, char *path, char *why)
{
    unsigned char bytes[8] = {0};
    char at[32], moved[48];
    uint32_t cpu = doctor_set_next(&e->shards_on, 0);
    snprintf(at, sizeof at, "/dev/cpu/%" PRIu32 "/msr", cpu < SET_CPUS_MAX ? cpu : 0);
    snprintf(moved, sizeof moved, "%s%s", later, at);
    snprintf(path, SOURCE_PATH_LEN, "%s, register 0x34", at);
    int err =
        later[0] == '\0' ? ENOENT : doctor_source_bytes(&e->source, moved, MSR_SMI_COUNT, bytes, 8);
    if (err != 0)
        err = doctor_source_bytes(&e->source, at, MSR_SMI_COUNT, bytes, 8);
    if (err != 0)
        snprintf(why, SOURCE_WHY_LEN, "%s: %s%s", at, strerror(err),
                 err == ENOENT ? " (modprobe msr makes it)" : "");
    for (int i = 3; i >= 0; i--) /* the count is the low half */
        *value = *value << 8 | bytes[i];
    return err == 0;
}

bool doctor_exam_count(const struct exam *e, enum counter_kind kind, bool later, int64_t *value,
                       char path[SOURCE_PATH_LEN], char why[SOURCE_WHY_LEN])
{
    const char *folder = later && !doctor_source_is_host(&e->source) ? "/later" : "";
    *value = 0;
    switch (kind) {
    case COUNTER_KSOFTIRQD:
        return ksoftirqd(e, folder, value, path, why);
    case COUNTER_THERMAL:
        return thermal(e, folder, value, path, why);
    case COUNTER_SMI:
        return smi(e, folder, value, path, why);
    case COUNTER_CNT:
        break;
    }
    return false;
}
