/*
 * mcq-perf: what a message costs, here, now, beside libzmq and beside bare sockets.
 * Exit status: 0 measured, 1 something couldn't be measured, 2 wrong usage.
 */
#include "perf/options.h"
#include "perf/output/report.h"
#include "perf/workloads/compare.h"
#include "perf/workloads/hop.h"
#include "perf/workloads/slow.h"

#include <signal.h>

enum { EXIT_MEASURED = 0, EXIT_MISSING = 1, EXIT_USAGE = 2 };

static int rtt_main(const struct perf_options *options)
{
    const struct perf_peer *peer = options->peer;
    struct perf_rtt_job job = {
        .size = options->size,
        .count = options->count,
        .idle = perf_report_idle(peer, options->idle),
    };
    struct perf_rtt_result result;
    char reason[PERF_REASON_MAX];
    if (job.count == 0) {
        job.count = job.idle == PERF_IDLE_SPIN ? PERF_RTT_COUNT_SPIN : PERF_RTT_COUNT_BLOCK;
    }
    if (!perf_rtt_measure_best(peer, &job, &result, reason)) {
        perf_report_missing("rtt", peer, reason, options->json);
        return EXIT_MISSING;
    }
    perf_report_rtt(peer, &job, &result, options->json);
    return EXIT_MEASURED;
}

static int throughput_main(const struct perf_options *options)
{
    const struct perf_peer *peer = options->peer;
    struct perf_rate_job job = {
        .size = options->size,
        .seconds = options->seconds > 0 ? options->seconds : PERF_SECONDS_DEFAULT,
    };
    struct perf_rate_result result;
    char reason[PERF_REASON_MAX];
    if (!perf_rate_measure_best(peer, &job, &result, reason)) {
        perf_report_missing("throughput", peer, reason, options->json);
        return EXIT_MISSING;
    }
    perf_report_rate(peer, &job, &result, options->json);
    return EXIT_MEASURED;
}

static int command_run(const struct perf_options *options)
{
    switch (options->command) {
    case PERF_COMMAND_RTT:
        return rtt_main(options);
    case PERF_COMMAND_THROUGHPUT:
        return throughput_main(options);
    case PERF_COMMAND_COMPARE:
        return perf_compare_run(options) ? EXIT_MEASURED : EXIT_MISSING;
    case PERF_COMMAND_SLOW:
        return perf_slow_run(options) ? EXIT_MEASURED : EXIT_MISSING;
    case PERF_COMMAND_HOP:
        return perf_hop_run(options) ? EXIT_MEASURED : EXIT_MISSING;
    }
    return EXIT_USAGE;
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
        return EXIT_MEASURED;
    case PERF_PARSE_BAD:
        return EXIT_USAGE;
    }
    return EXIT_USAGE;
}
