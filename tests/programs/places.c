/* Where an app's shards really run, and where their memory is: against the plan, and where the host
 * forbids what the plan wants. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <monocoque.h>
#include <numaif.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define LOG_LEN   (64u << 10)
#define SHARD_MAX 8u

static unsigned passed, failed;
static bool failing;

#define CHECK(x)                                                   \
    do {                                                           \
        if (!(x)) {                                                \
            printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #x); \
            failing = true;                                        \
        }                                                          \
    } while (0)

struct seen {
    cpu_set_t cpus[SHARD_MAX];
    int policy[SHARD_MAX]; /* of the thread */
    atomic_uint slept;     /* shards that waited in the kernel for their timer */
    struct mcq_timer *timers[SHARD_MAX];
    atomic_uint started;
    char log[LOG_LEN];
    atomic_flag lock;
    size_t len;
};

static struct seen seen;

static void keep(void *ctx, enum mcq_log_level level, const char *line)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    (void)ctx;
    while (atomic_flag_test_and_set(&seen.lock))
        sched_yield();
    int n = snprintf(seen.log + seen.len, LOG_LEN - seen.len, "%s: %s\n", names[level], line);
    if (n > 0 && seen.len + (size_t)n < LOG_LEN)
        seen.len += (size_t)n;
    atomic_flag_clear(&seen.lock);
}

static void on_timer(void *ctx, struct mcq_timer *timer)
{
    (void)ctx;
    mcq_timer_close(timer); /* the shard's last work */
}

static void on_stop(struct mcq_shard *shard, void *arg)
{
    struct mcq_shard_stats stats;
    (void)arg;
    mcq_shard_stats(shard, &stats);
    if (stats.loop.waits != 0)
        atomic_fetch_add(&seen.slept, 1);
}

static int start(struct mcq_shard *shard, void *arg)
{
    uint32_t id = mcq_shard_id(shard);
    (void)arg;
    if (sched_getaffinity(0, sizeof seen.cpus[id], &seen.cpus[id]) != 0)
        return 1;
    if (get_mempolicy(&seen.policy[id], NULL, 0, NULL, 0) != 0)
        seen.policy[id] = -1;
    atomic_fetch_add(&seen.started, 1);
    if (mcq_timer_open(shard, on_timer, NULL, &seen.timers[id]) != MCQ_OK)
        return 1;
    mcq_timer_arm(seen.timers[id], mcq_shard_clock(shard) + 20000000);
    return 0;
}

static struct mcq_opts opts_of(uint32_t shards)
{
    struct mcq_opts o = MCQ_OPTS_INIT;
    o.shards = shards;
    o.arena_bytes = 16u << 20;
    o.large_bytes = 1u << 20;
    o.connections_max = 64;
    o.no_mlock = true;
    o.log = keep;
    o.log_level = MCQ_LOG_INFO;
    return o;
}

static void run(const struct mcq_opts *o)
{
    static const struct mcq_app app = {.start = start, .on_stop = on_stop};
    struct mcq_detail detail = {.text = ""};
    atomic_store(&seen.slept, 0);
    seen.len = 0;
    seen.log[0] = '\0';
    atomic_store(&seen.started, 0);
    enum mcq_error err = mcq_run(o, &app, NULL, &detail);
    if (err != MCQ_OK)
        printf("mcq_run: %s\n", detail.text);
    CHECK(err == MCQ_OK);
    CHECK(atomic_load(&seen.started) == o->shards);
}

static bool logged(const char *words)
{
    return strstr(seen.log, words) != NULL;
}

static cpu_set_t allowed(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
    return set;
}

/* --- tests ---------------------------------------------------------------------------------- */

static void shards_run_where_the_plan_says(void)
{
    cpu_set_t mine = allowed();
    uint32_t cnt = CPU_COUNT(&mine) > 1 ? 2 : 1;
    struct mcq_opts o = opts_of(cnt);
    struct mcq_topo_plan plan = MCQ_TOPO_PLAN_INIT;
    CHECK(mcq_topo_plan_make(&o, MCQ_TOPO_HOST, NULL, &plan, NULL) == MCQ_OK);
    run(&o);
    for (uint32_t i = 0; i < cnt && !failing; i++) {
        uint32_t cpu = plan.shards[i].cpu;
        CHECK(cpu == MCQ_TOPO_NONE ||
              (CPU_COUNT(&seen.cpus[i]) == 1 && CPU_ISSET(cpu, &seen.cpus[i])));
        CHECK(plan.shards[i].node == MCQ_TOPO_NONE || seen.policy[i] == MPOL_PREFERRED);
    }
    if (plan.shards[0].node != MCQ_TOPO_NONE)
        CHECK(logged("100 % of pages there") || logged(" % of pages there"));
    CHECK(!logged("warn: "));
    mcq_topo_plan_drop(&plan);
}

static void too_many_shards_are_free_and_do_not_spin(void)
{
    cpu_set_t mine = allowed(), one;
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &mine))
            CPU_SET(cpu, &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    struct mcq_opts o = opts_of(3);
    o.idle = MCQ_IDLE_SPIN;
    run(&o);
    for (uint32_t i = 0; i < 3; i++)
        CHECK(CPU_EQUAL(&seen.cpus[i], &one));
    CHECK(logged("warn: 3 shards and 1 core"));
    CHECK(atomic_load(&seen.slept) == 3);
    CHECK(sched_setaffinity(0, sizeof mine, &mine) == 0);
}

static void one_that_has_its_cpu_spins_when_asked(void)
{
    struct mcq_opts o = opts_of(1);
    o.idle = MCQ_IDLE_SPIN;
    run(&o);
    CHECK(atomic_load(&seen.slept) == 0);
}

static void a_list_of_too_few_cpus_holds_all_shards(void)
{
    cpu_set_t mine = allowed();
    char list[16] = "";
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &mine))
            snprintf(list, sizeof list, "%zu", cpu); /* the last */
    struct mcq_opts o = opts_of(2);
    o.cpus = list;
    run(&o);
    for (uint32_t i = 0; i < 2; i++)
        CHECK(CPU_COUNT(&seen.cpus[i]) == 1 && CPU_ISSET(strtoul(list, NULL, 10), &seen.cpus[i]));
    CHECK(logged("warn: cpus names 1 for 2 shards"));
    o.cpus = "none";
    run(&o);
    for (uint32_t i = 0; i < 2; i++)
        CHECK(CPU_EQUAL(&seen.cpus[i], &mine));
    CHECK(logged("on any node"));
}

static void numa_off_sets_no_policy(void)
{
    struct mcq_opts o = opts_of(1);
    o.numa = MCQ_NUMA_OFF;
    run(&o);
    CHECK(seen.policy[0] <= MPOL_DEFAULT);
    CHECK(logged("on any node"));
}

static void an_interface_that_is_not_there_is_refused(void)
{
    static const struct mcq_app app = {.start = start};
    struct mcq_detail detail = {.text = ""};
    struct mcq_opts o = opts_of(1);
    o.nic = "no-such-if";
    CHECK(mcq_run(&o, &app, NULL, &detail) == MCQ_ENOENT);
    CHECK(strstr(detail.text, "no-such-if") != NULL);
}

static bool forbid(unsigned call)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {sizeof code / sizeof code[0], code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}

/* The last test: there is no way back. */
static void where_memory_policies_are_forbidden_it_warns_and_runs(void)
{
    if (!forbid(SYS_mbind) || !forbid(SYS_set_mempolicy) || !forbid(SYS_move_pages)) {
        printf("(seccomp filters are not available)\n");
        return;
    }
    struct mcq_opts o = opts_of(1);
    struct mcq_topo_plan plan = MCQ_TOPO_PLAN_INIT;
    CHECK(mcq_topo_plan_make(&o, MCQ_TOPO_HOST, NULL, &plan, NULL) == MCQ_OK);
    bool noded = plan.shards[0].node != MCQ_TOPO_NONE;
    mcq_topo_plan_drop(&plan);
    run(&o);
    CHECK(!noded || (logged("warn: shard 0: the host forbids mbind") && logged("--numa off")));
    o.numa = MCQ_NUMA_BIND;
    run(&o);
    CHECK(!noded || logged("warn: shard 0: the host forbids mbind"));
}

static void test(const char *name, void (*body)(void))
{
    failing = false;
    body();
    if (failing)
        printf("FAILED: %s\n%s", name, seen.log);
    passed += !failing;
    failed += failing;
}

#define TEST(name) test(#name, name)

int main(void)
{
    TEST(shards_run_where_the_plan_says);
    TEST(too_many_shards_are_free_and_do_not_spin);
    TEST(one_that_has_its_cpu_spins_when_asked);
    TEST(a_list_of_too_few_cpus_holds_all_shards);
    TEST(numa_off_sets_no_policy);
    TEST(an_interface_that_is_not_there_is_refused);
    TEST(where_memory_policies_are_forbidden_it_warns_and_runs);
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
