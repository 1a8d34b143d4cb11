/* Doctor: what on this host costs latency, read and judged.
 *
 * A check reads files of /proc and /sys (or asks the kernel what no file tells), compares with what
 * shards want, and says what the difference costs and how to end it. It writes nothing and guesses
 * nothing: what can't be read, or isn't in a form it knows, is UNKNOWN, with the reason.
 *
 * The report is the caller's, whole: no pointer in it is to be freed, id, group, wanted and cost
 * are the program's own constants. Thread: any, one run at a time. Cost: window_ms, and some 50 ms
 * per CPU beyond the first for measuring the clocks of the cores. Errors: none; what fails is a
 * result. */
#ifndef MCQ_DOCTOR_DOCTOR_H
#define MCQ_DOCTOR_DOCTOR_H

#include <monocoque.h>

#define MCQ_DOCTOR_RESULTS_MAX 128u
#define MCQ_DOCTOR_PATH_LEN    192u
#define MCQ_DOCTOR_FOUND_LEN   384u
#define MCQ_DOCTOR_FIX_LEN     1024u
#define MCQ_DOCTOR_NIC_LEN     32u
#define MCQ_DOCTOR_CPUS_LEN    512u

enum mcq_doctor_status {
    MCQ_DOCTOR_PASS = 0,
    MCQ_DOCTOR_UNKNOWN, /* not readable; found says why */
    MCQ_DOCTOR_WARN,    /* costs up to tens of microseconds, or only some workloads */
    MCQ_DOCTOR_FAIL     /* costs hundreds of microseconds and more, or keeps shards from running */
};
#define MCQ_DOCTOR_STATUS_CNT 4u

struct mcq_doctor_result {
    const char *id, *group;
    const char *wanted; /* what a shard wants */
    const char *cost;   /* a sentence: what it costs not to have that */
    enum mcq_doctor_status status;
    char path[MCQ_DOCTOR_PATH_LEN];   /* what was read: a file, or a call like adjtimex(2) */
    char found[MCQ_DOCTOR_FOUND_LEN]; /* printable ASCII */
    char fix[MCQ_DOCTOR_FIX_LEN];     /* of WARN and FAIL: a command for a root shell, or, after
                                         "kernel command line: " or "no command: ", what it is */
};

struct mcq_doctor_opts {
    const struct mcq_opts *app; /* what the shards will be run with; NULL: the defaults. With no
                                   list of CPUs in it, the CPUs are those of the library's plan */
    const char *root;           /* another directory with proc/, sys/, ...; NULL: this host */
    uint32_t window_ms;         /* how long counters are watched; 0: not at all */
};

struct mcq_doctor_report {
    struct mcq_doctor_result results[MCQ_DOCTOR_RESULTS_MAX];
    uint32_t result_cnt;
    uint32_t cnts[MCQ_DOCTOR_STATUS_CNT]; /* by enum mcq_doctor_status */
    uint32_t window_ms;
    uint32_t shards;
    char cpus[MCQ_DOCTOR_CPUS_LEN];  /* the shards', "2-5" */
    char nic[MCQ_DOCTOR_NIC_LEN];    /* "": none */
    char kernel[96];                 /* "Linux version 6.1.0"; "": unknown */
    char note[MCQ_DOCTOR_FOUND_LEN]; /* where the CPUs come from */
};

void mcq_doctor_run(const struct mcq_doctor_opts *opts, struct mcq_doctor_report *report);

/* "PASS", "UNKNOWN", "WARN", "FAIL". */
const char *mcq_doctor_status_name(enum mcq_doctor_status status);
/* The worst of the report, UNKNOWN being less than WARN. */
enum mcq_doctor_status mcq_doctor_verdict(const struct mcq_doctor_report *report);

#endif
