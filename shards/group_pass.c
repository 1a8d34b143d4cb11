/* RAW: counters that other threads read, and the body of a mesh record; sound because each counter
 * has one writer, and the record's length is checked; called by listener, shard and the mesh.
 *
 * Passing on: what the shard that accepted a connection does where the kernel couldn't know the
 * policy, or where it closes. */
#include <netinet/in.h>
#include <string.h>

#include "mem/slice.h"
#include "runtime/net.h"
#include "shards/group_private.h"
#include "shards/shard.h"

static void count(uint64_t *counter)
{
    __atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

/* xorshift: for `least`, and for peers without address. */
static uint32_t next_random(struct mcq_group_view *v)
{
    v->random ^= v->random << 13;
    v->random ^= v->random >> 7;
    v->random ^= v->random << 17;
    return (uint32_t)(v->random >> 32);
}

/* --- what is asked --------------------------------------------------------------------------- */

static void input_of(int fd, struct mcq_steer_input *in)
{
    struct mcq_addr peer;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
    mcq_net_peer(fd, &peer);
    int cpu = mcq_net_cpu(fd);
    in->cpu = cpu < 0 ? 0 : (uint32_t)cpu;
    if (peer.len >= sizeof(four) && peer.ss.ss_family == AF_INET) {
        mcq_bytes_copy(&four, &peer.ss, sizeof(four));
        in->family = 4;
        in->addr[0] = four.sin_addr.s_addr;
        in->port = ntohs(four.sin_port);
    } else if (peer.len >= sizeof(six) && peer.ss.ss_family == AF_INET6) {
        mcq_bytes_copy(&six, &peer.ss, sizeof(six));
        bool mapped = IN6_IS_ADDR_V4MAPPED(&six.sin6_addr);
        in->family = mapped ? 4 : 6;
        mcq_bytes_copy(in->addr, &six.sin6_addr.s6_addr[mapped ? 12 : 0], mapped ? 4 : 16);
        in->port = ntohs(six.sin6_port);
    } else {
        in->port = in->random; /* nobody to be known by: any shard */
    }
}

static void refresh(struct mcq_groups *all, struct mcq_group *g, struct mcq_group_view *v)
{
    if (__atomic_load_n(&g->generation, __ATOMIC_ACQUIRE) == v->seen)
        return;
    pthread_mutex_lock(&all->mutex);
    v->tables = g->tables;
    v->seen = g->generation;
    pthread_mutex_unlock(&all->mutex);
}

/* The kernel has chosen by a hash of its own: as good as ours. */
static bool stands(const struct mcq_group *g, const struct mcq_group_view *v,
                   const struct mcq_steer_choice *choice, uint32_t own)
{
    return v != NULL && g->queue_fd < 0 && choice->why == MCQ_STEER_WHY_MODE &&
           v->tables.conf.mode == MCQ_STEER_BY_HASH && v->tables.conf.is_live[own];
}

/* --- passing --------------------------------------------------------------------------------- */

static bool pass_on(struct mcq_shard *sh, uint32_t to, const struct mcq_group_pass *pass)
{
    struct mcq_group_passes *waiting = &sh->passes;
    if (sh->mesh == NULL)
        return false;
    if (waiting->cnt == 0 &&
        mcq_mesh_send(sh->mesh, to, MCQ_LANE_BULK, MCQ_MESH_ACCEPT, pass, sizeof(*pass)))
        return true;
    if (waiting->cnt == MCQ_GROUP_PASSES_MAX)
        return false;
    waiting->to[waiting->cnt] = to;
    waiting->pass[waiting->cnt++] = *pass;
    return true;
}

/* By the tables of the group itself, for a shard that has no part in it, or none any more. */
static bool pass_further(struct mcq_shard *sh, const struct mcq_group_pass *pass)
{
    struct mcq_groups *all = &sh->roster->groups;
    struct mcq_steer_input in = {.random = (uint32_t)mcq_loop_random(sh->loop)};
    struct mcq_steer_choice choice = {0};
    struct mcq_group_pass next = *pass;
    input_of(pass->fd, &in);
    pthread_mutex_lock(&all->mutex);
    struct mcq_group *g = mcq_group_at(all, pass->group, pass->epoch);
    bool passed =
        g != NULL && mcq_steer_tables_decide(&g->tables, &in, &choice) && choice.shard != sh->id;
    next.why = choice.why;
    passed = passed && pass_on(sh, choice.shard, &next);
    if (passed)
        count(&g->members[sh->id].passed_out);
    pthread_mutex_unlock(&all->mutex);
    return passed;
}

static bool place_by_view(struct mcq_listener *l, struct mcq_group_member *m,
                          struct mcq_group_pass *pass)
{
    struct mcq_shard *sh = l->sock->shard;
    struct mcq_group_view *v = m->view;
    struct mcq_steer_choice choice = {0};
    struct mcq_steer_input in = {.random = next_random(v)};
    input_of(pass->fd, &in);
    refresh(&sh->roster->groups, l->group, v);
    if (!mcq_steer_tables_decide(&v->tables, &in, &choice))
        return false;
    if (stands(l->group, v, &choice, sh->id))
        choice.shard = sh->id;
    if (choice.rule < MCQ_STEER_RULE_CNT)
        count(&v->hits[choice.rule]);
    pass->why = choice.why;
    bool ours = choice.shard == sh->id;
    if (!ours && pass_on(sh, choice.shard, pass)) {
        count(&m->passed_out);
        return true;
    }
    if (!ours)
        count(&m->misplaced);
    count(&v->why[choice.why]);
    return false;
}

bool mcq_group_place(struct mcq_listener *l, int fd)
{
    struct mcq_shard *sh = l->sock->shard;
    struct mcq_group *g = l->group;
    struct mcq_group_member *m = &g->members[sh->id];
    struct mcq_group_pass pass = {
        .fd = fd, .logical = l->sock->logical, .group = g->idx, .epoch = g->epoch};
    if (m->view != NULL)
        return place_by_view(l, m, &pass);
    return (l->closing || l->suspended) && pass_further(sh, &pass);
}

/* Still among those that the policy may choose. */
static bool takes_part(const struct mcq_listener *l)
{
    const struct mcq_shard *sh = l->sock->shard;
    struct mcq_group_view *v = l->group->members[sh->id].view;
    if (l->closing || l->suspended || v == NULL)
        return !l->closing && !l->suspended;
    refresh(&sh->roster->groups, l->group, v);
    return v->tables.conf.is_live[sh->id] != 0;
}

static void arrive(struct mcq_listener *l, const struct mcq_group_pass *pass)
{
    struct mcq_group_member *m = &l->group->members[l->sock->shard->id];
    count(&m->passed_in);
    if (m->view != NULL)
        count(&m->view->why[pass->why]);
}

/* This shard may have left meanwhile; if all others have, too, it ends as at a listener that
 * closes. */
void mcq_group_arrived(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    struct mcq_group_pass pass;
    (void)from;
    MCQ_ASSERT(len >= sizeof(pass));
    mcq_bytes_copy(&pass, body, sizeof(pass));
    MCQ_ASSERT(pass.logical < MCQ_LOGICALS_MAX && pass.why < MCQ_STEER_WHY_CNT);
    struct mcq_sock *sock = sh->members[pass.logical];
    struct mcq_listener *l = sock == NULL ? NULL : mcq_group_listener(sock, pass.group, pass.epoch);
    if ((l == NULL || !takes_part(l)) && pass_further(sh, &pass))
        return;
    if (l != NULL)
        arrive(l, &pass);
    if (sock != NULL) {
        mcq_link_accept(sock, pass.fd);
        return;
    }
    sh->stats.loop.conns_refused++;
    mcq_net_close(pass.fd);
}

void mcq_group_run(struct mcq_shard *sh)
{
    struct mcq_group_passes *waiting = &sh->passes;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < waiting->cnt; i++) {
        if (mcq_mesh_send(sh->mesh, waiting->to[i], MCQ_LANE_BULK, MCQ_MESH_ACCEPT,
                          &waiting->pass[i], sizeof(waiting->pass[i])))
            continue;
        waiting->to[kept] = waiting->to[i];
        waiting->pass[kept++] = waiting->pass[i];
    }
    waiting->cnt = kept;
}

void mcq_group_drop_passes(struct mcq_shard *sh)
{
    while (sh->passes.cnt > 0)
        mcq_net_close(sh->passes.pass[--sh->passes.cnt].fd);
}
