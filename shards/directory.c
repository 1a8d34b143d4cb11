#include "shards/directory_private.h"

/* --- sets ----------------------------------------------------------------------------------- */

static bool set_has(const struct mcq_directory_set *s, uint32_t shard)
{
    return (s->bits[shard / 64] >> shard % 64 & 1) != 0;
}

static void set_add(struct mcq_directory_set *s, uint32_t shard)
{
    s->bits[shard / 64] |= UINT64_C(1) << shard % 64;
}

static void set_remove(struct mcq_directory_set *s, uint32_t shard)
{
    s->bits[shard / 64] &= ~(UINT64_C(1) << shard % 64);
}

static bool set_empty(const struct mcq_directory_set *s)
{
    uint64_t any = 0;
    for (uint32_t i = 0; i < MCQ_CNT_OF(s->bits); i++)
        any |= s->bits[i];
    return any == 0;
}

/* The first of them from `from` on; MCQ_SHARDS_MAX: none. */
static uint32_t set_next(const struct mcq_directory_set *s, uint32_t from)
{
    for (uint32_t i = from / 64; i < MCQ_CNT_OF(s->bits); i++) {
        uint64_t bits = s->bits[i] & (i == from / 64 ? UINT64_MAX << from % 64 : UINT64_MAX);
        if (bits != 0)
            return 64 * i + (uint32_t)__builtin_ctzll(bits);
    }
    return MCQ_SHARDS_MAX;
}

static struct mcq_directory_set all_but(const struct mcq_directory *d, uint32_t shard)
{
    struct mcq_directory_set s = {{0}};
    for (uint32_t i = 0; i < d->plan.shard_cnt; i++)
        if (i != shard)
            set_add(&s, i);
    return s;
}

/* --- what is due ---------------------------------------------------------------------------- */

static void make_due(struct mcq_directory *d, struct mcq_list *list, struct mcq_node *n)
{
    if (mcq_node_linked(n))
        return;
    mcq_list_push_back(list, n);
    d->due_cnt++;
}

static void no_longer_due(struct mcq_directory *d, struct mcq_node *n)
{
    d->due_cnt -= mcq_node_linked(n) ? 1 : 0;
    mcq_node_unlink(n);
}

static void record_due(struct mcq_directory *d, struct mcq_record *r)
{
    make_due(d, &d->records_due, &r->due_node);
}

/* --- claims --------------------------------------------------------------------------------- */

static struct mcq_claim *refuse_claim(struct mcq_directory *d)
{
    d->stats.claims_empty++;
    return NULL;
}

static struct mcq_claim *claim_create(struct mcq_directory *d, uint32_t life,
                                      struct mcq_slice identity, struct mcq_peer name, void *owner)
{
    if (!mcq_directory_has_room(d, identity))
        return refuse_claim(d);
    struct mcq_claim *c = mcq_pool_take(&d->claims);
    MCQ_ASSERT(c != NULL);
    *c = (struct mcq_claim){.owner = owner, .bits = name.bits};
    bool ok = mcq_directory_key_init(d, &c->key, life, identity);
    MCQ_ASSERT(ok); /* the pool has room for those of all claims and records */
    d->longer_cnt += c->key.longer != NULL ? 1 : 0;
    d->stats.claims_now++;
    mcq_list_push_back(mcq_directory_claim_bucket(d, c->bits), &c->name_node);
    return c;
}

static void claim_free(struct mcq_directory *d, struct mcq_claim *c)
{
    no_longer_due(d, &c->due_node);
    mcq_node_unlink(&c->name_node);
    d->longer_cnt -= c->key.longer != NULL ? 1 : 0;
    d->stats.claims_now--;
    mcq_directory_key_fini(d, &c->key);
    mcq_pool_give(&d->claims, c);
}

struct mcq_claim *mcq_directory_claim(struct mcq_directory *d, uint32_t life,
                                      struct mcq_slice identity, struct mcq_peer name,
                                      bool replaces, void *owner)
{
    struct mcq_claim *c = claim_create(d, life, identity, name, owner);
    if (c == NULL)
        return NULL;
    c->replaces = replaces;
    d->stats.claims++;
    set_add(&c->due, mcq_directory_authority(d, mcq_directory_hash(d, life, identity)));
    make_due(d, &d->claims_due, &c->due_node);
    return c;
}

void mcq_directory_announce(struct mcq_directory *d, struct mcq_claim *c)
{
    MCQ_ASSERT(c->state == MCQ_CLAIM_GRANTED);
    c->state = MCQ_CLAIM_UP;
    c->due = all_but(d, d->id);
    make_due(d, &d->claims_due, &c->due_node);
}

/* What nobody was told of needs no end. */
void mcq_directory_release(struct mcq_directory *d, struct mcq_claim *c)
{
    MCQ_ASSERT(c->state != MCQ_CLAIM_ENDING);
    c->state = MCQ_CLAIM_ENDING;
    c->owner = NULL;
    c->due = c->told;
    if (set_empty(&c->due))
        claim_free(d, c);
    else
        make_due(d, &d->claims_due, &c->due_node);
}

static size_t say_claim(const struct mcq_claim *c, struct mcq_directory_msg *msg)
{
    static const uint8_t verbs[] = {
        [MCQ_CLAIM_CLAIMING] = MCQ_DIRECTORY_CLAIM,
        [MCQ_CLAIM_UP] = MCQ_DIRECTORY_UP,
        [MCQ_CLAIM_ENDING] = MCQ_DIRECTORY_GONE,
    };
    struct mcq_slice identity = mcq_directory_identity(&c->key);
    msg->bits = c->bits;
    msg->generation = c->generation;
    msg->life = c->key.life;
    msg->verb = verbs[c->state];
    msg->arg = c->replaces ? 1 : 0;
    msg->len = c->key.len;
    mcq_bytes_copy(msg->identity, identity.ptr, identity.len);
    return MCQ_DIRECTORY_MSG_LEN_MIN + identity.len;
}

/* Says what c is to all that don't know; adds those with no room to `full`. Returns how many heard
 * it. */
static uint32_t tell_claim(struct mcq_directory *d, struct mcq_claim *c,
                           struct mcq_directory_set *full)
{
    struct mcq_directory_msg msg;
    size_t len = 0;
    uint32_t cnt = 0;
    for (uint32_t to = set_next(&c->due, 0); to < MCQ_SHARDS_MAX; to = set_next(&c->due, to + 1)) {
        if (set_has(full, to))
            continue;
        if (len == 0)
            len = say_claim(c, &msg);
        if (!d->ops->send(d->ctx, to, &msg, len)) {
            set_add(full, to);
            continue;
        }
        cnt++;
        set_remove(&c->due, to);
        if (c->state != MCQ_CLAIM_ENDING)
            set_add(&c->told, to);
    }
    return cnt;
}

/* --- records -------------------------------------------------------------------------------- */

static struct mcq_record *record_create(struct mcq_directory *d, uint64_t hash, uint32_t from,
                                        const struct mcq_directory_msg *msg)
{
    struct mcq_record *r = mcq_pool_take(&d->records);
    if (r == NULL) {
        d->stats.records_empty++;
        return NULL;
    }
    *r = (struct mcq_record){.bits = msg->bits, .shard = from};
    if (!mcq_directory_key_init(d, &r->key, msg->life, mcq_slice_of(msg->identity, msg->len))) {
        d->stats.records_empty++;
        mcq_pool_give(&d->records, r);
        return NULL;
    }
    d->stats.records_now++;
    mcq_list_push_back(mcq_directory_key_bucket(d, hash), &r->key_node);
    mcq_list_push_back(mcq_directory_record_bucket(d, r->bits), &r->name_node);
    return r;
}

static void record_free(struct mcq_directory *d, struct mcq_record *r)
{
    no_longer_due(d, &r->due_node);
    mcq_node_unlink(&r->key_node);
    mcq_node_unlink(&r->name_node);
    d->stats.records_now--;
    mcq_directory_key_fini(d, &r->key);
    mcq_pool_give(&d->records, r);
}

static void grant(struct mcq_directory *d, struct mcq_record *r)
{
    r->role = MCQ_RECORD_OWNER;
    r->generation = ++d->generation;
    r->says_grant = true;
    d->stats.grants++;
    record_due(d, r);
}

static void refuse(struct mcq_directory *d, struct mcq_record *r, enum mcq_reason reason)
{
    r->role = MCQ_RECORD_REFUSED;
    r->says_refuse = true;
    r->reason = reason;
    d->stats.refusals++;
    record_due(d, r);
}

static void revoke(struct mcq_directory *d, struct mcq_record *r)
{
    if (r->revoked)
        return;
    r->revoked = true;
    r->says_revoke = true;
    d->stats.revokes++;
    record_due(d, r);
}

static bool say(struct mcq_directory *d, const struct mcq_record *r, enum mcq_directory_verb verb,
                uint8_t arg)
{
    const struct mcq_directory_msg msg = {
        .bits = r->bits,
        .generation = r->generation,
        .life = r->key.life,
        .verb = (uint8_t)verb,
        .arg = arg,
    };
    return d->ops->send(d->ctx, r->shard, &msg, MCQ_DIRECTORY_MSG_LEN_MIN);
}

/* In this order. false: something is left to say. */
static bool tell_record(struct mcq_directory *d, struct mcq_record *r)
{
    if (r->says_grant && !say(d, r, MCQ_DIRECTORY_GRANT, 0))
        return false;
    r->says_grant = false;
    if (r->says_revoke && !say(d, r, MCQ_DIRECTORY_REVOKE, 0))
        return false;
    r->says_revoke = false;
    if (r->says_refuse && !say(d, r, MCQ_DIRECTORY_REFUSE, (uint8_t)r->reason))
        return false;
    r->says_refuse = false;
    return true;
}

/* --- as authority --------------------------------------------------------------------------- */

static void decide(struct mcq_directory *d, uint64_t hash, struct mcq_record *r, bool replaces)
{
    struct mcq_slice id = mcq_directory_identity(&r->key);
    struct mcq_record *owner = mcq_directory_find_role(d, hash, r->key.life, id, MCQ_RECORD_OWNER);
    struct mcq_record *waits = mcq_directory_find_role(d, hash, r->key.life, id, MCQ_RECORD_WAITS);
    if (owner == NULL) {
        grant(d, r);
    } else if (!replaces) {
        refuse(d, r, MCQ_REASON_IDENTITY);
    } else {
        if (waits != NULL)
            refuse(d, waits, MCQ_REASON_REPLACED);
        r->role = MCQ_RECORD_WAITS;
        revoke(d, owner);
    }
}

static void feed_claim(struct mcq_directory *d, uint32_t from, const struct mcq_directory_msg *msg)
{
    uint64_t hash = mcq_directory_hash(d, msg->life, mcq_slice_of(msg->identity, msg->len));
    struct mcq_record *r = record_create(d, hash, from, msg);
    MCQ_ASSERT(r != NULL && mcq_directory_authority(d, hash) == d->id);
    decide(d, hash, r, msg->arg != 0);
}

/* --- feed ----------------------------------------------------------------------------------- */

static void feed_up(struct mcq_directory *d, uint32_t from, const struct mcq_directory_msg *msg)
{
    struct mcq_record *r = mcq_directory_find_record(d, msg->bits);
    if (r == NULL)
        r = record_create(
            d, mcq_directory_hash(d, msg->life, mcq_slice_of(msg->identity, msg->len)), from, msg);
    if (r == NULL)
        return;
    r->announced = true;
    r->generation = msg->generation;
    if (r->shard == from)
        return;
    r->shard = from;
    if (r->revoked) { /* whoever had it then may have given it away before it heard that */
        r->says_revoke = true;
        record_due(d, r);
    }
}

static void feed_gone(struct mcq_directory *d, const struct mcq_directory_msg *msg)
{
    struct mcq_slice id = mcq_slice_of(msg->identity, msg->len);
    uint64_t hash = mcq_directory_hash(d, msg->life, id);
    struct mcq_record *r = mcq_directory_find_record(d, msg->bits);
    if (r == NULL) {
        d->stats.stale++;
        return;
    }
    struct mcq_record *waits =
        r->role != MCQ_RECORD_OWNER
            ? NULL
            : mcq_directory_find_role(d, hash, msg->life, id, MCQ_RECORD_WAITS);
    bool known = r->announced && r->shard != d->id;
    record_free(d, r);
    if (waits != NULL)
        grant(d, waits);
    if (known)
        d->ops->gone(d->ctx, (struct mcq_peer){msg->bits});
}

static void feed_grant(struct mcq_directory *d, struct mcq_claim *c, uint64_t generation)
{
    MCQ_ASSERT(c->state == MCQ_CLAIM_CLAIMING);
    c->state = MCQ_CLAIM_GRANTED;
    c->generation = generation;
    d->ops->granted(d->ctx, c->owner);
}

static void feed_refuse(struct mcq_directory *d, struct mcq_claim *c, enum mcq_reason reason)
{
    void *owner = c->owner;
    MCQ_ASSERT(c->state == MCQ_CLAIM_CLAIMING);
    claim_free(d, c);
    d->ops->refused(d->ctx, owner, reason);
}

/* An authority's word about a claim that has been released meanwhile settles nothing: its GONE is
 * on its way. */
static void feed_answer(struct mcq_directory *d, const struct mcq_directory_msg *msg)
{
    struct mcq_claim *c = mcq_directory_find_claim(d, msg->bits);
    if (c == NULL || c->state == MCQ_CLAIM_ENDING)
        d->stats.stale++;
    else if (msg->verb == MCQ_DIRECTORY_GRANT)
        feed_grant(d, c, msg->generation);
    else if (msg->verb == MCQ_DIRECTORY_REFUSE)
        feed_refuse(d, c, (enum mcq_reason)msg->arg);
    else
        d->ops->revoked(d->ctx, c->owner);
}

void mcq_directory_feed(struct mcq_directory *d, uint32_t from, const struct mcq_directory_msg *msg,
                        size_t len)
{
    MCQ_ASSERT(len == MCQ_DIRECTORY_MSG_LEN_MIN + msg->len && from < d->plan.shard_cnt);
    switch ((enum mcq_directory_verb)msg->verb) {
    case MCQ_DIRECTORY_CLAIM:
        feed_claim(d, from, msg);
        break;
    case MCQ_DIRECTORY_UP:
        feed_up(d, from, msg);
        break;
    case MCQ_DIRECTORY_GONE:
        feed_gone(d, msg);
        break;
    case MCQ_DIRECTORY_GRANT:
    case MCQ_DIRECTORY_REFUSE:
    case MCQ_DIRECTORY_REVOKE:
        feed_answer(d, msg);
        break;
    }
}

/* --- run ------------------------------------------------------------------------------------ */

/* What one turn may still do. */
struct budget {
    struct mcq_directory_set full; /* shards that have no room */
    uint32_t sends, visits;
};

static bool spent(const struct budget *b)
{
    return b->sends >= MCQ_DIRECTORY_RUN_MAX || b->visits >= MCQ_DIRECTORY_VISITS_MAX;
}

static void run_claim(struct mcq_directory *d, struct mcq_claim *c, struct budget *b)
{
    b->sends += tell_claim(d, c, &b->full);
    if (!set_empty(&c->due))
        return;
    no_longer_due(d, &c->due_node);
    if (c->state == MCQ_CLAIM_ENDING)
        claim_free(d, c);
}

static void run_record(struct mcq_directory *d, struct mcq_record *r, struct budget *b)
{
    if (set_has(&b->full, r->shard))
        return;
    if (!tell_record(d, r)) {
        set_add(&b->full, r->shard);
        return;
    }
    b->sends++;
    no_longer_due(d, &r->due_node);
    if (r->role == MCQ_RECORD_REFUSED)
        record_free(d, r);
}

/* Those that find no room keep their place: the end of a claim is said before the next claim to the
 * same identity. */
static void run_claims(struct mcq_directory *d, struct budget *b)
{
    struct mcq_node *next;
    for (struct mcq_node *n = mcq_list_first(&d->claims_due); n != NULL && !spent(b); n = next) {
        next = mcq_list_next(&d->claims_due, n);
        b->visits++;
        run_claim(d, MCQ_CONTAINER_OF(n, struct mcq_claim, due_node), b);
    }
}

static void run_records(struct mcq_directory *d, struct budget *b)
{
    struct mcq_node *next;
    for (struct mcq_node *n = mcq_list_first(&d->records_due); n != NULL && !spent(b); n = next) {
        next = mcq_list_next(&d->records_due, n);
        b->visits++;
        run_record(d, MCQ_CONTAINER_OF(n, struct mcq_record, due_node), b);
    }
}

bool mcq_directory_run(struct mcq_directory *d)
{
    struct budget b = {.sends = 0};
    run_records(d, &b);
    run_claims(d, &b);
    return b.sends >= MCQ_DIRECTORY_RUN_MAX && d->due_cnt != 0;
}

/* --- a connection that changes its shard ---------------------------------------------------- */

bool mcq_directory_settled(const struct mcq_claim *c)
{
    return c->state == MCQ_CLAIM_UP && set_empty(&c->due);
}

bool mcq_directory_has_room(const struct mcq_directory *d, struct mcq_slice identity)
{
    return d->claims.free_cnt != 0 &&
           (identity.len <= MCQ_DIRECTORY_INLINE_MAX || d->longer_cnt < d->plan.longer_max);
}

uint64_t mcq_directory_give(struct mcq_directory *d, struct mcq_claim *c)
{
    uint64_t generation = c->generation;
    MCQ_ASSERT(mcq_directory_settled(c));
    claim_free(d, c);
    return generation;
}

/* The authority is told like all, also if it is this shard: it asks who has it. */
struct mcq_claim *mcq_directory_take(struct mcq_directory *d, uint32_t life,
                                     struct mcq_slice identity, struct mcq_peer name,
                                     uint64_t generation, void *owner)
{
    struct mcq_claim *c = claim_create(d, life, identity, name, owner);
    if (c == NULL)
        return NULL;
    struct mcq_record *r = mcq_directory_find_record(d, name.bits);
    if (r != NULL && r->role == MCQ_RECORD_NONE)
        record_free(d, r);
    c->state = MCQ_CLAIM_UP;
    c->generation = generation;
    c->due = all_but(d, d->id);
    set_add(&c->due, mcq_directory_authority(d, mcq_directory_hash(d, life, identity)));
    c->told = c->due;
    make_due(d, &d->claims_due, &c->due_node);
    return c;
}
