/* Mesh: all rings between the shards of one app; every shard has its *end* of it.
 *
 * Two lanes per ordered pair of shards (a shard and itself included), each a ring of records
 * (shards/spsc.h) in the memory of the consumer: one mapping per consumer, on its NUMA node.
 * FIFO per pair and lane; nothing is promised between lanes.
 *
 *      producer   reserve -> write the body -> commit ... -> publish   (every MCQ_MESH_BATCH_CNT
 *                 records, after each part of the turn, and at its end)
 *      consumer   run, twice a turn: urgent lanes of all, then bulk lanes; a record goes to the
 *                 handler of its kind (mesh_kinds.c); bounded; starts with another producer each
 *                 time
 *
 * Full is an answer, never a loss and never a wait: reserve returns NULL, counts it, and from then
 * on this end waits for room in that lane: `mcq_mesh_run` looks every turn whether half of the
 * ring is free, and then counts it as work, so that who wanted to send is asked again. What is to
 * be said stays meanwhile a state of the object it is about (a due-list of its module), and is no
 * reason not to sleep: an end that sleeps is woken when the consumer has made room (no record is
 * needed for that, so no ring can be too full for it).
 *
 * Sleep and wake. A word per consumer: MCQ_MESH_SLEEPS, and a bit per producer if there are many.
 *
 *      producer: publish headers; FENCE; load the consumer's word; asleep: take the flag away
 *                (whoever got it wakes); not there yet: set the own bit
 *      consumer: exchange the word with MCQ_MESH_SLEEPS; FENCE; look at the rings again;
 *                nothing: sleep; then exchange it back
 *      room:     consumer: store its head; FENCE; load `waits`; reached: load the producer's word,
 *                as above.  producer, before it sleeps: as above, looks at the heads too.
 *
 * Of each pair of fences one comes first; the side of the other sees what was stored before it:
 * either the producer sees the flag or the consumer the record. tests/model proves it, and that no
 * fence can be left out. One fence serves all consumers a publish has records for, which an atomic
 * read-modify-write per consumer doesn't (docs/adr/0009).
 *
 * Up to MCQ_MESH_SCAN_MAX shards a consumer looks at every ring each turn (a header each; their
 * lines stay in its cache until something is written), and the bits aren't used; nor is the word
 * as long as nobody ever sleeps (all spin), nor any fence.
 *
 * Memory, both lanes of all pairs:  2 shards   1.3 MiB (256 KiB + 64 KiB a pair)
 *                                   4 shards     5 MiB
 *                                  16 shards    20 MiB ( 64 KiB + 16 KiB)
 *                                  64 shards    80 MiB ( 16 KiB +  4 KiB)
 *                                 128 shards   192 MiB (  8 KiB +  4 KiB)
 *
 * Thread: an end belongs to its shard's thread.
 */
#ifndef MCQ_SHARDS_MESH_H
#define MCQ_SHARDS_MESH_H

#include <monocoque/app.h>
#include <monocoque/stats.h>

#include "mem/arena.h"
#include "shards/spsc.h"

struct mcq_loop;

enum mcq_lane { MCQ_LANE_BULK = 0, MCQ_LANE_URGENT };
#define MCQ_LANE_CNT 2u

/* What a record is; each has its line in mesh_kinds.c. Its owner's header documents the body. */
enum mcq_mesh_kind {
    MCQ_MESH_POST = 1,    /* shards/post.c: the user's; tag: his kind */
    MCQ_MESH_RELEASE,     /* shards/remote_ref.h */
    MCQ_MESH_ACCEPT,      /* shards/group.h */
    MCQ_MESH_BRIDGE_OPEN, /* shards/bridge.h */
    MCQ_MESH_BRIDGE_OPENED,
    MCQ_MESH_BRIDGE_DATA,
    MCQ_MESH_BRIDGE_MARK,
    MCQ_MESH_BRIDGE_MARKED,
    MCQ_MESH_BRIDGE_TAKEN,
    MCQ_MESH_BRIDGE_CONTROL,
    MCQ_MESH_BRIDGE_ACK,
    MCQ_MESH_BRIDGE_HOLD,
    MCQ_MESH_BRIDGE_HELD,
    MCQ_MESH_BRIDGE_END,
    MCQ_MESH_INPROC_BOUND, /* shards/inproc_far.h */
    MCQ_MESH_MOVE,         /* shards/handoff.h */
    MCQ_MESH_LOAD,         /* shards/placement.h */
    MCQ_MESH_DIRECTORY,    /* shards/directory.h */
    MCQ_MESH_KIND_CNT
};

#define MCQ_MESH_RECORD_MAX   MCQ_SPSC_BODY_MAX /* bytes of a body, in either lane */
#define MCQ_MESH_BATCH_CNT    16u   /* records before they are published without being asked */
#define MCQ_MESH_PER_RUN_MAX  4096u /* records handled in one run; then counted in `later` */
#define MCQ_MESH_PER_RING_MAX 1024u /* ... of one ring */
#define MCQ_MESH_SCAN_MAX     8u    /* shards of which every ring is looked at each turn */
#define MCQ_MESH_SLEEPS       (UINT64_C(1) << 63)
#define MCQ_MESH_BITS         63u /* producers' bits: id % 63 */

struct mcq_mesh; /* of the app */

/* One lane to one shard: a cache line. For mesh.c and post.c alone. */
struct mcq_mesh_tx {
    struct mcq_spsc_tx ring;
    uint64_t hdr;         /* of the open reservation */
    uint16_t unpublished; /* records */
    bool dirty;           /* in `dirty` of its end */
    bool waiting;         /* in `waiting` of its end */
    bool refused;         /* a post of the user's was: he wants to hear of room */
};

struct mcq_mesh_end {
    /* What each turn reads. */
    uint32_t id, cnt;
    uint32_t dirty_cnt, waiting_cnt;
    bool bits;              /* the producers' bits are used */
    bool quiet;             /* nobody ever sleeps, and no bits: no fence, no word */
    bool full;              /* some lane is waited for */
    bool alone;             /* there is no other shard */
    uint32_t first;         /* rotates who is first */
    uint64_t left;          /* bits: producers that have, or may have, more */
    uint64_t *word;         /* its own; in the mesh */
    struct mcq_spsc_rx *rx; /* [from * MCQ_LANE_CNT + lane] */
    struct mcq_mesh_tx *tx; /* [to * MCQ_LANE_CNT + lane] */
    uint16_t *dirty;        /* indices of tx with unpublished records */
    uint16_t *waiting;      /* ... and of those found full */
    struct mcq_mesh *mesh;
    struct mcq_loop *loop;       /* through whose ring others are woken; NULL: by eventfd */
    struct mcq_mesh_stats stats; /* sent and taken: see mcq_mesh_drained, too */
};

struct mcq_mesh_opts {
    uint32_t cnt;     /* shards, 1..MCQ_SHARDS_MAX */
    const int *nodes; /* [cnt] NUMA node of each shard; NULL: MCQ_NODE_ANY for all */
    enum mcq_node_policy policy;
    bool spins;          /* no shard ever sleeps (all have MCQ_IDLE_SPIN) */
    bool lock;           /* mlock the rings if that is allowed */
    uint64_t start;      /* first position in every ring, 0 but for tests; a multiple of 8 */
    size_t ring_len_max; /* 0, or for tests a power of two from MCQ_SPSC_LEN_MIN up */
};

/* Maps and faults in all rings. Gives *mesh. Thread: one, before the shards run. Errors:
 * MCQ_ENOMEM. */
MCQ_MUST_USE enum mcq_error mcq_mesh_create(const struct mcq_mesh_opts *opts,
                                            struct mcq_mesh **mesh, struct mcq_detail *detail);
/* After the last shard has joined. NULL is nothing. */
void mcq_mesh_destroy(struct mcq_mesh *mesh);
uint32_t mcq_mesh_cnt(const struct mcq_mesh *mesh);
/* Bytes of a ring between two of cnt shards, at most. */
size_t mcq_mesh_ring_len(uint32_t cnt, enum mcq_lane lane);
/* The memory of a shard's inbound rings, for reports: bytes, pages, node. */
const struct mcq_arena *mcq_mesh_arena(const struct mcq_mesh *mesh, uint32_t id);
/* The end of shard id in [0, cnt): what becomes sh->mesh. */
struct mcq_mesh_end *mcq_mesh_at(struct mcq_mesh *mesh, uint32_t id);
/* How this end is woken: through the ring of its loop (borrowed) by others that have one too, else
 * by that loop's eventfd. Before any shard's first turn. */
void mcq_mesh_attach(struct mcq_mesh_end *e, struct mcq_loop *loop);
/* ... without a loop: by the non-blocking eventfd alone, borrowed; -1: it never sleeps in the
 * kernel. */
void mcq_mesh_attach_fd(struct mcq_mesh_end *e, int wake_fd);
/* Nothing is on its way between any two shards. Meaningful while all are idle (shards/roster).
 * Thread: any. */
bool mcq_mesh_drained(const struct mcq_mesh *mesh);

/* --- producer ------------------------------------------------------------------------------ */

/* Room for a body of len bytes (at most MCQ_MESH_RECORD_MAX), 8-aligned, to be written before
 * commit. NULL: the lane is full: counted, e->full is set, and room is waited for as described
 * above. One reservation per lane at a time. Cost: some 3 ns with commit. */
void *mcq_mesh_reserve(struct mcq_mesh_end *e, uint32_t to, enum mcq_lane lane,
                       enum mcq_mesh_kind kind, size_t len);
/* The record is complete; it is seen once it is published. */
void mcq_mesh_commit(struct mcq_mesh_end *e, uint32_t to, enum mcq_lane lane);
/* Reserves, copies, commits. false: full, as reserve. */
MCQ_MUST_USE bool mcq_mesh_send(struct mcq_mesh_end *e, uint32_t to, enum mcq_lane lane,
                                enum mcq_mesh_kind kind, const void *body, size_t len);
/* A free word beside the kind, for the reservation that is open; MCQ_MESH_POST uses it. */
void mcq_mesh_set_tag(struct mcq_mesh_end *e, uint32_t to, enum mcq_lane lane, uint32_t tag);
/* Whether this end waits for room in that lane. */
bool mcq_mesh_waits(const struct mcq_mesh_end *e, uint32_t to, enum mcq_lane lane);

void mcq_mesh_publish_all(struct mcq_mesh_end *e);

/* Shows everything that was committed, and wakes who sleeps. e: NULL is nothing. */
static inline void mcq_mesh_publish(struct mcq_mesh_end *e)
{
    if (MCQ_UNLIKELY(e != NULL && e->dirty_cnt != 0))
        mcq_mesh_publish_all(e);
}

/* --- consumer ------------------------------------------------------------------------------ */

/* body: borrowed until return, 8-aligned. Everything may be called inside that a callback of the
 * shard may call, sends into any lane included. */
typedef void mcq_mesh_fn(struct mcq_shard *sh, uint32_t from, const void *body, size_t len);
/* ... of MCQ_MESH_POST. */
typedef void mcq_mesh_post_fn(struct mcq_shard *sh, uint32_t from, uint32_t tag, const void *body,
                              size_t len);
/* There is room again where a reserve found none. */
typedef void mcq_mesh_room_fn(struct mcq_shard *sh, uint32_t to, enum mcq_lane lane);

/* Who handles what. */
struct mcq_mesh_handlers {
    mcq_mesh_post_fn *post;
    mcq_mesh_fn *of[MCQ_MESH_KIND_CNT]; /* by kind, but for MCQ_MESH_POST */
    mcq_mesh_room_fn *room;
};

/* The shard's own, in mesh_kinds.c. */
extern const struct mcq_mesh_handlers mcq_mesh_handlers;

/* Hands on what is there, at most MCQ_MESH_PER_RUN_MAX records; publishes what that made this end
 * send; tells of room. Returns how much was done: records and lanes with room again. */
uint32_t mcq_mesh_take(struct mcq_mesh_end *e, struct mcq_shard *sh,
                       const struct mcq_mesh_handlers *handlers);
/* Only what it sends to itself can come, and that hasn't. */
static inline bool mcq_mesh_silent(const struct mcq_mesh_end *e)
{
    return e->alone && e->stats.sent == e->stats.taken && e->waiting_cnt == 0;
}

/* Twice a turn: before everything else, and between timers and mailbox. */
static inline uint32_t mcq_mesh_run(struct mcq_mesh_end *e, struct mcq_shard *sh)
{
    return e == NULL || mcq_mesh_silent(e) ? 0 : mcq_mesh_take(e, sh, &mcq_mesh_handlers);
}

/* Nothing to take, and no room where it is waited for. */
bool mcq_mesh_empty(const struct mcq_mesh_end *e);
/* ... and nothing is waited for: nothing will happen here unless others send something. */
bool mcq_mesh_idle(const struct mcq_mesh_end *e);
/* sleeping true: announces it and looks again; false: there is something after all, and the
 * announcement is taken back. sleeping false: awake again; returns true. As mcq_loop_on_sleep has
 * it, beside the mailbox's own: each of the two wakes for what it holds itself. */
bool mcq_mesh_sleep(struct mcq_mesh_end *e, bool sleeping);

#endif
