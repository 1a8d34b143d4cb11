/* Diary: the events of one socket, checked against the order that <monocoque/event.h> promises.
 *
 *   connect side, one book per endpoint:
 *      CONNECTING -> CONNECTED -> UP -> DISCONNECTED -> RETRY -> CONNECTING ...
 *           |            +-> HANDSHAKE_FAILED, REFUSED -> RETRY
 *           +-> HANDSHAKE_FAILED -> RETRY
 *      and, in place of RETRY or before the first try, UNCONNECTED, the last
 *   accepted: ACCEPTED -> UP -> DISCONNECTED, or HANDSHAKE_FAILED, or REFUSED: as sums, because
 *      such an event may name nobody
 *   listeners: LISTENING -> (LISTEN_FAILED ...) -> UNBOUND, as sums
 *   peers: UP once, then SLOW and SLOW_END in turns, in each turn at most one DROPPED of a reason,
 *      then DISCONNECTED, not slow
 */
#ifndef MCQ_TESTS_SIM_DIARY_H
#define MCQ_TESTS_SIM_DIARY_H

#include <monocoque/event.h>
#include <monocoque/sock.h>

#define MCQ_DIARY_BOOKS_MAX 6u
#define MCQ_DIARY_PEERS_MAX 96u

enum mcq_diary_state {
    MCQ_DIARY_IDLE = 0,
    MCQ_DIARY_CONNECTING,
    MCQ_DIARY_CONNECTED,
    MCQ_DIARY_UP,
    MCQ_DIARY_DOWN,
    MCQ_DIARY_RETRY,
    MCQ_DIARY_OVER
};

struct mcq_diary_book {
    char endpoint[MCQ_ENDPOINT_LEN_MAX];
    enum mcq_diary_state state;
};

struct mcq_diary_peer {
    struct mcq_peer name;
    bool slow;
    uint64_t drop_turn; /* of the last DROPPED, and the reasons of that turn */
    uint32_t drop_reasons;
};

struct mcq_diary {
    struct mcq_diary_book books[MCQ_DIARY_BOOKS_MAX];
    uint32_t book_cnt;
    struct mcq_diary_peer up[MCQ_DIARY_PEERS_MAX];
    uint32_t up_cnt;
    uint64_t accepted, accepted_up, accepted_failed, accepted_refused, listening, unbound;
};

/* It connects to endpoint, or does so again. */
void mcq_diary_connect(struct mcq_diary *d, const char *endpoint);
/* turn: a number of the shard's turn. Returns NULL, or what is wrong with it. */
const char *mcq_diary_add(struct mcq_diary *d, const struct mcq_event *ev, uint64_t turn);
/* At `closed`. Returns NULL, or what is missing. */
const char *mcq_diary_end(const struct mcq_diary *d);
/* The state of a connect, IDLE if there is none. */
enum mcq_diary_state mcq_diary_state(const struct mcq_diary *d, const char *endpoint);

#endif
