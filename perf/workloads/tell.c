#include "perf/workloads/tell.h"

#include "perf/workloads/jitter.h"

#include <stdio.h>

/* Looked at once: it doesn't change while a command runs, and takes a moment. */
static const struct perf_environment *environment(void)
{
    static struct perf_environment env; /* too large for a stack */
    if (env.cnt == 0) {
        perf_environment_read(&env);
    }
    return &env;
}

void perf_tell_start(void)
{
    const char *verdict = perf_environment_find(environment(), "doctor", "verdict");
    fprintf(stderr,
            "mcq-perf: this host: %s; mcq-doctor says why, what it costs and what ends it\n",
            verdict != NULL ? verdict : "unknown");
}

struct perf_artefact *perf_tell_begin(const struct perf_options *options)
{
    struct perf_artefact *a =
        perf_artefact_new(perf_command_name(options->command), options->argc, options->argv);
    a->env = *environment();
    perf_jitter_fact(&a->env);
    return a;
}

int perf_tell(const struct perf_options *options, struct perf_artefact *a, bool ok)
{
    perf_artefact_compare(a);
    if (options->json) {
        ok = perf_artefact_json(a, stdout) && ok;
    } else {
        perf_artefact_print(a, stdout);
    }
    if (options->out != NULL) {
        ok = perf_artefact_save(a, options->out) && ok;
    }
    ok = perf_artefact_valid(a) && ok;
    perf_artefact_end(a);
    return ok ? PERF_EXIT_MEASURED : PERF_EXIT_MISSING;
}
