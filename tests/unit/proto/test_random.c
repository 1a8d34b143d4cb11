/* Random streams, valid and mutated, against a decoder written for being obvious: it has the whole
 * stream at hand and walks it once. And against themselves, cut in different places.
 *
 * MCQ_MUTATIONS=1000000 for a long run, MCQ_SEED=n to repeat one (printed on failure). */
#include "tests/support/stream.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS_DEFAULT 1000u

/* --- randomness ------------------------------------------------------------------------------ */

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

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *value = getenv(variable);
    return value != NULL ? strtoull(value, NULL, 10) : otherwise;
}

/* --- streams --------------------------------------------------------------------------------- */

static void add_byte(struct mcq_text *t, uint8_t byte)
{
    mcq_text_add(t, &byte, 1);
}

static void add_head(struct mcq_text *t, struct dice *d, unsigned flags, size_t len)
{
    bool is_long = len > 255 || roll(d, 16) == 0;
    add_byte(t, (uint8_t)(flags | (is_long ? 2u : 0u)));
    for (int shift = is_long ? 56 : 0; shift >= 0; shift -= 8)
        add_byte(t, (uint8_t)((uint64_t)len >> shift));
}

static void add_body(struct mcq_text *t, struct dice *d, size_t len)
{
    while (len-- > 0)
        add_byte(t, (uint8_t)roll(d, roll(d, 3) == 0 ? 3 : 256));
}

static size_t body_len(struct dice *d)
{
    static const size_t reach[] = {2, 20, 20, 20, 60, 300};
    return (size_t)roll(d, reach[roll(d, sizeof(reach) / sizeof(reach[0]))]);
}

static void add_message(struct mcq_text *t, struct dice *d)
{
    uint64_t frames = roll(d, 3) == 0 ? 1 + roll(d, 8) : 1;
    for (; frames > 0; frames--) {
        size_t len = body_len(d);
        add_head(t, d, frames > 1, len);
        add_body(t, d, len);
    }
}

static void add_command(struct mcq_text *t, struct dice *d)
{
    static const char *const names[] = {"\x04PING", "\x04PONG", "\x09SUBSCRIBE",
                                        "\x06"
                                        "CANCEL",
                                        "\x05OTHER"};
    const char *name = names[roll(d, sizeof(names) / sizeof(names[0]))];
    size_t len = (name[2] == 'I' ? 2 : 0) + (size_t)roll(d, 20);
    add_head(t, d, 4, strlen(name) + len);
    mcq_text_add(t, name, strlen(name));
    add_body(t, d, len);
}

static void add_traffic(struct mcq_text *t, struct dice *d)
{
    for (uint64_t units = roll(d, 30); units > 0; units--) {
        if (roll(d, 6) == 0)
            add_command(t, d);
        else
            add_message(t, d);
    }
}

/* Damage to bytes from `from` on. */
static void mutate(struct mcq_text *t, struct dice *d, size_t from)
{
    static const uint8_t nasty[] = {0, 1, 2, 3, 4, 5, 6, 8, 0x7f, 0x80, 0xff};
    for (uint64_t n = 1 + roll(d, 6); n > 0 && t->len > from; n--) {
        size_t at = from + (size_t)roll(d, t->len - from);
        uint8_t byte = nasty[roll(d, sizeof(nasty))];
        switch (roll(d, 4)) {
        case 0:
            t->ptr[at] = (char)byte;
            break;
        case 1:
            t->ptr[at] = (char)((uint8_t)t->ptr[at] ^ (1u << roll(d, 8)));
            break;
        case 2:
            memmove(t->ptr + at, t->ptr + at + 1, t->len - at - 1);
            t->len--;
            break;
        default:
            mcq_text_add(t, "", 1);
            memmove(t->ptr + at + 1, t->ptr + at, t->len - at - 1);
            t->ptr[at] = (char)byte;
            break;
        }
    }
    if (roll(d, 8) == 0 && t->len > from)
        t->len = from + (size_t)roll(d, t->len - from);
}

static const enum mcq_sock_type own_types[] = {MCQ_PULL, MCQ_PUB, MCQ_ROUTER};

static struct mcq_stream_opts random_opts(struct dice *d)
{
    struct mcq_stream_opts opts = {.guard = roll(d, 2) == 0,
                                   .batches = roll(d, 4) != 0,
                                   .give_back = roll(d, 2) == 0,
                                   .views_max = 1 + (size_t)roll(d, 8)};
    bool tight = roll(d, 3) == 0;
    opts.config.type = own_types[roll(d, 3)];
    opts.config.peer_mask = UINT32_MAX;
    opts.config.limits.frame_max = tight ? 20 + roll(d, 300) : 1u << 20;
    opts.config.limits.msg_max = tight ? 20 + roll(d, 400) : 1u << 20;
    opts.config.limits.frames_max = tight ? 1 + (uint32_t)roll(d, 8) : MCQ_FRAME_CNT_MAX;
    return opts;
}

/* Returns where traffic starts. */
static size_t add_handshake(struct mcq_text *t, enum mcq_sock_type own)
{
    const char *peer = own == MCQ_PULL ? "PUSH" : own == MCQ_PUB ? "SUB" : "DEALER";
    static const char zeros[48];
    mcq_text_add(t, "\xff\0\0\0\0\0\0\0\1\x7f\3\1NULL", 16);
    mcq_text_add(t, zeros, 48);
    size_t len = strlen(peer);
    add_byte(t, 4);
    add_byte(t, (uint8_t)(22 + len));
    mcq_text_add(t, "\5READY\xbSocket-Type\0\0\0", 21);
    add_byte(t, (uint8_t)len);
    mcq_text_add(t, peer, len);
    return t->len;
}

/* --- the obvious decoder ------------------------------------------------------------------------
 */

struct obvious {
    const struct mcq_stream_opts *opts;
    const uint8_t *b;
    size_t len;
    size_t pos;
    struct mcq_text log;
    bool pong_line; /* the log ends in an open line of drained bytes */
    bool ended;
};

static void close_line(struct obvious *o)
{
    if (o->pong_line)
        mcq_text_add(&o->log, "\n", 1);
    o->pong_line = false;
}

static void ends(struct obvious *o, const char *reason, size_t at, const char *text)
{
    close_line(o);
    mcq_text_printf(&o->log, "= dead %s %zu %s\n", reason, at, text);
    o->ended = true;
}

static void topic_line(struct obvious *o, const char *word, const uint8_t *topic, size_t len,
                       size_t at)
{
    if (len > MCQ_TOPIC_LEN_MAX) {
        ends(o, "limit", at, "a subscription's topic is longer than 4096 bytes");
        return;
    }
    close_line(o);
    mcq_text_printf(&o->log, "= %s", word);
    mcq_text_hex(&o->log, topic, len);
    mcq_text_add(&o->log, "\n", 1);
}

static void ping(struct obvious *o, const uint8_t *data, size_t len, size_t at)
{
    if (len < 2) {
        ends(o, "protocol", at, "a PING is shorter than its time to live");
        return;
    }
    size_t context = len - 2 > 16 ? 16 : len - 2;
    uint8_t head[] = {4, (uint8_t)(5 + context), 4, 'P', 'O', 'N', 'G'};
    if (!o->pong_line)
        mcq_text_add(&o->log, "<", 1);
    o->pong_line = true;
    struct mcq_text pong = {0};
    mcq_text_add(&pong, head, sizeof(head));
    mcq_text_add(&pong, data + 2, context);
    mcq_text_hex(&o->log, (const uint8_t *)pong.ptr, pong.len);
    mcq_text_fini(&pong);
}

static bool named(const uint8_t *body, const char *name)
{
    return body[0] == strlen(name) && memcmp(body + 1, name, strlen(name)) == 0;
}

static void error_text(struct obvious *o, const uint8_t *data, size_t len, size_t at)
{
    char text[256];
    if (len < 1 || data[0] != len - 1) {
        ends(o, "protocol", at, "an ERROR command is malformed");
        return;
    }
    for (size_t i = 1; i < len; i++)
        text[i - 1] = data[i] < 0x20 || data[i] > 0x7e ? '?' : (char)data[i];
    text[len - 1] = '\0';
    ends(o, "peer-error", at, len == 1 ? "the peer sent ERROR without saying why" : text);
}

static void command(struct obvious *o, const uint8_t *body, size_t len, size_t at)
{
    bool publisher = o->opts->config.type == MCQ_PUB;
    if (len == 0 || body[0] == 0 || body[0] > len - 1) {
        ends(o, "protocol", at, "a command has no name, or is shorter than its name");
        return;
    }
    const uint8_t *data = body + 1 + body[0];
    size_t data_len = len - 1 - body[0];
    if (named(body, "PING"))
        ping(o, data, data_len, at);
    else if (named(body, "ERROR"))
        error_text(o, data, data_len, at);
    else if (named(body, "READY"))
        ends(o, "protocol", at, "a second READY came");
    else if (named(body, "SUBSCRIBE") && publisher)
        topic_line(o, "subscribe", data, data_len, at);
    else if (named(body, "CANCEL") && publisher)
        topic_line(o, "cancel", data, data_len, at);
}

static void message(struct obvious *o, const struct mcq_frame *frames, uint32_t cnt, size_t at)
{
    const uint8_t *first = frames[0].data;
    if (o->opts->config.type == MCQ_PUB && cnt == 1 && frames[0].len > 0 && first[0] < 2) {
        topic_line(o, first[0] == 1 ? "subscribe" : "cancel", first + 1, frames[0].len - 1, at);
        return;
    }
    close_line(o);
    mcq_stream_line_message(&o->log, frames, cnt);
}

/* Size of the frame at o->pos; false: cut short, or at fault. */
static bool head(struct obvious *o, uint32_t cnt, size_t msg_start, uint64_t *len, size_t *head_len)
{
    const struct mcq_zmtp_limits *limits = &o->opts->config.limits;
    size_t at = o->pos, left = o->len - at;
    if (left == 0)
        return false;
    uint8_t flags = o->b[at];
    *head_len = (flags & 2) != 0 ? 9 : 2;
    if (flags > 7)
        return ends(o, "protocol", at, "a frame has reserved flag bits set"), false;
    if ((flags & 5) == 5)
        return ends(o, "protocol", at, "a command has the MORE flag set"), false;
    if (left < *head_len)
        return false;
    *len = 0;
    for (size_t i = 1; i < *head_len; i++)
        *len = *len << 8 | o->b[at + i];
    if (*len >> 63 != 0)
        return ends(o, "protocol", at, "a frame's size is above 2^63 - 1"), false;
    if ((flags & 4) != 0 && cnt > 0)
        return ends(o, "protocol", at, "a command stands between the frames of a message"), false;
    if ((flags & 4) != 0 && *len > 8192)
        return ends(o, "limit", at, "a command is longer than 8192 bytes"), false;
    if ((flags & 4) != 0)
        return *len <= left - *head_len;
    if (*len > limits->frame_max)
        return ends(o, "limit", at, "a frame is longer than the limit for frames"), false;
    if (at - msg_start + *head_len + *len > limits->msg_max)
        return ends(o, "limit", at, "a message is longer than the limit for messages"), false;
    if (cnt == limits->frames_max)
        return ends(o, "limit", at, "a message has more frames than the limit"), false;
    return *len <= left - *head_len;
}

/* false: the stream is used up, or dead. */
static bool unit(struct obvious *o)
{
    static struct mcq_frame frames[MCQ_FRAME_CNT_MAX];
    size_t start = o->pos;
    for (uint32_t cnt = 0;;) {
        uint64_t len;
        size_t head_len;
        if (!head(o, cnt, start, &len, &head_len))
            return false;
        uint8_t flags = o->b[o->pos];
        const uint8_t *body = o->b + o->pos + head_len;
        o->pos += head_len + (size_t)len;
        if ((flags & 4) != 0)
            return command(o, body, (size_t)len, start), !o->ended;
        frames[cnt++] = (struct mcq_frame){body, (size_t)len};
        if ((flags & 1) == 0)
            return message(o, frames, cnt, start), !o->ended;
    }
}

/* --- the tests
 * ------------------------------------------------------------------------------------ */

static void feed_cut(struct mcq_stream *s, struct dice *d, const struct mcq_text *bytes)
{
    uint64_t reach = 1 + roll(d, roll(d, 2) == 0 ? 8 : 400);
    for (size_t at = 0; at < bytes->len;) {
        size_t len = mcq_min(1 + (size_t)roll(d, reach), bytes->len - at);
        mcq_stream_feed(s, bytes->ptr + at, len);
        at += len;
    }
}

static void expect_same(const char *a, const char *b, const char *what, uint64_t seed)
{
    cr_assert(strcmp(a, b) == 0, "MCQ_SEED=%llu: %s:\n%s--- but\n%s", (unsigned long long)seed,
              what, a, b);
}

static struct mcq_stream *stream_new(const struct mcq_stream_opts *opts)
{
    struct mcq_stream *s = malloc(sizeof(*s));
    cr_assert_not_null(s);
    mcq_stream_init(s, opts);
    return s;
}

static void stream_free(struct mcq_stream *s)
{
    mcq_stream_fini(s);
    free(s);
}

static void against_obvious(uint64_t seed, bool damaged)
{
    struct dice d = {seed};
    struct mcq_stream_opts opts = random_opts(&d);
    struct mcq_text bytes = {0};
    size_t from = add_handshake(&bytes, opts.config.type);
    add_traffic(&bytes, &d);
    if (damaged)
        mutate(&bytes, &d, from);
    struct mcq_stream *s = stream_new(&opts);
    mcq_stream_feed(s, bytes.ptr, from);
    cr_assert(s->z.state == MCQ_ZMTP_TRAFFIC);
    struct obvious o = {
        .opts = &opts, .b = (const uint8_t *)bytes.ptr, .len = bytes.len, .pos = from};
    mcq_text_add(&o.log, mcq_stream_log(s), strlen(mcq_stream_log(s)));
    while (unit(&o))
        continue;
    close_line(&o);
    struct mcq_text traffic = {bytes.ptr + from, bytes.len - from, 0};
    feed_cut(s, &d, &traffic);
    expect_same(mcq_stream_log(s), o.log.ptr, "not as the obvious decoder has it", seed);
    cr_assert(s->dead == o.ended);
    stream_free(s);
    mcq_text_fini(&o.log);
    mcq_text_fini(&bytes);
}

/* Damage anywhere, the handshake included. */
static void against_itself(uint64_t seed)
{
    struct dice d = {seed};
    struct mcq_stream_opts opts = random_opts(&d);
    struct mcq_text bytes = {0};
    add_handshake(&bytes, opts.config.type);
    add_traffic(&bytes, &d);
    mutate(&bytes, &d, 0);
    struct mcq_stream *whole = stream_new(&opts);
    mcq_stream_feed(whole, bytes.ptr, bytes.len);
    opts.batches = !opts.batches;
    struct mcq_stream *cut = stream_new(&opts);
    feed_cut(cut, &d, &bytes);
    expect_same(mcq_stream_log(whole), mcq_stream_log(cut), "the cut changes what comes out", seed);
    cr_assert(whole->stats.msgs_in == cut->stats.msgs_in &&
              whole->stats.bytes_in == cut->stats.bytes_in);
    stream_free(whole);
    stream_free(cut);
    mcq_text_fini(&bytes);
}

Test(random, valid_streams, .timeout = 3600)
{
    uint64_t seed = number_from("MCQ_SEED", 1);
    for (uint64_t n = number_from("MCQ_MUTATIONS", STREAMS_DEFAULT); n > 0; n--)
        against_obvious(seed++, false);
}

Test(random, damaged_traffic, .timeout = 3600)
{
    uint64_t seed = number_from("MCQ_SEED", 1);
    for (uint64_t n = number_from("MCQ_MUTATIONS", STREAMS_DEFAULT); n > 0; n--)
        against_obvious(seed++, true);
}

Test(random, damaged_anywhere, .timeout = 3600)
{
    uint64_t seed = number_from("MCQ_SEED", 1);
    for (uint64_t n = number_from("MCQ_MUTATIONS", STREAMS_DEFAULT); n > 0; n--)
        against_itself(seed++);
}
