/* Story: what one connect was told, event by event, checked against the order that event.h draws.
 */
#ifndef MCQ_TESTS_STORY_H
#define MCQ_TESTS_STORY_H

#include <monocoque.h>
#include <stdatomic.h>

#define MCQ_STORY_MAX 256u

struct mcq_story {
    enum {
        MCQ_STORY_IDLE,
        MCQ_STORY_TRYING,
        MCQ_STORY_CONNECTED,
        MCQ_STORY_UP,
        MCQ_STORY_ENDED,
        MCQ_STORY_WAITING,
        MCQ_STORY_GONE
    } at;
    struct mcq_peer peer; /* of the last UP */
    unsigned cnt;
    struct {
        enum mcq_event_kind kind;
        enum mcq_reason reason;
        enum mcq_error error;
        int os_errno;
        uint64_t retry_ns, offset, cnt;
    } events[MCQ_STORY_MAX];
    atomic_ulong kinds[MCQ_EVENT_UNCONNECTED + 1];
};

/* Thread: the shard's. */
void mcq_story_add(struct mcq_story *s, const struct mcq_event *event);
/* Position of the nth (from 0) event of a kind; MCQ_STORY_MAX: there aren't so many. */
unsigned mcq_story_find(const struct mcq_story *s, enum mcq_event_kind kind, unsigned nth);
/* It is over: the last event was UNCONNECTED. */
void mcq_story_end(const struct mcq_story *s, enum mcq_reason reason);

#endif
