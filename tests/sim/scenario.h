/* Scenario: what a seed stands for: processes, sockets and who meets whom, options, faults, and how
 * the application behaves. Drawn at once, before anything runs; a pure function of the machine's
 * random numbers and of what this version of the library knows.
 *
 * A *circuit* is a group of sockets of one legal pair of types. A *cast* is a part to be played: a
 * socket of one process, opened again after it was closed or its process was killed; each time
 * another *actor* (tests/sim/actor.h) plays it.
 */
#ifndef MCQ_TESTS_SIM_SCENARIO_H
#define MCQ_TESTS_SIM_SCENARIO_H

#include <monocoque/app.h>
#include <monocoque/sock.h>

#include "tests/sim/kernel.h"

#define MCQ_SCENARIO_HOSTS_MAX     5u
#define MCQ_SCENARIO_CASTS_MAX     24u
#define MCQ_SCENARIO_ENDPOINTS_MAX 16u
#define MCQ_SCENARIO_BLOWS_MAX     4u
#define MCQ_SCENARIO_IDENTITY_LEN  12u

enum mcq_size { MCQ_SIZE_TINY = 0, MCQ_SIZE_SMALL, MCQ_SIZE_MIXED, MCQ_SIZE_LARGE };

/* Chances in 10,000, each time it could be done. */
struct mcq_temper {
    uint32_t pause;   /* a handler takes less than it is offered */
    uint32_t keep;    /* ... or keeps a message */
    uint32_t answer;  /* sends from inside a handler */
    uint32_t late;    /* REP, ROUTER: a reply waits */
    uint32_t close;   /* closes its socket, inside a handler or not */
    uint32_t part;    /* ends a peer */
    uint32_t move;    /* takes a bind or connect back, and makes it again */
    uint32_t filter;  /* changes its subscriptions */
    uint32_t foreign; /* sends memory of its own */
};

struct mcq_cast {
    uint32_t idx, host, circuit;
    enum mcq_sock_type type, far;
    struct mcq_sock_opts opts; /* identity and welcome: see below */
    uint8_t identity[MCQ_SCENARIO_IDENTITY_LEN];
    uint32_t identity_len;
    bool twin; /* others of its circuit have that identity too */
    bool welcome;
    uint32_t bind_cnt, connect_cnt;
    uint32_t binds[2], connects[4]; /* endpoints */
    bool surplus;                   /* one too many of its kind: leaves before the rest comes */
    bool batches;                   /* the handler `messages`, not `message` */
    enum mcq_size size;
    uint32_t msgs_max, burst_max;
    uint32_t topics; /* SUB, XSUB: bits, at first */
    struct mcq_temper temper;
};

/* What happens to a whole process. */
struct mcq_blow {
    uint32_t host;
    bool kill; /* else it stands still */
    uint64_t at_ns, for_ns;
};

struct mcq_scenario {
    uint32_t host_cnt, cast_cnt, endpoint_cnt, blow_cnt;
    struct mcq_opts opts[MCQ_SCENARIO_HOSTS_MAX];
    uint32_t hogs[MCQ_SCENARIO_HOSTS_MAX]; /* parts of 16 of every pool of blocks that are taken */
    struct mcq_cast casts[MCQ_SCENARIO_CASTS_MAX];
    char endpoints[MCQ_SCENARIO_ENDPOINTS_MAX][32];
    struct mcq_blow blows[MCQ_SCENARIO_BLOWS_MAX];
    struct mcq_sim_faults faults;
    uint64_t active_ns;
    bool limited; /* some links may never come up */
    bool scarce;  /* memory runs out: a reply may be lost without a trace at the asker */
};

/* Faults come before the machine does: they are drawn from the seed itself. */
void mcq_scenario_faults(uint64_t seed, struct mcq_sim_faults *faults);
/* With the machine open. */
void mcq_scenario_draw(struct mcq_scenario *s);

#endif
