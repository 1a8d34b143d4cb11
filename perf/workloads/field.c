#include "perf/workloads/field.h"

#include "perf/workloads/tell.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What a run takes besides its window: processes, connections, the end. */
#define OVERHEAD_S   0.25
#define WINDOW_MIN_S 0.1
#define WINDOW_MAX_S 1.0
#define WARMUP_SHARE 0.25
#define WARMUP_MAX_S 0.2
#define TRACED_S     0.1

static const char *const peers_default[] = {"mcq", "libzmq"};

static bool peer_has(const struct perf_peer *peer, unsigned roles)
{
    return peer->node != NULL && (peer->roles & roles) == roles;
}

static void peers_take(struct perf_field *f, unsigned roles)
{
    const struct perf_options *options = f->options;
    for (unsigned i = 0; i < options->peer_cnt; i++) {
        f->peers[f->peer_cnt++] = options->peers[i];
    }
    size_t usual = options->connect != NULL ? 1 : sizeof peers_default / sizeof peers_default[0];
    for (size_t i = 0; options->peer_cnt == 0 && i < usual; i++) {
        const struct perf_peer *peer = perf_peer_find(peers_default[i]);
        if (peer != NULL && peer->missing == NULL && peer_has(peer, roles)) {
            f->peers[f->peer_cnt++] = peer;
        }
    }
}

void perf_field_begin(struct perf_field *f, const struct perf_options *options, unsigned roles)
{
    *f = (struct perf_field){.options = options, .ok = true};
    f->artefact = perf_tell_begin(options);
    f->arms = perf_zeroed(PERF_RESULTS_MAX, sizeof *f->arms);
    f->runs = options->runs != 0 ? options->runs : options->quick ? 1 : PERF_FIELD_RUNS;
    peers_take(f, roles);
}

/* Against a stranger's server only our own client is placed, which has no threads. */
static unsigned places_of(const struct perf_field *f, const struct perf_peer *peer)
{
    return peer->has_threads && f->options->connect == NULL ? 2 : 1;
}

void perf_field_expect(struct perf_field *f, unsigned cases)
{
    const struct perf_options *options = f->options;
    unsigned arms = 0;
    for (unsigned i = 0; i < f->peer_cnt; i++) {
        arms += places_of(f, f->peers[i]) * cases;
    }
    double budget_s = options->quick ? PERF_FIELD_QUICK_S : PERF_FIELD_BUDGET_S;
    double each_s = arms > 0 ? budget_s / arms / f->runs - OVERHEAD_S : WINDOW_MAX_S;
    double window_s = each_s / (1 + WARMUP_SHARE);
    window_s = window_s < WINDOW_MIN_S ? WINDOW_MIN_S : window_s;
    window_s = window_s > WINDOW_MAX_S ? WINDOW_MAX_S : window_s;
    f->seconds = options->seconds > 0 ? options->seconds : window_s;
    double warmup_s = f->seconds * WARMUP_SHARE;
    warmup_s = warmup_s > WARMUP_MAX_S ? WARMUP_MAX_S : warmup_s;
    f->warmup_s = options->warmup_s >= 0 ? options->warmup_s : warmup_s;
}

static void reason_find(struct perf_arm *arm, unsigned roles, enum perf_transport transport)
{
    const struct perf_peer *peer = arm->peer;
    struct perf_cpus cpus = {0};
    if (peer->missing != NULL) {
        snprintf(arm->reason, sizeof arm->reason, "%s", peer->missing);
    } else if (!peer_has(peer, roles)) {
        snprintf(arm->reason, sizeof arm->reason, "%s doesn't have the roles for that", peer->name);
    } else if ((peer->transports & 1u << transport) == 0) {
        snprintf(arm->reason, sizeof arm->reason, "%s has no %s", peer->name,
                 perf_transport_name(transport));
    } else if (arm->idle == PERF_IDLE_SPIN && perf_cpus_find(&cpus) && cpus.allowed_cnt < 2) {
        snprintf(arm->reason, sizeof arm->reason,
                 "spinning needs two CPUs and one is allowed: use --idle block, or allow more "
                 "(taskset, cpuset)");
    }
}

static void arm_add(struct perf_field *f, const struct perf_peer *peer, enum perf_place place,
                    uint64_t param)
{
    const struct perf_options *options = f->options;
    char name[PERF_TEXT_MAX];
    snprintf(name, sizeof name, "%s%s", peer->name, place == PERF_PLACE_FREE ? ", free" : "");
    struct perf_result *r = perf_result_new(perf_command_name(options->command), name);
    perf_result_number(r, "size", (double)options->size);
    perf_result_text(r, "transport", perf_transport_name(options->transport));
    perf_result_text(r, "idle", perf_idle_name(options->idle));
    f->arms[f->cnt++] = (struct perf_arm){.peer = peer,
                                          .idle = perf_peer_idle(peer, options->idle),
                                          .place = place,
                                          .result = r,
                                          .param = param};
    perf_artefact_add(f->artefact, r);
}

void perf_field_add(struct perf_field *f, unsigned roles, uint64_t param, perf_case_fn *params,
                    void *ctx)
{
    for (unsigned i = 0; i < f->peer_cnt; i++) {
        for (unsigned place = 0; place < places_of(f, f->peers[i]); place++) {
            if (f->cnt == PERF_RESULTS_MAX) {
                fprintf(stderr, "mcq-perf: more than %u arms\n", PERF_RESULTS_MAX);
                f->ok = false;
                return;
            }
            arm_add(f, f->peers[i], (enum perf_place)place, param);
            struct perf_arm *arm = &f->arms[f->cnt - 1];
            reason_find(arm, roles, f->options->transport);
            params(ctx, param, arm->result);
        }
    }
}

static struct perf_run *valid_run(const struct perf_arm *arm)
{
    for (unsigned i = 0; i < arm->result->run_cnt; i++) {
        if (arm->result->runs[i].valid) {
            return &arm->result->runs[i];
        }
    }
    return NULL;
}

static void run_end(struct perf_run *run)
{
    for (unsigned i = 0; i < PERF_HIST_CNT; i++) {
        perf_hist_end(run->hists[i]);
    }
}

/* Into one run alone: the same figure in each would look as if it had been measured as often. */
static void arm_trace(struct perf_arm *arm, perf_measure_fn *measure, void *ctx)
{
    struct perf_run *to = valid_run(arm);
    struct perf_run *seen = perf_zeroed(1, sizeof *seen);
    char reason[PERF_REASON_MAX];
    seen->valid = true;
    if (to != NULL && measure(ctx, arm, seen, reason)) {
        to->metrics[PERF_METRIC_SERVER_CALLS] = seen->metrics[PERF_METRIC_SERVER_CALLS];
        to->metrics[PERF_METRIC_CLIENT_CALLS] = seen->metrics[PERF_METRIC_CLIENT_CALLS];
    }
    run_end(seen);
    free(seen);
}

void perf_field_run(struct perf_field *f, perf_measure_fn *measure, void *ctx)
{
    double seconds = f->seconds;
    struct perf_arm *arms = f->arms + f->begun;
    unsigned cnt = f->cnt - f->begun;
    f->ok = perf_arms_run(arms, cnt, f->runs, measure, ctx, f->options->quiet) && f->ok;
    f->trace = true;
    f->seconds = seconds < TRACED_S ? seconds : TRACED_S;
    for (unsigned i = 0; i < cnt && !f->options->no_trace; i++) {
        arm_trace(&arms[i], measure, ctx);
    }
    f->trace = false;
    f->seconds = seconds;
    f->begun = f->cnt;
}

/* --- figures -----------------------------------------------------------------------------------
 */

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* NAN: no valid run. */
static double rate_median(const struct perf_arm *arm)
{
    double values[PERF_RUNS_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < arm->result->run_cnt; i++) {
        if (arm->result->runs[i].valid) {
            values[n++] = arm->result->runs[i].metrics[PERF_METRIC_RATE];
        }
    }
    qsort(values, n, sizeof values[0], ascending);
    return n > 0 ? values[n / 2] : (double)NAN;
}

double perf_field_rate_least(const struct perf_field *f, uint64_t param)
{
    double least = 0;
    for (unsigned i = 0; i < f->cnt; i++) {
        if (f->arms[i].param != param || f->arms[i].place != PERF_PLACE_PINNED) {
            continue;
        }
        double rate = rate_median(&f->arms[i]);
        if (i + 1 < f->cnt && f->arms[i + 1].place == PERF_PLACE_FREE) {
            rate = fmax(rate, rate_median(&f->arms[i + 1]));
        }
        if (rate > 0 && (least <= 0 || rate < least)) {
            least = rate;
        }
    }
    return least;
}

int perf_field_end(struct perf_field *f)
{
    int status = perf_tell(f->options, f->artefact, f->ok);
    free(f->arms);
    f->arms = NULL;
    return status;
}

double perf_rate_rounded(double rate)
{
    double step = pow(10, floor(log10(rate)) - 1);
    double rounded = floor(rate / step) * step;
    return rounded < 1 ? 1 : rounded;
}
