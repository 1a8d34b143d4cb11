/* Steering: which shard of a logical socket gets a new connection.
 *
 *      exact source address -> longest prefix of it -> the mode
 *
 * A shard that drains, or whose member doesn't listen, is never chosen while another is there: who
 * would have gone to it goes where the hash says. Established connections stay where they are.
 *
 * Who decides is called the rung; all of them keep the rules:
 *      ebpf     a program in the kernel, before the handshake. Its tables are pinned under
 *               /sys/fs/bpf/monocoque/PID-NAME, where other programs may read and change them
 *      cbpf     a simpler one that needs no privilege and knows what fits into it
 *      kernel   the kernel's own hash of both ends
 *      handoff  nobody before a shard accepts: all members share one queue
 * On all but the first, the shard that accepts looks at the rules itself and passes on what belongs
 * to another. The highest that the host allows is taken; the stats say which, and why not the one
 * above. ipc is always the last.
 *
 * As text, for options and command lines, items with commas between, in any order:
 *      ADDRESS=SHARD, ADDRESS/BITS=SHARD        a rule; IPv4 or IPv6
 *      mode=hash|cpu|port|weights|least         [hash]
 *      weights=N:N:...                          of shard 0, 1, ...; implies mode=weights
 *      rung=ebpf|cbpf|kernel|handoff            the highest to try [ebpf, or environment
 *                                               MCQ_STEER_RUNG]; at bind alone
 */
#ifndef MONOCOQUE_STEER_H
#define MONOCOQUE_STEER_H

#include <monocoque/base.h>
#include <monocoque/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MCQ_STEER_SHARDS_MAX   128u
#define MCQ_STEER_RULES_MAX    1024u /* of one bind */
#define MCQ_STEER_WEIGHT_MAX   65535u
#define MCQ_STEER_NAME_LEN     64  /* with the terminating zero */
#define MCQ_STEER_ENDPOINT_LEN 272 /* with the terminating zero */
#define MCQ_STEER_PATH_LEN     256 /* with the terminating zero */
#define MCQ_STEER_REASON_LEN   160 /* with the terminating zero */

enum mcq_steer_mode {
    MCQ_STEER_HASH = 0, /* of the far end's address and port */
    MCQ_STEER_CPU,      /* the shard that runs on the CPU which received it */
    MCQ_STEER_PORT,     /* source port modulo the number of shards: the client chooses */
    MCQ_STEER_WEIGHTS,  /* by hash, in proportion; a weight of 0 gets none */
    MCQ_STEER_LEAST     /* of two shards taken at random, the one with fewer connections */
};

enum mcq_steer_rung {
    MCQ_STEER_RUNG_DEFAULT = 0,
    MCQ_STEER_RUNG_EBPF,
    MCQ_STEER_RUNG_CBPF,
    MCQ_STEER_RUNG_KERNEL,
    MCQ_STEER_RUNG_HANDOFF
};

struct mcq_steer_rule {
    uint8_t family;   /* 4 or 6 */
    uint8_t bits;     /* of the address that count: up to 32 or 128, which is the exact address */
    uint8_t addr[16]; /* network order; bits beyond are ignored */
    uint32_t shard;
};

/* What a bind begins with (the option `steering` of struct mcq_sock_opts). */
struct mcq_steer_opts {
    size_t size; /* sizeof(struct mcq_steer_opts), set by MCQ_STEER_OPTS_INIT */
    const struct mcq_steer_rule *rules; /* borrowed as long as these options are */
    uint32_t rules_cnt;
    enum mcq_steer_mode mode;
    const uint32_t *weights; /* of shard 0, 1, ...; those beyond weights_cnt are 1; borrowed */
    uint32_t weights_cnt;
    enum mcq_steer_rung rung; /* the highest to try */
};
#ifdef __cplusplus
static inline struct mcq_steer_opts mcq_steer_opts_init(void)
{
    struct mcq_steer_opts opts = {};
    opts.size = sizeof opts;
    return opts;
}
#define MCQ_STEER_OPTS_INIT mcq_steer_opts_init()
#else
#define MCQ_STEER_OPTS_INIT                   \
    {                                         \
        .size = sizeof(struct mcq_steer_opts) \
    }
#endif

/* One steered bind: of this process (mcq_steer_of), or of any that runs here, by its pins. All
 * calls below: thread: any; they are setup, with locks and system calls. A change is whole for each
 * connection that comes after it: it sees the rule or doesn't, never half of it. */
struct mcq_steer;

/* mcq_steer_of *gives* the steering of a bind of a logical socket: of the one whose actual endpoint
 * this is, NULL: of the last one. It stays valid after the bind's end, with MCQ_ESTATE for an
 * answer; mcq_steer_close ends it, before mcq_run returns. Thread: the shard's. Errors: MCQ_ENOENT,
 * MCQ_ENOTSUP (the socket isn't logical), MCQ_ELIMIT, MCQ_ETHREAD. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_steer_of(struct mcq_sock *sock, const char *endpoint,
                                                 struct mcq_steer **steer,
                                                 struct mcq_detail *detail);
/* mcq_steer_open *gives* that of a running process: path as mcq_steer_list tells it. Errors:
 * MCQ_ENOENT (not there, or its process has ended), MCQ_EACCESS, MCQ_ENOTSUP (built without eBPF,
 * or pinned by another version), MCQ_ENOMEM. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_steer_open(const char *path, struct mcq_steer **steer,
                                                   struct mcq_detail *detail);
MCQ_API void mcq_steer_close(struct mcq_steer *steer); /* takes */

/* mcq_steer_list calls fn for every pinned bind of the processes that run; what ended ones have
 * left is removed. path: borrowed until return; fn returns false to end the list. Errors:
 * MCQ_EACCESS, MCQ_EOS; nothing pinned is none. */
typedef bool mcq_steer_list_fn(void *ctx, const char *path);
MCQ_API MCQ_MUST_USE enum mcq_error mcq_steer_list(mcq_steer_list_fn *fn, void *ctx,
                                                   struct mcq_detail *detail);

/* mcq_steer_add adds a rule, or gives the one with the same prefix another shard; the counter of a
 * rule starts anew. mcq_steer_remove ends the rule of that prefix. Errors: MCQ_EINVAL, MCQ_ELIMIT
 * (MCQ_STEER_RULES_MAX), MCQ_ENOENT, MCQ_ESTATE, MCQ_EACCESS, MCQ_EOS. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_steer_add(struct mcq_steer *steer,
                                                  const struct mcq_steer_rule *rule,
                                                  struct mcq_detail *detail);
MCQ_API MCQ_MUST_USE enum mcq_error mcq_steer_remove(struct mcq_steer *steer,
                                                     const struct mcq_steer_rule *rule,
                                                     struct mcq_detail *detail);
MCQ_API MCQ_MUST_USE enum mcq_error mcq_steer_set_mode(struct mcq_steer *steer,
                                                       enum mcq_steer_mode mode,
                                                       struct mcq_detail *detail);
/* Of shard 0, 1, ...; those beyond cnt become 1. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_steer_set_weights(struct mcq_steer *steer,
                                                          const uint32_t *weights, uint32_t cnt,
                                                          struct mcq_detail *detail);
/* mcq_steer_drain: the shard gets no new connection, and what waits at its listener goes to the
 * others; off: it takes part again. From another process the shard's listener stays, and accepts
 * what it has. The last live shard goes on serving. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_steer_drain(struct mcq_steer *steer, uint32_t shard,
                                                    bool on, struct mcq_detail *detail);
/* mcq_steer_set does all that a text says: adds its rules, sets its mode and weights. Nothing is
 * changed if the text is wrong. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_steer_set(struct mcq_steer *steer, const char *text,
                                                  struct mcq_detail *detail);

/* mcq_steer_rule_parse reads "10.1.0.0/16=2", or, with_shard false, "10.1.0.0/16".
 * mcq_steer_rule_format writes the former, cut to len with its zero. */
#define MCQ_STEER_RULE_TEXT_LEN 64
MCQ_API MCQ_MUST_USE enum mcq_error mcq_steer_rule_parse(const char *text, bool with_shard,
                                                         struct mcq_steer_rule *rule,
                                                         struct mcq_detail *detail);
MCQ_API void mcq_steer_rule_format(const struct mcq_steer_rule *rule,
                                   char text[MCQ_STEER_RULE_TEXT_LEN]);

/* Connections by what brought them to the shard: a rule for the address or for a prefix, the mode,
 * or that the shard which was meant isn't live; those that waited at a listener which closed; and
 * those passed on after they had been accepted, beside the former. */
struct mcq_steer_shard_stats {
    bool member, live, drained;
    uint32_t weight, conns_now;
    uint64_t exact, prefix, mode, elsewhere, migrated;
    uint64_t passed_in, passed_out;
    uint64_t misplaced; /* kept where it was accepted: too many were being passed on */
};

struct mcq_steer_stats {
    char name[MCQ_STEER_NAME_LEN]; /* of the logical socket */
    char endpoint[MCQ_STEER_ENDPOINT_LEN];
    char path[MCQ_STEER_PATH_LEN]; /* where it is pinned, "": it isn't */
    uint32_t pid;
    enum mcq_steer_rung rung;
    char reason[MCQ_STEER_REASON_LEN]; /* why not the rung above, "" on the first */
    enum mcq_steer_mode mode;
    uint32_t rules_cnt, shards_cnt;
    struct mcq_steer_shard_stats shards[MCQ_STEER_SHARDS_MAX];
};
struct mcq_steer_rule_stats {
    struct mcq_steer_rule rule;
    uint64_t hits;
};
MCQ_API MCQ_MUST_USE enum mcq_error mcq_steer_stats(struct mcq_steer *steer,
                                                    struct mcq_steer_stats *stats,
                                                    struct mcq_detail *detail);
/* The rules with their counters, at most max of them, longest prefix first; *cnt: how many. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_steer_rules(struct mcq_steer *steer,
                                                    struct mcq_steer_rule_stats *rules,
                                                    uint32_t max, uint32_t *cnt,
                                                    struct mcq_detail *detail);

/* As in the text forms. Never NULL. */
MCQ_API const char *mcq_steer_mode_name(enum mcq_steer_mode mode);
MCQ_API const char *mcq_steer_rung_name(enum mcq_steer_rung rung);

#ifdef __cplusplus
}
#endif
#endif
