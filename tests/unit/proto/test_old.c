/* Versions before 3.0: what transcripts can't show, and random streams of 1.0 against a decoder
 * that is written for being obvious. MCQ_SEED=n repeats one (printed on failure). */
#include "proto/old.h"

#include "tests/support/stream.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#define STREAMS 2000u

/* --- headers ---------------------------------------------------------------------------------- */

static enum mcq_fault identity(uint8_t major, bool first, const char *bytes, size_t len)
{
    struct mcq_frame_head head;
    return mcq_old_identity_read(major, first, mcq_slice_of(bytes, len), &head);
}

Test(old, identities_flags)
{
    for (unsigned flags = 0; flags < 256; flags++) {
        char bytes[2] = {1, (char)flags};
        bool sane = (flags & 0xfe) == 0 || (flags & 0xfe) == 0x7e;
        enum mcq_fault more = (flags & 1) != 0 ? MCQ_FAULT_IDENTITY_MORE : MCQ_FAULT_NONE;
        cr_assert_eq(identity(1, true, bytes, 2), sane ? more : MCQ_FAULT_SIGNATURE);
        cr_assert_eq(identity(1, false, bytes, 2), more);
        bytes[0] = (char)flags;
        bytes[1] = 0;
        enum mcq_fault wanted = (flags & 0xfc) != 0 ? MCQ_FAULT_RESERVED : more;
        if ((flags & 2) == 0 || wanted == MCQ_FAULT_RESERVED)
            cr_assert_eq(identity(2, false, bytes, 2), wanted, "%02x", flags);
    }
}

/* A frame's header cut anywhere is asked for to its end; 2.0 has no commands. */
Test(old, heads_of_both)
{
    struct mcq_frame_head head;
    cr_assert_eq(mcq_old_head_read(1, mcq_slice_of("\xff\0\0\0", 4), &head), MCQ_FAULT_NONE);
    cr_assert_eq(head.need, 6);
    cr_assert_eq(mcq_old_head_read(2, mcq_slice_of("\2\0\0\0", 4), &head), MCQ_FAULT_NONE);
    cr_assert_eq(head.need, 5);
    cr_assert_eq(mcq_old_head_read(2, mcq_slice_of("\4", 1), &head), MCQ_FAULT_RESERVED);
    cr_assert_eq(mcq_old_head_read(2, mcq_slice_of("\5", 1), &head), MCQ_FAULT_RESERVED);
    cr_assert_eq(mcq_old_head_read(2, mcq_slice_of("", 0), &head), MCQ_FAULT_NONE);
    cr_assert_eq(head.need, 2);
}

Test(old, our_identity_whole_or_not_at_all)
{
    static uint8_t name[MCQ_IDENTITY_LEN_MAX], out[300];
    memset(name, 'n', sizeof(name));
    for (size_t len = 0; len <= sizeof(name); len++) {
        for (uint8_t major = 1; major <= 2; major++) {
            size_t head = major == 2 || len < 254 ? 2 : 10;
            struct mcq_slice id = mcq_slice_of(name, len);
            struct mcq_writer w = mcq_writer_of(out, head + len - 1);
            cr_assert(!mcq_old_identity_put(major, false, &w, id) && w.len == 0);
            w = mcq_writer_of(out, head + len);
            cr_assert(mcq_old_identity_put(major, false, &w, id) && w.len == head + len);
            struct mcq_frame_head got;
            cr_assert_eq(mcq_old_identity_read(major, false, mcq_slice_of(out, w.len), &got), 0);
            cr_assert(got.body_len == len && got.len == head);
        }
        struct mcq_writer w = mcq_writer_of(out, len);
        cr_assert(mcq_old_identity_put(1, true, &w, mcq_slice_of(name, len)) && w.len == len);
    }
}

/* --- the state machine ---------------------------------------------------------------------- */

struct bench {
    struct mcq_zmtp z;
    struct mcq_proto_stats stats;
    struct mcq_frame frames[MCQ_FRAME_CNT_MAX];
    struct mcq_zmtp_event ev;
    uint8_t out[MCQ_ZMTP_DRAIN_MAX];
    size_t out_len;
};

static void start(struct bench *b, enum mcq_sock_type type, const char *name)
{
    struct mcq_zmtp_config config = {.type = type,
                                     .peer_mask = UINT32_MAX,
                                     .limits = {1u << 24, 1u << 25, MCQ_FRAME_CNT_MAX},
                                     .identity = mcq_slice_of_text(name),
                                     .handshake_deadline_ns = 1000,
                                     .version_min = MCQ_ZMTP_1_0,
                                     .heartbeat_ms = 1};
    memset(b, 0, sizeof(*b));
    mcq_zmtp_init(&b->z, &config, 0);
}

static enum mcq_zmtp_kind next(struct bench *b, struct mcq_reader *in)
{
    mcq_zmtp_next(&b->z, in, 0, b->frames, &b->ev, &b->stats);
    cr_assert(mcq_zmtp_invariants(&b->z));
    return b->ev.kind;
}

static bool drain(struct bench *b, size_t room)
{
    struct mcq_writer w = mcq_writer_of(b->out, room);
    bool done = mcq_zmtp_drain(&b->z, &w, &b->stats);
    b->out_len = w.len;
    return done;
}

static struct mcq_reader reader(const void *bytes, size_t len)
{
    return mcq_reader_of(mcq_slice_of(bytes, len));
}

/* In traffic with an anonymous 1.0 peer. */
static void traffic(struct bench *b, enum mcq_sock_type type)
{
    start(b, type, "");
    struct mcq_reader in = reader("\1\x7e", 2);
    cr_assert(next(b, &in) == MCQ_ZMTP_WROTE && in.pos == 0 && drain(b, sizeof(b->out)));
    cr_assert(next(b, &in) == MCQ_ZMTP_HANDSHAKE_DONE && in.pos == 2);
}

/* The signature of 10 bytes is the header of an identity's frame: the peer reads that frame. */
Test(old, our_first_bytes_are_a_frame_of_1_0)
{
    struct bench b;
    uint8_t all[64];
    start(&b, MCQ_DEALER, "hello");
    cr_assert(drain(&b, sizeof(b.out)) && b.out_len == 10);
    memcpy(all, b.out, 10);
    struct mcq_reader in = reader("\1", 1);
    cr_assert(next(&b, &in) == MCQ_ZMTP_WROTE && in.pos == 0);
    for (size_t room = 0; room < 5; room++) {
        cr_assert(!drain(&b, room) && b.out_len == 0 && mcq_zmtp_wants_drain(&b.z));
        cr_assert(next(&b, &in) == MCQ_ZMTP_WROTE); /* theirs waits for it */
    }
    cr_assert(drain(&b, 5) && b.out_len == 5 && !mcq_zmtp_wants_drain(&b.z));
    memcpy(all + 10, b.out, 5);
    struct mcq_frame_head head;
    cr_assert_eq(mcq_frame_v1_head_read(mcq_slice_of(all, 15), &head), MCQ_FAULT_NONE);
    cr_assert(head.len == 10 && head.body_len == 5 && memcmp(all + 10, "hello", 5) == 0);
    cr_assert(next(&b, &in) == MCQ_ZMTP_MORE && b.z.need == 1);
}

/* The subscription to all comes without input, once, and not to a stream that has ended. */
Test(old, a_1_0_subscriber_is_subscribed_to_all)
{
    struct bench b;
    struct mcq_reader none = reader("", 0);
    traffic(&b, MCQ_XPUB);
    cr_assert(mcq_zmtp_has_event(&b.z));
    struct bench ended = b;
    cr_assert(next(&b, &none) == MCQ_ZMTP_SUBSCRIBE && b.ev.topic.len == 0);
    cr_assert(!mcq_zmtp_has_event(&b.z) && next(&b, &none) == MCQ_ZMTP_MORE);
    cr_assert(b.stats.commands_in == 0 && b.stats.bytes_in == 2);
    mcq_zmtp_fail(&ended.z, MCQ_REASON_LIMIT);
    cr_assert(!mcq_zmtp_has_event(&ended.z) && next(&ended, &none) == MCQ_ZMTP_DEAD);
    traffic(&b, MCQ_PULL);
    cr_assert(!mcq_zmtp_has_event(&b.z) && next(&b, &none) == MCQ_ZMTP_MORE);
}

Test(old, no_batches_of_1_0)
{
    struct bench b;
    struct mcq_msg view;
    size_t n = 7;
    traffic(&b, MCQ_PULL);
    struct mcq_reader in = reader("\2\0a", 3); /* a frame of 3.x would be longer */
    cr_assert(mcq_zmtp_next_batch(&b.z, &in, &view, 1, 0, &n, &b.stats) && n == 0 && in.pos == 0);
    cr_assert(next(&b, &in) == MCQ_ZMTP_MESSAGE && b.ev.window_len == 3);
    mcq_zmtp_give_back(&b.z, &in, 0, 1, 0, 1, &b.stats);
    cr_assert(in.pos == 0 && b.z.offset == 2 && b.stats.msgs_in == 0);
    cr_assert(next(&b, &in) == MCQ_ZMTP_MESSAGE && b.frames[0].len == 1);
}

/* Neither commands nor heartbeats, whatever the configuration. */
Test(old, says_nothing_of_itself)
{
    struct bench b;
    traffic(&b, MCQ_PULL);
    cr_assert_eq(mcq_zmtp_expiry(&b.z), 0);
    cr_assert(!mcq_zmtp_expire(&b.z, UINT64_MAX, &b.stats) && !mcq_zmtp_wants_drain(&b.z));
    start(&b, MCQ_PULL, "");
    struct mcq_reader in = reader("\1", 1);
    cr_assert(next(&b, &in) == MCQ_ZMTP_WROTE && drain(&b, sizeof(b.out)));
    cr_assert_eq(mcq_zmtp_expiry(&b.z), 1000); /* the handshake has its deadline */
    struct bench late = b;
    cr_assert(mcq_zmtp_expire(&late.z, 1000, &late.stats));
    cr_assert_eq(mcq_zmtp_reason(&late.z), MCQ_REASON_HANDSHAKE);
    mcq_zmtp_fail(&b.z, MCQ_REASON_INCOMPATIBLE); /* no ERROR either */
    cr_assert(!mcq_zmtp_wants_drain(&b.z) && mcq_zmtp_invariants(&b.z));
}

Test(old, a_large_frame_asks_for_its_own_block)
{
    struct bench b;
    traffic(&b, MCQ_PULL);
    size_t len = MCQ_ZMTP_BODY_MIN + 1000, total = 4 + 10 + len;
    uint8_t *bytes = calloc(1, total);
    memcpy(bytes, "\3\1ab", 4);
    struct mcq_writer w = mcq_writer_of(bytes + 4, 10);
    cr_assert(mcq_frame_v1_head_write(&w, false, len));
    for (size_t have = 14; have < total; have += 333) {
        struct mcq_reader in = reader(bytes, have);
        size_t missing = total - have;
        enum mcq_zmtp_kind kind = next(&b, &in);
        cr_assert(in.pos == 0 && b.z.need == missing);
        cr_assert_eq(kind, missing >= MCQ_ZMTP_BODY_MIN ? MCQ_ZMTP_NEED_BODY : MCQ_ZMTP_MORE);
    }
    struct mcq_reader in = reader(bytes, total);
    cr_assert(next(&b, &in) == MCQ_ZMTP_MESSAGE && b.ev.frame_cnt == 2 && in.pos == total);
    cr_assert(b.frames[0].len == 2 && b.frames[1].len == len);
    cr_assert(b.frames[1].data == bytes + 14);
    free(bytes);
}

/* What we write a 1.0 publisher reads as we would. */
Test(old, subscriptions_are_messages)
{
    static uint8_t topic[MCQ_TOPIC_LEN_MAX], out[MCQ_TOPIC_LEN_MAX + 32];
    struct bench sub, pub;
    traffic(&sub, MCQ_SUB);
    for (size_t len = 0; len <= 300; len++) {
        struct mcq_slice t = mcq_slice_of(topic, len);
        size_t whole = (len + 1 < 254 ? 3u : 11u) + len;
        struct mcq_writer w = mcq_writer_of(out, whole - 1);
        cr_assert(!mcq_zmtp_put_subscription(&sub.z, &w, false, t) && w.len == 0);
        w = mcq_writer_of(out, whole);
        cr_assert(mcq_zmtp_put_subscription(&sub.z, &w, false, t) && w.len == whole);
        traffic(&pub, MCQ_PUB);
        struct mcq_reader in = reader(out, w.len);
        cr_assert(next(&pub, &in) == MCQ_ZMTP_SUBSCRIBE && in.pos == 0);
        cr_assert(next(&pub, &in) == MCQ_ZMTP_CANCEL && in.pos == whole);
        cr_assert(mcq_slice_equal(pub.ev.topic, t));
    }
}

/* --- random streams ------------------------------------------------------------------------- */

struct dice {
    uint64_t state;
};

static uint64_t roll(struct dice *d, uint64_t below)
{
    d->state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    uint64_t x = d->state;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (x ^ (x >> 31)) % below;
}

static void add(struct mcq_text *t, unsigned byte)
{
    mcq_text_add(t, &(uint8_t){(uint8_t)byte}, 1);
}

static void add_frame(struct mcq_text *t, struct dice *d, bool more, size_t len)
{
    bool is_long = len > 253 || roll(d, 16) == 0;
    if (is_long)
        add(t, 255);
    for (int shift = is_long ? 56 : 0; shift >= 0; shift -= 8)
        add(t, (unsigned)((uint64_t)(len + 1) >> shift));
    add(t, more | (roll(d, 2) != 0 ? 0x7eu : 0));
    for (size_t i = 0; i < len; i++)
        add(t, (unsigned)roll(d, roll(d, 3) == 0 ? 3 : 256));
}

static void add_stream(struct mcq_text *t, struct dice *d)
{
    add(t, 4);
    add(t, roll(d, 2) != 0 ? 0x7e : 0);
    mcq_text_add(t, "abc", 3);
    for (uint64_t cnt = roll(d, 30); cnt > 0; cnt--)
        add_frame(t, d, roll(d, 3) == 0, (size_t)roll(d, roll(d, 4) == 0 ? 600 : 20));
}

static void damage(struct mcq_text *t, struct dice *d)
{
    static const uint8_t nasty[] = {0, 1, 2, 0x7e, 0x7f, 0x80, 0xff};
    for (uint64_t n = 1 + roll(d, 5); n > 0; n--) {
        size_t at = (size_t)roll(d, t->len);
        t->ptr[at] = (char)(roll(d, 2) == 0 ? nasty[roll(d, sizeof(nasty))]
                                            : (uint8_t)t->ptr[at] ^ 1u << roll(d, 8));
    }
}

/* One pass over the whole stream; writes the log. */
struct obvious {
    const struct mcq_stream_opts *opts;
    const uint8_t *b;
    size_t len, pos;
    struct mcq_text log;
};

static bool dies(struct obvious *o, const char *reason, size_t at, const char *text)
{
    mcq_text_printf(&o->log, "= dead %s %zu %s\n", reason, at, text);
    return false;
}

/* false: the stream is used up, or dead. */
static bool head(struct obvious *o, uint64_t *len, uint8_t *flags, size_t *head_len)
{
    size_t at = o->pos, left = o->len - at;
    if (left == 0)
        return false;
    *head_len = o->b[at] == 255 ? 10 : 2;
    if (o->b[at] == 0)
        return dies(o, "protocol", at,
                    "a frame's length is zero, though it counts the flags (ZMTP 1.0)");
    if (left < *head_len)
        return false;
    *len = o->b[at];
    for (size_t i = 1; *head_len == 10 && i < 9; i++)
        *len = (i == 1 ? 0 : *len << 8) | o->b[at + i];
    *flags = o->b[at + *head_len - 1];
    if (*len == 0)
        return dies(o, "protocol", at,
                    "a frame's length is zero, though it counts the flags (ZMTP 1.0)");
    if (*len >> 63 != 0)
        return dies(o, "protocol", at, "a frame's size is above 2^63 - 1");
    --*len;
    return true;
}

static bool identity_unit(struct obvious *o)
{
    uint64_t len;
    uint8_t flags;
    size_t head_len;
    static const char garbage[] = "not a ZMTP greeting, nor the identity that ZMTP 1.0 begins with";
    if (o->b[0] == 0)
        return dies(o, "protocol", 0, garbage);
    size_t log_len = o->log.len;
    if (!head(o, &len, &flags, &head_len)) {
        if (o->log.len != log_len && o->b[0] == 255 && o->b[1] < 128) { /* a long zero */
            o->log.len = log_len;
            o->log.ptr[log_len] = '\0';
            return dies(o, "protocol", 0, garbage);
        }
        return false;
    }
    if ((flags & 0xfe) != 0 && (flags & 0xfe) != 0x7e)
        return dies(o, "protocol", 0, garbage);
    if ((flags & 1) != 0)
        return dies(o, "protocol", 0, "the identity's frame has the MORE flag set");
    if (len > 255)
        return dies(o, "protocol", 0, "the identity is longer than 255 bytes");
    if (len > o->len - head_len)
        return false;
    if (len > 0 && o->b[head_len] == 0)
        return dies(o, "protocol", 0, "the identity starts with a zero byte, which is reserved");
    mcq_text_printf(&o->log, "= done NONE");
    mcq_text_hex(&o->log, o->b + head_len, (size_t)len);
    mcq_text_add(&o->log, "\n", 1);
    o->pos = head_len + (size_t)len;
    return true;
}

static bool message_unit(struct obvious *o)
{
    static struct mcq_frame frames[MCQ_FRAME_CNT_MAX];
    const struct mcq_zmtp_limits *limits = &o->opts->config.limits;
    size_t start_at = o->pos;
    for (uint32_t cnt = 0;;) {
        uint64_t len;
        uint8_t flags;
        size_t head_len, at = o->pos;
        if (!head(o, &len, &flags, &head_len))
            return false;
        if (len > limits->frame_max)
            return dies(o, "limit", at, "a frame is longer than the limit for frames");
        if (at - start_at + head_len + len > limits->msg_max)
            return dies(o, "limit", at, "a message is longer than the limit for messages");
        if (cnt == limits->frames_max)
            return dies(o, "limit", at, "a message has more frames than the limit");
        if (len > o->len - at - head_len)
            return false;
        frames[cnt++] = (struct mcq_frame){o->b + at + head_len, (size_t)len};
        o->pos = at + head_len + (size_t)len;
        if ((flags & 1) == 0) {
            mcq_stream_line_message(&o->log, frames, cnt);
            return true;
        }
    }
}

static struct mcq_stream_opts random_opts(struct dice *d)
{
    struct mcq_stream_opts opts = {
        .guard = roll(d, 2) == 0, .batches = roll(d, 4) != 0, .give_back = roll(d, 2) == 0};
    bool tight = roll(d, 3) == 0;
    opts.config.type = MCQ_PULL;
    opts.config.version_min = MCQ_ZMTP_1_0;
    opts.config.limits.frame_max = tight ? 20 + roll(d, 500) : 1u << 20;
    opts.config.limits.msg_max = tight ? 20 + roll(d, 600) : 1u << 20;
    opts.config.limits.frames_max = tight ? 1 + (uint32_t)roll(d, 6) : MCQ_FRAME_CNT_MAX;
    return opts;
}

static void feed_cut(struct mcq_stream *s, struct dice *d, const struct mcq_text *bytes)
{
    uint64_t reach = 1 + roll(d, roll(d, 2) == 0 ? 8 : 400);
    for (size_t at = 0; at < bytes->len;) {
        size_t len = mcq_min(1 + (size_t)roll(d, reach), bytes->len - at);
        mcq_stream_feed(s, bytes->ptr + at, len);
        at += len;
    }
}

static void one_stream(uint64_t seed, bool damaged)
{
    struct dice d = {seed};
    struct mcq_stream_opts opts = random_opts(&d);
    struct mcq_text bytes = {0};
    add_stream(&bytes, &d);
    if (damaged)
        damage(&bytes, &d);
    if ((uint8_t)bytes.ptr[0] == 255 && bytes.len >= 10 && (bytes.ptr[9] & 1) != 0)
        bytes.ptr[9] = 0x7e; /* a greeting otherwise */
    struct obvious o = {.opts = &opts, .b = (const uint8_t *)bytes.ptr, .len = bytes.len};
    mcq_text_printf(&o.log, "< ff 00 00 00 00 00 00 00 01 7f\n");
    bool go_on = identity_unit(&o);
    while (go_on)
        go_on = message_unit(&o);
    struct mcq_stream *s = malloc(sizeof(*s));
    mcq_stream_init(s, &opts);
    feed_cut(s, &d, &bytes);
    cr_assert_str_eq(mcq_stream_log(s), o.log.ptr, "MCQ_SEED=%llu: got\n%s--- but\n%s",
                     (unsigned long long)seed, mcq_stream_log(s), o.log.ptr);
    mcq_stream_fini(s);
    free(s);
    mcq_text_fini(&bytes);
    mcq_text_fini(&o.log);
}

static uint64_t first_seed(void)
{
    const char *value = getenv("MCQ_SEED");
    return value != NULL ? strtoull(value, NULL, 10) : 1;
}

Test(old, random_streams_of_1_0)
{
    for (uint64_t seed = first_seed(), end = seed + STREAMS; seed < end; seed++)
        one_stream(seed, false);
}

Test(old, damaged_streams_of_1_0)
{
    for (uint64_t seed = first_seed(), end = seed + 3 * STREAMS; seed < end; seed++)
        one_stream(seed, true);
}
