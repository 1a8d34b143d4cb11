/* Metadata: a list of properties, each name-length(1) name value-length(4) value (RFC 37
 * "The READY Command").
 *
 * Reading borrows the list and gives slices of it, one property a call. Names are compared
 * without regard to case (RFC 37), values exactly.
 *
 * Pure functions; any thread.
 */
#ifndef MCQ_PROTO_METADATA_H
#define MCQ_PROTO_METADATA_H

#include "mem/slice.h"

enum mcq_metadata_step {
    MCQ_METADATA_END = 0,  /* the list ends here, cleanly */
    MCQ_METADATA_PROPERTY, /* *p is filled */
    MCQ_METADATA_BROKEN    /* cut short, or a property without a name */
};

struct mcq_property {
    struct mcq_slice name;
    struct mcq_slice value;
};

enum mcq_metadata_step mcq_metadata_next(struct mcq_reader *r, struct mcq_property *p);

bool mcq_metadata_is(const struct mcq_property *p, struct mcq_slice name);

/* Bytes mcq_metadata_put writes. */
size_t mcq_metadata_len(struct mcq_slice name, struct mcq_slice value);

/* Appends one property; false: no room, nothing written. name: [1..255] bytes. */
bool mcq_metadata_put(struct mcq_writer *w, struct mcq_slice name, struct mcq_slice value);

#endif
