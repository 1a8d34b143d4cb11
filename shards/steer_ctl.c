/* RAW: memory of handles, and a number inside a post's pointer; sound because a handle is its
 * owner's, and names a group by index and epoch, never by address; public.
 *
 * The public calls on steering: of a bind of this process, through its group; of another's, through
 * the maps it has pinned. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem/detail.h"
#include "mem/slice.h"
#include "shards/group_private.h"
#include "shards/shard.h"

struct mcq_steer {
    struct mcq_groups *groups; /* of this process's app; NULL: maps */
    uint32_t idx, epoch;
    struct mcq_steer_maps *maps;
    pthread_mutex_t mutex; /* maps: one at a time */
};

/* --- changes --------------------------------------------------------------------------------- */

enum mcq_error mcq_steer_maps_edit(struct mcq_steer_maps *maps, mcq_group_edit_fn *fn, void *arg,
                                   struct mcq_detail *detail)
{
    struct mcq_steer_tables *t = calloc(2, sizeof(*t)); /* as they were, as they become */
    if (t == NULL)
        return mcq_detail_set(detail, MCQ_ENOMEM, ENOMEM, "steering: no memory");
    mcq_steer_maps_lock(maps);
    enum mcq_error err = mcq_steer_maps_read(maps, &t[0], NULL, detail);
    t[1] = t[0];
    if (err == MCQ_OK)
        err = fn(arg, &t[1], detail);
    mcq_steer_tables_refresh(&t[1]);
    if (err == MCQ_OK)
        err = mcq_steer_maps_write(maps, &t[0], &t[1], detail);
    mcq_steer_maps_unlock(maps);
    free(t);
    return err;
}

static pthread_mutex_t *mutex_of(struct mcq_steer *s)
{
    return s->groups != NULL ? &s->groups->mutex : &s->mutex;
}

static enum mcq_error over(struct mcq_detail *detail)
{
    return mcq_detail_set(detail, MCQ_ESTATE, 0, "steering: this bind has ended");
}

static enum mcq_error edit(struct mcq_steer *s, mcq_group_edit_fn *fn, void *arg,
                           struct mcq_detail *detail)
{
    pthread_mutex_lock(mutex_of(s));
    struct mcq_group *g = s->groups == NULL ? NULL : mcq_group_at(s->groups, s->idx, s->epoch);
    enum mcq_error err = s->groups == NULL ? mcq_steer_maps_edit(s->maps, fn, arg, detail)
                         : g == NULL       ? over(detail)
                                           : mcq_group_edit(g, fn, arg, detail);
    pthread_mutex_unlock(mutex_of(s));
    return err;
}

static enum mcq_error edit_add(void *arg, struct mcq_steer_tables *t, struct mcq_detail *detail)
{
    uint32_t id;
    return mcq_steer_tables_put(t, arg, &id, detail);
}

enum mcq_error mcq_steer_add(struct mcq_steer *s, const struct mcq_steer_rule *rule,
                             struct mcq_detail *detail)
{
    struct mcq_steer_rule r = *rule;
    return edit(s, edit_add, &r, detail);
}

static enum mcq_error edit_remove(void *arg, struct mcq_steer_tables *t, struct mcq_detail *detail)
{
    return mcq_steer_tables_drop(t, arg, detail);
}

enum mcq_error mcq_steer_remove(struct mcq_steer *s, const struct mcq_steer_rule *rule,
                                struct mcq_detail *detail)
{
    struct mcq_steer_rule r = *rule;
    return edit(s, edit_remove, &r, detail);
}

static enum mcq_error edit_mode(void *arg, struct mcq_steer_tables *t, struct mcq_detail *detail)
{
    const uint32_t *mode = arg;
    return mcq_steer_tables_set_mode(t, *mode, detail);
}

enum mcq_error mcq_steer_set_mode(struct mcq_steer *s, enum mcq_steer_mode mode,
                                  struct mcq_detail *detail)
{
    uint32_t value = (uint32_t)mode;
    return edit(s, edit_mode, &value, detail);
}

struct weights {
    const uint32_t *values;
    uint32_t cnt;
};

static enum mcq_error edit_weights(void *arg, struct mcq_steer_tables *t, struct mcq_detail *detail)
{
    const struct weights *w = arg;
    return mcq_steer_tables_set_weights(t, w->values, w->cnt, detail);
}

enum mcq_error mcq_steer_set_weights(struct mcq_steer *s, const uint32_t *weights, uint32_t cnt,
                                     struct mcq_detail *detail)
{
    struct weights w = {weights, cnt};
    return edit(s, edit_weights, &w, detail);
}

struct text {
    const char *text;
};

static enum mcq_error edit_text(void *arg, struct mcq_steer_tables *t, struct mcq_detail *detail)
{
    const struct text *x = arg;
    return mcq_steer_tables_read(t, x->text, NULL, detail);
}

enum mcq_error mcq_steer_set(struct mcq_steer *s, const char *text, struct mcq_detail *detail)
{
    struct text x = {text};
    return edit(s, edit_text, &x, detail);
}

/* --- draining -------------------------------------------------------------------------------- */

struct drain {
    uint32_t shard;
    bool on;
};

static enum mcq_error edit_drain(void *arg, struct mcq_steer_tables *t, struct mcq_detail *detail)
{
    const struct drain *d = arg;
    if (d->shard >= t->conf.shard_cnt)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "steering: there is no shard %u", d->shard);
    t->drained[d->shard] = d->on;
    return MCQ_OK;
}

/* The argument of a post is the group's name, so that nothing has to live until it runs. */
static void follow(struct mcq_shard *sh, void *arg)
{
    uint64_t name = (uintptr_t)arg;
    mcq_group_follow(sh, (uint32_t)(name & (MCQ_GROUPS_MAX - 1)), (uint32_t)(name >> 8));
}

enum mcq_error mcq_steer_drain(struct mcq_steer *s, uint32_t shard, bool on,
                               struct mcq_detail *detail)
{
    struct drain d = {shard, on};
    enum mcq_error err = edit(s, edit_drain, &d, detail);
    if (err != MCQ_OK || s->groups == NULL)
        return err;
    const struct mcq_roster *r = MCQ_CONTAINER_OF(s->groups, struct mcq_roster, groups);
    void *name = (void *)(uintptr_t)((uint64_t)s->epoch << 8 | s->idx);
    for (uint32_t i = 0; i < s->groups->shard_cnt; i++)
        if (mcq_post(mcq_roster_shard(r, i), follow, name) != MCQ_OK)
            err = mcq_detail_set(detail, MCQ_EAGAIN, 0,
                                 "steering: shard %u has too many posts waiting to be told that it "
                                 "drains: say so again",
                                 i);
    return err;
}

/* --- handles --------------------------------------------------------------------------------- */

static struct mcq_steer *handle_new(void)
{
    struct mcq_steer *s = calloc(1, sizeof(*s));
    if (s != NULL)
        pthread_mutex_init(&s->mutex, NULL);
    return s;
}

static struct mcq_group *group_named(struct mcq_sock *sock, const char *endpoint)
{
    const char *wanted = endpoint != NULL ? endpoint : sock->bound;
    for (struct mcq_node *n = mcq_list_first(&sock->listeners); n != NULL;
         n = mcq_list_next(&sock->listeners, n)) {
        struct mcq_listener *l = MCQ_CONTAINER_OF(n, struct mcq_listener, sock_node);
        if (l->group != NULL && !l->closing && strcmp(l->text, wanted) == 0)
            return l->group;
    }
    return NULL;
}

enum mcq_error mcq_steer_of(struct mcq_sock *sock, const char *endpoint, struct mcq_steer **steer,
                            struct mcq_detail *detail)
{
    const struct mcq_shard *sh = sock->shard;
    if (sh != mcq_shard_here)
        return mcq_detail_set(detail, MCQ_ETHREAD, 0,
                              "mcq_steer_of: call it on the shard's own thread");
    if (sock->logical == MCQ_LOGICAL_NONE)
        return mcq_detail_set(detail, MCQ_ENOTSUP, 0,
                              "steering: this socket is no member of a logical socket: set the "
                              "option `logical`");
    const struct mcq_group *g = group_named(sock, endpoint);
    if (g == NULL)
        return mcq_detail_set(detail, MCQ_ENOENT, 0, "steering: this socket isn't bound to '%.64s'",
                              endpoint != NULL ? endpoint : "anything");
    struct mcq_steer *s = handle_new();
    if (s == NULL)
        return mcq_detail_set(detail, MCQ_ELIMIT, ENOMEM, "steering: no memory");
    s->groups = &sh->roster->groups;
    s->idx = g->idx;
    s->epoch = g->epoch;
    *steer = s;
    return MCQ_OK;
}

enum mcq_error mcq_steer_open(const char *path, struct mcq_steer **steer, struct mcq_detail *detail)
{
    struct mcq_steer_about about;
    struct mcq_steer_tables *t = calloc(1, sizeof(*t));
    struct mcq_steer *s = handle_new();
    enum mcq_error err = MCQ_OK;
    if (s == NULL || t == NULL)
        err = mcq_detail_set(detail, MCQ_ENOMEM, ENOMEM, "steering: no memory");
    if (err == MCQ_OK)
        err = mcq_steer_maps_open(&s->maps, path, detail);
    if (err == MCQ_OK)
        err = mcq_steer_maps_read(s->maps, t, &about, detail);
    if (err == MCQ_OK && !mcq_steer_pins_is_held(path))
        err = mcq_detail_set(detail, MCQ_ENOENT, 0, "%s: its process, %u, has ended", path,
                             about.pid);
    free(t);
    if (err == MCQ_OK)
        *steer = s;
    else if (s != NULL)
        mcq_steer_close(s);
    return err;
}

void mcq_steer_close(struct mcq_steer *s)
{
    if (s->maps != NULL)
        mcq_steer_maps_destroy(s->maps);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

/* --- what is pinned -------------------------------------------------------------------------- */

struct listing {
    mcq_steer_list_fn *fn;
    void *ctx;
};

static bool list_one(void *ctx, const char *path)
{
    const struct listing *listing = ctx;
    return mcq_steer_pins_sweep(path) || listing->fn(listing->ctx, path);
}

enum mcq_error mcq_steer_list(mcq_steer_list_fn *fn, void *ctx, struct mcq_detail *detail)
{
    struct listing listing = {fn, ctx};
    return mcq_steer_pins_each(list_one, &listing, detail);
}

/* --- stats ----------------------------------------------------------------------------------- */

static uint64_t load_relaxed(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void shard_stats(const struct mcq_steer_tables *t, uint32_t shard,
                        const uint64_t why[MCQ_STEER_WHY_CNT], struct mcq_steer_shard_stats *st)
{
    st->member = t->member[shard];
    st->live = t->conf.is_live[shard];
    st->drained = t->drained[shard];
    st->weight = t->weights[shard];
    st->exact = why[MCQ_STEER_WHY_EXACT];
    st->prefix = why[MCQ_STEER_WHY_PREFIX];
    st->mode = why[MCQ_STEER_WHY_MODE];
    st->elsewhere = why[MCQ_STEER_WHY_ELSEWHERE];
    st->migrated = why[MCQ_STEER_WHY_MIGRATED];
}

static void tables_stats(const struct mcq_steer_tables *t, struct mcq_steer_stats *st)
{
    st->mode = (enum mcq_steer_mode)t->conf.mode;
    st->rules_cnt = t->rules_cnt;
    st->shards_cnt = t->conf.shard_cnt;
}

static enum mcq_error maps_stats(struct mcq_steer_maps *maps, struct mcq_steer_tables *t,
                                 struct mcq_steer_stats *st, struct mcq_detail *detail)
{
    struct mcq_steer_about about;
    uint64_t why[MCQ_STEER_WHY_CNT];
    mcq_steer_maps_lock(maps);
    enum mcq_error err = mcq_steer_maps_read(maps, t, &about, detail);
    mcq_steer_maps_unlock(maps);
    if (err != MCQ_OK)
        return err;
    tables_stats(t, st);
    for (uint32_t i = 0; i < st->shards_cnt; i++) {
        mcq_steer_maps_shard_hits(maps, i, why);
        shard_stats(t, i, why, &st->shards[i]);
        st->shards[i].conns_now = mcq_steer_maps_conns(maps, i);
    }
    st->rung = MCQ_STEER_RUNG_EBPF;
    st->pid = about.pid;
    snprintf(st->name, sizeof(st->name), "%s", about.name);
    snprintf(st->endpoint, sizeof(st->endpoint), "%s", about.endpoint);
    snprintf(st->path, sizeof(st->path), "%s", mcq_steer_maps_path(maps));
    return MCQ_OK;
}

static void own_stats(const struct mcq_groups *all, const struct mcq_group *g,
                      struct mcq_steer_stats *st)
{
    tables_stats(&g->tables, st);
    for (uint32_t i = 0; i < st->shards_cnt; i++) {
        const struct mcq_group_view *v = g->members[i].view;
        uint64_t why[MCQ_STEER_WHY_CNT] = {0};
        for (uint32_t k = 0; k < MCQ_STEER_WHY_CNT && v != NULL; k++)
            why[k] = load_relaxed(&v->why[k]);
        shard_stats(&g->tables, i, why, &st->shards[i]);
        if (all->load != NULL)
            st->shards[i].conns_now = __atomic_load_n(&all->load[i].conns, __ATOMIC_RELAXED);
    }
    st->pid = mcq_steer_pins_pid();
    snprintf(st->name, sizeof(st->name), "%s", g->name);
    snprintf(st->endpoint, sizeof(st->endpoint), "%s", g->endpoint);
}

static enum mcq_error group_stats(const struct mcq_groups *all, struct mcq_group *g,
                                  struct mcq_steer_tables *t, struct mcq_steer_stats *st,
                                  struct mcq_detail *detail)
{
    enum mcq_error err = MCQ_OK;
    if (g->maps != NULL)
        err = maps_stats(g->maps, t, st, detail);
    else
        own_stats(all, g, st);
    for (uint32_t i = 0; i < g->shard_cnt; i++) {
        st->shards[i].passed_in = load_relaxed(&g->members[i].passed_in);
        st->shards[i].passed_out = load_relaxed(&g->members[i].passed_out);
        st->shards[i].misplaced = load_relaxed(&g->members[i].misplaced);
    }
    st->rung = g->rung;
    snprintf(st->reason, sizeof(st->reason), "%s", g->reason);
    return err;
}

enum mcq_error mcq_steer_stats(struct mcq_steer *s, struct mcq_steer_stats *stats,
                               struct mcq_detail *detail)
{
    struct mcq_steer_tables *t = calloc(1, sizeof(*t));
    *stats = (struct mcq_steer_stats){.pid = 0};
    if (t == NULL)
        return mcq_detail_set(detail, MCQ_ENOMEM, ENOMEM, "steering: no memory");
    pthread_mutex_lock(mutex_of(s));
    struct mcq_group *g = s->groups == NULL ? NULL : mcq_group_at(s->groups, s->idx, s->epoch);
    enum mcq_error err = s->groups == NULL ? maps_stats(s->maps, t, stats, detail)
                         : g == NULL       ? over(detail)
                                           : group_stats(s->groups, g, t, stats, detail);
    pthread_mutex_unlock(mutex_of(s));
    free(t);
    return err;
}

static enum mcq_error rules_of(struct mcq_steer_maps *maps, const struct mcq_group *g,
                               struct mcq_steer_tables *t, struct mcq_steer_rule_stats *rules,
                               uint32_t max, uint32_t *cnt, struct mcq_detail *detail)
{
    enum mcq_error err = MCQ_OK;
    if (maps != NULL) {
        mcq_steer_maps_lock(maps);
        err = mcq_steer_maps_read(maps, t, NULL, detail);
        mcq_steer_maps_unlock(maps);
    } else {
        *t = g->tables;
    }
    *cnt = err == MCQ_OK ? (uint32_t)mcq_min(max, t->rules_cnt) : 0;
    for (uint32_t i = 0; i < *cnt; i++) {
        uint32_t id = t->rules[i].target.id;
        rules[i].rule = t->rules[i].rule;
        rules[i].hits =
            maps != NULL ? mcq_steer_maps_rule_hits(maps, id) : mcq_group_rule_hits(g, id);
    }
    return err;
}

enum mcq_error mcq_steer_rules(struct mcq_steer *s, struct mcq_steer_rule_stats *rules,
                               uint32_t max, uint32_t *cnt, struct mcq_detail *detail)
{
    struct mcq_steer_tables *t = calloc(1, sizeof(*t));
    *cnt = 0;
    if (t == NULL)
        return mcq_detail_set(detail, MCQ_ENOMEM, ENOMEM, "steering: no memory");
    pthread_mutex_lock(mutex_of(s));
    struct mcq_group *g = s->groups == NULL ? NULL : mcq_group_at(s->groups, s->idx, s->epoch);
    enum mcq_error err = MCQ_OK;
    if (s->groups != NULL && g == NULL)
        err = over(detail);
    else
        err = rules_of(g != NULL ? g->maps : s->maps, g, t, rules, max, cnt, detail);
    pthread_mutex_unlock(mutex_of(s));
    free(t);
    return err;
}
