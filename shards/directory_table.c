/* The directory's tables: what is known by identity and by name, on one shard. */
#include "patterns/hash.h"
#include "shards/directory_private.h"

/* --- size ----------------------------------------------------------------------------------- */

/* Chains stay short with two buckets each. */
static size_t bucket_len(uint32_t cnt)
{
    return 2 * cnt * sizeof(struct mcq_list);
}

struct mcq_directory_plan mcq_directory_plan(uint32_t shard_cnt, uint32_t links_max,
                                             uint32_t flight_max, size_t bytes)
{
    struct mcq_directory_plan p = {.shard_cnt = shard_cnt};
    if (shard_cnt < 2)
        return p;
    /* What one claim costs: at home, and as a record here for each shard's. Buckets are rounded up
     * to powers of two. */
    size_t each = sizeof(struct mcq_claim) + 2 * bucket_len(1) +
                  shard_cnt * (sizeof(struct mcq_record) + 4 * bucket_len(1)) +
                  (shard_cnt + 1) * (size_t)MCQ_IDENTITY_LEN_MAX / MCQ_DIRECTORY_LONG_PART;
    p.claims_max = (uint32_t)mcq_min_u64(links_max, mcq_max(bytes / each, 16));
    p.longer_max = p.claims_max / MCQ_DIRECTORY_LONG_PART + 1;
    p.records_max = shard_cnt * (p.claims_max + flight_max);
    p.records_longer_max = shard_cnt * (p.longer_max + flight_max / 2); /* twice as large */
    return p;
}

static uint32_t longer_cnt(const struct mcq_directory_plan *p)
{
    return p->longer_max + p->records_longer_max;
}

static size_t buckets_footprint(uint32_t cnt)
{
    return mcq_hash_bucket_cnt(cnt) * sizeof(struct mcq_list) + MCQ_CACHE_LINE;
}

size_t mcq_directory_footprint(const struct mcq_directory_plan *p)
{
    if (p->claims_max == 0)
        return 0;
    return buckets_footprint(p->claims_max) + 2 * buckets_footprint(p->records_max) +
           mcq_pool_footprint(sizeof(struct mcq_claim), p->claims_max) +
           mcq_pool_footprint(sizeof(struct mcq_record), p->records_max) +
           mcq_pool_footprint(MCQ_IDENTITY_LEN_MAX, longer_cnt(p));
}

static struct mcq_list *carve_buckets(struct mcq_arena *arena, uint32_t cnt)
{
    uint32_t bucket_cnt = mcq_hash_bucket_cnt(cnt);
    struct mcq_list *b = mcq_arena_carve(arena, bucket_cnt * sizeof(*b), MCQ_CACHE_LINE);
    for (uint32_t i = 0; b != NULL && i < bucket_cnt; i++)
        mcq_list_init(&b[i]);
    return b;
}

bool mcq_directory_init(struct mcq_directory *d, struct mcq_arena *arena, uint32_t id,
                        const struct mcq_directory_plan *plan, const struct mcq_directory_ops *ops,
                        void *ctx)
{
    *d = (struct mcq_directory){.id = id, .plan = *plan, .ops = ops, .ctx = ctx};
    mcq_list_init(&d->claims_due);
    mcq_list_init(&d->records_due);
    if (plan->claims_max == 0)
        return true;
    d->claim_names = carve_buckets(arena, plan->claims_max);
    d->record_keys = carve_buckets(arena, plan->records_max);
    d->record_names = carve_buckets(arena, plan->records_max);
    return d->claim_names != NULL && d->record_keys != NULL && d->record_names != NULL &&
           mcq_pool_init(&d->claims, "identities", arena, sizeof(struct mcq_claim),
                         plan->claims_max) &&
           mcq_pool_init(&d->records, "identities of all shards", arena, sizeof(struct mcq_record),
                         plan->records_max) &&
           mcq_pool_init(&d->longer, "long identities", arena, MCQ_IDENTITY_LEN_MAX,
                         longer_cnt(plan));
}

void mcq_directory_seed(struct mcq_directory *d, uint64_t seed)
{
    d->seed = seed;
}

/* --- keys and names ------------------------------------------------------------------------- */

uint64_t mcq_directory_hash(const struct mcq_directory *d, uint32_t life, struct mcq_slice identity)
{
    return mcq_hash_slice(mcq_hash_mix(d->seed, life), identity);
}

uint32_t mcq_directory_authority(const struct mcq_directory *d, uint64_t hash)
{
    return (uint32_t)((hash >> 32) % d->plan.shard_cnt);
}

static struct mcq_list *name_bucket(struct mcq_list *buckets, uint32_t cnt, uint64_t bits)
{
    return &buckets[mcq_hash_mix(0, bits) & (mcq_hash_bucket_cnt(cnt) - 1)];
}

struct mcq_list *mcq_directory_claim_bucket(const struct mcq_directory *d, uint64_t bits)
{
    return name_bucket(d->claim_names, d->plan.claims_max, bits);
}

struct mcq_list *mcq_directory_record_bucket(const struct mcq_directory *d, uint64_t bits)
{
    return name_bucket(d->record_names, d->plan.records_max, bits);
}

struct mcq_list *mcq_directory_key_bucket(const struct mcq_directory *d, uint64_t hash)
{
    return &d->record_keys[hash & (mcq_hash_bucket_cnt(d->plan.records_max) - 1)];
}

bool mcq_directory_key_init(struct mcq_directory *d, struct mcq_directory_key *key, uint32_t life,
                            struct mcq_slice identity)
{
    MCQ_ASSERT(identity.len != 0 && identity.len <= MCQ_IDENTITY_LEN_MAX);
    key->life = life;
    key->len = (uint8_t)identity.len;
    key->longer = NULL;
    if (identity.len > MCQ_DIRECTORY_INLINE_MAX) {
        key->longer = mcq_pool_take(&d->longer);
        if (key->longer == NULL)
            return false;
    }
    mcq_bytes_copy(key->longer != NULL ? key->longer : key->text, identity.ptr, identity.len);
    return true;
}

void mcq_directory_key_fini(struct mcq_directory *d, struct mcq_directory_key *key)
{
    if (key->longer != NULL)
        mcq_pool_give(&d->longer, key->longer);
}

static bool key_is(const struct mcq_directory_key *key, uint32_t life, struct mcq_slice identity)
{
    return key->life == life && mcq_slice_equal(mcq_directory_identity(key), identity);
}

struct mcq_claim *mcq_directory_find_claim(const struct mcq_directory *d, uint64_t bits)
{
    struct mcq_list *b = mcq_directory_claim_bucket(d, bits);
    for (struct mcq_node *n = mcq_list_first(b); n != NULL; n = mcq_list_next(b, n)) {
        struct mcq_claim *c = MCQ_CONTAINER_OF(n, struct mcq_claim, name_node);
        if (c->bits == bits)
            return c;
    }
    return NULL;
}

struct mcq_record *mcq_directory_find_record(const struct mcq_directory *d, uint64_t bits)
{
    struct mcq_list *b = mcq_directory_record_bucket(d, bits);
    for (struct mcq_node *n = mcq_list_first(b); n != NULL; n = mcq_list_next(b, n)) {
        struct mcq_record *r = MCQ_CONTAINER_OF(n, struct mcq_record, name_node);
        if (r->bits == bits)
            return r;
    }
    return NULL;
}

struct mcq_record *mcq_directory_find_role(const struct mcq_directory *d, uint64_t hash,
                                           uint32_t life, struct mcq_slice identity,
                                           enum mcq_record_role role)
{
    struct mcq_list *b = mcq_directory_key_bucket(d, hash);
    for (struct mcq_node *n = mcq_list_first(b); n != NULL; n = mcq_list_next(b, n)) {
        struct mcq_record *r = MCQ_CONTAINER_OF(n, struct mcq_record, key_node);
        if (r->role == role && key_is(&r->key, life, identity))
            return r;
    }
    return NULL;
}

/* --- asking --------------------------------------------------------------------------------- */

static bool elsewhere(const struct mcq_directory *d, const struct mcq_record *r)
{
    return r->announced && r->shard != d->id;
}

const struct mcq_record *mcq_directory_find(const struct mcq_directory *d, uint32_t life,
                                            struct mcq_slice identity)
{
    const struct mcq_record *found = NULL;
    if (d->plan.claims_max == 0 || identity.len == 0 || identity.len > MCQ_IDENTITY_LEN_MAX)
        return NULL;
    struct mcq_list *b = mcq_directory_key_bucket(d, mcq_directory_hash(d, life, identity));
    for (struct mcq_node *n = mcq_list_first(b); n != NULL; n = mcq_list_next(b, n)) {
        const struct mcq_record *r = MCQ_CONTAINER_OF(n, struct mcq_record, key_node);
        if (elsewhere(d, r) && key_is(&r->key, life, identity) &&
            (found == NULL || r->generation > found->generation))
            found = r;
    }
    return found;
}

const struct mcq_record *mcq_directory_name(const struct mcq_directory *d, struct mcq_peer name)
{
    const struct mcq_record *r =
        d->plan.claims_max == 0 ? NULL : mcq_directory_find_record(d, name.bits);
    return r != NULL && elsewhere(d, r) ? r : NULL;
}
