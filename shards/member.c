#include "shards/member.h"

#include "mem/detail.h"
#include "shards/crossing.h"
#include "shards/shard.h"
#include "shards/takeback.h"

/* First byte of a control record. */
enum word {
    WORD_CANCEL = 0,
    WORD_SUBSCRIBE,
    WORD_FLOOD, /* on or off */
    WORD_MARK,  /* changes */
    WORD_KNOWN, /* changes */
    WORD_PEERS, /* there are any, or none */
    WORD_CUT,   /* please: shards/crossing.h */
};

bool mcq_member_has_channels(enum mcq_sock_type type)
{
    return type == MCQ_PUB || type == MCQ_XPUB || type == MCQ_PUSH || type == MCQ_DEALER;
}

static struct mcq_channel *channel_of(struct mcq_node *n)
{
    return MCQ_CONTAINER_OF(n, struct mcq_channel, node);
}

static struct mcq_psock *psock_of(const struct mcq_channel *ch)
{
    return &ch->link->sock->psock;
}

void mcq_member_say(struct mcq_member *m)
{
    for (struct mcq_node *n = mcq_list_first(&m->channels); n != NULL;
         n = mcq_list_next(&m->channels, n))
        mcq_bridge_say(channel_of(n)->bridge);
}

/* --- the summary ---------------------------------------------------------------------------- */

static void summary_writable(void *ctx)
{
    (void)ctx;
}

static void summary_control(void *ctx, struct mcq_pipe *told)
{
    (void)ctx;
    mcq_bridge_say(MCQ_CONTAINER_OF(told, struct mcq_channel, told)->bridge);
}

/* It delivers nothing, and no peer of it is slow: it is there for what it says. */
static const struct mcq_psock_up summary_up = {
    .writable = summary_writable,
    .control = summary_control,
};

static void summary_open(struct mcq_member *m)
{
    struct mcq_shard *sh = m->sock->shard;
    const struct mcq_psock_config config = {
        .up = &summary_up,
        .up_ctx = m,
        .env = &sh->env,
        .shared = sh->shared,
        .opts = &m->sock->pattern_opts,
    };
    mcq_psock_init(&m->summary, mcq_pattern_of(MCQ_SUB), &config);
    m->summary.stats = &m->own_stats;
}

/* What isn't there when it ends was left out when it came. */
void mcq_member_wanted(struct mcq_member *m, bool added, struct mcq_slice topic)
{
    if (!m->publishes || m->sock->pattern_opts.invert_matching)
        return;
    bool room = !added || m->topic_cnt < MCQ_MEMBER_TOPICS_MAX;
    if (room && mcq_subs_change(&m->summary, added, topic) == MCQ_OK)
        m->topic_cnt = added ? m->topic_cnt + 1 : m->topic_cnt - 1;
    else
        m->left_out_cnt = added ? m->left_out_cnt + 1 : m->left_out_cnt - 1;
    m->changes++;
    mcq_member_say(m);
}

uint64_t mcq_member_known(const struct mcq_member *m)
{
    uint64_t known = m->changes;
    for (struct mcq_node *n = mcq_list_first(&m->channels); n != NULL;
         n = mcq_list_next(&m->channels, n))
        known = mcq_min_u64(known, channel_of(n)->known);
    return known;
}

uint64_t mcq_member_unknown(const struct mcq_member *m)
{
    return mcq_member_known(m) == m->changes ? 0 : m->changes;
}

static void check_known(struct mcq_member *m)
{
    if (!m->publishes)
        return;
    mcq_fanout_known(&m->sock->psock, mcq_member_known(m));
    mcq_crossing_check(m);
}

/* --- saying --------------------------------------------------------------------------------- */

static bool put_flag(struct mcq_channel *ch, enum word word, bool on)
{
    const uint8_t bytes[2] = {(uint8_t)word, on ? 1 : 0};
    return mcq_bridge_control(ch->bridge, mcq_slice_of(bytes, 2), mcq_slice_of(NULL, 0));
}

static bool put_number(struct mcq_channel *ch, enum word word, uint64_t number)
{
    uint8_t bytes[9] = {(uint8_t)word};
    struct mcq_writer w = mcq_writer_of(bytes + 1, 8);
    (void)mcq_writer_be64(&w, number);
    return mcq_bridge_control(ch->bridge, mcq_slice_of(bytes, 9), mcq_slice_of(NULL, 0));
}

/* The next topics, at most MCQ_INPROC_SUBS of them; *all: there are no more. false: no room. */
static bool say_topics(struct mcq_channel *ch, bool *all)
{
    struct mcq_psock *summary = &ch->member->summary;
    struct mcq_control c;
    *all = true;
    for (uint32_t i = 0; i < MCQ_INPROC_SUBS; i++) {
        if (!mcq_subs_next(summary, &ch->told, &c))
            return true;
        const uint8_t word = c.add ? WORD_SUBSCRIBE : WORD_CANCEL;
        if (!mcq_bridge_control(ch->bridge, mcq_slice_of(&word, 1), c.topic))
            return false;
        ch->told.control_seq = c.seq;
    }
    *all = false;
    mcq_bridge_say(ch->bridge);
    return true;
}

static bool say_summary(struct mcq_channel *ch)
{
    const struct mcq_member *m = ch->member;
    const bool flood = m->left_out_cnt != 0;
    bool all;
    if (!say_topics(ch, &all))
        return false;
    if (!all)
        return true;
    if (flood != ch->flood_said && !put_flag(ch, WORD_FLOOD, flood))
        return false;
    ch->flood_said = flood;
    if (m->changes != ch->mark_said && !put_number(ch, WORD_MARK, m->changes))
        return false;
    ch->mark_said = m->changes;
    return true;
}

static bool channel_say(struct mcq_bridge *b)
{
    struct mcq_channel *ch = b->ctx;
    const struct mcq_psock *ps = psock_of(ch);
    const bool peers = ps->peers_up != 0 && !ch->link->sock->closing;
    if (!ch->link->attached)
        return true;
    if (ch->heard != ch->known_said && !put_number(ch, WORD_KNOWN, ch->heard))
        return false;
    ch->known_said = ch->heard;
    if (ch->member->publishes)
        return say_summary(ch) && mcq_crossing_say(ch);
    if (peers != ch->peers_said && !put_flag(ch, WORD_PEERS, peers))
        return false;
    ch->peers_said = peers;
    return mcq_takeback_run(ch);
}

void mcq_member_peers(struct mcq_member *m)
{
    if (!m->publishes)
        mcq_member_say(m);
}

/* --- hearing -------------------------------------------------------------------------------- */

static void set_flood(struct mcq_channel *ch)
{
    mcq_fanout_member_flood(psock_of(ch), &ch->link->pipe, ch->flood || ch->left_out_cnt != 0);
}

static void hear_topic(struct mcq_channel *ch, bool add, struct mcq_slice topic)
{
    if (mcq_fanout_member_change(psock_of(ch), &ch->link->pipe, add, topic))
        return;
    ch->left_out_cnt = add ? ch->left_out_cnt + 1 : ch->left_out_cnt - 1;
    set_flood(ch);
}

static void channel_control(struct mcq_bridge *b, struct mcq_slice body)
{
    struct mcq_channel *ch = b->ctx;
    struct mcq_reader in = mcq_reader_of(body);
    uint8_t word = 0;
    uint64_t number = 0;
    if (!ch->link->attached || !mcq_reader_u8(&in, &word))
        return;
    const struct mcq_slice rest = mcq_reader_rest(&in);
    switch ((enum word)word) {
    case WORD_CANCEL:
    case WORD_SUBSCRIBE:
        hear_topic(ch, word == WORD_SUBSCRIBE, rest);
        break;
    case WORD_FLOOD:
        ch->flood = rest.ptr[0] != 0;
        set_flood(ch);
        break;
    case WORD_MARK:
        (void)mcq_reader_be64(&in, &ch->heard);
        mcq_bridge_say(b);
        break;
    case WORD_KNOWN:
        (void)mcq_reader_be64(&in, &number);
        ch->known = number;
        check_known(ch->member);
        break;
    case WORD_PEERS:
        ch->peers = rest.ptr[0] != 0;
        mcq_balance_member(psock_of(ch), &ch->link->pipe, ch->peers);
        mcq_member_say(ch->member); /* what waits in others may have somewhere to go now */
        break;
    case WORD_CUT:
        mcq_crossing_asked(ch, rest);
        break;
    }
}

/* --- messages ------------------------------------------------------------------------------- */

/* Peers that are on their way get some members' messages, not others'. */
static size_t relay(struct mcq_channel *ch, struct mcq_msg *msgs, size_t n)
{
    struct mcq_member *m = ch->member;
    if (MCQ_LIKELY(mcq_list_empty(&m->crossings)))
        return mcq_fanout_relay(psock_of(ch), msgs, n);
    mcq_crossing_mute(m, ch->bridge->to);
    size_t taken = mcq_fanout_relay(psock_of(ch), msgs, n);
    mcq_crossing_mute(m, m->sock->shard->id);
    return taken;
}

static void channel_marked(struct mcq_bridge *b, struct mcq_slice what)
{
    struct mcq_channel *ch = b->ctx;
    if (ch->link->attached)
        mcq_crossing_cut(ch, what);
}

bool mcq_channel_ask_cut(struct mcq_channel *ch, struct mcq_slice body)
{
    const uint8_t word = WORD_CUT;
    return mcq_bridge_control(ch->bridge, mcq_slice_of(&word, 1), body);
}

static size_t channel_receive(struct mcq_bridge *b, struct mcq_msg *msgs, size_t n)
{
    struct mcq_channel *ch = b->ctx;
    struct mcq_psock *ps = psock_of(ch);
    if (!ch->link->attached || ch->link->sock->closing)
        return 0;
    return ch->member->publishes ? relay(ch, msgs, n) : mcq_balance_relay(ps, msgs, n);
}

/* Who is asked first may take all the room there is: by lot the user or the next channel. In turns
 * won't do: room may come in a rhythm, and keep meeting the same one first. */
void mcq_member_writable(struct mcq_sock *sock)
{
    struct mcq_list *all = &sock->member->channels;
    uint32_t cnt = 0;
    for (struct mcq_node *n = mcq_list_first(all); n != NULL; n = mcq_list_next(all, n))
        cnt++;
    if (cnt == 0)
        return;
    bool user_first = mcq_loop_random(sock->shard->loop) % (cnt + 1) == 0;
    if (!user_first)
        mcq_list_push_back(all, mcq_list_pop_front(all));
    for (struct mcq_node *n = mcq_list_first(all); n != NULL; n = mcq_list_next(all, n)) {
        struct mcq_bridge *b = channel_of(n)->bridge;
        if (b->held)
            mcq_bridge_say(b);
        if (user_first)
            mcq_bridge_resume(b);
        else
            mcq_bridge_retry(b);
    }
}

/* The limits are the members' own, alike on both sides. */
static void channel_oversized(struct mcq_bridge *b)
{
    const struct mcq_channel *ch = b->ctx;
    mcq_psock_drop(psock_of(ch), NULL, MCQ_REASON_HWM, 1);
}

static void channel_taken(struct mcq_bridge *b, uint64_t bytes, bool room)
{
    struct mcq_channel *ch = b->ctx;
    struct mcq_link *link = ch->link;
    struct mcq_psock *ps = psock_of(ch);
    (void)bytes;
    if (room && link->attached)
        ps->pattern->writable(ps, &link->pipe);
    if (!link->session.ended && mcq_pipe_empty(&link->pipe))
        mcq_link_drained(link);
}

/* --- channels come and go ------------------------------------------------------------------- */

void mcq_channel_detach(struct mcq_channel *ch)
{
    struct mcq_psock *ps = psock_of(ch);
    struct mcq_pipe *p = &ch->link->pipe;
    if (ch->member->publishes) {
        mcq_crossing_left(ch);
        mcq_fanout_member_close(ps, p);
        mcq_subs_detach(&ch->member->summary, &ch->told);
        mcq_subs_remove(&ch->member->summary, &ch->told);
    } else {
        mcq_balance_member(ps, p, false);
    }
    p->up = false;
    mcq_psock_relieved(ps, p);
    mcq_node_unlink(&ch->node);
    check_known(ch->member);
}

static void channel_ended(struct mcq_bridge *b, enum mcq_reason reason, uint32_t lost)
{
    struct mcq_channel *ch = b->ctx;
    (void)lost;
    mcq_session_end(ch->link, reason, 0);
}

static void channel_closed(struct mcq_bridge *b)
{
    struct mcq_channel *ch = b->ctx;
    struct mcq_link *link = ch->link;
    struct mcq_shard *sh = link->shard;
    (void)mcq_session_settle(link);
    mcq_link_event(link, &(struct mcq_io_event){.kind = MCQ_IO_CLOSED});
    mcq_pool_give(&sh->channels, ch);
}

static void channel_introduce(struct mcq_bridge *b, struct mcq_writer *w)
{
    const struct mcq_channel *ch = b->ctx;
    (void)mcq_writer_be32(w, ch->link->sock->logical);
    (void)mcq_writer_be64(w, ch->member->nr);
}

static const struct mcq_bridge_ops channel_ops = {
    .introduce = channel_introduce,
    .receive = channel_receive,
    .marked = channel_marked,
    .oversized = channel_oversized,
    .taken = channel_taken,
    .say = channel_say,
    .control = channel_control,
    .held = mcq_bridge_say,
    .ended = channel_ended,
    .closed = channel_closed,
};

/* The pattern knows of it, and it of what has been wanted so far. false: no room. */
static bool channel_attach(struct mcq_channel *ch)
{
    struct mcq_member *m = ch->member;
    struct mcq_pipe *p = &ch->link->pipe;
    p->member = true;
    p->up = true;
    p->sheds = m->sock->pattern_opts.slow == MCQ_SLOW_DROP_OLD;
    p->conflates = m->sock->pattern_opts.slow == MCQ_SLOW_CONFLATE;
    if (m->publishes && !mcq_fanout_member_open(&m->sock->psock, p))
        return false;
    if (m->publishes) {
        mcq_pipe_init(&ch->told, &m->sock->shard->env, &m->summary, 1, 1);
        mcq_psock_add(&m->summary, &ch->told);
    }
    return true;
}

static void channel_undo(struct mcq_channel *ch)
{
    struct mcq_shard *sh = ch->link->shard;
    mcq_node_unlink(&ch->link->sock_node);
    mcq_link_free(ch->link);
    mcq_pool_give(&sh->channels, ch);
}

/* A channel with its link, without a bridge. NULL: a pool is empty. */
static struct mcq_channel *channel_create(struct mcq_member *m)
{
    struct mcq_shard *sh = m->sock->shard;
    struct mcq_channel *ch = mcq_pool_take(&sh->channels);
    struct mcq_link *link = ch == NULL ? NULL : mcq_link_create(m->sock);
    if (link == NULL) {
        if (ch != NULL)
            mcq_pool_give(&sh->channels, ch);
        return NULL;
    }
    *ch = (struct mcq_channel){.member = m, .link = link};
    link->channel = ch;
    if (channel_attach(ch))
        return ch;
    channel_undo(ch);
    return NULL;
}

/* From here on its link's end is what ends it. */
static void channel_start(struct mcq_channel *ch, struct mcq_bridge *b)
{
    struct mcq_link *link = ch->link;
    ch->bridge = b;
    b->limits = mcq_cargo_limits_of(&link->sock->opts);
    link->session = (struct mcq_session){.conn = NULL};
    link->state = MCQ_LINK_SESSION;
    link->attached = true;
    mcq_list_push_back(&ch->member->channels, &ch->node);
    if (ch->member->publishes)
        (void)mcq_subs_attach(&ch->member->summary, &ch->told);
    mcq_bridge_say(b);
}

static bool channel_open(struct mcq_member *m, uint32_t to)
{
    struct mcq_shard *sh = m->sock->shard;
    struct mcq_channel *ch = channel_create(m);
    if (ch == NULL)
        return false;
    struct mcq_bridge *b = mcq_bridge_open(sh, ch->link, to, MCQ_BRIDGE_MEMBER, &channel_ops, ch);
    if (b == NULL) {
        mcq_channel_detach(ch);
        channel_undo(ch);
        return false;
    }
    channel_start(ch, b);
    return true;
}

enum mcq_reason mcq_member_accept(struct mcq_bridge *b, uint32_t from, struct mcq_slice what)
{
    struct mcq_shard *sh = b->shard;
    struct mcq_reader in = mcq_reader_of(what);
    uint32_t idx = 0;
    uint64_t nr = 0;
    (void)from;
    (void)mcq_reader_be32(&in, &idx);
    (void)mcq_reader_be64(&in, &nr);
    struct mcq_sock *sock = sh->members[idx];
    if (sock == NULL || sock->closing || sock->member == NULL)
        return MCQ_REASON_PEER_CLOSED;
    if (nr < sock->member->nr) /* meant for the one before, and this one opens one itself */
        return MCQ_REASON_PEER_CLOSED;
    struct mcq_channel *ch = channel_create(sock->member);
    if (ch == NULL) {
        mcq_log_line(&sh->log, MCQ_LOG_ERROR,
                     "shard %u: no link is left for a member of the same logical socket on shard "
                     "%u: raise --connections",
                     sh->id, from);
        return MCQ_REASON_LIMIT;
    }
    b->ops = &channel_ops;
    b->ctx = ch;
    mcq_bridge_join(b, ch->link);
    channel_start(ch, b);
    return MCQ_REASON_NONE;
}

/* --- members -------------------------------------------------------------------------------- */

enum mcq_error mcq_member_open(struct mcq_sock *sock, const struct mcq_shard_set *earlier,
                               struct mcq_detail *detail)
{
    struct mcq_shard *sh = sock->shard;
    const enum mcq_sock_type type = sock->psock.pattern->type;
    if (!mcq_member_has_channels(type))
        return MCQ_OK;
    struct mcq_member *m = mcq_pool_take(&sh->member_pool);
    MCQ_ASSERT(m != NULL); /* there are as many as logical sockets */
    *m = (struct mcq_member){.sock = sock,
                             .nr = mcq_logical_nr(&sh->roster->logicals, sock->logical, sh->id),
                             .publishes = type == MCQ_PUB || type == MCQ_XPUB};
    mcq_list_init(&m->channels);
    mcq_list_init(&m->crossings);
    sock->member = m;
    if (m->publishes)
        summary_open(m);
    bool ok = true;
    for (uint32_t id = 0; id < sh->roster->cnt; id++)
        if ((earlier->bits[id / 64] >> id % 64 & 1) != 0)
            ok = channel_open(m, id) && ok;
    if (!ok)
        mcq_detail_set(detail, MCQ_ELIMIT, 0,
                       "logical: no link is left for another member: raise --connections");
    return ok ? MCQ_OK : MCQ_ELIMIT;
}

void mcq_member_close(struct mcq_sock *sock)
{
    struct mcq_member *m = sock->member;
    if (m == NULL)
        return;
    MCQ_ASSERT(mcq_list_empty(&m->channels) && mcq_list_empty(&m->crossings));
    if (m->publishes)
        mcq_psock_fini(&m->summary);
    sock->member = NULL;
    mcq_pool_give(&sock->shard->member_pool, m);
}
