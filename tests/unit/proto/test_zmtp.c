/* What transcripts can't show: large frames, time, output without room, moving, counters. */
#include "proto/zmtp.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#define SECOND    UINT64_C(1000000000)
#define GREETING  64u
#define READY_LEN 28u

static const char hello[] = "\xff\0\0\0\0\0\0\0\1\x7f\3\1NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                            "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                            "\x04\x1a\x05READY\x0bSocket-Type\0\0\0\4PUSH";

struct bench {
    struct mcq_zmtp z;
    struct mcq_proto_stats stats;
    struct mcq_frame frames[MCQ_FRAME_CNT_MAX];
    struct mcq_zmtp_event ev;
    uint8_t out[MCQ_ZMTP_DRAIN_MAX];
    size_t out_len;
};

static void start(struct bench *b, enum mcq_sock_type type)
{
    struct mcq_zmtp_config config = {.type = type,
                                     .peer_mask = 1u << MCQ_PUSH,
                                     .limits = {1u << 24, 1u << 25, MCQ_FRAME_CNT_MAX},
                                     .handshake_deadline_ns = 10 * SECOND};
    memset(b, 0, sizeof(*b));
    mcq_zmtp_init(&b->z, &config, SECOND);
}

static enum mcq_zmtp_kind next_at(struct bench *b, struct mcq_reader *in, uint64_t now_ns)
{
    mcq_zmtp_next(&b->z, in, now_ns, b->frames, &b->ev, &b->stats);
    return b->ev.kind;
}

static enum mcq_zmtp_kind next(struct bench *b, struct mcq_reader *in)
{
    return next_at(b, in, SECOND);
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

static void greet(struct bench *b, enum mcq_sock_type type)
{
    start(b, type);
    struct mcq_reader in = reader(hello, GREETING);
    while (next(b, &in) == MCQ_ZMTP_WROTE)
        cr_assert(drain(b, sizeof(b->out)));
    cr_assert(b->ev.kind == MCQ_ZMTP_MORE && b->z.state == MCQ_ZMTP_HANDSHAKE);
}

static void traffic(struct bench *b, enum mcq_sock_type type)
{
    greet(b, type);
    struct mcq_reader in = reader(hello + GREETING, READY_LEN);
    cr_assert(next(b, &in) == MCQ_ZMTP_HANDSHAKE_DONE);
}

/* --- large frames ---------------------------------------------------------------------------- */

static size_t put_head(uint8_t *at, unsigned flags, size_t len)
{
    return (size_t)(mcq_frame_head_put(at, flags, len) - at);
}

Test(zmtp, a_large_frame_asks_for_its_own_block)
{
    struct bench b;
    traffic(&b, MCQ_PULL);
    size_t len = MCQ_ZMTP_BODY_MIN + 1000;
    uint8_t *bytes = calloc(1, len + 64);
    size_t lead = put_head(bytes, MCQ_FRAME_MORE, 3) + 3;
    size_t total = lead + put_head(bytes + lead, 0, len) + len;
    struct mcq_msg view;
    size_t n;
    for (size_t have = lead + 9; have < total; have += 333) {
        struct mcq_reader in = reader(bytes, have);
        size_t missing = total - have;
        cr_assert(mcq_zmtp_next_batch(&b.z, &in, &view, 1, 0, &n, &b.stats) && n == 0);
        enum mcq_zmtp_kind kind = next(&b, &in);
        cr_assert(in.pos == 0 && b.z.need == missing && mcq_zmtp_invariants(&b.z));
        if (missing >= MCQ_ZMTP_BODY_MIN)
            cr_assert(kind == MCQ_ZMTP_NEED_BODY && b.ev.missing == missing &&
                      b.ev.window_len == have);
        else
            cr_assert(kind == MCQ_ZMTP_MORE);
    }
    struct mcq_reader in = reader(bytes, total);
    cr_assert(next(&b, &in) == MCQ_ZMTP_MESSAGE && b.ev.frame_cnt == 2 && in.pos == total);
    cr_assert(b.frames[0].len == 3 && b.frames[1].len == len);
    free(bytes);
}

/* The boundary, also as the batch reader sees it. */
Test(zmtp, body_min_is_exact)
{
    uint8_t head[9];
    struct mcq_msg view;
    size_t n;
    for (size_t more = 0; more < 2; more++) {
        struct bench b;
        traffic(&b, MCQ_PULL);
        put_head(head, 0, MCQ_ZMTP_BODY_MIN - 1 + more);
        struct mcq_reader in = reader(head, sizeof(head));
        bool look = mcq_zmtp_next_batch(&b.z, &in, &view, 1, 0, &n, &b.stats);
        cr_assert_eq(look, more == 1);
        cr_assert_eq(b.z.need, MCQ_ZMTP_BODY_MIN - 1 + more);
        cr_assert_eq(next(&b, &in), more == 1 ? MCQ_ZMTP_NEED_BODY : MCQ_ZMTP_MORE);
    }
}

Test(zmtp, a_frame_beyond_the_limits_never_asks_for_a_block)
{
    static const struct mcq_zmtp_limits limits[] = {{1u << 20, 1u << 21, 8},
                                                    {1u << 30, 1u << 20, 8}};
    for (size_t i = 0; i < 2; i++) {
        struct bench b;
        traffic(&b, MCQ_PULL);
        b.z.limits = limits[i];
        uint8_t head[9];
        put_head(head, 0, (1u << 20) + 1);
        struct mcq_reader in = reader(head, sizeof(head));
        cr_assert(next(&b, &in) == MCQ_ZMTP_DEAD);
        cr_assert_eq(mcq_zmtp_reason(&b.z), MCQ_REASON_LIMIT);
    }
}

/* A slow peer's multipart is not read again from its start: what was scanned is remembered. */
Test(zmtp, the_scan_goes_on_where_it_was)
{
    struct bench b;
    traffic(&b, MCQ_PULL);
    uint8_t bytes[2 * MCQ_FRAME_CNT_MAX];
    for (size_t i = 0; i < MCQ_FRAME_CNT_MAX; i++)
        put_head(bytes + 2 * i, i + 1 < MCQ_FRAME_CNT_MAX ? MCQ_FRAME_MORE : 0, 0);
    for (size_t i = 1; i < MCQ_FRAME_CNT_MAX; i++) {
        struct mcq_reader in = reader(bytes, 2 * i);
        cr_assert(next(&b, &in) == MCQ_ZMTP_MORE && in.pos == 0);
        cr_assert(b.z.scan_frames == i && b.z.scan_len == 2 * i && b.z.need == 2);
    }
    struct mcq_reader in = reader(bytes, sizeof(bytes));
    cr_assert(next(&b, &in) == MCQ_ZMTP_MESSAGE && b.ev.frame_cnt == MCQ_FRAME_CNT_MAX);
    cr_assert(b.z.scan_frames == 0 && b.z.scan_len == 0 && b.stats.frames_in == MCQ_FRAME_CNT_MAX);
}

/* --- time ------------------------------------------------------------------------------------- */

Test(zmtp, the_handshake_has_a_deadline)
{
    struct bench b;
    start(&b, MCQ_PULL);
    cr_assert_eq(mcq_zmtp_expiry(&b.z), 10 * SECOND);
    cr_assert(!mcq_zmtp_expire(&b.z, 10 * SECOND - 1, &b.stats));
    greet(&b, MCQ_PULL);
    mcq_zmtp_alive(&b.z, 9 * SECOND); /* bytes alone buy no time */
    cr_assert_eq(mcq_zmtp_expiry(&b.z), 10 * SECOND);
    cr_assert(mcq_zmtp_expire(&b.z, 10 * SECOND, &b.stats));
    cr_assert(b.z.state == MCQ_ZMTP_CLOSED && mcq_zmtp_reason(&b.z) == MCQ_REASON_HANDSHAKE);
    cr_assert(b.stats.handshakes_expired == 1 && b.stats.handshakes_failed == 1);
    cr_assert(b.stats.errors == 0 && mcq_zmtp_expiry(&b.z) == 0 && !mcq_zmtp_wants_drain(&b.z));
    traffic(&b, MCQ_PULL);
    cr_assert_eq(mcq_zmtp_expiry(&b.z), 0);
    cr_assert(!mcq_zmtp_expire(&b.z, UINT64_MAX, &b.stats));
}

static void ping(struct bench *b, const char *ttl_context, size_t len, uint64_t now_ns)
{
    char bytes[64] = {4, (char)(5 + len), 4, 'P', 'I', 'N', 'G'};
    memcpy(bytes + 7, ttl_context, len);
    struct mcq_reader in = reader(bytes, 7 + len);
    cr_assert(next_at(b, &in, now_ns) == MCQ_ZMTP_WROTE && in.pos == 7 + len);
}

Test(zmtp, a_pings_ttl_is_kept_until_the_next)
{
    struct bench b;
    traffic(&b, MCQ_PULL);
    ping(&b, "\0\x14", 2, 5 * SECOND); /* 2 s */
    cr_assert_eq(mcq_zmtp_expiry(&b.z), 7 * SECOND);
    mcq_zmtp_alive(&b.z, 6 * SECOND);
    cr_assert_eq(mcq_zmtp_expiry(&b.z), 8 * SECOND);
    cr_assert(!mcq_zmtp_expire(&b.z, 8 * SECOND - 1, &b.stats));
    struct bench quiet = b;
    cr_assert(mcq_zmtp_expire(&quiet.z, 8 * SECOND, &quiet.stats));
    cr_assert_eq(mcq_zmtp_reason(&quiet.z), MCQ_REASON_HEARTBEAT);
    cr_assert(quiet.stats.handshakes_failed == 0 && !mcq_zmtp_wants_drain(&quiet.z));
    ping(&b, "\0\0", 2, 7 * SECOND);
    cr_assert_eq(mcq_zmtp_expiry(&b.z), 0);
}

/* --- output ------------------------------------------------------------------------------------
 */

Test(zmtp, only_the_last_pings_pong_is_due)
{
    struct bench b;
    traffic(&b, MCQ_PULL);
    for (int i = 0; i < 1000; i++)
        ping(&b, i == 999 ? "\0\0last" : "\0\0some", 6, SECOND);
    cr_assert(drain(&b, sizeof(b.out)));
    cr_assert(b.out_len == 11 && memcmp(b.out, "\4\x09\4PONGlast", 11) == 0);
    cr_assert(!mcq_zmtp_wants_drain(&b.z) && b.stats.pings_in == 1000 && b.stats.pongs_out == 1);
    cr_assert(drain(&b, sizeof(b.out)) && b.out_len == 0);
}

Test(zmtp, a_command_leaves_whole_or_not_at_all)
{
    struct bench b;
    traffic(&b, MCQ_PULL);
    ping(&b, "\0\0ctx", 5, SECOND);
    for (size_t room = 0; room < 10; room++) {
        cr_assert(!drain(&b, room) && b.out_len == 0);
        cr_assert(mcq_zmtp_wants_drain(&b.z));
    }
    cr_assert(drain(&b, 10) && b.out_len == 10);
}

/* With room for one byte a time the greeting still comes out, in its stages; READY waits. */
Test(zmtp, greeting_and_ready_through_a_narrow_door)
{
    struct bench b;
    start(&b, MCQ_PULL);
    uint8_t all[GREETING];
    size_t len = 0;
    struct mcq_reader in = reader(hello, GREETING + READY_LEN);
    while (len < GREETING) {
        bool done = drain(&b, 1);
        cr_assert(b.out_len == 1);
        all[len++] = b.out[0];
        cr_assert_eq(done, len == 10 || len == 11 || len == 64, "after %zu", len);
        if (done)
            cr_assert(next(&b, &in) == MCQ_ZMTP_WROTE);
    }
    cr_assert(memcmp(all, hello, 16) == 0);
    cr_assert(in.pos == GREETING && b.z.state == MCQ_ZMTP_HANDSHAKE);
    size_t pos = in.pos;
    for (size_t room = 0; room < READY_LEN; room++) {
        cr_assert(!drain(&b, room) && b.out_len == 0);
        cr_assert(next(&b, &in) == MCQ_ZMTP_WROTE && in.pos == pos); /* the peer's READY waits */
    }
    cr_assert(drain(&b, READY_LEN) && b.out_len == READY_LEN);
    cr_assert(next(&b, &in) == MCQ_ZMTP_HANDSHAKE_DONE);
}

/* Above major 3 the minor means nothing: such a peer speaks 3.1 to us. */
Test(zmtp, versions_choose_the_form_of_subscriptions)
{
    static const uint8_t versions[][3] = {{3, 0, 0}, {3, 1, 1}, {3, 2, 1}, {4, 0, 1}, {255, 0, 1}};
    for (size_t i = 0; i < MCQ_CNT_OF(versions); i++) {
        struct bench b;
        char bytes[GREETING];
        memcpy(bytes, hello, GREETING);
        bytes[10] = (char)versions[i][0];
        bytes[11] = (char)versions[i][1];
        start(&b, MCQ_PULL);
        struct mcq_reader in = reader(bytes, GREETING);
        while (b.z.state == MCQ_ZMTP_GREETING)
            cr_assert(next(&b, &in) == MCQ_ZMTP_WROTE);
        cr_assert(b.z.peer_major == versions[i][0] && b.z.peer_minor == versions[i][2]);
    }
}

/* The first drain needs no input, and the longest of all fits into DRAIN_MAX. */
Test(zmtp, one_drain_says_all)
{
    static uint8_t identity[MCQ_IDENTITY_LEN_MAX];
    memset(identity, 7, sizeof(identity));
    struct bench b;
    memset(&b, 0, sizeof(b));
    struct mcq_zmtp_config config = {.type = MCQ_DEALER,
                                     .limits = {1, 1, 1},
                                     .identity = mcq_slice_of(identity, sizeof(identity))};
    mcq_zmtp_init(&b.z, &config, 0);
    cr_assert(mcq_zmtp_wants_drain(&b.z) && mcq_zmtp_expiry(&b.z) == 0);
    struct mcq_reader in = reader(hello, GREETING);
    cr_assert(next(&b, &in) == MCQ_ZMTP_WROTE && next(&b, &in) == MCQ_ZMTP_WROTE);
    cr_assert(next(&b, &in) == MCQ_ZMTP_WROTE && in.pos == GREETING);
    cr_assert(drain(&b, MCQ_ZMTP_DRAIN_MAX));
    cr_assert_eq(b.out_len, 64 + 9 + 6 + 22 + 13 + 255);
}

/* --- the end -------------------------------------------------------------------------------------
 */

Test(zmtp, the_callers_reason_is_the_first_and_last)
{
    struct bench b;
    traffic(&b, MCQ_PULL);
    ping(&b, "\0\x14", 2, SECOND);
    mcq_zmtp_fail(&b.z, MCQ_REASON_LIMIT);
    mcq_zmtp_fail(&b.z, MCQ_REASON_LOCAL);
    cr_assert(mcq_zmtp_reason(&b.z) == MCQ_REASON_LIMIT && mcq_zmtp_detail(&b.z)[0] == '\0');
    cr_assert(!mcq_zmtp_wants_drain(&b.z) && drain(&b, 64) && b.out_len == 0);
    cr_assert(mcq_zmtp_expiry(&b.z) == 0 && mcq_zmtp_invariants(&b.z));
}

/* ERROR is final to libzmq, so only what will never fit is told with it, and only once the peer
 * can read it. */
Test(zmtp, error_is_sent_for_incompatible_alone)
{
    struct bench b;
    greet(&b, MCQ_PULL);
    mcq_zmtp_fail(&b.z, MCQ_REASON_LIMIT);
    cr_assert(!mcq_zmtp_wants_drain(&b.z));
    greet(&b, MCQ_PULL);
    mcq_zmtp_fail(&b.z, MCQ_REASON_INCOMPATIBLE);
    cr_assert(mcq_zmtp_wants_drain(&b.z) && drain(&b, sizeof(b.out)));
    cr_assert(b.out_len == 28 && memcmp(b.out, "\4\x1a\5ERROR\x13Invalid", 16) == 0);
    cr_assert(!mcq_zmtp_wants_drain(&b.z));
    start(&b, MCQ_PULL);
    mcq_zmtp_fail(&b.z, MCQ_REASON_INCOMPATIBLE);
    cr_assert(!mcq_zmtp_wants_drain(&b.z));
    traffic(&b, MCQ_PULL);
    mcq_zmtp_fail(&b.z, MCQ_REASON_INCOMPATIBLE);
    cr_assert(!mcq_zmtp_wants_drain(&b.z));
}

/* Undrained greeting goes before the ERROR, READY no more. */
Test(zmtp, error_completes_the_greeting_first)
{
    struct bench b;
    start(&b, MCQ_PULL);
    struct mcq_reader in = reader(hello, GREETING);
    while (b.z.state == MCQ_ZMTP_GREETING)
        cr_assert(next(&b, &in) == MCQ_ZMTP_WROTE);
    mcq_zmtp_fail(&b.z, MCQ_REASON_INCOMPATIBLE);
    cr_assert(drain(&b, sizeof(b.out)) && b.out_len == 64 + 28 && b.out[64 + 2] == 5);
    cr_assert(memcmp(b.out + 64 + 3, "ERROR", 5) == 0);
}

Test(zmtp, identity_is_the_peers_only_once_it_is_known)
{
    struct bench b;
    greet(&b, MCQ_PULL);
    cr_assert_eq(mcq_zmtp_peer_identity(&b.z).len, 0);
    static const char ready[] = "\4\x2a\5READY\x0bSocket-Type\0\0\0\4PUSH\x08Identity\0\0\0\3bob";
    struct mcq_reader in = reader(ready, sizeof(ready) - 1);
    cr_assert(next(&b, &in) == MCQ_ZMTP_HANDSHAKE_DONE);
    cr_assert(mcq_slice_equal(mcq_zmtp_peer_identity(&b.z), mcq_slice_of_text("bob")));
    struct bench error = b;
    in = reader("\4\x0a\5ERROR\3no!", 12);
    cr_assert(next(&error, &in) == MCQ_ZMTP_DEAD);
    cr_assert_str_eq(mcq_zmtp_detail(&error.z), "no!");
    cr_assert_eq(mcq_zmtp_peer_identity(&error.z).len, 0);
    mcq_zmtp_fail(&b.z, MCQ_REASON_LOCAL); /* still known after any other end */
    cr_assert_eq(mcq_zmtp_peer_identity(&b.z).len, 3);
}

/* The longest reason a peer can give has its terminating zero. */
Test(zmtp, the_longest_error_text)
{
    struct bench b;
    greet(&b, MCQ_PULL);
    uint8_t bytes[9 + 6 + 1 + 255];
    size_t head = put_head(bytes, MCQ_FRAME_COMMAND, 6 + 1 + 255);
    memcpy(bytes + head, "\5ERROR\xff", 7);
    memset(bytes + head + 7, 'e', 255);
    struct mcq_reader in = reader(bytes, head + 7 + 255);
    cr_assert(next(&b, &in) == MCQ_ZMTP_DEAD && strlen(mcq_zmtp_detail(&b.z)) == 255);
}

/* --- moving, counting, subscribing
 * ------------------------------------------------------------------ */

/* The state is a value: copied after any byte it goes on elsewhere. */
Test(zmtp, a_session_moves_at_any_byte)
{
    char bytes[GREETING + READY_LEN + 16];
    memcpy(bytes, hello, GREETING + READY_LEN);
    memcpy(bytes + GREETING + READY_LEN, "\0\2hi\1\1a\0\1b\4\5\4PON", 16);
    struct bench *here = malloc(sizeof(*here)), *there = malloc(sizeof(*there));
    start(here, MCQ_PULL);
    size_t done = 0;
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        memcpy(there, here, sizeof(*here));
        memset(here, 0xaa, sizeof(*here));
        struct bench *swap = here;
        here = there;
        there = swap;
        struct mcq_reader in = reader(bytes + done, len - done);
        enum mcq_zmtp_kind kind;
        while ((kind = next(here, &in)) != MCQ_ZMTP_MORE) {
            cr_assert(kind != MCQ_ZMTP_DEAD);
            drain(here, sizeof(here->out));
        }
        done += in.pos;
    }
    cr_assert(here->stats.msgs_in == 2 && here->stats.frames_in == 3);
    cr_assert(here->stats.handshakes == 1 && here->stats.commands_in == 1);
    cr_assert_eq(here->stats.bytes_in, here->z.offset);
    free(here);
    free(there);
}

Test(zmtp, counters_of_faults)
{
    struct bench b;
    traffic(&b, MCQ_PULL);
    struct mcq_reader in = reader("\4\2\1X\x08\0", 6);
    cr_assert(next(&b, &in) == MCQ_ZMTP_DEAD && next(&b, &in) == MCQ_ZMTP_DEAD);
    cr_assert(b.stats.commands_unknown == 1 && b.stats.errors == 1);
    cr_assert(b.stats.handshakes == 1 && b.stats.handshakes_failed == 0);
    cr_assert(b.z.offset == GREETING + READY_LEN + 4 && in.pos == 4);
    start(&b, MCQ_PULL);
    in = reader("xy", 2);
    cr_assert(next(&b, &in) == MCQ_ZMTP_DEAD);
    cr_assert(b.stats.errors == 1 && b.stats.handshakes_failed == 1 && b.stats.handshakes == 0);
}

/* Topics around 255 bytes of body, in both forms, with too little room and with just enough. */
Test(zmtp, subscriptions_are_written_as_the_peer_reads_them)
{
    static uint8_t topic[MCQ_TOPIC_LEN_MAX], out[MCQ_TOPIC_LEN_MAX + 32];
    memset(topic, 't', sizeof(topic));
    struct bench b;
    traffic(&b, MCQ_SUB);
    for (size_t len = 0; len <= sizeof(topic); len = len == 300 ? sizeof(topic) : len + 1) {
        for (uint8_t minor = 0; minor < 2; minor++) {
            b.z.peer_minor = minor;
            size_t body = minor == 0 ? 1 + len : 10 + len;
            size_t whole = (body > 255 ? 9 : 2) + body;
            struct mcq_slice t = mcq_slice_of(topic, len);
            struct mcq_writer w = mcq_writer_of(out, whole - 1);
            cr_assert(!mcq_zmtp_put_subscription(&b.z, &w, true, t) && w.len == 0);
            w = mcq_writer_of(out, whole);
            cr_assert(mcq_zmtp_put_subscription(&b.z, &w, true, t) && w.len == whole);
            struct bench pub;
            traffic(&pub, MCQ_PUB);
            struct mcq_reader in = reader(out, w.len);
            cr_assert(next(&pub, &in) == MCQ_ZMTP_SUBSCRIBE && in.pos == whole);
            cr_assert(mcq_slice_equal(pub.ev.topic, t));
        }
    }
    uint8_t golden[] = {4, 8, 6, 'C', 'A', 'N', 'C', 'E', 'L', 'A'};
    struct mcq_writer w = mcq_writer_of(out, sizeof(out));
    cr_assert(mcq_zmtp_put_subscription(&b.z, &w, false, mcq_slice_of_text("A")));
    cr_assert(w.len == sizeof(golden) && memcmp(out, golden, w.len) == 0);
    b.z.peer_minor = 0;
    w = mcq_writer_of(out, sizeof(out));
    cr_assert(mcq_zmtp_put_subscription(&b.z, &w, false, mcq_slice_of_text("A")));
    cr_assert(w.len == 4 && memcmp(out, "\0\2\0A", 4) == 0);
}
