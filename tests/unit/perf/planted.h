/* planted: the bare epoll peer with faults planted into what its server does. */
#ifndef MCQ_TESTS_UNIT_PERF_PLANTED_H
#define MCQ_TESTS_UNIT_PERF_PLANTED_H

#include "perf/peers/peer.h"

struct planted {
    uint64_t silent_after; /* this many messages, none goes out any more; 0: never */
    uint64_t damage_at, drop_at, double_at; /* the message of that number, from 1 */
    uint64_t held_for; /* the first connection gets one answer per so many of the others' */
    size_t keeps;      /* bytes of memory per connection */
};

/* Set before a crew is begun, as its processes inherit it. Also of a PUB. */
extern struct planted planted;
extern const struct perf_peer planted_peer;

#endif
