/* Wire: golden transcripts, what goes over the wire in text that people read (tests/wire/).
 *
 *   # comment
 *   ! type PUB               our socket type; then, as wanted:
 *   ! peers SUB XSUB         the types it may meet
 *   ! identity "abc"
 *   ! frame-max 100          likewise msg-max, frames-max
 *   ! zmtp-min 10            MCQ_ZMTP_*
 *   ! heartbeat-ms 1000      likewise heartbeat-timeout-ms, heartbeat-ttl-ms
 *   > ff 00*7 01 7f "NULL"   bytes from the peer
 *   @ 1500                   so many milliseconds pass
 *   < ff 00*7 01 7f          bytes we are to have sent by then
 *   = message "a" | 00       what we are to have understood by then: lines of
 * tests/support/stream.h
 *
 * A replay returns what really came out, as the same lines; the expected ones are at hand for
 * comparison. Bytes are tokens of tests/support/text.h.
 */
#ifndef MCQ_TESTS_WIRE_H
#define MCQ_TESTS_WIRE_H

#include "tests/support/stream.h"

#define MCQ_WIRE_STEPS_MAX 256u

/* From the first byte of input fed, or the time that passes behind it, to what must have come out
 * before the next. */
struct mcq_wire_step {
    size_t end;       /* bytes fed up to here */
    uint64_t wait_ms; /* ... and then waited */
    char *expected;   /* the whole log up to here */
};

struct mcq_wire {
    struct mcq_stream_opts opts;
    struct mcq_text input;
    struct mcq_text identity;
    struct mcq_wire_step steps[MCQ_WIRE_STEPS_MAX];
    size_t step_cnt;
};

enum mcq_wire_cut {
    MCQ_WIRE_WHOLE,  /* everything at once */
    MCQ_WIRE_STEPS,  /* line by line, comparing after each */
    MCQ_WIRE_SPLIT,  /* in two, at `at` */
    MCQ_WIRE_PIECES, /* in pieces of `at` bytes */
    MCQ_WIRE_BY_NEED /* as many bytes as the state machine says it needs */
};

/* false: the file can't be read or isn't a transcript; says so on stderr. */
bool mcq_wire_load(struct mcq_wire *wire, const char *path);
void mcq_wire_fini(struct mcq_wire *wire);

/* What the whole transcript expects. */
const char *mcq_wire_expected(const struct mcq_wire *wire);

/* Replays it; returns whether all came out as expected, else prints both logs on stderr. */
bool mcq_wire_replay(const struct mcq_wire *wire, const struct mcq_stream_opts *how,
                     enum mcq_wire_cut cut, size_t at);

#endif
