/* Actor: one socket and the application around it, from open to `closed` or to the end of its
 * process. It plays a cast of the scenario: sends, answers, pauses, keeps, closes at random, and
 * checks what it is told.
 */
#ifndef MCQ_TESTS_SIM_ACTOR_H
#define MCQ_TESTS_SIM_ACTOR_H

#include "tests/sim/diary.h"
#include "tests/sim/ledger.h"
#include "tests/sim/scenario.h"

#define MCQ_ACTORS_MAX        96u
#define MCQ_ACTOR_KEPT_MAX    8u
#define MCQ_ACTOR_STALE_MAX   8u
#define MCQ_ACTOR_DEBTS_MAX   32u
#define MCQ_ACTOR_LEAVERS_MAX 32u

struct mcq_host;

enum mcq_actor_state {
    MCQ_ACTOR_FREE = 0,
    MCQ_ACTOR_OPEN,
    MCQ_ACTOR_CLOSING,
    MCQ_ACTOR_CLOSED, /* `closed` was told */
    MCQ_ACTOR_KILLED
};

struct mcq_kept {
    bool used;
    struct mcq_msg msg;
    struct mcq_parcel parcel;
    uint32_t first;
};

/* A reply that is owed. */
struct mcq_debt {
    struct mcq_peer to;
    uint32_t number;     /* of the request */
    uint32_t ticket_len; /* of req_correlate's frame, to be put back */
    uint8_t ticket[8];
};

struct mcq_actor {
    enum mcq_actor_state state;
    uint32_t uid;
    struct mcq_host *host;
    const struct mcq_cast *cast;
    struct mcq_sock *sock;
    struct mcq_diary diary;
    uint32_t bound, connected; /* bits of the cast's endpoints */
    uint32_t sent;             /* of its budget */
    uint32_t greets;           /* still to be sent in the last round */
    bool waits;                /* a send was refused; `writable` is due */
    bool inside;               /* one of its handlers runs */
    /* sums for the end */
    uint64_t put;    /* messages put into queues, or perhaps put into lossy ones */
    uint64_t missed; /* messages that should have gone into a queue and did not */
    uint64_t left;   /* messages that its ends told as sent */
    uint64_t drops[MCQ_REASON_KILLED + 1]; /* as told */
    /* REQ */
    bool asked;
    uint32_t asked_number;
    uint64_t asked_ns;
    bool excused;  /* its reply was dropped, which nobody tells it */
    bool confused; /* it took a reply to another question: who counts can't know */
    /* REP: the one request; ROUTER: several */
    struct mcq_debt debts[MCQ_ACTOR_DEBTS_MAX];
    uint32_t debt_cnt;
    /* SUB, XSUB: bits, calls, and when they began; XPUB: bits as told */
    uint32_t topics;
    uint32_t topic_cnt[MCQ_PARCEL_TOPICS];
    uint64_t topic_since[MCQ_PARCEL_TOPICS];
    uint64_t filter_changed;
    struct mcq_peer newest; /* ROUTER: who came up last, and when */
    uint64_t newest_since;
    struct mcq_kept kept[MCQ_ACTOR_KEPT_MAX];
    struct mcq_peer stale[MCQ_ACTOR_STALE_MAX];
    uint32_t stale_cnt;
    /* PUB: peers that have gone, and what is still to be told as ended */
    struct mcq_peer leavers[MCQ_ACTOR_LEAVERS_MAX];
    uint32_t leaver_topics[MCQ_ACTOR_LEAVERS_MAX];
    uint32_t leaver_cnt;
};

/* Opens a socket for the cast, binds and connects it. NULL: refused by a limit. */
struct mcq_actor *mcq_actor_open(struct mcq_host *host, const struct mcq_cast *cast);
/* Something to do, at random. */
void mcq_actor_act(struct mcq_actor *a);
/* What is owed and held back is given: replies, kept messages, paused peers, lost endpoints. */
void mcq_actor_relax(struct mcq_actor *a);
/* One message to everybody, for the last round. */
void mcq_actor_greet(struct mcq_actor *a);
/* NULL: at rest; else what it still waits for (static). */
const char *mcq_actor_unrest(const struct mcq_actor *a);
void mcq_actor_kill(struct mcq_actor *a);

/* Do its queues drop from their middle? */
bool mcq_actor_loses(const struct mcq_actor *a);
/* May a, as a receiver, be spared this parcel by its own filter or state? */
bool mcq_actor_may_miss(const struct mcq_actor *a, const struct mcq_parcel *p);

/* Is this what it waits for? */
bool mcq_actor_wants(const struct mcq_actor *a, const struct mcq_parcel *p);
/* It was. */
void mcq_actor_missed(struct mcq_actor *a, const struct mcq_end *from, const struct mcq_parcel *p);

/* Those who are or were on stage; NULL behind the last. */
struct mcq_actor *mcq_actor_at(uint32_t idx);
void mcq_actor_reset(void);

/* --- between the files of the actor --------------------------------------------------------- */

/* actor_send.c: sends up to cnt messages of its own; false: it can't go on now. */
bool mcq_actor_send(struct mcq_actor *a, uint32_t cnt);
bool mcq_actor_send_to(struct mcq_actor *a, struct mcq_peer to);
/* Pays what it owes, as far as there is room. */
void mcq_actor_pay(struct mcq_actor *a);
/* Passes a kept message on. */
void mcq_actor_forward(struct mcq_actor *a, struct mcq_kept *kept);
/* A call that must be refused. */
void mcq_actor_misuse(struct mcq_actor *a);
void mcq_actor_send_reset(void);
/* Its process is gone, and with it what was lent to the library. */
void mcq_actor_send_kill(const struct mcq_actor *a);

/* actor_hear.c */
extern const struct mcq_sock_handlers mcq_actor_each, mcq_actor_batch;

void mcq_actor_drop_kept(struct mcq_actor *a, struct mcq_kept *kept);
/* Ends one of its peers, at random or by name. */
void mcq_actor_part(struct mcq_actor *a, struct mcq_end *end);
void mcq_actor_close(struct mcq_actor *a);

#endif
