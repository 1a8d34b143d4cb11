#include "tests/sim/actor.h"

#include <string.h>

#include "tests/sim/dice.h"
#include "tests/sim/world.h"

static struct mcq_actor actors[MCQ_ACTORS_MAX];
static uint32_t actors_used, uid_last;

void mcq_actor_reset(void)
{
    actors_used = 0;
    uid_last = 0;
    mcq_actor_send_reset();
}

struct mcq_actor *mcq_actor_at(uint32_t idx)
{
    return idx < actors_used ? &actors[idx] : NULL;
}

static bool is_over(const struct mcq_actor *a)
{
    return a->state == MCQ_ACTOR_CLOSED || a->state == MCQ_ACTOR_KILLED;
}

/* A place that nobody asks about any more. */
static struct mcq_actor *actor_take(void)
{
    if (actors_used < MCQ_ACTORS_MAX)
        return &actors[actors_used++];
    mcq_ledger_prune();
    for (uint32_t i = 0; i < MCQ_ACTORS_MAX; i++)
        if (is_over(&actors[i]) && !mcq_ledger_knows(&actors[i]))
            return &actors[i];
    mcq_sim_fail("no place for another actor");
}

/* --- endpoints ----------------------------------------------------------------------------- */

static const char *endpoint(uint32_t idx)
{
    return mcq_world_scenario()->endpoints[idx];
}

static bool lingers(const struct mcq_actor *a, const char *target)
{
    struct mcq_tap_link links[MCQ_TAP_LINKS_MAX];
    uint32_t n = mcq_tap_links(a->sock, links);
    for (uint32_t i = 0; i < n; i++)
        if (links[i].target != NULL && strcmp(links[i].target, target) == 0)
            return true;
    return false;
}

static void bind_one(struct mcq_actor *a, uint32_t k)
{
    struct mcq_detail detail = {.text = ""};
    enum mcq_error err = mcq_sock_bind(a->sock, endpoint(a->cast->binds[k]), &detail);
    mcq_world_trace("%s: bind %s: %s %s", mcq_world_name(a), endpoint(a->cast->binds[k]),
                    mcq_error_name(err), detail.text);
    if (err == MCQ_OK)
        a->bound |= 1u << k;
    else if (err != MCQ_EADDRINUSE && err != MCQ_ELIMIT)
        mcq_sim_fail("%s: bind: %s", mcq_world_name(a), detail.text);
}

static void connect_one(struct mcq_actor *a, uint32_t k)
{
    struct mcq_detail detail = {.text = ""};
    const char *text = endpoint(a->cast->connects[k]);
    if (lingers(a, text))
        return;
    enum mcq_error err = mcq_sock_connect(a->sock, text, &detail);
    mcq_world_trace("%s: connect %s: %s", mcq_world_name(a), text, mcq_error_name(err));
    if (err != MCQ_OK && err != MCQ_ELIMIT)
        mcq_sim_fail("%s: connect: %s", mcq_world_name(a), detail.text);
    if (err != MCQ_OK)
        return;
    a->connected |= 1u << k;
    mcq_diary_connect(&a->diary, text);
    mcq_ledger_begun(a);
}

static void fill_endpoints(struct mcq_actor *a)
{
    for (uint32_t k = 0; k < a->cast->bind_cnt && a->state == MCQ_ACTOR_OPEN; k++)
        if ((a->bound >> k & 1) == 0)
            bind_one(a, k);
    for (uint32_t k = 0; k < a->cast->connect_cnt && a->state == MCQ_ACTOR_OPEN; k++)
        if ((a->connected >> k & 1) == 0)
            connect_one(a, k);
}

/* Its link to target has been told to end. */
static void disconnected(struct mcq_actor *a, const char *target)
{
    for (uint32_t k = 0; k < a->cast->connect_cnt; k++)
        if (strcmp(endpoint(a->cast->connects[k]), target) == 0)
            a->connected &= ~(1u << k);
}

static void move(struct mcq_actor *a)
{
    if (a->cast->bind_cnt != 0) {
        uint32_t k = mcq_dice_below(a->cast->bind_cnt);
        if ((a->bound >> k & 1) != 0 &&
            mcq_sock_unbind(a->sock, endpoint(a->cast->binds[k]), NULL) != MCQ_OK)
            mcq_sim_fail("%s: unbind failed", mcq_world_name(a));
        a->bound &= ~(1u << k);
    }
    if (a->cast->connect_cnt != 0) {
        uint32_t k = mcq_dice_below(a->cast->connect_cnt);
        const char *text = endpoint(a->cast->connects[k]);
        if ((a->connected >> k & 1) != 0 && mcq_sock_disconnect(a->sock, text, NULL) != MCQ_OK)
            mcq_sim_fail("%s: disconnect failed", mcq_world_name(a));
        disconnected(a, text);
    }
}

/* --- life ---------------------------------------------------------------------------------- */

static void open_filter(struct mcq_actor *a)
{
    for (uint32_t i = 0; i < MCQ_PARCEL_TOPICS; i++) {
        const char *topic = mcq_parcel_topic(i);
        if ((a->cast->topics >> i & 1) == 0)
            continue;
        if (mcq_subscribe(a->sock, topic, strlen(topic)) != MCQ_OK)
            mcq_sim_fail("%s: subscribe failed", mcq_world_name(a));
        a->topics |= 1u << i;
        a->topic_cnt[i] = 1;
        a->topic_since[i] = mcq_world_calls();
    }
}

struct mcq_actor *mcq_actor_open(struct mcq_host *host, const struct mcq_cast *cast)
{
    struct mcq_sock_opts opts = cast->opts;
    struct mcq_detail detail = {.text = ""};
    uint8_t welcome[64];
    struct mcq_actor *a = actor_take();
    *a = (struct mcq_actor){.uid = ++uid_last, .host = host, .cast = cast};
    opts.identity = cast->identity;
    opts.identity_len = cast->identity_len;
    if (cast->welcome) {
        struct mcq_parcel p = mcq_world_welcome(cast);
        mcq_parcel_fill(&p, 0, welcome);
        opts.welcome = welcome;
        opts.welcome_len = p.len;
    }
    enum mcq_error err =
        mcq_sock_open(&host->shard, cast->type, &opts,
                      cast->batches ? &mcq_actor_batch : &mcq_actor_each, a, &a->sock, &detail);
    if (err != MCQ_OK)
        mcq_sim_fail("%s: open: %s", mcq_world_name(a), detail.text);
    a->state = MCQ_ACTOR_OPEN;
    host->players[cast->idx] = a;
    open_filter(a);
    fill_endpoints(a);
    return a;
}

void mcq_actor_close(struct mcq_actor *a)
{
    if (a->state != MCQ_ACTOR_OPEN)
        return;
    mcq_world_trace("%s: closes", mcq_world_name(a));
    a->state = MCQ_ACTOR_CLOSING;
    mcq_sock_close(a->sock);
}

void mcq_actor_kill(struct mcq_actor *a)
{
    if (is_over(a))
        return;
    mcq_ledger_kill(a);
    mcq_actor_send_kill(a);
    a->state = MCQ_ACTOR_KILLED;
    a->sock = NULL;
    a->host->players[a->cast->idx] = NULL;
}

/* --- acts ---------------------------------------------------------------------------------- */

static const char *target_of(const struct mcq_end *end)
{
    return end->queue == NULL ? NULL : end->queue->target;
}

/* By closing, its connect ends too. */
void mcq_actor_part(struct mcq_actor *a, struct mcq_end *end)
{
    if (end == NULL)
        end = mcq_ledger_any(a, mcq_dice_below(1000));
    if (end == NULL)
        return;
    bool kill = mcq_dice_percent(50);
    enum mcq_error err =
        kill ? mcq_peer_kill(a->sock, end->peer) : mcq_peer_close(a->sock, end->peer);
    mcq_world_trace("%s: %s peer %lx: %s", mcq_world_name(a), kill ? "kills" : "closes",
                    (unsigned long)end->peer.bits, mcq_error_name(err));
    if (err != MCQ_OK)
        mcq_sim_fail("%s: a peer that is up can't be parted from: %s", mcq_world_name(a),
                     mcq_error_name(err));
    if (!kill && target_of(end) != NULL)
        disconnected(a, target_of(end));
}

static void resume(struct mcq_actor *a, struct mcq_end *end)
{
    if (!end->paused)
        return;
    if (mcq_tap_up(a->sock, end->peer)) /* else it has ended paused */
        end->paused = false;
    if (mcq_peer_resume(a->sock, end->peer) != MCQ_OK)
        mcq_sim_fail("%s: a peer that is up can't be resumed", mcq_world_name(a));
}

static void filter(struct mcq_actor *a)
{
    uint32_t i = mcq_dice_below(MCQ_PARCEL_TOPICS);
    const char *topic = mcq_parcel_topic(i);
    bool add = mcq_dice_percent(50);
    if (a->cast->type != MCQ_SUB && a->cast->type != MCQ_XSUB)
        return;
    enum mcq_error err = add ? mcq_subscribe(a->sock, topic, strlen(topic))
                             : mcq_unsubscribe(a->sock, topic, strlen(topic));
    enum mcq_error want = !add && a->topic_cnt[i] == 0 ? MCQ_ENOENT : MCQ_OK;
    mcq_world_trace("%s: %s '%s': %s", mcq_world_name(a), add ? "subscribes" : "unsubscribes",
                    topic, mcq_error_name(err));
    if (err == MCQ_ELIMIT && add)
        return;
    if (err != want)
        mcq_sim_fail("%s: a subscription returned %s, not %s", mcq_world_name(a),
                     mcq_error_name(err), mcq_error_name(want));
    if (err != MCQ_OK)
        return;
    a->topic_cnt[i] += add ? 1u : -1u;
    if (add && a->topic_cnt[i] == 1)
        a->topic_since[i] = mcq_world_calls();
    if (add ? a->topic_cnt[i] == 1 : a->topic_cnt[i] == 0) {
        a->topics ^= 1u << i;
        a->filter_changed = mcq_world_calls();
    }
}

static void act_rarely(struct mcq_actor *a)
{
    const struct mcq_temper *t = &a->cast->temper;
    if (mcq_sim_chance(t->filter))
        filter(a);
    if (mcq_sim_chance(t->part))
        mcq_actor_part(a, NULL);
    if (mcq_sim_chance(t->move))
        move(a);
    if (mcq_dice_percent(5))
        mcq_actor_misuse(a);
    if (mcq_dice_percent(10))
        fill_endpoints(a);
    if (mcq_sim_chance(t->close))
        mcq_actor_close(a);
}

void mcq_actor_act(struct mcq_actor *a)
{
    struct mcq_kept *kept = &a->kept[mcq_dice_below(MCQ_ACTOR_KEPT_MAX)];
    struct mcq_end *end = mcq_ledger_any(a, mcq_dice_below(1000));
    if (end != NULL && mcq_dice_percent(40))
        resume(a, end);
    if (kept->used && mcq_dice_percent(20))
        mcq_actor_forward(a, kept);
    if (kept->used && mcq_dice_percent(30))
        mcq_actor_drop_kept(a, kept);
    if (mcq_dice_percent(30))
        mcq_actor_pay(a);
    if (mcq_dice_percent(60))
        mcq_actor_send(a, mcq_dice_scaled(a->cast->burst_max));
    if (mcq_dice_percent(5) && mcq_flush(a->sock) != MCQ_OK)
        mcq_sim_fail("%s: flush failed", mcq_world_name(a));
    if (a->state == MCQ_ACTOR_OPEN)
        act_rarely(a);
}

/* Whose network is silent for good, and who has no heartbeat to find out. */
static void give_up(struct mcq_actor *a)
{
    struct mcq_tap_link links[MCQ_TAP_LINKS_MAX];
    uint32_t n = mcq_tap_links(a->sock, links);
    for (uint32_t i = 0; i < n; i++)
        if (links[i].dead && !links[i].closing) {
            struct mcq_end *end = mcq_ledger_end(a, links[i].peer);
            if (end != NULL)
                mcq_actor_part(a, end);
        }
}

void mcq_actor_relax(struct mcq_actor *a)
{
    if (a->cast->surplus)
        mcq_actor_close(a);
    for (uint32_t i = 0; i < MCQ_ACTOR_KEPT_MAX; i++)
        mcq_actor_drop_kept(a, &a->kept[i]);
    mcq_actor_pay(a);
    mcq_ledger_each(a, resume);
    if (a->state != MCQ_ACTOR_OPEN)
        return;
    fill_endpoints(a);
    if (a->cast->opts.heartbeat_ms == 0)
        give_up(a);
}

static void greet_each(struct mcq_actor *a, struct mcq_end *end)
{
    (void)mcq_actor_send_to(a, end->peer);
}

void mcq_actor_greet(struct mcq_actor *a)
{
    if (a->state != MCQ_ACTOR_OPEN)
        return;
    if (a->cast->type == MCQ_ROUTER) {
        mcq_ledger_each(a, greet_each);
        a->greets = 0;
    }
    while (a->greets != 0) {
        a->greets--;
        if (!mcq_actor_send(a, 1)) {
            a->greets += a->waits;
            return;
        }
    }
}

bool mcq_actor_loses(const struct mcq_actor *a)
{
    enum mcq_slow slow = a->cast->opts.slow;
    return slow == MCQ_SLOW_DROP_OLD || slow == MCQ_SLOW_CONFLATE || a->cast->opts.req_relaxed;
}

/* --- what it may expect -------------------------------------------------------------------- */

static bool filtered(const struct mcq_actor *a, const struct mcq_parcel *p)
{
    bool wanted = false;
    for (uint32_t i = 0; i < MCQ_PARCEL_TOPICS; i++)
        if ((a->topics >> i & 1) != 0 && a->topic_since[i] < p->sent_seq)
            wanted = wanted || mcq_parcel_topic_matches(i, p->topic);
    if (a->cast->opts.invert_matching)
        return a->filter_changed >= p->sent_seq || wanted;
    return !wanted;
}

bool mcq_actor_wants(const struct mcq_actor *a, const struct mcq_parcel *p)
{
    return a->cast->type == MCQ_REQ && a->asked && p->answers == a->asked_number;
}

bool mcq_actor_may_miss(const struct mcq_actor *a, const struct mcq_parcel *p)
{
    if (a->cast->type == MCQ_SUB)
        return p->library || filtered(a, p);
    if (a->cast->type == MCQ_REQ)
        return p->library || a->confused || a->excused || !mcq_actor_wants(a, p);
    return a->cast->type == MCQ_PUB || (a->cast->type == MCQ_REP && p->library);
}

/* Without numbers on the wire nobody can tell what a queue has kept from another connection, and
 * replies are counted. */
void mcq_actor_missed(struct mcq_actor *a, const struct mcq_end *from, const struct mcq_parcel *p)
{
    if (a->cast->type == MCQ_REQ && !a->cast->opts.req_correlate && !p->library &&
        a->cast->far == MCQ_ROUTER && p->sent_seq < from->since)
        a->confused = true;
}

static bool anybody_there(const struct mcq_actor *a)
{
    return mcq_ledger_any(a, 0) != NULL;
}

static const char *unconnected(const struct mcq_actor *a)
{
    if (a->bound != (1u << a->cast->bind_cnt) - 1 ||
        a->connected != (1u << a->cast->connect_cnt) - 1)
        return "an endpoint can't be bound or connected again";
    for (uint32_t k = 0; k < a->cast->connect_cnt; k++)
        if (mcq_diary_state(&a->diary, endpoint(a->cast->connects[k])) != MCQ_DIARY_UP)
            return "a connect to somebody who listens is not up";
    return NULL;
}

const char *mcq_actor_unrest(const struct mcq_actor *a)
{
    if (a->state == MCQ_ACTOR_CLOSING)
        return "a socket that was closed is still there";
    if (a->state != MCQ_ACTOR_OPEN)
        return NULL;
    bool limited = mcq_world_scenario()->limited; /* who is not up may be full */
    if (a->waits && !limited && anybody_there(a))
        return "a sender was refused, and `writable` does not come";
    if (a->debt_cnt != 0 && anybody_there(a))
        return "a reply can't be sent";
    if (a->asked && !a->excused && !limited && anybody_there(a))
        return "a request is not answered, nor told as lost";
    return limited ? NULL : unconnected(a);
}
