/* Rig: a whole loop in the test's thread, and plain sockets as its peers. */
#ifndef TESTS_UNIT_RUNTIME_RIG_H
#define TESTS_UNIT_RUNTIME_RIG_H

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "runtime/loop.h"

#define RIG_EVENTS_MAX  64u
#define RIG_DEADLINE_NS 200000000000ull

/* Ways a ring can be: every test of the loop runs in each. */
struct rig_mask {
    char text[48];
};
extern struct rig_mask rig_masks[];
size_t rig_masks_used(void);

/* A test, run with each of them as *m. */
#define RIG_MASKS(suite, name)                                                    \
    ParameterizedTestParameters(suite, name)                                      \
    {                                                                             \
        return cr_make_param_array(struct rig_mask, rig_masks, rig_masks_used()); \
    }                                                                             \
    ParameterizedTest(struct rig_mask *m, suite, name)

struct rig;
#define RIG_KINDS    16u
#define RIG_KEEP_MAX 64u
#define RIG_DATA_MAX (8u << 20)

/* What rig_record saw. */
struct rig_record {
    unsigned cnt[RIG_KINDS]; /* by enum mcq_io_kind */
    struct mcq_io_event last[RIG_KINDS];
    struct mcq_buf *kept[RIG_KEEP_MAX];
    unsigned kept_cnt;
    bool keep;  /* keep the blocks of RECV instead of dropping them */
    bool into;  /* RECV_INTO: the event gives no reference */
    size_t len; /* bytes of data */
    uint64_t sent;
    uint8_t data[RIG_DATA_MAX];
};
typedef void rig_event_fn(struct rig *r, const struct mcq_io_event *ev);
typedef bool rig_cond_fn(struct rig *r);

struct rig_opts {
    const char *features;
    bool cold;              /* no connection is asked each turn (-hot) */
    enum mcq_idle idle;     /* 0: spin */
    uint32_t conns, blocks; /* 0: 16, 64 */
    uint32_t rx_blocks_max;
    size_t large_bytes;
    enum mcq_ring_mode ring; /* 0: the environment's MCQ_RING, else defer */
    int sqpoll_share_fd;
    uint32_t napi_busy_us;
};

struct rig {
    struct mcq_arena arena;
    struct mcq_mem_stats mem;
    struct mcq_loop_stats stats;
    struct mcq_buf_heap *heap;
    struct mcq_loop *loop;
    bool shot; /* multishot receives */
    bool sqpoll;
    void *user;
    struct mcq_conn *cond_conn; /* what a condition looks at */
    rig_event_fn *on_event;
    void (*pump)(struct rig *r); /* what the peers do between turns; may be NULL */
    uint64_t sleep_ns;           /* longest sleep of a turn */
    struct rig_record rec;
};

/* Counts, remembers, copies what came and drops the blocks. The default on_event. */
void rig_record(struct rig *r, const struct mcq_io_event *ev);
void rig_drop_kept(struct rig *r);
/* The loop's end of a tcp connection whose other end is *peer, a non-blocking socket. */
struct mcq_conn *rig_adopt(struct rig *r, int *peer);
/* Writes all of it, turning if the peer's socket is full. */
void rig_write(struct rig *r, int fd, const void *data, size_t len);
/* Turns until so many events of this kind were recorded. */
void rig_await(struct rig *r, enum mcq_io_kind kind, unsigned cnt);
/* Turns until so many bytes were recorded. */
void rig_await_data(struct rig *r, size_t len);

void rig_open(struct rig *r, const struct rig_opts *o);
/* Asserts that every block came home. */
void rig_close(struct rig *r);
void rig_turn(struct rig *r);
/* Turns until cond holds; fails the test after RIG_DEADLINE_NS. */
void rig_until(struct rig *r, rig_cond_fn *cond);
/* So many turns. */
void rig_turns(struct rig *r, unsigned cnt);

struct mcq_addr rig_tcp4(void);
struct mcq_addr rig_tcp6(void);
struct mcq_addr rig_unix(const char *name); /* a path of this process under /tmp */
/* A non-blocking socket connected to addr. */
int rig_peer(const struct mcq_addr *addr);
/* A plain listening socket, *addr its address. */
int rig_plain_listener(struct mcq_addr *addr);

#endif
