/* Faults: everything a peer can do wrong, each with the reason its connection ends for and a
 * sentence for a person.
 *
 * Parsers return one and change nothing; zmtp.c makes it sticky. Zero is "no fault". Any thread,
 * constant cost, no errors.
 */
#ifndef MCQ_PROTO_FAULT_H
#define MCQ_PROTO_FAULT_H

#include <monocoque/event.h>

enum mcq_fault {
    MCQ_FAULT_NONE = 0,
    /* greeting */
    MCQ_FAULT_SIGNATURE,
    MCQ_FAULT_SIGNATURE_END,
    MCQ_FAULT_VERSION_1,
    MCQ_FAULT_VERSION_2,
    MCQ_FAULT_MECHANISM,
    MCQ_FAULT_IDENTITY_MORE,
    /* frames */
    MCQ_FAULT_RESERVED,
    MCQ_FAULT_COMMAND_MORE,
    MCQ_FAULT_SIZE,
    MCQ_FAULT_LENGTH_ZERO,
    MCQ_FAULT_COMMAND_INSIDE,
    MCQ_FAULT_COMMAND_LEN,
    MCQ_FAULT_FRAME_LEN,
    MCQ_FAULT_MSG_LEN,
    MCQ_FAULT_FRAME_CNT,
    /* commands */
    MCQ_FAULT_NAME,
    MCQ_FAULT_MESSAGE_EARLY,
    MCQ_FAULT_COMMAND_EARLY,
    MCQ_FAULT_METADATA,
    MCQ_FAULT_PROPERTY_TWICE,
    MCQ_FAULT_IDENTITY_LEN,
    MCQ_FAULT_IDENTITY_ZERO,
    MCQ_FAULT_TYPE_MISSING,
    MCQ_FAULT_TYPE,
    MCQ_FAULT_READY_TWICE,
    MCQ_FAULT_ERROR,
    MCQ_FAULT_PING,
    MCQ_FAULT_TOPIC_LEN,
    /* not the peer's bytes */
    MCQ_FAULT_PEER_ERROR,
    MCQ_FAULT_HANDSHAKE_LATE,
    MCQ_FAULT_SILENT,
    MCQ_FAULT_UNANSWERED,
    MCQ_FAULT_CALLER
};

enum mcq_reason mcq_fault_reason(enum mcq_fault fault);
/* Static, never NULL, "" for NONE and CALLER. */
const char *mcq_fault_text(enum mcq_fault fault);

#endif
