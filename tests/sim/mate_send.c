/* How a mate sends. */
#include <string.h>

#include "tests/sim/dice.h"
#include "tests/sim/mate.h"

#define LENT_MAX 32u
#define LENT_LEN 100000u

/* Memory of the application's own, lent to the library until its free callback. */
struct lent {
    bool used;
    uint32_t team;
    struct mcq_shard *shard;
    size_t len;
    uint8_t bytes[LENT_LEN];
};

static struct lent lent[LENT_MAX];

void mcq_mate_send_reset(void)
{
    for (uint32_t i = 0; i < LENT_MAX; i++)
        lent[i].used = false;
}

void mcq_mate_send_forget(uint32_t team)
{
    for (uint32_t i = 0; i < LENT_MAX; i++)
        if (lent[i].team == team)
            lent[i].used = false;
}

static void lent_back(void *data, size_t len, void *hint)
{
    struct lent *l = hint;
    if (!l->used || data != l->bytes || len != l->len)
        mcq_sim_fail("memory of the application's was given back twice, or is another's");
    if (mcq_shard_here != l->shard)
        mcq_sim_fail("memory of the application's was given back on another shard");
    l->used = false;
    memset(l->bytes, 0xdd, len);
}

/* --- one message --------------------------------------------------------------------------- */

static bool publishes(const struct mcq_mate *m)
{
    return m->part->type == MCQ_PUB || m->part->type == MCQ_XPUB;
}

static uint32_t draw_len(const struct mcq_mate *m)
{
    if (mcq_many_phase() == MCQ_PHASE_END || mcq_dice_percent(50))
        return mcq_dice_below(40);
    return mcq_dice_percent(85) ? mcq_dice_below(m->part->len_max < 600 ? m->part->len_max : 600)
                                : mcq_dice_below(m->part->len_max);
}

static struct mcq_waybill *draw(struct mcq_mate *m)
{
    char topic = publishes(m) ? (char)('a' + mcq_dice_below(MCQ_MATE_TOPICS)) : '.';
    uint32_t frames = mcq_dice_percent(25) ? mcq_dice_between(1, MCQ_WAYBILL_FRAMES_MAX) : 1;
    struct mcq_waybill *w = mcq_waybill_new(m->uid, m->part->circuit, topic, draw_len(m), frames);
    if (w != NULL)
        w->public = publishes(m);
    return w;
}

static enum mcq_error call(struct mcq_mate *m, struct mcq_peer to, struct mcq_msg *msg)
{
    return to.bits != 0 ? mcq_send_to(m->sock, to, msg) : mcq_send(m->sock, msg);
}

static enum mcq_error send_lent(struct mcq_mate *m, const struct mcq_waybill *w, struct mcq_peer to)
{
    struct mcq_msg msg;
    struct lent *l = NULL;
    for (uint32_t i = 0; i < LENT_MAX && l == NULL; i++)
        l = lent[i].used ? NULL : &lent[i];
    if (l == NULL)
        return MCQ_ELIMIT;
    l->used = true;
    l->team = m->part->team;
    l->shard = m->shard;
    l->len = w->len;
    mcq_waybill_fill(w, 0, l->bytes);
    enum mcq_error err = mcq_msg_from_memory(m->shard, l->bytes, l->len, lent_back, l, &msg);
    if (err != MCQ_OK) {
        l->used = false;
        return err;
    }
    err = call(m, to, &msg);
    if (err != MCQ_OK)
        mcq_msg_drop(m->shard, &msg);
    return err;
}

/* id: goes before it, a ROUTER's way to say to whom. */
static enum mcq_error send_copied(struct mcq_mate *m, const struct mcq_waybill *w,
                                  struct mcq_peer to, const struct mcq_frame *id)
{
    struct mcq_frame frames[MCQ_WAYBILL_FRAMES_MAX + 1];
    uint32_t cnt = 0;
    if (id != NULL)
        frames[cnt++] = *id;
    memcpy(&frames[cnt], mcq_waybill_write(w), w->frame_cnt * sizeof(frames[0]));
    cnt += w->frame_cnt;
    struct mcq_msg msg = mcq_msg_of_frames(frames, cnt);
    return call(m, to, &msg);
}

static void check_error(const struct mcq_mate *m, enum mcq_error err)
{
    bool ok = err == MCQ_OK || err == MCQ_EAGAIN || err == MCQ_ELIMIT || err == MCQ_ETOOBIG ||
              err == MCQ_ESTALE || err == MCQ_ENOENT ||
              (err == MCQ_ESTATE && m->state != MCQ_MATE_OPEN);
    if (!ok)
        mcq_sim_fail("%s: a send failed with %s", mcq_mate_name(m), mcq_error_name(err));
}

/* Of a message that is on its way it must be known where to before the call: its receiver's handler
 * may run inside. */
static enum mcq_error send_bill(struct mcq_mate *m, struct mcq_waybill *w, uint32_t tie,
                                const struct mcq_frame *id)
{
    struct mcq_circuit *c = &mcq_many()->circuits[m->part->circuit];
    struct mcq_peer to = {0};
    if (tie != 0 && id == NULL)
        to = mcq_tie_at(tie)->peer;
    w->tie = tie;
    w->ordered = m->part->type == MCQ_ROUTER || publishes(m) || !m->part->member;
    bool lends = id == NULL && w->frame_cnt == 1 && w->len <= LENT_LEN &&
                 mcq_sim_chance(m->part->manner.foreign);
    enum mcq_error err = lends ? send_lent(m, w, to) : send_copied(m, w, to, id);
    mcq_many_trace("%s: sends #%u, %u frames, %u bytes, topic %c, to %lx%s: %s", mcq_mate_name(m),
                   w->number, w->frame_cnt, w->len, w->topic,
                   tie == 0 ? 0 : (unsigned long)mcq_tie_at(tie)->peer.bits,
                   id != NULL ? " by name" : "", mcq_error_name(err));
    check_error(m, err);
    if (err == MCQ_EAGAIN)
        m->waits = true;
    if (err != MCQ_OK)
        return err;
    w->sent = true;
    m->put++;
    c->put += m->part->team == MCQ_MANY_HOUSE;
    mcq_many_count_sent();
    return MCQ_OK;
}

/* --- by type ------------------------------------------------------------------------------- */

bool mcq_mate_send_to(struct mcq_mate *m, uint32_t tie)
{
    const struct mcq_tie *t = mcq_tie_at(tie);
    struct mcq_waybill *w = draw(m);
    if (w == NULL)
        return false;
    struct mcq_frame id = {t->identity, t->identity_len};
    bool by_name = m->part->type == MCQ_ROUTER && t->identity_len != 0 && mcq_dice_percent(40);
    /* Who is replaced isn't who has the name. */
    struct mcq_peer found;
    if (by_name && (mcq_peer_find(m->sock, id.data, id.len, &found) != MCQ_OK ||
                    !mcq_peer_equal(found, t->peer)))
        by_name = false;
    return send_bill(m, w, tie, by_name ? &id : NULL) != MCQ_EAGAIN;
}

static bool request(struct mcq_mate *m)
{
    if (m->asked != 0)
        return false;
    struct mcq_waybill *w = draw(m);
    if (w == NULL)
        return false;
    m->asked = w->number;
    if (send_bill(m, w, 0, NULL) == MCQ_OK)
        return true;
    m->asked = 0;
    return false;
}

static bool send_one(struct mcq_mate *m)
{
    struct mcq_waybill *w;
    switch (m->part->type) {
    case MCQ_REQ:
        return request(m);
    case MCQ_ROUTER: {
        uint32_t tie = mcq_tie_any(m->realm, m->part->circuit, 0, mcq_dice_below(1000));
        return tie != 0 && mcq_mate_send_to(m, tie);
    }
    case MCQ_PAIR:
    case MCQ_PUSH:
    case MCQ_DEALER:
    case MCQ_PUB:
    case MCQ_XPUB:
        w = draw(m);
        return w != NULL && send_bill(m, w, 0, NULL) == MCQ_OK;
    case MCQ_REP:
    case MCQ_SUB:
    case MCQ_PULL:
    case MCQ_XSUB:
        break;
    }
    return false;
}

bool mcq_mate_send(struct mcq_mate *m, uint32_t cnt)
{
    bool resting = mcq_many_phase() != MCQ_PHASE_ACTIVE;
    for (uint32_t i = 0; i < cnt && (resting || m->sent < m->part->msgs_max); i++) {
        if (m->state != MCQ_MATE_OPEN || !send_one(m))
            return false;
        m->sent++;
    }
    return true;
}

void mcq_mate_pay(struct mcq_mate *m)
{
    if (m->owes == 0 || m->state != MCQ_MATE_OPEN)
        return;
    struct mcq_waybill *w = draw(m);
    if (w == NULL)
        return;
    w->answers = m->owes;
    if (send_bill(m, w, 0, NULL) != MCQ_EAGAIN)
        m->owes = 0;
}
