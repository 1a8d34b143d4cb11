/* RAW: a mutex between the shards that open members; cold: a socket's open and end; sock.c calls.
 *
 * Logicals: the names of an app's logical sockets, each with its index, its type and the shards
 * that have a member now. Everything that speaks of a logical socket between shards uses its index.
 *
 * A name is free again when its last member has ended. Thread: any shard's.
 */
#ifndef MCQ_SHARDS_LOGICAL_H
#define MCQ_SHARDS_LOGICAL_H

#include <monocoque/app.h>
#include <monocoque/sock.h>
#include <pthread.h>

#include "shards/inproc_names.h"

#define MCQ_LOGICAL_NONE UINT32_MAX

struct mcq_logical {
    char name[MCQ_LOGICAL_LEN_MAX + 1]; /* "": free */
    uint32_t life; /* a number that no other logical socket of the app has ever had */
    enum mcq_sock_type type;
    uint32_t member_cnt;
    bool member[MCQ_SHARDS_MAX];
    uint64_t nr[MCQ_SHARDS_MAX]; /* of its member: a later one has a higher */
};

struct mcq_logicals {
    pthread_mutex_t mutex;
    uint32_t lives;
    uint64_t joins;
    struct mcq_logical at[MCQ_LOGICALS_MAX];
};

void mcq_logicals_init(struct mcq_logicals *all);
void mcq_logicals_fini(struct mcq_logicals *all);
/* The shard has a member now, of the logical socket with that index and life; gives the shards that
 * had one before. Errors: MCQ_EINVAL (another type, or a second member of a shard), MCQ_ELIMIT. */
MCQ_MUST_USE enum mcq_error mcq_logical_join(struct mcq_logicals *all, const char *name,
                                             enum mcq_sock_type type, uint32_t shard, uint32_t *idx,
                                             uint32_t *life, struct mcq_shard_set *earlier,
                                             struct mcq_detail *detail);
/* Has that shard a member? */
bool mcq_logical_has(struct mcq_logicals *all, uint32_t idx, uint32_t shard);
/* Of the member there now: whoever joins later sees all earlier ones, and has a higher number. */
uint64_t mcq_logical_nr(struct mcq_logicals *all, uint32_t idx, uint32_t shard);
void mcq_logical_leave(struct mcq_logicals *all, uint32_t idx, uint32_t shard);

#endif
