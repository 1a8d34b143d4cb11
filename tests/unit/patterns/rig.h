/* A shard without a kernel, for tests of patterns: real arena, heap, pools, pipes and sockets, and
 * a table of calls upwards that notes what was asked. Messages are texts, frames parted by '|'. */
#ifndef MCQ_TESTS_PATTERNS_RIG_H
#define MCQ_TESTS_PATTERNS_RIG_H

#include "patterns/psock.h"

#define RIG_PEERS_MAX  64
#define RIG_TEXT_LEN   4096
#define RIG_REASON_CNT 32

struct rig;
struct rig_peer;

/* What the user of the socket does with a message. Returns whether it took it. */
typedef bool rig_handler(struct rig_peer *from, struct mcq_msg *m);
/* ... and when a subscription is told. */
typedef void rig_on_sub(struct rig *r, struct mcq_peer peer, bool added, struct mcq_slice topic);

struct rig {
    struct mcq_psock s;
    struct mcq_psock_opts opts; /* as a socket has them by default; a test may change them */
    struct mcq_arena arena;
    struct mcq_buf_heap *heap;
    struct mcq_pool segs;
    struct mcq_mem_stats mem;
    struct mcq_pattern_stats stats;
    struct mcq_pipe_env env;
    struct mcq_pattern_shared *shared;
    struct rig_peer *peers[RIG_PEERS_MAX];
    uint32_t peer_cnt;
    uint64_t next_bits;
    /* what was asked for */
    uint32_t writable_cnt, await_on, await_off, control_cnt, resume_cnt;
    uint32_t slow_cnt, slow_end_cnt, sweep_cnt;
    uint64_t dropped[RIG_REASON_CNT];
    uint32_t closed[RIG_REASON_CNT];
    struct mcq_pipe *closed_pipe;
    struct mcq_pipe *closed_pipes[RIG_PEERS_MAX]; /* in order; a test may empty it */
    uint32_t closed_cnt;
    bool detach_on_close; /* as the shard does, at once */
    uint32_t subs_added, subs_ended;
    rig_on_sub *on_sub;      /* NULL: nothing */
    char told[RIG_TEXT_LEN]; /* subscriptions, since rig_told; as far as it has room */
    rig_handler *handler;    /* NULL: takes everything */
    size_t refuse_from;      /* deliver takes no more than so many of one call */
    uint32_t delivered, deliver_calls;
    char last[RIG_TEXT_LEN]; /* the message delivered last */
};

struct rig_peer {
    struct mcq_pipe pipe;
    struct rig *rig;
    bool added, user_paused, resumed;
    uint32_t deliveries;
    /* input not yet taken: texts */
    char *in[256];
    size_t in_cnt;
    /* output taken by the kernel: a stream of frames */
    uint8_t *out;
    size_t out_len, out_pos, out_cap;
    /* a test's own */
    uint64_t key;
    int ring;
    bool full;
};

/* The whole world for one socket of that type, with room for plan's subscriptions. */
struct rig *rig_new(enum mcq_sock_type type, const struct mcq_pattern_plan *plan);
/* The same with options of the test's. */
struct rig *rig_new_opts(enum mcq_sock_type type, const struct mcq_pattern_plan *plan,
                         const struct mcq_psock_opts *opts);
/* Ends what is left, and asserts that every buffer and every pool object is back home. */
void rig_free(struct rig *r);

/* All turns that the sweep takes. */
void rig_sweep(struct rig *r);
/* What the user was told since the last call: "+topic@peer -topic@0". In static storage. */
const char *rig_told(struct rig *r);

struct rig_peer *rig_peer_new(struct rig *r, bool connecting, uint32_t hwm_msgs);
/* A new connection: a new peer handle, then attach. identity: NULL for none. */
enum mcq_reason rig_attach(struct rig_peer *p, const char *identity);
void rig_detach(struct rig_peer *p);
/* Removes and frees. */
void rig_peer_free(struct rig_peer *p);
/* An accepted or connected peer that is up, without limits. */
struct rig_peer *rig_peer_up(struct rig *r, const char *identity);
struct rig_peer *rig_peer_of(struct mcq_pipe *pipe);

/* Sends one text. */
enum mcq_error rig_send(struct rig *r, struct rig_peer *to, const char *text);
/* The kernel takes what is queued to p. Returns the messages it took. */
size_t rig_drain(struct rig_peer *p);
/* The next message the peer got, as text in static storage; NULL if there is none. Drains first. */
const char *rig_got(struct rig_peer *p);
/* Input from the peer: queued, and offered at once. */
void rig_input(struct rig_peer *p, const char *text);
/* Offers what is queued. Returns how many messages were taken. */
size_t rig_offer(struct rig_peer *p);
/* Offers the input of those whom the pattern has resumed, until nobody is left. */
void rig_turn(struct rig *r);

struct mcq_slice rig_slice(const char *text);
/* xorshift64: the same in every run. */
uint64_t rig_random(uint64_t *state);

#endif
