/* RAW: memory of groups, a mutex, a mapping, and counters that other threads read; sound because a
 * group is freed by the last member that quits, everything but a member's own counters is changed
 * under the mutex, and the generation is stored after what it stands for; called by group*.c,
 * shard, roster and steer_ctl.
 *
 * The app's table of groups, and the tables of each. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "mem/detail.h"
#include "shards/group_private.h"
#include "shards/shard.h"

/* --- the table ------------------------------------------------------------------------------- */

void mcq_groups_init(struct mcq_groups *all, uint32_t shard_cnt)
{
    *all = (struct mcq_groups){.shard_cnt = shard_cnt, .load_fd = -1};
    pthread_mutex_init(&all->mutex, NULL);
    void *load = mmap(NULL, MCQ_STEER_LOAD_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    all->load = load == MAP_FAILED ? NULL : load;
}

void mcq_group_free(struct mcq_groups *all, struct mcq_group *g)
{
    mcq_group_rung_close(g);
    for (uint32_t i = 0; i < g->shard_cnt; i++)
        free(g->members[i].view);
    all->at[g->idx] = NULL;
    free(g);
}

void mcq_groups_fini(struct mcq_groups *all)
{
    for (uint32_t i = 0; i < MCQ_GROUPS_MAX; i++)
        if (all->at[i] != NULL)
            mcq_group_free(all, all->at[i]); /* of an app that didn't come to its first turn */
    if (all->load_fd >= 0)
        mcq_steer_load_destroy(all->load_fd);
    if (all->load != NULL)
        munmap(all->load, MCQ_STEER_LOAD_BYTES);
    pthread_mutex_destroy(&all->mutex);
}

struct mcq_group *mcq_group_at(struct mcq_groups *all, uint32_t idx, uint32_t epoch)
{
    struct mcq_group *g = idx < MCQ_GROUPS_MAX ? all->at[idx] : NULL;
    return g != NULL && g->epoch == epoch ? g : NULL;
}

struct mcq_group *mcq_group_joinable(struct mcq_groups *all, const char *name, const char *text,
                                     uint32_t shard)
{
    struct mcq_group *newest = NULL;
    for (uint32_t i = 0; i < MCQ_GROUPS_MAX; i++) {
        struct mcq_group *g = all->at[i];
        if (g != NULL && g->members[shard].listener == NULL && strcmp(g->name, name) == 0 &&
            strcmp(g->text, text) == 0 && (newest == NULL || g->epoch > newest->epoch))
            newest = g;
    }
    return newest;
}

/* --- tables ---------------------------------------------------------------------------------- */

static uint64_t hits_of(const struct mcq_group *g, uint32_t id)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < g->shard_cnt; i++)
        if (g->members[i].view != NULL)
            sum += __atomic_load_n(&g->members[i].view->hits[id], __ATOMIC_RELAXED);
    return sum;
}

uint64_t mcq_group_rule_hits(const struct mcq_group *g, uint32_t id)
{
    return hits_of(g, id) - g->base[id];
}

/* Of the tables that this process holds itself. */
static enum mcq_error edit_own(struct mcq_group *g, mcq_group_edit_fn *fn, void *arg,
                               struct mcq_detail *detail)
{
    struct mcq_steer_tables *now = malloc(sizeof(*now));
    if (now == NULL)
        return mcq_detail_set(detail, MCQ_ENOMEM, ENOMEM, "steering: no memory");
    *now = g->tables;
    enum mcq_error err = fn(arg, now, detail);
    mcq_steer_tables_refresh(now);
    for (uint32_t i = 0; i < now->rules_cnt && err == MCQ_OK; i++)
        if (mcq_steer_tables_find(&g->tables, &now->rules[i].rule) == NULL)
            g->base[now->rules[i].target.id] = hits_of(g, now->rules[i].target.id);
    if (err == MCQ_OK)
        g->tables = *now;
    free(now);
    return err;
}

struct edit {
    struct mcq_group *group;
    mcq_group_edit_fn *fn;
    void *arg;
};

/* What other processes have changed in the maps comes along. */
static enum mcq_error edit_and_copy(void *arg, struct mcq_steer_tables *t,
                                    struct mcq_detail *detail)
{
    struct edit *e = arg;
    enum mcq_error err = e->fn(e->arg, t, detail);
    if (err != MCQ_OK)
        return err;
    const struct mcq_steer_load *load = e->group->tables.load;
    e->group->tables = *t;
    e->group->tables.load = load;
    mcq_steer_tables_refresh(&e->group->tables);
    return MCQ_OK;
}

enum mcq_error mcq_group_edit(struct mcq_group *g, mcq_group_edit_fn *fn, void *arg,
                              struct mcq_detail *detail)
{
    struct edit e = {g, fn, arg};
    if (g->maps != NULL)
        return mcq_steer_maps_edit(g->maps, edit_and_copy, &e, detail);
    enum mcq_error err = edit_own(g, fn, arg, detail);
    if (err != MCQ_OK)
        return err;
    __atomic_store_n(&g->generation, g->generation + 1, __ATOMIC_RELEASE);
    mcq_group_rung_follow(g);
    return MCQ_OK;
}

bool mcq_group_is_live(struct mcq_group *g, uint32_t shard)
{
    return g->tables.conf.is_live[shard] != 0;
}

enum mcq_error mcq_group_edit_members(void *arg, struct mcq_steer_tables *t,
                                      struct mcq_detail *detail)
{
    const struct mcq_group *g = arg;
    (void)detail;
    for (uint32_t i = 0; i < MCQ_STEER_CPU_CNT; i++)
        t->cpus[i] = i % g->shard_cnt;
    for (uint32_t i = 0; i < g->shard_cnt; i++) {
        const struct mcq_group_member *m = &g->members[i];
        t->member[i] = m->listener != NULL && m->there;
        t->conf.open = t->conf.open || t->member[i];
        if (m->listener != NULL && m->cpu < MCQ_STEER_CPU_CNT)
            t->cpus[m->cpu] = i;
    }
    return MCQ_OK;
}

/* --- load ------------------------------------------------------------------------------------ */

void mcq_group_weigh(struct mcq_shard *sh)
{
    if (sh->roster != NULL && sh->roster->groups.load != NULL)
        __atomic_store_n(&sh->roster->groups.load[sh->id].conns, sh->links.in_use,
                         __ATOMIC_RELAXED);
}
