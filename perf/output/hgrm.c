#include "perf/output/hgrm.h"

#include "perf/output/hist.h"

#include <math.h>

#define PER_HALF 5u

/* What the foot of the format calls the histogram's size. */
#define SUB_BUCKETS 2048u

static unsigned buckets_of(const struct mcq_hdr *h)
{
    unsigned cnt = 1;
    for (uint64_t reach = SUB_BUCKETS; reach <= h->value_max; reach *= 2) {
        cnt++;
    }
    return cnt;
}

void perf_hgrm_write(const struct mcq_hdr *h, FILE *to)
{
    struct perf_climb climb = {.h = h, .per_half = PER_HALF};
    struct perf_moments moments = perf_hist_moments(h);
    bool some = mcq_hdr_cnt(h) > 0;
    fprintf(to, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    while (perf_climb_next(&climb)) {
        double share = climb.percentile / 100;
        fprintf(to, "%12.3f %2.12f %10llu", climb.value_us, share, (unsigned long long)climb.cnt);
        /* There is no 1/0 in the last line. */
        if (climb.percentile < 100) {
            fprintf(to, " %14.2f\n", 1 / (1 - share));
        } else {
            fprintf(to, "\n");
        }
    }
    fprintf(to, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", some ? moments.mean_us : 0,
            some ? moments.stddev_us : 0);
    fprintf(to, "#[Max     = %12.3f, Total count    = %12llu]\n", (double)h->max / 1e3,
            (unsigned long long)mcq_hdr_cnt(h));
    fprintf(to, "#[Buckets = %12u, SubBuckets     = %12u]\n", buckets_of(h), SUB_BUCKETS);
}
