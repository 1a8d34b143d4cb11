/* Session: a connection and its protocol state, from connected to closed. It belongs to a link,
 * has one connection, and turns received bytes into messages for the pattern and the pipe's queue
 * into sends.
 *
 *      open --> handshake --> up --> end(reason) --> CLOSED from the loop --> closed
 *
 * Undelivered bytes: the *window*, one contiguous stretch that starts on a unit boundary. Nothing
 * undelivered stays in a ring block: what a callback refused, what exceeds the budget and every
 * partial frame is moved to the window, whose block is sized by the bytes received. A frame with
 * 256 KiB or more missing gets a block of the large region, and is received straight into it.
 *
 * Receiving stops for as long as nobody takes what is there (paused by the user, refused by the
 * pattern) and more than half of recv_hwm_bytes, or recv_hwm_msgs, wait in the window: no receive
 * is begun then, and TCP holds the peer back. One under way may use up its credit in bytes; at the
 * mark in messages it is taken back.
 *
 * A peer of ZMTP 1.0 reads other frames than the pipe stores: a part of the queue is converted into
 * a block, and as long as that isn't sent, its part stays in flight. Whatever ends the connection,
 * the pipe is told exactly how much of it the kernel has.
 */
#ifndef MCQ_SHARDS_SESSION_H
#define MCQ_SHARDS_SESSION_H

#include "mem/buf.h"
#include "mem/list.h"
#include "proto/reframe.h"
#include "proto/zmtp.h"
#include "runtime/conn.h"
#include "runtime/loop.h"
#include "shards/tally.h"
#include "shards/window.h"

struct mcq_shard;
struct mcq_link;

#define MCQ_SESSION_BATCH_MAX   256u /* messages in one call of the handler */
#define MCQ_SESSION_BATCHES_MAX 64u  /* batches of one connection per delivery */
#define MCQ_SESSION_STRAIGHT_MIN \
    8192u /* bytes missing of a frame from which they are received in place */
#define MCQ_SESSION_SHOT_MAX \
    229376u /* bytes of one armed receive: with some in the window they fit a block of 256 KiB */
#define MCQ_SESSION_FLUSH_MAX     262144u    /* bytes of one gathered send */
#define MCQ_SESSION_BODY_WAIT_NS  5000000000 /* for room in the large region, then reason limit */
#define MCQ_SESSION_BODY_RETRY_NS 10000000
#define MCQ_SESSION_ERROR_NS      250000000 /* for an ERROR command to leave */
#define MCQ_SESSION_SCARCE_LEN    16384u    /* bytes of one shot while window blocks are scarce */
/* When memory is short, a stalled frame gives way: silent, or as old as this. */
#define MCQ_SESSION_SILENT_NS  2000000000
#define MCQ_SESSION_OLD_NS     4000000000
#define MCQ_SESSION_V1_LEN_MIN 512u /* bytes converted at a time while blocks are scarce */
#define MCQ_SESSION_MARKS_MAX  8u   /* points remembered for the disconnect report */

/* How much of the stream was with the kernel at some moment: for the report of what may be
   lost. */
struct mcq_session_mark {
    uint64_t bytes_out, msgs_out;
};

/* Bytes of the pipe on their way to a ZMTP 1.0 peer. */
struct mcq_session_v1 {
    struct mcq_buf *buf;           /* NULL: none */
    size_t sent;                   /* bytes of it the kernel has */
    size_t stored_len;             /* bytes of the pipe it stands for */
    struct mcq_reframe start, end; /* the converter before and behind it */
};

struct mcq_session {
    struct mcq_conn *conn; /* NULL: none */
    struct mcq_window win;
    struct mcq_buf *ctl; /* control bytes on their way, NULL: none */
    size_t ctl_sent;
    struct mcq_node ready_node; /* has input to be delivered in the next turn */
    uint64_t body_missing;      /* of the large frame being received; 0: none */
    uint64_t body_wait_ns;      /* since when it waits for room, 0: it doesn't */
    uint64_t win_since_ns;      /* since when the unit at the window's front is there in part */
    uint64_t msgs_in;
    uint64_t undelivered_bytes;  /* of a window that had to be given up before the end */
    uint64_t msgs_out_base;      /* pipe->msgs_out when this connection came up */
    uint64_t msgs_out_counted;   /* pipe->msgs_out as the shard's stats know it */
    bool moving;                 /* to another shard: nothing is delivered or sent */
    uint8_t win_way;             /* of a window that came from another shard: enum mcq_way */
    bool paused;                 /* by the user, until mcq_peer_resume */
    bool refused;                /* by the pattern, until it asks again */
    bool ended;                  /* end was called; waits for CLOSED */
    bool over;                   /* nothing more comes: ends once all is delivered */
    bool mute;                   /* sending has failed */
    enum mcq_reason end_due;     /* asked for inside a call that mustn't see it; NONE: no */
    enum mcq_reason over_reason; /* why over or mute */
    int over_errno;
    bool sending;      /* a send is out whose SENT has not been told */
    bool sending_pipe; /* the send in flight carries pipe bytes */
    enum mcq_reason reason;
    int os_errno;
    const char *detail;     /* a sentence about the reason, NULL: none */
    struct mcq_tally tally; /* of win's messages, while nobody takes them */
    struct mcq_session_v1 v1;
    uint32_t mark_cnt;
    struct mcq_session_mark marks[MCQ_SESSION_MARKS_MAX];
    struct mcq_zmtp zmtp;
};

/* conn is connected: starts the handshake. */
void mcq_session_open(struct mcq_link *link, struct mcq_conn *conn);
/* Received bytes; takes the reference on buf. */
void mcq_session_input(struct mcq_link *link, const struct mcq_io_event *ev);
/* Delivers what waits in the window; then arms receiving again. */
void mcq_session_deliver(struct mcq_link *link);
/* Input may be offered again: by the user, or by the pattern (false: the user has it paused). */
void mcq_session_resume(struct mcq_link *link);
bool mcq_session_recall(struct mcq_link *link);
/* Sends control and what the pipe holds, if no send is in flight. true: something was submitted. */
bool mcq_session_flush(struct mcq_link *link);
void mcq_session_sent(struct mcq_link *link, uint32_t len);
/* Messages that have left the pipe are counted; the pipe may find out at any time. */
void mcq_session_count_out(struct mcq_link *link);
/* The connection is closed: what was on its way goes back, and the pipe learns what of it the
 * kernel has. true: a message was cut. */
bool mcq_session_settle(struct mcq_link *link);
/* The peer's stream has ended, or an operation failed: what it sent before is delivered first, as
 * far as nobody has it paused. */
void mcq_session_eof(struct mcq_link *link);
void mcq_session_error(struct mcq_link *link, int os_errno);
/* Ends it: orderly (close: what the kernel has still goes out, until deadline) or at once. */
void mcq_session_end(struct mcq_link *link, enum mcq_reason reason, int os_errno);
void mcq_session_close(struct mcq_link *link, enum mcq_reason reason, uint64_t deadline_ns);
/* The same at once, but never inside this call: for whoever may be inside the pattern or a handler.
 * Nothing more is delivered or sent from here on; a connection that is draining ends, too. */
void mcq_session_end_soon(struct mcq_link *link, enum mcq_reason reason);
/* CLOSED: settles buffers, fills in the report. */
void mcq_session_closed(struct mcq_link *link, struct mcq_report *report);
/* Holds much memory for a frame that doesn't come on. */
bool mcq_session_stalls(const struct mcq_session *s, uint64_t now_ns);
/* A queue that is about to leave, or has come: of what a converted block stands for, nothing is in
 * flight meanwhile. */
void mcq_session_land(struct mcq_link *link);
void mcq_session_take_off(struct mcq_link *link);
/* It has been handed over, or wasn't in the end: delivers, sends and receives. */
void mcq_session_go_on(struct mcq_link *link);
/* Arms receiving if there is credit for it. */
void mcq_session_rearm(struct mcq_link *link);

#endif
