#include "perf/workloads/flatness.h"

#include "perf/workloads/idle.h"
#include "perf/workloads/soak.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CNT   120u
#define PAGES 64u

static double values[CNT];

Test(flatness, a_leak_has_its_slope)
{
    for (unsigned i = 0; i < CNT; i++) {
        values[i] = 50e6 + 1000.0 * i;
    }
    cr_assert_float_eq(perf_flatness_slope(values, CNT, 1), 60000, 1e-3);
    cr_assert_float_eq(perf_flatness_slope(values, CNT, 2), 30000, 1e-3);
}

Test(flatness, what_is_flat_is_flat)
{
    for (unsigned i = 0; i < CNT; i++) {
        values[i] = 1e12;
    }
    cr_assert_eq(perf_flatness_slope(values, CNT, 1), 0);
}

/* What a process takes while it settles is no leak; what comes back isn't either. */
Test(flatness, settling_is_no_leak)
{
    for (unsigned i = 0; i < CNT; i++) {
        values[i] = i < CNT / 10 ? i * 1e6 : 20e6 + (i % 2) * 4096.0;
    }
    cr_assert_float_eq(perf_flatness_slope(values, CNT, 1), 0, 100);
}

Test(flatness, unknown_values)
{
    for (unsigned i = 0; i < CNT; i++) {
        values[i] = (double)NAN;
    }
    cr_assert(isnan(perf_flatness_slope(values, CNT, 1)));
    values[20] = values[60] = 5;
    cr_assert(isnan(perf_flatness_slope(values, CNT, 1)));
    for (unsigned i = 0; i < CNT; i += 3) {
        values[i] = 3.0 * i;
    }
    values[20] = 60;
    values[60] = 180;
    cr_assert(isnan(perf_flatness_slope(values, 2, 1)));
}

/* This process leaks memory and descriptors, one of each per interval. */
Test(flatness, a_planted_leak_is_seen)
{
    struct perf_result *result = perf_result_new("soak", "test");
    struct perf_run *run = perf_run_add(result);
    struct perf_flatness flatness;
    void *kept[30];
    int fds[30];
    size_t len = PAGES * (size_t)sysconf(_SC_PAGESIZE);
    pid_t pids[2] = {getpid(), getpid()};
    perf_flatness_init(&flatness, 30, 1);
    for (uint32_t i = 0; i < 30; i++) {
        kept[i] = malloc(len);
        memset(kept[i], 1, len);
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        perf_flatness_look(&flatness, i, pids, i % 3 == 0 ? UINT64_MAX : 7 * i);
    }
    perf_flatness_tell(&flatness, run);
    double per_min = (double)len * 60;
    cr_assert_float_eq(run->metrics[PERF_METRIC_RSS_SLOPE], per_min, per_min / 5);
    cr_assert_float_eq(run->metrics[PERF_METRIC_CLIENT_RSS_SLOPE], per_min, per_min / 5);
    cr_assert_float_eq(run->metrics[PERF_METRIC_FDS_SLOPE], 60, 1e-6);
    cr_assert_float_eq(run->metrics[PERF_METRIC_BUFFERS_SLOPE], 7 * 60, 1e-6);
    cr_assert_eq(run->series[PERF_SERIES_BUFFERS][3], 14); /* unknown: that of before */
    cr_assert_eq(run->series[PERF_SERIES_FDS][29] - run->series[PERF_SERIES_FDS][0], 29);
    for (unsigned i = 0; i < 30; i++) {
        free(kept[i]);
        close(fds[i]);
    }
    perf_flatness_end(&flatness);
    perf_result_end(result);
}

/* Without a server of ours the client's are what is drawn, and nothing is said of the other. */
Test(flatness, a_strangers_server)
{
    struct perf_result *result = perf_result_new("soak", "test");
    struct perf_run *run = perf_run_add(result);
    struct perf_flatness flatness;
    pid_t pids[2] = {0, getpid()};
    perf_flatness_init(&flatness, 5, 1);
    for (uint32_t i = 0; i < 6; i++) {
        perf_flatness_look(&flatness, i, pids, UINT64_MAX);
    }
    perf_flatness_tell(&flatness, run);
    cr_assert(isnan(run->metrics[PERF_METRIC_FDS_SLOPE]));
    cr_assert_eq(run->metrics[PERF_METRIC_CLIENT_FDS_SLOPE], 0);
    cr_assert_gt(run->series[PERF_SERIES_RSS][4], 0);
    cr_assert_null(run->series[PERF_SERIES_BUFFERS]);
    perf_flatness_end(&flatness);
    perf_result_end(result);
}

Test(flatness, intervals_are_bounded)
{
    cr_assert_eq(perf_soak_interval(15), 1);
    cr_assert_eq(perf_soak_interval(3600), 1);
    cr_assert_eq(perf_soak_interval(86400), 24);
    cr_assert_eq(perf_soak_interval(5), 0.5);
    cr_assert_eq(perf_soak_interval(1), PERF_SOAK_INTERVAL_MIN);
    for (double s = 1; s < 90000; s += 77) {
        cr_assert_leq(ceil(s / perf_soak_interval(s)), PERF_SOAK_INTERVALS_MAX);
    }
}

Test(flatness, samples_after_a_gap)
{
    cr_assert_eq(perf_idle_samples(1e4, 1, 0), 1000);
    cr_assert_eq(perf_idle_samples(1e6, 1, 0), 1000);
    cr_assert_eq(perf_idle_samples(1e7, 1, 0), 100);
    cr_assert_eq(perf_idle_samples(1e10, 1, 0), 1);
    cr_assert_eq(perf_idle_samples(1e7, 10, 50), 50);
}
