#include "perf/workloads/wire.h"

#include <criterion/criterion.h>
#include <string.h>

#define SIZE_MAX_MSG 300u

static const unsigned char *body;
static size_t used, body_len;
static enum perf_wire_phase phase;

static enum perf_wire_event take(enum perf_wire wire, const void *data, size_t len)
{
    return perf_wire_take(wire, &phase, SIZE_MAX_MSG, data, len, &used, &body, &body_len);
}

/* Each prefix is too little, the whole is not. */
static enum perf_wire_event take_slowly(enum perf_wire wire, const unsigned char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        cr_expect_eq(take(wire, data, i), PERF_WIRE_MORE, "%zu of %zu bytes", i, len);
    }
    enum perf_wire_event event = take(wire, data, len);
    cr_expect_eq(used, len);
    return event;
}

Test(wire, our_own_hello_is_understood)
{
    unsigned char out[PERF_WIRE_HEAD_MAX];
    phase = perf_wire_begin(PERF_WIRE_ZMTP);
    size_t len = perf_wire_hello(PERF_WIRE_ZMTP, out);
    cr_expect_eq(len, 64);
    cr_expect_eq(take_slowly(PERF_WIRE_ZMTP, out, len), PERF_WIRE_SAY);
    len = perf_wire_ready(PERF_WIRE_ZMTP, out);
    cr_expect_eq(out[1], len - 2);
    cr_expect_eq(take_slowly(PERF_WIRE_ZMTP, out, len), PERF_WIRE_DONE);
    phase = perf_wire_begin(PERF_WIRE_SP);
    len = perf_wire_hello(PERF_WIRE_SP, out);
    cr_expect_eq(take_slowly(PERF_WIRE_SP, out, len), PERF_WIRE_DONE);
    cr_expect_eq(perf_wire_begin(PERF_WIRE_BARE), PERF_WIRE_UP);
}

Test(wire, messages_of_both_lengths_come_back)
{
    static const enum perf_wire wires[] = {PERF_WIRE_ZMTP, PERF_WIRE_SP, PERF_WIRE_SP_IPC};
    static const size_t sizes[] = {1, 255, 256, SIZE_MAX_MSG};
    for (size_t w = 0; w < 3; w++) {
        for (size_t i = 0; i < 4; i++) {
            unsigned char out[PERF_WIRE_HEAD_MAX + SIZE_MAX_MSG];
            size_t head = perf_wire_head(wires[w], sizes[i], out);
            memset(out + head, 'x', sizes[i]);
            phase = PERF_WIRE_UP;
            cr_expect_eq(take_slowly(wires[w], out, head + sizes[i]), PERF_WIRE_MESSAGE);
            cr_expect_eq(body_len, sizes[i]);
            cr_expect_eq(body, out + head);
        }
    }
}

Test(wire, a_request_has_a_delimiter)
{
    unsigned char out[PERF_WIRE_HEAD_MAX];
    size_t len = perf_wire_head(PERF_WIRE_ZMTP_REQ, 1, out);
    out[len] = 'x';
    phase = PERF_WIRE_UP;
    cr_expect_eq(take(PERF_WIRE_ZMTP_REQ, out, len + 1), PERF_WIRE_NOTHING);
    cr_expect_eq(take(PERF_WIRE_ZMTP_REQ, out + used, len + 1 - used), PERF_WIRE_MESSAGE);
    cr_expect_eq(body_len, 1);
}

Test(wire, what_no_server_says_is_bad)
{
    static const unsigned char huge[] = {2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const unsigned char error[] = "\4\7\5ERROR";
    static const unsigned char web[64] = "HTTP/1.1 200 OK";
    unsigned char old[64] = {0xff};
    phase = PERF_WIRE_GREETING;
    cr_expect_eq(take(PERF_WIRE_ZMTP, web, 1), PERF_WIRE_BAD);
    old[9] = 0x7f, old[10] = 1;
    cr_expect_eq(take(PERF_WIRE_ZMTP, old, 64), PERF_WIRE_BAD, "ZMTP 1");
    cr_expect_eq(take(PERF_WIRE_SP, web, 8), PERF_WIRE_BAD);
    phase = PERF_WIRE_READY;
    cr_expect_eq(take(PERF_WIRE_ZMTP, error, 9), PERF_WIRE_BAD);
    cr_expect_eq(take(PERF_WIRE_ZMTP, "\0\1x", 3), PERF_WIRE_BAD, "a message before READY");
    phase = PERF_WIRE_UP;
    cr_expect_eq(take(PERF_WIRE_ZMTP, huge, sizeof huge), PERF_WIRE_BAD);
    cr_expect_eq(take(PERF_WIRE_SP, huge + 1, 8), PERF_WIRE_BAD);
}
