/* RAW: a program of the kernel's virtual machine; sound because its verifier checks every access
 * before it runs; loaded by steer.c alone.
 *
 * Steer program: runs in the kernel for every new connection to a group of listeners, and for every
 * one that waits at a listener which closes. A shard is a slot of `listeners` with its number.
 */
#include <stddef.h>

#include "shards/steer_maps.bpf.h"

#include <bpf/bpf_endian.h>

#define NET_V4_SOURCE 12 /* offsets of the source in the network header */
#define NET_V6_SOURCE 8
#define ETH_V4        0x0800
#define ETH_V6        0x86dd
#define INET_V4       2 /* AF_INET */
#define TCP_FLAGS     13
#define TCP_SYN       0x02
#define TCP_ACK       0x10

char _license[] SEC("license") = "GPL";

struct {
    __uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
    __uint(max_entries, MCQ_STEER_SHARD_CNT);
    __type(key, __u32);
    __type(value, __u64);
} listeners SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, MCQ_STEER_SHARD_CNT *MCQ_STEER_WHY_CNT);
    __type(key, __u32);
    __type(value, __u64);
} shard_hits SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, MCQ_STEER_RULE_CNT);
    __type(key, __u32);
    __type(value, __u64);
} rule_hits SEC(".maps");

/* The program doesn't read it: it is here to live and be pinned with the others. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct mcq_steer_about);
} about SEC(".maps");

/* A stray packet of a connection that is gone asks, too, and is answered by a reset. */
static __always_inline bool is_new(struct sk_reuseport_md *ctx)
{
    __u8 flags = 0;
    bpf_skb_load_bytes(ctx, TCP_FLAGS, &flags, sizeof(flags));
    return (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

static __always_inline void read_packet(struct sk_reuseport_md *ctx, struct mcq_steer_input *in)
{
    __be16 port = 0;
    if (ctx->eth_protocol == bpf_htons(ETH_V4)) {
        in->family = 4;
        bpf_skb_load_bytes_relative(ctx, NET_V4_SOURCE, in->addr, 4, BPF_HDR_START_NET);
    } else if (ctx->eth_protocol == bpf_htons(ETH_V6)) {
        in->family = 6;
        bpf_skb_load_bytes_relative(ctx, NET_V6_SOURCE, in->addr, 16, BPF_HDR_START_NET);
    }
    bpf_skb_load_bytes(ctx, 0, &port, sizeof(port)); /* the transport's header comes first */
    in->port = bpf_ntohs(port);
}

/* There may be no packet: the connection waits in a queue, and knows its far end by itself. */
static __always_inline void read_sock(const struct bpf_sock *sk, struct mcq_steer_input *in)
{
    in->port = bpf_ntohs(sk->dst_port);
    if (sk->family == INET_V4) {
        in->family = 4;
        in->addr[0] = sk->dst_ip4;
        return;
    }
    in->family = 6;
    in->addr[0] = sk->dst_ip6[0];
    in->addr[1] = sk->dst_ip6[1];
    in->addr[2] = sk->dst_ip6[2];
    in->addr[3] = sk->dst_ip6[3];
    if (in->addr[0] == 0 && in->addr[1] == 0 && in->addr[2] == bpf_htonl(0xffff)) {
        in->family = 4; /* IPv4 on a socket of both families */
        in->addr[0] = in->addr[3];
        in->addr[2] = in->addr[3] = 0;
    }
}

static __always_inline void count(const struct mcq_steer_choice *choice, __u32 why)
{
    __u32 idx = choice->shard * MCQ_STEER_WHY_CNT + why;
    __u64 *hits = bpf_map_lookup_elem(&shard_hits, &idx);
    if (hits)
        ++*hits; /* this CPU's own */
    idx = choice->rule;
    hits = bpf_map_lookup_elem(&rule_hits, &idx);
    if (hits)
        ++*hits;
}

SEC("sk_reuseport/migrate")
int mcq_steer(struct sk_reuseport_md *ctx)
{
    struct mcq_steer_input in = {0};
    struct mcq_steer_choice choice = {0};
    const __u32 zero = 0;
    const struct mcq_steer_conf *c = bpf_map_lookup_elem(&conf, &zero);
    if (!c || !c->open)
        return SK_DROP;
    if (ctx->migrating_sk)
        read_sock(ctx->migrating_sk, &in);
    else
        read_packet(ctx, &in);
    in.cpu = bpf_get_smp_processor_id();
    in.random = bpf_get_prandom_u32();
    if (!mcq_steer_decide(NULL, &in, &choice))
        return SK_PASS;
    __u32 slot = choice.shard;
    if (bpf_sk_select_reuseport(ctx, &listeners, &slot, 0) != 0)
        return SK_PASS;
    if (ctx->migrating_sk)
        count(&choice, MCQ_STEER_WHY_MIGRATED);
    else if (is_new(ctx))
        count(&choice, choice.why);
    return SK_PASS;
}
