#include "shards/plan.h"

#include "mem/detail.h"
#include "shards/options.h"
#include "shards/shard.h"

#define SLACK (1u << 20) /* alignment of everything that is carved */

/* Of one connection: its slot in the loop, its link, its place in the tables. */
static size_t conn_cost(void)
{
    return sizeof(struct mcq_conn) + sizeof(struct mcq_link) + 256;
}

static uint32_t clamp_cnt(uint64_t n, uint32_t lo, uint32_t hi)
{
    if (n < lo)
        return lo;
    return n > hi ? hi : (uint32_t)n;
}

/* Blocks take what connections leave: a half in 32 KiB (receive ring, transmit blocks, windows),
 * a quarter in 256 KiB (windows of larger messages), an eighth each in 4 KiB (first transmit block
 * of a pipe) and 512 B (control, small kept messages) up to what they are good for. */
static void plan_bufs(const struct mcq_opts *opts, size_t rest, struct mcq_plan *plan)
{
    plan->bufs.cnt[MCQ_BUF_512] = clamp_cnt(rest / 8 / 512, 256, 2 * plan->links_max + 1024);
    plan->bufs.cnt[MCQ_BUF_4K] = clamp_cnt(rest / 8 / 4096, 256, 2 * plan->links_max + 1024);
    plan->bufs.cnt[MCQ_BUF_32K] = clamp_cnt(rest / 2 / MCQ_BUF_RX_LEN, 64, 65536);
    plan->bufs.cnt[MCQ_BUF_256K] = clamp_cnt(rest / 4 / 262144, 4, 4096);
    plan->bufs.large_bytes = mcq_align_up(opts->large_bytes, MCQ_BUF_GRANULE_LEN);
    /* every granule may be a run of its own, and the user may send as many messages from his own
     * memory again as connections and a full queue make likely */
    plan->bufs.external_cnt =
        (uint32_t)(plan->bufs.large_bytes / MCQ_BUF_GRANULE_LEN) + 2 * plan->links_max + 4096;
}

/* An eighth of the arena, beside it: identities of this shard's peers, and of all others'. What is
 * on its way between two shards is at most a ring of messages with identities of one byte. */
static void plan_directory(const struct mcq_opts *opts, struct mcq_plan *plan)
{
    size_t ring_len = mcq_mesh_ring_len(opts->shards, MCQ_LANE_URGENT);
    size_t each = mcq_align_up(MCQ_SPSC_HDR_LEN + MCQ_DIRECTORY_MSG_LEN_MIN, MCQ_SPSC_HDR_LEN);
    plan->directory = mcq_directory_plan(opts->shards, plan->links_max, (uint32_t)(ring_len / each),
                                         opts->arena_bytes / 8);
}

enum mcq_error mcq_plan_make(const struct mcq_opts *opts, struct mcq_plan *plan,
                             struct mcq_detail *detail)
{
    uint32_t fit = clamp_cnt(opts->arena_bytes / 3 / conn_cost(), 1, MCQ_CONNECTIONS_MAX);
    if (opts->connections_max > fit)
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "connections_max: an arena of %llu MiB has room for %u, not %u: ask "
                              "for that many or raise --arena",
                              (unsigned long long)(opts->arena_bytes >> 20), fit,
                              opts->connections_max);
    *plan = (struct mcq_plan){
        .links_max = opts->connections_max == 0 ? fit : opts->connections_max,
        .socks_max = MCQ_PLAN_SOCKS_MAX,
        .listeners_max = MCQ_PLAN_LISTENERS_MAX,
        .timers_max = MCQ_PLAN_TIMERS_MAX,
        .proxies_max = MCQ_PLAN_PROXIES_MAX,
        .shards = opts->shards == 0 ? 1 : opts->shards,
        .remote_refs_max = opts->shards > 1 ? MCQ_PLAN_REMOTE_REFS_MAX : 1,
    };
    plan->moves_max = opts->shards > 1 ? clamp_cnt(plan->links_max, 1, MCQ_HANDOFF_MOVES_MAX) : 1;
    plan->conns_max = plan->links_max + plan->listeners_max;
    /* a link may have one, and others' links as many to what is here */
    plan->bridges_max = opts->shards > 1 ? 2 * plan->links_max : 1;
    plan->members_max = opts->shards > 1 ? MCQ_LOGICALS_MAX : 1;
    plan->channels_max =
        clamp_cnt((uint64_t)MCQ_LOGICALS_MAX * (opts->shards - 1), 1, MCQ_PLAN_CHANNELS_MAX);
    plan->targets_max = clamp_cnt(plan->links_max, 1, MCQ_PLAN_TARGETS_MAX);
    /* one per link for the link, one per socket for REQ, one per listener, the user's */
    plan->heap_timers_max =
        plan->links_max + plan->socks_max + plan->listeners_max + plan->timers_max;
    /* two per message that waits in parts; small messages share one per block */
    plan->segs_max = clamp_cnt(opts->arena_bytes / 4096, 4096, 262144) + plan->links_max;
    plan_directory(opts, plan);
    plan_bufs(opts, opts->arena_bytes - plan->links_max * conn_cost(), plan);
    plan->patterns.connections_max = plan->links_max;
    /* an eighth of the arena for what peers subscribe to, about 354 bytes each with their topic */
    plan->patterns.peer_subs_max = clamp_cnt(opts->arena_bytes / 8 / 354, 1024, 1048576);
    plan->patterns.own_subs_max = clamp_cnt(plan->patterns.peer_subs_max / 4, 1024, 65536);
    plan->patterns.long_topics_max = clamp_cnt(plan->bufs.cnt[MCQ_BUF_512] / 4, 64, 65536);
    const struct mcq_loop_opts lo = {.conns_max = plan->conns_max,
                                     .timers_max = plan->heap_timers_max};
    plan->total =
        SLACK + mcq_buf_heap_footprint(&plan->bufs) + mcq_loop_footprint(&lo) +
        mcq_mailbox_footprint() + mcq_pattern_shared_footprint(&plan->patterns) +
        plan->links_max * (sizeof(uint32_t) + sizeof(bool)) + mcq_alias_footprint(plan->links_max) +
        mcq_pool_footprint(sizeof(struct mcq_link), plan->links_max) +
        mcq_pool_footprint(sizeof(struct mcq_sock), plan->socks_max) +
        mcq_pool_footprint(sizeof(struct mcq_listener), plan->listeners_max) +
        mcq_pool_footprint(sizeof(struct mcq_target), plan->targets_max) +
        mcq_pool_footprint(sizeof(struct mcq_seg), plan->segs_max) +
        mcq_pool_footprint(sizeof(struct mcq_timer), plan->timers_max) +
        mcq_pool_footprint(sizeof(struct mcq_proxy), plan->proxies_max) +
        mcq_remote_footprint(plan->remote_refs_max) +
        mcq_bridges_footprint(plan->bridges_max, plan->shards) +
        mcq_pool_footprint(sizeof(struct mcq_member), plan->members_max) +
        mcq_pool_footprint(sizeof(struct mcq_channel), plan->channels_max) +
        mcq_handoff_footprint(plan->moves_max, plan->shards) +
        mcq_placement_footprint(plan->shards) + mcq_directory_footprint(&plan->directory) +
        mcq_remote_dead_footprint(plan->shards);
    return MCQ_OK;
}
