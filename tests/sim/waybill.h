/* Waybill: every message of a run with several shards, from its sender to whoever got it, whatever
 * shards and queues it passes in between. A message says its number, all else follows from that:
 * who sent it, to whom, every byte.
 *
 * And ties: the connections of an app's sockets by the names of their peers, which are the same on
 * all its shards: a tie comes up once, ends once, where it is then, and its name never comes again.
 *
 * What is held against the library at each delivery: the bytes; that the receiver was meant; at
 * most once; in the order of sending, per sender and tie, wherever the tie is meanwhile. At rest:
 * who is missing what (mcq_waybill_missing). Thread: one. Memory: static.
 */
#ifndef MCQ_TESTS_SIM_WAYBILL_H
#define MCQ_TESTS_SIM_WAYBILL_H

#include <monocoque/msg.h>
#include <monocoque/sock.h>

#include "mem/base.h"

#define MCQ_WAYBILLS_MAX       40000u
#define MCQ_WAYBILL_FRAMES_MAX 6u
#define MCQ_WAYBILL_HEAD_LEN   9u /* topic, number, sender */
#define MCQ_WAYBILL_LEN_MAX    400000u
#define MCQ_TIES_MAX           4096u

struct mcq_waybill {
    uint32_t number, uid; /* of the sender */
    uint32_t circuit;
    uint32_t len;
    uint8_t frame_cnt;
    char topic;
    bool sent;        /* a send of it succeeded */
    bool ordered;     /* per sender and tie */
    bool public;      /* to everybody who is subscribed: taken any number of times, once by each */
    uint32_t answers; /* number of the request; 0: none */
    uint32_t tie;     /* whom it was sent to, 1-based; 0: whoever */
    uint32_t taken;   /* times */
};

enum mcq_tie_state { MCQ_TIE_NEVER = 0, MCQ_TIE_UP, MCQ_TIE_MOVING, MCQ_TIE_DOWN };

struct mcq_tie {
    enum mcq_tie_state state;
    uint32_t realm; /* of one life of one app: names are its own */
    uint32_t circuit;
    struct mcq_peer peer;
    uint32_t owner;  /* uid of whose it is */
    uint32_t far;    /* uid of the far end, once it has said something; 0 */
    uint32_t target; /* of the owner's connects, 1-based; 0: accepted */
    uint32_t hops;   /* times it was moved */
    bool paused;
    enum mcq_reason reason;
    uint8_t identity[16];
    uint32_t identity_len;
    void *token; /* its user pointer */
};

void mcq_waybill_reset(void);

/* --- messages ------------------------------------------------------------------------------ */

/* A new one of len bytes in all, at least the head's; NULL: enough for one run. */
struct mcq_waybill *mcq_waybill_new(uint32_t uid, uint32_t circuit, char topic, uint32_t len,
                                    uint32_t frame_cnt);
/* Its frames, static until the next call; returns them. */
struct mcq_frame *mcq_waybill_write(const struct mcq_waybill *w);
size_t mcq_waybill_frame_len(const struct mcq_waybill *w, uint32_t frame);
/* Writes one frame. */
void mcq_waybill_fill(const struct mcq_waybill *w, uint32_t frame, void *at);
/* What m is, every byte of it checked; NULL and *why (static) if it is nothing that was sent. */
struct mcq_waybill *mcq_waybill_read(const struct mcq_msg *m, const char **why);
/* It came over the tie, on the receiver's side. NULL, or what is wrong with that (static). */
const char *mcq_waybill_take(struct mcq_waybill *w, uint32_t tie);
uint32_t mcq_waybill_cnt(void);
struct mcq_waybill *mcq_waybill_at(uint32_t number);

/* --- ties ---------------------------------------------------------------------------------- */

/* A new one, 1-based; 0: the name has been another's. */
uint32_t mcq_tie_up(uint32_t realm, uint32_t circuit, struct mcq_peer peer, uint32_t owner);
/* 0: there is none of that name. */
uint32_t mcq_tie_find(uint32_t realm, struct mcq_peer peer);
struct mcq_tie *mcq_tie_at(uint32_t tie);
uint32_t mcq_tie_cnt(void);
/* The idx-th of those of that realm and circuit that are up, rolling over; 0: none. owner: 0 for
 * any. */
uint32_t mcq_tie_any(uint32_t realm, uint32_t circuit, uint32_t owner, uint32_t idx);

#endif
