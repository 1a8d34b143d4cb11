/* RAW: atomics, a mutex and calloc; sound because a shard writes its own entry alone, and because
 * idleness is believed only if two looks agree; see roster.h. */
#include "shards/roster.h"

#include <stdlib.h>

#include "shards/shard.h"

/* --- gates --------------------------------------------------------------------------------- */

static void gate_init(struct mcq_gate *g)
{
    pthread_mutex_init(&g->mutex, NULL);
    pthread_cond_init(&g->cond, NULL);
}

static void gate_fini(struct mcq_gate *g)
{
    pthread_cond_destroy(&g->cond);
    pthread_mutex_destroy(&g->mutex);
}

void mcq_gate_advance(struct mcq_gate *g)
{
    pthread_mutex_lock(&g->mutex);
    g->value++;
    pthread_cond_broadcast(&g->cond);
    pthread_mutex_unlock(&g->mutex);
}

void mcq_gate_wait(struct mcq_gate *g, uint32_t value)
{
    pthread_mutex_lock(&g->mutex);
    while (g->value < value)
        pthread_cond_wait(&g->cond, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
}

/* --- life ---------------------------------------------------------------------------------- */

struct mcq_roster *mcq_roster_create(uint32_t cnt)
{
    struct mcq_roster *r = aligned_alloc(2 * MCQ_CACHE_LINE, sizeof(*r));
    if (r == NULL)
        return NULL;
    *r = (struct mcq_roster){.cnt = cnt};
    for (uint32_t i = 0; i < cnt; i++)
        r->entries[i].busy_cnt = 1;
    gate_init(&r->inits);
    gate_init(&r->starts);
    gate_init(&r->stops);
    gate_init(&r->leave);
    mcq_logicals_init(&r->logicals);
    mcq_groups_init(&r->groups, cnt);
    mcq_inproc_names_init(&r->names);
    return r;
}

void mcq_roster_destroy(struct mcq_roster *r)
{
    gate_fini(&r->inits);
    gate_fini(&r->starts);
    gate_fini(&r->stops);
    gate_fini(&r->leave);
    mcq_groups_fini(&r->groups);
    mcq_logicals_fini(&r->logicals);
    mcq_inproc_names_fini(&r->names);
    free(r);
}

void mcq_roster_enter(struct mcq_roster *r, struct mcq_shard *sh)
{
    __atomic_store_n(&r->entries[sh->id].shard, sh, __ATOMIC_RELEASE);
}

void mcq_roster_fail(struct mcq_roster *r)
{
    __atomic_store_n(&r->failed, true, __ATOMIC_RELEASE);
}

bool mcq_roster_failed(const struct mcq_roster *r)
{
    return __atomic_load_n(&r->failed, __ATOMIC_ACQUIRE);
}

struct mcq_shard *mcq_roster_shard(const struct mcq_roster *r, uint32_t id)
{
    return __atomic_load_n(&r->entries[id].shard, __ATOMIC_ACQUIRE);
}

/* --- the end ------------------------------------------------------------------------------- */

/* Once the last has been asked the app may end, and the roster with it. */
void mcq_roster_stop(struct mcq_roster *r)
{
    const uint32_t cnt = r->cnt; /* once the last has been told, r may be gone */
    for (uint32_t i = 0; i < cnt; i++)
        if (mcq_roster_shard(r, i) != NULL)
            mcq_mailbox_stop(mcq_roster_shard(r, i)->mailbox);
}

static bool all_idle(const struct mcq_roster *r, uint64_t *sum)
{
    *sum = 0;
    for (uint32_t i = 0; i < r->cnt; i++) {
        uint64_t cnt = __atomic_load_n(&r->entries[i].busy_cnt, __ATOMIC_SEQ_CST);
        if (cnt % 2 != 0)
            return false;
        *sum += cnt;
    }
    return true;
}

static bool no_posts(const struct mcq_roster *r)
{
    for (uint32_t i = 0; i < r->cnt; i++)
        if (!mcq_mailbox_drained(mcq_roster_shard(r, i)->mailbox))
            return false;
    return true;
}

static bool no_records(const struct mcq_roster *r)
{
    return r->mesh == NULL || mcq_mesh_drained(r->mesh);
}

void mcq_roster_busy(struct mcq_roster *r, uint32_t id)
{
    uint64_t *cnt = &r->entries[id].busy_cnt;
    if (*cnt % 2 == 0)
        __atomic_store_n(cnt, *cnt + 1, __ATOMIC_SEQ_CST);
}

static void become_idle(struct mcq_roster *r, uint32_t id)
{
    uint64_t *cnt = &r->entries[id].busy_cnt;
    if (*cnt % 2 != 0)
        __atomic_store_n(cnt, *cnt + 1, __ATOMIC_SEQ_CST);
}

bool mcq_roster_idle(struct mcq_roster *r, uint32_t id)
{
    uint64_t before, after;
    become_idle(r, id);
    return all_idle(r, &before) && no_posts(r) && no_records(r) && all_idle(r, &after) &&
           before == after;
}

bool mcq_roster_home(struct mcq_roster *r, uint32_t id)
{
    uint64_t before, after;
    become_idle(r, id);
    return all_idle(r, &before) && no_records(r) && all_idle(r, &after) && before == after;
}

/* Those that are idle see that it is over; one that has found work in the same moment stops. */
void mcq_roster_finish(struct mcq_roster *r, uint32_t id)
{
    __atomic_store_n(&r->over, true, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < r->cnt; i++)
        if (i != id && mcq_roster_shard(r, i) != NULL)
            mcq_mailbox_stop(mcq_roster_shard(r, i)->mailbox);
}

void mcq_roster_end(struct mcq_roster *r, uint32_t id)
{
    struct mcq_roster_entry *e = &r->entries[id];
    if (e->ended)
        return;
    e->ended = true;
    if (__atomic_add_fetch(&r->ended_cnt, 1, __ATOMIC_SEQ_CST) == r->cnt)
        mcq_roster_finish(r, id);
}

bool mcq_roster_over(const struct mcq_roster *r)
{
    return __atomic_load_n(&r->over, __ATOMIC_SEQ_CST);
}
