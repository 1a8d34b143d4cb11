/* How an actor sends: all the ways there are, at random. */
#include <string.h>

#include "tests/sim/actor.h"
#include "tests/sim/dice.h"
#include "tests/sim/world.h"

#define LENT_MAX    24u
#define LENT_LEN    80000u
#define SCRATCH_LEN (1u << 20)
#define BYTES_MAX   16384u /* mcq_tx_reserve */
#define WORD_LEN    8u     /* with so many bytes no two messages are alike */
#define PATH_MAX    2u

/* Memory of the application's own, lent to the library until its free callback. */
struct lent {
    bool used;
    uint32_t host;
    size_t len;
    uint8_t bytes[LENT_LEN];
};

static struct lent lent[LENT_MAX];
static uint8_t scratch[SCRATCH_LEN];
static struct mcq_frame frames[MCQ_PARCEL_FRAMES_MAX + PATH_MAX + 2];
static uint8_t words[PATH_MAX][12];

void mcq_actor_send_reset(void)
{
    for (uint32_t i = 0; i < LENT_MAX; i++)
        lent[i].used = false;
}

void mcq_actor_send_kill(const struct mcq_actor *a)
{
    for (uint32_t i = 0; i < LENT_MAX; i++)
        if (lent[i].host == a->host->idx)
            lent[i].used = false;
}

/* --- parcels ------------------------------------------------------------------------------- */

static uint32_t draw_len(const struct mcq_actor *a)
{
    if (mcq_world_phase() == MCQ_PHASE_END) /* has to be through within its linger */
        return mcq_dice_below(100);
    switch (a->cast->size) {
    case MCQ_SIZE_TINY:
        return mcq_dice_below(17);
    case MCQ_SIZE_SMALL:
        return mcq_dice_below(400);
    case MCQ_SIZE_MIXED:
        if (mcq_dice_percent(85))
            return mcq_dice_below(600);
        return mcq_dice_below(mcq_dice_percent(75) ? 9000 : 70000);
    case MCQ_SIZE_LARGE:
        if (mcq_dice_percent(60))
            return mcq_dice_below(2000);
        return mcq_dice_below(mcq_dice_percent(70) ? 100000 : 600000);
    }
    return 0;
}

static bool has_topic(const struct mcq_actor *a)
{
    return a->cast->type == MCQ_PUB || a->cast->type == MCQ_XPUB || a->cast->type == MCQ_XSUB;
}

static struct mcq_parcel draw_parcel(struct mcq_actor *a)
{
    struct mcq_parcel p = {
        .uid = a->uid,
        .number = mcq_world_number(),
        .len = draw_len(a) + (mcq_actor_loses(a) ? WORD_LEN : 0),
        .frame_cnt = 1,
        .topic = MCQ_PARCEL_TOPIC_NONE,
        .sent_seq = mcq_world_calls(),
    };
    if (mcq_dice_percent(25))
        p.frame_cnt = (uint8_t)mcq_dice_scaled(MCQ_PARCEL_FRAMES_MAX);
    if (has_topic(a)) {
        p.topic = (uint8_t)mcq_dice_below(MCQ_PARCEL_TOPICS);
        p.len += (uint32_t)strlen(mcq_parcel_topic(p.topic)) + 1;
    }
    return p;
}

/* The frames of p behind cnt others; returns how many there are then. */
static uint32_t write_frames(const struct mcq_parcel *p, uint32_t cnt)
{
    size_t at = 0;
    for (uint32_t i = 0; i < p->frame_cnt; i++) {
        size_t len = mcq_parcel_frame_len(p, i);
        mcq_parcel_fill(p, i, scratch + at);
        frames[cnt++] = (struct mcq_frame){scratch + at, len};
        at += len;
    }
    return cnt;
}

/* --- one send ------------------------------------------------------------------------------ */

static void lent_back(void *data, size_t len, void *hint)
{
    struct lent *l = hint;
    if (!l->used || data != l->bytes || len != l->len)
        mcq_sim_fail("memory of the application's was given back twice, or is another's");
    l->used = false;
    memset(l->bytes, 0xdd, len);
}

static struct lent *lent_take(const struct mcq_actor *a, const struct mcq_parcel *p)
{
    for (uint32_t i = 0; i < LENT_MAX; i++)
        if (!lent[i].used) {
            lent[i].used = true;
            lent[i].host = a->host->idx;
            lent[i].len = p->len;
            mcq_parcel_fill(p, 0, lent[i].bytes);
            return &lent[i];
        }
    return NULL;
}

static enum mcq_error call_send(struct mcq_actor *a, struct mcq_peer to, struct mcq_msg *m)
{
    return to.bits != 0 ? mcq_send_to(a->sock, to, m) : mcq_send(a->sock, m);
}

/* One frame out of memory of its own. */
static enum mcq_error send_lent(struct mcq_actor *a, const struct mcq_parcel *p, struct mcq_peer to)
{
    struct mcq_msg m;
    struct lent *l = lent_take(a, p);
    if (l == NULL)
        return MCQ_ELIMIT;
    enum mcq_error err = mcq_msg_from_memory(&a->host->shard, l->bytes, l->len, lent_back, l, &m);
    if (err != MCQ_OK) {
        l->used = false;
        return err;
    }
    err = call_send(a, to, &m);
    if (err != MCQ_OK)
        mcq_msg_drop(&a->host->shard, &m);
    return err;
}

static enum mcq_error send_reserved(struct mcq_actor *a, const struct mcq_parcel *p)
{
    void *at;
    uint32_t more = mcq_dice_below(BYTES_MAX - p->len + 1);
    enum mcq_error err = mcq_tx_reserve(a->sock, p->len + more, &at);
    if (err != MCQ_OK)
        return err;
    mcq_parcel_fill(p, 0, at);
    return mcq_tx_commit(a->sock, p->len);
}

static enum mcq_error send_plain(struct mcq_actor *a, uint32_t cnt, struct mcq_peer to)
{
    struct mcq_msg m = mcq_msg_of_frames(frames, cnt);
    return call_send(a, to, &m);
}

static bool reserves(const struct mcq_actor *a)
{
    return a->cast->type == MCQ_PUSH || a->cast->type == MCQ_DEALER || a->cast->type == MCQ_PAIR;
}

static enum mcq_error send_somehow(struct mcq_actor *a, const struct mcq_parcel *p, uint32_t before,
                                   struct mcq_peer to)
{
    bool single = before == 0 && p->frame_cnt == 1;
    if (single && p->len != 0 && p->len <= LENT_LEN && mcq_sim_chance(a->cast->temper.foreign))
        return send_lent(a, p, to);
    if (single && to.bits == 0 && p->len <= BYTES_MAX && reserves(a) && mcq_dice_percent(15))
        return send_reserved(a, p);
    uint32_t cnt = write_frames(p, before);
    if (single && to.bits == 0 && mcq_dice_percent(50))
        return mcq_send_bytes(a->sock, frames[0].data, frames[0].len);
    return send_plain(a, cnt, to);
}

/* What the model knows must be, or may be. */
static void check_error(struct mcq_actor *a, enum mcq_error err)
{
    bool ok = err == MCQ_OK || err == MCQ_EAGAIN || err == MCQ_ELIMIT || err == MCQ_ETOOBIG;
    ok = ok || (err == MCQ_ESTATE && a->state != MCQ_ACTOR_OPEN);
    ok = ok || (err == MCQ_ESTALE || err == MCQ_ENOENT);
    if (!ok)
        mcq_sim_fail("%s: a send failed with %s", mcq_world_name(a), mcq_error_name(err));
}

/* frames[0, before) go first. */
static enum mcq_error send_parcel(struct mcq_actor *a, const struct mcq_parcel *p, uint32_t before,
                                  struct mcq_peer to, struct mcq_peer meant)
{
    mcq_ledger_send_begin(a);
    enum mcq_error err = send_somehow(a, p, before, to);
    uint32_t hits = mcq_ledger_send_end(a, p, meant, err);
    mcq_world_trace("%s: sends #%u, %u frames, %u bytes, topic %d: %s, %u queues",
                    mcq_world_name(a), p->number, p->frame_cnt, p->len,
                    p->topic == MCQ_PARCEL_TOPIC_NONE ? -1 : p->topic, mcq_error_name(err), hits);
    check_error(a, err);
    if (err == MCQ_OK)
        mcq_world_count_sent(1);
    if (err == MCQ_EAGAIN)
        a->waits = true;
    return err;
}

/* --- what goes before ---------------------------------------------------------------------- */

/* DEALER to REP: a path of frames and the delimiter. */
static uint32_t write_path(const struct mcq_actor *a)
{
    uint32_t cnt = 0;
    if (a->cast->far != MCQ_REP)
        return 0;
    for (uint32_t n = mcq_dice_percent(70) ? 0 : mcq_dice_between(1, PATH_MAX); cnt < n; cnt++) {
        size_t len = mcq_dice_between(1, sizeof(words[0]));
        memset(words[cnt], 'p', len);
        frames[cnt] = (struct mcq_frame){words[cnt], len};
    }
    frames[cnt++] = (struct mcq_frame){NULL, 0};
    return cnt;
}

static uint32_t write_ticket(const struct mcq_debt *d, uint32_t cnt)
{
    if (d->ticket_len != 0)
        frames[cnt++] = (struct mcq_frame){d->ticket, d->ticket_len};
    frames[cnt++] = (struct mcq_frame){NULL, 0};
    return cnt;
}

/* --- by type ------------------------------------------------------------------------------- */

static bool request(struct mcq_actor *a)
{
    if (a->asked && !a->cast->opts.req_relaxed)
        return false;
    struct mcq_parcel p = draw_parcel(a);
    enum mcq_error err = send_parcel(a, &p, 0, (struct mcq_peer){0}, (struct mcq_peer){0});
    if (err != MCQ_OK)
        return false;
    a->asked = true;
    a->asked_number = p.number;
    a->excused = false;
    a->asked_ns = mcq_shard_now(&a->host->shard);
    return true;
}

/* A ROUTER sends by handle or, if the peer has a name, by that. */
static bool route(struct mcq_actor *a, const struct mcq_parcel *p, struct mcq_peer to,
                  const struct mcq_debt *debt)
{
    struct mcq_frame id;
    uint32_t before = 0;
    bool by_name = debt == NULL && mcq_dice_percent(50) &&
                   mcq_peer_identity(a->sock, to, &id) == MCQ_OK && id.len != 0;
    if (by_name) {
        struct mcq_peer found;
        if (mcq_peer_find(a->sock, id.data, id.len, &found) != MCQ_OK || !mcq_peer_equal(found, to))
            return true; /* it ends */
        frames[before++] = id;
    }
    if (debt != NULL)
        before = write_ticket(debt, before);
    enum mcq_error err = send_parcel(a, p, before, by_name ? (struct mcq_peer){0} : to, to);
    return err != MCQ_EAGAIN;
}

static bool send_one(struct mcq_actor *a)
{
    const struct mcq_peer nobody = {0};
    struct mcq_end *end = mcq_ledger_any(a, mcq_dice_below(1000));
    switch (a->cast->type) {
    case MCQ_REQ:
        return request(a);
    case MCQ_ROUTER:
        if (a->cast->far == MCQ_REQ || end == NULL)
            return false;
        struct mcq_parcel r = draw_parcel(a);
        return route(a, &r, end->peer, NULL);
    case MCQ_PAIR:
    case MCQ_PUSH:
    case MCQ_DEALER: {
        struct mcq_parcel p = draw_parcel(a);
        struct mcq_peer to = end != NULL && mcq_dice_percent(10) ? end->peer : nobody;
        return send_parcel(a, &p, write_path(a), to, to) == MCQ_OK;
    }
    case MCQ_PUB:
    case MCQ_XPUB:
    case MCQ_XSUB: {
        struct mcq_parcel p = draw_parcel(a);
        return send_parcel(a, &p, 0, nobody, nobody) == MCQ_OK;
    }
    case MCQ_REP:
    case MCQ_SUB:
    case MCQ_PULL:
        break;
    }
    return false;
}

bool mcq_actor_send(struct mcq_actor *a, uint32_t cnt)
{
    bool resting = mcq_world_phase() != MCQ_PHASE_ACTIVE;
    if (a->state != MCQ_ACTOR_OPEN || mcq_ledger_sending() || !mcq_ledger_has_room(a, cnt))
        return false;
    for (uint32_t i = 0; i < cnt && (resting || a->sent < a->cast->msgs_max); i++) {
        if (a->state != MCQ_ACTOR_OPEN || !send_one(a))
            return false;
        a->sent++;
    }
    return true;
}

bool mcq_actor_send_to(struct mcq_actor *a, struct mcq_peer to)
{
    bool can = a->cast->type == MCQ_PAIR || a->cast->type == MCQ_PUSH ||
               a->cast->type == MCQ_DEALER ||
               (a->cast->type == MCQ_ROUTER && a->cast->far != MCQ_REQ);
    if (!can || a->state != MCQ_ACTOR_OPEN || mcq_ledger_sending() || !mcq_ledger_has_room(a, 1))
        return false;
    struct mcq_parcel p = draw_parcel(a);
    uint32_t before = a->cast->type == MCQ_ROUTER ? 0 : write_path(a);
    return send_parcel(a, &p, before, to, to) == MCQ_OK;
}

/* --- replies ------------------------------------------------------------------------------- */

static void debt_remove(struct mcq_actor *a, uint32_t idx)
{
    a->debt_cnt--;
    memmove(&a->debts[idx], &a->debts[idx + 1], (a->debt_cnt - idx) * sizeof(a->debts[0]));
}

/* Whose reply was dropped, or may be, waits in vain. */
static void excuse(struct mcq_actor *a, struct mcq_peer asker, uint64_t put)
{
    struct mcq_end *end = mcq_ledger_end(a, asker);
    if (end != NULL && (a->put == put || end->queue->lossy))
        mcq_ledger_far(end)->actor->excused = true;
}

static bool pay_one(struct mcq_actor *a)
{
    uint64_t put = a->put;
    struct mcq_debt debt = a->debts[0];
    struct mcq_parcel p = draw_parcel(a);
    p.answers = debt.number;
    if (a->cast->type == MCQ_ROUTER) {
        if (!route(a, &p, debt.to, &debt))
            return false;
    } else if (send_parcel(a, &p, 0, (struct mcq_peer){0}, debt.to) == MCQ_EAGAIN) {
        return false;
    }
    excuse(a, debt.to, put);
    debt_remove(a, 0);
    return true;
}

void mcq_actor_pay(struct mcq_actor *a)
{
    while (a->debt_cnt != 0 && a->state == MCQ_ACTOR_OPEN && !a->host->stopping &&
           !mcq_ledger_sending() && mcq_ledger_has_room(a, 1))
        if (!pay_one(a))
            return;
}

/* --- the rest ------------------------------------------------------------------------------ */

/* The same bytes go on as they came, without a copy if that is worth it. */
void mcq_actor_forward(struct mcq_actor *a, struct mcq_kept *kept)
{
    bool can = a->cast->type == MCQ_PUSH || a->cast->type == MCQ_PAIR ||
               (a->cast->type == MCQ_DEALER && a->cast->far != MCQ_REP);
    if (!can || kept->first != 0 || kept->parcel.library || a->state != MCQ_ACTOR_OPEN ||
        mcq_ledger_sending() || !mcq_ledger_has_room(a, 1))
        return;
    struct mcq_parcel p = kept->parcel;
    p.sent_seq = mcq_world_calls();
    p.answers = 0;
    mcq_ledger_send_begin(a);
    enum mcq_error err = mcq_send(a->sock, &kept->msg);
    mcq_ledger_send_end(a, &p, (struct mcq_peer){0}, err);
    mcq_world_trace("%s: passes on %u bytes: %s", mcq_world_name(a), p.len, mcq_error_name(err));
    check_error(a, err);
    if (err == MCQ_OK)
        kept->used = false;
    else if (err == MCQ_EAGAIN)
        a->waits = true;
}

static void expect(struct mcq_actor *a, const char *what, enum mcq_error got, enum mcq_error want)
{
    if (got != want)
        mcq_sim_fail("%s: %s returned %s, not %s", mcq_world_name(a), what, mcq_error_name(got),
                     mcq_error_name(want));
}

/* Names of peers that have gone mean nobody. */
static void misuse_stale(struct mcq_actor *a)
{
    struct mcq_peer peer = a->stale[mcq_dice_below(a->stale_cnt)];
    struct mcq_msg m = mcq_msg_of("x", 1);
    struct mcq_frame id;
    expect(a, "mcq_peer_identity of a stale peer", mcq_peer_identity(a->sock, peer, &id),
           MCQ_ESTALE);
    expect(a, "mcq_peer_resume of a stale peer", mcq_peer_resume(a->sock, peer), MCQ_ESTALE);
    expect(a, "mcq_peer_close of a stale peer", mcq_peer_close(a->sock, peer), MCQ_ESTALE);
    if (mcq_peer_user(a->sock, peer) != NULL)
        mcq_sim_fail("%s: a stale peer has a user pointer", mcq_world_name(a));
    if (a->state == MCQ_ACTOR_OPEN)
        expect(a, "mcq_send_to a stale peer", mcq_send_to(a->sock, peer, &m), MCQ_ESTALE);
}

void mcq_actor_misuse(struct mcq_actor *a)
{
    struct mcq_msg m = mcq_msg_of("x", 1);
    if (mcq_ledger_sending())
        return;
    if (a->stale_cnt != 0 && mcq_dice_percent(70))
        misuse_stale(a);
    else if (a->state != MCQ_ACTOR_OPEN)
        expect(a, "mcq_send while closing", mcq_send(a->sock, &m), MCQ_ESTATE);
    else if (a->cast->type == MCQ_SUB || a->cast->type == MCQ_PULL)
        expect(a, "mcq_send", mcq_send(a->sock, &m), MCQ_ENOTSUP);
    else if (a->cast->type == MCQ_REP && a->debt_cnt == 0)
        expect(a, "mcq_send without a request", mcq_send(a->sock, &m), MCQ_ESTATE);
}
