/* The bridge's inside, shared by bridge.c (life), bridge_control.c, bridge_out.c (sending) and
 * bridge_in.c (receiving): what is due, and the records. */
#ifndef MCQ_SHARDS_BRIDGE_PRIVATE_H
#define MCQ_SHARDS_BRIDGE_PRIVATE_H

#include "shards/bridge.h"
#include "shards/mesh.h"

/* What is due, in the order in which it is done. */
#define MCQ_BRIDGE_DUE_OPEN   0x001u /* to be said: OPEN */
#define MCQ_BRIDGE_DUE_ANSWER 0x002u /* OPENED, or why not */
#define MCQ_BRIDGE_DUE_ACK    0x004u /* a long control was read */
#define MCQ_BRIDGE_DUE_SAY    0x008u /* the owner's */
#define MCQ_BRIDGE_DUE_DATA   0x010u
#define MCQ_BRIDGE_DUE_OFFER  0x020u /* the cargo to ops->receive */
#define MCQ_BRIDGE_DUE_TAKEN  0x040u
#define MCQ_BRIDGE_DUE_HOLD   0x080u
#define MCQ_BRIDGE_DUE_HELD   0x100u
#define MCQ_BRIDGE_DUE_TELL   0x200u /* ops->held */
#define MCQ_BRIDGE_DUE_MARKED 0x400u /* its mark has been come to */
#define MCQ_BRIDGE_DUE_END    0x800u

/* `to` comes first in all that go to an end. */
struct mcq_bridge_open_rec {
    struct mcq_bridge_ref from;
    uint32_t kind, len;
    uint8_t what[];
};

struct mcq_bridge_opened_rec {
    struct mcq_bridge_ref to, from; /* from.epoch 0: refused */
    uint32_t reason, len;
    uint8_t what[];
};

struct mcq_bridge_data_rec {
    struct mcq_bridge_ref to;
    const struct mcq_seg *seg;
    uint64_t off;
    uint32_t cnt;
    uint32_t len; /* of bytes: all of the flight, or 0 */
    uint8_t bytes[];
};

struct mcq_bridge_mark_rec {
    struct mcq_bridge_ref to;
    const struct mcq_seg *seg; /* as in data */
    uint64_t off;
    uint32_t cnt; /* may be 0 */
    uint32_t len;
    uint8_t what[MCQ_BRIDGE_MARK_MAX];
};

struct mcq_bridge_taken_rec {
    struct mcq_bridge_ref to;
    uint64_t bytes; /* since it opened */
};

struct mcq_bridge_control_rec {
    struct mcq_bridge_ref to;
    const uint8_t *lent; /* NULL: here; else it is read there, and that is told (ACK) */
    uint64_t len;
    uint8_t bytes[];
};

/* HOLD, MARKED and ACK are nothing but that. */
struct mcq_bridge_note_rec {
    struct mcq_bridge_ref to;
};

struct mcq_bridge_held_rec {
    struct mcq_bridge_ref to;
    uint64_t bytes;
    uint32_t kept; /* as mcq_cargo_drop tells it */
};

struct mcq_bridge_end_rec {
    struct mcq_bridge_ref to;
    uint64_t bytes;
    uint32_t kept, reason, lost;
};

/* What a piece of work came to. */
enum mcq_bridge_step {
    MCQ_BRIDGE_DONE = 0,
    MCQ_BRIDGE_FULL, /* the lane is */
    MCQ_BRIDGE_WAIT, /* for something else, which makes it due again */
};

/* The end that is meant, NULL: it is gone; counted. */
struct mcq_bridge *mcq_bridge_find(struct mcq_shard *sh, struct mcq_bridge_ref ref);
void mcq_bridge_make_due(struct mcq_bridge *b, uint32_t bits);
/* ... once there is memory again. */
void mcq_bridge_starve(struct mcq_bridge *b, uint32_t bit);
/* A record to the other end, NULL: the lane is full. Its body begins with `to`. */
void *mcq_bridge_reserve(struct mcq_bridge *b, enum mcq_mesh_kind kind, size_t len);
void mcq_bridge_commit(struct mcq_bridge *b);

/* --- bridge_out.c */
enum mcq_bridge_step mcq_bridge_send_data(struct mcq_bridge *b);
enum mcq_bridge_step mcq_bridge_send_hold(struct mcq_bridge *b);
/* The other end has taken so many bytes in all. */
void mcq_bridge_count_taken(struct mcq_bridge *b, uint64_t bytes);
/* It gives up what it hasn't taken, but for the reference it keeps. */
void mcq_bridge_take_back(struct mcq_bridge *b, uint32_t kept);

/* --- bridge_control.c */
enum mcq_bridge_step mcq_bridge_send_ack(struct mcq_bridge *b);
/* ops->say */
enum mcq_bridge_step mcq_bridge_say_due(struct mcq_bridge *b);
/* What the other end hasn't read of a long one needn't be there any more. */
void mcq_bridge_drop_control(struct mcq_bridge *b);

/* --- bridge_in.c */
enum mcq_bridge_step mcq_bridge_offer(struct mcq_bridge *b);
enum mcq_bridge_step mcq_bridge_send_taken(struct mcq_bridge *b);
enum mcq_bridge_step mcq_bridge_send_held(struct mcq_bridge *b);
enum mcq_bridge_step mcq_bridge_send_marked(struct mcq_bridge *b);
/* What was lent to this end isn't any more. */
uint32_t mcq_bridge_forget(struct mcq_bridge *b);

#endif
