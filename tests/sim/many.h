/* Many: a run of one seed with an app of several shards (the house) and programs of one shard
 * around it. What the single-shard world (world.h) holds a shard to is not asked again; this one
 * asks what several shards promise together: posts, logical sockets, names, hand-offs, ends.
 *
 *      draw -> ACTIVE (acts, faults, pauses, kills, stops) -> SETTLE (no faults; all that was sent
 *      must be there or counted) -> GREET (everybody sends to everybody; must arrive) -> END
 *
 * A *part* is a socket to be played on one shard of one team; a *mate* plays it. The parts of a
 * *circuit* meet: members of a logical socket in the house, or one socket there, and their far ends
 * anywhere.
 */
#ifndef MCQ_TESTS_SIM_MANY_H
#define MCQ_TESTS_SIM_MANY_H

#include "tests/sim/posts.h"
#include "tests/sim/team.h"
#include "tests/sim/world.h"

#define MCQ_MANY_TEAMS_MAX     5u
#define MCQ_MANY_CIRCUITS_MAX  4u
#define MCQ_MANY_PARTS_MAX     64u
#define MCQ_MANY_ENDPOINTS_MAX 96u
#define MCQ_MANY_BLOWS_MAX     3u
#define MCQ_MANY_HOUSE         0u /* the team of several shards */

/* Chances in 10,000, each time it could be done. */
struct mcq_manner {
    uint32_t pause, keep, answer, foreign, part, move, close, filter;
};

struct mcq_part {
    uint32_t idx, circuit, team, shard;
    enum mcq_sock_type type, far;
    bool member;  /* of the circuit's logical socket */
    bool surplus; /* another has its identity: one of them is up */
    struct mcq_sock_opts opts;
    char identity[16];
    uint32_t identity_len;
    uint32_t bind_cnt, connect_cnt;
    uint32_t binds[2], connects[2]; /* endpoints */
    uint32_t topics;                /* SUB: bits, at first */
    uint32_t msgs_max, burst_max, len_max;
    bool batches;
    struct mcq_manner manner;
};

struct mcq_circuit {
    char logical[16]; /* "": the house has one socket */
    struct mcq_steer_opts steering;
    bool steered;       /* ... and anew while it runs */
    bool calm;          /* nobody ends a connection or a socket of it */
    bool across;        /* inproc, between two shards */
    bool ends;          /* some connection or socket of it has ended, or was killed */
    bool cuts;          /* its options lose messages while all is well */
    uint32_t life;      /* of the house: sums are of that one */
    bool killed;        /* ... and it was: they don't add up */
    uint64_t put, left; /* the house's: sends; messages that its ends told as sent */
    uint64_t dropped;   /* ... and as dropped */
    bool moves;         /* its peers are handed over */
};

struct mcq_many_blow {
    uint32_t team, shard;
    enum { MCQ_BLOW_STILL = 0, MCQ_BLOW_KILL, MCQ_BLOW_STOP } kind;
    uint64_t at_ns, for_ns;
};

struct mcq_many {
    uint64_t seed;
    uint32_t team_cnt, circuit_cnt, part_cnt, endpoint_cnt, blow_cnt;
    struct mcq_opts opts[MCQ_MANY_TEAMS_MAX];
    bool embedded[MCQ_MANY_TEAMS_MAX]; /* shard 0 is in a loop of the program's own */
    size_t ring_len_max;
    uint64_t ring_start;
    uint32_t post_burst; /* 0: no posts */
    uint32_t visitor_cnt;
    uint32_t hold; /* chance that a shard is held up before its turn */
    struct mcq_circuit circuits[MCQ_MANY_CIRCUITS_MAX];
    struct mcq_part parts[MCQ_MANY_PARTS_MAX];
    char endpoints[MCQ_MANY_ENDPOINTS_MAX][40];
    struct mcq_many_blow blows[MCQ_MANY_BLOWS_MAX];
    struct mcq_sim_faults faults;
    uint64_t active_ns;
};

/* many_draw.c: with the machine open. shards: of the house; 0: drawn. */
void mcq_many_draw(struct mcq_many *m, uint32_t shards);

/* many_rest.c: NULL, or what was sent and hasn't come, nor was told as dropped; who: gets whose it
 * is. With every shard asleep. */
const char *mcq_many_missing(char *who, size_t len);
/* The same of what was published since the last round began. */
const char *mcq_many_unpublished(char *who, size_t len);
void mcq_many_greets(void);

/* many_app.c: what the shards run. */
struct mcq_mate;
extern const struct mcq_app mcq_many_app;
void mcq_many_app_reset(void);
struct mcq_posts *mcq_many_posts(void);
/* The mates that are there now greet, each once. */
void mcq_many_app_greet(void);
/* It hasn't greeted yet. */
bool mcq_many_app_greets(const struct mcq_mate *m);

/* The whole life of a seed. */
void mcq_many_run(uint64_t seed, uint32_t shards, struct mcq_world_result *result);

/* --- what mates ask ------------------------------------------------------------------------- */

struct mcq_many *mcq_many(void);
enum mcq_phase mcq_many_phase(void);
struct mcq_team *mcq_many_team(uint32_t idx);
/* Of the team's life: its names are its own. */
uint32_t mcq_many_realm(uint32_t team);
/* Calls so far; counts one. Something has moved. */
void mcq_many_stir(void);
void mcq_many_count_sent(void);
void mcq_many_count_taken(void);
/* Drops as told on a shard. */
void mcq_many_dropped(uint32_t team, uint32_t shard, enum mcq_reason reason, uint64_t cnt);
__attribute__((format(printf, 1, 2))) void mcq_many_trace(const char *format, ...);
void mcq_many_digest(uint64_t value);

#endif
