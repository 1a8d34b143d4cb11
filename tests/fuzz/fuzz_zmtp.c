/* Fuzz target: any bytes as a peer's stream, in any pieces, under any limits.
 *
 *   byte 0   our socket type
 *   byte 1   how: 1 batches, 2 batches given back, 4 the handshake is done already, 8 tight limits,
 *            16 pieces as the state machine needs them, 32 a 3.0 peer, 64 one legal peer type,
 *            128 with an identity
 *   byte 2   bytes of a piece, 0: all at once
 *   rest     the stream
 *
 * tests/support/stream.c checks every promise of proto/zmtp.h on the way: invariants, progress,
 * offsets, views inside the window (a block of exactly its length), limits.
 */
#include "tests/support/stream.h"

#include <string.h>

#define LEAD 3u

static const char greeting[] = "\xff\0\0\0\0\0\0\0\1\x7f\3\1NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                               "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
static const char ready[] = "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\6DEALER";

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
    configure(&opts, data[0], how, piece);
    mcq_stream_init(&s, &opts);
    mcq_stream_feed(&s, "", 0);
    if ((how & 4) != 0)
        shake_hands(&s, (how & 32) != 0);
    for (size_t at = LEAD; at < len;) {
        size_t n = piece_len(&s, piece, len - at);
        mcq_stream_feed(&s, data + at, n);
        at += n;
    }
    mcq_stream_fini(&s);
    return 0;
}
