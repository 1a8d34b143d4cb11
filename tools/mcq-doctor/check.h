/* Check: one question to the host, as data. Most are a path, a form and what is wanted; the others
 * have a function of their own. A judge fills status and found (and path, by reading); fix comes
 * from the table unless the judge wrote one. */
#ifndef MCQ_DOCTOR_CHECK_H
#define MCQ_DOCTOR_CHECK_H

#include "exam.h"
#include "words.h"

#define CHECK_HUGE_PAGE (2u << 20)

enum check_op { CHECK_EQ, CHECK_NE, CHECK_GE, CHECK_LE };

struct check;
typedef void check_judge_fn(const struct exam *e, const struct check *c,
                            struct mcq_doctor_result *r);

struct check {
    const char *id;
    const char *path; /* what is read; CPU and NIC stand for each shard CPU, and the interface */
    check_judge_fn *judge;
#define CHECK_HUGE_PAGE (2u << 20)

    enum check_op op; /* judges of numbers: a value of which this is not true is worse */
    int64_t value;
    const char *words; /* judges of words: those that are good */
    enum mcq_doctor_status worse;
    const char *wanted, *cost;
    /* Of both: {cpus} 2-5, {each} 2 3 4 5, {house} 0-1 (the others), {housemask} 3, {nic},
     * {hugepages}: as many as arenas take */
    const char *fix;
    const char
        *tuned; /* "section|line" of a profile of tuned, or "boot|parameter", with newlines */
};

struct check_group {
    const char *name;
    const struct check *checks;
    const uint32_t *cnt;
};
#define CHECK_GROUPS 9u
extern const struct check_group check_groups[CHECK_GROUPS];

extern const struct check cpu_checks[], irq_checks[], memory_checks[], clock_checks[],
    kernel_checks[], ring_checks[], net_checks[], nic_checks[], host_checks[];
extern const uint32_t cpu_check_cnt, irq_check_cnt, memory_check_cnt, clock_check_cnt,
    kernel_check_cnt, ring_check_cnt, net_check_cnt, nic_check_cnt, host_check_cnt;

/* Judges of the common forms. */
check_judge_fn check_number;   /* one number */
check_judge_fn check_chosen;   /* the word in brackets is one of words */
check_judge_fn check_mask_off; /* a mask without shard CPUs */
check_judge_fn check_list_on;  /* a list with all shard CPUs */
check_judge_fn check_cpu_word; /* CPU in the path: the file of each shard CPU */
check_judge_fn check_cpu_number;
check_judge_fn check_nic_number; /* NIC in the path */

/* For judges. */
__attribute__((format(printf, 3, 4))) void check_say(struct mcq_doctor_result *r,
                                                     enum mcq_doctor_status status,
                                                     const char *format, ...);
__attribute__((format(printf, 2, 3))) void check_fix(struct mcq_doctor_result *r,
                                                     const char *format, ...);
/* Reads; on failure says UNKNOWN and why. The path is the result's in either case. */
__attribute__((format(printf, 4, 5))) bool check_read(const struct exam *e,
                                                      struct mcq_doctor_result *r, struct text *t,
                                                      const char *format, ...);
bool check_ask(const struct exam *e, struct mcq_doctor_result *r, struct text *t, const char *name,
               const char *shown, source_answer_fn *answer, const void *ctx);
/* UNKNOWN: the text has another form than `form` says. */
void check_malformed(struct mcq_doctor_result *r, const struct text *t, const char *form);
/* A sample of which both texts are there; else UNKNOWN. */
const struct sample *check_sample(const struct exam *e, struct mcq_doctor_result *r,
                                  enum sample_kind kind);
bool check_has_nic(const struct exam *e, struct mcq_doctor_result *r);
bool check_has_cpus(const struct exam *e, struct mcq_doctor_result *r);
bool check_holds(const struct check *c, int64_t value);
/* Puts {cpus} and its like into a template. */
void check_expand(const struct exam *e, const char *template, char *text, size_t len);
/* Asks for {house} where no CPU is left for it? */
bool check_is_out_of_house(const struct exam *e, const char *template);

#endif
