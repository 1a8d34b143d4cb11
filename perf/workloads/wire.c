#include "perf/workloads/wire.h"

#include <string.h>

#define ZMTP_GREETING_LEN 64u
#define ZMTP_MORE         0x01u
#define ZMTP_LONG         0x02u
#define ZMTP_COMMAND      0x04u

/* A server's READY with an identity and metadata; more would be no answer to ours. */
#define COMMAND_MAX 1024u

#define SP_HELLO_LEN 8u
#define SP_HOPS_LEN  4u /* of pair1, in front of the body */

enum perf_wire perf_wire_of(const struct perf_peer *peer, enum perf_transport transport,
                            const char *socket_type)
{
    if (strcmp(peer->name, "mcq") == 0 || strcmp(peer->name, "libzmq") == 0) {
        bool req = socket_type != NULL && strcmp(socket_type, "req") == 0;
        return req ? PERF_WIRE_ZMTP_REQ : PERF_WIRE_ZMTP;
    }
    if (strcmp(peer->name, "nng") == 0) {
        return transport == PERF_TRANSPORT_IPC ? PERF_WIRE_SP_IPC : PERF_WIRE_SP;
    }
    return PERF_WIRE_BARE;
}

static bool is_zmtp(enum perf_wire wire)
{
    return wire == PERF_WIRE_ZMTP || wire == PERF_WIRE_ZMTP_REQ;
}

static void length_put(unsigned char *at, uint64_t len)
{
    for (unsigned i = 0; i < 8; i++) {
        at[i] = (unsigned char)(len >> (56 - 8 * i));
    }
}

static uint64_t length_take(const unsigned char *at)
{
    uint64_t len = 0;
    for (unsigned i = 0; i < 8; i++) {
        len = len << 8 | at[i];
    }
    return len;
}

/* --- what is said ------------------------------------------------------------------------------
 */

size_t perf_wire_hello(enum perf_wire wire, unsigned char *out)
{
    static const unsigned char sp[SP_HELLO_LEN] = {0, 'S', 'P', 0, 0, 0x11, 0, 0};
    if (wire == PERF_WIRE_BARE) {
        return 0;
    }
    if (!is_zmtp(wire)) {
        memcpy(out, sp, sizeof sp);
        return sizeof sp;
    }
    memset(out, 0, ZMTP_GREETING_LEN);
    out[0] = 0xff;
    out[9] = 0x7f;
    out[10] = 3;
    out[11] = 1;
    memcpy(out + 12, "NULL", 4);
    return ZMTP_GREETING_LEN;
}

size_t perf_wire_ready(enum perf_wire wire, unsigned char *out)
{
    const char *type = wire == PERF_WIRE_ZMTP_REQ ? "REQ" : "DEALER";
    size_t type_len = strlen(type);
    unsigned char *at = out + 2;
    memcpy(at, "\5READY\13Socket-Type\0\0\0", 21);
    at[21] = (unsigned char)type_len;
    memcpy(at + 22, type, type_len);
    out[0] = ZMTP_COMMAND;
    out[1] = (unsigned char)(22 + type_len);
    return 2 + 22 + type_len;
}

static size_t zmtp_head(enum perf_wire wire, size_t size, unsigned char *out)
{
    size_t len = 0;
    if (wire == PERF_WIRE_ZMTP_REQ) {
        out[len++] = ZMTP_MORE;
        out[len++] = 0;
    }
    if (size < 256) {
        out[len++] = 0;
        out[len++] = (unsigned char)size;
        return len;
    }
    out[len++] = ZMTP_LONG;
    length_put(out + len, size);
    return len + 8;
}

size_t perf_wire_head(enum perf_wire wire, size_t size, unsigned char *out)
{
    if (is_zmtp(wire)) {
        return zmtp_head(wire, size, out);
    }
    if (wire == PERF_WIRE_BARE) {
        return 0;
    }
    size_t len = 0;
    if (wire == PERF_WIRE_SP_IPC) {
        out[len++] = 1;
    }
    length_put(out + len, size + SP_HOPS_LEN);
    memcpy(out + len + 8, "\0\0\0\1", SP_HOPS_LEN);
    return len + 8 + SP_HOPS_LEN;
}

/* --- what comes --------------------------------------------------------------------------------
 */

enum perf_wire_phase perf_wire_begin(enum perf_wire wire)
{
    return wire == PERF_WIRE_BARE ? PERF_WIRE_UP : PERF_WIRE_GREETING;
}

static enum perf_wire_event zmtp_greeting(const unsigned char *data, size_t len, size_t *used)
{
    if (len < ZMTP_GREETING_LEN) {
        return len > 0 && data[0] != 0xff ? PERF_WIRE_BAD : PERF_WIRE_MORE;
    }
    *used = ZMTP_GREETING_LEN;
    bool ok =
        data[0] == 0xff && data[9] == 0x7f && data[10] >= 3 && memcmp(data + 12, "NULL\0", 5) == 0;
    return ok ? PERF_WIRE_SAY : PERF_WIRE_BAD;
}

static bool is_command(const unsigned char *body, size_t len, const char *name)
{
    size_t name_len = strlen(name);
    return len > name_len && body[0] == name_len && memcmp(body + 1, name, name_len) == 0;
}

static enum perf_wire_event zmtp_frame(enum perf_wire_phase *phase, unsigned flags,
                                       const unsigned char *body, size_t len)
{
    bool up = *phase == PERF_WIRE_UP;
    if ((flags & ZMTP_COMMAND) != 0) {
        if (!up && is_command(body, len, "READY")) {
            *phase = PERF_WIRE_UP;
            return PERF_WIRE_DONE;
        }
        return up && !is_command(body, len, "ERROR") ? PERF_WIRE_NOTHING : PERF_WIRE_BAD;
    }
    if ((flags & ZMTP_MORE) != 0) {
        return up && len == 0 ? PERF_WIRE_NOTHING : PERF_WIRE_BAD; /* a REP's delimiter */
    }
    return up ? PERF_WIRE_MESSAGE : PERF_WIRE_BAD;
}

static enum perf_wire_event zmtp_take(enum perf_wire_phase *phase, size_t size,
                                      const unsigned char *data, size_t len, size_t *used,
                                      const unsigned char **body, size_t *body_len)
{
    if (*phase == PERF_WIRE_GREETING) {
        enum perf_wire_event event = zmtp_greeting(data, len, used);
        *phase = event == PERF_WIRE_SAY ? PERF_WIRE_READY : *phase;
        return event;
    }
    size_t head = len > 0 && (data[0] & ZMTP_LONG) != 0 ? 9 : 2;
    if (len < head) {
        return PERF_WIRE_MORE;
    }
    uint64_t frame = head == 9 ? length_take(data + 1) : data[1];
    if (frame > (size > COMMAND_MAX ? size : COMMAND_MAX)) {
        return PERF_WIRE_BAD;
    }
    if (len - head < frame) {
        return PERF_WIRE_MORE;
    }
    *used = head + (size_t)frame;
    *body = data + head;
    *body_len = (size_t)frame;
    return zmtp_frame(phase, data[0], *body, *body_len);
}

static enum perf_wire_event sp_take(enum perf_wire wire, enum perf_wire_phase *phase, size_t size,
                                    const unsigned char *data, size_t len, size_t *used,
                                    const unsigned char **body, size_t *body_len)
{
    size_t mark = wire == PERF_WIRE_SP_IPC ? 1 : 0;
    if (*phase != PERF_WIRE_UP) {
        if (len < SP_HELLO_LEN) {
            return PERF_WIRE_MORE;
        }
        *used = SP_HELLO_LEN;
        *phase = PERF_WIRE_UP;
        return memcmp(data, "\0SP\0", 4) == 0 ? PERF_WIRE_DONE : PERF_WIRE_BAD;
    }
    if (len < mark + 8) {
        return PERF_WIRE_MORE;
    }
    uint64_t frame = length_take(data + mark);
    if (frame < SP_HOPS_LEN || frame > size + SP_HOPS_LEN) {
        return PERF_WIRE_BAD;
    }
    if (len - mark - 8 < frame) {
        return PERF_WIRE_MORE;
    }
    *used = mark + 8 + (size_t)frame;
    *body = data + mark + 8 + SP_HOPS_LEN;
    *body_len = (size_t)frame - SP_HOPS_LEN;
    return PERF_WIRE_MESSAGE;
}

enum perf_wire_event perf_wire_take(enum perf_wire wire, enum perf_wire_phase *phase, size_t size,
                                    const unsigned char *data, size_t len, size_t *used,
                                    const unsigned char **body, size_t *body_len)
{
    *used = 0;
    if (is_zmtp(wire)) {
        return zmtp_take(phase, size, data, len, used, body, body_len);
    }
    if (wire != PERF_WIRE_BARE) {
        return sp_take(wire, phase, size, data, len, used, body, body_len);
    }
    if (len < size) {
        return PERF_WIRE_MORE;
    }
    *used = *body_len = size;
    *body = data;
    return PERF_WIRE_MESSAGE;
}
