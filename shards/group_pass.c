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

/* On the first rung the tables are the kernel's, and this is asked while a listener closes. */
static bool decide(struct mcq_groups *all, struct mcq_group *g, struct mcq_group_view *v,
                   const struct mcq_steer_input *in, struct mcq_steer_choice *choice)
{
    if (v != NULL) {
        refresh(all, g, v);
        return mcq_steer_tables_decide(&v->tables, in, choice);
    }
    pthread_mutex_lock(&all->mutex);
    bool found = mcq_steer_tables_decide(&g->tables, in, choice);
    pthread_mutex_unlock(&all->mutex);
    return found;
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

bool mcq_group_place(struct mcq_listener *l, int fd)
{
    struct mcq_shard *sh = l->sock->shard;
    struct mcq_groups *all = &sh->roster->groups;
    struct mcq_group *g = l->group;
    struct mcq_group_member *m = &g->members[sh->id];
    struct mcq_steer_choice choice = {0};
    if (m->view == NULL && !l->closing && !l->suspended)
        return false;
    struct mcq_steer_input in = {.random = m->view != NULL ? next_random(m->view)
                                                           : (uint32_t)mcq_loop_random(sh->loop)};
    input_of(fd, &in);
    if (!decide(all, g, m->view, &in, &choice))
        return false;
    if (stands(g, m->view, &choice, sh->id))
        choice.shard = sh->id;
    if (m->view != NULL && choice.rule < MCQ_STEER_RULE_CNT)
        count(&m->view->hits[choice.rule]);
    const struct mcq_group_pass pass = {.fd = fd,
                                        .logical = l->sock->logical,
                                        .group = g->idx,
                                        .epoch = g->epoch,
                                        .why = choice.why};
    if (choice.shard != sh->id && pass_on(sh, choice.shard, &pass)) {
        count(&m->passed_out);
        return true;
    }
    if (choice.shard != sh->id)
        count(&m->misplaced);
    if (m->view != NULL)
        count(&m->view->why[choice.why]);
    return false;
}

static void arrive(struct mcq_listener *l, const struct mcq_group_pass *pass)
{
    struct mcq_group_member *m = &l->group->members[l->sock->shard->id];
    count(&m->passed_in);
    if (m->view != NULL && pass->why < MCQ_STEER_WHY_CNT)
        count(&m->view->why[pass->why]);
}

/* Whoever has gone meanwhile may be the last: then it ends as at a listener that closes. */
void mcq_group_arrived(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    struct mcq_group_pass pass;
    (void)from;
    MCQ_ASSERT(len >= sizeof(pass));
    mcq_bytes_copy(&pass, body, sizeof(pass));
    MCQ_ASSERT(pass.logical < MCQ_LOGICALS_MAX);
    struct mcq_sock *sock = sh->members[pass.logical];
    if (sock == NULL) {
        sh->stats.loop.conns_refused++;
        mcq_net_close(pass.fd);
        return;
    }
    struct mcq_listener *l = mcq_group_listener(sock, pass.group, pass.epoch);
    if (l != NULL && l->closing && mcq_group_place(l, pass.fd))
        return;
    if (l != NULL)
        arrive(l, &pass);
    mcq_link_accept(sock, pass.fd);
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
