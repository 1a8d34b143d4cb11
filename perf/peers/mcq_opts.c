#include "perf/peers/mcq_opts.h"

#include "perf/peers/peer.h"

#include <stdio.h>

static struct mcq_opts library_opts = MCQ_OPTS_INIT;

void perf_peer_mcq_option(const char *name, char *text)
{
    char program[] = "mcq-perf", option[32];
    char *argv[] = {program, option, text, NULL};
    int argc = 3;
    snprintf(option, sizeof option, "%s", name);
    mcq_opts_parse(&library_opts, &argc, argv);
}

struct mcq_opts perf_mcq_opts(int cpu, enum perf_idle idle, char *cpus)
{
    struct mcq_opts opts = library_opts;
    snprintf(cpus, 16, cpu >= 0 ? "%d" : "none", cpu);
    opts.cpus = cpus;
    opts.idle = idle == PERF_IDLE_SPIN ? MCQ_IDLE_SPIN : MCQ_IDLE_BLOCK;
    opts.no_signals = true;
    return opts;
}
