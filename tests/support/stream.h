/* Stream: one end of a ZMTP stream, driven as a session drives it, that checks the promises of
 * proto/zmtp.h at every call and keeps a log of what came out.
 *
 * Feed it bytes in any pieces. The window of each call is a fresh copy of exactly the undelivered
 * bytes, either ending at a page that must not be read or in a block of exactly that length (for
 * AddressSanitizer). A broken promise prints what and aborts.
 *
 * Log lines, in order: `< hex` (drained bytes, neighbours joined), `= done TYPE identity`,
 * `= message frame | frame`, `= subscribe topic`, `= cancel topic`, `= dead reason offset text`.
 * TYPE is NONE for a peer that doesn't say it (ZMTP 1.0).
 * Batches are flattened into messages, so the log must not depend on how the input was cut.
 */
#ifndef MCQ_TESTS_STREAM_H
#define MCQ_TESTS_STREAM_H

#include "proto/zmtp.h"
#include "tests/support/text.h"

struct mcq_stream_opts {
    struct mcq_zmtp_config config;
    bool guard;      /* windows end at an unreadable page; else at the end of their heap block */
    bool batches;    /* next_batch before next, as a session does; else next alone */
    bool give_back;  /* every batch of two or more gives its last message back and takes it again */
    bool exact_need; /* the pieces fed are exactly mcq_zmtp_need: nothing may be left over */
    bool quiet;      /* no log */
    size_t views_max;
};

struct mcq_stream {
    struct mcq_stream_opts opts;
    struct mcq_zmtp z;
    struct mcq_proto_stats stats;
    struct mcq_frame frames[MCQ_FRAME_CNT_MAX];
    struct mcq_text rest;    /* undelivered bytes */
    struct mcq_text log;     /* without what is in drained */
    struct mcq_text drained; /* since the last event */
    struct mcq_text shown;   /* both, as text */
    uint8_t *map;            /* guard: the pages before the unreadable one */
    size_t map_len;
    uint64_t fed;      /* bytes given */
    uint64_t consumed; /* bytes taken */
    uint64_t msgs;
    uint64_t now_ns;
    bool dead;
};

void mcq_stream_init(struct mcq_stream *s, const struct mcq_stream_opts *opts);
void mcq_stream_fini(struct mcq_stream *s);
void mcq_stream_feed(struct mcq_stream *s, const void *bytes, size_t len);
/* Time passes, and the session's timer looks. */
void mcq_stream_wait(struct mcq_stream *s, uint64_t ms);
/* The log so far. Borrowed until the next call. */
const char *mcq_stream_log(struct mcq_stream *s);

/* The log's lines, for those who write what they expect. */
void mcq_stream_line_message(struct mcq_text *log, const struct mcq_frame *frames, uint32_t cnt);
const char *mcq_stream_reason(enum mcq_reason reason);

#endif
