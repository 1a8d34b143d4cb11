/* Greeting: the first bytes of either side (RFC 37 "Greeting", RFC 23 "Version Negotiation"), 64 of
 * a peer that speaks 3.x, 12 of one that speaks 2.0.
 *
 *      bytes   [0,10)     [10]    [11]    [12,32)      [32,64)
 *      3.x     signature  major   minor   mechanism    as-server, filler
 *      2.0     signature  1       socket type
 *
 * A peer's greeting is read in those units, ours leaves in three stages, so that older peers can
 * tell what they met: signature at once, major after the peer's signature, the rest after its
 * major, in the form the peer reads. Padding, as-server (libzmq always sends 0) and filler are not
 * looked at (RFC 37: MUST NOT validate the padding). ZMTP 1.0 has no greeting; our signature is
 * then the header of an identity's frame, and so are the first bytes of the peer.
 *
 * Pure functions over borrowed slices; any thread. major: mcq_zmtp.peer_major, 0 as long as it
 * isn't known.
 */
#ifndef MCQ_PROTO_GREETING_H
#define MCQ_PROTO_GREETING_H

#include <monocoque/sock.h>

#include "mem/slice.h"
#include "proto/fault.h"

#define MCQ_GREETING_LEN          64u
#define MCQ_GREETING_MAJOR_AT     10u
#define MCQ_GREETING_MINOR_AT     11u /* before 3.0: the socket type */
#define MCQ_GREETING_OLD_LEN      12u
#define MCQ_GREETING_MECHANISM_AT 12u
#define MCQ_GREETING_TAIL_AT      32u

/* Bytes of the whole greeting of either side; major is known, in_len beyond the signature. */
size_t mcq_greeting_len(uint8_t major);

/* Bytes of the unit that starts at in_len, a start of a unit. */
size_t mcq_greeting_unit_len(size_t in_len);

/* Is this, the stream's beginning, a frame of ZMTP 1.0 and no signature? */
bool mcq_greeting_is_frame(struct mcq_slice unit);

/* Judges the unit that starts at in_len, or as much of it as has come. */
enum mcq_fault mcq_greeting_check(size_t in_len, struct mcq_slice unit);

/* The version that a greeting's major says. */
uint8_t mcq_greeting_major_of(uint8_t byte);

/* How many bytes of ours may be out after in_len of the peer's have been read. */
size_t mcq_greeting_out_max(size_t in_len, uint8_t major);

/* Writes as many bytes of ours in [from, to) as w has room for, and returns how many. */
size_t mcq_greeting_put(struct mcq_writer *w, size_t from, size_t to, uint8_t major,
                        enum mcq_sock_type type, size_t identity_len);

#endif
