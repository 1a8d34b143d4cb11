/* RAW: a mutex; sound because every access to the table is inside it; inproc.c and inproc_far.c
 * call. */
#include "shards/inproc_names.h"

#include <string.h>

#include "mem/detail.h"
#include "shards/logical.h"

void mcq_inproc_names_init(struct mcq_inproc_names *names)
{
    pthread_mutex_init(&names->mutex, NULL);
}

void mcq_inproc_names_fini(struct mcq_inproc_names *names)
{
    pthread_mutex_destroy(&names->mutex);
}

#define ANY_SHARD UINT32_MAX

static struct mcq_inproc_name *find(struct mcq_inproc_names *names, const char *text,
                                    uint32_t shard)
{
    for (uint32_t i = 0; i < names->cnt; i++) {
        struct mcq_inproc_name *n = &names->at[i];
        if ((shard == ANY_SHARD || n->shard == shard) && strcmp(n->text, text) == 0)
            return n;
    }
    return NULL;
}

static struct mcq_inproc_name *find_announced(struct mcq_inproc_names *names, const char *text)
{
    for (uint32_t i = 0; i < names->cnt; i++)
        if (names->at[i].announced && strcmp(names->at[i].text, text) == 0)
            return &names->at[i];
    return NULL;
}

static struct mcq_inproc_name *vacant(struct mcq_inproc_names *names)
{
    struct mcq_inproc_name *n = find(names, "", ANY_SHARD);
    if (n == NULL && names->cnt < MCQ_INPROC_NAMES_MAX)
        n = &names->at[names->cnt++];
    return n;
}

static enum mcq_error enter(struct mcq_inproc_names *names, const char *text, uint32_t shard,
                            uint32_t logical, struct mcq_detail *detail)
{
    const struct mcq_inproc_name *other = find(names, text, ANY_SHARD);
    if (other != NULL && (logical == MCQ_LOGICAL_NONE || other->logical != logical))
        return mcq_detail_set(
            detail, MCQ_EADDRINUSE, 0,
            "'%.72s': a socket of shard %u has that name: unbind it first, or take another name",
            text, other->shard);
    struct mcq_inproc_name *n = vacant(names);
    if (n == NULL)
        return mcq_detail_set(detail, MCQ_ELIMIT, 0, "an app has at most %u inproc names",
                              MCQ_INPROC_NAMES_MAX);
    strcpy(n->text, text);
    n->shard = shard;
    n->logical = logical;
    n->announced = false;
    return MCQ_OK;
}

enum mcq_error mcq_inproc_names_enter(struct mcq_inproc_names *names, const char *text,
                                      uint32_t shard, uint32_t logical, struct mcq_detail *detail)
{
    pthread_mutex_lock(&names->mutex);
    enum mcq_error err = enter(names, text, shard, logical, detail);
    pthread_mutex_unlock(&names->mutex);
    return err;
}

void mcq_inproc_names_announce(struct mcq_inproc_names *names, const char *text, uint32_t shard,
                               struct mcq_shard_set *tell)
{
    pthread_mutex_lock(&names->mutex);
    struct mcq_inproc_name *n = find(names, text, shard);
    if (n != NULL)
        n->announced = true;
    for (uint32_t i = 0; i < MCQ_CNT_OF(tell->bits); i++) {
        tell->bits[i] |= names->waiting.bits[i];
        names->waiting.bits[i] = 0;
    }
    pthread_mutex_unlock(&names->mutex);
}

void mcq_inproc_names_leave(struct mcq_inproc_names *names, const char *text, uint32_t shard)
{
    pthread_mutex_lock(&names->mutex);
    struct mcq_inproc_name *n = find(names, text, shard);
    if (n != NULL)
        *n = (struct mcq_inproc_name){.text = ""};
    pthread_mutex_unlock(&names->mutex);
}

bool mcq_inproc_names_find(struct mcq_inproc_names *names, const char *text, uint32_t asker,
                           uint32_t *shard)
{
    pthread_mutex_lock(&names->mutex);
    const struct mcq_inproc_name *n = find_announced(names, text);
    bool found = n != NULL;
    if (found)
        *shard = n->shard;
    else
        names->waiting.bits[asker / 64] |= UINT64_C(1) << asker % 64;
    pthread_mutex_unlock(&names->mutex);
    return found;
}
