/* Parcel: a message whose frames follow from a few numbers, so that whoever expects it can say of
 * every byte whether it is right, without a copy of it.
 *
 * A frame of 8 bytes or more begins with a word that no other frame of the run begins with, unless
 * a topic goes first. Thread: none of its own. Cost: O(bytes).
 */
#ifndef MCQ_TESTS_SIM_PARCEL_H
#define MCQ_TESTS_SIM_PARCEL_H

#include <monocoque/msg.h>

#include "mem/base.h"

#define MCQ_PARCEL_FRAMES_MAX 24u
#define MCQ_PARCEL_TOPIC_NONE 0xffu
#define MCQ_PARCEL_TOPICS     12u

struct mcq_parcel {
    uint32_t uid;    /* of the sending actor */
    uint32_t number; /* of the run's messages */
    uint32_t len;    /* bytes of all frames, topic included */
    uint8_t frame_cnt;
    uint8_t topic;     /* goes first in the first frame; MCQ_PARCEL_TOPIC_NONE: none */
    bool library;      /* not the application's: probe or welcome */
    bool taken;        /* by its receiver */
    uint32_t answers;  /* REP, ROUTER: number of the request; 0: none */
    uint64_t sent_seq; /* when, in the world's count of calls */
};

/* Prefixes of each other on purpose; NUL-terminated. idx < MCQ_PARCEL_TOPICS. */
const char *mcq_parcel_topic(uint32_t idx);
/* Whether a subscription to `topic` matches a message that begins with topic `of`. */
bool mcq_parcel_topic_matches(uint32_t topic, uint32_t of);

size_t mcq_parcel_frame_len(const struct mcq_parcel *p, uint32_t frame);
/* Writes mcq_parcel_frame_len bytes. */
void mcq_parcel_fill(const struct mcq_parcel *p, uint32_t frame, void *at);
/* Are the frames of m from `first` on this parcel, every byte? */
bool mcq_parcel_matches(const struct mcq_parcel *p, const struct mcq_msg *m, uint32_t first);
/* The same, but only the first word of each frame: enough to find it again. */
bool mcq_parcel_resembles(const struct mcq_parcel *p, const struct mcq_msg *m, uint32_t first);

#endif
