/* Options: what the test wants of this peer. */
#ifndef MCQ_INTEROP_OPTIONS_H
#define MCQ_INTEROP_OPTIONS_H

#include "stream.h"

#define PEER_ENDPOINT_MAX 128u
#define PEER_SETTING_MAX  16u

enum peer_role {
    ROLE_SEND,    /* the stream, then the end */
    ROLE_RECEIVE, /* checks the stream, then the end */
    ROLE_ASK,     /* sends the stream and checks that it comes back, then the end */
    ROLE_ECHO     /* sends back what arrives, until SIGTERM */
};

struct peer_options {
    enum peer_role role;
    enum mcq_sock_type type;
    struct stream_shape shape;
    enum stream_plant plant;
    uint64_t count;
    uint32_t senders; /* receive: how many streams are mixed */
    uint32_t sender;  /* send: which one this is */
    uint32_t window;  /* ask: messages under way */
    uint32_t wait;    /* peers, or subscriptions for PUB, before the first message */
    bool unordered;   /* ask, receive: each message once, in any order */
    bool delimiter;   /* an empty frame first, as REP wants it from a DEALER or ROUTER */
    bool one_by_one;  /* the `message` handler instead of `messages` */
    bool unlimited;   /* no high-water marks: a PUB would drop at them */
    bool events;      /* prints each event on stderr */
    uint32_t handshake_ms;
    uint32_t hwm_msgs;
    uint64_t pause_every; /* receive: pauses the peer for a turn after so many messages */
    struct mcq_frame identity;
    struct mcq_frame to; /* ROUTER: whom the stream goes to */
    const char *endpoints[PEER_ENDPOINT_MAX];
    bool binds[PEER_ENDPOINT_MAX];
    uint32_t endpoint_cnt;
    struct {
        const char *name, *value;
    } settings[PEER_SETTING_MAX]; /* options of the socket by name */
    uint32_t setting_cnt;
};

/* Exits with 2 at a mistake. */
void peer_options_parse(struct peer_options *options, int argc, char **argv);

#endif
