/* The twin of the steering program: the same policy over the same maps, asked by BPF_PROG_TEST_RUN
 * for many inputs at a time. */
#include "tests/bpf/steer_twin.h"
#include "shards/steer_maps.bpf.h"

char _license[] SEC("license") = "GPL";

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, MCQ_TWIN_BATCH);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, __u32);
    __type(value, struct mcq_twin_question);
} questions SEC(".maps");

static long ask(__u32 idx, void *ctx)
{
    struct mcq_twin_question *q = bpf_map_lookup_elem(&questions, &idx);
    (void)ctx;
    if (q)
        q->answered = mcq_steer_decide(NULL, &q->in, &q->choice) ? 1 : 2;
    return 0;
}

SEC("tc")
int mcq_steer_twin(struct __sk_buff *skb)
{
    (void)skb;
    bpf_loop(MCQ_TWIN_BATCH, ask, NULL, 0);
    return 0;
}
