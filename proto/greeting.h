/* Greeting: the first 64 bytes of either side (RFC 37 "Greeting", RFC 23 "Version Negotiation").
 *
 *      bytes   [0,10)     [10]    [11]    [12,32)      [32,64)
 *              signature  major   minor   mechanism    as-server, filler
 *
 * A peer's greeting is read in those five units, ours leaves in three stages, so that older peers
 * can tell what they met: signature at once, major after the peer's signature, the rest after its
 * major. Padding, as-server (libzmq always sends 0) and filler are not looked at (RFC 37: MUST NOT
 * validate the padding).
 *
 * Pure functions over borrowed slices; any thread.
 */
#ifndef MCQ_PROTO_GREETING_H
#define MCQ_PROTO_GREETING_H

#include "mem/slice.h"
#include "proto/fault.h"

#define MCQ_GREETING_LEN          64u
#define MCQ_GREETING_MAJOR_AT     10u
#define MCQ_GREETING_MINOR_AT     11u
#define MCQ_GREETING_MECHANISM_AT 12u
#define MCQ_GREETING_TAIL_AT      32u

/* Bytes of the unit that starts at in_len, a start of a unit. */
size_t mcq_greeting_unit_len(size_t in_len);

/* Judges the unit that starts at in_len, or as much of it as has come. */
enum mcq_fault mcq_greeting_check(size_t in_len, struct mcq_slice unit);

/* How many bytes of ours may be out after in_len of the peer's have been read. */
size_t mcq_greeting_out_max(size_t in_len);

/* Writes as many bytes of ours in [from, to) as w has room for, and returns how many. */
size_t mcq_greeting_put(struct mcq_writer *w, size_t from, size_t to, size_t identity_len);

#endif
