#include "tests/support/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define VIEWS_MAX 64u
#define OWNER     77u

#define CHECK(s, x) ((x) ? (void)0 : broken(s, #x, __LINE__))

_Noreturn static void broken(const struct mcq_stream *s, const char *what, int line)
{
    fprintf(stderr, "stream.c:%d: broken: %s (byte %llu of the stream, state %u, log:\n%s)\n", line,
            what, (unsigned long long)s->z.offset, (unsigned)s->z.state,
            s->log.ptr != NULL ? s->log.ptr : "");
    abort();
}

/* --- windows ------------------------------------------------------------------------------- */

static void map_grow(struct mcq_stream *s, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (s->map != NULL)
        munmap(s->map, s->map_len + page);
    s->map_len = (len / page + 2) * page;
    s->map =
        mmap(NULL, s->map_len + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(s, s->map != MAP_FAILED);
    CHECK(s, mprotect(s->map + s->map_len, page, PROT_NONE) == 0);
}

/* A copy of the undelivered bytes, and nothing behind it. */
static uint8_t *window_take(struct mcq_stream *s)
{
    size_t len = s->rest.len;
    uint8_t *at;
    if (s->opts.guard) {
        if (len > s->map_len || s->map == NULL)
            map_grow(s, len);
        at = s->map + s->map_len - len;
    } else {
        uint8_t *block = malloc(len > 0 ? len : 1);
        CHECK(s, block != NULL);
        at = len > 0 ? block : block + 1;
    }
    if (len > 0)
        memcpy(at, s->rest.ptr, len);
    return at;
}

static void window_drop(struct mcq_stream *s, uint8_t *at, size_t len)
{
    if (!s->opts.guard)
        free(len > 0 ? at : at - 1);
}

/* --- the log --------------------------------------------------------------------------------- */

static void settle_drained(struct mcq_stream *s, struct mcq_text *log)
{
    if (s->drained.len == 0)
        return;
    mcq_text_add(log, "<", 1);
    mcq_text_hex(log, (const uint8_t *)s->drained.ptr, s->drained.len);
    mcq_text_add(log, "\n", 1);
}

static struct mcq_text *log_event(struct mcq_stream *s)
{
    settle_drained(s, &s->log);
    s->drained.len = 0;
    return &s->log;
}

/* A later drain may still join the last line, so it is not settled. */
const char *mcq_stream_log(struct mcq_stream *s)
{
    s->shown.len = 0;
    mcq_text_add(&s->shown, s->log.ptr, s->log.len);
    settle_drained(s, &s->shown);
    return s->shown.ptr;
}

void mcq_stream_line_message(struct mcq_text *log, const struct mcq_frame *frames, uint32_t cnt)
{
    mcq_text_add(log, "= message", 9);
    for (uint32_t i = 0; i < cnt; i++) {
        if (i > 0)
            mcq_text_add(log, " |", 2);
        mcq_text_hex(log, frames[i].data, frames[i].len);
    }
    mcq_text_add(log, "\n", 1);
}

static void line_topic(struct mcq_text *log, const char *word, struct mcq_slice topic)
{
    mcq_text_printf(log, "= %s", word);
    mcq_text_hex(log, topic.ptr, topic.len);
    mcq_text_add(log, "\n", 1);
}

const char *mcq_stream_reason(enum mcq_reason reason)
{
    static const char *const names[] = {
        [MCQ_REASON_NONE] = "none",
        [MCQ_REASON_PEER_CLOSED] = "peer-closed",
        [MCQ_REASON_RESET] = "reset",
        [MCQ_REASON_PROTOCOL] = "protocol",
        [MCQ_REASON_HANDSHAKE] = "handshake",
        [MCQ_REASON_INCOMPATIBLE] = "incompatible",
        [MCQ_REASON_PEER_ERROR] = "peer-error",
        [MCQ_REASON_IDENTITY] = "identity",
        [MCQ_REASON_HEARTBEAT] = "heartbeat",
        [MCQ_REASON_LIMIT] = "limit",
    };
    return (size_t)reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "other";
}

/* --- what a session does -----------------------------------------------------------------------
 */

static void check_inside(const struct mcq_stream *s, const struct mcq_reader *in, const void *data,
                         size_t len)
{
    const uint8_t *at = data;
    CHECK(s, at >= in->ptr && at <= in->ptr + in->pos);
    CHECK(s, len <= (size_t)(in->ptr + in->pos - at));
}

static void on_message(struct mcq_stream *s, const struct mcq_reader *in,
                       const struct mcq_frame *frames, uint32_t cnt)
{
    const struct mcq_zmtp_limits *limits = &s->opts.config.limits;
    uint64_t total = 0;
    CHECK(s, cnt >= 1 && cnt <= limits->frames_max);
    for (uint32_t i = 0; i < cnt; i++) {
        check_inside(s, in, frames[i].data, frames[i].len);
        CHECK(s, frames[i].len <= limits->frame_max);
        total += frames[i].len + 2;
    }
    CHECK(s, total <= limits->msg_max);
    CHECK(s, !s->opts.exact_need || in->pos == in->len);
    s->msgs++;
    if (!s->opts.quiet)
        mcq_stream_line_message(log_event(s), frames, cnt);
}

static void on_topic(struct mcq_stream *s, const struct mcq_reader *in,
                     const struct mcq_zmtp_event *ev)
{
    check_inside(s, in, ev->topic.ptr, ev->topic.len);
    CHECK(s, ev->topic.len <= MCQ_TOPIC_LEN_MAX);
    CHECK(s, s->opts.config.type == MCQ_PUB || s->opts.config.type == MCQ_XPUB);
    if (!s->opts.quiet)
        line_topic(log_event(s), ev->kind == MCQ_ZMTP_SUBSCRIBE ? "subscribe" : "cancel",
                   ev->topic);
}

static void on_done(struct mcq_stream *s)
{
    CHECK(s, s->z.state == MCQ_ZMTP_TRAFFIC);
    CHECK(s, s->z.peer_type == 0 ? mcq_zmtp_is_v1(&s->z)
                                 : (s->opts.config.peer_mask & (1u << s->z.peer_type)) != 0);
    if (s->opts.quiet)
        return;
    const char *type = mcq_zmtp_type_name((enum mcq_sock_type)s->z.peer_type);
    struct mcq_slice identity = mcq_zmtp_peer_identity(&s->z);
    mcq_text_printf(log_event(s), "= done %s", s->z.peer_type == 0 ? "NONE" : type);
    mcq_text_hex(&s->log, identity.ptr, identity.len);
    mcq_text_add(&s->log, "\n", 1);
}

static void on_dead(struct mcq_stream *s)
{
    CHECK(s, s->z.offset >= s->consumed && s->z.offset <= s->fed);
    CHECK(s, mcq_zmtp_reason(&s->z) != MCQ_REASON_NONE && mcq_zmtp_detail(&s->z)[0] != '\0');
    s->dead = true;
    if (!s->opts.quiet)
        mcq_text_printf(log_event(s), "= dead %s %llu %s\n",
                        mcq_stream_reason(mcq_zmtp_reason(&s->z)), (unsigned long long)s->z.offset,
                        mcq_zmtp_detail(&s->z));
}

static void drain(struct mcq_stream *s)
{
    uint8_t room[MCQ_ZMTP_DRAIN_MAX];
    struct mcq_writer w = mcq_writer_of(room, sizeof(room));
    CHECK(s, mcq_zmtp_drain(&s->z, &w, &s->stats));
    CHECK(s, !mcq_zmtp_wants_drain(&s->z));
    CHECK(s, mcq_zmtp_invariants(&s->z));
    if (w.len != 0)
        mcq_zmtp_told(&s->z, s->now_ns);
    if (!s->opts.quiet)
        mcq_text_add(&s->drained, room, w.len);
}

/* What a pause does: the last message goes back and comes again. */
static void give_back(struct mcq_stream *s, struct mcq_reader *in, size_t mark,
                      struct mcq_msg *views, size_t n)
{
    struct mcq_reader end = *in;
    struct mcq_proto_stats stats = s->stats;
    uint64_t offset = s->z.offset;
    size_t again;
    mcq_zmtp_give_back(&s->z, in, mark, n, n - 1, 1, &s->stats);
    CHECK(s, in->pos < end.pos && in->pos >= mark);
    mcq_zmtp_next_batch(&s->z, in, &views[n - 1], 1, OWNER, &again, &s->stats);
    CHECK(s, again == 1 && in->pos == end.pos && s->z.offset == offset);
    CHECK(s, memcmp(&stats, &s->stats, sizeof(stats)) == 0);
    mcq_zmtp_give_back(&s->z, in, mark, n, 0, 1, &s->stats);
    CHECK(s, in->pos == mark);
    mcq_zmtp_next_batch(&s->z, in, views, n, OWNER, &again, &s->stats);
    CHECK(s, again == n && in->pos == end.pos && s->z.offset == offset);
    CHECK(s, memcmp(&stats, &s->stats, sizeof(stats)) == 0);
}

/* The same for a message of next, whose frames stay where they are. */
static void give_back_one(struct mcq_stream *s, struct mcq_reader *in,
                          const struct mcq_zmtp_event *ev)
{
    struct mcq_reader end = *in;
    struct mcq_proto_stats stats = s->stats;
    struct mcq_zmtp_event again;
    size_t mark = in->pos - ev->window_len;
    mcq_zmtp_give_back(&s->z, in, mark, 1, 0, ev->frame_cnt, &s->stats);
    CHECK(s, in->pos == mark && s->stats.msgs_in == stats.msgs_in - 1);
    mcq_zmtp_next(&s->z, in, s->now_ns, s->frames, &again, &s->stats);
    CHECK(s, again.kind == ev->kind && again.frame_cnt == ev->frame_cnt);
    CHECK(s, again.window_len == ev->window_len && in->pos == end.pos);
    CHECK(s, memcmp(&stats, &s->stats, sizeof(stats)) == 0);
}

/* Returns whether next must be called. */
static bool step_batch(struct mcq_stream *s, struct mcq_reader *in)
{
    struct mcq_msg views[VIEWS_MAX];
    size_t n, max = s->opts.views_max;
    bool more;
    do {
        size_t mark = in->pos;
        more = mcq_zmtp_next_batch(&s->z, in, views, max, OWNER, &n, &s->stats);
        CHECK(s, n <= max);
        CHECK(s, n == 0 || s->z.state == MCQ_ZMTP_TRAFFIC);
        CHECK(s, mcq_zmtp_invariants(&s->z));
        if (s->opts.give_back && n > 1)
            give_back(s, in, mark, views, n);
        for (size_t i = 0; i < n; i++) {
            CHECK(s, views[i].frames == NULL && views[i].owner == OWNER);
            struct mcq_frame f = {views[i].data, views[i].len};
            on_message(s, in, &f, views[i].frame_cnt);
        }
    } while (n == max);
    return more;
}

/* Returns whether to go on. */
static bool step_next(struct mcq_stream *s, struct mcq_reader *in)
{
    struct mcq_zmtp_event ev;
    size_t before = in->pos;
    bool owed = mcq_zmtp_has_event(&s->z);
    mcq_zmtp_next(&s->z, in, s->now_ns, s->frames, &ev, &s->stats);
    CHECK(s, mcq_zmtp_invariants(&s->z) && in->pos <= in->len && in->pos >= before);
    CHECK(s, !mcq_zmtp_has_event(&s->z) || ev.kind == MCQ_ZMTP_HANDSHAKE_DONE);
    switch (ev.kind) {
    case MCQ_ZMTP_HANDSHAKE_DONE:
        on_done(s);
        break;
    case MCQ_ZMTP_MESSAGE:
        CHECK(s, ev.window_len <= in->pos - before);
        if (s->opts.give_back)
            give_back_one(s, in, &ev);
        on_message(s, in, s->frames, ev.frame_cnt);
        break;
    case MCQ_ZMTP_SUBSCRIBE:
    case MCQ_ZMTP_CANCEL:
        on_topic(s, in, &ev);
        break;
    case MCQ_ZMTP_WROTE:
        CHECK(s, mcq_zmtp_wants_drain(&s->z));
        drain(s);
        return true;
    case MCQ_ZMTP_NEED_BODY:
        CHECK(s, ev.window_len == in->len - in->pos && ev.missing == s->z.need);
        CHECK(s, ev.missing >= MCQ_ZMTP_BODY_MIN);
        CHECK(s, ev.window_len + ev.missing <= s->opts.config.limits.msg_max);
        return false;
    case MCQ_ZMTP_MORE:
        CHECK(s, mcq_zmtp_need(&s->z) >= 1 && mcq_zmtp_need(&s->z) < MCQ_ZMTP_BODY_MIN);
        return false;
    case MCQ_ZMTP_DEAD:
        on_dead(s);
        return false;
    }
    CHECK(s, owed ? in->pos == before && ev.kind == MCQ_ZMTP_SUBSCRIBE && ev.topic.len == 0
                  : in->pos > before);
    CHECK(s, !s->opts.exact_need || in->pos == in->len);
    return true;
}

static void run(struct mcq_stream *s, struct mcq_reader *in)
{
    for (;;) {
        size_t before = in->pos;
        bool go_on = true;
        if (s->opts.batches && !step_batch(s, in)) {
            CHECK(s, mcq_zmtp_need(&s->z) >= 1);
            go_on = false;
        }
        if (go_on)
            go_on = step_next(s, in);
        s->consumed += in->pos - before;
        CHECK(s, s->dead || s->z.offset == s->consumed);
        CHECK(s, s->dead || s->stats.bytes_in == s->consumed);
        if (!go_on)
            return;
    }
}

/* After the end: nothing changes, whatever comes. */
static void check_sticky(struct mcq_stream *s, struct mcq_reader *in)
{
    struct mcq_zmtp before = s->z;
    struct mcq_zmtp_event ev;
    struct mcq_msg view;
    size_t n, pos = in->pos;
    mcq_zmtp_next(&s->z, in, s->now_ns, s->frames, &ev, &s->stats);
    CHECK(s, ev.kind == MCQ_ZMTP_DEAD && !mcq_zmtp_has_event(&s->z));
    CHECK(s, mcq_zmtp_next_batch(&s->z, in, &view, 1, OWNER, &n, &s->stats) && n == 0);
    CHECK(s, !mcq_zmtp_expire(&s->z, UINT64_MAX, &s->stats));
    mcq_zmtp_fail(&s->z, MCQ_REASON_LOCAL);
    CHECK(s, in->pos == pos && memcmp(&before, &s->z, sizeof(before)) == 0);
}

void mcq_stream_init(struct mcq_stream *s, const struct mcq_stream_opts *opts)
{
    memset(s, 0, sizeof(*s));
    s->opts = *opts;
    s->now_ns = 1000;
    if (s->opts.views_max == 0 || s->opts.views_max > VIEWS_MAX)
        s->opts.views_max = VIEWS_MAX;
    mcq_zmtp_init(&s->z, &opts->config, s->now_ns);
    drain(s);
}

void mcq_stream_fini(struct mcq_stream *s)
{
    if (s->map != NULL)
        munmap(s->map, s->map_len + (size_t)sysconf(_SC_PAGESIZE));
    mcq_text_fini(&s->rest);
    mcq_text_fini(&s->log);
    mcq_text_fini(&s->drained);
    mcq_text_fini(&s->shown);
}

void mcq_stream_feed(struct mcq_stream *s, const void *bytes, size_t len)
{
    mcq_text_add(&s->rest, bytes, len);
    s->fed += len;
    if (len != 0)
        mcq_zmtp_alive(&s->z, s->now_ns);
    size_t window_len = s->rest.len;
    uint8_t *window = window_take(s);
    struct mcq_reader in = mcq_reader_of(mcq_slice_of(window, window_len));
    if (!s->dead)
        run(s, &in);
    if (s->dead) {
        check_sticky(s, &in);
        drain(s);
    }
    s->rest.len = window_len - in.pos;
    memmove(s->rest.ptr, s->rest.ptr + in.pos, s->rest.len);
    window_drop(s, window, window_len);
}

/* In the steps a lazy timer takes: never beyond what expiry names, and with nothing before it. */
void mcq_stream_wait(struct mcq_stream *s, uint64_t ms)
{
    uint64_t end = s->now_ns + ms * 1000000;
    while (!s->dead) {
        uint64_t at = mcq_zmtp_expiry(&s->z);
        if (at == 0 || at > end)
            break;
        CHECK(s, at <= s->now_ns || !mcq_zmtp_expire(&s->z, at - 1, &s->stats));
        CHECK(s, !mcq_zmtp_wants_drain(&s->z));
        s->now_ns = mcq_max(at, s->now_ns);
        if (mcq_zmtp_expire(&s->z, s->now_ns, &s->stats)) {
            on_dead(s);
            break;
        }
        CHECK(s, mcq_zmtp_expiry(&s->z) > s->now_ns);
        drain(s);
    }
    s->now_ns = end;
}
