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
extern const struct check_group doctor_check_groups[CHECK_GROUPS];

extern const struct check doctor_cpu_checks[], doctor_irq_checks[], doctor_memory_checks[],
    doctor_clock_checks[], doctor_kernel_checks[], doctor_ring_checks[], doctor_net_checks[],
    doctor_nic_checks[], doctor_host_checks[];
extern const uint32_t doctor_cpu_check_cnt, doctor_irq_check_cnt, doctor_memory_check_cnt,
    doctor_clock_check_cnt, doctor_kernel_check_cnt, doctor_ring_check_cnt, doctor_net_check_cnt,
    doctor_nic_check_cnt, doctor_host_check_cnt;

/* Judges of the common forms. */
check_judge_fn doctor_check_number;   /* one number */
check_judge_fn doctor_check_chosen;   /* the word in brackets is one of words */
check_judge_fn doctor_check_mask_off; /* a mask without shard CPUs */
check_judge_fn doctor_check_list_on;  /* a list with all shard CPUs */
check_judge_fn doctor_check_cpu_word; /* CPU in the path: the file of each shard CPU */
check_judge_fn doctor_check_cpu_number;
check_judge_fn doctor_check_nic_number; /* NIC in the path */

/* For judges. */
__attribute__((format(printf, 3, 4))) void doctor_check_say(struct mcq_doctor_result *r,
                                                            enum mcq_doctor_status status,
                                                            const char *format, ...);
__attribute__((format(printf, 2, 3))) void doctor_check_fix(struct mcq_doctor_result *r,
                                                            const char *format, ...);
/* Reads; on failure says UNKNOWN and why. The path is the result's in either case. */
__attribute__((format(printf, 4, 5))) bool doctor_check_read(const struct exam *e,
                                                             struct mcq_doctor_result *r,
                                                             struct text *t, const char *format,
                                                             ...);
bool doctor_check_ask(const struct exam *e, struct mcq_doctor_result *r, struct text *t,
                      const char *name, const char *shown, source_answer_fn *answer,
                      const void *ctx);
/* UNKNOWN: the text has another form than `form` says. */
void doctor_check_malformed(struct mcq_doctor_result *r, const struct text *t, const char *form);
/* A sample of which both texts are there; else UNKNOWN. */
const struct sample *doctor_check_sample(const struct exam *e, struct mcq_doctor_result *r,
                                         enum sample_kind kind);
/* Were counters looked at twice? Else UNKNOWN. */
bool doctor_check_twice(const struct exam *e, struct mcq_doctor_result *r);
/* Says "7 in 200 ms, 9 since boot", or only the latter where the rise isn't known. unit: "" or "
 * ms".
 */
void doctor_check_say_count(const struct exam *e, struct mcq_doctor_result *r,
                            enum mcq_doctor_status status, int64_t rise, int64_t total,
                            const char *unit);
bool doctor_check_has_nic(const struct exam *e, struct mcq_doctor_result *r);
bool doctor_check_has_cpus(const struct exam *e, struct mcq_doctor_result *r);
bool doctor_check_holds(const struct check *c, int64_t value);
/* Puts {cpus} and its like into a template. */
void doctor_check_expand(const struct exam *e, const char *template, char *text, size_t len);
/* Asks for {house} where no CPU is left for it? */
bool doctor_check_is_out_of_house(const struct exam *e, const char *template);

#endif
