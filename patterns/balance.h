/* Balance: which peer gets the next message, for PAIR, PUSH, DEALER and REQ.
 *
 * Two rings of pipes, each with the one that is next:
 *      up        peers whose handshake is done
 *      far       other members of the logical socket that have peers, while this one has none
 *      pending   connect-side pipes without a connection: their queues take messages too,
 * (none with the option `immediate`), and `active` is the first as long as anybody is up, else the
 * second. A pipe that has no room leaves its ring, and stands in line with the other full ones,
 * until the shard says it has room (writable), or its connection changes. Removing a pipe hands its
 * turn to its successor, so nobody is skipped; one that comes (back) is last. One that is about to
 * end leaves its ring (retire), and is in none again if it only sends what it has (leaving).
 *
 * When nobody has room, `slow` applies to the pipe that has been full for the longest time. block:
 * the send is remembered (sender_waits) and answered by up->writable, as is one that finds nobody.
 *
 * Thread: the shard's. Pipes are borrowed from add to remove. Cost: O(1); a full pipe is looked at
 * once. With room in the next pipe, pick is two loads and two compares.
 */
#ifndef MCQ_PATTERNS_BALANCE_H
#define MCQ_PATTERNS_BALANCE_H

#include "mem/list.h"
#include "patterns/pipe.h"

struct mcq_balance_ring {
    struct mcq_pipe *current; /* the next to get a message; NULL: the ring is empty */
    struct mcq_list list;     /* by balance_node */
    struct mcq_list full;     /* by balance_node, longest first */
};

struct mcq_balance {
    struct mcq_balance_ring *active; /* one of these */
    struct mcq_balance_ring up, far, pending;
};

void mcq_balance_init(struct mcq_balance *b);

/* The slots of those patterns; they keep the socket's list of peers as well. */
void mcq_balance_add(struct mcq_psock *s, struct mcq_pipe *p);
enum mcq_reason mcq_balance_attach(struct mcq_psock *s, struct mcq_pipe *p);
void mcq_balance_detach(struct mcq_psock *s, struct mcq_pipe *p);
void mcq_balance_remove(struct mcq_psock *s, struct mcq_pipe *p);
void mcq_balance_retire(struct mcq_psock *s, struct mcq_pipe *p);
void mcq_balance_stay(struct mcq_psock *s, struct mcq_pipe *p);
void mcq_balance_writable(struct mcq_psock *s, struct mcq_pipe *p);

/* p leads to another member of the logical socket, which has peers that are up, or none any more.
 */
void mcq_balance_member(struct mcq_psock *s, struct mcq_pipe *p, bool on);
/* Messages of another member, for this one's own peers that are up: to the next with room, in turn.
 * Returns how many were taken; fewer: `writable` follows. */
size_t mcq_balance_relay(struct mcq_psock *s, struct mcq_msg *msgs, size_t n);
/* Is any peer up, of this member's or another's? */
bool mcq_balance_has_peers(const struct mcq_psock *s);
/* The same for messages of this member's that waited for another one, to whoever's peers. */
size_t mcq_balance_resend(struct mcq_psock *s, struct mcq_msg *msgs, size_t n);

/* p has got its message: the next one is its successor's. */
static inline void mcq_balance_advance(struct mcq_balance *b, struct mcq_pipe *p)
{
    struct mcq_balance_ring *r = b->active;
    if (r->current != p)
        return;
    struct mcq_node *n = p->balance_node.next;
    if (n == &r->list.head)
        n = n->next;
    r->current = MCQ_CONTAINER_OF(n, struct mcq_pipe, balance_node);
}

/* Puts prefix and m into the next pipe with room and returns it in *to; the turn stays where it is
 * until advance. MCQ_OK also for what `slow` has dropped. Errors: MCQ_EAGAIN (nobody has room;
 * writable will come), MCQ_ETOOBIG. */
MCQ_MUST_USE enum mcq_error mcq_balance_put(struct mcq_psock *s, struct mcq_slice prefix,
                                            const struct mcq_msg *m, struct mcq_pipe **to);

/* p's connection is to end: it gets nothing from now on. Harmless if p isn't up. */
void mcq_balance_end(struct mcq_psock *s, struct mcq_pipe *p, enum mcq_reason reason);

/* The next pipe that has room for one frame of len bytes; drop-old and conflate make room. NULL:
 * *err says why, as in mcq_pattern.pick. */
struct mcq_pipe *mcq_balance_search(struct mcq_psock *s, size_t len, enum mcq_error *err);

static inline struct mcq_pipe *mcq_balance_pick(struct mcq_psock *s, struct mcq_balance *b,
                                                size_t len, enum mcq_error *err)
{
    struct mcq_pipe *p = b->active->current;
    if (MCQ_LIKELY(p != NULL && p->countdown != 0 && len <= MCQ_PIPE_SHARE_MIN &&
                   mcq_frame_head_len(len) + len <= (size_t)(p->limit - p->cursor)))
        return p;
    return mcq_balance_search(s, len, err);
}

/* The slots of a pattern whose messages go to the next peer with room, in turn. */
enum mcq_error mcq_balance_send(struct mcq_psock *s, struct mcq_pipe *to, const struct mcq_msg *m);
struct mcq_pipe *mcq_balance_pick_slot(struct mcq_psock *s, size_t len, enum mcq_error *err);
void mcq_balance_chosen(struct mcq_psock *s, struct mcq_pipe *p);

#endif
