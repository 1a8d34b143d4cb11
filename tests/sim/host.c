#include "tests/sim/host.h"

#include <string.h>

#include "tests/sim/actor.h"
#include "tests/sim/dice.h"
#include "tests/sim/world.h"

#define TICK_MAX_NS  3000000u
#define RELAX_NS     2000000u
#define POST_PERCENT 5u

/* --- its own timer ------------------------------------------------------------------------- */

static void arm(struct mcq_host *h)
{
    bool active = mcq_world_phase() == MCQ_PHASE_ACTIVE;
    uint64_t ns = active ? mcq_dice_scaled(TICK_MAX_NS) : RELAX_NS;
    h->tick_at_ns = mcq_shard_now(&h->shard) + ns;
    mcq_timer_arm(h->ticker, h->tick_at_ns);
}

static struct mcq_actor *any_player(struct mcq_host *h)
{
    uint32_t first = mcq_dice_below(MCQ_SCENARIO_CASTS_MAX);
    for (uint32_t i = 0; i < MCQ_SCENARIO_CASTS_MAX; i++) {
        struct mcq_actor *a = h->players[(first + i) % MCQ_SCENARIO_CASTS_MAX];
        if (a != NULL && a->state == MCQ_ACTOR_OPEN)
            return a;
    }
    return NULL;
}

static void act(struct mcq_host *h)
{
    for (uint32_t n = mcq_dice_scaled(4); n != 0; n--) {
        struct mcq_actor *a = any_player(h);
        if (a != NULL)
            mcq_actor_act(a);
    }
    if (mcq_dice_percent(5))
        mcq_host_fill(h);
}

static void each_player(struct mcq_host *h, void (*fn)(struct mcq_actor *a))
{
    for (uint32_t i = 0; i < MCQ_SCENARIO_CASTS_MAX; i++)
        if (h->players[i] != NULL)
            fn(h->players[i]);
}

static void greet_or_retry(struct mcq_actor *a)
{
    if (a->greets != 0)
        mcq_actor_greet(a);
}

static void on_post(struct mcq_shard *shard, void *arg)
{
    struct mcq_host *h = arg;
    if (shard != &h->shard || mcq_shard_here != shard)
        mcq_sim_fail("host %u: a post ran elsewhere", h->idx);
    h->posts_run++;
    if (mcq_world_phase() == MCQ_PHASE_ACTIVE)
        act(h);
}

static void on_tick(void *ctx, struct mcq_timer *timer)
{
    struct mcq_host *h = ctx;
    if (timer != h->ticker || h->tick_at_ns == 0 || mcq_shard_now(&h->shard) < h->tick_at_ns)
        mcq_sim_fail("host %u: its timer runs before its time", h->idx);
    h->tick_at_ns = 0;
    switch (mcq_world_phase()) {
    case MCQ_PHASE_ACTIVE:
        act(h);
        break;
    case MCQ_PHASE_SETTLE:
    case MCQ_PHASE_GREET:
        mcq_host_release(h);
        mcq_host_fill(h);
        each_player(h, mcq_actor_relax);
        each_player(h, greet_or_retry);
        break;
        break;
    case MCQ_PHASE_END:
        each_player(h, mcq_actor_pay);
        break;
    }
    arm(h);
}

/* --- memory that is not there --------------------------------------------------------------- */

static void hog(struct mcq_host *h)
{
    static const size_t lens[] = {512, 4096, MCQ_BUF_RX_LEN, MCQ_BUF_LARGE_MIN - 1,
                                  4 * MCQ_BUF_GRANULE_LEN};
    for (uint32_t cls = 0; cls < MCQ_CNT_OF(lens); cls++) {
        uint32_t max = cls < MCQ_BUF_POOL_CNT
                           ? mcq_buf_heap_pool(h->shard.heap, cls)->max
                           : (uint32_t)(h->shard.plan.bufs.large_bytes / lens[cls]);
        uint32_t want = max / 16 * mcq_world_scenario()->hogs[h->idx];
        for (uint32_t i = 0; i < want && h->hog_cnt < MCQ_HOST_HOGS_MAX; i++) {
            struct mcq_buf *b = mcq_buf_take(h->shard.heap, lens[cls]);
            if (b == NULL)
                break;
            h->hogs[h->hog_cnt++] = b;
        }
    }
}

void mcq_host_release(struct mcq_host *h)
{
    while (h->hog_cnt != 0)
        mcq_buf_unref(h->shard.heap, h->hogs[--h->hog_cnt]);
}

/* --- life ---------------------------------------------------------------------------------- */

void mcq_host_fill(struct mcq_host *h)
{
    const struct mcq_scenario *s = mcq_world_scenario();
    for (uint32_t i = 0; i < s->cast_cnt; i++)
        if (s->casts[i].host == h->idx && h->players[i] == NULL &&
            (!s->casts[i].surplus || mcq_world_phase() == MCQ_PHASE_ACTIVE))
            mcq_actor_open(h, &s->casts[i]);
}

void mcq_host_start(struct mcq_host *h, uint32_t idx)
{
    struct mcq_detail detail = {.text = ""};
    uint64_t steps = h->steps;
    memset(h, 0, sizeof(*h));
    h->idx = idx;
    h->steps = steps;
    h->alive = true;
    mcq_sim_select(idx);
    enum mcq_error err =
        mcq_shard_init(&h->shard, idx, &mcq_world_scenario()->opts[idx], NULL, &detail);
    if (err != MCQ_OK)
        mcq_sim_fail("host %u: %s", idx, detail.text);
    if (mcq_timer_open(&h->shard, on_tick, h, &h->ticker) != MCQ_OK)
        mcq_sim_fail("host %u: no timer", idx);
    h->arena_used = h->shard.arena.used;
    mcq_host_fill(h);
    hog(h);
    arm(h);
}

static void post(struct mcq_host *h)
{
    if (mcq_post(&h->shard, on_post, h) == MCQ_OK)
        h->posts++;
}

void mcq_host_post(struct mcq_host *h)
{
    mcq_sim_select((h->idx + 1) % mcq_world_scenario()->host_cnt);
    post(h);
    if (!mcq_sim_runnable(h->idx) && !mcq_sim_waking(h->idx))
        mcq_sim_fail("host %u: a post to a sleeping shard doesn't wake it", h->idx);
}

/* Some of it is on its way, some waits behind that. */
static void say_farewell(struct mcq_actor *a)
{
    mcq_actor_send(a, mcq_dice_between(1, 3));
    (void)mcq_flush(a->sock);
    mcq_actor_send(a, mcq_dice_scaled(40));
}

void mcq_host_stop(struct mcq_host *h)
{
    mcq_sim_select(h->idx);
    each_player(h, say_farewell);
    h->stopping = true;
    mcq_stop(&h->shard);
}

void mcq_host_step(struct mcq_host *h)
{
    mcq_sim_select(h->idx);
    if (mcq_world_phase() == MCQ_PHASE_ACTIVE && mcq_dice_percent(POST_PERCENT))
        post(h);
    h->turn_calls = mcq_world_calls();
    h->steps++;
    if (!mcq_shard_step(&h->shard))
        h->stopped = true;
    if (h->posts - h->posts_run > MCQ_MAILBOX_PER_TURN_MAX)
        mcq_sim_fail("host %u: %lu posts don't run", h->idx,
                     (unsigned long)(h->posts - h->posts_run));
}

void mcq_host_kill(struct mcq_host *h)
{
    each_player(h, mcq_actor_kill);
    mcq_sim_kill(h->idx);
    mcq_shard_here = NULL;
    mcq_arena_fini(&h->shard.arena);
    h->alive = false;
}

static void check_sum(const struct mcq_host *h, const char *what, uint64_t told, uint64_t counted)
{
    if (told != counted)
        mcq_sim_fail("host %u: %s: %lu were told, %lu are counted", h->idx, what,
                     (unsigned long)told, (unsigned long)counted);
}

/* What was told is what is counted. */
static void check_drops(const struct mcq_host *h)
{
    const struct mcq_pattern_stats *s = &h->shard.stats.pattern;
    uint64_t all = 0;
    for (uint32_t i = 0; i < MCQ_CNT_OF(h->drops); i++)
        all += h->drops[i];
    check_sum(h, "drops without a peer", h->drops[MCQ_REASON_NO_PEER], s->drops_no_peer);
    check_sum(h, "drops of the pattern", h->drops[MCQ_REASON_PATTERN], s->drops_pattern);
    check_sum(h, "conflated", h->drops[MCQ_REASON_CONFLATED], s->conflated);
    check_sum(h, "all drops", all,
              s->drops_hwm + s->drops_old + s->conflated + s->drops_no_peer + s->drops_pattern +
                  s->drops_end);
}

void mcq_host_fini(struct mcq_host *h)
{
    mcq_sim_select(h->idx);
    mcq_host_release(h);
    check_drops(h);
    if (h->shard.arena.used != h->arena_used)
        mcq_sim_fail("host %u: memory was carved after its start", h->idx);
    const char *pool = mcq_tap_leftover(&h->shard);
    if (pool != NULL)
        mcq_sim_fail("host %u: at the end the pool '%s' is not full", h->idx, pool);
    uint32_t astray = mcq_shard_fini(&h->shard);
    if (astray != 0)
        mcq_sim_fail("host %u: at the end %u blocks are not home", h->idx, astray);
    if (mcq_sim_open_fds(h->idx) != 0)
        mcq_sim_fail("host %u: at the end %u descriptors are open", h->idx,
                     mcq_sim_open_fds(h->idx));
    h->alive = false;
}
