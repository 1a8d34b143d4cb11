/* What the measuring side of a gathering knows. */
#include "perf/workloads/gather_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool perf_gatherer_init(struct perf_gatherer *g, struct perf_gather_run *run,
                        struct perf_child *child)
{
    const struct perf_gather_job *job = run->job;
    *g = (struct perf_gatherer){
        .run = run,
        .child = child,
        .checks = calloc(job->conns, sizeof *g->checks),
        .received = calloc(job->conns, sizeof *g->received),
        .warmup_ns = (uint64_t)(job->warmup_s * (double)PERF_SECOND_NS),
        .window_ns = (uint64_t)(job->seconds * (double)PERF_SECOND_NS),
    };
    if (g->checks == NULL || g->received == NULL) {
        return perf_child_fail(child, "no memory for %u clients", job->conns);
    }
    for (uint32_t i = 0; i < job->conns; i++) {
        g->checks[i].next = perf_gather_number(i, 0);
    }
    return true;
}

void perf_gatherer_fini(struct perf_gatherer *g)
{
    free(g->checks);
    free(g->received);
}

bool perf_gatherer_take(struct perf_gatherer *g, const void *data, size_t len, uint32_t *conn,
                        uint64_t *number)
{
    uint64_t said = UINT64_MAX;
    size_t size = g->run->job->size;
    if (len == size) {
        memcpy(&said, data, sizeof said);
    }
    if (said >> PERF_GATHER_SHIFT >= g->run->job->conns) {
        g->strangers++;
        g->faulty = true;
        return false;
    }
    *conn = (uint32_t)(said >> PERF_GATHER_SHIFT);
    if (!perf_stamp_take(&g->checks[*conn], data, len, size, number)) {
        g->faulty = true;
        return false;
    }
    *number &= (UINT64_C(1) << PERF_GATHER_SHIFT) - 1;
    return true;
}

void perf_gatherer_open(struct perf_gatherer *g)
{
    g->open = true;
    perf_crew_begin(g->child);
}

void perf_gatherer_look(struct perf_gatherer *g, uint64_t now_ns)
{
    if (g->first_ns == 0) {
        g->first_ns = now_ns;
    } else if (!g->open) {
        if (now_ns - g->first_ns >= g->warmup_ns) {
            perf_gatherer_open(g);
            g->open_ns = perf_clock_ns();
        }
    } else if (!g->over && now_ns >= g->open_ns + g->window_ns) {
        g->close_ns = now_ns;
        g->over = true;
    }
}

static void check_tell(struct perf_gather_run *run, const struct perf_stamp_check *check)
{
    run->lost += check->gap_cnt;
    run->old += check->old_cnt;
    run->damaged += check->damaged_cnt;
    if (run->fault[0] == '\0') {
        perf_stamp_fault(check, run->fault, sizeof run->fault);
    }
}

void perf_gatherer_tell(struct perf_gatherer *g)
{
    struct perf_gather_run *run = g->run;
    run->least = UINT64_MAX;
    for (uint32_t i = 0; i < run->job->conns; i++) {
        uint64_t received = g->received[i];
        run->received += received;
        run->least = received < run->least ? received : run->least;
        run->most = received > run->most ? received : run->most;
        check_tell(run, &g->checks[i]);
    }
    run->damaged += g->strangers;
    if (g->strangers > 0 && run->fault[0] == '\0') {
        snprintf(run->fault, sizeof run->fault, "%llu messages belong to no client",
                 (unsigned long long)g->strangers);
    }
    if (g->over) {
        run->seconds = (double)(g->close_ns - g->open_ns) / (double)PERF_SECOND_NS;
    }
    if (g->open) {
        perf_crew_end(g->child);
    }
}
