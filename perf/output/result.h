/*
 * result: what one workload of one peer gave, run by run; what all outputs are made of.
 *
 * A result is one arm of one workload: the same parameters, so many runs. A run has metrics (single
 * figures), histograms and series over time; all are known by their entry in a table here, which
 * gives name, unit and which way is better, so that every output says the same of them. A run that
 * mustn't be believed is not valid and says why; its figures stay visible and count for nothing.
 */
#ifndef MCQ_PERF_OUTPUT_RESULT_H
#define MCQ_PERF_OUTPUT_RESULT_H

#include "mem/hdr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum perf_metric {
    PERF_METRIC_RATE,       /* msgs_per_s, achieved; higher is better */
    PERF_METRIC_BYTES_RATE, /* mb_per_s */
    PERF_METRIC_RATE_ASKED, /* asked_per_s: open loop */
    PERF_METRIC_RATE_SHARE, /* achieved / asked */
    PERF_METRIC_MSGS,       /* messages that were counted */
    PERF_METRIC_LATE,       /* open loop: found no room when they were due */
    PERF_METRIC_LOST,       /* and what the checks of number and checksum found */
    PERF_METRIC_DOUBLED,    /* doubled or reordered */
    PERF_METRIC_DAMAGED,
    PERF_METRIC_DROPPED,    /* told as dropped, by policy */
    PERF_METRIC_SERVER_CPU, /* server_cpu_s */
    PERF_METRIC_CLIENT_CPU,
    PERF_METRIC_SERVER_CPU_MSG, /* server_cpu_ns_per_msg */
    PERF_METRIC_CLIENT_CPU_MSG,
    PERF_METRIC_SERVER_CALLS, /* server_syscalls_per_msg; of a run of its own */
    PERF_METRIC_CLIENT_CALLS,
    PERF_METRIC_SERVER_SWITCHES, /* forced context switches in the window */
    PERF_METRIC_CLIENT_SWITCHES,
    PERF_METRIC_CONNECT_RATE, /* connections_per_s */
    PERF_METRIC_CONN_BYTES,   /* bytes of memory per connection, process and kernel apart */
    PERF_METRIC_CONN_PSS_BYTES,
    PERF_METRIC_CONN_KERNEL_BYTES,
    PERF_METRIC_CONN_BUFFERS, /* pieces of the server's library's own memory, per connection */
    PERF_METRIC_SERVER_RSS,
    PERF_METRIC_CONN_SHARE, /* of that, by all connections: what was laid aside for them is in it */
    PERF_METRIC_FAIRNESS,   /* least / most received of one of many */
    PERF_METRIC_RSS_SLOPE,  /* of the server: bytes per minute over the run */
    PERF_METRIC_FDS_SLOPE,
    PERF_METRIC_BUFFERS_SLOPE,
    PERF_METRIC_CLIENT_RSS_SLOPE,
    PERF_METRIC_CLIENT_FDS_SLOPE,
    PERF_METRIC_FLOOR,     /* floor_us: what the machine alone takes, same run */
    PERF_METRIC_LOST_TIME, /* jitter: share of time in gaps, percent */
    PERF_METRIC_GAP_RATE,  /* jitter: gaps per second */
    PERF_METRIC_CNT,
};

enum perf_hist {
    PERF_HIST_RTT,      /* closed loop: from one reply to the next */
    PERF_HIST_RESPONSE, /* open loop: planned send to arrival */
    PERF_HIST_SERVICE,  /* actual send to arrival */
    PERF_HIST_LAG,      /* planned send until the generator came to it: not what is measured */
    PERF_HIST_ONE_WAY,  /* send to arrival in another process of this host */
    PERF_HIST_LAST,     /* fan-out: send to the arrival at the last subscriber */
    PERF_HIST_SKEW,     /* fan-out: first to last subscriber */
    PERF_HIST_CONNECT,  /* connect to handshake done */
    PERF_HIST_GAP,      /* jitter: gaps in a spinning thread */
    PERF_HIST_OTHERS,   /* slow: the peers that aren't slow */
    PERF_HIST_CNT,
};

/* One value per interval of a run. */
enum perf_series {
    PERF_SERIES_RATE,
    PERF_SERIES_P50,
    PERF_SERIES_P99,
    PERF_SERIES_MAX,
    PERF_SERIES_RSS,
    PERF_SERIES_FDS,
    PERF_SERIES_BUFFERS,
    PERF_SERIES_CNT,
};

enum perf_better { PERF_BETTER_LOW, PERF_BETTER_HIGH, PERF_BETTER_NEITHER };

struct perf_kind {
    const char *name; /* key in JSON and column in CSV, unit last: "p99_us" */
    const char *unit;
    enum perf_better better;
    unsigned digits; /* behind the point, in tables */
};

extern const struct perf_kind perf_metric_kinds[PERF_METRIC_CNT];
extern const struct perf_kind perf_hist_kinds[PERF_HIST_CNT];
extern const struct perf_kind perf_series_kinds[PERF_SERIES_CNT];

#define PERF_RUNS_MAX      100u
#define PERF_PARAMS_MAX    24u
#define PERF_TEXT_MAX      96u
#define PERF_INTERVALS_MAX 86400u

struct perf_param {
    const char *name; /* static */
    char text[PERF_TEXT_MAX];
    bool number; /* text is a number, and written as one in JSON */
};

struct perf_run {
    bool valid;
    char reason[280];                     /* why not */
    double start_s;                       /* Unix time */
    double seconds;                       /* of the window */
    double metrics[PERF_METRIC_CNT];      /* NAN: not measured */
    struct mcq_hdr *hists[PERF_HIST_CNT]; /* NULL: not measured; owned */
    double *series[PERF_SERIES_CNT];      /* NULL or interval_cnt values; owned */
    struct mcq_hdr **intervals;           /* NULL or interval_cnt histograms (of the workload's main
                                             kind), for the .hlog; owned */
    uint32_t interval_cnt;
    double interval_s;
    enum perf_hist main; /* the histogram a summary is made of */
};

struct perf_result {
    const char *workload;    /* static */
    char arm[PERF_TEXT_MAX]; /* who: "mcq", "libzmq", "mcq at 70 %" */
    struct perf_param params[PERF_PARAMS_MAX];
    unsigned param_cnt;
    struct perf_run runs[PERF_RUNS_MAX];
    unsigned run_cnt;
};

/* The percentiles every output gives, in parts per million, and how many records have to lie above
 * one for it to be said (otherwise it is null, "n/a"). */
#define PERF_POINT_CNT 7u
#define PERF_ABOVE_MIN 10u
extern const uint32_t perf_point_ppm[PERF_POINT_CNT]; /* 50, 90, 99, 99.9, 99.99, 99.999, 100 */
extern const char *const perf_point_names[PERF_POINT_CNT]; /* "p50" .. "p99999", "max" */
/* In us; NAN if there are too few records above. */
double perf_point_us(const struct mcq_hdr *h, unsigned point);

/* Zeroed, for free(). A harness without memory has nothing to say: the process ends with a
 * sentence. So does what follows. */
void *perf_zeroed(size_t cnt, size_t len);

struct perf_result *perf_result_new(const char *workload, const char *arm);
void perf_result_end(struct perf_result *r);
/* name: static. One more than PERF_PARAMS_MAX is left out. */
void perf_result_text(struct perf_result *r, const char *name, const char *text);
void perf_result_number(struct perf_result *r, const char *name, double value);
/* A new run, valid, all metrics NAN. NULL when there are PERF_RUNS_MAX. */
struct perf_run *perf_run_add(struct perf_result *r);
/* Not to be believed; the first reason stays. */
void perf_run_refuse(struct perf_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Copies h (from shared memory, say), which has the range of perf_hist_new. */
void perf_run_hist(struct perf_run *run, enum perf_hist kind, const struct mcq_hdr *h);

/* A histogram of its own; value_max as everywhere in mcq-perf. */
#define PERF_HIST_MAX_NS UINT64_C(60000000000)
struct mcq_hdr *perf_hist_new(void);
void perf_hist_end(struct mcq_hdr *h);
/* An empty one in shared memory, for children to fill: perf_hist_len bytes at place, aligned to 8.
 * What it points at is inside it, so parent and children must see the memory at one address. */
size_t perf_hist_len(void);
struct mcq_hdr *perf_hist_at(void *place);

#endif
