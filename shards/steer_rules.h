/* Steer tables: rules, mode, weights and who is there, as the library itself holds them; and the
 * policy over them.
 *
 * The same contents as the maps of a pinned group, plus what those are computed from. Whoever
 * changes them says mcq_steer_tables_refresh before they are looked at again. Rules are kept
 * exact ones first, then longest first, so the first that matches is the one; a rule's id is its
 * counter's index and stays while the rule does.
 *
 * A flat value: copied by assignment. load is borrowed, one per shard, NULL: all are idle.
 * Cost: a decision is linear in the rules; for what is decided once per connection.
 */
#ifndef MCQ_SHARDS_STEER_RULES_H
#define MCQ_SHARDS_STEER_RULES_H

#include <monocoque/steer.h>

#include "mem/base.h"
#include "shards/steer_layout.h"

struct mcq_steer_entry {
    struct mcq_steer_rule rule; /* bits beyond its length are zero; never IPv4 as IPv6 */
    struct mcq_steer_target target;
};

struct mcq_steer_tables {
    struct mcq_steer_conf conf;
    uint32_t rules_cnt;
    struct mcq_steer_entry rules[MCQ_STEER_RULE_CNT];
    uint32_t weights[MCQ_STEER_SHARD_CNT];
    uint8_t member[MCQ_STEER_SHARD_CNT];
    uint8_t drained[MCQ_STEER_SHARD_CNT];
    uint32_t slots[MCQ_STEER_SLOT_CNT];
    uint32_t cpus[MCQ_STEER_CPU_CNT]; /* the shard on it; MCQ_STEER_NO_SHARD */
    const struct mcq_steer_load *load;
};

/* shard_cnt of them, all with weight 1, none there yet; mode hash, no rule. */
void mcq_steer_tables_init(struct mcq_steer_tables *t, uint32_t shard_cnt, uint32_t seed,
                           const struct mcq_steer_load *load);
/* Adds the rule or changes its shard. *id: its counter. Errors: MCQ_EINVAL, MCQ_ELIMIT. */
MCQ_MUST_USE enum mcq_error mcq_steer_tables_put(struct mcq_steer_tables *t,
                                                 const struct mcq_steer_rule *rule, uint32_t *id,
                                                 struct mcq_detail *detail);
/* One that is read from elsewhere, with its id. false: no room, or the id is no index. */
MCQ_MUST_USE bool mcq_steer_tables_place(struct mcq_steer_tables *t,
                                         const struct mcq_steer_rule *rule, uint32_t id);
MCQ_MUST_USE enum mcq_error mcq_steer_tables_drop(struct mcq_steer_tables *t,
                                                  const struct mcq_steer_rule *rule,
                                                  struct mcq_detail *detail);
const struct mcq_steer_entry *mcq_steer_tables_find(const struct mcq_steer_tables *t,
                                                    const struct mcq_steer_rule *rule);
MCQ_MUST_USE enum mcq_error mcq_steer_tables_set_mode(struct mcq_steer_tables *t, uint32_t mode,
                                                      struct mcq_detail *detail);
MCQ_MUST_USE enum mcq_error mcq_steer_tables_set_weights(struct mcq_steer_tables *t,
                                                         const uint32_t *weights, uint32_t cnt,
                                                         struct mcq_detail *detail);
/* Computes who is live, and the slots, from members, drained and weights. */
void mcq_steer_tables_refresh(struct mcq_steer_tables *t);

/* What the options of a bind say; *rung is set if they name one. */
MCQ_MUST_USE enum mcq_error mcq_steer_tables_take(struct mcq_steer_tables *t,
                                                  const struct mcq_steer_opts *opts,
                                                  enum mcq_steer_rung *rung,
                                                  struct mcq_detail *detail);
/* What a text says; after an error t is to be thrown away. */
MCQ_MUST_USE enum mcq_error mcq_steer_tables_read(struct mcq_steer_tables *t, const char *text,
                                                  enum mcq_steer_rung *rung,
                                                  struct mcq_detail *detail);
/* false: none of that name. */
MCQ_MUST_USE bool mcq_steer_rung_read(const char *name, enum mcq_steer_rung *rung);

/* The policy. false: no shard is live. */
MCQ_MUST_USE bool mcq_steer_tables_decide(const struct mcq_steer_tables *t,
                                          const struct mcq_steer_input *in,
                                          struct mcq_steer_choice *choice);

#endif
