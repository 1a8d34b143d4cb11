#include "perf/peers/peer.h"

#include <stdio.h>
#include <string.h>

#define NAMES_MAX 256

static const struct perf_peer *const peers[] = {
    &perf_peer_mcq,  &perf_peer_libzmq, &perf_peer_nng,   &perf_peer_raw,
    &perf_peer_spin, &perf_peer_epoll,  &perf_peer_uring, &perf_peer_raw_frames,
};

#define PEER_CNT (sizeof peers / sizeof peers[0])

const struct perf_peer *perf_peer_find(const char *name)
{
    for (size_t i = 0; i < PEER_CNT; i++) {
        if (strcmp(peers[i]->name, name) == 0) {
            return peers[i];
        }
    }
    return NULL;
}

const char *perf_peer_names(void)
{
    static char names[NAMES_MAX];
    size_t len = 0;
    for (size_t i = 0; i < PEER_CNT; i++) {
        const char *between = i == 0 ? "" : i + 1 == PEER_CNT ? " or " : ", ";
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", between, peers[i]->name);
    }
    return names;
}
