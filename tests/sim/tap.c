#include "tests/sim/tap.h"

#include "shards/group_private.h"
#include "tests/sim/file.h"
#include "tests/sim/machine.h"

static void tap_stream(const struct mcq_link *link, struct mcq_tap_link *out)
{
    const struct mcq_conn *c = link->session.conn;
    if (c == NULL || c->fd < 0)
        return;
    const struct mcq_sim_file *f = mcq_sim_fd_file(mcq_sim.selected, c->fd, "tap");
    if (f->stream == NULL)
        return;
    out->stream = f->stream->number;
    out->side = f->side;
    out->dead = f->stream->dead;
}

uint32_t mcq_tap_links(const struct mcq_sock *s, struct mcq_tap_link out[MCQ_TAP_LINKS_MAX])
{
    uint32_t n = 0;
    for (struct mcq_node *at = mcq_list_first(&s->links); at != NULL;
         at = mcq_list_next(&s->links, at)) {
        const struct mcq_link *link = MCQ_CONTAINER_OF(at, struct mcq_link, sock_node);
        const struct mcq_pipe *p = &link->pipe;
        if (n == MCQ_TAP_LINKS_MAX)
            mcq_sim_fail("a socket has more than %u links", MCQ_TAP_LINKS_MAX);
        out[n] = (struct mcq_tap_link){
            .link = link,
            .target = link->target == NULL ? NULL : link->target->text,
            .peer = p->peer,
            .up = p->up,
            .member = mcq_node_linked(&p->peers_node),
            .closing = link->closing,
            .probe = p->probe != NULL,
            .out = p->msgs_out,
            .queued = mcq_pipe_queued_msgs(p),
            .dropped = p->dropped,
            .side = link->target == NULL,
            .partner = link->inproc.partner,
        };
        tap_stream(link, &out[n++]);
    }
    return n;
}

bool mcq_tap_up(const struct mcq_sock *s, struct mcq_peer peer)
{
    const struct mcq_link *link = mcq_link_of_peer(s, peer);
    return link != NULL && link->pipe.up && !link->pipe.ending && !link->session.ended &&
           link->session.end_due == MCQ_REASON_NONE;
}

bool mcq_tap_steering(const struct mcq_sock *s, struct mcq_tap_steering *out)
{
    const struct mcq_group *g = NULL;
    for (struct mcq_node *n = mcq_list_first(&s->listeners); n != NULL;
         n = mcq_list_next(&s->listeners, n)) {
        const struct mcq_listener *l = MCQ_CONTAINER_OF(n, struct mcq_listener, sock_node);
        if (l->group != NULL && !l->closing)
            g = l->group;
    }
    if (g == NULL)
        return false;
    *out = (struct mcq_tap_steering){g->epoch, g->generation, g->tables.conf.is_live};
    return true;
}

uint64_t mcq_tap_born_ns(const struct mcq_sock *s, struct mcq_peer peer)
{
    const struct mcq_link *link = mcq_link_of_peer(s, peer);
    const struct mcq_sim_file *f = mcq_sim_fd_file(mcq_sim.selected, link->session.conn->fd, "tap");
    return f->stream == NULL ? 0 : f->stream->born_ns;
}

static const char *pool_leftover(const struct mcq_pool *p)
{
    return p->in_use == 0 ? NULL : p->name;
}

const char *mcq_tap_leftover(const struct mcq_shard *sh)
{
    const struct mcq_pool *const pools[] = {
        &sh->links,
        &sh->socks,
        &sh->listeners,
        &sh->targets,
        &sh->segs,
        &sh->shared->fanout.topics,
        &sh->shared->fanout.subs,
        &sh->shared->own_subs,
    };
    const char *name = NULL;
    for (size_t i = 0; i < MCQ_CNT_OF(pools) && name == NULL; i++)
        name = pool_leftover(pools[i]);
    return name;
}
