/* Old: what peers that speak ZMTP 1.0 (RFC 13) and 2.0 (RFC 15) do otherwise than those of 3.x.
 *
 *      1.0   ours   ff len(8) 7f | identity        their greeting is that frame, and ours, long
 *            theirs len flags      identity        said, is what our signature began
 *      2.0   both   signature | revision 1 | socket type | identity frame | messages
 *
 * Neither knows commands, nor therefore READY, ERROR, PING: the identity is a frame of its own,
 * subscriptions are messages. 2.0 frames as 3.x does, 1.0 as in frame_v1.h. A versioned greeting
 * of revision 0 is 1.0's framing with a socket type, as libzmq has it.
 *
 * Pure functions over borrowed slices; any thread. major: mcq_zmtp.peer_major, 1 or 2.
 */
#ifndef MCQ_PROTO_OLD_H
#define MCQ_PROTO_OLD_H

#include <monocoque/sock.h>

#include "proto/frame_v1.h"

/* Versions as mcq_zmtp.peer_major has them. */
#define MCQ_OLD_1   1u
#define MCQ_OLD_2   2u
#define MCQ_OLD_END 3u

/* Reads the header at the front of s, as mcq_frame_head_read does. */
enum mcq_fault mcq_old_head_read(uint8_t major, struct mcq_slice s, struct mcq_frame_head *head);

/* The same for the frame of the peer's identity. first: these are the stream's first bytes, so what
 * makes no sense is no ZMTP at all. */
enum mcq_fault mcq_old_identity_read(uint8_t major, bool first, struct mcq_slice s,
                                     struct mcq_frame_head *head);

/* Appends ours; first: its header is out already, as our signature. false: no room, nothing
 * written. */
bool mcq_old_identity_put(uint8_t major, bool first, struct mcq_writer *w,
                          struct mcq_slice identity);

/* The socket type a number of the greeting means; 0: a type nobody knows. RFC 15 ends at PUSH,
 * libzmq goes on with XPUB and XSUB. */
enum mcq_sock_type mcq_old_type_of(uint8_t number);
uint8_t mcq_old_type_number(enum mcq_sock_type type);

#endif
