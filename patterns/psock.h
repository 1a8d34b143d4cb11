/* Psock: what a socket is to its pattern. Embedded in the shard's socket, where it stays.
 *
 * Besides each pattern's own state it keeps what all need: the list of pipes (from add to remove),
 * the number of peers that are up, whether a sender waits for room, and the one way to drop
 * messages: counted, remembered in the pipe, told as an event.
 *
 * Life: mcq_psock_init -> pattern's slots -> every pipe removed -> mcq_psock_fini.
 * Thread: the shard's. Ownership: everything is borrowed from the shard, pipes from add to remove.
 */
#ifndef MCQ_PATTERNS_PSOCK_H
#define MCQ_PATTERNS_PSOCK_H

#include "patterns/balance.h"
#include "patterns/fairq.h"
#include "patterns/fanout.h"
#include "patterns/pattern.h"
#include "patterns/shared.h"
#include "patterns/subs.h"

struct mcq_req {
    struct mcq_pipe *asked; /* who has our request, NULL: free to ask */
    uint32_t number;        /* of the request sent last */
    bool doubtful;          /* a reply was dropped as late since */
};

struct mcq_rep {
    bool busy;                /* a request is with the user */
    struct mcq_pipe *origin;  /* who asked; NULL: its pipe is gone */
    struct mcq_peer asker;    /* ... and over which connection */
    struct mcq_fairq waiting; /* those whose requests have to wait for the reply */
    size_t envelope_len;
    uint8_t envelope[MCQ_ENVELOPE_LEN_MAX]; /* in stored form, delimiter included */
};

struct mcq_router {
    uint32_t next_id; /* of the next generated identity */
};

/* Those of the socket's options that patterns look at, checked and with their defaults. */
struct mcq_psock_opts {
    uint32_t subs_max, subs_max_bytes;           /* subscriptions of one peer */
    uint32_t subs_sock_max, subs_sock_max_bytes; /* ... of all */
    enum mcq_slow slow;                          /* never DEFAULT */
    enum mcq_slow slow_to; /* the same for mcq_send_to: block where the user chose nothing */
    bool immediate;
    bool req_correlate, req_relaxed;
    bool router_mandatory;
    enum mcq_identity_policy identity_policy;
    bool probe;
    bool verbose, verboser, manual, invert_matching;
    bool member;       /* of several sockets whose generated identities are to differ */
    uint8_t member_id; /* ... by this byte */
    uint32_t welcome_len;
    uint8_t welcome[MCQ_WELCOME_LEN_MAX];
};

struct mcq_psock {
    const struct mcq_pattern *pattern;
    struct mcq_pipe *solo; /* the only one in the balance's turn, where messages may skip pick */
    struct mcq_balance balance; /* PAIR, PUSH, DEALER, REQ */
    const struct mcq_psock_up *up;
    void *up_ctx;
    struct mcq_pipe_env *env;
    struct mcq_pattern_shared *shared;
    struct mcq_pattern_stats *stats;
    uint64_t (*random)(void *ctx);
    void *random_ctx;
    struct mcq_list pipes; /* by peers_node, from add to remove */
    uint32_t peers_up;
    const struct mcq_psock_opts *opts;
    bool sender_waits; /* a send was refused: the next room is told */
    union {
        struct mcq_req req;
        struct mcq_rep rep;
        struct mcq_router router;
        struct mcq_fanout pub;
        struct mcq_subs sub;
    };
};

struct mcq_psock_config {
    const struct mcq_psock_up *up;
    void *up_ctx;
    struct mcq_pipe_env *env; /* its stats are the socket's */
    struct mcq_pattern_shared *shared;
    uint64_t (*random)(void *ctx);
    void *random_ctx;
    const struct mcq_psock_opts *opts;
};

/* Starts a socket, pattern->open included. Borrows all that config points to until fini. */
void mcq_psock_init(struct mcq_psock *s, const struct mcq_pattern *pattern,
                    const struct mcq_psock_config *config);
/* After every pipe was removed, and all is swept; pattern->close included. */
void mcq_psock_fini(struct mcq_psock *s);
/* The peer that announced that identity and is up, NULL if there is none. Any type. */
struct mcq_pipe *mcq_psock_find(const struct mcq_psock *s, struct mcq_slice identity);

/* Ends p's connection: nobody finds it by its identity any more; detach follows, not in here.
 * Harmless if p isn't up. */
void mcq_psock_end(struct mcq_psock *s, struct mcq_pipe *p, enum mcq_reason reason);

/* p stands for a peer of another shard's socket: it is sent to, and found by its identity from
 * enter_far to leave_far, and is none of this socket's peers. remove_far leaves by itself. */
void mcq_psock_add_far(struct mcq_psock *s, struct mcq_pipe *p);
void mcq_psock_enter_far(struct mcq_psock *s, struct mcq_pipe *p);
void mcq_psock_leave_far(struct mcq_psock *s, struct mcq_pipe *p);
void mcq_psock_remove_far(struct mcq_psock *s, struct mcq_pipe *p);

/* --- for patterns alone --------------------------------------------------------------------- */

#define MCQ_PSOCK_NO_PREFIX ((struct mcq_slice){NULL, 0})

/* The bookkeeping of every pattern's slots of these names; PULL's own slots. */
void mcq_psock_add(struct mcq_psock *s, struct mcq_pipe *p);
enum mcq_reason mcq_psock_attach(struct mcq_psock *s, struct mcq_pipe *p);
void mcq_psock_detach(struct mcq_psock *s, struct mcq_pipe *p);
void mcq_psock_remove(struct mcq_psock *s, struct mcq_pipe *p);

/* Counts a peer that attach refuses for reason, and returns reason. */
enum mcq_reason mcq_psock_refuse(struct mcq_psock *s, enum mcq_reason reason);
/* Counts cnt dropped messages of p (or of nobody) and tells the shard. reason: HWM, SLOW, CONFLATED
 * (p's slowness cost them: counted in p as well), NO_PEER or PATTERN. */
void mcq_psock_drop(struct mcq_psock *s, struct mcq_pipe *p, enum mcq_reason reason, uint64_t cnt);
/* Counts a send that found no room, and whose sender shall hear of it. Returns MCQ_EAGAIN. */
enum mcq_error mcq_psock_again(struct mcq_psock *s);
/* There is room: tells the sender that waits, if any. */
void mcq_psock_wake(struct mcq_psock *s);
/* Puts prefix and the frames of m from `first` on into p, and deals with fullness as `slow` says:
 *   block       MCQ_EAGAIN, counted, the sender will be woken
 *   drop-new    MCQ_OK, the message is dropped, counted and told
 *   drop-old    what isn't in flight makes room from the front, each counted and told; what is
 *               larger than that room is dropped itself
 *   conflate    what isn't in flight is dropped for it, counted and told as CONFLATED
 *   disconnect  MCQ_OK, dropped as well, and p's connection ends (SLOW)
 * In all cases a pipe at its high-water mark becomes slow (up->slow); one that conflates has none.
 * Where memory is short, not p's credit, drop-old drops all it may, and what still isn't taken is
 * dropped itself, without further consequences. Other errors: MCQ_ETOOBIG. */
MCQ_MUST_USE enum mcq_error mcq_psock_put(struct mcq_psock *s, struct mcq_pipe *p,
                                          enum mcq_slow slow, struct mcq_slice prefix,
                                          const struct mcq_msg *m, uint32_t first);
/* The option `probe`: p has come up and is sent an empty message before all else. */
void mcq_psock_probe(struct mcq_psock *s, struct mcq_pipe *p);
/* p's queue outlives its connections, and takes messages between them. */
bool mcq_psock_keeps(const struct mcq_psock *s, const struct mcq_pipe *p);
/* p has refused a message: if for its high-water mark, it is slow from now on. */
void mcq_psock_refused(struct mcq_psock *s, struct mcq_pipe *p);
/* p has room again, or its connection ends: it is slow no longer. */
void mcq_psock_relieved(struct mcq_psock *s, struct mcq_pipe *p);
/* Drops what waits in p for a newer message, told as CONFLATED. */
void mcq_psock_conflate(struct mcq_psock *s, struct mcq_pipe *p);
/* Makes room in p for `need` stored bytes, as far as dropping its oldest can. */
void mcq_psock_shed(struct mcq_psock *s, struct mcq_pipe *p, size_t need);
/* Puts m into the one pipe the user named. */
MCQ_MUST_USE enum mcq_error mcq_psock_put_to(struct mcq_psock *s, struct mcq_pipe *to,
                                             const struct mcq_msg *m);

/* Slots that several patterns have in common. */
size_t mcq_psock_deliver(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_msg *msgs, size_t n);
size_t mcq_psock_discard(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_msg *msgs, size_t n);
enum mcq_error mcq_psock_send_refused(struct mcq_psock *s, struct mcq_pipe *to,
                                      const struct mcq_msg *m);
void mcq_psock_writable(struct mcq_psock *s, struct mcq_pipe *p);

#endif
