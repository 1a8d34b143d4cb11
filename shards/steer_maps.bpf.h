/* RAW: maps and helpers of the kernel's virtual machine; sound because its verifier checks every
 * access before it runs; for programs compiled for it, steer.bpf.c and its twin in the tests.
 *
 * Steer maps: the policy's tables as maps, and its lookups.
 */
#ifndef MCQ_SHARDS_STEER_MAPS_BPF_H
#define MCQ_SHARDS_STEER_MAPS_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "shards/steer_policy.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct mcq_steer_conf);
} conf SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, MCQ_STEER_RULE_CNT);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct mcq_steer_exact);
    __type(value, struct mcq_steer_target);
} exact SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, MCQ_STEER_RULE_CNT);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct mcq_steer_front4);
    __type(value, struct mcq_steer_target);
} fronts4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, MCQ_STEER_RULE_CNT);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct mcq_steer_front6);
    __type(value, struct mcq_steer_target);
} fronts6 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, MCQ_STEER_SLOT_CNT);
    __type(key, __u32);
    __type(value, __u32);
} slots SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, MCQ_STEER_CPU_CNT);
    __type(key, __u32);
    __type(value, __u32);
} cpus SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, MCQ_STEER_SHARD_CNT);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, __u32);
    __type(value, struct mcq_steer_load);
} load SEC(".maps");

MCQ_STEER_INLINE const struct mcq_steer_conf *mcq_steer_find_conf(
    const struct mcq_steer_tables *tables)
{
    const __u32 zero = 0;
    (void)tables;
    return bpf_map_lookup_elem(&conf, &zero);
}

MCQ_STEER_INLINE const struct mcq_steer_target *mcq_steer_find_exact(
    const struct mcq_steer_tables *tables, const struct mcq_steer_input *in)
{
    const struct mcq_steer_exact key = {in->family,
                                        {in->addr[0], in->addr[1], in->addr[2], in->addr[3]}};
    (void)tables;
    return bpf_map_lookup_elem(&exact, &key);
}

MCQ_STEER_INLINE const struct mcq_steer_target *mcq_steer_find_prefix(
    const struct mcq_steer_tables *tables, const struct mcq_steer_input *in)
{
    (void)tables;
    if (in->family == 4) {
        const struct mcq_steer_front4 key = {32, {in->addr[0]}};
        return bpf_map_lookup_elem(&fronts4, &key);
    }
    if (in->family == 6) {
        const struct mcq_steer_front6 key = {128,
                                             {in->addr[0], in->addr[1], in->addr[2], in->addr[3]}};
        return bpf_map_lookup_elem(&fronts6, &key);
    }
    return NULL;
}

MCQ_STEER_INLINE const uint32_t *mcq_steer_find_slot(const struct mcq_steer_tables *tables,
                                                     uint32_t idx)
{
    (void)tables;
    return bpf_map_lookup_elem(&slots, &idx);
}

MCQ_STEER_INLINE const uint32_t *mcq_steer_find_cpu(const struct mcq_steer_tables *tables,
                                                    uint32_t idx)
{
    (void)tables;
    return bpf_map_lookup_elem(&cpus, &idx);
}

MCQ_STEER_INLINE uint32_t mcq_steer_read_load(const struct mcq_steer_tables *tables, uint32_t idx)
{
    const struct mcq_steer_load *of = bpf_map_lookup_elem(&load, &idx);
    (void)tables;
    return of ? of->conns : 0;
}

#endif
