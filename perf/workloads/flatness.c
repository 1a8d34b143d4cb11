#include "perf/workloads/flatness.h"

#include "perf/run/crew.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTLING   10u /* the first tenth */
#define VALUES_MIN 3u

static double *unknown(uint32_t cnt)
{
    double *values = perf_zeroed(cnt, sizeof *values);
    for (uint32_t i = 0; i < cnt; i++) {
        values[i] = (double)NAN;
    }
    return values;
}

void perf_flatness_init(struct perf_flatness *flatness, uint32_t cnt, double interval_s)
{
    *flatness = (struct perf_flatness){.cnt = cnt, .interval_s = interval_s};
    for (unsigned side = 0; side < 2; side++) {
        flatness->rss[side] = unknown(cnt);
        flatness->fds[side] = unknown(cnt);
    }
    flatness->buffers = unknown(cnt);
}

void perf_flatness_end(struct perf_flatness *flatness)
{
    for (unsigned side = 0; side < 2; side++) {
        free(flatness->rss[side]);
        free(flatness->fds[side]);
    }
    free(flatness->buffers);
}

static double own_bytes(pid_t pid)
{
    char path[64];
    unsigned long long total, resident, shared;
    double bytes = (double)NAN;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return bytes;
    }
    if (fscanf(file, "%llu %llu %llu", &total, &resident, &shared) == 3) {
        bytes = (double)(resident - shared) * (double)sysconf(_SC_PAGESIZE);
    }
    fclose(file);
    return bytes;
}

static double fd_cnt(pid_t pid)
{
    char path[64];
    double cnt = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return (double)NAN;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        cnt += entry->d_name[0] != '.' ? 1 : 0;
    }
    closedir(dir);
    return cnt;
}

void perf_flatness_look(struct perf_flatness *flatness, uint32_t idx, const pid_t *pids,
                        uint64_t buffers)
{
    if (idx >= flatness->cnt || !isnan(flatness->rss[PERF_CLIENT][idx])) {
        return;
    }
    for (unsigned side = 0; side < 2; side++) {
        if (pids[side] != 0) {
            flatness->rss[side][idx] = own_bytes(pids[side]);
            flatness->fds[side][idx] = fd_cnt(pids[side]);
        }
    }
    flatness->buffers[idx] = buffers == UINT64_MAX ? (double)NAN : (double)buffers;
}

double perf_flatness_slope(const double *values, uint32_t cnt, double interval_s)
{
    double n = 0, base = 0, sum_x = 0, sum_y = 0, sum_xx = 0, sum_xy = 0;
    for (uint32_t i = cnt / SETTLING; i < cnt; i++) {
        double x = i * interval_s / 60;
        if (!isnan(values[i])) {
            base = n == 0 ? values[i] : base; /* keeps the sums exact */
            n++;
            sum_x += x;
            sum_y += values[i] - base;
            sum_xx += x * x;
            sum_xy += x * (values[i] - base);
        }
    }
    double spread = n * sum_xx - sum_x * sum_x;
    return n < VALUES_MIN || spread <= 0 ? (double)NAN : (n * sum_xy - sum_x * sum_y) / spread;
}

/* An interval between two ticks of the parent's has the value before it. */
static double *filled(const double *values, uint32_t cnt)
{
    double *copy = perf_zeroed(cnt, sizeof *copy);
    double last = (double)NAN;
    for (uint32_t i = 0; i < cnt; i++) {
        last = isnan(values[i]) ? last : values[i];
        copy[i] = last;
    }
    return copy;
}

static bool some(const double *values, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++) {
        if (!isnan(values[i])) {
            return true;
        }
    }
    return false;
}

static double slope(const struct perf_flatness *flatness, const double *values)
{
    return perf_flatness_slope(values, flatness->cnt, flatness->interval_s);
}

void perf_flatness_tell(const struct perf_flatness *flatness, struct perf_run *run)
{
    uint32_t cnt = flatness->cnt;
    unsigned side = some(flatness->rss[PERF_SERVER], cnt) ? PERF_SERVER : PERF_CLIENT;
    run->series[PERF_SERIES_RSS] = filled(flatness->rss[side], cnt);
    run->series[PERF_SERIES_FDS] = filled(flatness->fds[side], cnt);
    if (some(flatness->buffers, cnt)) {
        run->series[PERF_SERIES_BUFFERS] = filled(flatness->buffers, cnt);
    }
    run->metrics[PERF_METRIC_RSS_SLOPE] = slope(flatness, flatness->rss[PERF_SERVER]);
    run->metrics[PERF_METRIC_FDS_SLOPE] = slope(flatness, flatness->fds[PERF_SERVER]);
    run->metrics[PERF_METRIC_BUFFERS_SLOPE] = slope(flatness, flatness->buffers);
    run->metrics[PERF_METRIC_CLIENT_RSS_SLOPE] = slope(flatness, flatness->rss[PERF_CLIENT]);
    run->metrics[PERF_METRIC_CLIENT_FDS_SLOPE] = slope(flatness, flatness->fds[PERF_CLIENT]);
}
