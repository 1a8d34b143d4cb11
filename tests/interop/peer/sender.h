/* Sender: puts a stream on a socket by all ways the interface has: mcq_send, mcq_send_bytes,
 * mcq_send_many, reserve and commit, and from memory of its own. */
#ifndef MCQ_INTEROP_SENDER_H
#define MCQ_INTEROP_SENDER_H

#include "options.h"

struct sender {
    const struct peer_options *options;
    struct mcq_sock *sock;
    uint64_t sent;
    uint64_t lent;          /* messages sent from memory of ours */
    uint64_t returned;      /* free callbacks that came for them */
    struct stream_msg made; /* the next one, if made_cnt == sent + 1 */
    uint64_t made_cnt;
    struct mcq_msg refused; /* an owned message to be tried again, frame_cnt 0: none */
};

/* Sends until `until` messages were sent or no more fit. Returns MCQ_OK, MCQ_EAGAIN or what failed.
 */
enum mcq_error sender_run(struct sender *sender, uint64_t until);

#endif
