/* Steer cbpf: the policy as a classic BPF program, for hosts that don't permit eBPF.
 *
 * What fits goes in: rules, exact ones and longest first, as many as there is room for; the modes
 * cpu and port. Everything else it leaves to the kernel's hash, and the shard that accepts looks at
 * the policy again. It answers with the listener's place in the kernel's array, not with a shard:
 * in the order in which they began to listen, where the last one takes the place of one that
 * closes. So it is compiled again after every such change.
 */
#ifndef MCQ_SHARDS_STEER_CBPF_H
#define MCQ_SHARDS_STEER_CBPF_H

#include <linux/filter.h>

#include "shards/steer_rules.h"

#define MCQ_STEER_CBPF_MAX  4096u /* instructions, BPF_MAXINSNS */
#define MCQ_STEER_CBPF_NONE UINT32_MAX

struct mcq_steer_cbpf {
    uint32_t len;
    uint32_t rules_cnt; /* that went in */
    struct sock_filter code[MCQ_STEER_CBPF_MAX];
};

/* NULL: no memory. Takes p, or NULL. */
struct mcq_steer_cbpf *mcq_steer_cbpf_create(void);
void mcq_steer_cbpf_destroy(struct mcq_steer_cbpf *p);
/* place[shard]: in the kernel's array, MCQ_STEER_CBPF_NONE: it doesn't listen. six: the sockets are
 * IPv6, and may carry IPv4 too. Of the rules at most rules_max. */
void mcq_steer_cbpf_compile(struct mcq_steer_cbpf *p, const struct mcq_steer_tables *t,
                            const uint32_t place[MCQ_STEER_SHARD_CNT], bool six,
                            uint32_t rules_max);
/* The group of that socket is steered by it; fewer rules if the host has no room for more
 * (net.core.optmem_max). Returns 0 or -errno. */
MCQ_MUST_USE int mcq_steer_cbpf_attach(int fd, struct mcq_steer_cbpf *p,
                                       const struct mcq_steer_tables *t,
                                       const uint32_t place[MCQ_STEER_SHARD_CNT], bool six);

#endif
