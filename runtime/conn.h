/* Connection: one byte stream (tcp v4/v6, unix), or one listener, in a slot of the loop's table.
 *
 *      connect --> CONNECTING --+
 *      adopt (accepted fd) -----+--> OPEN --close--> DRAINING --+
 *                               |      |             (shutdown WR, receive and discard until EOF
 *                               |      |              or the deadline)       |
 *                               +------+--abort------------------------------+--> ENDING
 *                      (shutdown RDWR, cancel, drain every completion, SIOCOUTQ, close) --> CLOSED
 *
 * An OPEN connection may also leave its loop alive, for another one:
 *
 *      freeze --> freezing --nothing is in flight any more--> frozen --give--> (a parcel) --take-->
 *                    |                                          |          OPEN, in the other loop
 *                    +------------------thaw--------------------+--> OPEN as before
 *
 * At most one send is in flight; what comes meanwhile gathers behind it in the caller's queue.
 * Receiving is armed with a credit in bytes and is never re-armed by itself beyond it: after a
 * RECV event with recv_armed false the owner decides. A shot ended by an empty buffer ring waits
 * in the loop's line and counts as armed.
 *
 * Fields change with the event that tells of it, never ahead of it (bytes_in excepted): an event
 * that changes some is the first one of its connection in what one mcq_loop_reap returns. So the
 * event after which recv_armed is false is the shot's last, and nothing of it is still to come.
 * Events that the same reap returned before the owner closed or aborted are still to be settled
 * (a RECV's buf dropped).
 */
#ifndef MCQ_RUNTIME_CONN_H
#define MCQ_RUNTIME_CONN_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "mem/buf.h"
#include "mem/list.h"
#include "runtime/timer.h"

struct mcq_loop;

#define MCQ_CONN_IOV_MAX 64u /* pieces of one gathered send */

enum mcq_conn_state {
    MCQ_CONN_FREE = 0,
    MCQ_CONN_LISTENING,
    MCQ_CONN_CONNECTING,
    MCQ_CONN_OPEN,
    MCQ_CONN_DRAINING,
    MCQ_CONN_ENDING
};

struct mcq_addr {
    socklen_t len;
    struct sockaddr_storage ss;
};

struct mcq_conn {
    int fd;
    uint32_t slot, epoch;
    enum mcq_conn_state state;
    bool recv_armed;      /* a receive is in flight or waits in the loop's line */
    bool recv_cancelling; /* it is being taken back: RECV_INTO may follow once it has ended */
    bool send_busy;       /* a send is in flight */
    bool freezing;        /* from mcq_conn_freeze on: nothing can be armed or sent */
    bool frozen;          /* ... and FROZEN was told */
    bool eof;
    bool unix_domain;
    void *user;                   /* the owner's (session or listener) */
    uint64_t bytes_in, bytes_out; /* what RECV and SENT events told */
    uint64_t unacked;             /* final with CLOSED: SIOCOUTQ before close, if unacked_known */
    bool unacked_known;
    /* --- runtime's own below --------------------------------------------------------------- */
    bool listener;
    bool fin_sent;        /* our side is shut: the last sequence number is the FIN's */
    bool hot;             /* asked once a turn, runtime/hot */
    bool quiet;           /* was hot and cooled: armed to wait until bytes come */
    bool stop_due;        /* the end of a stopped receive is not told yet */
    bool closed_due;      /* CLOSED is not told yet */
    bool frozen_due;      /* FROZEN is not told yet */
    bool send_cancelling; /* the send in flight is being taken back */
    uint8_t inflight;     /* bits 1 << mcq_op_kind: operations the kernel holds */
    uint32_t recv_credit; /* what is left of it */
    uint32_t into_off;
    size_t send_len;
    uint64_t hot_until_ns;
    uint64_t batch; /* the reap that told something of it last */
    struct mcq_loop *loop;
    struct mcq_buf *into;           /* RECV_INTO target, referenced */
    struct mcq_node line;           /* in one of the loop's lists: starved, due, ended */
    struct mcq_timer_node deadline; /* DRAINING */
    struct msghdr msg;
    struct mcq_addr addr; /* connect target, accepted peer, or what the listener is bound to */
    struct iovec iov[MCQ_CONN_IOV_MAX];
};

/* Applied on every path: listen, accept, connect, reconnect. 0: the system's own. Unix sockets have
 * the buffers alone. */
struct mcq_sockopts {
    uint32_t notsent_lowat_bytes;
    uint32_t user_timeout_ms;
    uint32_t keepalive_idle_s, keepalive_interval_s, keepalive_cnt;
    uint32_t send_buffer_bytes, recv_buffer_bytes;
    uint32_t tos;
    const char *device; /* NULL: any; borrowed during the call */
};

/* Listens at addr. Gives *conn in LISTENING, armed. *bound: the actual address. A stale unix
 * socket file that nobody serves is removed first. so: so that what depends on it is right from the
 * first packet. Errors: MCQ_EADDRINUSE, MCQ_EACCESS, MCQ_EADDR, MCQ_ELIMIT, MCQ_EOS. */
MCQ_MUST_USE enum mcq_error mcq_conn_listen(struct mcq_loop *loop, const struct mcq_addr *addr,
                                            const struct mcq_sockopts *so, uint32_t backlog,
                                            void *user, struct mcq_conn **conn,
                                            struct mcq_addr *bound, struct mcq_detail *detail);
/* Takes a bound descriptor, its address for the slot (len 0: it has no file that ends with it).
 * Gives *conn in LISTENING, not armed: mcq_listen_arm does that. MCQ_ELIMIT: fd stays the
 * caller's. */
MCQ_MUST_USE enum mcq_error mcq_conn_listener(struct mcq_loop *loop, int fd,
                                              const struct mcq_addr *addr, void *user,
                                              struct mcq_conn **conn, struct mcq_detail *detail);
/* What a refused bind or listen means. Returns detail's code. */
enum mcq_error mcq_listen_explain(const struct mcq_sockopts *so, int os_errno,
                                  struct mcq_detail *detail);
/* Accepting again after ACCEPT_FAILED. */
void mcq_listen_arm(struct mcq_loop *loop, struct mcq_conn *listener);

/* Starts connecting, from src unless it is NULL. CONNECTED or CONNECT_FAILED follows. Errors:
 * MCQ_ELIMIT, MCQ_EACCESS, MCQ_EADDR, MCQ_EADDRINUSE (device and src), MCQ_EOS. */
MCQ_MUST_USE enum mcq_error mcq_conn_connect(struct mcq_loop *loop, const struct mcq_addr *addr,
                                             const struct mcq_addr *src,
                                             const struct mcq_sockopts *so, void *user,
                                             struct mcq_conn **conn, struct mcq_detail *detail);
/* Takes the accepted fd (NODELAY, CLOEXEC, options set here). MCQ_ELIMIT: the table is full,
 * counted; fd stays the caller's. */
MCQ_MUST_USE enum mcq_error mcq_conn_adopt(struct mcq_loop *loop, int fd,
                                           const struct mcq_sockopts *so, void *user,
                                           struct mcq_conn **conn);

/* Address of the far end; len 0 if unknown. Valid with CLOSED too. */
void mcq_conn_peer_addr(const struct mcq_conn *c, struct mcq_addr *addr);
/* Bytes that the peer's kernel hasn't acknowledged, now; false: can't be told (unix). A system
 * call. */
bool mcq_conn_unacked(const struct mcq_conn *c, uint64_t *len);

/* Arms receiving for about `credit` bytes (> 0) into the buffer ring: a multishot limited to it
 * where the kernel can, else one receive. No-op if armed. */
void mcq_conn_recv(struct mcq_loop *loop, struct mcq_conn *c, uint32_t credit);
/* Arms one receive of up to len bytes into buf at off <= buf->written (buf is referenced until it
 * ends; the caller keeps its own reference). Only when !recv_armed; the RECV event says how many
 * came, and buf->written covers them. */
void mcq_conn_recv_into(struct mcq_loop *loop, struct mcq_conn *c, struct mcq_buf *buf,
                        uint32_t off, uint32_t len);
/* Takes an armed receive back; RECV events may still come; when it has ended recv_armed is false
 * (an event of kind RECV with len 0 and buf NULL tells, unless EOF or ERROR ended it). */
void mcq_conn_recv_stop(struct mcq_loop *loop, struct mcq_conn *c);

/* Sends iov[0, cnt), cnt <= MCQ_CONN_IOV_MAX; the vector is copied, the bytes must stay until SENT
 * or CLOSED. false: a send is in flight already, or not OPEN. */
MCQ_MUST_USE bool mcq_conn_send(struct mcq_loop *loop, struct mcq_conn *c, const struct iovec *iov,
                                uint32_t cnt);

/* The orderly end: see the diagram. A send in flight ends first; the owner's queue is its own
 * business. deadline_ns absolute. Events until CLOSED are only SENT,
 * CLOSED; received bytes are discarded. For listeners the same as abort. */
void mcq_conn_close(struct mcq_loop *loop, struct mcq_conn *c, uint64_t deadline_ns);
void mcq_conn_abort(struct mcq_loop *loop, struct mcq_conn *c);

/* --- leaving the loop alive ------------------------------------------------------------------ */

/* What of a connection goes with it: plain values, valid in any thread of the process. */
struct mcq_conn_parcel {
    int fd;
    bool eof, fin_sent, unix_domain;
    uint64_t bytes_in, bytes_out;
    struct mcq_addr addr;
};

/* Begins to bring an OPEN connection to rest: takes the armed receive back and cancels the send in
 * flight. false, and nothing happens: it isn't OPEN (not connected yet, ending) or is freezing
 * already. From here on recv, recv_into and recv_stop do nothing and send says false. What was in
 * flight ends with the events it always has, which the owner treats as ever, and in this order:
 *
 *      SENT    with the bytes that the kernel had taken, 0 if none; the rest was not sent and never
 *              will be by itself. Those behind it are the owner's to send, on whichever loop
 *      RECV    bytes that had come; they belong to the stream, in order. A receive into the owner's
 *              block leaves in buf->written what it got. len 0: the receive has ended
 *      EOF     the flag travels in the parcel
 *      ERROR   the stream is broken (of the send: instead of SENT, and send_busy is false; of the
 *              receive: recv_armed is). FROZEN comes all the same, unless the owner aborts
 *      FROZEN  exactly once, the last one: nothing is in flight, no event is still to come. Also if
 *              nothing was in flight to begin with: then with the next reap, never inside this call
 *
 * close and abort go at any moment, and end the freezing: then CLOSED comes and FROZEN doesn't (a
 * close sends nothing of what a cancelled send left). Cost: up to two cancels in the next enter. */
MCQ_MUST_USE bool mcq_conn_freeze(struct mcq_loop *loop, struct mcq_conn *c);

/* The move is called off, while freezing or frozen; no-op otherwise. If FROZEN wasn't told it
 * doesn't come; what was cancelled still ends with its events: send says true again after SENT,
 * recv arms again after the event that finds recv_armed false. */
void mcq_conn_thaw(struct mcq_loop *loop, struct mcq_conn *c);

/* Gives a frozen connection away, after the event FROZEN: *p has the fd (also returned) and what is
 * known of it. The slot is free at once and its epoch is another; c is not to be used any more, no
 * event and no CLOSED will name it. What owner and peer know stays as it is: no byte is sent, read
 * or lost. */
int mcq_conn_give(struct mcq_loop *loop, struct mcq_conn *c, struct mcq_conn_parcel *p);

/* What give will fill in, while it stays frozen here: for a taker that may still refuse. */
void mcq_conn_show(const struct mcq_conn *c, struct mcq_conn_parcel *p);

/* Takes it into this loop: *conn is OPEN, its counters go on, nothing is armed. A parcel is taken
 * once. MCQ_ELIMIT: the table is full, counted; the fd stays the caller's. */
MCQ_MUST_USE enum mcq_error mcq_conn_take(struct mcq_loop *loop, const struct mcq_conn_parcel *p,
                                          void *user, struct mcq_conn **conn);
/* Ends what nobody takes: a parcel whose owner is no more. */
void mcq_conn_parcel_drop(const struct mcq_conn_parcel *p);

#endif
