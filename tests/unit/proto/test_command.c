#include "proto/command.h"
#include "proto/frame.h"

#include <criterion/criterion.h>

static const enum mcq_command_id ids[] = {MCQ_COMMAND_READY,     MCQ_COMMAND_ERROR,
                                          MCQ_COMMAND_PING,      MCQ_COMMAND_PONG,
                                          MCQ_COMMAND_SUBSCRIBE, MCQ_COMMAND_CANCEL};

/* Around 255 bytes of body, where the size changes its form. */
Test(command, what_is_put_is_read)
{
    static uint8_t data[300], out[400];
    for (size_t i = 0; i < MCQ_CNT_OF(ids); i++) {
        for (size_t len = 0; len <= sizeof(data); len++) {
            struct mcq_writer w = mcq_writer_of(out, sizeof(out));
            cr_assert(mcq_command_put(&w, ids[i], mcq_slice_of(data, len)));
            struct mcq_frame_head head;
            cr_assert_eq(mcq_frame_head_read(mcq_slice_of(out, w.len), &head), MCQ_FAULT_NONE);
            cr_assert((head.flags & MCQ_FRAME_COMMAND) != 0 && head.len + head.body_len == w.len);
            struct mcq_command cmd;
            cr_assert_eq(mcq_command_read(mcq_slice_of(out + head.len, w.len - head.len), &cmd),
                         MCQ_FAULT_NONE);
            cr_assert(cmd.id == ids[i] && cmd.data.len == len);
        }
    }
}

Test(command, no_room_writes_nothing)
{
    uint8_t out[64];
    struct mcq_slice data = mcq_slice_of_text("topic");
    size_t whole = 2 + 1 + 9 + data.len;
    for (size_t room = 0; room < whole; room++) {
        struct mcq_writer w = mcq_writer_of(out, room);
        cr_assert(!mcq_command_put(&w, MCQ_COMMAND_SUBSCRIBE, data) && w.len == 0);
    }
    struct mcq_writer w = mcq_writer_of(out, whole);
    cr_assert(mcq_command_put(&w, MCQ_COMMAND_SUBSCRIBE, data) && w.len == whole);
}

static enum mcq_command_id id_of(const char *body, size_t len)
{
    struct mcq_command cmd;
    cr_assert_eq(mcq_command_read(mcq_slice_of(body, len), &cmd), MCQ_FAULT_NONE);
    return cmd.id;
}

Test(command, names_are_exact)
{
    cr_assert_eq(id_of("\4PING", 5), MCQ_COMMAND_PING);
    cr_assert_eq(id_of("\4ping", 5), MCQ_COMMAND_UNKNOWN);
    cr_assert_eq(id_of("\3PING", 5), MCQ_COMMAND_UNKNOWN);
    cr_assert_eq(id_of("\5PINGS", 6), MCQ_COMMAND_UNKNOWN);
    struct mcq_command cmd;
    cr_assert_eq(mcq_command_read(mcq_slice_of("\5PING", 5), &cmd), MCQ_FAULT_NAME);
    cr_assert_eq(mcq_command_read(mcq_slice_of("\0", 1), &cmd), MCQ_FAULT_NAME);
    cr_assert_eq(mcq_command_read(mcq_slice_of("", 0), &cmd), MCQ_FAULT_NAME);
}

/* libzmq computes this in 16 bits and mis-times peers above 65.5 s (its #4226). */
Test(command, ttl_does_not_wrap)
{
    uint32_t ttl_ms;
    struct mcq_slice context;
    cr_assert_eq(mcq_command_read_ping(mcq_slice_of("\xff\xff", 2), &ttl_ms, &context),
                 MCQ_FAULT_NONE);
    cr_assert(ttl_ms == 6553500 && context.len == 0);
    cr_assert_eq(mcq_command_read_ping(mcq_slice_of("\1", 1), &ttl_ms, &context), MCQ_FAULT_PING);
}

Test(command, error_holds_exactly_its_reason)
{
    struct mcq_slice reason;
    cr_assert_eq(mcq_command_read_error(mcq_slice_of("\x03"
                                                     "400",
                                                     4),
                                        &reason),
                 MCQ_FAULT_NONE);
    cr_assert(mcq_slice_equal(reason, mcq_slice_of_text("400")));
    cr_assert_eq(mcq_command_read_error(mcq_slice_of("\0", 1), &reason), MCQ_FAULT_NONE);
    cr_assert_eq(reason.len, 0);
    cr_assert_eq(mcq_command_read_error(mcq_slice_of("\x04"
                                                     "400",
                                                     4),
                                        &reason),
                 MCQ_FAULT_ERROR);
    cr_assert_eq(mcq_command_read_error(mcq_slice_of("\x02"
                                                     "400",
                                                     4),
                                        &reason),
                 MCQ_FAULT_ERROR);
    cr_assert_eq(mcq_command_read_error(mcq_slice_of("", 0), &reason), MCQ_FAULT_ERROR);
}
