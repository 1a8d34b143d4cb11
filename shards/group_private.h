/* What the files of group share. */
#ifndef MCQ_SHARDS_GROUP_PRIVATE_H
#define MCQ_SHARDS_GROUP_PRIVATE_H

#include "shards/group.h"
#include "shards/steer_cbpf.h"
#include "shards/steer_pins.h"

struct mcq_sock;

/* What a shard accepts by where the kernel doesn't decide: its own copy of the tables, and its
 * counters, which others may read. */
struct mcq_group_view {
    uint32_t seen; /* generation of the copy */
    uint64_t random;
    uint64_t why[MCQ_STEER_WHY_CNT];
    uint64_t hits[MCQ_STEER_RULE_CNT]; /* by a rule's id */
    struct mcq_steer_tables tables;
};

struct mcq_group_member {
    struct mcq_listener *listener; /* of its shard; NULL: none */
    int fd;                        /* borrowed; -1: closed, or draining */
    uint32_t cpu;                  /* it alone runs there; MCQ_STEER_NO_SHARD: none */
    bool listening;
    bool there;   /* takes part: it listens, or would if it weren't drained */
    bool parting; /* fd is about to be closed, by its shard */
    struct mcq_group_view *view;
    uint64_t passed_in, passed_out, misplaced;
};

struct mcq_group {
    uint32_t idx, epoch;
    uint32_t member_cnt, shard_cnt;
    uint32_t teller; /* the shard that tells of the bind */
    uint32_t backlog;
    bool unix_domain;
    char name[MCQ_STEER_NAME_LEN];
    char text[MCQ_ENDPOINT_LEN_MAX];     /* as it was asked for */
    char endpoint[MCQ_ENDPOINT_LEN_MAX]; /* the actual one */
    struct mcq_addr addr;
    enum mcq_steer_rung rung;
    char reason[MCQ_STEER_REASON_LEN];
    int claim_fd;                      /* -1: none */
    int queue_fd;                      /* the one queue of all; -1: each has its own */
    struct mcq_steer_maps *maps;       /* ebpf: where the tables are; NULL: in `tables` */
    struct mcq_steer_tables tables;    /* ... of the others, and members in any case */
    uint32_t generation;               /* of tables; atomic */
    struct mcq_steer_cbpf *cbpf;       /* scratch of that rung */
    uint64_t base[MCQ_STEER_RULE_CNT]; /* what the views had counted by id when the rule began */
    uint32_t order_cnt;                /* the kernel's array of listeners, by shard */
    uint32_t order[MCQ_STEER_SHARD_CNT];
    struct mcq_group_member members[MCQ_STEER_SHARD_CNT];
};

/* --- group_table.c; under the mutex ---------------------------------------------------------- */

/* The bind that a member joins: the newest with its text that it isn't in, as an older one may be
 * about to end for all; NULL: none. */
struct mcq_group *mcq_group_joinable(struct mcq_groups *all, const char *name, const char *text,
                                     uint32_t shard);
void mcq_group_free(struct mcq_groups *all, struct mcq_group *g);
/* Who listens, where they run, and that the group is open if anybody does; arg: the group. */
MCQ_MUST_USE enum mcq_error mcq_group_edit_members(void *arg, struct mcq_steer_tables *t,
                                                   struct mcq_detail *detail);

/* --- group_rung.c: how the kernel is told ---------------------------------------------------- */

/* The first member's socket, bound: *fd, -1: the group has one queue. Chooses the rung. */
MCQ_MUST_USE enum mcq_error mcq_group_rung_open(struct mcq_group *g, struct mcq_listener *l,
                                                const struct mcq_endpoint *ep,
                                                enum mcq_steer_rung highest, struct mcq_groups *all,
                                                int *fd, struct mcq_detail *detail);
void mcq_group_rung_close(struct mcq_group *g);
/* A listening member, or one that has closed. */
void mcq_group_rung_enter(struct mcq_group *g, uint32_t shard);
void mcq_group_rung_leave(struct mcq_group *g, uint32_t shard);
/* The tables have changed. */
void mcq_group_rung_follow(struct mcq_group *g);

/* --- tables; under the mutex ----------------------------------------------------------------- */

typedef enum mcq_error mcq_group_edit_fn(void *arg, struct mcq_steer_tables *t,
                                         struct mcq_detail *detail);
/* fn changes a copy of the tables; if it returns MCQ_OK they become the group's, everywhere. */
MCQ_MUST_USE enum mcq_error mcq_group_edit(struct mcq_group *g, mcq_group_edit_fn *fn, void *arg,
                                           struct mcq_detail *detail);
/* The same of maps. */
MCQ_MUST_USE enum mcq_error mcq_steer_maps_edit(struct mcq_steer_maps *maps, mcq_group_edit_fn *fn,
                                                void *arg, struct mcq_detail *detail);
/* Whether the policy may choose the shard now. */
bool mcq_group_is_live(struct mcq_group *g, uint32_t shard);

/* The socket's listener of that group; NULL. */
struct mcq_listener *mcq_group_listener(struct mcq_sock *sock, uint32_t idx, uint32_t epoch);

/* --- for steer_ctl.c ------------------------------------------------------------------------- */

/* The shard's listener closes or opens as the tables want it. Thread: the shard's. */
void mcq_group_follow(struct mcq_shard *sh, uint32_t idx, uint32_t epoch);
/* Since the rule with that id began; not of the first rung. Under the mutex. */
uint64_t mcq_group_rule_hits(const struct mcq_group *g, uint32_t id);
/* NULL: it has ended. Under the mutex. */
struct mcq_group *mcq_group_at(struct mcq_groups *all, uint32_t idx, uint32_t epoch);

#endif
