#include "perf/host/environment.h"

#include "perf/host/facts.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>

static const struct {
    const char *group, *name, *path;
} files[] = {
    {"host", "load", "/proc/loadavg"},
    {"host", "tuned_profile", "/etc/tuned/active_profile"},
    {"host", "preempt", "/sys/kernel/debug/sched/preempt"},
    {"clock", "source", "/sys/devices/system/clocksource/clocksource0/current_clocksource"},
    {"clock", "available", "/sys/devices/system/clocksource/clocksource0/available_clocksource"},
    {"memory", "thp", "/sys/kernel/mm/transparent_hugepage/enabled"},
    {"memory", "thp_defrag", "/sys/kernel/mm/transparent_hugepage/defrag"},
    {"memory", "hugepages", "/proc/sys/vm/nr_hugepages"},
    {"memory", "swappiness", "/proc/sys/vm/swappiness"},
    {"memory", "numa_balancing", "/proc/sys/kernel/numa_balancing"},
    {"net", "busy_poll", "/proc/sys/net/core/busy_poll"},
    {"net", "rmem_max", "/proc/sys/net/core/rmem_max"},
    {"net", "wmem_max", "/proc/sys/net/core/wmem_max"},
    {"net", "tcp_rmem", "/proc/sys/net/ipv4/tcp_rmem"},
    {"net", "tcp_wmem", "/proc/sys/net/ipv4/tcp_wmem"},
    {"net", "congestion_control", "/proc/sys/net/ipv4/tcp_congestion_control"},
    {"net", "somaxconn", "/proc/sys/net/core/somaxconn"},
    {"net", "loopback_mtu", "/sys/class/net/lo/mtu"},
    {"net", "io_uring_disabled", "/proc/sys/kernel/io_uring_disabled"},
};

static void date_add(struct perf_environment *env)
{
    char text[64] = "";
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc) != NULL) {
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    perf_environment_add(env, "date", "utc", "%s", text);
}

/* Of the kernel's command line what touches timing, and no more: the rest names disks, consoles and
 * at times secrets, and an artefact is made to be sent around. What follows "--" is init's. */
static bool parameter_wanted(const char *word)
{
    static const char *const starts[] = {
        "mitigations", "isolcpus",   "nohz",      "rcu",      "irqaffinity",  "kthread_cpus",
        "intel_idle",  "processor.", "idle=",     "cpuidle",  "haltpoll",     "intel_pstate",
        "amd_pstate",  "cpufreq",    "nosmt",     "maxcpus",  "nr_cpus",      "hugepage",
        "default_hug", "transparen", "tsc",       "clocks",   "numa",         "skew_tick",
        "nmi_watchdo", "nowatchdog", "nosoftloc", "mce",      "preempt",      "threadirqs",
        "workqueue",   "pti",        "nopti",     "spec",     "nospec",       "retbleed",
        "swiotlb",     "pcie_aspm",  "audit",     "deferred", "quiet",        "psi",
        "noht",        "kvm",        "hpet",      "lapic",    "init_on_free", "init_on_alloc"};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        if (strncmp(word, starts[i], strlen(starts[i])) == 0) {
            return true;
        }
    }
    return false;
}

static void cmdline_add(struct perf_environment *env)
{
    char line[4096], kept[PERF_FACT_MAX] = "", *rest = NULL;
    size_t len = 0;
    bool some = perf_fact_read("/proc/cmdline", line, sizeof line);
    for (char *word = strtok_r(line, " ", &rest); word != NULL && strcmp(word, "--") != 0;
         word = strtok_r(NULL, " ", &rest)) {
        if (parameter_wanted(word) && len < sizeof kept - 1) {
            len +=
                (size_t)snprintf(kept + len, sizeof kept - len, "%s%s", len > 0 ? " " : "", word);
        }
    }
    perf_environment_add(env, "host", "cmdline", "%s",
                         some && len == 0 ? "nothing that touches timing" : kept);
}

static void kernel_add(struct perf_environment *env)
{
    struct utsname system = {0};
    char os[PERF_FACT_MAX];
    uname(&system);
    perf_environment_add(env, "host", "kernel", "%s", system.release);
    perf_environment_add(env, "host", "kernel_build", "%s", system.version);
    perf_environment_add(env, "host", "machine", "%s", system.machine);
    perf_fact_key("/etc/os-release", "PRETTY_NAME", os, sizeof os);
    perf_environment_add(env, "host", "os", "%s", os);
}

/* A guest's CPU says that it is one; which, only the firmware's tables or Xen tell. */
static void hypervisor_add(struct perf_environment *env)
{
    char flags[8192], vendor[128], product[128], type[128];
    if (!perf_fact_key("/proc/cpuinfo", "flags", flags, sizeof flags)) {
        perf_environment_add(env, "host", "hypervisor", "%s", "");
        return;
    }
    if (strstr(flags, " hypervisor") == NULL) {
        perf_environment_add(env, "host", "hypervisor", "none");
        return;
    }
    perf_fact_read("/sys/class/dmi/id/sys_vendor", vendor, sizeof vendor);
    perf_fact_read("/sys/class/dmi/id/product_name", product, sizeof product);
    perf_fact_read("/sys/hypervisor/type", type, sizeof type);
    if (vendor[0] == '\0' && product[0] == '\0' && type[0] == '\0') {
        perf_environment_add(env, "host", "hypervisor", "yes, of unknown kind");
    } else {
        perf_environment_add(env, "host", "hypervisor", "%s%s%s%s%s", vendor,
                             vendor[0] != '\0' ? " " : "", product, product[0] != '\0' ? " " : "",
                             type);
    }
}

static void limits_add(struct perf_environment *env)
{
    struct rlimit lock, files_open;
    char total[PERF_FACT_MAX];
    perf_fact_key("/proc/meminfo", "MemTotal", total, sizeof total);
    perf_environment_add(env, "memory", "total", "%s", total);
    if (getrlimit(RLIMIT_MEMLOCK, &lock) != 0) {
        perf_environment_add(env, "memory", "memlock", "%s", "");
    } else if (lock.rlim_cur == RLIM_INFINITY) {
        perf_environment_add(env, "memory", "memlock", "unlimited");
    } else {
        perf_environment_add(env, "memory", "memlock", "%llu B", (unsigned long long)lock.rlim_cur);
    }
    if (getrlimit(RLIMIT_NOFILE, &files_open) == 0) {
        perf_environment_add(env, "memory", "open_files", "%llu",
                             (unsigned long long)files_open.rlim_cur);
    }
}

static void swap_add(struct perf_environment *env)
{
    char swaps[PERF_FACT_MAX];
    if (!perf_fact_read("/proc/swaps", swaps, sizeof swaps)) {
        perf_environment_add(env, "memory", "swap", "%s", "");
        return;
    }
    /* The first line is a head. */
    const char *first = strchr(swaps, '/');
    perf_environment_add(env, "memory", "swap", "%s", first != NULL ? first : "none");
}

void perf_environment_read(struct perf_environment *env)
{
    date_add(env);
    kernel_add(env);
    cmdline_add(env);
    hypervisor_add(env);
    perf_facts_cpu(env);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        perf_fact_file(env, files[i].group, files[i].name, files[i].path);
    }
    limits_add(env);
    swap_add(env);
    perf_facts_build(env);
    perf_facts_library(env);
    perf_facts_doctor(env);
}
