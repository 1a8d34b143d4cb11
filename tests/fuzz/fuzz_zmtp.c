/* Fuzz target: any bytes as a peer's stream, in any pieces, under any limits.
 *
 *   byte 0   our socket type, and in what it is above 11: the lowest version (2.0, 1.0, 3.0), the
 *            peer's version where the handshake is done already (3.x, 2.0, 1.0), heartbeats
 *   byte 1   how: 1 batches, 2 batches given back, 4 the handshake is done already, 8 tight limits,
 *            16 pieces as the state machine needs them, 32 a 3.0 peer, 64 one legal peer type,
 *            128 with an identity
 *   byte 2   bytes of a piece, 0: all at once
 *   rest     the stream
 *
 * With heartbeats time passes between the pieces. tests/support/stream.c checks every promise of
 * proto/zmtp.h on the way: invariants, progress, offsets, views inside the window (a block of
 * exactly its length), limits.
 */
#include "tests/support/stream.h"

#include <string.h>

#define LEAD 3u

static const char greeting[] = "\xff\0\0\0\0\0\0\0\1\x7f\3\1NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                               "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
static const char ready[] = "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\6DEALER";

static const char greeting_2[] = "\xff\0\0\0\0\0\0\0\1\x7f\1\5\0\0";
static const char greeting_1[] = "\1\x7e";

/* What byte 0 says beside the type. */
enum plan { PLAN_VERSION_MIN = 1, PLAN_PEER = 3, PLAN_HEARTBEATS = 9 };

static unsigned plan_of(uint8_t byte, enum plan what)
{
    return byte / MCQ_XSUB / (unsigned)what % 3;
}

static void configure_time(struct mcq_zmtp_config *config, uint8_t byte)
{
    static const uint32_t versions[] = {MCQ_ZMTP_2_0, MCQ_ZMTP_1_0, MCQ_ZMTP_3_0};
    config->version_min = versions[plan_of(byte, PLAN_VERSION_MIN)];
    config->handshake_deadline_ns = 1000000000;
    if (plan_of(byte, PLAN_HEARTBEATS) != 0) {
        config->heartbeat_ms = 20;
        config->heartbeat_timeout_ms = 30;
        config->heartbeat_ttl_ms = byte;
    }
}

static void configure(struct mcq_stream_opts *opts, uint8_t type, uint8_t how, uint8_t tight)
{
    static const struct mcq_zmtp_limits wide = {1u << 26, (1u << 26) + 65536, MCQ_FRAME_CNT_MAX};
    opts->config.type = (enum mcq_sock_type)(MCQ_PAIR + type % MCQ_XSUB);
    opts->config.peer_mask = (how & 64) != 0 ? 1u << MCQ_DEALER : UINT32_MAX;
    opts->config.limits = wide;
    if ((how & 8) != 0)
        opts->config.limits = (struct mcq_zmtp_limits){tight, tight + 20u, 1u + tight % 8u};
    if ((how & 128) != 0)
        opts->config.identity = mcq_slice_of_text("fuzz");
    opts->batches = (how & 1) != 0;
    opts->give_back = (how & 2) != 0;
    opts->exact_need = (how & 16) != 0;
    opts->views_max = 1 + tight % 16u;
    opts->quiet = true;
}

static void shake_hands_old(struct mcq_stream *s, bool v1)
{
    bool exact = s->opts.exact_need;
    s->opts.exact_need = false;
    mcq_stream_feed(s, v1 ? greeting_1 : greeting_2,
                    (v1 ? sizeof(greeting_1) : sizeof(greeting_2)) - 1);
    s->opts.exact_need = exact;
}

static void shake_hands(struct mcq_stream *s, bool minor_0)
{
    char bytes[sizeof(greeting) - 1];
    memcpy(bytes, greeting, sizeof(bytes));
    bytes[11] = minor_0 ? 0 : 1;
    bool exact = s->opts.exact_need;
    s->opts.exact_need = false;
    mcq_stream_feed(s, bytes, sizeof(bytes));
    mcq_stream_feed(s, ready, sizeof(ready) - 1);
    s->opts.exact_need = exact;
}

static size_t piece_len(const struct mcq_stream *s, uint8_t piece, size_t left)
{
    uint64_t len = piece == 0 ? left : piece;
    if (s->opts.exact_need && !s->dead)
        len = mcq_zmtp_need(&s->z);
    return (size_t)mcq_min_u64(len, left);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct mcq_stream s;
    if (len < LEAD)
        return 0;
    uint8_t how = data[1], piece = data[2];
    struct mcq_stream_opts opts = {0};
    unsigned peer = plan_of(data[0], PLAN_PEER);
    configure(&opts, data[0], how, piece);
    configure_time(&opts.config, data[0]);
    mcq_stream_init(&s, &opts);
    mcq_stream_feed(&s, "", 0);
    if ((how & 4) != 0 && peer != 0)
        shake_hands_old(&s, peer == 2);
    else if ((how & 4) != 0)
        shake_hands(&s, (how & 32) != 0);
    for (size_t at = LEAD; at < len;) {
        size_t n = piece_len(&s, piece, len - at);
        mcq_stream_feed(&s, data + at, n);
        at += n;
        if (opts.config.heartbeat_ms != 0)
            mcq_stream_wait(&s, data[at - 1] % 32);
    }
    mcq_stream_fini(&s);
    return 0;
}
