/* Ledger: what was put into which queue, which two ends are one connection, and what came out at
 * the far end. Every delivery is compared with what is due.
 *
 *      actor A --send--> queue of a link: parcels 0, 1, 2 ...        (one order for its whole life)
 *                          |   connection 17 came up when 5 were gone: its far end is due 5, 6 ...
 *                          |   ... and ended; connection 20 goes on with what was not taken whole
 *      actor B <--deliver--+
 *
 * What it holds the library to: a message goes into as many queues as its pattern says or is
 * counted as dropped; nothing gets into a queue or out of it otherwise; a connection carries the
 * queue's messages in their order, each once and every byte right; what did not arrive lies within
 * the range that the disconnect report names; the reports and drops of a socket add up to its
 * sends.
 *
 * A queue whose policy drops from its middle is *lossy*: messages may be missing there, each at
 * most once, and the sums still hold.
 *
 * Thread: one. Memory: static; a ring of MCQ_LEDGER_RING parcels per queue, and who sends asks for
 * room first.
 */
#ifndef MCQ_TESTS_SIM_LEDGER_H
#define MCQ_TESTS_SIM_LEDGER_H

#include <monocoque/event.h>

#include "tests/sim/parcel.h"
#include "tests/sim/tap.h"

#define MCQ_LEDGER_RING       2048u
#define MCQ_LEDGER_QUEUES_MAX 192u
#define MCQ_LEDGER_CONNS_MAX  192u

struct mcq_actor;

struct mcq_queue {
    struct mcq_actor *actor; /* NULL: free */
    const void *link;        /* NULL: its link is gone */
    const char *target;      /* of that link; NULL: accepted */
    uint64_t stream;         /* accepted: of its one connection */
    bool lossy;
    bool up;        /* its link, at the last look */
    bool shrunk;    /* what waited was dropped since it came up */
    bool seen;      /* in the last look */
    uint32_t conns; /* that it was sent over and whose far end may still take from it */
    uint64_t tail;  /* parcels put so far */
    uint64_t floor; /* lossy: those before it don't come any more */
    uint64_t total; /* out and queued, at the last look */
    uint64_t out, queued;
    uint64_t dropped; /* by it, at the last send */
    struct mcq_parcel ring[MCQ_LEDGER_RING];
};

enum mcq_end_state { MCQ_END_NEVER = 0, MCQ_END_UP, MCQ_END_DOWN, MCQ_END_KILLED };

/* One end of a connection, as the sender of its direction. */
struct mcq_end {
    enum mcq_end_state state;
    struct mcq_actor *actor;
    struct mcq_peer peer;
    struct mcq_queue *queue;
    uint64_t since;   /* the world's count of calls when it came up */
    uint64_t base;    /* of the queue's parcels: the first one for this connection */
    uint64_t pos;     /* the next one for the far end */
    uint64_t taken;   /* how many it was given */
    uint64_t skipped; /* how many it didn't want */
    uint32_t topics;  /* PUB: what the far end is subscribed to, as told */
    enum mcq_reason reason;
    struct mcq_report report;
    bool paused;          /* by its actor, as a receiver */
    void *token;          /* the user pointer it was given */
    uint64_t replaced_at; /* in which turn of its host another took its identity; 0: none did */
};

struct mcq_connection {
    uint64_t stream; /* 0: free */
    uint64_t used;   /* when it changed last */
    struct mcq_end ends[2];
};

void mcq_ledger_reset(void);

/* Looks at the actor's links: new and vanished ones, and that no queue changed by itself. */
void mcq_ledger_look(struct mcq_actor *a);
/* A new link has just been made: by a connect of its own, or for a peer that was accepted. */
void mcq_ledger_begun(struct mcq_actor *a);
/* Whether its queues can be remembered with `more` parcels each. */
bool mcq_ledger_has_room(struct mcq_actor *a, uint32_t more);

/* Whether a queue or a connection of a's is still of interest. */
bool mcq_ledger_knows(const struct mcq_actor *a);
/* Forgets connections with no end up that were quiet for long: another end will hardly come. */
void mcq_ledger_prune(void);

/* A send, around the call: begin, then end with what it returned. */
void mcq_ledger_send_begin(struct mcq_actor *a);
/* to: of mcq_send_to, or zero. Returns into how many queues it went, or may have gone. */
uint32_t mcq_ledger_send_end(struct mcq_actor *a, const struct mcq_parcel *p, struct mcq_peer to,
                             enum mcq_error err);
bool mcq_ledger_sending(void);

void mcq_ledger_up(struct mcq_actor *a, struct mcq_peer peer);
void mcq_ledger_down(struct mcq_actor *a, const struct mcq_event *ev);
/* The actor's process is no more. */
void mcq_ledger_kill(struct mcq_actor *a);

/* A message for a: checks it, and returns what it is. *first: its first frame behind an envelope.
 */
const struct mcq_parcel *mcq_ledger_take(struct mcq_actor *a, struct mcq_peer from,
                                         const struct mcq_msg *m, uint32_t *first);

/* The end of a that is this peer; NULL: there is none that is up. */
struct mcq_end *mcq_ledger_end(const struct mcq_actor *a, struct mcq_peer peer);
struct mcq_end *mcq_ledger_far(const struct mcq_end *end);
/* Any peer of a's that is up: the idx-th of cnt, for idx % cnt. NULL: none. */
struct mcq_end *mcq_ledger_any(const struct mcq_actor *a, uint32_t idx);
/* Calls fn for every end of a's that is up. */
void mcq_ledger_each(struct mcq_actor *a, void (*fn)(struct mcq_actor *a, struct mcq_end *end));

/* NULL if all that is queued for connections with both ends up was given to their far ends; else
 * (static) what is missing, and *who sent it. */
const char *mcq_ledger_unrest(const struct mcq_actor **who);

#endif
