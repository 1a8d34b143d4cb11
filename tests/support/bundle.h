/* Bundle: messages that tell what they are, of any shape: bodies from 0 to 1 MiB, up to 40 frames,
 * mostly short ones; message number seq is always the same.
 *
 * Thread: one per struct.
 */
#ifndef MCQ_TESTS_BUNDLE_H
#define MCQ_TESTS_BUNDLE_H

#include <monocoque.h>

#define MCQ_BUNDLE_BODY_MAX   (1u << 20)
#define MCQ_BUNDLE_FRAMES_MAX 40u

struct mcq_bundle {
    uint8_t bytes[MCQ_BUNDLE_FRAMES_MAX * 700 + MCQ_BUNDLE_BODY_MAX];
    struct mcq_frame frames[MCQ_BUNDLE_FRAMES_MAX + 1];
};

/* The message of that number, behind an empty frame if extra. Borrowed until the next call. */
struct mcq_msg mcq_bundle_of(struct mcq_bundle *b, uint32_t seq, bool extra);
bool mcq_bundle_is(const struct mcq_msg *m, uint32_t seq, bool extra);
/* The bytes of the last one turn to rubbish: all of them, or those that small ones have. */
void mcq_bundle_spoil(struct mcq_bundle *b, bool all);

#endif
