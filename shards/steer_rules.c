/* RAW: one number of each shard that the shard itself may be writing, read atomically; sound
 * because any of its values will do; called by group, group_pass, steer_ctl and tests. */
#include "shards/steer_rules.h"

#include <string.h>

#include "mem/detail.h"
#include "mem/slice.h"
#include "shards/steer_policy.h"

_Static_assert(MCQ_STEER_SHARD_CNT == MCQ_STEER_SHARDS_MAX &&
                   MCQ_STEER_RULE_CNT == MCQ_STEER_RULES_MAX &&
                   MCQ_STEER_PINS_TEXT == MCQ_STEER_ENDPOINT_LEN &&
                   MCQ_STEER_PINS_NAME == MCQ_STEER_NAME_LEN,
               "the public limits are the layout's");
_Static_assert((uint32_t)MCQ_STEER_HASH == MCQ_STEER_BY_HASH &&
                   (uint32_t)MCQ_STEER_CPU == MCQ_STEER_BY_CPU &&
                   (uint32_t)MCQ_STEER_PORT == MCQ_STEER_BY_PORT &&
                   (uint32_t)MCQ_STEER_WEIGHTS == MCQ_STEER_BY_WEIGHTS &&
                   (uint32_t)MCQ_STEER_LEAST == MCQ_STEER_BY_LEAST,
               "the public modes are the layout's");

/* --- rules ----------------------------------------------------------------------------------- */

static uint32_t bits_max(const struct mcq_steer_rule *r)
{
    return r->family == 4 ? 32 : 128;
}

/* IPv4 as IPv6, ::ffff:0:0/96. */
static bool is_mapped(const struct mcq_steer_rule *r)
{
    static const uint8_t front[12] = {[10] = 0xff, [11] = 0xff};
    return r->family == 6 && r->bits >= 96 &&
           mcq_slice_equal(mcq_slice_of(r->addr, sizeof(front)),
                           mcq_slice_of(front, sizeof(front)));
}

/* The one way to write that prefix. */
static struct mcq_steer_rule normal(struct mcq_steer_rule r)
{
    if (is_mapped(&r)) {
        const struct mcq_steer_rule six = r;
        mcq_bytes_zero(r.addr, sizeof(r.addr));
        mcq_bytes_copy(r.addr, six.addr + 12, 4);
        r.family = 4;
        r.bits = (uint8_t)(six.bits - 96);
    }
    for (uint32_t i = 0; i < sizeof(r.addr); i++) {
        uint32_t kept = r.bits > 8 * i ? r.bits - 8 * i : 0;
        if (kept < 8)
            r.addr[i] &= (uint8_t)(0xff00u >> kept);
    }
    return r;
}

static bool is_same_prefix(const struct mcq_steer_rule *a, const struct mcq_steer_rule *b)
{
    return a->family == b->family && a->bits == b->bits &&
           mcq_slice_equal(mcq_slice_of(a->addr, sizeof(a->addr)),
                           mcq_slice_of(b->addr, sizeof(b->addr)));
}

static enum mcq_error prefix_check(const struct mcq_steer_rule *r, struct mcq_detail *detail)
{
    if (r->family != 4 && r->family != 6)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "steering rule: family %u is neither 4 nor 6",
                              r->family);
    if (r->bits > bits_max(r))
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "steering rule: an IPv%u address has %u bits",
                              r->family, bits_max(r));
    return MCQ_OK;
}

static enum mcq_error shard_check(const struct mcq_steer_tables *t, uint32_t shard,
                                  struct mcq_detail *detail)
{
    if (shard < t->conf.shard_cnt)
        return MCQ_OK;
    return mcq_detail_set(detail, MCQ_EINVAL, 0,
                          "steering: there is no shard %u: name one from 0 to %u", shard,
                          t->conf.shard_cnt - 1);
}

static struct mcq_steer_entry *find(struct mcq_steer_tables *t, const struct mcq_steer_rule *rule)
{
    for (uint32_t i = 0; i < t->rules_cnt; i++)
        if (is_same_prefix(&t->rules[i].rule, rule))
            return &t->rules[i];
    return NULL;
}

const struct mcq_steer_entry *mcq_steer_tables_find(const struct mcq_steer_tables *t,
                                                    const struct mcq_steer_rule *rule)
{
    const struct mcq_steer_rule wanted = normal(*rule);
    for (uint32_t i = 0; i < t->rules_cnt; i++)
        if (is_same_prefix(&t->rules[i].rule, &wanted))
            return &t->rules[i];
    return NULL;
}

/* By what is left of the address: exact ones of both families come first. */
static uint32_t rank(const struct mcq_steer_rule *r)
{
    return bits_max(r) - r->bits;
}

bool mcq_steer_tables_place(struct mcq_steer_tables *t, const struct mcq_steer_rule *rule,
                            uint32_t id)
{
    if (t->rules_cnt == MCQ_STEER_RULE_CNT || id >= MCQ_STEER_RULE_CNT)
        return false;
    uint32_t at = t->rules_cnt++;
    for (; at > 0 && rank(&t->rules[at - 1].rule) > rank(rule); at--)
        t->rules[at] = t->rules[at - 1];
    t->rules[at] = (struct mcq_steer_entry){*rule, {rule->shard, id}};
    return true;
}

static uint32_t unused_id(const struct mcq_steer_tables *t)
{
    bool used[MCQ_STEER_RULE_CNT] = {false};
    uint32_t id = 0;
    for (uint32_t i = 0; i < t->rules_cnt; i++)
        used[t->rules[i].target.id] = true;
    while (id < MCQ_STEER_RULE_CNT && used[id])
        id++;
    return id;
}

enum mcq_error mcq_steer_tables_put(struct mcq_steer_tables *t, const struct mcq_steer_rule *rule,
                                    uint32_t *id, struct mcq_detail *detail)
{
    enum mcq_error err = prefix_check(rule, detail);
    if (err == MCQ_OK)
        err = shard_check(t, rule->shard, detail);
    if (err != MCQ_OK)
        return err;
    const struct mcq_steer_rule r = normal(*rule);
    struct mcq_steer_entry *there = find(t, &r);
    if (there != NULL) {
        there->rule.shard = there->target.shard = r.shard;
        *id = there->target.id;
        return MCQ_OK;
    }
    *id = unused_id(t);
    if (!mcq_steer_tables_place(t, &r, *id))
        return mcq_detail_set(detail, MCQ_ELIMIT, 0,
                              "steering: all %u rules are in use: use shorter prefixes",
                              MCQ_STEER_RULE_CNT);
    return MCQ_OK;
}

enum mcq_error mcq_steer_tables_drop(struct mcq_steer_tables *t, const struct mcq_steer_rule *rule,
                                     struct mcq_detail *detail)
{
    char text[MCQ_STEER_RULE_TEXT_LEN];
    enum mcq_error err = prefix_check(rule, detail);
    if (err != MCQ_OK)
        return err;
    const struct mcq_steer_rule r = normal(*rule);
    struct mcq_steer_entry *e = find(t, &r);
    mcq_steer_rule_format(&r, text);
    if (e == NULL)
        return mcq_detail_set(detail, MCQ_ENOENT, 0, "steering: there is no rule for %.*s",
                              (int)strcspn(text, "="), text);
    t->rules_cnt--;
    for (uint32_t i = (uint32_t)(e - t->rules); i < t->rules_cnt; i++)
        t->rules[i] = t->rules[i + 1];
    return MCQ_OK;
}

/* --- mode, weights, who is there ------------------------------------------------------------- */

void mcq_steer_tables_init(struct mcq_steer_tables *t, uint32_t shard_cnt, uint32_t seed,
                           const struct mcq_steer_load *load)
{
    MCQ_ASSERT(shard_cnt > 0 && shard_cnt <= MCQ_STEER_SHARD_CNT);
    mcq_bytes_zero(t, sizeof(*t));
    t->conf.shard_cnt = shard_cnt;
    t->conf.seed = seed;
    t->load = load;
    for (uint32_t i = 0; i < MCQ_STEER_SHARD_CNT; i++)
        t->weights[i] = 1;
    for (uint32_t i = 0; i < MCQ_STEER_CPU_CNT; i++)
        t->cpus[i] = MCQ_STEER_NO_SHARD;
    mcq_steer_tables_refresh(t);
}

enum mcq_error mcq_steer_tables_set_mode(struct mcq_steer_tables *t, uint32_t mode,
                                         struct mcq_detail *detail)
{
    if (mode > MCQ_STEER_BY_LEAST)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "steering: %u is no mode", mode);
    t->conf.mode = mode;
    return MCQ_OK;
}

enum mcq_error mcq_steer_tables_set_weights(struct mcq_steer_tables *t, const uint32_t *weights,
                                            uint32_t cnt, struct mcq_detail *detail)
{
    uint64_t sum = cnt < t->conf.shard_cnt ? 1 : 0;
    if (cnt > t->conf.shard_cnt)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "steering: %u weights for %u shards", cnt,
                              t->conf.shard_cnt);
    for (uint32_t i = 0; i < cnt; i++) {
        if (weights[i] > MCQ_STEER_WEIGHT_MAX)
            return mcq_detail_set(detail, MCQ_EINVAL, 0, "steering: the weight %u is above %u",
                                  weights[i], MCQ_STEER_WEIGHT_MAX);
        sum += weights[i];
    }
    if (sum == 0)
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "steering: all weights are 0: leave one shard something");
    for (uint32_t i = 0; i < MCQ_STEER_SHARD_CNT; i++)
        t->weights[i] = i < cnt ? weights[i] : 1;
    return MCQ_OK;
}

/* If everybody drains, those that are there go on. */
static void refresh_live(struct mcq_steer_tables *t)
{
    struct mcq_steer_conf *c = &t->conf;
    bool all_drained = true;
    for (uint32_t i = 0; i < c->shard_cnt; i++)
        all_drained = all_drained && (!t->member[i] || t->drained[i]);
    c->live_cnt = 0;
    for (uint32_t i = 0; i < MCQ_STEER_SHARD_CNT; i++) {
        c->is_live[i] = i < c->shard_cnt && t->member[i] && (all_drained || !t->drained[i]);
        if (c->is_live[i])
            c->live[c->live_cnt++] = (uint8_t)i;
    }
    for (uint32_t i = c->live_cnt; i < MCQ_STEER_SHARD_CNT; i++)
        c->live[i] = 0;
}

static uint64_t live_weight(const struct mcq_steer_tables *t, uint32_t shard, bool equal)
{
    if (!t->conf.is_live[shard])
        return 0;
    return equal ? 1 : t->weights[shard];
}

/* Largest remainder: each gets the whole part of its share, those with the largest rest one more.
 */
static void refresh_slots(struct mcq_steer_tables *t)
{
    uint32_t quota[MCQ_STEER_SHARD_CNT] = {0};
    uint64_t rest[MCQ_STEER_SHARD_CNT] = {0};
    uint64_t sum = 0;
    uint32_t given = 0, at = 0;
    for (uint32_t i = 0; i < t->conf.shard_cnt; i++)
        sum += live_weight(t, i, false);
    bool equal = sum == 0;
    sum = equal ? t->conf.live_cnt : sum;
    for (uint32_t i = 0; i < t->conf.shard_cnt && sum != 0; i++) {
        uint64_t share = live_weight(t, i, equal) * MCQ_STEER_SLOT_CNT;
        quota[i] = (uint32_t)(share / sum);
        rest[i] = share % sum;
        given += quota[i];
    }
    for (; given < MCQ_STEER_SLOT_CNT && sum != 0; given++) {
        uint32_t most = 0;
        for (uint32_t i = 1; i < t->conf.shard_cnt; i++)
            most = rest[i] > rest[most] ? i : most;
        quota[most]++;
        rest[most] = 0;
    }
    for (uint32_t i = 0; i < t->conf.shard_cnt; i++)
        for (; quota[i] > 0; quota[i]--)
            t->slots[at++] = i;
    while (at < MCQ_STEER_SLOT_CNT)
        t->slots[at++] = MCQ_STEER_NO_SHARD;
}

void mcq_steer_tables_refresh(struct mcq_steer_tables *t)
{
    refresh_live(t);
    refresh_slots(t);
}

enum mcq_error mcq_steer_tables_take(struct mcq_steer_tables *t, const struct mcq_steer_opts *opts,
                                     enum mcq_steer_rung *rung, struct mcq_detail *detail)
{
    uint32_t id;
    if (opts->size < sizeof(*opts))
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "steering: start struct mcq_steer_opts from MCQ_STEER_OPTS_INIT");
    if ((uint32_t)opts->rung > MCQ_STEER_RUNG_HANDOFF)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "steering: %u is no rung",
                              (unsigned)opts->rung);
    if (opts->rung != MCQ_STEER_RUNG_DEFAULT)
        *rung = opts->rung;
    enum mcq_error err = mcq_steer_tables_set_mode(t, (uint32_t)opts->mode, detail);
    if (err == MCQ_OK)
        err = mcq_steer_tables_set_weights(t, opts->weights, opts->weights_cnt, detail);
    for (uint32_t i = 0; i < opts->rules_cnt && err == MCQ_OK; i++)
        err = mcq_steer_tables_put(t, &opts->rules[i], &id, detail);
    return err;
}

/* --- the policy over these tables ------------------------------------------------------------ */

MCQ_STEER_INLINE const struct mcq_steer_conf *mcq_steer_find_conf(
    const struct mcq_steer_tables *tables)
{
    return &tables->conf;
}

static bool matches(const struct mcq_steer_rule *r, const struct mcq_steer_input *in)
{
    const uint8_t *addr = mcq_slice_of(in->addr, sizeof(in->addr)).ptr;
    if (r->family != in->family)
        return false;
    for (uint32_t i = 0; 8 * i < r->bits; i++) {
        uint32_t left = r->bits - 8 * i;
        uint8_t mask = (uint8_t)(left >= 8 ? 0xffu : 0xff00u >> left);
        if ((addr[i] & mask) != r->addr[i])
            return false;
    }
    return true;
}

static const struct mcq_steer_target *first_match(const struct mcq_steer_tables *t,
                                                  const struct mcq_steer_input *in, bool exact)
{
    for (uint32_t i = 0; i < t->rules_cnt; i++) {
        const struct mcq_steer_rule *r = &t->rules[i].rule;
        if ((rank(r) == 0) == exact && matches(r, in))
            return &t->rules[i].target;
    }
    return NULL;
}

MCQ_STEER_INLINE const struct mcq_steer_target *mcq_steer_find_exact(
    const struct mcq_steer_tables *tables, const struct mcq_steer_input *in)
{
    return first_match(tables, in, true);
}

MCQ_STEER_INLINE const struct mcq_steer_target *mcq_steer_find_prefix(
    const struct mcq_steer_tables *tables, const struct mcq_steer_input *in)
{
    return first_match(tables, in, false);
}

MCQ_STEER_INLINE const uint32_t *mcq_steer_find_slot(const struct mcq_steer_tables *tables,
                                                     uint32_t idx)
{
    return &tables->slots[idx];
}

MCQ_STEER_INLINE const uint32_t *mcq_steer_find_cpu(const struct mcq_steer_tables *tables,
                                                    uint32_t idx)
{
    return &tables->cpus[idx];
}

MCQ_STEER_INLINE uint32_t mcq_steer_read_load(const struct mcq_steer_tables *tables, uint32_t idx)
{
    return tables->load == NULL ? 0 : __atomic_load_n(&tables->load[idx].conns, __ATOMIC_RELAXED);
}

bool mcq_steer_tables_decide(const struct mcq_steer_tables *t, const struct mcq_steer_input *in,
                             struct mcq_steer_choice *choice)
{
    return mcq_steer_decide(t, in, choice);
}
