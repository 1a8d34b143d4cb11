/* Stream: two directions of bytes between two sockets, as tcp has it, or, `local`, as unix sockets.
 *
 *      written ----- in the sender's kernel ----- arrived ----- in the receiver's ----- read
 *
 * A direction's bytes arrive by events, in order; at most as many wait on each side as its buffer
 * has room for. That they have arrived is sometimes known to the sender only later (`acked`); its
 * buffer is free, and they aren't counted as unacknowledged, from then on. FIN comes behind the
 * last byte. RST overtakes part of what is on its way; what has
 * arrived can still be read. A dead stream (a peer that vanished) moves nothing any more, not even
 * an end. Local streams have no way between: what is written has arrived.
 *
 * A socket that is no more leaves its end: unread bytes, and bytes that come later, reset the
 * other.
 */
#ifndef MCQ_TESTS_SIM_STREAM_H
#define MCQ_TESTS_SIM_STREAM_H

#include <stddef.h>

#include "tests/sim/event.h"
#include "tests/sim/file.h"

#define MCQ_SIM_STREAMS_MAX 8192u

struct mcq_sim_dir {
    struct mcq_sim_stream *stream;
    uint8_t *bytes;
    uint32_t class; /* of the buffer's length */
    uint32_t mask, send_max, recv_max;
    uint32_t from; /* side */
    bool fin, fin_arrived, fin_acked;
    uint64_t written, arrived, acked, read;
    uint64_t lost;        /* the last of written: a reset overtook them */
    uint64_t progress_ns; /* when something last arrived, or the first waiting byte was written */
    struct mcq_sim_event deliver, ack, stall, reset;
};

struct mcq_sim_stream {
    uint64_t number; /* never reused */
    uint64_t born_ns;
    struct mcq_sim_file *end[2]; /* NULL: left */
    struct mcq_sim_dir dir[2];   /* by the side it comes from */
    bool local, dead;
    struct mcq_sim_stream *next_free;
};

void mcq_sim_stream_reset(void);
/* So many were opened: they are numbered from 1 on. */
uint64_t mcq_sim_stream_cnt(void);
/* Connects two sockets, which refer to it until they leave. */
void mcq_sim_stream_open(struct mcq_sim_file *a, struct mcq_sim_file *b);
void mcq_sim_stream_leave(struct mcq_sim_file *f);
/* Resets the connection. */
void mcq_sim_stream_abort(struct mcq_sim_file *f);

/* Bytes that f can read; whether nothing will follow them. */
size_t mcq_sim_stream_readable(const struct mcq_sim_file *f);
bool mcq_sim_stream_ended(const struct mcq_sim_file *f);
void mcq_sim_stream_read(struct mcq_sim_file *f, void *ptr, size_t len);
/* Bytes that f can write; whether that is enough to wake who waits for it. */
size_t mcq_sim_stream_room(const struct mcq_sim_file *f);
bool mcq_sim_stream_roomy(const struct mcq_sim_file *f);
void mcq_sim_stream_write(struct mcq_sim_file *f, const void *ptr, size_t len);
void mcq_sim_stream_shut(struct mcq_sim_file *f, bool both);
/* f's socket options have changed. */
void mcq_sim_stream_watch(struct mcq_sim_file *f);
/* What the far kernel has not acknowledged; a FIN counts one. */
uint64_t mcq_sim_stream_unacked(const struct mcq_sim_file *f);
/* What is on its way to f arrives now. */
void mcq_sim_stream_hurry(struct mcq_sim_file *f);

#endif
