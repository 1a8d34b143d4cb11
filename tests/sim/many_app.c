/* The application of a run with several shards: on each, a timer that plays its mates, and posts.
 */
#include <string.h>

#include "tests/sim/dice.h"
#include "tests/sim/many.h"
#include "tests/sim/marshal.h"
#include "tests/sim/mate.h"
#include "tests/sim/visitor.h"

#define TICK_MAX_NS  2000000u
#define RELAX_NS     2000000u
#define POST_PERCENT 30u

static struct mcq_posts posts;
static uint32_t greets; /* mates that greet were opened before */
static bool greeted[MCQ_MATES_MAX + 1];

struct mcq_posts *mcq_many_posts(void)
{
    return &posts;
}

void mcq_many_app_reset(void)
{
    greets = 0;
    memset(greeted, 0, sizeof(greeted));
}

void mcq_many_app_greet(void)
{
    greets = mcq_mate_cnt();
}

bool mcq_many_app_greets(const struct mcq_mate *m)
{
    return m->state == MCQ_MATE_OPEN && m->uid <= greets && !greeted[m->uid];
}

/* --- a shard's own timer ------------------------------------------------------------------- */

static bool plays_here(const struct mcq_part *p, const struct mcq_shard *sh)
{
    return mcq_team_at(mcq_many_team(p->team), p->shard) == sh;
}

static struct mcq_mate *any_here(const struct mcq_shard *sh)
{
    uint32_t first = mcq_dice_below(mcq_many()->part_cnt);
    for (uint32_t i = 0; i < mcq_many()->part_cnt; i++) {
        const struct mcq_part *p = &mcq_many()->parts[(first + i) % mcq_many()->part_cnt];
        struct mcq_mate *m = plays_here(p, sh) ? mcq_mate_of(p) : NULL;
        if (m != NULL && m->state == MCQ_MATE_OPEN)
            return m;
    }
    return NULL;
}

static void fill(struct mcq_shard *sh)
{
    for (uint32_t i = 0; i < mcq_many()->part_cnt; i++) {
        const struct mcq_part *p = &mcq_many()->parts[i];
        if (plays_here(p, sh) && mcq_mate_of(p) == NULL &&
            (!p->surplus || mcq_many_phase() == MCQ_PHASE_ACTIVE))
            (void)mcq_mate_open(p);
    }
}

static void act(struct mcq_shard *sh, struct mcq_team *t)
{
    for (uint32_t n = mcq_dice_scaled(3); n != 0; n--) {
        struct mcq_mate *m = any_here(sh);
        if (m != NULL)
            mcq_mate_act(m);
        if (m != NULL && m->state == MCQ_MATE_OPEN)
            mcq_marshal_act(m);
    }
    if (mcq_many()->post_burst != 0 && !t->alone && mcq_dice_percent(POST_PERCENT))
        mcq_posts_send(&posts, t, sh->id, mcq_dice_scaled(mcq_many()->post_burst));
    if (mcq_dice_percent(5))
        fill(sh);
}

static void rest_here(const struct mcq_shard *sh)
{
    for (uint32_t i = 0; i < mcq_many()->part_cnt; i++) {
        struct mcq_mate *m =
            plays_here(&mcq_many()->parts[i], sh) ? mcq_mate_of(&mcq_many()->parts[i]) : NULL;
        if (m == NULL)
            continue;
        mcq_mate_relax(m);
        if (m->state == MCQ_MATE_OPEN)
            mcq_marshal_relax(m);
        if (mcq_many_phase() == MCQ_PHASE_GREET && !greeted[m->uid] && m->uid <= greets) {
            greeted[m->uid] = true;
            mcq_mate_greet(m);
        }
    }
}

static void on_tick(void *ctx, struct mcq_timer *timer)
{
    struct mcq_shard *sh = ctx;
    struct mcq_team *t = sh->app_arg;
    bool active = mcq_many_phase() == MCQ_PHASE_ACTIVE;
    if (sh != mcq_shard_here)
        mcq_sim_fail("a timer of shard %u runs elsewhere", sh->id);
    if (t->stopping) {
        mcq_timer_close(timer);
        return;
    }
    if (active) {
        act(sh, t);
    } else {
        fill(sh);
        rest_here(sh);
    }
    if (t->idx == MCQ_MANY_HOUSE)
        mcq_visitors_greet(sh);
    mcq_timer_arm(timer, mcq_shard_now(sh) + (active ? mcq_dice_scaled(TICK_MAX_NS) : RELAX_NS));
}

/* --- the app ------------------------------------------------------------------------------- */

static int on_start(struct mcq_shard *sh, void *arg)
{
    struct mcq_timer *timer;
    (void)arg;
    if (sh != mcq_shard_here || mcq_timer_open(sh, on_tick, sh, &timer) != MCQ_OK)
        return 1;
    mcq_timer_arm(timer, mcq_shard_now(sh) + mcq_dice_scaled(TICK_MAX_NS));
    fill(sh);
    return 0;
}

static void on_stopping(struct mcq_shard *sh, void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < mcq_many()->part_cnt; i++) {
        struct mcq_mate *m =
            plays_here(&mcq_many()->parts[i], sh) ? mcq_mate_of(&mcq_many()->parts[i]) : NULL;
        if (m != NULL && m->state == MCQ_MATE_OPEN) {
            mcq_mate_send(m, mcq_dice_below(3));
            m->state = MCQ_MATE_CLOSING;
        }
    }
}

static void on_post(struct mcq_shard *sh, void *arg, uint32_t from, uint32_t kind, const void *data,
                    size_t len)
{
    struct mcq_team *t = arg;
    mcq_many_stir();
    if (sh != mcq_shard_here)
        mcq_sim_fail("a post for shard %u runs elsewhere", sh->id);
    mcq_posts_take(&posts, t, from, sh->id, kind, data, len);
    if (mcq_many_phase() == MCQ_PHASE_ACTIVE && mcq_dice_percent(5))
        mcq_posts_send(&posts, t, sh->id, mcq_dice_scaled(4));
}

static void on_post_room(struct mcq_shard *sh, void *arg, uint32_t to)
{
    mcq_many_stir();
    mcq_posts_room(&posts, arg, sh->id, to);
    if (mcq_many_phase() == MCQ_PHASE_ACTIVE && mcq_dice_percent(50))
        mcq_posts_send(&posts, arg, sh->id, mcq_dice_scaled(8));
}

const struct mcq_app mcq_many_app = {
    .start = on_start,
    .on_stopping = on_stopping,
    .on_post = on_post,
    .on_post_room = on_post_room,
    .ports = &mcq_visitor_handlers,
};
