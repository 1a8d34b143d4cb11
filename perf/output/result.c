#include "perf/output/result.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What only tells that a run may be believed, or what follows from another figure, is better
 * neither way: it is shown, and no verdict is made of it. */
const struct perf_kind perf_metric_kinds[PERF_METRIC_CNT] = {
    [PERF_METRIC_RATE] = {"msgs_per_s", "msg/s", PERF_BETTER_HIGH, 0},
    [PERF_METRIC_BYTES_RATE] = {"mb_per_s", "MB/s", PERF_BETTER_NEITHER, 1},
    [PERF_METRIC_RATE_ASKED] = {"asked_per_s", "msg/s", PERF_BETTER_NEITHER, 0},
    [PERF_METRIC_RATE_SHARE] = {"achieved_share", "", PERF_BETTER_NEITHER, 4},
    [PERF_METRIC_MSGS] = {"msgs", "", PERF_BETTER_NEITHER, 0},
    [PERF_METRIC_LATE] = {"late", "", PERF_BETTER_NEITHER, 0},
    [PERF_METRIC_LOST] = {"lost", "", PERF_BETTER_NEITHER, 0},
    [PERF_METRIC_DOUBLED] = {"doubled", "", PERF_BETTER_NEITHER, 0},
    [PERF_METRIC_DAMAGED] = {"damaged", "", PERF_BETTER_NEITHER, 0},
    [PERF_METRIC_DROPPED] = {"dropped", "", PERF_BETTER_LOW, 0},
    [PERF_METRIC_SERVER_CPU] = {"server_cpu_s", "s", PERF_BETTER_NEITHER, 3},
    [PERF_METRIC_CLIENT_CPU] = {"client_cpu_s", "s", PERF_BETTER_NEITHER, 3},
    [PERF_METRIC_SERVER_CPU_MSG] = {"server_cpu_ns_per_msg", "ns", PERF_BETTER_LOW, 1},
    [PERF_METRIC_CLIENT_CPU_MSG] = {"client_cpu_ns_per_msg", "ns", PERF_BETTER_LOW, 1},
    [PERF_METRIC_SERVER_CALLS] = {"server_syscalls_per_msg", "", PERF_BETTER_LOW, 3},
    [PERF_METRIC_CLIENT_CALLS] = {"client_syscalls_per_msg", "", PERF_BETTER_LOW, 3},
    [PERF_METRIC_SERVER_SWITCHES] = {"server_switches_forced", "", PERF_BETTER_NEITHER, 0},
    [PERF_METRIC_CLIENT_SWITCHES] = {"client_switches_forced", "", PERF_BETTER_NEITHER, 0},
    [PERF_METRIC_CONNECT_RATE] = {"connections_per_s", "conn/s", PERF_BETTER_HIGH, 0},
    [PERF_METRIC_CONN_BYTES] = {"connection_bytes", "B", PERF_BETTER_LOW, 0},
    [PERF_METRIC_CONN_PSS_BYTES] = {"connection_pss_bytes", "B", PERF_BETTER_LOW, 0},
    [PERF_METRIC_CONN_KERNEL_BYTES] = {"connection_kernel_bytes", "B", PERF_BETTER_LOW, 0},
    [PERF_METRIC_CONN_BUFFERS] = {"connection_buffers", "", PERF_BETTER_LOW, 2},
    [PERF_METRIC_SERVER_RSS] = {"server_rss_bytes", "B", PERF_BETTER_LOW, 0},
    [PERF_METRIC_CONN_SHARE] = {"connection_share_bytes", "B", PERF_BETTER_LOW, 0},
    [PERF_METRIC_FAIRNESS] = {"fairness", "", PERF_BETTER_HIGH, 3},
    [PERF_METRIC_RSS_SLOPE] = {"rss_bytes_per_min", "B/min", PERF_BETTER_LOW, 0},
    [PERF_METRIC_FDS_SLOPE] = {"fds_per_min", "1/min", PERF_BETTER_LOW, 2},
    [PERF_METRIC_BUFFERS_SLOPE] = {"buffers_per_min", "1/min", PERF_BETTER_LOW, 2},
    [PERF_METRIC_CLIENT_RSS_SLOPE] = {"client_rss_bytes_per_min", "B/min", PERF_BETTER_LOW, 0},
    [PERF_METRIC_CLIENT_FDS_SLOPE] = {"client_fds_per_min", "1/min", PERF_BETTER_LOW, 2},
    [PERF_METRIC_FLOOR] = {"floor_us", "us", PERF_BETTER_NEITHER, 2},
    [PERF_METRIC_LOST_TIME] = {"lost_time_percent", "%", PERF_BETTER_LOW, 4},
    [PERF_METRIC_GAP_RATE] = {"gaps_per_s", "1/s", PERF_BETTER_LOW, 1},
};

const struct perf_kind perf_hist_kinds[PERF_HIST_CNT] = {
    [PERF_HIST_RTT] = {"rtt", "us", PERF_BETTER_LOW, 2},
    [PERF_HIST_RESPONSE] = {"response", "us", PERF_BETTER_LOW, 2},
    [PERF_HIST_SERVICE] = {"service", "us", PERF_BETTER_LOW, 2},
    [PERF_HIST_LAG] = {"lag", "us", PERF_BETTER_NEITHER, 2},
    [PERF_HIST_ONE_WAY] = {"one_way", "us", PERF_BETTER_LOW, 2},
    [PERF_HIST_LAST] = {"last", "us", PERF_BETTER_LOW, 2},
    [PERF_HIST_SKEW] = {"skew", "us", PERF_BETTER_LOW, 2},
    [PERF_HIST_CONNECT] = {"connect", "us", PERF_BETTER_LOW, 2},
    [PERF_HIST_GAP] = {"gap", "us", PERF_BETTER_LOW, 2},
    [PERF_HIST_OTHERS] = {"others", "us", PERF_BETTER_LOW, 2},
};

const struct perf_kind perf_series_kinds[PERF_SERIES_CNT] = {
    [PERF_SERIES_RATE] = {"msgs_per_s", "msg/s", PERF_BETTER_HIGH, 0},
    [PERF_SERIES_P50] = {"p50_us", "us", PERF_BETTER_LOW, 2},
    [PERF_SERIES_P99] = {"p99_us", "us", PERF_BETTER_LOW, 2},
    [PERF_SERIES_MAX] = {"max_us", "us", PERF_BETTER_LOW, 2},
    [PERF_SERIES_RSS] = {"rss_bytes", "B", PERF_BETTER_LOW, 0},
    [PERF_SERIES_FDS] = {"fds", "", PERF_BETTER_LOW, 0},
    [PERF_SERIES_BUFFERS] = {"buffers", "", PERF_BETTER_LOW, 0},
};

const uint32_t perf_point_ppm[PERF_POINT_CNT] = {500000, 900000, 990000, 999000,
                                                 999900, 999990, 1000000};
const char *const perf_point_names[PERF_POINT_CNT] = {"p50",   "p90",    "p99", "p999",
                                                      "p9999", "p99999", "max"};

double perf_point_us(const struct mcq_hdr *h, unsigned point)
{
    uint64_t cnt = mcq_hdr_cnt(h);
    uint32_t ppm = perf_point_ppm[point];
    if (cnt == 0) {
        return NAN;
    }
    if (ppm != MCQ_HDR_PPM_MAX && cnt - mcq_hdr_rank(cnt, ppm) < PERF_ABOVE_MIN) {
        return NAN;
    }
    return (double)mcq_hdr_percentile(h, ppm) / 1e3;
}

void *perf_zeroed(size_t cnt, size_t len)
{
    void *data = calloc(cnt, len);
    if (data == NULL) {
        fputs("mcq-perf: out of memory\n", stderr);
        exit(1);
    }
    return data;
}

struct perf_result *perf_result_new(const char *workload, const char *arm)
{
    struct perf_result *r = perf_zeroed(1, sizeof *r);
    r->workload = workload;
    snprintf(r->arm, sizeof r->arm, "%s", arm);
    return r;
}

static void run_end(struct perf_run *run)
{
    for (unsigned i = 0; i < PERF_HIST_CNT; i++) {
        perf_hist_end(run->hists[i]);
    }
    for (unsigned i = 0; i < PERF_SERIES_CNT; i++) {
        free(run->series[i]);
    }
    for (uint32_t i = 0; run->intervals != NULL && i < run->interval_cnt; i++) {
        perf_hist_end(run->intervals[i]);
    }
    free(run->intervals);
}

void perf_result_end(struct perf_result *r)
{
    if (r == NULL) {
        return;
    }
    for (unsigned i = 0; i < r->run_cnt; i++) {
        run_end(&r->runs[i]);
    }
    free(r);
}

static struct perf_param *param_add(struct perf_result *r, const char *name)
{
    if (r->param_cnt == PERF_PARAMS_MAX) {
        return NULL;
    }
    struct perf_param *param = &r->params[r->param_cnt++];
    param->name = name;
    return param;
}

void perf_result_text(struct perf_result *r, const char *name, const char *text)
{
    struct perf_param *param = param_add(r, name);
    if (param != NULL) {
        snprintf(param->text, sizeof param->text, "%s", text);
    }
}

void perf_result_number(struct perf_result *r, const char *name, double value)
{
    struct perf_param *param = param_add(r, name);
    if (param != NULL) {
        snprintf(param->text, sizeof param->text, "%.15g", value);
        param->number = isfinite(value);
    }
}

struct perf_run *perf_run_add(struct perf_result *r)
{
    if (r->run_cnt == PERF_RUNS_MAX) {
        return NULL;
    }
    struct perf_run *run = &r->runs[r->run_cnt++];
    run->valid = true;
    for (unsigned i = 0; i < PERF_METRIC_CNT; i++) {
        run->metrics[i] = NAN;
    }
    return run;
}

void perf_run_refuse(struct perf_run *run, const char *format, ...)
{
    if (!run->valid) {
        return;
    }
    run->valid = false;
    va_list args;
    va_start(args, format);
    vsnprintf(run->reason, sizeof run->reason, format, args);
    va_end(args);
}

void perf_run_hist(struct perf_run *run, enum perf_hist kind, const struct mcq_hdr *h)
{
    if (run->hists[kind] == NULL) {
        run->hists[kind] = perf_hist_new();
    } else {
        mcq_hdr_reset(run->hists[kind]);
    }
    mcq_hdr_merge(run->hists[kind], h);
}

/* Not by mcq_hdr_init, which would touch every page of it: an hour of soak has 3,600 of these. */
struct mcq_hdr *perf_hist_new(void)
{
    struct mcq_hdr *h = perf_zeroed(1, sizeof *h);
    h->counts = perf_zeroed(mcq_hdr_counts_cnt(PERF_HIST_MAX_NS), sizeof *h->counts);
    h->value_max = PERF_HIST_MAX_NS;
    h->min = UINT64_MAX;
    return h;
}

void perf_hist_end(struct mcq_hdr *h)
{
    if (h != NULL) {
        free(h->counts);
        free(h);
    }
}

struct hist_place {
    struct mcq_hdr hdr;
    uint64_t counts[];
};

size_t perf_hist_len(void)
{
    return sizeof(struct hist_place) + mcq_hdr_counts_cnt(PERF_HIST_MAX_NS) * sizeof(uint64_t);
}

struct mcq_hdr *perf_hist_at(void *place)
{
    struct hist_place *at = place;
    mcq_hdr_init(&at->hdr, at->counts, mcq_hdr_counts_cnt(PERF_HIST_MAX_NS), PERF_HIST_MAX_NS);
    return &at->hdr;
}
