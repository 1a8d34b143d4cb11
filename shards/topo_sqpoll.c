#include <string.h>

#include "mem/detail.h"
#include "shards/topo_work.h"

/* The kernel threads of ring mode sqpoll. Each spins on a hardware thread of its own, best under
 * the L3 of the shards it serves: everything it does is handed from core to core. */

bool mcq_topo_kernel_wanted(const struct mcq_opts *opts)
{
    if (opts->sqpoll_cpus != NULL && strcmp(opts->sqpoll_cpus, "none") == 0)
        return false;
    return opts->ring == MCQ_RING_SQPOLL ||
           (opts->ring == MCQ_RING_AUTO && opts->idle == MCQ_IDLE_SPIN);
}

enum mcq_error mcq_topo_kernel_list(struct mcq_topo_work *w, struct mcq_detail *detail)
{
    uint32_t cpus[MCQ_CPUS_MAX], cnt = 0;
    if (w->opts->sqpoll_cpus == NULL)
        return MCQ_OK;
    enum mcq_error err = mcq_cpus_parse(w->opts->sqpoll_cpus, cpus, &cnt, detail);
    if (err != MCQ_OK || cnt == 0)
        return err;
    if (!mcq_topo_kernel_wanted(w->opts)) {
        mcq_topo_note(w->out, "sqpoll_cpus is for ring sqpoll, or auto with idle spin: not used");
        return MCQ_OK;
    }
    w->kernel_list = true;
    for (uint32_t i = 0; i < cnt; i++) {
        uint32_t idx = mcq_topo_find(w->facts, cpus[i]);
        if (idx == MCQ_TOPO_NONE || !w->facts->cpus[idx].usable) {
            mcq_topo_note(w->out, "sqpoll_cpus: CPU %u is not one this process may use: left out",
                          cpus[i]);
            continue;
        }
        w->kernel[w->kernel_cnt++] = idx;
        mcq_topo_take(w, idx, MCQ_TOPO_KERNEL);
    }
    return MCQ_OK;
}

/* --- room beside the shards ----------------------------------------------------------------- */

/* The first of the cores in order that are near order[at], at most max of them, into found. */
static uint32_t near_cores(const struct mcq_topo_work *w, uint32_t at, uint32_t found[MCQ_CPUS_MAX])
{
    const struct mcq_topo_cpu *cpus = w->facts->cpus;
    uint32_t cnt = 0;
    for (uint32_t i = at; i < w->core_cnt; i++)
        if (mcq_topo_near(&cpus[w->order[i]], &cpus[w->order[at]]))
            found[cnt++] = w->order[i];
    return cnt;
}

static bool seen_before(const struct mcq_topo_work *w, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++)
        if (mcq_topo_near(&w->facts->cpus[w->order[i]], &w->facts->cpus[w->order[at]]))
            return true;
    return false;
}

/* How many of k cores may be shards' if each `share` of those leave one for a kernel thread. */
static uint32_t shards_among(uint32_t k, uint32_t share)
{
    uint32_t whole = k / (share + 1), rest = k % (share + 1);
    return whole * share + (rest > 0 ? rest - 1 : 0);
}

bool mcq_topo_kernel_room(struct mcq_topo_work *w)
{
    uint32_t chosen[MCQ_SHARDS_MAX], near[MCQ_CPUS_MAX], cnt = 0;
    for (uint32_t at = 0; at < w->core_cnt && cnt < w->opts->shards; at++) {
        if (seen_before(w, at))
            continue;
        uint32_t n = shards_among(near_cores(w, at, near), w->opts->sqpoll_share);
        for (uint32_t i = 0; i < n && cnt < w->opts->shards; i++)
            chosen[cnt++] = near[i];
    }
    if (cnt < w->opts->shards)
        return false;
    for (uint32_t i = 0; i < cnt; i++) {
        w->place[i] = chosen[i];
        mcq_topo_take(w, chosen[i], MCQ_TOPO_SHARD);
    }
    return true;
}

/* --- which thread goes where ---------------------------------------------------------------- */

/* 0: the same L3 (or what stands for it), then node, package, machine. */
static uint32_t distance(const struct mcq_topo_cpu *a, const struct mcq_topo_cpu *b)
{
    if (mcq_topo_near(a, b))
        return 0;
    if (a->node == b->node && a->node != MCQ_TOPO_NONE)
        return 1;
    return a->package == b->package && a->package != MCQ_TOPO_NONE ? 2 : 3;
}

/* The free hardware thread for a shard's kernel thread: nearest first; of equally near ones a whole
 * core, then (with siblings) the shard's own. far: also beyond its L3. */
static uint32_t free_find(const struct mcq_topo_work *w, uint32_t shard_idx, bool far)
{
    const struct mcq_topo_cpu *cpus = w->facts->cpus, *mine = &cpus[shard_idx];
    uint32_t best = MCQ_TOPO_NONE, best_cost = UINT32_MAX;
    for (uint32_t i = 0; i < w->cnt; i++) {
        uint32_t idx = w->order[i];
        const struct mcq_topo_cpu *cpu = &cpus[idx];
        bool busy = w->busy[cpu->core];
        uint32_t dist = distance(cpu, mine);
        if (w->use[idx] != MCQ_TOPO_FREE || (busy && w->opts->smt != MCQ_SMT_USE) ||
            (dist != 0 && !far))
            continue;
        uint32_t cost = dist * 3 + (!busy ? 0 : cpu->core == mine->core ? 1 : 2);
        if (cost < best_cost) {
            best = idx;
            best_cost = cost;
        }
    }
    return best;
}

/* Of the user's list: the nearest, of equally near ones that with the fewest shards. */
static uint32_t listed_find(const struct mcq_topo_work *w, uint32_t shard_idx,
                            const uint32_t load[MCQ_CPUS_MAX])
{
    uint32_t best = MCQ_TOPO_NONE, best_cost = UINT32_MAX;
    for (uint32_t i = 0; i < w->kernel_cnt; i++) {
        uint32_t idx = w->kernel[i];
        uint32_t cost =
            distance(&w->facts->cpus[idx], &w->facts->cpus[shard_idx]) * (MCQ_SHARDS_MAX + 1) +
            load[idx];
        if (cost < best_cost) {
            best = idx;
            best_cost = cost;
        }
    }
    return best;
}

struct assignment {
    uint32_t load[MCQ_CPUS_MAX]; /* shards of each kernel thread */
    uint32_t kernel[MCQ_SHARDS_MAX];
    uint32_t thread_cnt, far_cnt;
};

/* Shards that follow one another under one L3 share a thread, sqpoll_share at most. */
static uint32_t kernel_of(struct mcq_topo_work *w, const struct assignment *a, uint32_t shard,
                          bool far)
{
    const struct mcq_topo_cpu *cpus = w->facts->cpus;
    uint32_t mine = w->place[shard];
    uint32_t before = shard == 0 ? MCQ_TOPO_NONE : a->kernel[shard - 1];
    if (w->kernel_list)
        return listed_find(w, mine, a->load);
    if (before != MCQ_TOPO_NONE && a->load[before] < w->opts->sqpoll_share &&
        mcq_topo_near(&cpus[w->place[shard - 1]], &cpus[mine]))
        return before;
    uint32_t idx = free_find(w, mine, far);
    if (idx != MCQ_TOPO_NONE)
        mcq_topo_take(w, idx, MCQ_TOPO_KERNEL);
    return idx;
}

/* For those that have none yet. far: also beyond their L3. */
static void assign(struct mcq_topo_work *w, struct assignment *a, bool far)
{
    const struct mcq_topo_cpu *cpus = w->facts->cpus;
    for (uint32_t i = 0; i < w->out->shard_cnt; i++) {
        if (a->kernel[i] != MCQ_TOPO_NONE || w->place[i] == MCQ_TOPO_NONE)
            continue;
        uint32_t idx = a->kernel[i] = kernel_of(w, a, i, far);
        if (idx == MCQ_TOPO_NONE)
            continue;
        a->thread_cnt += a->load[idx]++ == 0;
        a->far_cnt += distance(&cpus[idx], &cpus[w->place[i]]) != 0;
        w->out->shards[i].sqpoll_cpu = cpus[idx].cpu;
    }
}

static void withdraw(struct mcq_topo_work *w)
{
    for (uint32_t i = 0; i < w->out->shard_cnt; i++)
        w->out->shards[i].sqpoll_cpu = MCQ_TOPO_NONE;
}

static void missing_note(const struct mcq_topo_work *w)
{
    bool asked = w->opts->ring == MCQ_RING_SQPOLL;
    uint32_t missing = 0;
    for (uint32_t i = 0; i < w->out->shard_cnt; i++)
        missing += w->out->shards[i].sqpoll_cpu == MCQ_TOPO_NONE;
    if (missing != 0)
        mcq_topo_note(w->out, "ring %s: %u of %u shards have no CPU to spare for a kernel thread%s",
                      asked ? "sqpoll" : "auto", missing, w->out->shard_cnt,
                      asked ? "" : " under their L3");
}

static void quota_note(struct mcq_topo_work *w, uint32_t threads)
{
    bool asked = w->opts->ring == MCQ_RING_SQPOLL;
    uint64_t milli = w->facts->quota_milli;
    if (threads == 0 || milli == MCQ_TOPO_UNLIMITED ||
        milli >= (w->out->shard_cnt + (uint64_t)threads) * 1000)
        return;
    if (!asked)
        withdraw(w);
    mcq_topo_note(w->out,
                  "the cgroup's time is too short for %u kernel thread%s beside the shards: %s",
                  threads, threads == 1 ? "" : "s",
                  asked ? "expect to be throttled" : "ring auto does without");
}

void mcq_topo_kernel_place(struct mcq_topo_work *w)
{
    struct assignment a = {.thread_cnt = 0};
    bool asked = w->opts->ring == MCQ_RING_SQPOLL;
    if (!mcq_topo_kernel_wanted(w->opts) || (!asked && !w->out->may_spin))
        return;
    for (uint32_t i = 0; i < MCQ_SHARDS_MAX; i++)
        a.kernel[i] = MCQ_TOPO_NONE;
    if (w->out->may_spin)
        assign(w, &a, false);
    if (w->out->may_spin && asked)
        assign(w, &a, true);
    missing_note(w);
    if (a.far_cnt != 0)
        mcq_topo_note(w->out, "%u shard%s a kernel thread under another L3", a.far_cnt,
                      a.far_cnt == 1 ? " has" : "s have");
    quota_note(w, a.thread_cnt);
}
