/* The beginning of a stream: greeting, version, and the handshake of the versions before 3.0. */
#include "proto/greeting.h"
#include "proto/mech_null.h"
#include "proto/old.h"
#include "proto/zmtp_private.h"

void mcq_zmtp_meet(struct mcq_zmtp_call *c, enum mcq_sock_type type, struct mcq_slice identity)
{
    struct mcq_zmtp *z = c->z;
    z->peer_type = (uint8_t)type;
    z->identity_len = (uint8_t)identity.len;
    mcq_bytes_copy(z->identity, identity.ptr, identity.len);
    z->flags |= MCQ_ZMTP_MET;
    z->state = MCQ_ZMTP_TRAFFIC;
    c->stats->handshakes++;
    c->ev->kind = MCQ_ZMTP_HANDSHAKE_DONE;
}

/* --- greeting ----------------------------------------------------------------------------- */

static void set_version(struct mcq_zmtp *z, uint8_t major)
{
    z->peer_major = major;
    if (major < MCQ_OLD_END)
        z->heartbeat_ms = 0; /* no commands */
    if (major == MCQ_OLD_1)
        z->slow = true;
}

static enum mcq_fault check_version(const struct mcq_zmtp *z, uint8_t major)
{
    if (major == MCQ_OLD_1 && z->version_min > MCQ_ZMTP_1_0)
        return MCQ_FAULT_VERSION_1;
    if (major == MCQ_OLD_2 && z->version_min > MCQ_ZMTP_2_0)
        return MCQ_FAULT_VERSION_2;
    return MCQ_FAULT_NONE;
}

/* The stream begins with a frame. Where ZMTP 1.0 is refused, what may be its identity is told from
 * what is no ZMTP at all. */
static bool greet_frame(struct mcq_zmtp_call *c, struct mcq_slice unit)
{
    struct mcq_frame_head head;
    enum mcq_fault fault = check_version(c->z, MCQ_OLD_1);
    if (fault == MCQ_FAULT_NONE) {
        set_version(c->z, MCQ_OLD_1);
        c->z->state = MCQ_ZMTP_HANDSHAKE;
        return mcq_zmtp_tell(c, MCQ_ZMTP_WROTE);
    }
    enum mcq_fault garbage = mcq_old_identity_read(MCQ_OLD_1, true, unit, &head);
    if (garbage != MCQ_FAULT_NONE)
        return mcq_zmtp_die(c, garbage);
    return head.need > 0 ? mcq_zmtp_more(c, head.need) : mcq_zmtp_die(c, fault);
}

/* Byte 11: the minor, or before 3.0 the socket type. */
static enum mcq_fault read_minor(struct mcq_zmtp *z, uint8_t byte)
{
    if (z->peer_major >= MCQ_OLD_END) {
        z->peer_minor = z->peer_major > 3 || byte > 0;
        return MCQ_FAULT_NONE;
    }
    z->peer_type = (uint8_t)mcq_old_type_of(byte);
    return z->peer_type != 0 && (z->peer_mask & (1u << z->peer_type)) != 0 ? MCQ_FAULT_NONE
                                                                           : MCQ_FAULT_TYPE;
}

/* What a whole unit says. */
static enum mcq_fault read_unit(struct mcq_zmtp *z, struct mcq_slice unit)
{
    enum mcq_fault fault = mcq_greeting_check(z->greeting_in_len, unit);
    if (fault == MCQ_FAULT_NONE && z->greeting_in_len == MCQ_GREETING_MAJOR_AT) {
        uint8_t major = mcq_greeting_major_of(unit.ptr[0]);
        fault = check_version(z, major);
        if (fault == MCQ_FAULT_NONE)
            set_version(z, major);
    } else if (fault == MCQ_FAULT_NONE && z->greeting_in_len == MCQ_GREETING_MINOR_AT) {
        fault = read_minor(z, unit.ptr[0]);
    }
    return fault;
}

bool mcq_zmtp_greet(struct mcq_zmtp_call *c)
{
    struct mcq_zmtp *z = c->z;
    size_t in_len = z->greeting_in_len;
    size_t unit_len = mcq_greeting_unit_len(in_len);
    struct mcq_slice unit = mcq_reader_rest(c->in);
    unit.len = mcq_min(unit.len, unit_len);
    if (in_len == 0 && mcq_greeting_is_frame(unit))
        return greet_frame(c, unit);
    if (unit.len < unit_len) /* the first byte alone may say 1.0 */
        return mcq_zmtp_more(c, in_len + unit.len == 0 ? 1 : unit_len - unit.len);
    enum mcq_fault fault = read_unit(z, unit);
    if (fault != MCQ_FAULT_NONE)
        return mcq_zmtp_die(c, fault);
    size_t out_max = mcq_greeting_out_max(in_len, z->peer_major);
    mcq_zmtp_consume(c, unit_len);
    in_len += unit_len;
    z->greeting_in_len = (uint8_t)in_len;
    if (in_len > MCQ_GREETING_MAJOR_AT && in_len == mcq_greeting_len(z->peer_major))
        z->state = MCQ_ZMTP_HANDSHAKE;
    if (z->state == MCQ_ZMTP_HANDSHAKE || mcq_greeting_out_max(in_len, z->peer_major) > out_max)
        return mcq_zmtp_tell(c, MCQ_ZMTP_WROTE);
    return false;
}

/* --- identity ------------------------------------------------------------------------------ */

bool mcq_zmtp_identify(struct mcq_zmtp_call *c)
{
    struct mcq_zmtp *z = c->z;
    struct mcq_frame_head head;
    struct mcq_reader r = *c->in;
    struct mcq_slice skipped, identity;
    bool first = mcq_zmtp_is_ungreeted(z);
    enum mcq_fault fault = mcq_old_identity_read(z->peer_major, first, mcq_reader_rest(&r), &head);
    if (fault != MCQ_FAULT_NONE)
        return mcq_zmtp_die(c, fault);
    if (head.need > 0)
        return mcq_zmtp_more(c, head.need);
    uint64_t len = head.len + head.body_len;
    if (mcq_reader_left(&r) < len)
        return mcq_zmtp_more(c, len - mcq_reader_left(&r));
    bool whole =
        mcq_reader_take(&r, head.len, &skipped) && mcq_reader_take(&r, head.body_len, &identity);
    MCQ_ASSERT(whole);
    fault = mcq_mech_null_check_identity(identity);
    if (fault != MCQ_FAULT_NONE)
        return mcq_zmtp_die(c, fault);
    if (first && mcq_zmtp_publishes(z))
        z->flags |= MCQ_ZMTP_ALL_DUE;
    mcq_zmtp_meet(c, (enum mcq_sock_type)z->peer_type, identity);
    mcq_zmtp_consume(c, len);
    return true;
}
