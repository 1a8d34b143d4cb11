/* Whose kernel thread serves whose ring. */
#include <criterion/criterion.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shards/mesh.h"
#include "shards/options.h"
#include "shards/resolver.h"
#include "shards/thread.h"

#define SHARDS 3u

TestSuite(thread, .timeout = 60);

static uint32_t first_cpu(void)
{
    cpu_set_t set;
    uint32_t cpu = 0;
    cr_assert_eq(sched_getaffinity(0, sizeof(set), &set), 0);
    while (!CPU_ISSET(cpu, &set))
        cpu++;
    return cpu;
}

/* The kernel thread of a ring, -1: it has none. */
static long kernel_thread(const struct mcq_shard *sh)
{
    char path[64], line[256];
    long id = -1;
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", mcq_loop_ring_fd(sh->loop));
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    while (id < 0 && fgets(line, sizeof(line), f) != NULL)
        (void)sscanf(line, "SqThread:%ld", &id);
    fclose(f);
    return id;
}

/* The caller's shard has no seat, though the plan counts it with those that share a CPU: its ring
 * is its own affair, and the others share a thread that is where the plan wants it. */
Test(thread, embedded_shard_has_no_kin)
{
    static const struct mcq_app app = {.start = NULL};
    struct mcq_thread *t = calloc(SHARDS, sizeof(*t));
    struct mcq_topo_shard seats[SHARDS];
    struct mcq_opts given = MCQ_OPTS_INIT, opts;
    struct mcq_mesh_opts mo = {.cnt = SHARDS};
    int nodes[SHARDS] = {MCQ_NODE_ANY, MCQ_NODE_ANY, MCQ_NODE_ANY};
    struct mcq_roster *roster = mcq_roster_create(SHARDS);
    struct mcq_resolver *resolver;
    struct mcq_mesh *mesh;
    struct mcq_detail d = {.text = ""};
    uint64_t ended = 0, more;
    int done_fd = eventfd(0, EFD_CLOEXEC);
    given.shards = SHARDS;
    given.arena_bytes = 16 << 20;
    given.large_bytes = 1 << 20;
    given.idle = MCQ_IDLE_BLOCK;
    given.ring = MCQ_RING_SQPOLL;
    given.no_mlock = true;
    mo.nodes = nodes;
    cr_assert_eq(mcq_opts_effective(&given, &opts, &d), MCQ_OK, "%s", d.text);
    cr_assert_eq(mcq_mesh_create(&mo, &mesh, &d), MCQ_OK, "%s", d.text);
    cr_assert_eq(mcq_resolver_create(&resolver, &d), MCQ_OK, "%s", d.text);
    roster->mesh = mesh;
    for (uint32_t i = 0; i < SHARDS; i++) {
        seats[i] = (struct mcq_topo_shard){.cpu = MCQ_TOPO_NONE,
                                           .core = MCQ_TOPO_NONE,
                                           .package = MCQ_TOPO_NONE,
                                           .node = MCQ_TOPO_NONE,
                                           .sqpoll_cpu = first_cpu()};
        t[i] = (struct mcq_thread){.id = i,
                                   .roster = roster,
                                   .seat = i == 0 ? NULL : &seats[i],
                                   .opts = &opts,
                                   .app = &app,
                                   .resolver = resolver,
                                   .done_fd = done_fd};
    }
    for (uint32_t i = 1; i < SHARDS; i++)
        cr_assert_eq(mcq_thread_start(&t[i], &d), MCQ_OK, "%s", d.text);
    cr_assert(mcq_thread_enter(&t[0]), "%s", t[0].detail.text);
    cr_assert_gt(kernel_thread(&t[1].shard), 0);
    cr_assert_eq(kernel_thread(&t[1].shard), kernel_thread(&t[2].shard));
    cr_assert_neq(kernel_thread(&t[0].shard), kernel_thread(&t[1].shard));
    while (mcq_shard_step(&t[0].shard))
        ;
    mcq_thread_end(&t[0]);
    for (; ended < SHARDS; ended += more)
        cr_assert_eq(read(done_fd, &more, sizeof(more)), (ssize_t)sizeof(more));
    mcq_resolver_destroy(resolver);
    mcq_gate_advance(&roster->leave);
    mcq_thread_leave(&t[0]);
    for (uint32_t i = 1; i < SHARDS; i++)
        mcq_thread_join(&t[i]);
    mcq_roster_destroy(roster);
    mcq_mesh_destroy(mesh);
    close(done_fd);
    free(t);
}
