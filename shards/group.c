/* RAW: memory of groups, a mutex, and counters that other threads read; sound because a group is
 * freed by the last member that quits, everything but a member's own counters is changed under the
 * mutex, and the generation is stored after what it stands for; called by listener, link, shard,
 * roster and steer_ctl. */
#include "shards/group.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "mem/detail.h"
#include "runtime/net.h"
#include "shards/group_private.h"
#include "shards/shard.h"

static struct mcq_groups *groups_of(const struct mcq_listener *l)
{
    return &l->sock->shard->roster->groups;
}

static struct mcq_group_member *member_of(const struct mcq_listener *l)
{
    return &l->group->members[l->sock->shard->id];
}

/* --- joining --------------------------------------------------------------------------------- */

/* The one CPU this thread may run on. */
static uint32_t own_cpu(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0 || CPU_COUNT(&set) != 1)
        return MCQ_STEER_NO_SHARD;
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set))
            return cpu;
    return MCQ_STEER_NO_SHARD;
}

static enum mcq_error take_options(struct mcq_group *g, const struct mcq_sock *sock,
                                   enum mcq_steer_rung *highest, struct mcq_detail *detail)
{
    const char *env = getenv("MCQ_STEER_RUNG");
    enum mcq_error err = MCQ_OK;
    if (env != NULL && env[0] != '\0' && !mcq_steer_rung_read(env, highest))
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "environment MCQ_STEER_RUNG: '%.32s' is none of ebpf, cbpf, kernel, "
                              "handoff",
                              env);
    if (sock->opts.steering != NULL)
        err = mcq_steer_tables_take(&g->tables, sock->opts.steering, highest, detail);
    if (err == MCQ_OK && sock->opts.steer != NULL)
        err = mcq_steer_tables_read(&g->tables, sock->opts.steer, highest, detail);
    mcq_steer_tables_refresh(&g->tables);
    return err;
}

static struct mcq_group *group_new(struct mcq_groups *all, const struct mcq_listener *l,
                                   const char *name, const char *text)
{
    struct mcq_shard *sh = l->sock->shard;
    uint32_t idx = 0;
    while (idx < MCQ_GROUPS_MAX && all->at[idx] != NULL)
        idx++;
    struct mcq_group *g = idx < MCQ_GROUPS_MAX ? calloc(1, sizeof(*g)) : NULL;
    if (g == NULL)
        return NULL;
    g->idx = idx;
    g->epoch = ++all->epoch;
    g->shard_cnt = all->shard_cnt;
    g->teller = sh->id;
    g->backlog = l->sock->opts.backlog;
    g->claim_fd = g->queue_fd = -1;
    strcpy(g->name, name);
    strcpy(g->text, text);
    for (uint32_t i = 0; i < MCQ_STEER_SHARD_CNT; i++)
        g->members[i].fd = -1;
    mcq_steer_tables_init(&g->tables, all->shard_cnt, (uint32_t)mcq_loop_random(sh->loop),
                          all->load);
    all->at[idx] = g;
    return g;
}

/* The first member's bind. *fd: its own socket, -1: a descriptor of the group's one queue. */
static enum mcq_error begin(struct mcq_groups *all, struct mcq_listener *l,
                            const struct mcq_endpoint *ep, const char *text, int *fd,
                            struct mcq_group **out, struct mcq_detail *detail)
{
    const struct mcq_sock *sock = l->sock;
    enum mcq_steer_rung highest = MCQ_STEER_RUNG_DEFAULT;
    struct mcq_group *g =
        group_new(all, l, sock->shard->roster->logicals.at[sock->logical].name, text);
    *out = g;
    if (g == NULL)
        return mcq_detail_set(detail, MCQ_ELIMIT, 0,
                              "an app has at most %u binds of logical sockets", MCQ_GROUPS_MAX);
    enum mcq_error err = take_options(g, sock, &highest, detail);
    if (err == MCQ_OK)
        err = mcq_group_rung_open(g, l, ep, highest, all, fd, detail);
    if (err != MCQ_OK) {
        mcq_group_free(all, g);
        g = NULL;
    }
    *out = g;
    return err;
}

/* Another socket at the group's address, or another descriptor of its queue. */
static int another(struct mcq_group *g, const struct mcq_listener *l)
{
    struct mcq_addr bound;
    if (g->queue_fd >= 0)
        return mcq_net_dup(g->queue_fd);
    return mcq_net_bind(&g->addr, &l->sock->sockopts, true, &bound);
}

/* fd becomes the member's listener, not listening yet. */
static enum mcq_error take_fd(struct mcq_group *g, struct mcq_listener *l, int fd,
                              struct mcq_detail *detail)
{
    const struct mcq_addr none = {.len = 0};
    struct mcq_group_member *m = &g->members[l->sock->shard->id];
    if (fd < 0)
        return mcq_listen_explain(&l->sock->sockopts, -fd, detail);
    enum mcq_error err = mcq_conn_listener(l->sock->shard->loop, fd, &none, l, &l->conn, detail);
    if (err != MCQ_OK) {
        mcq_net_close(fd);
        return err;
    }
    m->fd = fd;
    m->listening = false;
    return MCQ_OK;
}

static enum mcq_error enlist(struct mcq_group *g, struct mcq_listener *l, int fd,
                             struct mcq_detail *detail)
{
    struct mcq_shard *sh = l->sock->shard;
    struct mcq_group_member *m = &g->members[sh->id];
    *m = (struct mcq_group_member){.fd = -1, .cpu = own_cpu()};
    if (g->rung != MCQ_STEER_RUNG_EBPF) {
        m->view = calloc(1, sizeof(*m->view));
        if (m->view == NULL) {
            mcq_net_close(fd);
            return mcq_detail_set(detail, MCQ_ENOMEM, ENOMEM, "steering: no memory");
        }
        m->view->random = mcq_loop_random(sh->loop) | 1;
        m->view->seen = g->generation - 1;
    }
    enum mcq_error err = take_fd(g, l, fd, detail);
    if (err != MCQ_OK) {
        free(m->view);
        *m = (struct mcq_group_member){.fd = -1};
        return err;
    }
    m->listener = l;
    l->group = g;
    l->silent = g->teller != sh->id;
    strcpy(l->text, g->endpoint);
    g->member_cnt++;
    return MCQ_OK;
}

enum mcq_error mcq_group_join(struct mcq_listener *l, const struct mcq_endpoint *ep,
                              const char *text, struct mcq_detail *detail)
{
    struct mcq_groups *all = groups_of(l);
    const struct mcq_shard *sh = l->sock->shard;
    const char *name = sh->roster->logicals.at[l->sock->logical].name;
    enum mcq_error err = MCQ_OK;
    int fd = -1;
    mcq_endpoint_format(&ep->addr, l->text);
    pthread_mutex_lock(&all->mutex);
    struct mcq_group *g = mcq_group_joinable(all, name, text, sh->id);
    if (g == NULL)
        err = begin(all, l, ep, text, &fd, &g, detail);
    if (err == MCQ_OK)
        err = enlist(g, l, fd >= 0 ? fd : another(g, l), detail);
    if (g != NULL && g->member_cnt == 0)
        mcq_group_free(all, g);
    pthread_mutex_unlock(&all->mutex);
    return err;
}

/* --- listening ------------------------------------------------------------------------------- */

static int listen_with(struct mcq_group *g, uint32_t shard)
{
    struct mcq_group_member *m = &g->members[shard];
    if (m->listener == NULL || m->fd < 0 || m->listening || m->parting)
        return 0;
    int err = g->queue_fd >= 0 ? 0 : mcq_net_listen_on(m->fd, g->backlog);
    if (err != 0)
        return err;
    m->listening = m->there = true;
    mcq_group_rung_enter(g, shard);
    return 0;
}

/* The kernel's group, and the program attached to it, is that of the first that listens. */
enum mcq_error mcq_group_listen(struct mcq_listener *l, struct mcq_detail *detail)
{
    struct mcq_groups *all = groups_of(l);
    struct mcq_group *g = l->group;
    const uint32_t own = l->sock->shard->id;
    enum mcq_error err = MCQ_OK;
    pthread_mutex_lock(&all->mutex);
    if (!g->members[own].listening) {
        (void)listen_with(g, g->teller);
        for (uint32_t i = 0; i < g->shard_cnt; i++)
            if (i != own)
                (void)listen_with(g, i); /* what fails, its own turn tries again, and tells */
        int os_errno = listen_with(g, own);
        err = os_errno != 0 ? mcq_listen_explain(&l->sock->sockopts, -os_errno, detail)
                            : mcq_group_edit(g, mcq_group_edit_members, g, detail);
    }
    pthread_mutex_unlock(&all->mutex);
    return err;
}

/* --- leaving --------------------------------------------------------------------------------- */

/* Those that wait at the listener are passed on, or stay if there is nobody else. */
static void accept_rest(struct mcq_listener *l, int fd)
{
    for (uint32_t i = 0; i <= l->group->backlog; i++) { /* the kernel's queue takes one more */
        int got = mcq_net_accept(fd);
        if (got < 0)
            return;
        if (!mcq_group_place(l, got))
            mcq_link_accept(l->sock, got);
    }
}

/* On the first rung the kernel does that; one queue of all stays, and is looked at at the end. */
static void accept_own_rest(struct mcq_listener *l)
{
    const struct mcq_group *g = l->group;
    const struct mcq_group_member *m = member_of(l);
    if (g->queue_fd < 0 && g->rung != MCQ_STEER_RUNG_EBPF && m->fd >= 0 && m->listening)
        accept_rest(l, m->fd);
}

/* Others are there to take over, and the kernel won't see to it; under the mutex. When the whole
 * app ends nobody will be there. */
static bool says_goodbye(const struct mcq_listener *l)
{
    const struct mcq_group *g = l->group;
    const struct mcq_group_member *m = member_of(l);
    return g->queue_fd < 0 && g->rung != MCQ_STEER_RUNG_EBPF && m->fd >= 0 && m->listening &&
           !l->parted && g->tables.conf.live_cnt > 0 && !l->sock->shard->stopping;
}

/* The listener closes after so many ns. Under the mutex. */
static uint64_t begin_to_part(struct mcq_listener *l)
{
    struct mcq_group_member *m = member_of(l);
    m->parting = true;
    if (!says_goodbye(l))
        return 0;
    mcq_net_deafen(m->fd, true);
    return l->group->rung == MCQ_STEER_RUNG_CBPF ? MCQ_GROUP_GOODBYE_NS : MCQ_GROUP_DEAF_NS;
}

uint64_t mcq_group_leave(struct mcq_listener *l)
{
    struct mcq_groups *all = groups_of(l);
    struct mcq_detail why;
    pthread_mutex_lock(&all->mutex);
    member_of(l)->there = false;
    if (mcq_group_edit(l->group, mcq_group_edit_members, l->group, &why) != MCQ_OK)
        mcq_log_line(&l->sock->shard->log, MCQ_LOG_WARN, "%s: %s", l->text, why.text);
    uint64_t goodbye_ns = begin_to_part(l);
    pthread_mutex_unlock(&all->mutex);
    return goodbye_ns;
}

void mcq_group_part(struct mcq_listener *l)
{
    if (l->parted)
        return;
    l->parted = true;
    accept_own_rest(l);
    mcq_conn_abort(l->sock->shard->loop, l->conn);
}

void mcq_group_left(struct mcq_listener *l)
{
    struct mcq_groups *all = groups_of(l);
    pthread_mutex_lock(&all->mutex);
    member_of(l)->fd = -1;
    member_of(l)->listening = member_of(l)->parting = l->parted = false;
    mcq_group_rung_leave(l->group, l->sock->shard->id);
    pthread_mutex_unlock(&all->mutex);
    /* The kernel wakes one of those who wait at a queue: it may have been this shard. */
    if (l->group->queue_fd >= 0)
        accept_rest(l, l->group->queue_fd);
}

void mcq_group_quit(struct mcq_listener *l)
{
    struct mcq_groups *all = groups_of(l);
    struct mcq_group *g = l->group;
    pthread_mutex_lock(&all->mutex);
    free(member_of(l)->view);
    *member_of(l) = (struct mcq_group_member){.fd = -1};
    l->group = NULL;
    if (--g->member_cnt == 0)
        mcq_group_free(all, g);
    pthread_mutex_unlock(&all->mutex);
}

/* --- draining -------------------------------------------------------------------------------- */

static struct mcq_listener *listener_at(struct mcq_shard *sh, uint32_t idx, uint32_t epoch)
{
    for (struct mcq_node *n = mcq_list_first(&sh->sock_list); n != NULL;
         n = mcq_list_next(&sh->sock_list, n)) {
        struct mcq_sock *sock = MCQ_CONTAINER_OF(n, struct mcq_sock, shard_node);
        struct mcq_listener *l = mcq_group_listener(sock, idx, epoch);
        if (l != NULL)
            return l;
    }
    return NULL;
}

struct mcq_listener *mcq_group_listener(struct mcq_sock *sock, uint32_t idx, uint32_t epoch)
{
    for (struct mcq_node *n = mcq_list_first(&sock->listeners); n != NULL;
         n = mcq_list_next(&sock->listeners, n)) {
        struct mcq_listener *l = MCQ_CONTAINER_OF(n, struct mcq_listener, sock_node);
        if (l->group != NULL && l->group->idx == idx && l->group->epoch == epoch)
            return l;
    }
    return NULL;
}

static void reopen(struct mcq_groups *all, struct mcq_listener *l)
{
    struct mcq_detail why = {.text = ""};
    pthread_mutex_lock(&all->mutex);
    enum mcq_error err = take_fd(l->group, l, another(l->group, l), &why);
    pthread_mutex_unlock(&all->mutex);
    if (err != MCQ_OK)
        mcq_log_line(&l->sock->shard->log, MCQ_LOG_ERROR, "%s: %s", l->text, why.text);
}

/* It drains no longer, and hasn't closed yet. */
static void stay(struct mcq_listener *l)
{
    struct mcq_groups *all = groups_of(l);
    struct mcq_group_member *m = member_of(l);
    pthread_mutex_lock(&all->mutex);
    bool stays = !l->parted && mcq_group_is_live(l->group, l->sock->shard->id);
    if (stays) {
        mcq_net_deafen(m->fd, false);
        m->parting = l->suspended = false;
        mcq_group_rung_follow(l->group);
    }
    pthread_mutex_unlock(&all->mutex);
    if (stays) /* the timer's next tick accepts, as after a failure */
        mcq_timer_node_arm(mcq_loop_timers(l->sock->shard->loop), &l->timer,
                           mcq_shard_now_ns(l->sock->shard));
}

void mcq_group_follow(struct mcq_shard *sh, uint32_t idx, uint32_t epoch)
{
    struct mcq_groups *all = &sh->roster->groups;
    struct mcq_listener *l = listener_at(sh, idx, epoch);
    if (l == NULL || l->closing)
        return;
    if (l->suspended) {
        stay(l);
        return;
    }
    pthread_mutex_lock(&all->mutex);
    bool live = mcq_group_is_live(l->group, sh->id);
    bool drains = !live && l->conn != NULL && member_of(l)->listening;
    uint64_t goodbye_ns = drains ? begin_to_part(l) : 0;
    pthread_mutex_unlock(&all->mutex);
    if (live && l->conn == NULL) {
        reopen(all, l);
        mcq_timer_node_arm(mcq_loop_timers(sh->loop), &l->timer, mcq_shard_now_ns(sh));
    } else if (drains) {
        l->suspended = true;
        if (goodbye_ns != 0)
            mcq_timer_node_arm(mcq_loop_timers(sh->loop), &l->timer,
                               mcq_shard_now_ns(sh) + goodbye_ns);
        else
            mcq_group_part(l);
    }
}

void mcq_group_suspended(struct mcq_listener *l)
{
    struct mcq_shard *sh = l->sock->shard;
    mcq_group_left(l);
    l->suspended = false;
    l->conn = NULL;
    mcq_group_follow(sh, l->group->idx, l->group->epoch);
}
