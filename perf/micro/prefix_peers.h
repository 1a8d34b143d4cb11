/* prefix_peers: SUBSCRIBE and CANCEL through the pattern layer, as a PUB's peers say them. */
#ifndef MCQ_PERF_MICRO_PREFIX_PEERS_H
#define MCQ_PERF_MICRO_PREFIX_PEERS_H

#include "prefix_keys.h"
#include "prefix_times.h"

struct prefix_peers {
    uint32_t peers, per_peer;
    uint32_t prefixes; /* distinct ones */
    struct prefix_spread subscribe, cancel;
    double prefix_bytes;   /* per distinct prefix: its object, its share of the map, forks in use */
    double sub_bytes;      /* per subscription: its object, bucket and share of its peer's record */
    double reserved_bytes; /* what a shard sets aside per subscription, whatever peers ask for */
};

/* peers with per_peer subscriptions each, to the first `prefixes` keys. false: said on stderr. */
bool prefix_peers_measure(const struct prefix_keys *k, uint32_t peers, uint32_t per_peer,
                          uint32_t prefixes, struct prefix_peers *result);

#endif
