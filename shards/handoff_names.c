/* Names in hand-offs: who hears of them, and requests that look for their peer. */
#include "shards/handoff.h"
#include "shards/shard.h"

bool mcq_handoff_send(struct mcq_shard *sh, uint32_t to, const struct mcq_move_record *r)
{
    return mcq_mesh_send(sh->mesh, to, MCQ_LANE_BULK, MCQ_MESH_MOVE, r, sizeof(*r));
}

/* --- names --------------------------------------------------------------------------------- */

/* Whichever link of this shard has that name, of any socket. */
struct mcq_link *mcq_handoff_link_named(struct mcq_shard *sh, struct mcq_peer peer)
{
    uint32_t slot = (uint32_t)(peer.bits >> 32) & MCQ_OP_SLOT_MAX;
    if (peer.bits == 0)
        return NULL;
    if (peer.bits >> 56 == sh->id && slot < sh->links.max &&
        sh->epochs[slot] == (uint32_t)peer.bits && sh->live[slot])
        return mcq_pool_at(&sh->links, slot);
    return mcq_alias_find(&sh->alias, peer);
}

void mcq_handoff_owner_told(struct mcq_shard *sh, const struct mcq_move_record *r)
{
    struct mcq_link *link = mcq_handoff_link_named(sh, r->peer);
    if (link == NULL || (link->state != MCQ_LINK_AWAY && !link->remote) || r->gen <= link->gen)
        return;
    link->gen = r->gen;
    link->owner = r->shard;
    if (link->remote)
        mcq_remote_peer_follow(link);
}

void mcq_handoff_end_told(struct mcq_shard *sh, const struct mcq_move_record *r)
{
    struct mcq_link *link = mcq_handoff_link_named(sh, r->peer);
    if (link != NULL && link->state == MCQ_LINK_AWAY && r->gen >= link->gen)
        mcq_link_vanish(link);
}

void mcq_handoff_news(struct mcq_link *link, enum mcq_move_word word)
{
    link->news = (uint8_t)word;
    link->news_next = 0;
    link->news_peer = link->pipe.peer;
    if (!mcq_node_linked(&link->news_node))
        mcq_list_push_back(&link->shard->handoff.news, &link->news_node);
}

void mcq_handoff_ended(struct mcq_link *link)
{
    if (link->gen != 0)
        mcq_handoff_news(link, MCQ_MOVE_END);
}

static bool tell_news(struct mcq_shard *sh, struct mcq_link *link)
{
    const struct mcq_move_record r = {
        .word = link->news, .shard = sh->id, .gen = link->gen, .peer = link->news_peer};
    for (; link->news_next < mcq_shard_cnt(sh); link->news_next++)
        if (link->news_next != sh->id && !mcq_handoff_send(sh, link->news_next, &r))
            return false;
    if (link->news == MCQ_MOVE_END)
        link->gen = 0;
    mcq_node_unlink(&link->news_node);
    if (link->sock == NULL) /* it waited only for this */
        mcq_link_free(link);
    return true;
}

void mcq_handoff_run_news(struct mcq_shard *sh)
{
    struct mcq_node *next;
    for (struct mcq_node *n = mcq_list_first(&sh->handoff.news); n != NULL; n = next) {
        next = mcq_list_next(&sh->handoff.news, n);
        (void)tell_news(sh, MCQ_CONTAINER_OF(n, struct mcq_link, news_node));
    }
}

/* --- requests ------------------------------------------------------------------------------ */

/* Known to be elsewhere, or at least where it came from. */
static uint32_t whereabouts(const struct mcq_shard *sh, struct mcq_peer peer,
                            const struct mcq_link *link)
{
    const struct mcq_record *r = mcq_directory_name(&sh->directory, peer);
    if (link != NULL && link->state == MCQ_LINK_AWAY)
        return link->owner;
    return r != NULL ? r->shard : (uint32_t)(peer.bits >> 56);
}

enum mcq_error mcq_handoff_ask(const struct mcq_sock *sock, struct mcq_peer peer,
                               const struct mcq_link *link, enum mcq_move_word word, uint32_t to)
{
    struct mcq_shard *sh = sock->shard;
    const struct mcq_move_record r = {
        .word = (uint16_t)word, .shard = to, .life = sock->life, .peer = peer};
    return mcq_handoff_send(sh, whereabouts(sh, peer, link), &r) ? MCQ_OK : MCQ_EAGAIN;
}

/* A request that has to go on, and can't be refused any more, waits for room. */
void mcq_handoff_ask_on(struct mcq_shard *sh, uint32_t to, const struct mcq_move_record *r)
{
    struct mcq_handoff *h = &sh->handoff;
    if (r->hops >= MCQ_HANDOFF_HOPS_MAX || (h->ask_cnt == 0 && mcq_handoff_send(sh, to, r)))
        return;
    if (r->word != MCQ_MOVE_HELD && h->ask_cnt >= MCQ_HANDOFF_ASKS_MAX) {
        sh->stats.moves.asks_lost++;
        return;
    }
    MCQ_ASSERT(h->ask_cnt < h->ask_max);
    h->asks[h->ask_cnt++] = (struct mcq_handoff_ask){to, *r};
}

void mcq_handoff_run_asks(struct mcq_shard *sh)
{
    struct mcq_handoff *h = &sh->handoff;
    uint32_t left = 0;
    for (uint32_t i = 0; i < h->ask_cnt; i++)
        if (!mcq_handoff_send(sh, h->asks[i].to, &h->asks[i].record))
            h->asks[left++] = h->asks[i];
    h->ask_cnt = left;
}

static void comply(struct mcq_link *link, enum mcq_move_word word, uint32_t to)
{
    if (word == MCQ_MOVE_CLOSE)
        mcq_link_close(link, MCQ_REASON_LOCAL, link->sock->opts.linger_ms * 1000000ull);
    else if (word == MCQ_MOVE_KILL)
        mcq_link_kill(link);
    else if (to != link->shard->id && mcq_handoff_begin(link, to) != MCQ_OK)
        link->shard->stats.moves.asks_lost++; /* it ends, or goes where it was sent first */
}

/* A name is a number: whoever asks may have it of another socket's peer. */
static bool is_of(const struct mcq_sock *sock, uint32_t life)
{
    return sock->logical != MCQ_LOGICAL_NONE && sock->life == life;
}

void mcq_handoff_asked(struct mcq_shard *sh, const struct mcq_move_record *r)
{
    struct mcq_link *link = mcq_handoff_link_named(sh, r->peer);
    struct mcq_move_record on = *r;
    on.hops++;
    bool away = link == NULL || link->remote || link->state == MCQ_LINK_AWAY;
    uint32_t to = whereabouts(sh, r->peer, link);
    if (away && to != sh->id)
        mcq_handoff_ask_on(sh, to, &on);
    else if (!away && is_of(link->sock, r->life))
        comply(link, (enum mcq_move_word)r->word, r->shard);
    else
        sh->stats.moves.asks_lost++;
}
