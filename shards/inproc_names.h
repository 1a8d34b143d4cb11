/* RAW: a mutex between the shards that bind and connect; cold: binds, connects and their ends;
 * inproc.c and inproc_far.c call.
 *
 * Inproc names: which shard of the app has which name. A shard that looks for a name nobody has is
 * remembered, and is to be told when it has been bound. The members of a logical socket may all
 * have the same name; a connect goes to the one of its own shard, if there is one.
 *
 * Thread: any shard's. Limit: MCQ_INPROC_NAMES_MAX of an app.
 */
#ifndef MCQ_SHARDS_INPROC_NAMES_H
#define MCQ_SHARDS_INPROC_NAMES_H

#include <monocoque/app.h>
#include <monocoque/sock.h>
#include <pthread.h>

#include "mem/base.h"

#define MCQ_INPROC_NAMES_MAX 1024u

/* Bits, one per shard. */
struct mcq_shard_set {
    uint64_t bits[MCQ_SHARDS_MAX / 64];
};

struct mcq_inproc_name {
    char text[MCQ_ENDPOINT_LEN_MAX]; /* the endpoint; "": free */
    uint32_t shard;
    uint32_t logical; /* index, or MCQ_LOGICAL_NONE */
    bool announced;
};

struct mcq_inproc_names {
    pthread_mutex_t mutex;
    uint32_t cnt;                 /* all names lie before it */
    struct mcq_shard_set waiting; /* shards that look for a name */
    struct mcq_inproc_name at[MCQ_INPROC_NAMES_MAX];
};

void mcq_inproc_names_init(struct mcq_inproc_names *names);
void mcq_inproc_names_fini(struct mcq_inproc_names *names);
/* Errors: MCQ_EADDRINUSE, MCQ_ELIMIT. */
MCQ_MUST_USE enum mcq_error mcq_inproc_names_enter(struct mcq_inproc_names *names, const char *text,
                                                   uint32_t shard, uint32_t logical,
                                                   struct mcq_detail *detail);
/* It may be connected to. Adds to *tell who is to look again. */
void mcq_inproc_names_announce(struct mcq_inproc_names *names, const char *text, uint32_t shard,
                               struct mcq_shard_set *tell);
/* Harmless if it isn't there. */
void mcq_inproc_names_leave(struct mcq_inproc_names *names, const char *text, uint32_t shard);
/* Which shard has it; false: none, and `asker` will be told of the next one. */
MCQ_MUST_USE bool mcq_inproc_names_find(struct mcq_inproc_names *names, const char *text,
                                        uint32_t asker, uint32_t *shard);

#endif
