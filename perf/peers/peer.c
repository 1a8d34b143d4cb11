#include "perf/peers/peer.h"

#include <string.h>

const struct perf_peer *perf_peer_find(const char *name)
{
    static const struct perf_peer *const peers[] = {
        &perf_peer_mcq,
        &perf_peer_libzmq,
        &perf_peer_raw,
        &perf_peer_raw_frames,
    };
    for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
        if (strcmp(peers[i]->name, name) == 0) {
            return peers[i];
        }
    }
    return NULL;
}
