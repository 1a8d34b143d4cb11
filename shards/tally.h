/* Tally: how many whole messages wait in a session's window, for the high-water mark of receiving.
 *
 * Taken only while nobody takes the messages themselves, and each frame is looked at once on its
 * way in and once on its way out: delivering without a pause costs nothing here. Commands are no
 * messages; a subscription in message form is one. v1: the peer speaks ZMTP 1.0, whose frames are
 * others. Pure over borrowed slices.
 */
#ifndef MCQ_SHARDS_TALLY_H
#define MCQ_SHARDS_TALLY_H

#include "mem/slice.h"

struct mcq_tally {
    size_t len;    /* bytes of the window's front that are counted: whole frames */
    uint64_t msgs; /* ... that end there */
};

/* win: the whole window, which starts on a message boundary. */
uint64_t mcq_tally_count(struct mcq_tally *t, struct mcq_slice win, bool v1);
/* len bytes of win's front, whole messages, are about to leave. */
void mcq_tally_consume(struct mcq_tally *t, struct mcq_slice win, size_t len, bool v1);

#endif
