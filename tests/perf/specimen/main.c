/*
 * perf-specimen DIR: an artefact of known samples, in every format, and the truth beside it.
 * DIR/truth.txt has a line `RESULT HISTOGRAM-TAG PPM NS` for exact percentiles of sorted samples
 * (PPM 0 is the least), and `RESULT HISTOGRAM-TAG cnt N`.
 */
#include "tests/unit/perf/specimen.h"

#include <stdio.h>
#include <stdlib.h>

#define SAMPLES   200000u
#define INTERVALS 4u

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void truth_write(FILE *to, unsigned result, const char *tag, uint64_t *samples, unsigned cnt)
{
    static const uint32_t ppms[] = {0, 100000, 500000, 900000, 990000, 999000, 999900, 1000000};
    qsort(samples, cnt, sizeof *samples, by_value);
    fprintf(to, "%u %s cnt %u\n", result, tag, cnt);
    for (size_t i = 0; i < sizeof ppms / sizeof ppms[0]; i++) {
        fprintf(to, "%u %s %u %llu\n", result, tag, ppms[i],
                (unsigned long long)samples[mcq_hdr_rank(cnt, ppms[i]) - 1]);
    }
}

static struct mcq_hdr *drawn(unsigned shape, unsigned run, uint64_t *samples, unsigned cnt)
{
    struct perf_random random = {.state = 1000 + 10 * shape + run};
    struct mcq_hdr *h = perf_hist_new();
    for (unsigned i = 0; i < cnt; i++) {
        samples[i] = specimen_sample(&random, shape);
        mcq_hdr_record(h, samples[i]);
    }
    return h;
}

static struct perf_result *shape_result(unsigned shape, FILE *truth)
{
    uint64_t *samples = perf_zeroed(SAMPLES, sizeof *samples);
    struct perf_result *r = perf_result_new("rtt", "specimen, \"a/b\"");
    perf_result_number(r, "shape", shape);
    struct perf_run *run = perf_run_add(r);
    struct mcq_hdr *h = drawn(shape, 0, samples, SAMPLES);
    perf_run_hist(run, PERF_HIST_RTT, h);
    perf_hist_end(h);
    truth_write(truth, shape, "run1-rtt", samples, SAMPLES);
    run->start_s = 1763900000.5 + shape;
    run->seconds = 2;
    run->metrics[PERF_METRIC_MSGS] = SAMPLES;
    free(samples);
    return r;
}

/* In the last result its run's intervals, instead of the whole run, are what the log has. */
static void intervals_add(struct perf_result *r, unsigned result, FILE *truth)
{
    uint64_t samples[5000];
    struct perf_run *run = &r->runs[0];
    run->interval_s = 0.5;
    run->interval_cnt = INTERVALS;
    run->intervals = perf_zeroed(INTERVALS, sizeof *run->intervals);
    for (unsigned i = 0; i < INTERVALS; i++) {
        char tag[32];
        run->intervals[i] = drawn(i, 7, samples, 5000);
        snprintf(tag, sizeof tag, "run1@%u", i);
        truth_write(truth, result, tag, samples, 5000);
    }
}

int main(int argc, char **argv)
{
    char path[4096];
    if (argc != 2) {
        fputs("usage: perf-specimen DIR (which exists)\n", stderr);
        return 2;
    }
    snprintf(path, sizeof path, "%s/truth.txt", argv[1]);
    FILE *truth = fopen(path, "w");
    if (truth == NULL) {
        perror(path);
        return 1;
    }
    struct perf_artefact *a = perf_artefact_new("rtt", argc, argv);
    for (unsigned shape = 0; shape < SPECIMEN_SHAPES; shape++) {
        perf_artefact_add(a, shape_result(shape, truth));
    }
    perf_artefact_add(a, shape_result(SPECIMEN_SHAPES, truth));
    intervals_add(a->results[SPECIMEN_SHAPES], SPECIMEN_SHAPES, truth);
    bool ok = perf_artefact_save(a, argv[1]);
    perf_artefact_end(a);
    return fclose(truth) == 0 && ok ? 0 : 1;
}
