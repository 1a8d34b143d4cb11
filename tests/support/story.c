#include "tests/support/story.h"

#include <stdio.h>

#include "tests/support/trial.h"

/* Where an event leads; -1: it may not come here. */
static int next(const struct mcq_story *s, const struct mcq_event *ev)
{
    int at = (int)s->at;
    switch (ev->kind) {
    case MCQ_EVENT_CONNECTING:
        return at == MCQ_STORY_IDLE || at == MCQ_STORY_WAITING ? MCQ_STORY_TRYING : -1;
    case MCQ_EVENT_CONNECTED:
        return at == MCQ_STORY_TRYING ? MCQ_STORY_CONNECTED : -1;
    case MCQ_EVENT_UP:
        return at == MCQ_STORY_CONNECTED ? MCQ_STORY_UP : -1;
    case MCQ_EVENT_HANDSHAKE_FAILED:
        return at == MCQ_STORY_TRYING || at == MCQ_STORY_CONNECTED ? MCQ_STORY_ENDED : -1;
    case MCQ_EVENT_REFUSED:
        return at == MCQ_STORY_CONNECTED ? MCQ_STORY_ENDED : -1;
    case MCQ_EVENT_DISCONNECTED:
        return at == MCQ_STORY_UP ? MCQ_STORY_ENDED : -1;
    case MCQ_EVENT_RETRY:
        return at == MCQ_STORY_ENDED ? MCQ_STORY_WAITING : -1;
    case MCQ_EVENT_UNCONNECTED:
        return at == MCQ_STORY_IDLE || at == MCQ_STORY_WAITING || at == MCQ_STORY_ENDED
                   ? MCQ_STORY_GONE
                   : -1;
    case MCQ_EVENT_DROPPED:
    case MCQ_EVENT_SLOW:
    case MCQ_EVENT_SLOW_END:
        return at == MCQ_STORY_GONE ? -1 : at;
    case MCQ_EVENT_LISTENING:
    case MCQ_EVENT_LISTEN_FAILED:
    case MCQ_EVENT_UNBOUND:
    case MCQ_EVENT_ACCEPTED:
        return -1;
    }
    return -1;
}

void mcq_story_add(struct mcq_story *s, const struct mcq_event *ev)
{
    int at = next(s, ev);
    bool named = ev->kind == MCQ_EVENT_UP || ev->kind == MCQ_EVENT_DISCONNECTED;
    if (!CHECK(at >= 0))
        fprintf(stderr, "  %s at %d\n", mcq_event_name(ev->kind), (int)s->at);
    s->at = at < 0 ? s->at : (unsigned)at;
    if (ev->kind == MCQ_EVENT_UP)
        s->peer = ev->peer;
    CHECK(!named || mcq_peer_equal(ev->peer, s->peer));
    CHECK((ev->kind == MCQ_EVENT_RETRY) == (ev->retry_ns != 0));
    if (CHECK(s->cnt < MCQ_STORY_MAX)) {
        s->events[s->cnt].kind = ev->kind;
        s->events[s->cnt].reason = ev->reason;
        s->events[s->cnt].error = ev->error;
        s->events[s->cnt].os_errno = ev->os_errno;
        s->events[s->cnt].retry_ns = ev->retry_ns;
        s->events[s->cnt].offset = ev->offset;
        s->events[s->cnt].cnt = ev->cnt;
        s->cnt++;
    }
    atomic_fetch_add(&s->kinds[ev->kind], 1); /* last: others wait for it */
}

unsigned mcq_story_find(const struct mcq_story *s, enum mcq_event_kind kind, unsigned nth)
{
    for (unsigned i = 0; i < s->cnt; i++)
        if (s->events[i].kind == kind && nth-- == 0)
            return i;
    return MCQ_STORY_MAX;
}

void mcq_story_end(const struct mcq_story *s, enum mcq_reason reason)
{
    CHECK(s->at == MCQ_STORY_GONE && s->kinds[MCQ_EVENT_UNCONNECTED] == 1);
    CHECK(s->cnt != 0 && s->events[s->cnt - 1].reason == reason);
}
