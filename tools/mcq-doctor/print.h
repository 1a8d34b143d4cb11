/* Print: the report as text for people, as JSON for programs; the table of checks for the docs;
 * and what would set a host right at once. */
#ifndef MCQ_DOCTOR_PRINT_H
#define MCQ_DOCTOR_PRINT_H

#include <stdio.h>

#include "doctor.h"

struct print_look {
    unsigned columns; /* lines are no longer, from 60 on */
    bool colours;
};

void print_text(FILE *out, const struct mcq_doctor_report *report, const struct print_look *look);
/* {"schema":"mcq-doctor","version":1,...}; docs/DOCTOR.md has the members. */
void print_json(FILE *out, const struct mcq_doctor_report *report);
/* A Markdown table of all checks. */
void print_checks(FILE *out);
/* A profile of tuned with a kernel command line, for the CPUs that opts means. */
void print_tuned(FILE *out, const struct mcq_doctor_opts *opts);

#endif
