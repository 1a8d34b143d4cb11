/* Steer layout: what the steering program, its maps and this library agree on byte by byte.
 *
 * Compiled by the C compiler and for the kernel's virtual machine alike: plain integers, no
 * pointers, no libc. Addresses are in network order, everything else is the host's.
 */
#ifndef MCQ_SHARDS_STEER_LAYOUT_H
#define MCQ_SHARDS_STEER_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#define MCQ_STEER_SHARD_CNT 128u  /* as <monocoque/steer.h> has it */
#define MCQ_STEER_RULE_CNT  1024u /* rules of a group, exact ones included */
#define MCQ_STEER_SLOT_CNT  1024u /* of the weights' table; a power of two */
#define MCQ_STEER_CPU_CNT   1024u /* a power of two */
#define MCQ_STEER_NO_SHARD  UINT32_MAX
#define MCQ_STEER_NO_RULE   UINT32_MAX

#define MCQ_STEER_PINS_TEXT 272u /* as MCQ_ENDPOINT_LEN_MAX, rounded up */
#define MCQ_STEER_PINS_NAME 64u

/* Values of enum mcq_steer_mode. */
#define MCQ_STEER_BY_HASH    0u
#define MCQ_STEER_BY_CPU     1u
#define MCQ_STEER_BY_PORT    2u
#define MCQ_STEER_BY_WEIGHTS 3u
#define MCQ_STEER_BY_LEAST   4u

/* What decided: index of a shard's counters. */
#define MCQ_STEER_WHY_EXACT     0u
#define MCQ_STEER_WHY_PREFIX    1u
#define MCQ_STEER_WHY_MODE      2u
#define MCQ_STEER_WHY_ELSEWHERE 3u /* the shard that rule or mode named isn't live */
#define MCQ_STEER_WHY_MIGRATED  4u /* its listener closed before it was accepted */
#define MCQ_STEER_WHY_CNT       5u

/* A map of one element. Read by the program while it may be written: whatever a torn read chooses
 * is bounded, and a slot without a listener falls to the kernel's own choice. */
struct mcq_steer_conf {
    uint32_t mode;
    uint32_t open;      /* 0: the members don't listen yet; whoever comes is refused */
    uint32_t shard_cnt; /* of the app */
    uint32_t seed;      /* of the hash, so that nobody outside can aim at one shard */
    uint32_t live_cnt;
    uint8_t live[MCQ_STEER_SHARD_CNT];    /* the first live_cnt: which shards take connections */
    uint8_t is_live[MCQ_STEER_SHARD_CNT]; /* the same by shard */
};

/* What a rule says. id: index of its counter. */
struct mcq_steer_target {
    uint32_t shard;
    uint32_t id;
};

/* Keys: the whole address; the front of one, its length in bits. An IPv4 address has one word. */
struct mcq_steer_exact {
    uint32_t family; /* 4 or 6 */
    uint32_t addr[4];
};
struct mcq_steer_front4 {
    uint32_t len;
    uint32_t addr[1];
};
struct mcq_steer_front6 {
    uint32_t len;
    uint32_t addr[4];
};

/* How much a shard has to do, on a cache line of its own; written by the shard alone. */
struct mcq_steer_load {
    uint32_t conns;
    uint32_t pad[15];
};

/* What else is asked of the connection. family 0: it has no address (a unix socket). */
struct mcq_steer_input {
    uint32_t family;
    uint32_t addr[4]; /* source; IPv4: the first, the others are 0 */
    uint32_t port;    /* source */
    uint32_t cpu;     /* that received it */
    uint32_t random;
};

struct mcq_steer_choice {
    uint32_t shard;
    uint32_t why;
    uint32_t rule; /* its id, MCQ_STEER_NO_RULE: none matched */
};

/* Who a pinned group belongs to; a map of one element. */
struct mcq_steer_about {
    uint32_t version; /* of this page */
    uint32_t pid;     /* in its own pid namespace */
    uint32_t shard_cnt;
    uint32_t weights[MCQ_STEER_SHARD_CNT];
    uint8_t member[MCQ_STEER_SHARD_CNT];  /* listens */
    uint8_t drained[MCQ_STEER_SHARD_CNT]; /* by the user: not live, though it may listen */
    char name[MCQ_STEER_PINS_NAME];       /* of the logical socket */
    char endpoint[MCQ_STEER_PINS_TEXT];
};

#define MCQ_STEER_LAYOUT_VERSION 2u

#endif
