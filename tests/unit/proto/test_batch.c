/* The batch reader: it must take exactly what next would, and stop before anything else. */
#include "tests/support/stream.h"

#include "proto/frame.h"

#include <criterion/criterion.h>

#include <string.h>

#define VIEWS 8u

struct bench {
    struct mcq_zmtp z;
    struct mcq_proto_stats stats;
    struct mcq_msg views[VIEWS];
    struct mcq_frame frames[MCQ_FRAME_CNT_MAX];
    struct mcq_zmtp_event ev;
    size_t n;
};

static void traffic(struct bench *b, enum mcq_sock_type type)
{
    static const char input[] = "\xff\0\0\0\0\0\0\0\1\x7f\3\1NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                "\x04\x1a\x05READY\x0bSocket-Type\0\0\0\4PUSH";
    struct mcq_zmtp_config config = {
        .type = type, .peer_mask = UINT32_MAX, .limits = {1000, 1000, 4}};
    uint8_t out[MCQ_ZMTP_DRAIN_MAX];
    memset(b, 0, sizeof(*b));
    mcq_zmtp_init(&b->z, &config, 0);
    struct mcq_reader in = mcq_reader_of(mcq_slice_of(input, sizeof(input) - 1));
    do {
        struct mcq_writer w = mcq_writer_of(out, sizeof(out));
        cr_assert(mcq_zmtp_drain(&b->z, &w, &b->stats));
        mcq_zmtp_next(&b->z, &in, 0, b->frames, &b->ev, &b->stats);
    } while (b->ev.kind == MCQ_ZMTP_WROTE);
    cr_assert(b->ev.kind == MCQ_ZMTP_HANDSHAKE_DONE);
    b->stats = (struct mcq_proto_stats){0};
}

static bool batch(struct bench *b, struct mcq_reader *in, size_t max)
{
    return mcq_zmtp_next_batch(&b->z, in, b->views, max, 9, &b->n, &b->stats);
}

static struct mcq_reader reader(const char *bytes, size_t len)
{
    return mcq_reader_of(mcq_slice_of(bytes, len));
}

Test(batch, views_point_into_the_window)
{
    struct bench b;
    traffic(&b, MCQ_PULL);
    static const char input[] = "\0\2ab\0\0\2\0\0\0\0\0\0\0\1c\0\1d";
    struct mcq_reader in = reader(input, sizeof(input) - 1);
    uint64_t offset = b.z.offset;
    cr_assert(!batch(&b, &in, VIEWS));
    cr_assert(b.n == 4 && mcq_reader_left(&in) == 0);
    const char *at[] = {input + 2, input + 6, input + 15, input + 18};
    size_t len[] = {2, 0, 1, 1};
    for (size_t i = 0; i < b.n; i++) {
        cr_assert(b.views[i].data == at[i] && b.views[i].len == len[i]);
        cr_assert(b.views[i].frames == NULL && b.views[i].frame_cnt == 1 && b.views[i].owner == 9);
    }
    cr_assert(b.z.offset - offset == sizeof(input) - 1 && b.z.need == 2);
    cr_assert(b.stats.msgs_in == 4 && b.stats.frames_in == 4);
    cr_assert_eq(b.stats.bytes_in, sizeof(input) - 1);
}

/* What stops a batch: whether next must look, or how many bytes are missing. */
static const struct {
    const char *what;
    const char *bytes;
    size_t len;
    bool look;
    uint64_t need;
} stops[] = {
    {"nothing", "", 0, false, 2},
    {"flags alone", "\0", 1, false, 1},
    {"long flags alone", "\2", 1, false, 8},
    {"long size cut", "\2\0\0\0\0", 5, false, 4},
    {"no body", "\0\5", 2, false, 5},
    {"half a body", "\0\5abc", 5, false, 2},
    {"long, half a body", "\2\0\0\0\0\0\0\0\5a", 10, false, 4},
    {"multipart", "\1\1a\0\1b", 6, true, 0},
    {"multipart's flags alone", "\1", 1, true, 0},
    {"long multipart", "\3\0\0\0\0\0\0\0\1a", 10, true, 0},
    {"command", "\4\5\4PONG", 7, true, 0},
    {"long command, cut", "\6\0", 2, true, 0},
    {"reserved bit", "\x08", 1, true, 0},
    {"reserved bit of a long frame", "\x82\0\0\0\0\0\0\0\0", 9, true, 0},
    {"over the limit", "\2\0\0\0\0\0\0\3\xe9", 9, true, 0},
    {"over the limit for messages by its header", "\2\0\0\0\0\0\0\3\xe0", 9, true, 0},
    {"size above 63 bits", "\2\x80\0\0\0\0\0\0\0", 9, true, 0},
};

Test(batch, stops_before_anything_else)
{
    for (size_t i = 0; i < MCQ_CNT_OF(stops); i++) {
        for (int before = 0; before < 2; before++) {
            struct bench b;
            traffic(&b, MCQ_PULL);
            char bytes[64] = "\0\1x";
            size_t lead = before == 0 ? 0 : 3;
            memcpy(bytes + lead, stops[i].bytes, stops[i].len);
            struct mcq_reader in = reader(bytes, lead + stops[i].len);
            bool look = batch(&b, &in, VIEWS);
            cr_assert_eq(look, stops[i].look, "%s", stops[i].what);
            cr_assert(b.n == (size_t)before && in.pos == lead, "%s", stops[i].what);
            if (!look)
                cr_assert_eq(b.z.need, stops[i].need, "%s", stops[i].what);
        }
    }
}

Test(batch, limits_hold_for_short_frames)
{
    struct bench b;
    traffic(&b, MCQ_PULL);
    b.z.limits = (struct mcq_zmtp_limits){10, 11, 1};
    struct mcq_reader in = reader("\0\x09"
                                  "123456789\0\x0a"
                                  "abcdefghij",
                                  23);
    cr_assert(batch(&b, &in, VIEWS));
    cr_assert(b.n == 1 && in.pos == 11); /* the second: 10 <= 10, but 2 + 10 > 11 */
    mcq_zmtp_next(&b.z, &in, 0, b.frames, &b.ev, &b.stats);
    cr_assert(b.ev.kind == MCQ_ZMTP_DEAD && mcq_zmtp_reason(&b.z) == MCQ_REASON_LIMIT);
}

/* Limits smaller than a header: nothing wraps, and batch and next agree. */
Test(batch, limits_smaller_than_a_header)
{
    for (uint64_t msg_max = 0; msg_max < 12; msg_max++) {
        for (size_t head = 2; head <= 9; head += 7) {
            struct bench b;
            traffic(&b, MCQ_PULL);
            b.z.limits = (struct mcq_zmtp_limits){10, msg_max, 1};
            struct mcq_reader in = reader(head == 2 ? "\0\0" : "\2\0\0\0\0\0\0\0\0", head);
            bool look = batch(&b, &in, VIEWS);
            if (look)
                mcq_zmtp_next(&b.z, &in, 0, b.frames, &b.ev, &b.stats);
            bool taken = b.n == 1 || b.ev.kind == MCQ_ZMTP_MESSAGE;
            cr_assert_eq(taken, head <= msg_max, "limit %zu", (size_t)msg_max);
        }
    }
}

Test(batch, a_full_array_is_not_the_end)
{
    struct bench b;
    traffic(&b, MCQ_PULL);
    struct mcq_reader in = reader("\0\0\0\0\0\0\0\0\0\0", 10);
    cr_assert(!batch(&b, &in, 3));
    cr_assert(b.n == 3 && mcq_reader_left(&in) == 4);
    cr_assert(!batch(&b, &in, 3));
    cr_assert(b.n == 2 && mcq_reader_left(&in) == 0);
    cr_assert(!batch(&b, &in, 0) && b.n == 0);
}

Test(batch, only_in_traffic_and_between_messages)
{
    struct bench b;
    traffic(&b, MCQ_PULL);
    struct mcq_reader in = reader("\1\0\0", 3);
    mcq_zmtp_next(&b.z, &in, 0, b.frames, &b.ev, &b.stats);
    cr_assert(b.ev.kind == MCQ_ZMTP_MORE && in.pos == 0);
    in = reader("\1\0\0\0\0\0", 6); /* the second frame has come: a message, then another */
    cr_assert(batch(&b, &in, VIEWS) && b.n == 0 && in.pos == 0);
    mcq_zmtp_fail(&b.z, MCQ_REASON_LOCAL);
    cr_assert(batch(&b, &in, VIEWS) && b.n == 0);
    traffic(&b, MCQ_PUB);
    in = reader("\0\1\1", 3);
    cr_assert(batch(&b, &in, VIEWS) && b.n == 0);
    struct mcq_zmtp_config config = {.type = MCQ_PULL, .limits = {1, 1, 1}};
    mcq_zmtp_init(&b.z, &config, 0);
    cr_assert(batch(&b, &in, VIEWS) && b.n == 0);
}

/* A pause: the counters end as if only the kept ones had been decoded. */
Test(batch, give_back)
{
    static const char input[] = "\0\1a\2\0\0\0\0\0\0\0\1b\0\1c\0\1d\0\1";
    for (size_t kept = 0; kept <= 4; kept++) {
        struct bench b, wanted;
        traffic(&b, MCQ_PULL);
        traffic(&wanted, MCQ_PULL);
        struct mcq_reader in = reader(input, sizeof(input) - 1), alone = in;
        cr_assert(!batch(&b, &in, VIEWS) && b.n == 4);
        mcq_zmtp_give_back(&b.z, &in, 0, b.n, kept, 1, &b.stats);
        batch(&wanted, &alone, kept);
        cr_assert_eq(in.pos, alone.pos, "kept %zu", kept);
        cr_assert(b.z.offset == wanted.z.offset && mcq_zmtp_invariants(&b.z));
        cr_assert(memcmp(&b.stats, &wanted.stats, sizeof(b.stats)) == 0);
        cr_assert(!batch(&b, &in, VIEWS) && b.n == 4 - kept);
    }
}
