#include "shards/shard.h"

#include <monocoque/embed.h>

#include "mem/detail.h"
#include "mem/os_mem.h"
#include "shards/claim.h"
#include "shards/inproc_far.h"

#define RX_RESERVE_PART 16u /* of the 32 KiB blocks: so many are left to receiving */
#define CALM_TURNS      256u /* without work, of a shard that spins, before it says that it is idle */

__thread struct mcq_shard *mcq_shard_here;

/* --- flushing ------------------------------------------------------------------------------ */

static void env_mark(void *ctx, struct mcq_pipe *p)
{
    struct mcq_shard *sh = ctx;
    if (p->marked)
        return;
    p->marked = true;
    if (mcq_list_empty(&sh->marked))
        sh->oldest_ns = mcq_shard_now_ns(sh);
    mcq_list_push_back(&sh->marked, &p->mark_node);
}

static bool flush_pipe(struct mcq_pipe *p)
{
    mcq_node_unlink(&p->mark_node);
    p->marked = false;
    mcq_pipe_forget(p);
    if (MCQ_UNLIKELY(p->starved && mcq_pipe_empty(p)))
        mcq_link_hungry(mcq_link_of_pipe(p));
    return mcq_session_flush(mcq_link_of_pipe(p));
}

/* Inside a callback that sends a lot: what has waited long, or is much, leaves now. */
static void env_pressed(void *ctx, struct mcq_pipe *p)
{
    struct mcq_shard *sh = ctx;
    if (mcq_pipe_queued_bytes(p) < MCQ_SHARD_PRESSED_LEN &&
        mcq_loop_clock(sh->loop) - sh->oldest_ns < MCQ_SHARD_OLDEST_NS)
        return;
    if (flush_pipe(p))
        mcq_loop_submit(sh->loop);
    mcq_mesh_publish(sh->mesh);
}

/* At most so many sends a turn; the rest is first in the next. */
static void flush_marked(struct mcq_shard *sh)
{
    struct mcq_node *n;
    for (uint32_t i = 0; i < MCQ_SHARD_FLUSH_MAX; i++) {
        if ((n = mcq_list_first(&sh->marked)) == NULL)
            return;
        flush_pipe(MCQ_CONTAINER_OF(n, struct mcq_pipe, mark_node));
    }
}

/* What one hop makes others send goes on in the next one. */
static void run_inproc(struct mcq_shard *sh)
{
    uint64_t msgs = 0;
    for (uint32_t i = 0; i < MCQ_SHARD_HOPS_MAX && msgs < MCQ_SHARD_HOPPED_MAX; i++) {
        msgs += mcq_inproc_run(sh);
        flush_marked(sh);
        if (mcq_list_empty(&sh->inproc.due))
            return;
    }
    sh->stats.hops_later++;
}

/* --- the turn ------------------------------------------------------------------------------ */

static void dispatch(struct mcq_shard *sh, const struct mcq_io_event *ev)
{
    if (ev->kind == MCQ_IO_WAKE) {
        sh->stats.wakes++;
        return;
    }
    if (ev->conn->listener)
        mcq_listener_event(ev->conn->user, ev);
    else
        mcq_link_event(ev->conn->user, ev);
}

static uint32_t reap(struct mcq_shard *sh)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < MCQ_SHARD_REAPS_MAX; i++) {
        size_t n = mcq_loop_reap(sh->loop, sh->events, MCQ_SHARD_EVENTS_MAX);
        if (n == 0)
            break;
        for (size_t k = 0; k < n; k++)
            dispatch(sh, &sh->events[k]);
        total += (uint32_t)n;
    }
    return total;
}

/* Each session that was ready when the turn came to it, once. */
static uint32_t deliver(struct mcq_shard *sh)
{
    struct mcq_node *last = mcq_list_last(&sh->ready);
    struct mcq_node *n;
    uint32_t cnt = 0;
    while (last != NULL && (n = mcq_list_pop_front(&sh->ready)) != NULL) {
        struct mcq_session *s = MCQ_CONTAINER_OF(n, struct mcq_session, ready_node);
        mcq_session_deliver(MCQ_CONTAINER_OF(s, struct mcq_link, session));
        mcq_mesh_publish(sh->mesh);
        cnt++;
        if (n == last)
            break;
    }
    return cnt;
}

static void stop(struct mcq_shard *sh)
{
    sh->stopping = true;
    if (sh->app != NULL && sh->app->on_stopping != NULL)
        sh->app->on_stopping(sh, sh->app_arg);
    for (struct mcq_node *n = mcq_list_first(&sh->sock_list); n != NULL;
         n = mcq_list_next(&sh->sock_list, n))
        mcq_sock_close(MCQ_CONTAINER_OF(n, struct mcq_sock, shard_node));
}

static bool has_work(const struct mcq_shard *sh)
{
    return !mcq_list_empty(&sh->ready) || !mcq_list_empty(&sh->marked) ||
           !mcq_list_empty(&sh->writable) || !mcq_list_empty(&sh->due) ||
           !mcq_list_empty(&sh->sock_drops) || !mcq_list_empty(&sh->sweeps) ||
           !mcq_list_empty(&sh->inproc.due) || !mcq_list_empty(&sh->bridges.due);
}

static bool finished(const struct mcq_shard *sh)
{
    return mcq_list_empty(&sh->sock_list) && sh->passes.cnt == 0 && sh->bridges.pool.in_use == 0 &&
           mcq_handoff_idle(&sh->handoff) &&
           (sh->stopping ||
            (sh->timers_open == 0 && mcq_mailbox_empty(sh->mailbox) && mcq_ports_none(&sh->ports) &&
             (sh->mesh == NULL ||
              (mcq_mesh_idle(sh->mesh) && sh->remote.due_cnt == 0 && sh->directory.due_cnt == 0))));
}

/* Nothing is left here. Returns false once nothing is left anywhere. */
static bool rest(struct mcq_shard *sh)
{
    struct mcq_roster *r = sh->roster;
    if (r == NULL)
        return false;
    if (sh->stopping) {
        mcq_roster_end(r, sh->id);
        return !mcq_roster_over(r);
    }
    sh->idle = true;
    if (mcq_roster_idle(r, sh->id))
        mcq_roster_finish(r, sh->id);
    return !mcq_roster_over(r);
}

/* A shard has nothing of its own. To say so, and to take it back, moves cache lines of all shards
 * to and fro; one that spins, and is posted to again soon, is spared that. */
static bool calm(struct mcq_shard *sh, uint32_t work)
{
    if (work != 0)
        sh->calm_cnt = 0;
    return sh->stopping || sh->calm_cnt++ >= sh->calm_max;
}

/* An idle shard has work again only if it is sent some; that it has must be seen before the work
 * is. A post of another thread's may come so late that all has been declared over meanwhile: what
 * it opens is closed as by a stop. */
static bool awake(struct mcq_shard *sh)
{
    if (mcq_mailbox_empty(sh->mailbox) && !mcq_mailbox_stopped(sh->mailbox) &&
        (sh->mesh == NULL || mcq_mesh_empty(sh->mesh)) && mcq_ports_none(&sh->ports))
        return false;
    sh->idle = false;
    mcq_roster_busy(sh->roster, sh->id);
    return true;
}

/* Returns whether the next turn shall come at once: there is more to say, or a claim has settled
 * that a move has waited for. */
static bool run_directory(struct mcq_shard *sh)
{
    bool more = mcq_directory_run(&sh->directory);
    return more || (sh->directory.due_cnt == 0 && !mcq_list_empty(&sh->handoff.tied));
}

/* One turn but for its end. Returns false once nothing is left anywhere; *busy: don't sleep. */
static bool turn(struct mcq_shard *sh, bool *busy)
{
    mcq_loop_begin(sh->loop);
    if (MCQ_UNLIKELY(sh->idle) && (mcq_roster_over(sh->roster) || !awake(sh))) {
        *busy = reap(sh) != 0;
        return !mcq_roster_over(sh->roster);
    }
    uint32_t work = mcq_mesh_run(sh->mesh, sh);
    work += reap(sh);
    work += deliver(sh);
    uint32_t expired = mcq_timers_expire(mcq_loop_timers(sh->loop), mcq_shard_now_ns(sh));
    sh->stats.loop.timers_fired += expired;
    work += expired;
    mcq_mesh_publish(sh->mesh);
    work += mcq_mesh_run(sh->mesh, sh);
    work += mcq_mailbox_run(sh->mailbox, sh);
    work += mcq_ports_run(sh, &sh->ports);
    if (MCQ_UNLIKELY(mcq_mailbox_stopped(sh->mailbox)) && !sh->stopping)
        stop(sh);
    if (MCQ_UNLIKELY(!mcq_list_empty(&sh->sweeps)))
        mcq_sock_run_sweeps(sh);
    if (!mcq_list_empty(&sh->writable))
        mcq_sock_run_writable(sh);
    flush_marked(sh);
    if (MCQ_UNLIKELY(!mcq_list_empty(&sh->inproc.due)))
        run_inproc(sh);
    if (MCQ_UNLIKELY(!mcq_list_empty(&sh->due) || !mcq_list_empty(&sh->sock_drops)))
        mcq_sock_run_due(sh);
    if (MCQ_UNLIKELY(sh->inproc.tells))
        mcq_inproc_far_tell(sh);
    (void)mcq_bridges_run(sh);
    if (MCQ_UNLIKELY(mcq_handoff_is_due(&sh->handoff)) && mcq_handoff_run(sh))
        work++;
    if (MCQ_UNLIKELY(!mcq_list_empty(&sh->placement.news)))
        mcq_placement_run(sh);
    (void)mcq_remote_run(sh);
    if (MCQ_UNLIKELY(sh->passes.cnt != 0))
        mcq_group_run(sh);
    if (MCQ_UNLIKELY(sh->directory.due_cnt != 0) && run_directory(sh))
        work++;
    mcq_mesh_publish(sh->mesh);
    if (MCQ_UNLIKELY(!mcq_list_empty(&sh->ports.open)))
        mcq_ports_publish(sh);
    *busy = work != 0 || has_work(sh);
    if (MCQ_UNLIKELY(finished(sh))) {
        if (calm(sh, work))
            return rest(sh);
        *busy = true;
    }
    return true;
}

/* After the last turn, on_stop opens nothing any more. */
static bool take_turn(struct mcq_shard *sh, bool *busy)
{
    bool on = turn(sh, busy);
    sh->stopping = sh->stopping || !on;
    return on;
}

bool mcq_shard_step(struct mcq_shard *sh)
{
    bool busy;
    if (!take_turn(sh, &busy))
        return false;
    mcq_loop_end(sh->loop, busy, UINT64_MAX);
    return true;
}

bool mcq_shard_poll(struct mcq_shard *sh, uint64_t *wait_ns)
{
    bool busy;
    if (sh != mcq_shard_here)
        return false;
    if (!take_turn(sh, &busy)) {
        mcq_ports_end(sh); /* its threads may be waited for before it is closed */
        return false;
    }
    uint64_t ns = mcq_loop_rest(sh->loop, busy || wait_ns == NULL);
    if (wait_ns != NULL)
        *wait_ns = ns;
    return true;
}

int mcq_shard_fd(const struct mcq_shard *sh)
{
    return mcq_loop_bell_fd(sh->loop);
}

/* --- life ---------------------------------------------------------------------------------- */

static uint64_t next_random(void *ctx)
{
    struct mcq_shard *sh = ctx;
    return mcq_loop_random(sh->loop);
}

enum mcq_error mcq_shard_told(struct mcq_shard *sh, enum mcq_error err,
                              const struct mcq_detail *why, struct mcq_detail *detail)
{
    if (err != MCQ_OK && sh == mcq_shard_here)
        sh->last_failed = *why;
    if (err != MCQ_OK && detail != NULL)
        *detail = *why;
    return err;
}

void mcq_shard_psock_init(struct mcq_shard *sh, struct mcq_sock *sock,
                          const struct mcq_pattern *pattern)
{
    const struct mcq_psock_config config = {
        .up = &mcq_sock_up,
        .up_ctx = sock,
        .env = &sh->env,
        .shared = sh->shared,
        .random = next_random,
        .random_ctx = sh,
        .opts = &sock->pattern_opts,
    };
    mcq_psock_init(&sock->psock, pattern, &config);
}

/* Mailbox and mesh are announced each by itself, and looked at again. That all have ended is told
 * by a nudge alone. */
static bool on_sleep(void *ctx, bool sleeping)
{
    struct mcq_shard *sh = ctx;
    bool sleeps = mcq_mailbox_sleep(sh->mailbox, sleeping);
    if (sleeps && sh->mesh != NULL && !mcq_mesh_sleep(sh->mesh, sleeping)) {
        (void)mcq_mailbox_sleep(sh->mailbox, false);
        return false;
    }
    bool over = sh->roster != NULL && mcq_roster_over(sh->roster);
    if (!sleeps || !sleeping || (!over && mcq_ports_empty(&sh->ports)))
        return sleeps;
    (void)on_sleep(ctx, false);
    return false;
}

static bool carve_pools(struct mcq_shard *sh)
{
    const struct mcq_plan *p = &sh->plan;
    struct mcq_arena *a = &sh->arena;
    sh->epochs = mcq_arena_carve(a, p->links_max * sizeof(*sh->epochs), MCQ_CACHE_LINE);
    sh->live = mcq_arena_carve(a, p->links_max * sizeof(*sh->live), MCQ_CACHE_LINE);
    return sh->epochs != NULL && sh->live != NULL && mcq_alias_init(&sh->alias, a, p->links_max) &&
           mcq_pool_init(&sh->links, "links", a, sizeof(struct mcq_link), p->links_max) &&
           mcq_pool_init(&sh->socks, "sockets", a, sizeof(struct mcq_sock), p->socks_max) &&
           mcq_pool_init(&sh->listeners, "listeners", a, sizeof(struct mcq_listener),
                         p->listeners_max) &&
           mcq_pool_init(&sh->targets, "connects", a, sizeof(struct mcq_target), p->targets_max) &&
           mcq_pool_init(&sh->segs, "segments", a, sizeof(struct mcq_seg), p->segs_max) &&
           mcq_pool_init(&sh->timers, "timers", a, sizeof(struct mcq_timer), p->timers_max) &&
           mcq_pool_init(&sh->proxies, "proxies", a, sizeof(struct mcq_proxy), p->proxies_max) &&
           mcq_remote_init(&sh->remote, a, p->remote_refs_max) &&
           mcq_directory_init(&sh->directory, a, sh->id, &p->directory, &mcq_claim_ops, sh) &&
           mcq_pool_init(&sh->member_pool, "members", a, sizeof(struct mcq_member),
                         p->members_max) &&
           mcq_pool_init(&sh->channels, "channels", a, sizeof(struct mcq_channel),
                         p->channels_max) &&
           mcq_remote_dead_init(&sh->dead, a, p->shards) &&
           mcq_bridges_init(&sh->bridges, a, p->bridges_max, p->shards) &&
           mcq_handoff_init(&sh->handoff, a, p->moves_max, p->shards) &&
           mcq_placement_init(&sh->placement, a, p->shards);
}

/* The ring's mode. A shard does as the one does whose kernel thread it shares. */
static void set_ring(struct mcq_loop_opts *lo, const struct mcq_opts *opts,
                     const struct mcq_shard_place *place)
{
    const struct mcq_topo_shard *seat = place->seat;
    lo->ring = opts->ring;
    lo->sqpoll_idle_ms = opts->sqpoll_idle_ms;
    lo->sqpoll_pin = seat != NULL && seat->sqpoll_cpu != MCQ_TOPO_NONE;
    lo->sqpoll_cpu = lo->sqpoll_pin ? seat->sqpoll_cpu : 0;
    if (place->kin == NULL)
        return;
    bool sqpoll = mcq_loop_is_sqpoll(place->kin->loop);
    lo->ring = sqpoll ? MCQ_RING_SQPOLL : MCQ_RING_DEFER;
    lo->sqpoll_share_fd = sqpoll ? mcq_loop_ring_fd(place->kin->loop) : 0;
}

static enum mcq_error carve(struct mcq_shard *sh, const struct mcq_opts *opts,
                            const struct mcq_shard_place *place, struct mcq_detail *detail)
{
    struct mcq_loop_opts lo = {
        .idle = opts->idle,
        .idle_spin_ns = opts->idle_spin_ns,
        .conns_max = sh->plan.conns_max,
        .timers_max = sh->plan.heap_timers_max,
        .features = opts->uring_features,
        .heap = sh->heap,
        .stats = &sh->stats.loop,
        .napi_busy_us = opts->napi_busy_us,
        .napi_prefer = opts->napi_prefer,
    };
    set_ring(&lo, opts, place);
    enum mcq_error err = mcq_loop_init(&sh->arena, &lo, &sh->loop, detail);
    if (err != MCQ_OK)
        return err;
    sh->plan.patterns.hash_seed = mcq_loop_random(sh->loop);
    sh->shared = mcq_pattern_shared_init(&sh->arena, &sh->plan.patterns, sh->heap);
    MCQ_ASSERT(sh->shared != NULL && carve_pools(sh)); /* the plan is the sum of all footprints */
    sh->mailbox = mcq_mailbox_init(&sh->arena, mcq_loop_wake_fd(sh->loop));
    mcq_loop_on_sleep(sh->loop, on_sleep, sh);
    return MCQ_OK;
}

static void log_pools(const struct mcq_shard *sh)
{
    const struct mcq_pattern_shared *shared = sh->shared;
    const struct mcq_pool *const pools[] = {
        &sh->links,
        &sh->socks,
        &sh->listeners,
        &sh->targets,
        &sh->segs,
        &sh->timers,
        &sh->proxies,
        &sh->remote.refs,
        &sh->bridges.pool,
        &sh->member_pool,
        &sh->channels,
        &sh->directory.claims,
        &sh->directory.records,
        &sh->directory.longer,
        &shared->fanout.topics,
        &shared->fanout.subs,
        &shared->fanout.subscribers,
        &shared->own_subs,
        &shared->prefixes.forks,
        mcq_buf_heap_pool(sh->heap, MCQ_BUF_512),
        mcq_buf_heap_pool(sh->heap, MCQ_BUF_4K),
        mcq_buf_heap_pool(sh->heap, MCQ_BUF_32K),
        mcq_buf_heap_pool(sh->heap, MCQ_BUF_256K),
    };
    mcq_log_pools(&sh->log, sh->id, pools, MCQ_CNT_OF(pools));
}

static void seal(struct mcq_shard *sh, const struct mcq_opts *opts)
{
    struct mcq_detail detail = {.text = ""};
    char where[MCQ_ARENA_WHERE_LEN];
    mcq_arena_seal(&sh->arena, !opts->no_mlock, &detail);
    mcq_os_touch_stack();
    if (sh->arena.locked)
        (void)mcq_os_lock_process(&detail);
    if (detail.text[0] != '\0')
        mcq_log_line(&sh->log, MCQ_LOG_WARN, "shard %u: %s", sh->id, detail.text);
    if (sh->arena.bind_failed)
        mcq_log_line(&sh->log, MCQ_LOG_WARN, "shard %u: %s", sh->id, sh->arena.bind.text);
    mcq_log_line(
        &sh->log, MCQ_LOG_INFO,
        "shard %u: %zu MiB mapped, %s, %s, %s; %u connections, %zu MiB for large messages; "
        "ring: %s",
        sh->id, sh->arena.cap >> 20, mcq_arena_where(&sh->arena, where),
        sh->arena.pages == MCQ_PAGES_HUGE  ? "huge pages"
        : sh->arena.pages == MCQ_PAGES_THP ? "transparent huge pages"
                                           : "4 KiB pages",
        sh->arena.locked ? "locked" : "not locked", sh->plan.links_max,
        sh->plan.bufs.large_bytes >> 20, mcq_loop_features(sh->loop));
    if (mcq_loop_ring_why(sh->loop)[0] != '\0')
        mcq_log_line(&sh->log, MCQ_LOG_INFO, "shard %u: ring: %s", sh->id,
                     mcq_loop_ring_why(sh->loop));
    if (mcq_loop_napi_why(sh->loop)[0] != '\0')
        mcq_log_line(&sh->log, MCQ_LOG_WARN, "shard %u: %s", sh->id, mcq_loop_napi_why(sh->loop));
    log_pools(sh);
}

/* What the kernel's thread was good for. */
static void log_sq(const struct mcq_shard *sh)
{
    uint64_t run_us, work_us;
    if (mcq_loop_sq_times(sh->loop, &run_us, &work_us) && run_us != 0)
        mcq_log_line(&sh->log, MCQ_LOG_INFO,
                     "shard %u: its ring's kernel thread ran %llu ms and worked %llu %% of them",
                     sh->id, (unsigned long long)(run_us / 1000),
                     (unsigned long long)(work_us * 100 / run_us));
}

int mcq_shard_node(const struct mcq_opts *opts, const struct mcq_topo_shard *seat)
{
    bool any = seat == NULL || seat->node == MCQ_TOPO_NONE || opts->numa == MCQ_NUMA_OFF;
    return any ? MCQ_NODE_ANY : (int)seat->node;
}

enum mcq_node_policy mcq_shard_node_policy(const struct mcq_opts *opts)
{
    return opts->numa == MCQ_NUMA_BIND ? MCQ_NODE_BIND : MCQ_NODE_PREFER;
}

/* What no mapping decides, as the ring's pages, follows the thread. */
static enum mcq_error map_arena(struct mcq_shard *sh, const struct mcq_opts *opts,
                                const struct mcq_topo_shard *seat, struct mcq_detail *detail)
{
    struct mcq_detail why = {.text = ""};
    int node = mcq_shard_node(opts, seat);
    if (mcq_os_prefer_node(node, &why) != MCQ_OK)
        mcq_log_line(&sh->log, MCQ_LOG_DEBUG, "shard %u: %s", sh->id, why.text);
    return mcq_arena_init_on(&sh->arena, sh->plan.total, node, mcq_shard_node_policy(opts), detail);
}

enum mcq_error mcq_shard_init(struct mcq_shard *sh, uint32_t id, const struct mcq_opts *opts,
                              struct mcq_resolver *resolver, struct mcq_detail *detail)
{
    return mcq_shard_init_at(sh, id, opts, &(struct mcq_shard_place){0}, resolver, detail);
}

enum mcq_error mcq_shard_init_at(struct mcq_shard *sh, uint32_t id, const struct mcq_opts *opts,
                                 const struct mcq_shard_place *place, struct mcq_resolver *resolver,
                                 struct mcq_detail *detail)
{
    *sh = (struct mcq_shard){
        .id = id,
        .resolver = resolver,
        .log = {opts->log, opts->log_ctx, opts->log_level},
        .env = {.ctx = sh, .mark = env_mark, .pressed = env_pressed},
        .calm_max = opts->shards > 1 && opts->idle != MCQ_IDLE_BLOCK ? CALM_TURNS : 0,
    };
    mcq_list_init(&sh->ready);
    mcq_list_init(&sh->marked);
    mcq_list_init(&sh->writable);
    mcq_list_init(&sh->due);
    mcq_list_init(&sh->sock_drops);
    mcq_list_init(&sh->sweeps);
    mcq_list_init(&sh->sock_list);
    mcq_inproc_init(&sh->inproc);
    mcq_ports_init(&sh->ports);
    enum mcq_error err = mcq_plan_make(opts, &sh->plan, detail);
    if (err == MCQ_OK)
        err = map_arena(sh, opts, place->seat, detail);
    if (err != MCQ_OK)
        return err;
    sh->heap = mcq_buf_heap_init(&sh->arena, &sh->plan.bufs, &sh->stats.mem);
    err = sh->heap == NULL ? mcq_detail_set(detail, MCQ_ENOMEM, 0, "the arena is too small")
                           : carve(sh, opts, place, detail);
    if (err != MCQ_OK) {
        mcq_arena_fini(&sh->arena);
        return err;
    }
    sh->env.heap = sh->heap;
    mcq_buf_heap_reserve_rx(sh->heap, sh->plan.bufs.cnt[MCQ_BUF_32K] / RX_RESERVE_PART);
    sh->env.segs = &sh->segs;
    sh->env.stats = &sh->stats.pattern;
    sh->pin_max = sh->plan.bufs.cnt[MCQ_BUF_32K] * (size_t)MCQ_BUF_RX_LEN / 4;
    seal(sh, opts);
    sh->stats.mem.minor_faults = mcq_os_minor_faults();
    mcq_shard_here = sh;
    return MCQ_OK;
}

uint32_t mcq_shard_fini(struct mcq_shard *sh)
{
    mcq_mailbox_quiesce(sh->mailbox);
    mcq_group_drop_passes(sh);
    log_sq(sh);
    mcq_loop_fini(sh->loop);
    uint32_t astray = mcq_buf_heap_in_use(sh->heap);
    mcq_shard_here = NULL;
    mcq_arena_fini(&sh->arena);
    mcq_ports_fini(&sh->ports);
    return astray;
}

/* --- public -------------------------------------------------------------------------------- */

uint32_t mcq_shard_id(const struct mcq_shard *sh)
{
    return sh->id;
}

uint32_t mcq_shard_cnt(const struct mcq_shard *sh)
{
    return sh->roster == NULL ? 1 : sh->roster->cnt;
}

struct mcq_shard *mcq_shard_at(struct mcq_shard *sh, uint32_t id)
{
    if (sh->roster == NULL)
        return id == sh->id ? sh : NULL;
    return id < sh->roster->cnt ? mcq_roster_shard(sh->roster, id) : NULL;
}

void *mcq_shard_user(const struct mcq_shard *sh)
{
    return sh->user;
}

void mcq_shard_set_user(struct mcq_shard *sh, void *user)
{
    sh->user = user;
}

uint64_t mcq_shard_now(const struct mcq_shard *sh)
{
    return mcq_loop_now(sh->loop);
}

uint64_t mcq_shard_clock(struct mcq_shard *sh)
{
    return mcq_loop_clock(sh->loop);
}

enum mcq_error mcq_post(struct mcq_shard *sh, mcq_post_fn *fn, void *arg)
{
    return mcq_mailbox_post(sh->mailbox, fn, arg);
}

void mcq_stop(struct mcq_shard *sh)
{
    if (sh->roster != NULL)
        mcq_roster_stop(sh->roster);
    else
        mcq_mailbox_stop(sh->mailbox);
}

void mcq_shard_stats(const struct mcq_shard *sh, struct mcq_shard_stats *stats)
{
    *stats = sh->stats;
    stats->mem.minor_faults = mcq_os_minor_faults() - sh->stats.mem.minor_faults;
    stats->pools = (struct mcq_pool_stats){
        .links_empty = sh->links.empty_cnt,
        .connects_empty = sh->targets.empty_cnt,
        .socks_empty = sh->socks.empty_cnt,
        .listeners_empty = sh->listeners.empty_cnt,
        .timers_empty = sh->timers.empty_cnt,
        .segments_empty = sh->segs.empty_cnt,
        .proxies_empty = sh->proxies.empty_cnt,
        .remote_refs_empty = sh->remote.refs.empty_cnt,
    };
    stats->bridge = sh->bridges.stats;
    stats->bridge.bridges_empty = sh->bridges.pool.empty_cnt;
    stats->directory = sh->directory.stats;
    stats->posts = mcq_mailbox_posts(sh->mailbox);
    stats->posts_full = mcq_mailbox_full(sh->mailbox);
    if (sh->mesh != NULL)
        stats->mesh = sh->mesh->stats;
}
