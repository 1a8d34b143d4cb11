#include "perf/host/facts.h"
#include "perf/run/affinity.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPU_DIR   "/sys/devices/system/cpu"
#define LIST_MAX  256u
#define NAMES_MAX 64u

static void info_add(struct perf_environment *env)
{
    static const char *const keys[][2] = {{"model", "model name"},
                                          {"family", "cpu family"},
                                          {"model_number", "model"},
                                          {"stepping", "stepping"},
                                          {"microcode", "microcode"}};
    char text[PERF_FACT_MAX], flags[8192];
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        perf_fact_key("/proc/cpuinfo", keys[i][1], text, sizeof text);
        perf_environment_add(env, "cpu", keys[i][0], "%s", text);
    }
    if (perf_fact_key("/proc/cpuinfo", "flags", flags, sizeof flags)) {
        perf_environment_add(env, "clock", "tsc", "%s, %s",
                             strstr(flags, " constant_tsc") != NULL ? "constant" : "not constant",
                             strstr(flags, " nonstop_tsc") != NULL ? "nonstop" : "may stop");
    } else {
        perf_environment_add(env, "clock", "tsc", "%s", "");
    }
}

static bool cpu_file(int cpu, const char *file, char *text, size_t cap)
{
    char path[256];
    snprintf(path, sizeof path, CPU_DIR "/cpu%d/%s", cpu, file);
    return perf_fact_read(path, text, cap);
}

/* The same of both CPUs is said once. */
static void cpu_pair_add(struct perf_environment *env, const char *name, const char *file,
                         const struct perf_cpus *cpus)
{
    char server[LIST_MAX], client[LIST_MAX];
    cpu_file(cpus->server, file, server, sizeof server);
    cpu_file(cpus->client, file, client, sizeof client);
    if (strcmp(server, client) == 0) {
        perf_environment_add(env, "cpu", name, "%s", server);
    } else {
        perf_environment_add(env, "cpu", name, "%s and %s", server, client);
    }
}

/* "0-3,8" */
static void allowed_add(struct perf_environment *env)
{
    cpu_set_t set;
    char text[PERF_FACT_MAX] = "";
    size_t len = 0;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        perf_environment_add(env, "cpu", "allowed", "%s", "");
        return;
    }
    for (size_t cpu = 0; cpu < CPU_SETSIZE && len < sizeof text - 24; cpu++) {
        if (!CPU_ISSET(cpu, &set)) {
            continue;
        }
        size_t last = cpu;
        while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &set)) {
            last++;
        }
        const char *comma = len > 0 ? "," : "";
        len += (size_t)(last > cpu ? sprintf(text + len, "%s%zu-%zu", comma, cpu, last)
                                   : sprintf(text + len, "%s%zu", comma, cpu));
        cpu = last;
    }
    perf_environment_add(env, "cpu", "allowed", "%s", text);
}

static void used_add(struct perf_environment *env)
{
    struct perf_cpus cpus = {0};
    if (!perf_cpus_find(&cpus)) {
        perf_environment_add(env, "cpu", "used", "%s", "");
        return;
    }
    if (cpus.server == cpus.client) {
        perf_environment_add(env, "cpu", "used", "%d for both sides: not comparable", cpus.server);
    } else {
        perf_environment_add(env, "cpu", "used", "%d (server), %d (client)", cpus.server,
                             cpus.client);
    }
    cpu_pair_add(env, "governor", "cpufreq/scaling_governor", &cpus);
    cpu_pair_add(env, "frequency_driver", "cpufreq/scaling_driver", &cpus);
    cpu_pair_add(env, "frequency_max_khz", "cpufreq/scaling_max_freq", &cpus);
    cpu_pair_add(env, "siblings", "topology/thread_siblings_list", &cpus);
    cpu_pair_add(env, "core", "topology/core_id", &cpus);
    cpu_pair_add(env, "package", "topology/physical_package_id", &cpus);
    cpu_pair_add(env, "shared_cache_l3", "cache/index3/shared_cpu_list", &cpus);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* "meltdown: Not affected; ..." in the order of their names. */
static void mitigations_add(struct perf_environment *env)
{
    char names[NAMES_MAX][64], text[PERF_FACT_MAX] = "";
    size_t cnt = 0, len = 0;
    DIR *dir = opendir(CPU_DIR "/vulnerabilities");
    struct dirent *entry;
    while (dir != NULL && cnt < NAMES_MAX && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            snprintf(names[cnt++], sizeof names[0], "%.63s", entry->d_name);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    qsort(names, cnt, sizeof names[0], by_name);
    for (size_t i = 0; i < cnt && len < sizeof text - 1; i++) {
        char path[256], state[256];
        snprintf(path, sizeof path, CPU_DIR "/vulnerabilities/%s", names[i]);
        if (perf_fact_read(path, state, sizeof state) && strcmp(state, "Not affected") != 0) {
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%s: %s", len > 0 ? "; " : "",
                                    names[i], state);
        }
    }
    perf_environment_add(env, "cpu", "mitigations", "%s",
                         cnt > 0 && len == 0 ? "none needed" : text);
}

void perf_facts_cpu(struct perf_environment *env)
{
    static const char *const files[][2] = {{"online", CPU_DIR "/online"},
                                           {"isolated", CPU_DIR "/isolated"},
                                           {"nohz_full", CPU_DIR "/nohz_full"},
                                           {"smt", CPU_DIR "/smt/control"},
                                           {"numa_nodes", "/sys/devices/system/node/online"},
                                           {"idle_driver", CPU_DIR "/cpuidle/current_driver"}};
    info_add(env);
    allowed_add(env);
    used_add(env);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char text[PERF_FACT_MAX];
        FILE *there = fopen(files[i][1], "re");
        bool some = perf_fact_read(files[i][1], text, sizeof text);
        /* An empty list of CPUs is an answer, too. */
        perf_environment_add(env, "cpu", files[i][0], "%s", there != NULL && !some ? "none" : text);
        if (there != NULL) {
            fclose(there);
        }
    }
    mitigations_add(env);
}
