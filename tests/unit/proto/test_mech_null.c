#include "proto/command.h"
#include "proto/mech_null.h"
#include "proto/zmtp.h"

#include <criterion/criterion.h>

#include <string.h>

static struct mcq_slice data_of(const uint8_t *frame, size_t len)
{
    size_t head = (frame[0] & 2) != 0 ? 9 : 2;
    struct mcq_command cmd;
    cr_assert_eq(mcq_command_read(mcq_slice_of(frame + head, len - head), &cmd), MCQ_FAULT_NONE);
    cr_assert_eq(cmd.id, MCQ_COMMAND_READY);
    return cmd.data;
}

/* Golden: what libzmq's own tests send. */
Test(mech_null, ready_of_a_sub)
{
    static const char golden[] = "\x04\x19\x05READY\x0bSocket-Type\0\0\0\3SUB";
    uint8_t out[64];
    struct mcq_writer w = mcq_writer_of(out, sizeof(out));
    cr_assert(mcq_mech_null_put(&w, MCQ_SUB, mcq_slice_of_text("ignored")));
    cr_assert(w.len == sizeof(golden) - 1 && memcmp(out, golden, w.len) == 0);
}

/* Every type with every length of identity: what is put is read, in one drain, or nothing is. */
Test(mech_null, every_type_and_identity)
{
    static uint8_t identity[MCQ_IDENTITY_LEN_MAX], out[MCQ_ZMTP_DRAIN_MAX];
    memset(identity, 'i', sizeof(identity));
    for (int type = MCQ_PAIR; type <= MCQ_XSUB; type++) {
        bool routed = type == MCQ_REQ || type == MCQ_DEALER || type == MCQ_ROUTER;
        for (size_t len = 0; len <= sizeof(identity); len++) {
            struct mcq_slice id = mcq_slice_of(identity, len);
            struct mcq_writer w = mcq_writer_of(out, sizeof(out) - 64);
            cr_assert(mcq_mech_null_put(&w, (enum mcq_sock_type)type, id));
            struct mcq_ready ready;
            cr_assert_eq(mcq_mech_null_read(data_of(out, w.len), &ready), MCQ_FAULT_NONE);
            cr_assert_eq((int)ready.type, type);
            cr_assert(mcq_slice_equal(ready.identity, mcq_slice_of(identity, routed ? len : 0)));
            struct mcq_writer tight = mcq_writer_of(out, w.len - 1);
            cr_assert(!mcq_mech_null_put(&tight, (enum mcq_sock_type)type, id) && tight.len == 0);
        }
    }
}

/* Cut anywhere, or with a byte more, it is refused: there is no other READY in it. */
Test(mech_null, every_cut_is_refused)
{
    static const char list[] = "\x0bSocket-Type\0\0\0\6DEALER\x08Identity\0\0\0\2me";
    struct mcq_ready ready;
    size_t whole = sizeof(list) - 1;
    cr_assert_eq(mcq_mech_null_read(mcq_slice_of(list, whole), &ready), MCQ_FAULT_NONE);
    cr_assert_eq(mcq_mech_null_read(mcq_slice_of(list, whole + 1), &ready), MCQ_FAULT_METADATA);
    for (size_t len = 0; len < whole; len++) {
        enum mcq_fault fault = mcq_mech_null_read(mcq_slice_of(list, len), &ready);
        if (len == 0)
            cr_assert_eq(fault, MCQ_FAULT_TYPE_MISSING);
        else if (len != 22) /* the end of the first property */
            cr_assert_eq(fault, MCQ_FAULT_METADATA, "cut at %zu", len);
    }
}

Test(mech_null, type_names_go_both_ways)
{
    for (int type = MCQ_PAIR; type <= MCQ_XSUB; type++) {
        const char *name = mcq_zmtp_type_name((enum mcq_sock_type)type);
        cr_assert_eq((int)mcq_zmtp_type_of(mcq_slice_of_text(name)), type);
    }
    cr_assert_eq((int)mcq_zmtp_type_of(mcq_slice_of_text("")), 0);
    cr_assert_eq((int)mcq_zmtp_type_of(mcq_slice_of_text("PUS")), 0);
    cr_assert_eq((int)mcq_zmtp_type_of(mcq_slice_of_text("PUSH\n")), 0);
}
