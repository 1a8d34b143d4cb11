/* Output: what the state machine itself has to say, generated when there is room for it and never
 * queued: the greeting as far as the peer's allows, READY, one ERROR, the last PING's PONG.
 *
 * zmtp.c raises the flags, output.c lowers them. Commands are written whole or not at all, the
 * greeting byte by byte. Implements the drain and put_subscription of zmtp.h; thread as there.
 */
#ifndef MCQ_PROTO_OUTPUT_H
#define MCQ_PROTO_OUTPUT_H

#include "proto/zmtp.h"

/* mcq_zmtp.flags */
#define MCQ_OUTPUT_READY_SENT 0x01u
#define MCQ_OUTPUT_PONG       0x02u /* due */
#define MCQ_OUTPUT_ERROR      0x04u /* due */
#define MCQ_OUTPUT_ALL        0x07u

/* First byte of a subscription in its message form (RFC 23, RFC 29). */
#define MCQ_OUTPUT_CANCEL    0u
#define MCQ_OUTPUT_SUBSCRIBE 1u

#endif
