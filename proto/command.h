/* Commands: a frame whose body is name-length(1) name data (RFC 37 "Commands").
 *
 * Reading borrows the body and gives slices of it. Writing appends a whole command or nothing.
 * Unknown names are legal (RFC 37: a peer may send what we don't know); names are compared
 * exactly, as libzmq does.
 *
 * Pure functions; any thread.
 */
#ifndef MCQ_PROTO_COMMAND_H
#define MCQ_PROTO_COMMAND_H

#include "mem/slice.h"
#include "proto/fault.h"

#define MCQ_COMMAND_TTL_UNIT_MS 100u /* PING's time to live counts deciseconds */

enum mcq_command_id {
    MCQ_COMMAND_UNKNOWN = 0,
    MCQ_COMMAND_READY,
    MCQ_COMMAND_ERROR,
    MCQ_COMMAND_PING,
    MCQ_COMMAND_PONG,
    MCQ_COMMAND_SUBSCRIBE,
    MCQ_COMMAND_CANCEL
};

struct mcq_command {
    enum mcq_command_id id;
    struct mcq_slice data; /* what follows the name */
};

enum mcq_fault mcq_command_read(struct mcq_slice body, struct mcq_command *cmd);

/* ERROR's data is length(1) reason. */
enum mcq_fault mcq_command_read_error(struct mcq_slice data, struct mcq_slice *reason);

/* PING's data is ttl(2) context. */
enum mcq_fault mcq_command_read_ping(struct mcq_slice data, uint32_t *ttl_ms,
                                     struct mcq_slice *context);

/* The frame's header and the command's name; data_len bytes of data are to follow. id is a known
 * one. false: no room for the whole command, nothing written. */
bool mcq_command_begin(struct mcq_writer *w, enum mcq_command_id id, size_t data_len);

/* The whole command. */
bool mcq_command_put(struct mcq_writer *w, enum mcq_command_id id, struct mcq_slice data);

#endif
