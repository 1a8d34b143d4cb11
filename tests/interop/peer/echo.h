/* Echo: sends back what arrives, and loses nothing when the peer's queue is full: `messages`
 * refuses the rest, `message` keeps the one it couldn't send and pauses the peer. */
#ifndef MCQ_INTEROP_ECHO_H
#define MCQ_INTEROP_ECHO_H

#include <monocoque.h>

#define ECHO_WAITING_MAX 1024u

struct echo_waiting {
    struct mcq_peer peer;
    struct mcq_msg kept; /* frame_cnt 0: none */
};

struct echo {
    struct mcq_sock *sock;
    uint64_t echoed;
    uint64_t waits;
    uint32_t waiting_cnt;
    struct echo_waiting waiting[ECHO_WAITING_MAX];
    const char *failure; /* NULL: none */
};

/* The two handlers of messages, and the one of `writable`. */
size_t echo_messages(struct echo *echo, struct mcq_peer from, struct mcq_msg *msgs, size_t n);
enum mcq_flow echo_message(struct echo *echo, struct mcq_peer from, struct mcq_msg *msg);
void echo_writable(struct echo *echo);

#endif
