#include "tests/sim/mate.h"

#include <stdio.h>
#include <string.h>

#include "tests/sim/dice.h"
#include "tests/sim/tap.h"

static struct mcq_mate mates[MCQ_MATES_MAX + 1]; /* by uid */
static struct mcq_mate *players[MCQ_MANY_PARTS_MAX];
static uint32_t mates_cnt;

void mcq_mate_reset(void)
{
    mates_cnt = 0;
    memset(players, 0, sizeof(players));
    mcq_mate_send_reset();
}

struct mcq_mate *mcq_mate_at(uint32_t uid)
{
    return uid == 0 || uid > mates_cnt ? NULL : &mates[uid];
}

uint32_t mcq_mate_cnt(void)
{
    return mates_cnt;
}

struct mcq_mate *mcq_mate_of(const struct mcq_part *part)
{
    struct mcq_mate *m = players[part->idx];
    return m == NULL || m->state >= MCQ_MATE_CLOSED ? NULL : m;
}

const char *mcq_mate_name(const struct mcq_mate *m)
{
    static const char *const types[] = {"?",      "PAIR",   "PUB",  "SUB",  "REQ",  "REP",
                                        "DEALER", "ROUTER", "PULL", "PUSH", "XPUB", "XSUB"};
    static char text[8][40];
    static uint32_t next;
    char *t = text[next++ % 8];
    snprintf(t, sizeof(text[0]), "t%u.%u %s@%u", m->part->team, m->part->shard,
             types[m->part->type], m->uid);
    return t;
}

/* --- endpoints ----------------------------------------------------------------------------- */

static const char *endpoint(uint32_t idx)
{
    return mcq_many()->endpoints[idx];
}

static void bind_one(struct mcq_mate *m, uint32_t k)
{
    struct mcq_detail detail = {.text = ""};
    enum mcq_error err = mcq_sock_bind(m->sock, endpoint(m->part->binds[k]), &detail);
    mcq_many_trace("%s: bind %s: %s %s", mcq_mate_name(m), endpoint(m->part->binds[k]),
                   mcq_error_name(err), detail.text);
    if (err == MCQ_OK)
        m->bound |= 1u << k;
    else if (err != MCQ_EADDRINUSE && err != MCQ_ELIMIT)
        mcq_sim_fail("%s: bind: %s", mcq_mate_name(m), detail.text);
}

/* One that was closed may still be sending: there is one link at a time to each. */
static bool lingers(const struct mcq_mate *m, const char *target)
{
    for (struct mcq_node *n = mcq_list_first(&m->sock->links); n != NULL;
         n = mcq_list_next(&m->sock->links, n)) {
        const struct mcq_link *link = MCQ_CONTAINER_OF(n, struct mcq_link, sock_node);
        if (link->target != NULL && strcmp(link->target->text, target) == 0)
            return true;
    }
    return false;
}

static void connect_one(struct mcq_mate *m, uint32_t k)
{
    struct mcq_detail detail = {.text = ""};
    const char *text = endpoint(m->part->connects[k]);
    if (lingers(m, text))
        return;
    enum mcq_error err = mcq_sock_connect(m->sock, text, &detail);
    mcq_many_trace("%s: connect %s: %s", mcq_mate_name(m), text, mcq_error_name(err));
    if (err != MCQ_OK)
        mcq_sim_fail("%s: connect: %s", mcq_mate_name(m), detail.text);
    m->connected |= 1u << k;
}

static void fill_endpoints(struct mcq_mate *m)
{
    for (uint32_t k = 0; k < m->part->bind_cnt && m->state == MCQ_MATE_OPEN; k++)
        if ((m->bound >> k & 1) == 0)
            bind_one(m, k);
    for (uint32_t k = 0; k < m->part->connect_cnt && m->state == MCQ_MATE_OPEN; k++)
        if ((m->connected >> k & 1) == 0)
            connect_one(m, k);
}

/* --- life ---------------------------------------------------------------------------------- */

static void subscribe(struct mcq_mate *m, uint32_t topic, bool add)
{
    const char text = (char)('a' + topic);
    if (((m->topics >> topic & 1) != 0) == add)
        return;
    enum mcq_error err =
        add ? mcq_subscribe(m->sock, &text, 1) : mcq_unsubscribe(m->sock, &text, 1);
    if (err != MCQ_OK)
        mcq_sim_fail("%s: a subscription: %s", mcq_mate_name(m), mcq_error_name(err));
    m->topics ^= 1u << topic;
    m->filtered_at = mcq_waybill_cnt();
}

struct mcq_mate *mcq_mate_open(const struct mcq_part *part)
{
    struct mcq_detail detail = {.text = ""};
    struct mcq_sock_opts opts = part->opts;
    struct mcq_team *t = mcq_many_team(part->team);
    if (mates_cnt == MCQ_MATES_MAX)
        return NULL;
    struct mcq_mate *m = &mates[++mates_cnt];
    *m = (struct mcq_mate){.uid = mates_cnt,
                           .part = part,
                           .realm = mcq_many_realm(part->team),
                           .shard = mcq_team_at(t, part->shard)};
    opts.identity = part->identity;
    opts.identity_len = part->identity_len;
    if (part->member)
        opts.logical = mcq_many()->circuits[part->circuit].logical;
    enum mcq_error err =
        mcq_sock_open(m->shard, part->type, &opts, part->batches ? &mcq_mate_batch : &mcq_mate_each,
                      m, &m->sock, &detail);
    if (err != MCQ_OK)
        mcq_sim_fail("%s: open: %s", mcq_mate_name(m), detail.text);
    players[part->idx] = m;
    for (uint32_t i = 0; part->type == MCQ_SUB && i < MCQ_MATE_TOPICS; i++)
        if ((part->topics >> i & 1) != 0)
            subscribe(m, i, true);
    fill_endpoints(m);
    return m;
}

void mcq_mate_close(struct mcq_mate *m)
{
    if (m->state != MCQ_MATE_OPEN)
        return;
    mcq_many_trace("%s: closes", mcq_mate_name(m));
    m->state = MCQ_MATE_CLOSING;
    mcq_many()->circuits[m->part->circuit].ends = true;
    mcq_sock_close(m->sock);
}

void mcq_mate_kill(struct mcq_mate *m)
{
    if (m->state >= MCQ_MATE_CLOSED)
        return;
    m->state = MCQ_MATE_KILLED;
    m->sock = NULL;
    struct mcq_circuit *c = &mcq_many()->circuits[m->part->circuit];
    c->ends = true;
    c->killed = c->killed || m->part->team == MCQ_MANY_HOUSE;
    for (uint32_t i = 1; i <= mcq_tie_cnt(); i++)
        if (mcq_tie_at(i)->owner == m->uid)
            mcq_tie_at(i)->state = MCQ_TIE_DOWN;
}

/* --- acts ---------------------------------------------------------------------------------- */

static uint32_t any_tie(const struct mcq_mate *m, bool own)
{
    return mcq_tie_any(m->realm, m->part->circuit, own ? m->uid : 0, mcq_dice_below(1000));
}

static void resume(struct mcq_mate *m, uint32_t tie)
{
    struct mcq_tie *t = mcq_tie_at(tie);
    if (tie == 0 || !t->paused)
        return;
    enum mcq_error err = mcq_peer_resume(m->sock, t->peer);
    if (err == MCQ_EAGAIN && m->part->member) /* it moves just now */
        return;
    t->paused = false;
    if (err != MCQ_OK)
        mcq_sim_fail("%s: a peer that is up can't be resumed: %s", mcq_mate_name(m),
                     mcq_error_name(err));
}

/* What ends a connection: for the circuit it is no longer quite calm. */
static void part_from(struct mcq_mate *m)
{
    uint32_t tie = any_tie(m, true);
    if (tie == 0)
        return;
    struct mcq_tie *t = mcq_tie_at(tie);
    bool kill = mcq_dice_percent(60);
    mcq_many()->circuits[m->part->circuit].ends = true;
    enum mcq_error err = kill ? mcq_peer_kill(m->sock, t->peer) : mcq_peer_close(m->sock, t->peer);
    mcq_many_trace("%s: %s peer %lx: %s", mcq_mate_name(m), kill ? "kills" : "closes",
                   (unsigned long)t->peer.bits, mcq_error_name(err));
    if (err != MCQ_OK)
        mcq_sim_fail("%s: a peer that is up can't be parted from: %s", mcq_mate_name(m),
                     mcq_error_name(err));
    if (!kill && t->target != 0)
        m->connected &= ~(1u << (t->target - 1));
}

/* Hands a peer over, its own or one of another member, to any shard. */
static void move(struct mcq_mate *m)
{
    uint32_t tie = any_tie(m, mcq_dice_percent(80));
    uint32_t to = mcq_dice_below(mcq_many_team(m->part->team)->cnt);
    if (!mcq_many()->circuits[m->part->circuit].moves || !m->part->member || tie == 0)
        return;
    const struct mcq_tie *t = mcq_tie_at(tie);
    if (!mcq_mate_at(t->owner)->part->member)
        return;
    enum mcq_error err = mcq_peer_move(m->sock, t->peer, to);
    mcq_many_trace("%s: moves peer %lx to shard %u: %s", mcq_mate_name(m),
                   (unsigned long)t->peer.bits, to, mcq_error_name(err));
    bool own = t->owner == m->uid;
    if (err != MCQ_OK && err != MCQ_EAGAIN && err != MCQ_EINVAL && (own || err != MCQ_ESTALE))
        mcq_sim_fail("%s: a peer that is up can't be moved: %s", mcq_mate_name(m),
                     mcq_error_name(err));
}

static void filter(struct mcq_mate *m)
{
    if (m->part->type == MCQ_SUB)
        subscribe(m, mcq_dice_below(MCQ_MATE_TOPICS), mcq_dice_percent(60));
}

static void act_rarely(struct mcq_mate *m)
{
    const struct mcq_manner *n = &m->part->manner;
    if (mcq_sim_chance(n->filter))
        filter(m);
    if (mcq_sim_chance(n->part))
        part_from(m);
    if (mcq_sim_chance(n->move))
        move(m);
    if (mcq_dice_percent(10))
        fill_endpoints(m);
    if (mcq_sim_chance(n->close))
        mcq_mate_close(m);
}

void mcq_mate_act(struct mcq_mate *m)
{
    struct mcq_mate_kept *k = &m->kept[mcq_dice_below(MCQ_MATE_KEPT_MAX)];
    if (mcq_dice_percent(50))
        resume(m, any_tie(m, true));
    if (k->used && mcq_dice_percent(30))
        mcq_mate_drop_kept(m, k);
    if (mcq_dice_percent(50))
        mcq_mate_pay(m);
    if (mcq_dice_percent(70))
        mcq_mate_send(m, mcq_dice_scaled(m->part->burst_max));
    if (mcq_dice_percent(5) && mcq_flush(m->sock) != MCQ_OK)
        mcq_sim_fail("%s: flush failed", mcq_mate_name(m));
    if (m->state == MCQ_MATE_OPEN)
        act_rarely(m);
}

/* Whose network is silent for good: nobody else finds out. */
static void give_up(struct mcq_mate *m)
{
    struct mcq_tap_link links[MCQ_TAP_LINKS_MAX];
    uint32_t n = mcq_tap_links(m->sock, links);
    for (uint32_t i = 0; i < n; i++)
        if (links[i].dead && links[i].peer.bits != 0 && !links[i].closing)
            (void)mcq_peer_kill(m->sock, links[i].peer);
}

void mcq_mate_relax(struct mcq_mate *m)
{
    for (uint32_t i = 0; i < MCQ_MATE_KEPT_MAX; i++)
        mcq_mate_drop_kept(m, &m->kept[i]);
    mcq_mate_pay(m);
    for (uint32_t i = 1; i <= mcq_tie_cnt(); i++)
        if (mcq_tie_at(i)->owner == m->uid && mcq_tie_at(i)->state == MCQ_TIE_UP)
            resume(m, i);
    if (m->part->surplus)
        mcq_mate_close(m);
    if (m->state != MCQ_MATE_OPEN)
        return;
    fill_endpoints(m);
    give_up(m);
}

void mcq_mate_greet(struct mcq_mate *m)
{
    if (m->state != MCQ_MATE_OPEN)
        return;
    if (m->part->type != MCQ_ROUTER) {
        mcq_mate_send(m, mcq_dice_between(1, 12));
        return;
    }
    for (uint32_t i = 1; i <= mcq_tie_cnt(); i++) {
        const struct mcq_tie *t = mcq_tie_at(i);
        if (t->state == MCQ_TIE_UP && t->realm == m->realm && t->circuit == m->part->circuit &&
            t->owner == m->uid)
            mcq_mate_send_to(m, i);
    }
}

const char *mcq_mate_unrest(const struct mcq_mate *m)
{
    if (m->state == MCQ_MATE_CLOSING)
        return "a socket that was closed is still there";
    if (m->state != MCQ_MATE_OPEN)
        return NULL;
    bool anybody = mcq_tie_any(m->realm, m->part->circuit, m->uid, 0) != 0;
    if (m->waits && anybody)
        return "a sender was refused, and `writable` doesn't come";
    if (m->owes != 0)
        return "a reply can't be sent";
    if (m->asked != 0 && anybody)
        return "a request is not answered, nor told as lost";
    if (m->bound != (1u << m->part->bind_cnt) - 1)
        return "an endpoint can't be bound";
    if (m->connected != (1u << m->part->connect_cnt) - 1)
        return "an endpoint can't be connected to";
    if (m->up != m->connected)
        return "a connect to somebody who listens is not up";
    for (uint32_t i = 0; i < MCQ_MATE_KEPT_MAX; i++)
        if (m->kept[i].used)
            return "a kept message is still there";
    return NULL;
}
