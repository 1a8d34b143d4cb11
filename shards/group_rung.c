/* The ladder: how the kernel is told who gets whom, as far as it can be. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "mem/detail.h"
#include "mem/slice.h"
#include "runtime/net.h"
#include "shards/group_private.h"
#include "shards/shard.h"

static void because(struct mcq_group *g, const char *text)
{
    snprintf(g->reason, sizeof(g->reason), "%.*s", (int)sizeof(g->reason) - 1, text);
}

/* --- the address ----------------------------------------------------------------------------- */

static bool has_port(const struct mcq_addr *addr)
{
    struct sockaddr_in in; /* sockaddr_in6 has the port in the same place */
    mcq_bytes_copy(&in, &addr->ss, sizeof(in));
    return in.sin_port != 0;
}

static enum mcq_error claim(struct mcq_group *g, const struct mcq_addr *addr,
                            struct mcq_detail *detail)
{
    int fd = mcq_net_claim(addr);
    if (fd == -EADDRINUSE)
        return mcq_detail_set(
            detail, MCQ_EADDRINUSE, EADDRINUSE,
            "a logical socket of another process, or of this one by another name or "
            "text, has this address or one that overlaps (* is all of a port): choose "
            "another, or bind all members by the same text");
    if (fd < 0)
        return mcq_detail_set(detail, MCQ_EOS, -fd,
                              "the address can't be locked: error %d of the "
                              "system",
                              -fd);
    g->claim_fd = fd;
    return MCQ_OK;
}

/* Fails if anybody else listens there, whatever that one shares. */
static int probe(const struct mcq_addr *addr, const struct mcq_sockopts *so)
{
    struct mcq_addr bound;
    int fd = mcq_net_bind(addr, so, false, &bound);
    mcq_net_close(fd);
    return fd < 0 ? fd : 0;
}

/* A socket that others of this process may join. probed: what a bind that shares nothing says. */
static enum mcq_error bind_shared(struct mcq_group *g, const struct mcq_listener *l,
                                  const struct mcq_endpoint *ep, int probed, int *fd,
                                  struct mcq_detail *detail)
{
    const struct mcq_sockopts *so = &l->sock->sockopts;
    bool fixed = has_port(&ep->addr);
    enum mcq_error err = fixed ? claim(g, &ep->addr, detail) : MCQ_OK;
    if (err != MCQ_OK)
        return err;
    *fd = fixed && probed != 0 ? probed : mcq_net_bind(&ep->addr, so, true, &g->addr);
    if (*fd < 0)
        return mcq_listen_explain(so, -*fd, detail);
    if (!fixed)
        err = claim(g, &g->addr, detail);
    if (err != MCQ_OK) {
        mcq_net_close(*fd);
        *fd = -1;
    }
    return err;
}

/* --- one queue for all ----------------------------------------------------------------------- */

static enum mcq_error open_queue(struct mcq_group *g, const struct mcq_listener *l,
                                 const struct mcq_endpoint *ep, struct mcq_detail *detail)
{
    const struct mcq_sockopts *so = &l->sock->sockopts;
    g->rung = MCQ_STEER_RUNG_HANDOFF;
    g->queue_fd = mcq_net_listen(&ep->addr, so, g->backlog, &g->addr);
    if (g->queue_fd >= 0)
        return MCQ_OK;
    int os = -g->queue_fd;
    g->queue_fd = -1;
    return mcq_listen_explain(so, os, detail);
}

/* --- programs -------------------------------------------------------------------------------- */

static void tell_about(struct mcq_group *g, const struct mcq_steer_tables *t,
                       struct mcq_steer_about *about)
{
    *about = (struct mcq_steer_about){.version = MCQ_STEER_LAYOUT_VERSION,
                                      .pid = mcq_steer_pins_pid(),
                                      .shard_cnt = g->shard_cnt};
    mcq_bytes_copy(about->weights, t->weights, sizeof(about->weights));
    snprintf(about->name, sizeof(about->name), "%s", g->name);
    snprintf(about->endpoint, sizeof(about->endpoint), "%s", g->endpoint);
}

/* What the options said, into maps that are empty. */
static enum mcq_error fill(void *arg, struct mcq_steer_tables *t, struct mcq_detail *detail)
{
    const struct mcq_group *g = arg;
    const struct mcq_steer_load *load = t->load;
    (void)detail;
    *t = g->tables;
    t->load = load;
    return MCQ_OK;
}

static bool pass_over(void *ctx, const char *path)
{
    (void)ctx, (void)path;
    return true;
}

/* A service that is killed and started again leaves no heap of pins behind. */
static void pin(struct mcq_group *g)
{
    char name[MCQ_STEER_NAME_LEN + MCQ_ENDPOINT_LEN_MAX];
    struct mcq_detail why = {.text = ""};
    const char *address = strstr(g->endpoint, "://");
    snprintf(name, sizeof(name), "%s-%s", g->name, address != NULL ? address + 3 : "");
    if (mcq_steer_list(pass_over, NULL, &why) != MCQ_OK ||
        mcq_steer_maps_pin(g->maps, name, &why) != MCQ_OK)
        snprintf(g->reason, sizeof(g->reason), "not pinned: %.140s", why.text);
}

static enum mcq_error try_ebpf(struct mcq_group *g, struct mcq_groups *all, int fd,
                               struct mcq_detail *why)
{
    struct mcq_steer_about about;
    if (all->load_fd < 0 && all->load != NULL)
        all->load_fd = mcq_steer_load_create(all->load);
    enum mcq_error err = mcq_steer_maps_create(&g->maps, all->load_fd, why);
    if (err != MCQ_OK) {
        g->maps = NULL;
        return err;
    }
    tell_about(g, &g->tables, &about);
    err = mcq_steer_maps_tell(g->maps, &about, why);
    if (err == MCQ_OK)
        err = mcq_steer_maps_edit(g->maps, fill, g, why);
    if (err == MCQ_OK)
        err = mcq_steer_maps_attach(g->maps, fd, why);
    if (err == MCQ_OK) {
        pin(g);
        return MCQ_OK;
    }
    mcq_steer_maps_destroy(g->maps);
    g->maps = NULL;
    return err;
}

/* place[shard] of the listeners that the kernel has. */
static void places_of(const struct mcq_group *g, uint32_t place[MCQ_STEER_SHARD_CNT])
{
    for (uint32_t i = 0; i < MCQ_STEER_SHARD_CNT; i++)
        place[i] = MCQ_STEER_CBPF_NONE;
    for (uint32_t i = 0; i < g->order_cnt; i++)
        place[g->order[i]] = i;
}

static int attach_cbpf(struct mcq_group *g, int fd)
{
    uint32_t place[MCQ_STEER_SHARD_CNT];
    places_of(g, place);
    return mcq_steer_cbpf_attach(fd, g->cbpf, &g->tables, place, g->addr.ss.ss_family == AF_INET6);
}

static bool try_cbpf(struct mcq_group *g, int fd)
{
    g->cbpf = mcq_steer_cbpf_create();
    int err = g->cbpf == NULL ? -ENOMEM : attach_cbpf(g, fd);
    if (err == 0)
        return true;
    snprintf(g->reason, sizeof(g->reason), "classic BPF: error %d of the system", -err);
    mcq_steer_cbpf_destroy(g->cbpf);
    g->cbpf = NULL;
    return false;
}

static void climb_down(struct mcq_group *g, struct mcq_groups *all, enum mcq_steer_rung highest,
                       int fd)
{
    struct mcq_detail why = {.text = ""};
    if (highest <= MCQ_STEER_RUNG_EBPF && try_ebpf(g, all, fd, &why) == MCQ_OK) {
        g->rung = MCQ_STEER_RUNG_EBPF;
        return;
    }
    because(g, highest <= MCQ_STEER_RUNG_EBPF ? why.text : "as asked for");
    if (highest <= MCQ_STEER_RUNG_CBPF && try_cbpf(g, fd))
        g->rung = MCQ_STEER_RUNG_CBPF;
    else
        g->rung = MCQ_STEER_RUNG_KERNEL;
}

static void log_rung(const struct mcq_group *g, const struct mcq_listener *l)
{
    mcq_log_line(&l->sock->shard->log, MCQ_LOG_INFO, "logical '%s' at %s: steered by %s%s%s%s%s",
                 g->name, g->endpoint, mcq_steer_rung_name(g->rung),
                 g->reason[0] != '\0' ? ": " : "", g->reason,
                 g->maps != NULL && mcq_steer_maps_path(g->maps)[0] != '\0' ? ", pinned at " : "",
                 g->maps != NULL ? mcq_steer_maps_path(g->maps) : "");
}

enum mcq_error mcq_group_rung_open(struct mcq_group *g, struct mcq_listener *l,
                                   const struct mcq_endpoint *ep, enum mcq_steer_rung highest,
                                   struct mcq_groups *all, int *fd, struct mcq_detail *detail)
{
    *fd = -1;
    g->unix_domain = ep->addr.ss.ss_family == AF_UNIX;
    bool one_queue = g->unix_domain || highest == MCQ_STEER_RUNG_HANDOFF;
    int probed = one_queue ? 0 : probe(&ep->addr, &l->sock->sockopts);
    because(g, g->unix_domain ? "a unix socket has one queue" : "as asked for");
    if (probed == -EOPNOTSUPP) {
        one_queue = true;
        because(g, "no address can be shared here");
    }
    enum mcq_error err =
        one_queue ? open_queue(g, l, ep, detail) : bind_shared(g, l, ep, probed, fd, detail);
    if (err != MCQ_OK)
        return err;
    mcq_endpoint_format(&g->addr, g->endpoint);
    if (!one_queue) {
        because(g, "");
        climb_down(g, all, highest, *fd);
    }
    log_rung(g, l);
    return MCQ_OK;
}

void mcq_group_rung_close(struct mcq_group *g)
{
    if (g->maps != NULL)
        mcq_steer_maps_destroy(g->maps);
    mcq_steer_cbpf_destroy(g->cbpf);
    mcq_net_close(g->queue_fd);
    if (g->queue_fd >= 0)
        mcq_net_unlink(&g->addr);
    mcq_net_close(g->claim_fd);
}

/* --- members come and go --------------------------------------------------------------------- */

/* A member that listens: the program of a group is attached through any of them, but not through
 * one whose number may be another file's by now. */
static int any_fd(const struct mcq_group *g)
{
    for (uint32_t i = 0; i < g->order_cnt; i++)
        if (!g->members[g->order[i]].parting)
            return g->members[g->order[i]].fd;
    return -1;
}

void mcq_group_rung_follow(struct mcq_group *g)
{
    if (g->rung == MCQ_STEER_RUNG_CBPF && any_fd(g) >= 0)
        (void)attach_cbpf(g, any_fd(g)); /* the old one stays: who accepts looks again */
}

void mcq_group_rung_enter(struct mcq_group *g, uint32_t shard)
{
    struct mcq_detail why = {.text = ""};
    const struct mcq_group_member *m = &g->members[shard];
    enum mcq_error err = MCQ_OK;
    if (g->queue_fd >= 0)
        return;
    MCQ_ASSERT(g->order_cnt < MCQ_STEER_SHARD_CNT);
    g->order[g->order_cnt++] = shard;
    if (g->maps != NULL && g->order_cnt == 1)
        err = mcq_steer_maps_attach(g->maps, m->fd, &why);
    if (g->maps != NULL && err == MCQ_OK)
        err = mcq_steer_maps_enter(g->maps, shard, m->fd, &why);
    if (err != MCQ_OK)
        snprintf(g->reason, sizeof(g->reason), "shard %u: %.120s", shard, why.text);
}

void mcq_group_rung_leave(struct mcq_group *g, uint32_t shard)
{
    uint32_t i = 0;
    while (i < g->order_cnt && g->order[i] != shard)
        i++;
    if (i == g->order_cnt)
        return;
    g->order[i] = g->order[--g->order_cnt]; /* as the kernel does */
    mcq_group_rung_follow(g);
}
