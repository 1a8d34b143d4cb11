#include "perf/workloads/compare_table.h"

#include "perf/output/report.h"

#include <math.h>
#include <stdio.h>

static void ratio_print(int width, double ratio)
{
    char text[32] = "-";
    if (!isnan(ratio)) {
        snprintf(text, sizeof text, "%.2fx", ratio);
    }
    printf("%*s", width, text);
}

static void row_begin(const struct perf_row *row)
{
    printf("  %-11s%-6s", row->peer->name, perf_idle_name(row->idle));
    if (row->runs > 0) {
        printf("%-7s%4u", perf_place_name(row->place), row->runs);
    }
}

static void rtt_head(size_t size)
{
    printf("\nREQ/REP round trip, %zu B, in us (lower is better)\n", size);
    printf("  %-11s%-6s%-7s%4s%9s%9s%9s%9s%9s%9s%10s%11s\n", "peer", "idle", "place", "runs", "p50",
           "p90", "p99", "p99.9", "p99.99", "max", "of raw", "x libzmq");
}

static void rtt_row(const struct perf_row *row)
{
    for (size_t i = 0; i < PERF_FIGURE_CNT; i++) {
        perf_report_cell(9, row->figures[i]);
    }
    ratio_print(10, row->ratio_raw);
    ratio_print(11, row->ratio_libzmq);
}

static void rate_head(size_t size)
{
    printf("\nPUSH to PULL, %zu B (higher is better)\n", size);
    printf("  %-11s%-6s%-7s%4s%12s%12s%12s%11s%10s%11s%11s\n", "peer", "idle", "place", "runs",
           "msg/s", "least", "most", "MB/s", "of raw", "of frames", "x libzmq");
}

static void rate_row(const struct perf_row *row)
{
    double mb_per_s = row->figures[0] * (double)row->size / 1e6;
    printf("%12.0f%12.0f%12.0f%11.1f", row->figures[0], row->low, row->high, mb_per_s);
    ratio_print(10, row->ratio_raw);
    ratio_print(11, row->ratio_raw_frames);
    ratio_print(11, row->ratio_libzmq);
}

static void row_print(const struct perf_row *row)
{
    row_begin(row);
    if (row->runs == 0) {
        printf("MISSING: %s\n", row->reason);
        return;
    }
    if (row->rtt) {
        rtt_row(row);
    } else {
        rate_row(row);
    }
    printf("\n");
    if (row->failures > 0) {
        printf("  %17sFAILED in %u more runs: %s\n", "", row->failures, row->reason);
    }
}

static bool same_block(const struct perf_row *a, const struct perf_row *b)
{
    return a->rtt == b->rtt && a->size == b->size;
}

static void legend_print(void)
{
    puts("\nPercentiles and msg/s are medians over runs, max is the worst of all runs; '-' is a\n"
         "percentile with fewer than 10 samples above it. 'of raw': this figure over that of bare\n"
         "sockets, for round trips with the same idle policy; 'of frames': over ZMTP framing on "
         "bare\n"
         "sockets; 'x libzmq': how many times better than libzmq. libzmq always blocks. It\n"
         "and nng are measured with their threads pinned to one CPU per process and free; the "
         "better\n"
         "is shown.");
}

void perf_compare_head(enum perf_transport transport)
{
    printf("mcq-perf compare, %s, two processes, runs interleaved\n",
           transport == PERF_TRANSPORT_TCP ? "tcp over loopback" : "ipc");
    perf_report_machine(stdout);
}

void perf_compare_text(const struct perf_row *rows, size_t cnt)
{
    for (size_t i = 0; i < cnt; i++) {
        const struct perf_row *row = &rows[i];
        if (i == 0 || !same_block(&rows[i - 1], row)) {
            if (row->rtt) {
                rtt_head(row->size);
            } else {
                rate_head(row->size);
            }
        }
        row_print(row);
    }
    legend_print();
}

static void json_number(const char *key, double value)
{
    printf(", ");
    perf_report_json_number(key, value);
}

static void json_text(const char *key, const char *text)
{
    printf(", ");
    perf_report_json_text(key, text);
}

static void json_figures(const struct perf_row *row)
{
    if (row->rtt) {
        for (int point = 0; point < PERF_RTT_POINT_CNT; point++) {
            json_number(perf_rtt_point_name((enum perf_rtt_point)point), row->figures[point]);
        }
    } else {
        json_number("mb_per_s", row->figures[0] * (double)row->size / 1e6);
        json_number("ratio_raw_frames", row->ratio_raw_frames);
    }
    json_number("least", row->low);
    json_number("most", row->high);
}

static void json_row(const struct perf_row *row)
{
    printf("{");
    perf_report_json_text("workload", row->rtt ? "rtt" : "throughput");
    json_text("peer", row->peer->name);
    json_text("idle", perf_idle_name(row->idle));
    printf(", \"size\": %zu, \"runs\": %u", row->size, row->runs);
    json_number("median", row->figures[0]);
    json_number("ratio_raw", row->ratio_raw);
    json_number("ratio_libzmq", row->ratio_libzmq);
    json_text("unit", row->rtt ? "us" : "msgs_per_s");
    json_text("placement", perf_place_name(row->place));
    json_figures(row);
    if (row->runs == 0) {
        json_text("missing", row->reason);
    } else if (row->failures > 0) {
        printf(", \"failures\": %u", row->failures);
        json_text("failure", row->reason);
    }
    printf("}");
}

void perf_compare_json(const struct perf_row *rows, size_t cnt)
{
    printf("[\n");
    for (size_t i = 0; i < cnt; i++) {
        printf("  ");
        json_row(&rows[i]);
        printf("%s\n", i + 1 < cnt ? "," : "");
    }
    printf("]\n");
}
