#include "proto/fault.h"

#include "mem/base.h"

struct meaning {
    enum mcq_reason reason;
    const char *text;
};

static const struct meaning meanings[] = {
    [MCQ_FAULT_NONE] = {MCQ_REASON_NONE, ""},
    [MCQ_FAULT_SIGNATURE] = {MCQ_REASON_PROTOCOL,
                             "not a ZMTP greeting, nor the identity that ZMTP 1.0 begins with"},
    [MCQ_FAULT_SIGNATURE_END] = {MCQ_REASON_PROTOCOL,
                                 "not a ZMTP greeting: its tenth byte is not 0x7f"},
    [MCQ_FAULT_VERSION_1] = {MCQ_REASON_INCOMPATIBLE,
                             "the peer speaks ZMTP 1.0, which the option zmtp_min refuses"},
    [MCQ_FAULT_VERSION_2] = {MCQ_REASON_INCOMPATIBLE,
                             "the peer speaks ZMTP 2.0, which the option zmtp_min refuses"},
    [MCQ_FAULT_MECHANISM] = {MCQ_REASON_INCOMPATIBLE, "the peer's security mechanism is not NULL"},
    [MCQ_FAULT_IDENTITY_MORE] = {MCQ_REASON_PROTOCOL, "the identity's frame has the MORE flag set"},
    [MCQ_FAULT_RESERVED] = {MCQ_REASON_PROTOCOL, "a frame has reserved flag bits set"},
    [MCQ_FAULT_COMMAND_MORE] = {MCQ_REASON_PROTOCOL, "a command has the MORE flag set"},
    [MCQ_FAULT_SIZE] = {MCQ_REASON_PROTOCOL, "a frame's size is above 2^63 - 1"},
    [MCQ_FAULT_LENGTH_ZERO] = {MCQ_REASON_PROTOCOL,
                               "a frame's length is zero, though it counts the flags (ZMTP 1.0)"},
    [MCQ_FAULT_COMMAND_INSIDE] = {MCQ_REASON_PROTOCOL,
                                  "a command stands between the frames of a message"},
    [MCQ_FAULT_COMMAND_LEN] = {MCQ_REASON_LIMIT, "a command is longer than 8192 bytes"},
    [MCQ_FAULT_FRAME_LEN] = {MCQ_REASON_LIMIT, "a frame is longer than the limit for frames"},
    [MCQ_FAULT_MSG_LEN] = {MCQ_REASON_LIMIT, "a message is longer than the limit for messages"},
    [MCQ_FAULT_FRAME_CNT] = {MCQ_REASON_LIMIT, "a message has more frames than the limit"},
    [MCQ_FAULT_NAME] = {MCQ_REASON_PROTOCOL, "a command has no name, or is shorter than its name"},
    [MCQ_FAULT_MESSAGE_EARLY] = {MCQ_REASON_PROTOCOL, "a message came before READY"},
    [MCQ_FAULT_COMMAND_EARLY] = {MCQ_REASON_PROTOCOL,
                                 "a command other than READY or ERROR came before READY"},
    [MCQ_FAULT_METADATA] = {MCQ_REASON_PROTOCOL, "READY's list of properties is malformed"},
    [MCQ_FAULT_PROPERTY_TWICE] = {MCQ_REASON_PROTOCOL, "READY names a property twice"},
    [MCQ_FAULT_IDENTITY_LEN] = {MCQ_REASON_PROTOCOL, "the identity is longer than 255 bytes"},
    [MCQ_FAULT_IDENTITY_ZERO] = {MCQ_REASON_PROTOCOL,
                                 "the identity starts with a zero byte, which is reserved"},
    [MCQ_FAULT_TYPE_MISSING] = {MCQ_REASON_INCOMPATIBLE, "READY doesn't say the socket type"},
    [MCQ_FAULT_TYPE] = {MCQ_REASON_INCOMPATIBLE, "the peer's socket type and ours may not meet"},
    [MCQ_FAULT_READY_TWICE] = {MCQ_REASON_PROTOCOL, "a second READY came"},
    [MCQ_FAULT_ERROR] = {MCQ_REASON_PROTOCOL, "an ERROR command is malformed"},
    [MCQ_FAULT_PING] = {MCQ_REASON_PROTOCOL, "a PING is shorter than its time to live"},
    [MCQ_FAULT_TOPIC_LEN] = {MCQ_REASON_LIMIT, "a subscription's topic is longer than 4096 bytes"},
    [MCQ_FAULT_PEER_ERROR] = {MCQ_REASON_PEER_ERROR, "the peer sent ERROR without saying why"},
    [MCQ_FAULT_HANDSHAKE_LATE] = {MCQ_REASON_HANDSHAKE, "the handshake was not completed in time"},
    [MCQ_FAULT_SILENT] = {MCQ_REASON_HEARTBEAT,
                          "nothing came within the time to live of the peer's last PING"},
    [MCQ_FAULT_UNANSWERED] = {MCQ_REASON_HEARTBEAT,
                              "nothing came within heartbeat_timeout_ms of our PING"},
    [MCQ_FAULT_CALLER] = {MCQ_REASON_NONE, ""},
};

enum mcq_reason mcq_fault_reason(enum mcq_fault fault)
{
    MCQ_ASSERT((size_t)fault < MCQ_CNT_OF(meanings));
    return meanings[fault].reason;
}

const char *mcq_fault_text(enum mcq_fault fault)
{
    MCQ_ASSERT((size_t)fault < MCQ_CNT_OF(meanings));
    return meanings[fault].text;
}
