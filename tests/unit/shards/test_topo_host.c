/* What is read of this machine beside its shape, against folders that look like /proc and /sys. */
#include "shards/topo_host.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shards/topo_facts.h"
#include "shards/topo_hwloc.h"
#include "shards/topo_sysfs.h"

static char root[64];

static void root_open(void)
{
    snprintf(root, sizeof(root), "/tmp/mcq-topo-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
}

static void root_close(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    cr_assert_eq(system(command), 0);
}

/* A file with its folders. */
__attribute__((format(printf, 2, 3))) static void put(const char *text, const char *path, ...)
{
    char name[512], folder[600];
    int len = snprintf(name, sizeof(name), "%s", root);
    va_list args;
    va_start(args, path);
    vsnprintf(name + len, sizeof(name) - (size_t)len, path, args);
    va_end(args);
    for (char *at = name + len + 1; (at = strchr(at, '/')) != NULL; at++) {
        snprintf(folder, sizeof(folder), "%.*s", (int)(at - name), name);
        mkdir(folder, 0700);
    }
    FILE *f = fopen(name, "w");
    cr_assert_not_null(f, "%s", name);
    fputs(text, f);
    fclose(f);
}

static void put_link(const char *to, const char *path)
{
    char name[512];
    snprintf(name, sizeof(name), "%s%s", root, path);
    cr_assert_eq(symlink(to, name), 0, "%s", name);
}

TestSuite(topo_host, .init = root_open, .fini = root_close);

/* --- CPU time ------------------------------------------------------------------------------- */

#define V2 "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"

Test(topo_host, without_cgroups_time_is_unlimited)
{
    cr_assert_eq(mcq_topo_host_quota(root), MCQ_TOPO_UNLIMITED);
    put("0::/\n", "/proc/self/cgroup");
    cr_assert_eq(mcq_topo_host_quota(root), MCQ_TOPO_UNLIMITED);
    put(V2, "/proc/self/mountinfo");
    cr_assert_eq(mcq_topo_host_quota(root), MCQ_TOPO_UNLIMITED);
}

Test(topo_host, the_least_quota_of_all_cgroups_above_counts)
{
    put(V2, "/proc/self/mountinfo");
    put("0::/app.slice/gateway\n", "/proc/self/cgroup");
    put("max 100000\n", "/sys/fs/cgroup/app.slice/gateway/cpu.max");
    cr_assert_eq(mcq_topo_host_quota(root), MCQ_TOPO_UNLIMITED);
    put("350000 100000\n", "/sys/fs/cgroup/app.slice/cpu.max");
    cr_assert_eq(mcq_topo_host_quota(root), 3500);
    put("40000 20000\n", "/sys/fs/cgroup/app.slice/gateway/cpu.max");
    cr_assert_eq(mcq_topo_host_quota(root), 2000);
    put("1000 100000\n", "/sys/fs/cgroup/cpu.max");
    cr_assert_eq(mcq_topo_host_quota(root), 10);
}

Test(topo_host, a_container_sees_its_own_part_of_the_tree)
{
    put("30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup ro\n", "/proc/self/mountinfo");
    put("0::/docker/abc\n", "/proc/self/cgroup");
    put("150000 100000\n", "/sys/fs/cgroup/cpu.max");
    cr_assert_eq(mcq_topo_host_quota(root), 1500);
    put("0::/docker/abc/inner\n", "/proc/self/cgroup");
    put("50000 100000\n", "/sys/fs/cgroup/inner/cpu.max");
    cr_assert_eq(mcq_topo_host_quota(root), 500);
    /* /docker/abcdef is another one */
    put("0::/docker/abcdef\n", "/proc/self/cgroup");
    cr_assert_eq(mcq_topo_host_quota(root), 1500);
    put("0::/../../elsewhere\n", "/proc/self/cgroup");
    cr_assert_eq(mcq_topo_host_quota(root), 1500);
}

Test(topo_host, version_1_counts_too)
{
    put("31 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "32 23 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
        "33 23 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        "/proc/self/mountinfo");
    put("9:cpuset:/set\n4:cpu,cpuacct:/jobs/one\n0::/else\n", "/proc/self/cgroup");
    put("-1\n", "/sys/fs/cgroup/cpu,cpuacct/jobs/one/cpu.cfs_quota_us");
    put("100000\n", "/sys/fs/cgroup/cpu,cpuacct/jobs/one/cpu.cfs_period_us");
    cr_assert_eq(mcq_topo_host_quota(root), MCQ_TOPO_UNLIMITED);
    put("250000\n", "/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_quota_us");
    put("100000\n", "/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_period_us");
    cr_assert_eq(mcq_topo_host_quota(root), 2500);
    put("1\n", "/sys/fs/cgroup/cpuset/set/cpu.cfs_quota_us"); /* not the controller of time */
    put("1\n", "/sys/fs/cgroup/cpuset/set/cpu.cfs_period_us");
    cr_assert_eq(mcq_topo_host_quota(root), 2500);
}

Test(topo_host, nonsense_is_no_limit)
{
    static const char *const texts[] = {"",
                                        "\n",
                                        "x 1",
                                        "100",
                                        "0 0",
                                        "-5 100",
                                        "100 0",
                                        "99999999999999999999999999 1",
                                        "9223372036854775807 1"};
    put(V2, "/proc/self/mountinfo");
    put("0::/\n", "/proc/self/cgroup");
    for (size_t i = 0; i < MCQ_CNT_OF(texts); i++) {
        put(texts[i], "/sys/fs/cgroup/cpu.max");
        cr_assert_eq(mcq_topo_host_quota(root), MCQ_TOPO_UNLIMITED, "'%s'", texts[i]);
    }
    put("garbage\n\n - \n30 23 - cgroup2\n", "/proc/self/mountinfo");
    put("garbage\n:\n::\n0:\n", "/proc/self/cgroup");
    cr_assert_eq(mcq_topo_host_quota(root), MCQ_TOPO_UNLIMITED);
}

/* --- CPUs and interfaces -------------------------------------------------------------------- */

Test(topo_host, offline_is_what_is_there_and_not_online)
{
    cr_assert_eq(mcq_topo_host_offline(root), 0);
    put("0-15\n", "/sys/devices/system/cpu/present");
    put("0-3,6,8-15\n", "/sys/devices/system/cpu/online");
    cr_assert_eq(mcq_topo_host_offline(root), 3);
    put("0-15,200-99999999\n", "/sys/devices/system/cpu/online");
    cr_assert_eq(mcq_topo_host_offline(root), 0);
}

Test(topo_host, affinity_is_that_of_this_thread)
{
    bool usable[MCQ_CPUS_MAX];
    cpu_set_t set;
    cr_assert_eq(sched_getaffinity(0, sizeof(set), &set), 0);
    cr_assert_eq(mcq_topo_host_affinity(usable), (uint32_t)CPU_COUNT(&set));
    uint32_t first = 0;
    while (!usable[first])
        first++;
    CPU_ZERO(&set);
    CPU_SET(first, &set);
    cr_assert_eq(sched_setaffinity(0, sizeof(set), &set), 0);
    cr_assert_eq(mcq_topo_host_affinity(usable), 1);
    cr_assert(usable[first]);
    struct mcq_topo_plan plan = MCQ_TOPO_PLAN_INIT;
    struct mcq_opts opts = MCQ_OPTS_INIT;
    opts.shards = 2;
    cr_assert_eq(mcq_topo_plan_make(&opts, MCQ_TOPO_HOST, NULL, &plan, NULL), MCQ_OK);
    cr_assert_not(plan.may_spin);
    cr_assert_eq(plan.shards[0].cpu, MCQ_TOPO_NONE);
    mcq_topo_plan_drop(&plan);
    mcq_topo_plan_drop(&plan);
}

Test(topo_host, the_node_of_an_interface)
{
    uint32_t node = 7;
    cr_assert_not(mcq_topo_host_nic(root, "eth0", &node));
    put("", "/sys/class/net/lo/operstate");
    cr_assert(mcq_topo_host_nic(root, "lo", &node));
    cr_assert_eq(node, MCQ_TOPO_NONE);
    put("1\n", "/sys/class/net/eth0/device/numa_node");
    cr_assert(mcq_topo_host_nic(root, "eth0", &node));
    cr_assert_eq(node, 1);
    put("-1\n", "/sys/class/net/eth1/device/numa_node");
    cr_assert(mcq_topo_host_nic(root, "eth1", &node));
    cr_assert_eq(node, MCQ_TOPO_NONE);
}

Test(topo_host, virtual_interfaces_have_the_node_of_what_is_below)
{
    uint32_t node = 7;
    put("3\n", "/sys/devices/pci0/numa_node");
    put("", "/sys/devices/pci0/virtio2/driver");
    put("", "/sys/class/net/eth0/operstate");
    put_link("../../../devices/pci0/virtio2", "/sys/class/net/eth0/device");
    cr_assert(mcq_topo_host_nic(root, "eth0", &node));
    cr_assert_eq(node, 3, "the device above a virtio device");
    put("", "/sys/class/net/bond0/operstate");
    put_link("../eth0", "/sys/class/net/bond0/lower_eth0");
    put("", "/sys/class/net/vlan7/operstate");
    put_link("../bond0", "/sys/class/net/vlan7/lower_bond0");
    cr_assert(mcq_topo_host_nic(root, "vlan7", &node));
    cr_assert_eq(node, 3);
    put("", "/sys/class/net/loop/operstate"); /* one that is its own lower end */
    put_link("../loop", "/sys/class/net/loop/lower_loop");
    cr_assert(mcq_topo_host_nic(root, "loop", &node));
    cr_assert_eq(node, MCQ_TOPO_NONE);
}

/* --- the shape, from /sys ------------------------------------------------------------------- */

static void put_cpu(unsigned cpu, unsigned package, const char *siblings, const char *cache)
{
    char text[32];
    snprintf(text, sizeof(text), "%u\n", package);
    put(text, "/sys/devices/system/cpu/cpu%u/topology/physical_package_id", cpu);
    put(siblings, "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
    put("2\n", "/sys/devices/system/cpu/cpu%u/cache/index2/level", cpu);
    put(siblings, "/sys/devices/system/cpu/cpu%u/cache/index2/shared_cpu_list", cpu);
    put("3\n", "/sys/devices/system/cpu/cpu%u/cache/index3/level", cpu);
    put(cache, "/sys/devices/system/cpu/cpu%u/cache/index3/shared_cpu_list", cpu);
}

/* Two packages of two cores of two threads, whose second threads come last, as Linux counts them;
 * packages with odd names, and a node of memory alone. */
Test(topo_host, sysfs_in_the_machines_order)
{
    static struct mcq_topo_facts f;
    static const uint32_t cpus[] = {0, 4, 1, 5, 2, 6, 3, 7};
    bool wanted[MCQ_CPUS_MAX] = {true, true, true, true, true, true, true, true};
    put_cpu(0, 5, "0,4\n", "0-1,4-5\n");
    put_cpu(4, 5, "0,4\n", "0-1,4-5\n");
    put_cpu(1, 5, "1,5\n", "0-1,4-5\n");
    put_cpu(5, 5, "1,5\n", "0-1,4-5\n");
    put_cpu(2, 36, "2,6\n", "2-3,6-7\n");
    put_cpu(6, 36, "2,6\n", "2-3,6-7\n");
    put_cpu(3, 36, "3,7\n", "2-3,6-7\n");
    put_cpu(7, 36, "3,7\n", "2-3,6-7\n");
    put("0-1,4\n", "/sys/devices/system/node/online");
    put("0-1,4-5\n", "/sys/devices/system/node/node0/cpulist");
    put("2-3,6-7\n", "/sys/devices/system/node/node1/cpulist");
    put("\n", "/sys/devices/system/node/node4/cpulist");
    put("Node 4 MemTotal:       1024 kB\nNode 4 MemFree: 1 kB\n",
        "/sys/devices/system/node/node4/meminfo");
    mcq_topo_sysfs_load(root, wanted, &f);
    cr_assert_eq(f.cpu_cnt, 8);
    for (uint32_t i = 0; i < 8; i++) {
        cr_assert_eq(f.cpus[i].cpu, cpus[i]);
        cr_assert_eq(f.cpus[i].core, i / 2);
        cr_assert_eq(f.cpus[i].sibling, i % 2);
        cr_assert_eq(f.cpus[i].package, i / 4);
        cr_assert_eq(f.cpus[i].node, i / 4);
        cr_assert_eq(f.cpus[i].l3, i / 4);
        cr_assert(f.cpus[i].usable);
    }
    cr_assert_eq(f.node_cnt, 3);
    cr_assert_eq(f.nodes[1].package, 1);
    cr_assert_eq(f.nodes[2].node, 4);
    cr_assert_eq(f.nodes[2].package, MCQ_TOPO_NONE);
    cr_assert_eq(f.nodes[2].memory_bytes, 1 << 20);
}

Test(topo_host, sysfs_without_files_is_cores_alone)
{
    static struct mcq_topo_facts f;
    bool wanted[MCQ_CPUS_MAX] = {[3] = true, [9] = true};
    mcq_topo_sysfs_load(root, wanted, &f);
    cr_assert_eq(f.cpu_cnt, 2);
    cr_assert_eq(f.node_cnt, 0);
    for (uint32_t i = 0; i < 2; i++) {
        cr_assert_eq(f.cpus[i].core, i);
        cr_assert_eq(f.cpus[i].package, MCQ_TOPO_NONE);
        cr_assert_eq(f.cpus[i].node, MCQ_TOPO_NONE);
        cr_assert_eq(f.cpus[i].l3, MCQ_TOPO_NONE);
    }
}

Test(topo_host, sysfs_and_hwloc_see_the_same_machine)
{
    static struct mcq_topo_facts a, b;
    bool wanted[MCQ_CPUS_MAX], nic;
    cr_assert_eq(mcq_topo_hwloc_load(MCQ_TOPO_HOST, NULL, NULL, &a, &nic, NULL), MCQ_OK);
    mcq_topo_host_affinity(wanted);
    for (uint32_t i = 0; i < a.cpu_cnt; i++)
        wanted[a.cpus[i].cpu] = true;
    mcq_topo_sysfs_load("", wanted, &b);
    cr_assert_eq(a.cpu_cnt, b.cpu_cnt);
    for (uint32_t i = 0; i < a.cpu_cnt; i++) {
        cr_assert_eq(a.cpus[i].cpu, b.cpus[i].cpu);
        cr_assert_eq(a.cpus[i].core, b.cpus[i].core);
        cr_assert_eq(a.cpus[i].package, b.cpus[i].package);
        cr_assert_eq(a.cpus[i].node, b.cpus[i].node);
    }
}
