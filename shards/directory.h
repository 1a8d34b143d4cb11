/* Directory: who has an identity, for the ROUTERs of one logical socket on several shards. This
 * is the protocol alone: it knows no link and no mesh, says what it has to say through `send`, and
 * is told what others say by feed.
 *
 * Every connection of a member makes a *claim* to its identity: a peer's announced one, or the one
 * that was generated for it. hash(logical socket, identity) names the shard that decides, its
 * *authority*, whether or not that shard has a member itself:
 *
 *      claimant                    authority                            every other shard
 *      CLAIMING ---- CLAIM ------> nobody has it: owner
 *               <--- GRANT --------
 *      UP ---------- UP ----------------------------------------------> record: found from there
 *               <--- REVOKE ------ a newcomer replaces it, and waits
 *      ENDING ------ GONE -------> the one who waits is granted ------> record ends
 *               <--- REFUSE ------ taken, and the newcomer doesn't replace; or, while it waited,
 *                                  replaced by one newer still
 *
 * At no time two claims to an identity are granted, on whatever shards: a newcomer is granted only
 * when the older one's GONE has come, which is said after its connection has stopped delivering.
 * A claim's name is the name its peer has or will have, which is never used twice: what is said of
 * an older one ends nothing newer. Of several records of one identity the highest generation, which
 * the authority counts, is the newest.
 *
 * Nothing is lost when a lane is full: a claim knows what it is and which shards know that (told)
 * and don't yet (due), and is asked every turn until all do. What became obsolete meanwhile is
 * never said. The same for the authority's answers, which wait in their record.
 *
 * Limits: claims_max of one shard, an eighth of them with an identity longer than
 * MCQ_DIRECTORY_INLINE_MAX; then claim returns NULL, counted. Every shard has room for a record of
 * all claims of all shards, those included whose GONE is still on its way, so that only the
 * claimant's own pool ever decides.
 *
 * Thread: the shard's. Cost: O(1) a step, but UP and GONE, which are one record per shard.
 */
#ifndef MCQ_SHARDS_DIRECTORY_H
#define MCQ_SHARDS_DIRECTORY_H

#include <monocoque/app.h>
#include <monocoque/event.h>
#include <monocoque/sock.h>
#include <monocoque/stats.h>

#include "mem/arena.h"
#include "mem/list.h"
#include "mem/pool.h"
#include "mem/slice.h"

#define MCQ_DIRECTORY_INLINE_MAX 40u  /* bytes of an identity that need no room of their own */
#define MCQ_DIRECTORY_LONG_PART  8u   /* one claim of so many may have a longer one */
#define MCQ_DIRECTORY_RUN_MAX    256u /* messages of one turn; those of one claim are not parted */
#define MCQ_DIRECTORY_VISITS_MAX                                     \
    4096u /* claims and answers asked in one turn, if lanes are full \
           */

enum mcq_directory_verb {
    MCQ_DIRECTORY_CLAIM = 1,
    MCQ_DIRECTORY_GRANT,
    MCQ_DIRECTORY_REFUSE,
    MCQ_DIRECTORY_REVOKE,
    MCQ_DIRECTORY_UP,
    MCQ_DIRECTORY_GONE
};

/* What crosses: identity[0, len), and nothing behind it. len is 0 in what an authority says. */
struct mcq_directory_msg {
    uint64_t bits;       /* the claim: its peer's name */
    uint64_t generation; /* GRANT, UP */
    uint32_t life;       /* of the logical socket: mcq_logical.life */
    uint8_t verb;
    uint8_t arg; /* CLAIM: 1 replaces; REFUSE: the reason */
    uint8_t len;
    uint8_t identity[MCQ_IDENTITY_LEN_MAX];
};
#define MCQ_DIRECTORY_MSG_LEN_MIN (offsetof(struct mcq_directory_msg, identity))

/* A set of shards. */
struct mcq_directory_set {
    uint64_t bits[MCQ_SHARDS_MAX / 64];
};

struct mcq_directory_key {
    uint32_t life;
    uint8_t len;
    uint8_t *longer; /* NULL: it is in text */
    uint8_t text[MCQ_DIRECTORY_INLINE_MAX];
};

enum mcq_claim_state {
    MCQ_CLAIM_CLAIMING = 0, /* the authority is asked */
    MCQ_CLAIM_GRANTED,      /* owner, not announced */
    MCQ_CLAIM_UP,           /* announced */
    MCQ_CLAIM_ENDING        /* nobody's any more, and not everyone knows */
};

/* What a shard claims for one of its connections. */
struct mcq_claim {
    struct mcq_directory_key key;
    struct mcq_node name_node; /* by its name */
    struct mcq_node due_node;
    void *owner; /* borrowed from claim to release */
    uint64_t bits, generation;
    enum mcq_claim_state state;
    bool replaces;
    struct mcq_directory_set told; /* those that have a record of it */
    struct mcq_directory_set due;  /* those that are to be told what it is now */
};

enum mcq_record_role {
    MCQ_RECORD_NONE = 0, /* this shard isn't its authority */
    MCQ_RECORD_OWNER,
    MCQ_RECORD_WAITS,  /* for the owner's end */
    MCQ_RECORD_REFUSED /* and that isn't said yet */
};

/* What a shard knows of a claim of any shard: as authority, or since it was announced. */
struct mcq_record {
    struct mcq_directory_key key;
    struct mcq_node key_node, name_node, due_node;
    uint64_t bits, generation;
    uint32_t shard; /* who has the connection */
    bool announced;
    enum mcq_record_role role;
    bool says_grant, says_refuse, says_revoke; /* due */
    bool revoked;
    enum mcq_reason reason; /* of the refusal */
};

/* What a directory asks of its shard. granted, refused and revoked may call claim, announce and
 * release; all are called from feed alone. */
struct mcq_directory_ops {
    /* false: the lane is full; asked again. */
    bool (*send)(void *ctx, uint32_t to, const struct mcq_directory_msg *msg, size_t len);
    /* The claim is the only one: may deliver, and should be announced soon. */
    void (*granted)(void *ctx, void *owner);
    /* The claim is over: it has been released already. */
    void (*refused)(void *ctx, void *owner, enum mcq_reason reason);
    /* Another one waits for the end of this claim: release it as soon as nothing is delivered. */
    void (*revoked)(void *ctx, void *owner);
    /* A peer of another shard that had been announced has gone. */
    void (*gone)(void *ctx, struct mcq_peer peer);
};

/* How large a directory is. A pure function of its arguments; see mcq_directory_plan. */
struct mcq_directory_plan {
    uint32_t shard_cnt;
    uint32_t claims_max; /* of one shard */
    uint32_t longer_max; /* ... of them with a long identity */
    uint32_t records_max, records_longer_max;
};

struct mcq_directory {
    uint32_t due_cnt; /* claims and records that have something to say */
    uint32_t id;
    struct mcq_directory_plan plan;
    uint64_t seed;       /* the same on all shards */
    uint64_t generation; /* given last */
    const struct mcq_directory_ops *ops;
    void *ctx;
    struct mcq_pool claims, records, longer;
    uint32_t longer_cnt; /* claims that have one */
    uint64_t mask;
    struct mcq_list *claim_names, *record_keys, *record_names; /* buckets */
    struct mcq_list claims_due, records_due;
    struct mcq_directory_stats stats;
};

/* bytes: at most about so much. links_max: connections of a shard. flight_max: messages that may be
 * on their way between two shards. One shard has none: everything is 0. */
struct mcq_directory_plan mcq_directory_plan(uint32_t shard_cnt, uint32_t links_max,
                                             uint32_t flight_max, size_t bytes);
size_t mcq_directory_footprint(const struct mcq_directory_plan *plan);
/* id: this shard's. ops, ctx: borrowed for its life. false: the arena is too small. */
MCQ_MUST_USE bool mcq_directory_init(struct mcq_directory *d, struct mcq_arena *arena, uint32_t id,
                                     const struct mcq_directory_plan *plan,
                                     const struct mcq_directory_ops *ops, void *ctx);
/* seed: any number, the same on all shards of the app, and secret, so that no peer can aim at one
 * of them. Before the first claim of any. */
void mcq_directory_seed(struct mcq_directory *d, uint64_t seed);

/* Claims an identity of 1 to 255 bytes for owner. Gives the claim, until release or refused. NULL:
 * claims_max, counted. */
struct mcq_claim *mcq_directory_claim(struct mcq_directory *d, uint32_t life,
                                      struct mcq_slice identity, struct mcq_peer name,
                                      bool replaces, void *owner);
/* After granted: everyone shall find it. */
void mcq_directory_announce(struct mcq_directory *d, struct mcq_claim *c);
/* Takes the claim, in any state. Nothing is delivered for it any more. */
void mcq_directory_release(struct mcq_directory *d, struct mcq_claim *c);

/* What shard `from` has said: msg[0, len), borrowed. */
void mcq_directory_feed(struct mcq_directory *d, uint32_t from, const struct mcq_directory_msg *msg,
                        size_t len);
/* Says what is due, as far as there is room. Once per turn, if due_cnt isn't 0. true: there is more
 * that may find room now; what found none is asked when there is. */
bool mcq_directory_run(struct mcq_directory *d);

/* The newest announced peer of another shard with that identity; NULL: none. Borrowed until the
 * next feed. */
const struct mcq_record *mcq_directory_find(const struct mcq_directory *d, uint32_t life,
                                            struct mcq_slice identity);
/* The same by its name. */
const struct mcq_record *mcq_directory_name(const struct mcq_directory *d, struct mcq_peer name);

/* --- a connection that changes its shard ---------------------------------------------------- */

/* All shards know that it is up, and where: it may change that. */
bool mcq_directory_settled(const struct mcq_claim *c);
/* May this shard take one more claim to that identity? */
bool mcq_directory_has_room(const struct mcq_directory *d, struct mcq_slice identity);
/* Takes c, a settled one, and tells nobody; the shard that is to have it calls take, before
 * anything of that connection is delivered there, and once the shards have heard all that this one
 * had said. generation: goes along. */
uint64_t mcq_directory_give(struct mcq_directory *d, struct mcq_claim *c);
/* Gives the claim again: owned, and to be announced from here. NULL: claims_max. */
struct mcq_claim *mcq_directory_take(struct mcq_directory *d, uint32_t life,
                                     struct mcq_slice identity, struct mcq_peer name,
                                     uint64_t generation, void *owner);

static inline struct mcq_slice mcq_directory_identity(const struct mcq_directory_key *key)
{
    return mcq_slice_of(key->longer != NULL ? key->longer : key->text, key->len);
}

#endif
