#include "tests/sim/visitor.h"

#include <string.h>

#include "tests/sim/dice.h"

#define WAIT_MAX_NS 3000000u
#define BURST_MAX   60u
#define FLOOD_MAX   1200u /* more than a turn takes */
#define MSGS_MAX    16u
#define REPLIES_MAX 3u /* to one message, less one */
#define NOTES_CNT   (2u * MCQ_MAILBOX_MAX * MCQ_OUTSIDE_MAX)

struct way {
    uint64_t sent, taken;
    bool refused;
};

struct visitor {
    uint32_t number;
    struct mcq_port *port;            /* NULL: between two visits */
    struct mcq_port_end *end;         /* the shard's; NULL: not opened yet, or closed */
    bool inside;                      /* within a call that uses the shard's memory */
    uint32_t shard, visit, life;      /* of the house */
    struct way in, out;               /* to the shard, from it */
    uint64_t asked, owed;             /* replies: asked for, not sent yet */
    bool greeted, ended;              /* `closed` was told, or never will be */
    uint64_t notes_sent, notes_taken; /* by mcq_post, to `noted` */
    uint32_t noted;
};

/* What a post brings. */
struct note {
    struct visitor *visitor;
    uint32_t life;
    uint64_t number;
};

static struct visitor visitors[MCQ_OUTSIDE_MAX];
static uint32_t visitors_cnt, life;
static struct note notes[NOTES_CNT];
static uint32_t next_note;
static bool muted;

/* --- what they say ------------------------------------------------------------------------- */

static size_t len_of(uint64_t number, bool reply)
{
    uint64_t h = (number * 2 + reply + 1) * 0x9e3779b97f4a7c15u >> 40;
    return h % 4 == 0 ? h % (MCQ_PORT_LEN_MAX + 1) : h % 65;
}

/* In some visits there are none: nothing else tells of room then. */
static uint64_t replies_to(const struct visitor *v, uint64_t number)
{
    return v->visit % 3 == 0 ? 0 : (number * 0x9e3779b1u >> 13) % REPLIES_MAX;
}

static uint8_t byte_at(const struct visitor *v, uint64_t number, bool reply, size_t i)
{
    return (uint8_t)(number * 29 + v->visit * 5 + v->number * 3 + reply + i);
}

static size_t compose(const struct visitor *v, uint64_t number, bool reply, uint8_t *at)
{
    size_t len = len_of(number, reply);
    for (size_t i = 0; i < len; i++)
        at[i] = byte_at(v, number, reply, i);
    return len;
}

static uint32_t kind_of(const struct visitor *v, uint64_t number)
{
    return (uint32_t)(number * MCQ_OUTSIDE_MAX + v->number);
}

static void check(const struct visitor *v, uint64_t number, bool reply, uint32_t kind,
                  const void *data, size_t len)
{
    const uint8_t *bytes = data;
    const char *way = reply ? "a reply" : "a message";
    if (kind != kind_of(v, number) || len != len_of(number, reply))
        mcq_sim_fail("visitor %u, shard %u: %s %lu is due, and another came", v->number, v->shard,
                     way, (unsigned long)number);
    if ((uintptr_t)data % 8 != 0)
        mcq_sim_fail("visitor %u: %s that isn't aligned", v->number, way);
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != byte_at(v, number, reply, i))
            mcq_sim_fail("visitor %u: %s %lu: byte %zu of %zu is wrong", v->number, way,
                         (unsigned long)number, i, len);
}

/* --- on the shard -------------------------------------------------------------------------- */

static struct visitor *visitor_of(struct mcq_shard *sh, struct mcq_port_end *end)
{
    mcq_many_stir();
    for (uint32_t i = 0; i < visitors_cnt; i++)
        if (visitors[i].end == end) {
            if (mcq_shard_here != sh || sh->id != visitors[i].shard)
                mcq_sim_fail("visitor %u: a handler runs elsewhere", i);
            return &visitors[i];
        }
    return NULL;
}

static void pay(struct visitor *v)
{
    uint8_t data[MCQ_PORT_LEN_MAX];
    while (v->owed != 0 && !v->out.refused) {
        size_t len = compose(v, v->out.sent, true, data);
        enum mcq_error err = mcq_port_reply(v->end, kind_of(v, v->out.sent), data, len);
        v->out.refused = err == MCQ_EAGAIN;
        if (err != MCQ_OK && err != MCQ_EAGAIN)
            mcq_sim_fail("visitor %u: a reply: %s", v->number, mcq_error_name(err));
        v->owed -= err == MCQ_OK;
        v->out.sent += err == MCQ_OK;
    }
}

static void on_message(struct mcq_shard *sh, void *arg, struct mcq_port_end *end, uint32_t kind,
                       const void *data, size_t len)
{
    (void)arg;
    if (muted)
        return;
    struct visitor *v = mcq_port_user(end);
    if (v == NULL) { /* the first message says whose it is */
        v = &visitors[kind % MCQ_OUTSIDE_MAX];
        v->end = end;
        mcq_port_set_user(end, v);
    }
    if (visitor_of(sh, end) != v)
        mcq_sim_fail("a port is two visitors'");
    check(v, v->in.taken, false, kind, data, len);
    v->owed += replies_to(v, v->in.taken++);
    if (mcq_dice_percent(80))
        pay(v);
}

static void on_room(struct mcq_shard *sh, void *arg, struct mcq_port_end *end)
{
    (void)arg;
    struct visitor *v = visitor_of(sh, end);
    if (muted)
        return;
    if (v == NULL || !v->out.refused)
        mcq_sim_fail("shard %u is told of room in a port, and no reply was refused", sh->id);
    v->out.refused = false;
    pay(v);
}

static void on_closed(struct mcq_shard *sh, void *arg, struct mcq_port_end *end)
{
    const struct mcq_team *t = arg;
    struct visitor *v = visitor_of(sh, end);
    if (v == NULL)
        return;
    v->end = NULL;
    v->ended = true;
    if (muted)
        return;
    if (mcq_port_reply(end, 0, "", 0) != MCQ_ESTALE)
        mcq_sim_fail("visitor %u: a reply inside `closed` isn't refused", v->number);
    if (!t->stopping && v->in.taken != v->in.sent)
        mcq_sim_fail("visitor %u: `closed`, and of %lu messages %lu have come", v->number,
                     (unsigned long)v->in.sent, (unsigned long)v->in.taken);
}

const struct mcq_port_handlers mcq_visitor_handlers = {
    .message = on_message, .room = on_room, .closed = on_closed};

void mcq_visitors_greet(struct mcq_shard *sh)
{
    for (uint32_t i = 0; i < visitors_cnt; i++) {
        struct visitor *v = &visitors[i];
        if (v->end == NULL || v->shard != sh->id)
            continue;
        if (mcq_many_phase() == MCQ_PHASE_GREET && !v->greeted) {
            v->greeted = true;
            v->asked++;
            v->owed++;
        }
        pay(v);
    }
}

/* --- outside ------------------------------------------------------------------------------- */

static bool is_open(const struct mcq_team *t)
{
    return t->alive && !t->stopping && mcq_many_phase() < MCQ_PHASE_END && !muted;
}

static bool say(struct visitor *v, uint32_t cnt)
{
    uint8_t data[MCQ_PORT_LEN_MAX];
    for (uint32_t i = 0; i < cnt; i++) {
        size_t len = compose(v, v->in.sent, false, data);
        uint64_t number = v->in.sent++; /* the shard may take it before the call returns */
        v->asked += replies_to(v, number);
        enum mcq_error err = mcq_port_send(v->port, kind_of(v, number), data, len);
        if (err == MCQ_OK)
            continue;
        v->in.sent--;
        v->asked -= replies_to(v, number);
        if (err == MCQ_ESTALE)
            return false;
        if (err != MCQ_EAGAIN)
            mcq_sim_fail("visitor %u: a message: %s", v->number, mcq_error_name(err));
        v->in.refused = true;
        return true;
    }
    return true;
}

static void take(struct visitor *v)
{
    struct mcq_port_msg msgs[MSGS_MAX];
    size_t n;
    while ((n = mcq_port_recv(v->port, msgs, mcq_dice_between(1, MSGS_MAX))) != 0) {
        for (size_t i = 0; i < n && !muted; i++)
            check(v, v->out.taken++, true, msgs[i].kind, msgs[i].data, msgs[i].len);
        if (mcq_dice_percent(10))
            mcq_outside_yield();
    }
}

/* false: the shard has ended. */
static bool rest(struct visitor *v)
{
    bool long_ = mcq_many_phase() != MCQ_PHASE_ACTIVE || mcq_dice_percent(10);
    bool due = v->in.refused || v->out.taken != v->asked;
    if (!due && !long_ && mcq_dice_percent(50)) {
        mcq_outside_sleep(mcq_dice_scaled(WAIT_MAX_NS));
        return true;
    }
    enum mcq_error err =
        mcq_port_wait(v->port, due || long_ ? UINT64_MAX : mcq_dice_scaled(WAIT_MAX_NS));
    if (err == MCQ_OK) {
        v->in.refused = false; /* of room, or of messages: the next send finds out */
        if (!long_ && mcq_dice_percent(60))
            mcq_outside_sleep(mcq_dice_scaled(WAIT_MAX_NS));
    } else if (err != MCQ_EAGAIN && err != MCQ_ESTALE) {
        mcq_sim_fail("visitor %u: a wait: %s", v->number, mcq_error_name(err));
    }
    return err != MCQ_ESTALE;
}

static void on_note(struct mcq_shard *sh, void *arg)
{
    const struct note *n = arg;
    struct visitor *v = n->visitor;
    if (muted || n->life != life)
        return;
    if (mcq_shard_here != sh || sh->id != v->noted)
        mcq_sim_fail("visitor %u: a post ran elsewhere", v->number);
    if (n->number != v->notes_taken++)
        mcq_sim_fail("visitor %u: its post %lu ran, and %lu is due", v->number,
                     (unsigned long)n->number, (unsigned long)v->notes_taken - 1);
}

static void post(struct visitor *v, struct mcq_team *t, uint32_t cnt)
{
    if (v->notes_taken == v->notes_sent)
        v->noted = mcq_dice_below(t->cnt);
    for (uint32_t i = 0; i < cnt && is_open(t); i++) {
        struct note *n = &notes[next_note++ % NOTES_CNT];
        *n = (struct note){v, life, v->notes_sent++};
        v->inside = true;
        enum mcq_error err = mcq_post(mcq_team_at(t, v->noted), on_note, n);
        v->inside = false;
        v->notes_sent -= err != MCQ_OK;
        if (err != MCQ_OK && err != MCQ_EAGAIN)
            mcq_sim_fail("visitor %u: a post: %s", v->number, mcq_error_name(err));
        if (err != MCQ_OK)
            return;
    }
}

static bool begin(struct visitor *v, struct mcq_team *t)
{
    struct mcq_detail detail = {.text = ""};
    uint32_t visit = v->visit + 1;
    v->in = v->out = (struct way){0};
    v->asked = v->owed = 0;
    v->ended = v->greeted = false;
    v->end = NULL;
    v->visit = visit;
    v->life = life;
    v->shard = mcq_dice_below(t->cnt);
    struct mcq_shard *sh = mcq_team_at(t, v->shard);
    v->inside = true;
    enum mcq_error err =
        mcq_port_open(sh, mcq_dice_percent(80) ? MCQ_PORT_RING_LEN_MIN : 0, &v->port, &detail);
    v->inside = false;
    if (err != MCQ_OK && err != MCQ_ESTALE)
        mcq_sim_fail("visitor %u: open: %s", v->number, detail.text);
    return err == MCQ_OK;
}

static void part(struct visitor *v)
{
    const struct mcq_team *t = mcq_many_team(MCQ_MANY_HOUSE);
    bool lived = is_open(t);
    mcq_port_close(v->port);
    v->port = NULL;
    if (lived && is_open(t) && v->life == life && v->in.taken != v->in.sent)
        mcq_sim_fail("visitor %u: it has closed, and of %lu messages %lu have come", v->number,
                     (unsigned long)v->in.sent, (unsigned long)v->in.taken);
}

/* The shard has ended: what it had sent before is there. */
static void see_off(struct visitor *v)
{
    take(v);
    if (!muted && v->ended && v->out.taken != v->out.sent)
        mcq_sim_fail("visitor %u: the shard has ended, and of %lu replies %lu have come", v->number,
                     (unsigned long)v->out.sent, (unsigned long)v->out.taken);
}

static void visit(struct visitor *v, struct mcq_team *t)
{
    bool on = true;
    bool stays = mcq_dice_percent(50); /* to the shard's end */
    while (on && !muted && (is_open(t) || (stays && t->alive))) {
        bool active = mcq_many_phase() == MCQ_PHASE_ACTIVE;
        if (active && !v->in.refused)
            on = say(v, mcq_dice_scaled(mcq_dice_percent(90) ? BURST_MAX : FLOOD_MAX));
        else if (!active && v->in.sent == 0) /* it is known by its first message */
            on = say(v, 1);
        if (active && mcq_dice_percent(20))
            post(v, t, mcq_dice_scaled(30));
        take(v);
        if (active && mcq_dice_percent(4))
            break;
        on = on && rest(v);
    }
    if (!on)
        see_off(v);
    part(v);
}

static void live(void *arg)
{
    struct visitor *v = arg;
    struct mcq_team *t = mcq_many_team(MCQ_MANY_HOUSE);
    while (mcq_many_phase() < MCQ_PHASE_END) {
        mcq_outside_sleep(mcq_dice_scaled(WAIT_MAX_NS));
        if (is_open(t) && begin(v, t))
            visit(v, t);
    }
}

/* --- all of them --------------------------------------------------------------------------- */

static void on_enter(bool inside)
{
    static struct mcq_shard *before;
    if (inside)
        before = mcq_shard_here;
    mcq_shard_here = inside ? NULL : before;
}

void mcq_visitors_start(uint32_t cnt)
{
    memset(visitors, 0, sizeof(visitors));
    visitors_cnt = cnt;
    muted = false;
    mcq_outside_on_enter = on_enter;
    for (uint32_t i = 0; i < cnt; i++) {
        visitors[i].number = i;
        mcq_outside_start(live, &visitors[i]);
    }
}

void mcq_visitors_begin(void)
{
    life++;
    for (uint32_t i = 0; i < visitors_cnt; i++)
        visitors[i].notes_sent = visitors[i].notes_taken = 0;
}

static bool any_visit(void)
{
    for (uint32_t i = 0; i < visitors_cnt; i++)
        if (visitors[i].port != NULL || visitors[i].inside)
            return true;
    return false;
}

/* Their memory has to be given back, so they leave in order, and see nothing. */
void mcq_visitors_kill(void)
{
    struct mcq_team *t = mcq_many_team(MCQ_MANY_HOUSE);
    muted = true;
    for (uint32_t id = 0; id < t->cnt; id++) {
        mcq_team_select(t, id);
        mcq_ports_end(mcq_team_at(t, id));
    }
    while (any_visit()) {
        mcq_outside_hurry();
        if (!mcq_outside_step())
            mcq_sim_fail("a port whose shard has let go of it isn't closed");
    }
    muted = false;
}

const char *mcq_visitors_unrest(void)
{
    for (uint32_t i = 0; i < visitors_cnt; i++) {
        const struct visitor *v = &visitors[i];
        if (v->notes_sent != v->notes_taken)
            return "a visitor's post doesn't run";
        if (v->port == NULL || v->end == NULL)
            return "a visitor has no port";
        if (v->in.sent != v->in.taken)
            return "a visitor's message doesn't arrive";
        if (v->in.refused || v->out.refused)
            return "a port has room, and it isn't told";
        if (v->owed != 0 || v->out.taken != v->asked)
            return "a reply to a visitor doesn't arrive";
        if (mcq_many_phase() == MCQ_PHASE_GREET && !v->greeted)
            return "a visitor was not greeted";
    }
    return NULL;
}
