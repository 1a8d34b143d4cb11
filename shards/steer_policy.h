/* Steer policy: which shard gets a new connection. One function for all who decide it: the program
 * in the kernel, its twin in the tests, and the library where the kernel can't be told.
 *
 *      exact source address -> longest prefix of it -> the mode
 *
 * and whoever that names, if it isn't live (it drains, or has closed its listener), some live shard
 * by the connection's hash instead. The same input and tables give the same shard everywhere; only
 * `least` looks at a random number, which is part of the input.
 *
 * The including file defines the lookups that are declared here, over whatever holds its tables.
 * Each find may return NULL: it has no such entry. No loop, no division but by what was checked not
 * to be zero, every index masked: the kernel's verifier reads this, too.
 */
#ifndef MCQ_SHARDS_STEER_POLICY_H
#define MCQ_SHARDS_STEER_POLICY_H

#include "shards/steer_layout.h"

#define MCQ_STEER_INLINE static inline __attribute__((always_inline))

struct mcq_steer_tables; /* the includer's; opaque here */

MCQ_STEER_INLINE const struct mcq_steer_conf *mcq_steer_find_conf(
    const struct mcq_steer_tables *tables);
MCQ_STEER_INLINE const struct mcq_steer_target *mcq_steer_find_exact(
    const struct mcq_steer_tables *tables, const struct mcq_steer_input *in);
/* The longest that matches. */
MCQ_STEER_INLINE const struct mcq_steer_target *mcq_steer_find_prefix(
    const struct mcq_steer_tables *tables, const struct mcq_steer_input *in);
/* idx < MCQ_STEER_SLOT_CNT, MCQ_STEER_CPU_CNT, MCQ_STEER_SHARD_CNT. */
MCQ_STEER_INLINE const uint32_t *mcq_steer_find_slot(const struct mcq_steer_tables *tables,
                                                     uint32_t idx);
MCQ_STEER_INLINE const uint32_t *mcq_steer_find_cpu(const struct mcq_steer_tables *tables,
                                                    uint32_t idx);
/* The shard's connections; 0: not to be told. */
MCQ_STEER_INLINE uint32_t mcq_steer_read_load(const struct mcq_steer_tables *tables, uint32_t idx);

/* Every bit of h depends on every bit that went in (the finalizer of MurmurHash3). */
MCQ_STEER_INLINE uint32_t mcq_steer_mix(uint32_t h)
{
    h ^= h >> 16;
    h *= 0x85ebca6bu;
    h ^= h >> 13;
    h *= 0xc2b2ae35u;
    return h ^ h >> 16;
}

MCQ_STEER_INLINE uint32_t mcq_steer_hash(const struct mcq_steer_input *in, uint32_t seed)
{
    uint32_t h = mcq_steer_mix(seed ^ in->port);
    h = mcq_steer_mix(h ^ in->addr[0]);
    h = mcq_steer_mix(h ^ in->addr[1]);
    h = mcq_steer_mix(h ^ in->addr[2]);
    return mcq_steer_mix(h ^ in->addr[3]);
}

MCQ_STEER_INLINE bool mcq_steer_is_live(const struct mcq_steer_conf *conf, uint32_t shard)
{
    return shard < MCQ_STEER_SHARD_CNT && conf->is_live[shard & (MCQ_STEER_SHARD_CNT - 1)] != 0;
}

/* The live shard that n falls on; cnt is conf's live_cnt, not 0. */
MCQ_STEER_INLINE uint32_t mcq_steer_pick(const struct mcq_steer_conf *conf, uint32_t cnt,
                                         uint32_t n)
{
    return conf->live[n % cnt & (MCQ_STEER_SHARD_CNT - 1)];
}

/* Power of two choices: of two different live shards the one with fewer connections. */
MCQ_STEER_INLINE uint32_t mcq_steer_least(const struct mcq_steer_tables *tables,
                                          const struct mcq_steer_conf *conf, uint32_t cnt,
                                          uint32_t random)
{
    uint32_t i = (random & 0xffffu) % cnt;
    uint32_t j = cnt < 2 ? i : (i + 1 + (random >> 16) % (cnt - 1)) % cnt;
    uint32_t a = conf->live[i & (MCQ_STEER_SHARD_CNT - 1)];
    uint32_t b = conf->live[j & (MCQ_STEER_SHARD_CNT - 1)];
    return mcq_steer_read_load(tables, b) < mcq_steer_read_load(tables, a) ? b : a;
}

MCQ_STEER_INLINE uint32_t mcq_steer_by_mode(const struct mcq_steer_tables *tables,
                                            const struct mcq_steer_conf *conf, uint32_t cnt,
                                            const struct mcq_steer_input *in, uint32_t hash)
{
    const uint32_t *shard;
    switch (conf->mode) {
    case MCQ_STEER_BY_CPU:
        shard = mcq_steer_find_cpu(tables, in->cpu & (MCQ_STEER_CPU_CNT - 1));
        return shard ? *shard : MCQ_STEER_NO_SHARD;
    case MCQ_STEER_BY_PORT: /* of all shards, so that a client can count on it */
        return conf->shard_cnt == 0 ? MCQ_STEER_NO_SHARD : in->port % conf->shard_cnt;
    case MCQ_STEER_BY_WEIGHTS:
        shard = mcq_steer_find_slot(tables, hash & (MCQ_STEER_SLOT_CNT - 1));
        return shard ? *shard : MCQ_STEER_NO_SHARD;
    case MCQ_STEER_BY_LEAST:
        return mcq_steer_least(tables, conf, cnt, in->random);
    }
    return mcq_steer_pick(conf, cnt, hash);
}

/* false: no shard is live. */
MCQ_STEER_INLINE bool mcq_steer_decide(const struct mcq_steer_tables *tables,
                                       const struct mcq_steer_input *in,
                                       struct mcq_steer_choice *out)
{
    const struct mcq_steer_conf *conf = mcq_steer_find_conf(tables);
    if (!conf)
        return false;
    uint32_t cnt = conf->live_cnt; /* once: it may change meanwhile */
    if (cnt == 0)
        return false;
    uint32_t hash = mcq_steer_hash(in, conf->seed);
    const struct mcq_steer_target *rule = mcq_steer_find_exact(tables, in);
    uint32_t why = MCQ_STEER_WHY_EXACT;
    if (!rule) {
        rule = mcq_steer_find_prefix(tables, in);
        why = MCQ_STEER_WHY_PREFIX;
    }
    uint32_t shard = rule ? rule->shard : MCQ_STEER_NO_SHARD;
    out->rule = rule ? rule->id : MCQ_STEER_NO_RULE;
    out->why = why;
    if (rule ? !mcq_steer_is_live(conf, shard) : true) {
        out->why = rule ? MCQ_STEER_WHY_ELSEWHERE : MCQ_STEER_WHY_MODE;
        shard = mcq_steer_by_mode(tables, conf, cnt, in, hash);
    }
    if (!mcq_steer_is_live(conf, shard)) {
        out->why = MCQ_STEER_WHY_ELSEWHERE;
        shard = mcq_steer_pick(conf, cnt, hash);
    }
    out->shard = shard;
    return true;
}

#endif
