#include "perf/output/report.h"

#include "perf/output/artefact.h"

#include <math.h>
#include <string.h>
#include <sys/utsname.h>

void perf_report_json_number(const char *key, double value)
{
    if (isnan(value)) {
        printf("\"%s\": null", key);
    } else {
        printf("\"%s\": %.3f", key, value);
    }
}

void perf_report_json_text(const char *key, const char *text)
{
    printf("\"%s\": \"", key);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\') {
            printf("\\%c", *at);
        } else if ((unsigned char)*at < 0x20) {
            printf("\\u%04x", (unsigned)(unsigned char)*at);
        } else {
            putchar(*at);
        }
    }
    putchar('"');
}

void perf_report_cell(int width, double value)
{
    if (isnan(value)) {
        printf("%*s", width, "-");
    } else if (value < 100) {
        printf("%*.2f", width, value);
    } else if (value < 10000) {
        printf("%*.1f", width, value);
    } else {
        printf("%*.0f", width, value);
    }
}

static void cpu_model(char *model, size_t len)
{
    char line[256];
    snprintf(model, len, "CPU of unknown model");
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (file == NULL) {
        return;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "model name : %99[^\n]", model) == 1) {
            break;
        }
    }
    fclose(file);
}

void perf_report_machine(FILE *to)
{
    struct utsname system = {0};
    struct perf_cpus cpus = {0};
    char model[100];
    uname(&system);
    cpu_model(model, sizeof model);
    fprintf(to, "%s, Linux %s, ", model, system.release);
    if (!perf_cpus_find(&cpus)) {
        fprintf(to, "CPUs unknown\n");
    } else if (cpus.allowed_cnt == 1) {
        fprintf(to, "both processes on the ONE allowed CPU %d: not comparable\n", cpus.server);
    } else {
        fprintf(to, "server/receiver on CPU %d, client/sender on CPU %d, %d allowed\n", cpus.server,
                cpus.client, cpus.allowed_cnt);
    }
}

/* What the contract doesn't ask for but a reader of the numbers wants to know. */
static void json_place(const struct perf_peer *peer, enum perf_place place)
{
    struct perf_cpus cpus = {0};
    perf_cpus_find(&cpus);
    printf(", ");
    perf_report_json_text("placement", perf_place_name(place));
    printf(", \"cpus\": [%d, %d]", cpus.server, cpus.client);
    if (peer->always_blocks) {
        printf(", \"always_blocks\": true");
    }
}

/* Calls per message may be few: more digits than elsewhere. */
static void json_figure(enum perf_metric metric, double value)
{
    printf(", \"%s\": ", perf_metric_kinds[metric].name);
    if (isnan(value)) {
        printf("null");
    } else {
        printf("%.9g", value);
    }
}

/* Behind what was there before there was a schema. */
static void json_end(const struct perf_cost *cost)
{
    const struct perf_side_cost *server = &cost->sides[PERF_SERVER];
    const struct perf_side_cost *client = &cost->sides[PERF_CLIENT];
    json_figure(PERF_METRIC_SERVER_CPU, server->cpu_s);
    json_figure(PERF_METRIC_CLIENT_CPU, client->cpu_s);
    json_figure(PERF_METRIC_SERVER_CPU_MSG, server->cpu_ns_per_msg);
    json_figure(PERF_METRIC_CLIENT_CPU_MSG, client->cpu_ns_per_msg);
    json_figure(PERF_METRIC_SERVER_CALLS, server->calls_per_msg);
    json_figure(PERF_METRIC_CLIENT_CALLS, client->calls_per_msg);
    printf(", \"schema\": \"mcq-perf\", \"version\": %d}\n", PERF_SCHEMA_VERSION);
}

static void cost_text(const struct perf_cost *cost, const char *server, const char *client)
{
    const char *names[] = {server, client};
    for (unsigned i = 0; i < 2; i++) {
        const struct perf_side_cost *side = &cost->sides[i];
        if (!isnan(side->cpu_s)) {
            printf("%-9s%10.3f CPU seconds, %.1f ns", names[i], side->cpu_s, side->cpu_ns_per_msg);
            if (!isnan(side->calls_per_msg)) {
                printf(" and %.4g system calls", side->calls_per_msg);
            }
            printf(" per message\n");
        }
    }
}

static void rtt_json(const struct perf_peer *peer, const struct perf_rtt_job *job,
                     const struct perf_rtt_result *result)
{
    printf("{");
    perf_report_json_text("peer", peer->name);
    printf(", ");
    perf_report_json_text("idle", perf_idle_name(perf_peer_idle(peer, job->idle)));
    printf(", \"size\": %zu, \"count\": %llu", job->size, (unsigned long long)result->count);
    for (int point = 0; point < PERF_RTT_POINT_CNT; point++) {
        printf(", ");
        perf_report_json_number(perf_rtt_point_name((enum perf_rtt_point)point), result->us[point]);
    }
    json_place(peer, result->place);
    printf(", \"warmup\": %llu", (unsigned long long)perf_rtt_warmup(job));
    json_end(&result->cost);
}

static void rtt_text(const struct perf_peer *peer, const struct perf_rtt_job *job,
                     const struct perf_rtt_result *result)
{
    perf_report_machine(stdout);
    printf("REQ/REP round trip, %s, %s, %s, %zu B, %llu trips, us\n", peer->name,
           perf_idle_name(perf_peer_idle(peer, job->idle)), perf_place_name(result->place),
           job->size, (unsigned long long)result->count);
    printf("%9s%9s%9s%9s%9s%9s\n", "p50", "p90", "p99", "p99.9", "p99.99", "max");
    for (int point = 0; point < PERF_RTT_POINT_CNT; point++) {
        perf_report_cell(9, result->us[point]);
    }
    printf("\n");
    cost_text(&result->cost, "server", "client");
}

void perf_report_rtt(const struct perf_peer *peer, const struct perf_rtt_job *job,
                     const struct perf_rtt_result *result, bool json)
{
    if (json) {
        rtt_json(peer, job, result);
    } else {
        rtt_text(peer, job, result);
    }
}

void perf_report_rate(const struct perf_peer *peer, const struct perf_rate_job *job,
                      const struct perf_rate_result *result, bool json)
{
    double msgs_per_s = perf_rate_msgs_per_s(result);
    double mb_per_s = perf_rate_mb_per_s(result, job->size);
    if (json) {
        printf("{");
        perf_report_json_text("peer", peer->name);
        printf(", \"size\": %zu, \"seconds\": %.6f, \"msgs\": %llu, ", job->size, result->seconds,
               (unsigned long long)result->msgs);
        perf_report_json_number("msgs_per_s", msgs_per_s);
        printf(", ");
        perf_report_json_number("mb_per_s", mb_per_s);
        json_place(peer, result->place);
        json_end(&result->cost);
        return;
    }
    perf_report_machine(stdout);
    printf("PUSH to PULL, %s, %s, %zu B, %.2f s: %.0f msg/s, %.1f MB/s of payload\n", peer->name,
           perf_place_name(result->place), job->size, result->seconds, msgs_per_s, mb_per_s);
    cost_text(&result->cost, "receiver", "sender");
}

void perf_report_missing(const char *workload, const struct perf_peer *peer, const char *reason,
                         bool json)
{
    if (json) {
        printf("{");
        perf_report_json_text("peer", peer->name);
        printf(", ");
        perf_report_json_text("missing", reason);
        printf("}\n");
    }
    fprintf(stderr, "mcq-perf: %s of %s is missing: %s\n", workload, peer->name, reason);
}
