#include "perf/host/facts.h"
#include "perf/peers/mcq_opts.h"

#if MCQ_PERF_HAVE_DOCTOR
#include "perf/output/result.h"
#include "perf/run/affinity.h"
#include "tools/mcq-doctor/doctor.h"

#include <stdio.h>
#include <stdlib.h>

/* "governor, swap": the checks that came out so. */
static void list_add(struct perf_environment *env, const char *name,
                     const struct mcq_doctor_report *report, enum mcq_doctor_status status)
{
    char text[PERF_FACT_MAX] = "none";
    size_t len = 0;
    for (uint32_t i = 0; i < report->result_cnt && len < sizeof text - 1; i++) {
        if (report->results[i].status == status) {
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", len > 0 ? ", " : "",
                                    report->results[i].id);
        }
    }
    perf_environment_add(env, "doctor", name, "%s", text);
}

/* Of the CPUs that are measured on. */
static void examine(struct mcq_doctor_report *report)
{
    struct mcq_opts opts = MCQ_OPTS_INIT;
    struct perf_cpus cpus = {0};
    char list[32];
    if (perf_cpus_find(&cpus) && cpus.server != cpus.client) {
        snprintf(list, sizeof list, "%d,%d", cpus.server, cpus.client);
        opts.cpus = list;
        opts.shards = 2;
    }
    mcq_doctor_run(&(struct mcq_doctor_opts){.app = &opts}, report);
}

void perf_facts_doctor(struct perf_environment *env)
{
    struct mcq_doctor_report *report = perf_zeroed(1, sizeof *report);
    examine(report);
    perf_environment_add(env, "doctor", "verdict", "%s (%u FAIL, %u WARN, %u UNKNOWN)",
                         mcq_doctor_status_name(mcq_doctor_verdict(report)),
                         report->cnts[MCQ_DOCTOR_FAIL], report->cnts[MCQ_DOCTOR_WARN],
                         report->cnts[MCQ_DOCTOR_UNKNOWN]);
    list_add(env, "failed", report, MCQ_DOCTOR_FAIL);
    list_add(env, "warned", report, MCQ_DOCTOR_WARN);
    list_add(env, "unknown", report, MCQ_DOCTOR_UNKNOWN);
    free(report);
}

#else

void perf_facts_doctor(struct perf_environment *env)
{
    perf_environment_add(env, "doctor", "verdict", "unknown: built without mcq-doctor");
}

#endif
