#include "perf/workloads/lineup.h"

#include <stdio.h>
#include <string.h>

static void reason_find(struct perf_entrant *entrant, const struct perf_options *options)
{
    const struct perf_peer *peer = entrant->peer;
    struct perf_cpus cpus = {0};
    bool both = perf_peer_has_role(peer, PERF_ROLE_CLIENT) &&
                (options->connect != NULL || perf_peer_has_role(peer, PERF_ROLE_SERVER));
    if (peer->missing != NULL) {
        snprintf(entrant->reason, sizeof entrant->reason, "%s", peer->missing);
    } else if (!both) {
        snprintf(entrant->reason, sizeof entrant->reason, "%s isn't made for that", peer->name);
    } else if ((peer->transports & 1u << options->transport) == 0) {
        snprintf(entrant->reason, sizeof entrant->reason, "%s has no %s", peer->name,
                 perf_transport_name(options->transport));
    } else if (entrant->idle == PERF_IDLE_SPIN && options->connect == NULL &&
               perf_cpus_find(&cpus) && cpus.allowed_cnt < 2) {
        snprintf(entrant->reason, sizeof entrant->reason,
                 "spinning needs two CPUs and one is allowed: use --idle block, or allow more "
                 "(taskset, cpuset)");
    }
}

static void entrant_add(struct perf_lineup *lineup, const struct perf_options *options,
                        const struct perf_peer *peer, enum perf_place place)
{
    struct perf_entrant *entrant = &lineup->entrants[lineup->cnt++];
    *entrant = (struct perf_entrant){
        .peer = peer, .idle = perf_peer_idle(peer, options->idle), .place = place};
    reason_find(entrant, options);
}

void perf_lineup_make(struct perf_lineup *lineup, const struct perf_options *options)
{
    const struct perf_peer *usual[] = {&perf_peer_mcq, &perf_peer_libzmq};
    const struct perf_peer *const *peers = options->peer_cnt > 0 ? options->peers : usual;
    unsigned cnt = options->connect != NULL ? 1 : 2;
    cnt = options->peer_cnt > 0 ? options->peer_cnt : cnt;
    *lineup = (struct perf_lineup){0};
    for (unsigned i = 0; i < cnt; i++) {
        entrant_add(lineup, options, peers[i], PERF_PLACE_PINNED);
        if (peers[i]->has_threads && peers[i]->missing == NULL) {
            entrant_add(lineup, options, peers[i], PERF_PLACE_FREE);
        }
    }
}

static void handler_tell(struct perf_result *r, const struct perf_options *options)
{
    if (options->delay_ns > 0) {
        perf_result_number(r, "delay_ns", (double)options->delay_ns);
    }
    if (options->stall_ms > 0) {
        perf_result_number(r, "stall_ms", (double)options->stall_ms);
        perf_result_number(r, "stall_every_ms", (double)options->stall_every_ms);
    }
}

struct perf_result *perf_lineup_result(const struct perf_options *options, const char *workload,
                                       const struct perf_entrant *entrant)
{
    struct perf_result *r = perf_result_new(workload, entrant->peer->name);
    perf_result_number(r, "size", (double)options->size);
    perf_result_text(r, "idle", perf_idle_name(entrant->idle));
    perf_result_text(r, "placement", perf_place_name(entrant->place));
    if (options->connect == NULL) {
        perf_result_text(r, "transport", perf_transport_name(options->transport));
    } else {
        perf_result_text(r, "connect", options->connect);
        perf_result_text(r, "type", options->socket_type != NULL ? options->socket_type : "dealer");
    }
    handler_tell(r, options);
    return r;
}

void perf_lineup_arm(struct perf_arm *arm, const struct perf_entrant *entrant,
                     struct perf_result *result, uint64_t param)
{
    *arm = (struct perf_arm){
        .peer = entrant->peer,
        .idle = entrant->idle,
        .place = entrant->place,
        .result = result,
        .param = param,
    };
    snprintf(arm->reason, sizeof arm->reason, "%s", entrant->reason);
}

void perf_lineup_missing(const struct perf_arm *arms, unsigned cnt)
{
    for (unsigned i = 0; i < cnt; i++) {
        bool told = i > 0 && strcmp(arms[i].reason, arms[i - 1].reason) == 0;
        if (arms[i].reason[0] != '\0' && !told) {
            fprintf(stderr, "mcq-perf: %s %s: %s\n", arms[i].result->workload, arms[i].result->arm,
                    arms[i].reason);
        }
    }
}
