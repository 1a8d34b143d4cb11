/* The NULL mechanism: each side sends READY with its metadata, in no order between the two, and
 * messages follow (RFC 37 "The NULL Mechanism").
 *
 * This file knows what is in a READY; when one is due or legal is zmtp.c's. Properties we don't
 * know are skipped. Pure functions; any thread.
 */
#ifndef MCQ_PROTO_MECH_NULL_H
#define MCQ_PROTO_MECH_NULL_H

#include <monocoque/sock.h>

#include "mem/slice.h"
#include "proto/fault.h"

struct mcq_ready {
    enum mcq_sock_type type;   /* 0: a type nobody knows */
    struct mcq_slice identity; /* borrowed from the data; empty if not given */
};

/* data: what follows READY's name. Refuses a missing Socket-Type: every implementation sends it,
 * and without it the matrix of types can't be enforced. */
enum mcq_fault mcq_mech_null_read(struct mcq_slice data, struct mcq_ready *ready);

/* Of any version: RFC 23 and before keep the first byte 0 for what sockets make up. */
enum mcq_fault mcq_mech_null_check_identity(struct mcq_slice identity);

/* Appends our READY; false: no room, nothing written. Identity only for the types whose peers may
 * route by it (REQ, DEALER, ROUTER), as libzmq does. */
bool mcq_mech_null_put(struct mcq_writer *w, enum mcq_sock_type type, struct mcq_slice identity);

#endif
