#include "doctor.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

const struct check_group doctor_check_groups[CHECK_GROUPS] = {
    {"cpu", doctor_cpu_checks, &doctor_cpu_check_cnt},
    {"interrupts", doctor_irq_checks, &doctor_irq_check_cnt},
    {"memory", doctor_memory_checks, &doctor_memory_check_cnt},
    {"clock", doctor_clock_checks, &doctor_clock_check_cnt},
    {"kernel", doctor_kernel_checks, &doctor_kernel_check_cnt},
    {"io_uring", doctor_ring_checks, &doctor_ring_check_cnt},
    {"network", doctor_net_checks, &doctor_net_check_cnt},
    {"interface", doctor_nic_checks, &doctor_nic_check_cnt},
    {"host", doctor_host_checks, &doctor_host_check_cnt},
};

const char *mcq_doctor_status_name(enum mcq_doctor_status status)
{
    switch (status) {
    case MCQ_DOCTOR_PASS:
        return "PASS";
    case MCQ_DOCTOR_UNKNOWN:
        return "UNKNOWN";
    case MCQ_DOCTOR_WARN:
        return "WARN";
    case MCQ_DOCTOR_FAIL:
        return "FAIL";
    }
    return "?";
}

enum mcq_doctor_status mcq_doctor_verdict(const struct mcq_doctor_report *report)
{
    enum mcq_doctor_status worst = MCQ_DOCTOR_PASS;
    for (uint32_t i = 0; i < report->result_cnt; i++)
        if (report->results[i].status > worst)
            worst = report->results[i].status;
    return worst;
}

/* A fix belongs to what is to be fixed. One that needs CPUs for everything else asks for these
 * first. */
static void finish(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    if (r->path[0] == '\0')
        snprintf(r->path, sizeof r->path, "%s", c->path);
    if (r->status != MCQ_DOCTOR_WARN && r->status != MCQ_DOCTOR_FAIL)
        r->fix[0] = '\0';
    else if (c->fix != NULL && r->fix[0] == '\0' && doctor_check_is_out_of_house(e, c->fix))
        doctor_check_fix(r,
                         "no command: leave the rest of the system a CPU, with a shorter --cpus");
    else if (c->fix != NULL && r->fix[0] == '\0')
        doctor_check_expand(e, c->fix, r->fix, sizeof r->fix);
}

static void group_run(const struct exam *e, uint32_t group, struct mcq_doctor_report *report)
{
    for (uint32_t i = 0; i < *doctor_check_groups[group].cnt; i++) {
        const struct check *c = &doctor_check_groups[group].checks[i];
        if (report->result_cnt == MCQ_DOCTOR_RESULTS_MAX)
            return;
        struct mcq_doctor_result *r = &report->results[report->result_cnt++];
        *r = (struct mcq_doctor_result){.id = c->id,
                                        .group = doctor_check_groups[group].name,
                                        .wanted = c->wanted,
                                        .cost = c->cost,
                                        .status = MCQ_DOCTOR_UNKNOWN};
        c->judge(e, c, r);
        finish(e, c, r);
        report->cnts[r->status]++;
    }
}

static void kernel_name(const struct exam *e, struct mcq_doctor_report *report)
{
    struct text t;
    if (doctor_source_read(&e->source, &t, "/proc/sys/kernel/osrelease"))
        doctor_words_show(t.at, report->kernel, sizeof report->kernel);
    doctor_text_drop(&t);
}

void mcq_doctor_run(const struct mcq_doctor_opts *opts, struct mcq_doctor_report *report)
{
    struct exam e;
    memset(report, 0, sizeof *report);
    doctor_exam_init(&e, opts);
    report->window_ms = e.window_ms;
    report->shards = e.shards;
    doctor_set_list(&e.shards_on, report->cpus, sizeof report->cpus);
    snprintf(report->nic, sizeof report->nic, "%s", e.nic);
    snprintf(report->note, sizeof report->note, "%s", e.note);
    kernel_name(&e, report);
    for (uint32_t i = 0; i < CHECK_GROUPS; i++)
        group_run(&e, i, report);
    doctor_exam_fini(&e);
}
