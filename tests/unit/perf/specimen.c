#include "specimen.h"

#include <math.h>
#include <stdlib.h>

uint64_t specimen_sample(struct perf_random *r, unsigned shape)
{
    double u = perf_random_share(r);
    switch (shape) {
    case 0: /* even from 0 to 100 us */
        return (uint64_t)(u * 1e5);
    case 1: /* exponential */
        return (uint64_t)(-log(1 - u) * 1e4);
    case 2: /* a heavy tail, up to minutes */
        return (uint64_t)(8000 / pow(1 - u, 1.3));
    case 3: /* two modes */
        return (uint64_t)(perf_random_below(r, 50) == 0 ? 2e6 + u * 1e5 : 8e3 + u * 500);
    case 4: /* the same again and again */
        return 12345;
    default: /* from 1 ns to minutes, each decade as often */
        return (uint64_t)exp(u * log(1e11));
    }
}

static void run_fill(struct perf_run *run, struct perf_random *r, double factor, double rate)
{
    struct mcq_hdr *h = perf_hist_new();
    double mood = 1 + 0.02 * (perf_random_share(r) - 0.5);
    for (unsigned i = 0; i < 20000; i++) {
        double ns = 8e3 - log(1 - perf_random_share(r)) * 1e3;
        mcq_hdr_record(h, (uint64_t)(ns * factor * mood));
    }
    perf_run_hist(run, PERF_HIST_RESPONSE, h);
    perf_run_hist(run, PERF_HIST_SERVICE, h);
    perf_hist_end(h);
    run->start_s = 1763900000.25;
    run->seconds = 1.5;
    run->metrics[PERF_METRIC_RATE] = rate;
    run->metrics[PERF_METRIC_SERVER_CPU_MSG] = 900 * factor * mood;
    run->main = PERF_HIST_RESPONSE;
}

static void intervals_fill(struct perf_run *run, struct perf_random *r)
{
    run->interval_cnt = 3;
    run->interval_s = 0.5;
    run->intervals = perf_zeroed(3, sizeof *run->intervals);
    run->series[PERF_SERIES_P99] = perf_zeroed(3, sizeof(double));
    for (unsigned i = 0; i < 3; i++) {
        run->intervals[i] = perf_hist_new();
        for (unsigned n = 0; n < 1000; n++) {
            mcq_hdr_record(run->intervals[i], specimen_sample(r, i));
        }
        run->series[PERF_SERIES_P99][i] = i == 1 ? NAN : perf_point_us(run->intervals[i], 2);
    }
}

struct perf_result *specimen_result(const char *arm, unsigned runs, double factor, double rate)
{
    struct perf_random random = {.state = 77 + (uint64_t)(factor * 1000) + (uint64_t)arm[0]};
    struct perf_result *r = perf_result_new("load", arm);
    perf_result_number(r, "rate", rate);
    perf_result_text(r, "transport", "tcp");
    for (unsigned i = 0; i < runs; i++) {
        struct perf_run *run = perf_run_add(r);
        run_fill(run, &random, factor, rate);
        if (i == 0) {
            intervals_fill(run, &random);
        }
    }
    return r;
}

struct perf_artefact *specimen_artefact(unsigned runs, double factor)
{
    static char *words[] = {"load", "--rate=\"1\"\n</script>", "\xff\xfe"};
    struct perf_artefact *a = perf_artefact_new("load", 3, words);
    a->env.facts[a->env.cnt++] = (struct perf_fact){"host", "kernel", "6.1 \"x\""};
    a->env.facts[a->env.cnt++] = (struct perf_fact){"cpu", "model", "Abacus"};
    a->env.facts[a->env.cnt++] = (struct perf_fact){"host", "command line", "quiet"};
    perf_artefact_add(a, specimen_result("mcq", runs, 1, 1000));
    perf_artefact_add(a, specimen_result("other", runs, factor, 1000));
    perf_artefact_add(a, specimen_result("mcq", runs, 1, 2000));
    perf_artefact_add(a, specimen_result("other", runs, factor, 2000));
    perf_artefact_compare(a);
    return a;
}

char *specimen_json(const struct perf_artefact *a, size_t *len)
{
    char *text = NULL;
    FILE *to = open_memstream(&text, len);
    if (to == NULL || !perf_artefact_json(a, to)) {
        abort();
    }
    fclose(to);
    return text;
}
