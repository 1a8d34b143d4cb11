/* RAW: files under /proc and /sys, and the affinity of this thread; sound because every read is
 * bounded by its buffer and nothing is written; topo_facts.c calls, and tests with a root of their
 * own. */
#define _GNU_SOURCE
#include "shards/topo_host.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_LEN         1024u
#define LINE_LEN         4096u
#define CPUS_KERNEL_MAX  8192u /* NR_CPUS of the largest kernels */
#define NIC_BELOW_MAX    4u    /* a vlan on a bond on a bridge ... */
#define DEVICE_ABOVE_MAX 4u    /* a virtio device has no node, the PCI device above it has */

/* The first line of a file, without its newline. */
static bool line_read(const char *path, char *line, size_t len)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    bool got = fgets(line, (int)len, f) != NULL;
    fclose(f);
    if (got)
        line[strcspn(line, "\n")] = '\0';
    return got;
}

/* --- CPU time ------------------------------------------------------------------------------- */

struct cgroup {
    bool v2;
    char mount[PATH_LEN]; /* where it is seen */
    char path[PATH_LEN];  /* ours below it */
};

static bool listed(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += len)
        if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
            return true;
    return false;
}

/* Ours, as /proc/self/cgroup has it: "0::/path", "4:cpu,cpuacct:/path". */
static bool path_find(const char *root, bool v2, char path[PATH_LEN])
{
    char name[PATH_LEN], line[LINE_LEN];
    bool found = false;
    snprintf(name, sizeof(name), "%s/proc/self/cgroup", root);
    FILE *f = fopen(name, "re");
    if (f == NULL)
        return false;
    while (!found && fgets(line, sizeof(line), f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *list = strchr(line, ':');
        char *at = list == NULL ? NULL : strchr(list + 1, ':');
        if (at == NULL)
            continue;
        *at++ = '\0';
        found = v2 ? list[1] == '\0' : listed(list + 1, "cpu");
        if (found)
            snprintf(path, PATH_LEN, "%.*s", (int)PATH_LEN - 1, at);
    }
    fclose(f);
    return found;
}

/* What of path lies below the part of the hierarchy that is mounted; in a container that sees its
 * own part only, nothing. */
static void below(const char *mounted, char path[PATH_LEN])
{
    size_t len = strcmp(mounted, "/") == 0 ? 0 : strlen(mounted);
    bool inside = strncmp(path, mounted, len) == 0 && (path[len] == '/' || path[len] == '\0') &&
                  strstr(path, "/..") == NULL;
    if (!inside)
        path[0] = '\0';
    else
        memmove(path, path + len, strlen(path + len) + 1);
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/')
        path[--end] = '\0';
}

/* One line of mountinfo: "36 35 98:0 /mounted /point opts [tags] - type source opts". */
static bool mount_read(const char *root, char *line, struct cgroup *cg)
{
    char mounted[PATH_LEN], point[PATH_LEN], type[32], opts[PATH_LEN];
    char *tail = strstr(line, " - ");
    if (tail == NULL || sscanf(line, "%*s %*s %*s %1023s %1023s", mounted, point) != 2 ||
        sscanf(tail, " - %31s %*s %1023s", type, opts) != 2)
        return false;
    cg->v2 = strcmp(type, "cgroup2") == 0;
    if (!cg->v2 && (strcmp(type, "cgroup") != 0 || !listed(opts, "cpu")))
        return false;
    if (!path_find(root, cg->v2, cg->path))
        return false;
    below(mounted, cg->path);
    return (size_t)snprintf(cg->mount, sizeof(cg->mount), "%s%s", root, point) < PATH_LEN;
}

static bool number_file(const char *dir, const char *name, long long *value)
{
    char path[2 * PATH_LEN + 64], line[64];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return line_read(path, line, sizeof(line)) && sscanf(line, "%lld", value) == 1;
}

static uint64_t quota_at(const char *dir, bool v2)
{
    char path[2 * PATH_LEN + 64], line[64];
    long long quota = 0, period = 0;
    if (v2) {
        snprintf(path, sizeof(path), "%s/cpu.max", dir);
        if (!line_read(path, line, sizeof(line)) ||
            sscanf(line, "%lld %lld", &quota, &period) != 2) /* "max 100000" is no number */
            return MCQ_TOPO_UNLIMITED;
    } else if (!number_file(dir, "cpu.cfs_quota_us", &quota) ||
               !number_file(dir, "cpu.cfs_period_us", &period)) {
        return MCQ_TOPO_UNLIMITED;
    }
    if (quota <= 0 || period <= 0 || quota > INT64_MAX / 1000)
        return MCQ_TOPO_UNLIMITED;
    return (uint64_t)quota * 1000 / (uint64_t)period;
}

static uint64_t quota_of(struct cgroup *cg)
{
    char dir[2 * PATH_LEN];
    uint64_t least = MCQ_TOPO_UNLIMITED;
    for (;;) {
        snprintf(dir, sizeof(dir), "%s%s", cg->mount, cg->path);
        least = mcq_min_u64(least, quota_at(dir, cg->v2));
        char *slash = strrchr(cg->path, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

uint64_t mcq_topo_host_quota(const char *root)
{
    char name[PATH_LEN], line[LINE_LEN];
    uint64_t least = MCQ_TOPO_UNLIMITED;
    snprintf(name, sizeof(name), "%s/proc/self/mountinfo", root);
    FILE *f = fopen(name, "re");
    if (f == NULL)
        return least;
    while (fgets(line, sizeof(line), f) != NULL) {
        struct cgroup cg;
        if (mount_read(root, line, &cg))
            least = mcq_min_u64(least, quota_of(&cg));
    }
    fclose(f);
    return least;
}

/* --- CPUs ----------------------------------------------------------------------------------- */

/* "0-3,7" as the kernel writes it; what is beyond the table is not marked. */
static void list_mark(const char *list, bool marks[CPUS_KERNEL_MAX])
{
    for (const char *at = list; *at != '\0';) {
        char *end;
        unsigned long first = strtoul(at, &end, 10), last = first;
        if (end == at)
            return;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        for (unsigned long cpu = first; cpu <= last && cpu < CPUS_KERNEL_MAX; cpu++)
            marks[cpu] = true;
        at = *end == ',' ? end + 1 : end;
        if (*end != ',')
            return;
    }
}

uint32_t mcq_topo_host_offline(const char *root)
{
    char path[PATH_LEN], line[LINE_LEN];
    bool present[CPUS_KERNEL_MAX] = {false}, online[CPUS_KERNEL_MAX] = {false};
    uint32_t cnt = 0;
    snprintf(path, sizeof(path), "%s/sys/devices/system/cpu/present", root);
    if (line_read(path, line, sizeof(line)))
        list_mark(line, present);
    snprintf(path, sizeof(path), "%s/sys/devices/system/cpu/online", root);
    if (!line_read(path, line, sizeof(line)))
        return 0;
    list_mark(line, online);
    for (uint32_t cpu = 0; cpu < CPUS_KERNEL_MAX; cpu++)
        cnt += present[cpu] && !online[cpu];
    return cnt;
}

uint32_t mcq_topo_host_affinity(bool usable[MCQ_CPUS_MAX])
{
    size_t len = CPU_ALLOC_SIZE(CPUS_KERNEL_MAX);
    cpu_set_t *set = CPU_ALLOC(CPUS_KERNEL_MAX);
    uint32_t cnt = 0;
    memset(usable, 0, MCQ_CPUS_MAX * sizeof(usable[0]));
    if (set == NULL)
        return 0;
    CPU_ZERO_S(len, set);
    bool told = sched_getaffinity(0, len, set) == 0;
    for (uint32_t cpu = 0; told && cpu < MCQ_CPUS_MAX; cpu++) {
        usable[cpu] = CPU_ISSET_S(cpu, len, set);
        cnt += usable[cpu];
    }
    CPU_FREE(set);
    return cnt;
}

/* --- network interfaces --------------------------------------------------------------------- */

/* The device's node, or that of one above it on its bus. */
static uint32_t device_node(const char *dir)
{
    char at[2 * PATH_LEN];
    long long node = -1;
    int len = snprintf(at, sizeof(at), "%s/device", dir);
    for (uint32_t i = 0; i < DEVICE_ABOVE_MAX; i++) {
        if (number_file(at, "numa_node", &node) && node >= 0)
            return node < MCQ_TOPO_NONE ? (uint32_t)node : MCQ_TOPO_NONE;
        len += snprintf(at + len, sizeof(at) - (size_t)len, "/..");
    }
    return MCQ_TOPO_NONE;
}

/* Down the links lower_NAME, first come first served. */
static uint32_t nic_node(const char *dir, uint32_t depth)
{
    static const char lower[] = "lower_";
    char next[PATH_LEN];
    uint32_t node = device_node(dir);
    DIR *d = node != MCQ_TOPO_NONE || depth == NIC_BELOW_MAX ? NULL : opendir(dir);
    if (d == NULL)
        return node;
    const struct dirent *entry;
    while (node == MCQ_TOPO_NONE && (entry = readdir(d)) != NULL) {
        bool is_lower = strncmp(entry->d_name, lower, sizeof(lower) - 1) == 0;
        if (is_lower &&
            (size_t)snprintf(next, sizeof(next), "%s/%s", dir, entry->d_name) < PATH_LEN)
            node = nic_node(next, depth + 1);
    }
    closedir(d);
    return node;
}

bool mcq_topo_host_nic(const char *root, const char *nic, uint32_t *node)
{
    char dir[PATH_LEN];
    *node = MCQ_TOPO_NONE;
    snprintf(dir, sizeof(dir), "%s/sys/class/net/%s", root, nic);
    if (access(dir, F_OK) != 0)
        return false;
    *node = nic_node(dir, 0);
    return true;
}
