#include "shards/placement.h"

#include "shards/shard.h"

#define NO_MEMBER UINT32_MAX

struct load_record {
    uint32_t logical;
    uint32_t cnt; /* NO_MEMBER: not any more */
};

static size_t loads_len(uint32_t shards)
{
    return sizeof(struct mcq_load) * MCQ_LOGICALS_MAX * shards;
}

size_t mcq_placement_footprint(uint32_t shards)
{
    return loads_len(shards) + MCQ_CACHE_LINE;
}

bool mcq_placement_init(struct mcq_placements *p, struct mcq_arena *arena, uint32_t shards)
{
    *p = (struct mcq_placements){
        .shards = shards,
        .loads = mcq_arena_carve(arena, loads_len(shards), MCQ_CACHE_LINE),
    };
    mcq_list_init(&p->news);
    for (uint32_t i = 0; p->loads != NULL && i < MCQ_LOGICALS_MAX * shards; i++)
        p->loads[i] = (struct mcq_load){.cnt = NO_MEMBER};
    return p->loads != NULL;
}

static struct mcq_load *load_of(struct mcq_shard *sh, uint32_t logical, uint32_t shard)
{
    return &sh->placement.loads[logical * sh->placement.shards + shard];
}

static bool counts(const struct mcq_sock *sock)
{
    return sock->logical != MCQ_LOGICAL_NONE && sock->opts.placement == MCQ_PLACEMENT_LEAST &&
           sock->shard->mesh != NULL;
}

/* --- telling ------------------------------------------------------------------------------- */

static void tell(struct mcq_sock *sock)
{
    sock->load_next = 0;
    if (!mcq_node_linked(&sock->load_node))
        mcq_list_push_back(&sock->shard->placement.news, &sock->load_node);
}

void mcq_placement_count(struct mcq_sock *sock, int more)
{
    if (!counts(sock))
        return;
    load_of(sock->shard, sock->logical, sock->shard->id)->cnt += (uint32_t)more;
    tell(sock);
}

void mcq_placement_leaves(struct mcq_sock *sock, uint32_t to, int more)
{
    if (!counts(sock))
        return;
    load_of(sock->shard, sock->logical, to)->coming += (uint32_t)more;
    load_of(sock->shard, sock->logical, sock->shard->id)->coming += (uint32_t)more;
    tell(sock);
}

void mcq_placement_left(struct mcq_sock *sock, uint32_t to)
{
    mcq_placement_leaves(sock, to, -1);
    mcq_placement_count(sock, -1);
}

void mcq_placement_open(struct mcq_sock *sock)
{
    if (!counts(sock))
        return;
    load_of(sock->shard, sock->logical, sock->shard->id)->cnt = 0;
    tell(sock);
}

/* What isn't told any more is found out by who sends a peer: the member refuses it. */
void mcq_placement_close(struct mcq_sock *sock)
{
    if (sock->logical != MCQ_LOGICAL_NONE)
        load_of(sock->shard, sock->logical, sock->shard->id)->cnt = NO_MEMBER;
    mcq_node_unlink(&sock->load_node);
}

/* Without those that leave. */
static uint32_t own_load(struct mcq_shard *sh, uint32_t logical)
{
    const struct mcq_load *l = load_of(sh, logical, sh->id);
    return l->cnt == NO_MEMBER ? NO_MEMBER : l->cnt - l->coming;
}

static bool tell_all(struct mcq_shard *sh, struct mcq_sock *sock)
{
    const struct load_record r = {sock->logical, own_load(sh, sock->logical)};
    for (; sock->load_next < sh->placement.shards; sock->load_next++)
        if (sock->load_next != sh->id &&
            !mcq_mesh_send(sh->mesh, sock->load_next, MCQ_LANE_BULK, MCQ_MESH_LOAD, &r, sizeof(r)))
            return false;
    mcq_node_unlink(&sock->load_node);
    return true;
}

void mcq_placement_run(struct mcq_shard *sh)
{
    struct mcq_node *next;
    for (struct mcq_node *n = mcq_list_first(&sh->placement.news); n != NULL; n = next) {
        next = mcq_list_next(&sh->placement.news, n);
        (void)tell_all(sh, MCQ_CONTAINER_OF(n, struct mcq_sock, load_node));
    }
}

void mcq_placement_arrived(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    const struct load_record *r = body;
    MCQ_ASSERT(len == sizeof(*r) && r->logical < MCQ_LOGICALS_MAX);
    load_of(sh, r->logical, from)->cnt = r->cnt;
}

/* --- choosing ------------------------------------------------------------------------------ */

/* Of equals the own shard, which spares the way. Its own number has the peer in it already. */
static uint32_t least(struct mcq_sock *sock)
{
    struct mcq_shard *sh = sock->shard;
    uint32_t best = sh->id;
    uint32_t best_cnt = own_load(sh, sock->logical) - 1;
    for (uint32_t i = 0; i < sh->placement.shards; i++) {
        const struct mcq_load *l = load_of(sh, sock->logical, i);
        if (i != sh->id && l->cnt != NO_MEMBER && l->cnt + l->coming < best_cnt) {
            best = i;
            best_cnt = l->cnt + l->coming;
        }
    }
    return best;
}

static uint32_t choose(struct mcq_link *link)
{
    struct mcq_sock *sock = link->sock;
    switch (sock->opts.placement) {
    case MCQ_PLACEMENT_NONE:
        break;
    case MCQ_PLACEMENT_LEAST:
        return least(sock);
    case MCQ_PLACEMENT_HANDLER: {
        struct mcq_slice id = mcq_zmtp_peer_identity(&link->session.zmtp);
        if (sock->handlers.place != NULL)
            return sock->handlers.place(sock->ctx, sock, id.ptr, id.len);
        break;
    }
    }
    return sock->shard->id;
}

bool mcq_placement_moves(struct mcq_link *link)
{
    struct mcq_sock *sock = link->sock;
    struct mcq_shard *sh = link->shard;
    if (sock->opts.placement == MCQ_PLACEMENT_NONE || sock->logical == MCQ_LOGICAL_NONE ||
        sh->mesh == NULL || link->target != NULL || link->session.conn == NULL)
        return false;
    uint32_t to = choose(link);
    return to != sh->id && mcq_logical_has(&sh->roster->logicals, sock->logical, to) &&
           mcq_handoff_begin(link, to) == MCQ_OK && link->move != NULL;
}
