#include "shards/inproc.h"

#include "mem/detail.h"
#include "shards/inproc_far.h"
#include "shards/shard.h"

void mcq_inproc_init(struct mcq_inproc *in)
{
    mcq_list_init(&in->due);
    mcq_list_init(&in->waiting);
    mcq_list_init(&in->names);
}

/* --- names --------------------------------------------------------------------------------- */

/* The app's; NULL if all of it is this shard. */
static struct mcq_inproc_names *app_names(const struct mcq_shard *sh)
{
    return sh->roster == NULL || sh->roster->cnt == 1 ? NULL : &sh->roster->names;
}

static struct mcq_listener *named(struct mcq_node *n)
{
    return MCQ_CONTAINER_OF(n, struct mcq_listener, name_node);
}

static struct mcq_listener *find(const struct mcq_inproc *in, const char *text)
{
    for (struct mcq_node *n = mcq_list_first(&in->names); n != NULL;
         n = mcq_list_next(&in->names, n))
        if (__builtin_strcmp(named(n)->text, text) == 0)
            return named(n);
    return NULL;
}

enum mcq_error mcq_inproc_bind(struct mcq_listener *l, const char *name, struct mcq_detail *detail)
{
    struct mcq_shard *sh = l->sock->shard;
    struct mcq_inproc *in = &sh->inproc;
    struct mcq_inproc_names *names = app_names(sh);
    enum mcq_error err = MCQ_OK;
    struct mcq_writer w = mcq_writer_of(l->text, sizeof(l->text) - 1);
    if (!mcq_writer_put(&w, mcq_slice_of_text("inproc://")) ||
        !mcq_writer_put(&w, mcq_slice_of_text(name)))
        MCQ_ASSERT(false); /* the parser has measured it */
    if (find(in, l->text) != NULL)
        return mcq_detail_set(
            detail, MCQ_EADDRINUSE, 0,
            "'%.72s': a socket of this shard has that name: unbind it first, or take "
            "another name",
            l->text);
    if (names != NULL)
        err = mcq_inproc_names_enter(names, l->text, sh->id, l->sock->logical, detail);
    if (err == MCQ_OK)
        mcq_list_push_back(&in->names, &l->name_node);
    return err;
}

void mcq_inproc_look_again(struct mcq_shard *sh, const char *text)
{
    struct mcq_inproc *in = &sh->inproc;
    struct mcq_node *next;
    for (struct mcq_node *n = mcq_list_first(&in->waiting); n != NULL; n = next) {
        struct mcq_link *link = MCQ_CONTAINER_OF(n, struct mcq_link, inproc.node);
        next = mcq_list_next(&in->waiting, n);
        if (text != NULL && __builtin_strcmp(link->target->text, text) != 0)
            continue;
        mcq_node_unlink(n);
        mcq_link_touch(link);
    }
}

void mcq_inproc_bound(struct mcq_listener *l)
{
    struct mcq_shard *sh = l->sock->shard;
    struct mcq_inproc_names *names = app_names(sh);
    mcq_inproc_look_again(sh, l->text);
    if (names == NULL)
        return;
    mcq_inproc_names_announce(names, l->text, sh->id, &sh->inproc.tell);
    sh->inproc.tells = true;
}

void mcq_inproc_unbind(struct mcq_listener *l)
{
    struct mcq_inproc_names *names = app_names(l->sock->shard);
    if (names != NULL && mcq_node_linked(&l->name_node))
        mcq_inproc_names_leave(names, l->text, l->sock->shard->id);
    mcq_node_unlink(&l->name_node);
}

struct mcq_sock *mcq_inproc_find(struct mcq_shard *sh, const char *text)
{
    const struct mcq_listener *l = find(&sh->inproc, text);
    return l != NULL && l->announced ? l->sock : NULL;
}

/* --- joining ------------------------------------------------------------------------------- */

static void refused(struct mcq_link *link, struct mcq_sock *sock)
{
    enum mcq_reason reason = sock->closing ? MCQ_REASON_LOCAL : MCQ_REASON_LIMIT;
    const char *detail = sock->closing ? "" : "all connections are in use";
    link->shard->stats.pattern.peers_refused++;
    mcq_sock_tell(sock, &(struct mcq_event){.kind = MCQ_EVENT_REFUSED,
                                            .reason = reason,
                                            .endpoint = link->target->text,
                                            .detail = detail});
    link->session.reason = reason;
    mcq_link_tell(link, &(struct mcq_event){.kind = MCQ_EVENT_HANDSHAKE_FAILED,
                                            .reason = reason,
                                            .detail = detail});
    mcq_target_retry(link);
}

static void open_side(struct mcq_link *link, struct mcq_link *partner)
{
    link->session = (struct mcq_session){.msgs_out_base = link->pipe.msgs_out,
                                         .msgs_out_counted = link->pipe.msgs_out};
    link->inproc = (struct mcq_inproc_side){.partner = partner};
    link->pipe.whole = true;
    link->pipe.lends = false;
    link->state = MCQ_LINK_SESSION;
}

static bool may_meet(const struct mcq_link *a, const struct mcq_link *b)
{
    return (a->sock->psock.pattern->peer_mask >> b->sock->psock.pattern->type & 1) != 0;
}

void mcq_inproc_misfit(struct mcq_link *link)
{
    link->session.detail = "the two socket types don't go together";
    mcq_session_end(link, MCQ_REASON_INCOMPATIBLE, 0);
}

/* Handlers run in between, and may end either side. */
static void join(struct mcq_link *link, struct mcq_sock *sock)
{
    struct mcq_link *other = sock->closing ? NULL : mcq_link_create(sock);
    if (other == NULL) {
        refused(link, sock);
        return;
    }
    open_side(link, other);
    open_side(other, link);
    mcq_link_tell(other, &(struct mcq_event){.kind = MCQ_EVENT_ACCEPTED});
    mcq_link_tell(link, &(struct mcq_event){.kind = MCQ_EVENT_CONNECTED});
    if (!may_meet(link, other)) {
        mcq_inproc_misfit(link);
        mcq_inproc_misfit(other);
    } else if (mcq_link_up(other) && !link->session.ended) {
        (void)mcq_link_up(link);
    }
}

void mcq_inproc_connect(struct mcq_link *link)
{
    struct mcq_inproc *in = &link->shard->inproc;
    struct mcq_inproc_names *names = app_names(link->shard);
    struct mcq_sock *sock = mcq_inproc_find(link->shard, link->target->text);
    uint32_t shard = link->shard->id;
    if (sock != NULL) {
        mcq_node_unlink(&link->inproc.node);
        join(link, sock);
    } else if (names != NULL &&
               mcq_inproc_names_find(names, link->target->text, link->shard->id, &shard) &&
               shard != link->shard->id) {
        mcq_node_unlink(&link->inproc.node);
        mcq_inproc_far_connect(link, shard);
    } else if (link->state != MCQ_LINK_RESOLVING) {
        link->state = MCQ_LINK_RESOLVING;
        mcq_list_push_back(&in->waiting, &link->inproc.node);
        mcq_link_touch(link);
    } else if (!mcq_node_linked(&link->inproc.node)) { /* the one who told us has unbound since */
        mcq_list_push_back(&in->waiting, &link->inproc.node);
    }
}

/* --- the end ------------------------------------------------------------------------------- */

enum mcq_reason mcq_inproc_echo(const struct mcq_link *link)
{
    enum mcq_reason reason = link->session.reason;
    if (link->pipe.peer.bits == 0 || link->refused)
        return reason;
    return reason == MCQ_REASON_LOCAL ? MCQ_REASON_PEER_CLOSED : MCQ_REASON_RESET;
}

/* The accepted side first, and with its partner still: its peer's endpoint is that of the connect,
 * which may go with its end. */
static void part(struct mcq_link *link)
{
    struct mcq_link *other = link->inproc.partner;
    struct mcq_link *accepted = link->target == NULL ? link : other;
    struct mcq_link *connected = accepted->inproc.partner;
    mcq_session_end(link, mcq_inproc_echo(other), 0);
    mcq_session_end(other, mcq_inproc_echo(link), 0);
    mcq_node_unlink(&link->inproc.node);
    mcq_node_unlink(&other->inproc.node);
    connected->inproc.partner = NULL;
    mcq_link_event(accepted, &(struct mcq_io_event){.kind = MCQ_IO_CLOSED});
    mcq_link_event(connected, &(struct mcq_io_event){.kind = MCQ_IO_CLOSED});
}

void mcq_inproc_closed(struct mcq_link *link, struct mcq_report *report)
{
    const struct mcq_inproc_side *side = &link->inproc;
    uint64_t msgs_out = link->pipe.msgs_out - link->session.msgs_out_base;
    *report = (struct mcq_report){
        .msgs_in = link->session.msgs_in,
        .msgs_out = msgs_out,
        .bytes_in = side->bytes_in,
        .bytes_out = side->bytes_out,
        .unacked_known = true,
        .lost_lo = msgs_out - side->lost,
        .lost_hi = msgs_out,
    };
}

/* --- the turn ------------------------------------------------------------------------------ */

void mcq_inproc_due(struct mcq_link *link)
{
    if (link->inproc.partner != NULL && !mcq_node_linked(&link->inproc.node))
        mcq_list_push_back(&link->shard->inproc.due, &link->inproc.node);
}

/* Those that become due meanwhile have their turn in the next hop. */
uint64_t mcq_inproc_run(struct mcq_shard *sh)
{
    const uint64_t msgs = sh->stats.proto.msgs_in;
    struct mcq_list due;
    struct mcq_node *n;
    mcq_list_init(&due);
    while ((n = mcq_list_pop_front(&sh->inproc.due)) != NULL)
        mcq_list_push_back(&due, n);
    while ((n = mcq_list_pop_front(&due)) != NULL) {
        struct mcq_link *link = MCQ_CONTAINER_OF(n, struct mcq_link, inproc.node);
        if (link->session.ended || link->inproc.partner->session.ended)
            part(link);
        else
            mcq_inproc_hop(link);
    }
    sh->stats.hops++;
    return sh->stats.proto.msgs_in - msgs;
}
