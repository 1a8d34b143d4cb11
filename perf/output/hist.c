#include "perf/output/hist.h"

#include <math.h>

static double step_middle(size_t idx)
{
    double first = idx == 0 ? 0 : (double)mcq_hdr_step_end(idx - 1) + 1;
    return (first + (double)mcq_hdr_step_end(idx)) / 2;
}

/* Records out of range count as the longest of all. */
struct perf_moments perf_hist_moments(const struct mcq_hdr *h)
{
    double cnt = (double)mcq_hdr_cnt(h);
    if (!(cnt > 0)) {
        return (struct perf_moments){NAN, NAN};
    }
    size_t steps = mcq_hdr_counts_cnt(h->value_max);
    double over = (double)h->over_cnt;
    double sum = over > 0 ? over * (double)h->max : 0;
    for (size_t i = 0; i < steps; i++) {
        sum += h->counts[i] > 0 ? (double)h->counts[i] * step_middle(i) : 0;
    }
    double mean = sum / cnt;
    double squares = over > 0 ? over * ((double)h->max - mean) * ((double)h->max - mean) : 0;
    for (size_t i = 0; i < steps; i++) {
        double off = step_middle(i) - mean;
        squares += h->counts[i] > 0 ? (double)h->counts[i] * off * off : 0;
    }
    return (struct perf_moments){mean / 1e3, sqrt(squares / cnt) / 1e3};
}

struct mcq_hdr *perf_hist_together(const struct perf_result *r, enum perf_hist kind)
{
    struct mcq_hdr *all = NULL;
    for (unsigned i = 0; i < r->run_cnt; i++) {
        const struct perf_run *run = &r->runs[i];
        if (!run->valid || run->hists[kind] == NULL) {
            continue;
        }
        all = all != NULL ? all : perf_hist_new();
        mcq_hdr_merge(all, run->hists[kind]);
    }
    return all;
}

static double percentile_of(const struct perf_climb *climb)
{
    unsigned halves = climb->tick / climb->per_half;
    unsigned within = climb->tick % climb->per_half;
    double left = pow(0.5, halves);
    return 100 * (1 - left + left / 2 * within / climb->per_half);
}

/* To the step of the record with this rank. */
static void climb_to(struct perf_climb *climb, uint64_t rank)
{
    const struct mcq_hdr *h = climb->h;
    if (climb->tick == 0) {
        climb->seen_cnt = h->counts[0];
    }
    while (climb->seen_cnt < rank && rank <= h->in_cnt) {
        climb->seen_cnt += h->counts[++climb->idx];
    }
    double end = (double)mcq_hdr_step_end(climb->idx);
    climb->cnt = rank <= h->in_cnt ? climb->seen_cnt : mcq_hdr_cnt(h);
    climb->value_us = (rank <= h->in_cnt ? fmin(end, (double)h->max) : (double)h->max) / 1e3;
}

bool perf_climb_next(struct perf_climb *climb)
{
    uint64_t cnt = mcq_hdr_cnt(climb->h);
    if (cnt == 0 || climb->percentile >= 100) {
        return false;
    }
    double percentile = percentile_of(climb);
    uint64_t rank = (uint64_t)ceil(percentile / 100 * (double)cnt);
    climb_to(climb, rank > 0 ? rank : 1);
    /* The last record was reached before: what follows would be the same line again and again. */
    climb->percentile = !climb->steady && climb->tick > 0 && climb->cnt == cnt ? 100 : percentile;
    climb->tick++;
    if (climb->percentile >= 100) {
        climb->value_us = (double)climb->h->max / 1e3;
    }
    return true;
}
