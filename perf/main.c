/*
 * mcq-perf: what a message costs, here, now, beside libzmq and beside bare sockets.
 * Exit status: enum perf_exit.
 */
#include "perf/options.h"
#include "perf/output/report_page.h"
#include "perf/stats/ab.h"
#include "perf/stats/gate.h"
#include "perf/workloads/compare.h"
#include "perf/workloads/connect.h"
#include "perf/workloads/fanin.h"
#include "perf/workloads/fanout.h"
#include "perf/workloads/hop.h"
#include "perf/workloads/idle.h"
#include "perf/workloads/jitter.h"
#include "perf/workloads/load.h"
#include "perf/workloads/rtt.h"
#include "perf/workloads/scale.h"
#include "perf/workloads/serve.h"
#include "perf/workloads/slow.h"
#include "perf/workloads/soak.h"
#include "perf/workloads/sweep.h"
#include "perf/workloads/tell.h"
#include "perf/workloads/throughput.h"

#include <signal.h>
#include <stdio.h>

typedef int main_fn(const struct perf_options *options);

static main_fn *const mains[PERF_COMMAND_CNT] = {
    /* clang-format off */
    [PERF_COMMAND_RTT] = perf_rtt_main,
    [PERF_COMMAND_THROUGHPUT] = perf_throughput_main,
    [PERF_COMMAND_COMPARE] = perf_compare_main,
    [PERF_COMMAND_SLOW] = perf_slow_main,
    [PERF_COMMAND_HOP] = perf_hop_main,
    [PERF_COMMAND_LOAD] = perf_load_main,
    [PERF_COMMAND_SWEEP] = perf_sweep_main,
    [PERF_COMMAND_IDLE] = perf_idle_main,
    [PERF_COMMAND_SOAK] = perf_soak_main,
    [PERF_COMMAND_JITTER] = perf_jitter_main,
    [PERF_COMMAND_FANOUT] = perf_fanout_main,
    [PERF_COMMAND_FANIN] = perf_fanin_main,
    [PERF_COMMAND_CONNECT] = perf_connect_main,
    [PERF_COMMAND_SCALE] = perf_scale_main,
    [PERF_COMMAND_SERVE] = perf_serve_main,
    [PERF_COMMAND_REPORT] = perf_report_main,
    [PERF_COMMAND_GATE] = perf_gate_main,
    [PERF_COMMAND_AB] = perf_ab_main,
    /* clang-format on */
};

static int command_run(const struct perf_options *options)
{
    if (mains[options->command] == NULL) {
        fprintf(stderr, "mcq-perf: this build has no %s\n", perf_command_name(options->command));
        return PERF_EXIT_USAGE;
    }
    if (options->command < PERF_COMMAND_SERVE && !options->quiet) {
        perf_tell_start();
    }
    return mains[options->command](options);
}

int main(int argc, char **argv)
{
    struct perf_options options;
    signal(SIGPIPE, SIG_IGN);
    switch (perf_options_parse(&options, argc, argv)) {
    case PERF_PARSE_RUN:
        return command_run(&options);
    case PERF_PARSE_HELP:
        perf_options_help();
        return PERF_EXIT_MEASURED;
    case PERF_PARSE_BAD:
        return PERF_EXIT_USAGE;
    }
    return PERF_EXIT_USAGE;
}
