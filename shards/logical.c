/* RAW: a mutex; sound because every access to the table is inside it; sock.c calls. */
#include "shards/logical.h"

#include <string.h>

#include "mem/detail.h"

void mcq_logicals_init(struct mcq_logicals *all)
{
    pthread_mutex_init(&all->mutex, NULL);
}

void mcq_logicals_fini(struct mcq_logicals *all)
{
    pthread_mutex_destroy(&all->mutex);
}

/* The one of that name, else a free one, else NULL. */
static struct mcq_logical *place(struct mcq_logicals *all, const char *name)
{
    struct mcq_logical *vacant = NULL;
    for (uint32_t i = 0; i < MCQ_LOGICALS_MAX; i++) {
        struct mcq_logical *l = &all->at[i];
        if (l->member_cnt != 0 && strcmp(l->name, name) == 0)
            return l;
        if (l->member_cnt == 0 && vacant == NULL)
            vacant = l;
    }
    return vacant;
}

static enum mcq_error join(struct mcq_logicals *all, struct mcq_logical *l, const char *name,
                           enum mcq_sock_type type, uint32_t shard, struct mcq_detail *detail)
{
    if (l == NULL)
        return mcq_detail_set(detail, MCQ_ELIMIT, 0,
                              "logical '%s': an app has at most %d logical sockets", name,
                              MCQ_LOGICALS_MAX);
    if (l->member_cnt != 0 && l->type != type)
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "logical '%s': its members on other shards have another type", name);
    if (l->member[shard])
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "logical '%s': shard %u has a member already, one is all it can have",
                              name, shard);
    if (l->member_cnt == 0)
        l->life = ++all->lives;
    if (l->member_cnt == 0) /* later members read it without the mutex */
        strcpy(l->name, name);
    l->type = type;
    l->member[shard] = true;
    l->nr[shard] = ++all->joins;
    l->member_cnt++;
    return MCQ_OK;
}

static struct mcq_shard_set members(const struct mcq_logical *l)
{
    struct mcq_shard_set set = {{0}};
    for (uint32_t id = 0; l != NULL && id < MCQ_SHARDS_MAX; id++)
        if (l->member[id])
            set.bits[id / 64] |= UINT64_C(1) << id % 64;
    return set;
}

enum mcq_error mcq_logical_join(struct mcq_logicals *all, const char *name, enum mcq_sock_type type,
                                uint32_t shard, uint32_t *idx, uint32_t *life,
                                struct mcq_shard_set *earlier, struct mcq_detail *detail)
{
    pthread_mutex_lock(&all->mutex);
    struct mcq_logical *l = place(all, name);
    *earlier = members(l);
    enum mcq_error err = join(all, l, name, type, shard, detail);
    if (err == MCQ_OK) {
        *idx = (uint32_t)(l - all->at);
        *life = l->life;
    }
    pthread_mutex_unlock(&all->mutex);
    return err;
}

void mcq_logical_leave(struct mcq_logicals *all, uint32_t idx, uint32_t shard)
{
    pthread_mutex_lock(&all->mutex);
    all->at[idx].member[shard] = false;
    all->at[idx].member_cnt--;
    pthread_mutex_unlock(&all->mutex);
}

uint64_t mcq_logical_nr(struct mcq_logicals *all, uint32_t idx, uint32_t shard)
{
    pthread_mutex_lock(&all->mutex);
    uint64_t nr = all->at[idx].nr[shard];
    pthread_mutex_unlock(&all->mutex);
    return nr;
}

bool mcq_logical_has(struct mcq_logicals *all, uint32_t idx, uint32_t shard)
{
    pthread_mutex_lock(&all->mutex);
    bool has = shard < MCQ_SHARDS_MAX && all->at[idx].member[shard];
    pthread_mutex_unlock(&all->mutex);
    return has;
}
