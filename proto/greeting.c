#include "proto/greeting.h"

#include "proto/old.h"

#define SIGNATURE_FIRST 0xffu
#define SIGNATURE_LAST  0x7fu
#define MAJOR           3u
#define MINOR           1u
#define MECHANISM_LEN   20u

static const uint8_t mechanism_null[MECHANISM_LEN] = {'N', 'U', 'L', 'L'};

size_t mcq_greeting_len(uint8_t major)
{
    return major < MCQ_OLD_END ? MCQ_GREETING_OLD_LEN : MCQ_GREETING_LEN;
}

size_t mcq_greeting_unit_len(size_t in_len)
{
    MCQ_DASSERT(in_len < MCQ_GREETING_LEN);
    if (in_len < MCQ_GREETING_MAJOR_AT)
        return MCQ_GREETING_MAJOR_AT - in_len;
    if (in_len < MCQ_GREETING_MECHANISM_AT)
        return 1;
    if (in_len < MCQ_GREETING_TAIL_AT)
        return MCQ_GREETING_TAIL_AT - in_len;
    return MCQ_GREETING_LEN - in_len;
}

/* The first byte is judged alone: a ZMTP 1.0 peer may send two bytes and wait. In ZMTP 1.0 the
 * tenth byte after a long length is a frame's flags, of which only bit 0 (MORE) exists, and an
 * identity is one frame; hence an even byte is 1.0 (RFC 23). */
bool mcq_greeting_is_frame(struct mcq_slice unit)
{
    if (unit.len > 0 && unit.ptr[0] != SIGNATURE_FIRST)
        return true;
    return unit.len == MCQ_GREETING_MAJOR_AT && (unit.ptr[MCQ_GREETING_MAJOR_AT - 1] & 1u) == 0;
}

enum mcq_fault mcq_greeting_check(size_t in_len, struct mcq_slice unit)
{
    if (unit.len < mcq_greeting_unit_len(in_len))
        return MCQ_FAULT_NONE;
    if (in_len == 0 && unit.ptr[MCQ_GREETING_MAJOR_AT - 1] != SIGNATURE_LAST)
        return MCQ_FAULT_SIGNATURE_END;
    if (in_len == MCQ_GREETING_MECHANISM_AT &&
        !mcq_slice_equal(unit, mcq_slice_of(mechanism_null, MECHANISM_LEN)))
        return MCQ_FAULT_MECHANISM;
    return MCQ_FAULT_NONE;
}

/* Peers with a higher major speak ours to us (RFC 37). 1 and 2 both mean ZMTP 2.0; 0 is libzmq's
 * number of 1.0. */
uint8_t mcq_greeting_major_of(uint8_t byte)
{
    if (byte >= MAJOR)
        return byte;
    return byte == 0 ? MCQ_OLD_1 : MCQ_OLD_2;
}

size_t mcq_greeting_out_max(size_t in_len, uint8_t major)
{
    if (in_len < MCQ_GREETING_MAJOR_AT)
        return MCQ_GREETING_MAJOR_AT;
    return in_len == MCQ_GREETING_MAJOR_AT ? MCQ_GREETING_MINOR_AT : mcq_greeting_len(major);
}

size_t mcq_greeting_put(struct mcq_writer *w, size_t from, size_t to, uint8_t major,
                        enum mcq_sock_type type, size_t identity_len)
{
    uint8_t bytes[MCQ_GREETING_LEN];
    struct mcq_writer g = mcq_writer_of(bytes, sizeof(bytes));
    /* The padding is the length of a ZMTP 1.0 identity frame, flags included. */
    bool ok = mcq_writer_u8(&g, SIGNATURE_FIRST) && mcq_writer_be64(&g, identity_len + 1) &&
              mcq_writer_u8(&g, SIGNATURE_LAST) && mcq_writer_u8(&g, MAJOR) &&
              mcq_writer_u8(&g, major < MCQ_OLD_END ? mcq_old_type_number(type) : MINOR) &&
              mcq_writer_put(&g, mcq_slice_of(mechanism_null, MECHANISM_LEN)) &&
              mcq_writer_fill(&g, 0, MCQ_GREETING_LEN - MCQ_GREETING_TAIL_AT);
    MCQ_ASSERT(ok && from <= to && to <= MCQ_GREETING_LEN);
    size_t len = mcq_min(to - from, mcq_writer_room(w));
    ok = mcq_writer_put(w, mcq_slice_of(bytes + from, len));
    MCQ_DASSERT(ok);
    return len;
}
