#include "tests/sim/diary.h"

#include <stdio.h>
#include <string.h>

static struct mcq_diary_book *find(struct mcq_diary *d, const char *endpoint)
{
    for (uint32_t i = 0; i < d->book_cnt; i++)
        if (strcmp(d->books[i].endpoint, endpoint) == 0)
            return &d->books[i];
    return NULL;
}

void mcq_diary_connect(struct mcq_diary *d, const char *endpoint)
{
    struct mcq_diary_book *b = find(d, endpoint);
    if (b == NULL) {
        b = &d->books[d->book_cnt++];
        snprintf(b->endpoint, sizeof(b->endpoint), "%s", endpoint);
    }
    b->state = MCQ_DIARY_IDLE;
}

enum mcq_diary_state mcq_diary_state(const struct mcq_diary *d, const char *endpoint)
{
    for (uint32_t i = 0; i < d->book_cnt; i++)
        if (strcmp(d->books[i].endpoint, endpoint) == 0)
            return d->books[i].state;
    return MCQ_DIARY_IDLE;
}

/* --- connects ------------------------------------------------------------------------------ */

static const char *step(struct mcq_diary_book *b, unsigned from, enum mcq_diary_state to)
{
    static char text[MCQ_ENDPOINT_LEN_MAX + 64];
    enum mcq_diary_state was = b->state;
    b->state = to;
    if ((from >> was & 1) != 0)
        return NULL;
    snprintf(text, sizeof(text), "%s: from state %d to %d", b->endpoint, (int)was, (int)to);
    return text;
}

#define FROM(state) (1u << MCQ_DIARY_##state)

static const char *add_connect(struct mcq_diary_book *b, const struct mcq_event *ev)
{
    switch (ev->kind) {
    case MCQ_EVENT_CONNECTING:
        return step(b, FROM(IDLE) | FROM(RETRY), MCQ_DIARY_CONNECTING);
    case MCQ_EVENT_CONNECTED:
        return step(b, FROM(CONNECTING), MCQ_DIARY_CONNECTED);
    case MCQ_EVENT_UP:
        return step(b, FROM(CONNECTED), MCQ_DIARY_UP);
    case MCQ_EVENT_HANDSHAKE_FAILED:
        return step(b, FROM(CONNECTING) | FROM(CONNECTED), MCQ_DIARY_DOWN);
    case MCQ_EVENT_REFUSED:
        return step(b, FROM(CONNECTED), MCQ_DIARY_DOWN);
    case MCQ_EVENT_DISCONNECTED:
        return step(b, FROM(UP), MCQ_DIARY_DOWN);
    case MCQ_EVENT_RETRY:
        return step(b, FROM(DOWN), MCQ_DIARY_RETRY);
    case MCQ_EVENT_UNCONNECTED:
        return step(b, FROM(IDLE) | FROM(DOWN) | FROM(RETRY), MCQ_DIARY_OVER);
    case MCQ_EVENT_LISTENING:
    case MCQ_EVENT_LISTEN_FAILED:
    case MCQ_EVENT_UNBOUND:
    case MCQ_EVENT_ACCEPTED:
    case MCQ_EVENT_DROPPED:
    case MCQ_EVENT_SLOW:
    case MCQ_EVENT_SLOW_END:
        break;
    }
    return NULL;
}

/* --- accepted ------------------------------------------------------------------------------ */

static const char *add_accepted(struct mcq_diary *d, const struct mcq_event *ev)
{
    d->accepted += ev->kind == MCQ_EVENT_ACCEPTED;
    d->accepted_up += ev->kind == MCQ_EVENT_UP;
    d->accepted_failed += ev->kind == MCQ_EVENT_HANDSHAKE_FAILED;
    /* What a limit refuses at the door was never told as accepted. */
    d->accepted_refused += ev->kind == MCQ_EVENT_REFUSED;
    if (d->accepted_up + d->accepted_failed > d->accepted)
        return "more peers came up or failed than were accepted";
    return ev->kind == MCQ_EVENT_RETRY ? "a retry of nobody's" : NULL;
}

/* --- peers --------------------------------------------------------------------------------- */

static struct mcq_diary_peer *peer_find(struct mcq_diary *d, struct mcq_peer name)
{
    for (uint32_t i = 0; i < d->up_cnt; i++)
        if (mcq_peer_equal(d->up[i].name, name))
            return &d->up[i];
    return NULL;
}

static const char *peer_up(struct mcq_diary *d, struct mcq_peer name)
{
    if (name.bits == 0 || peer_find(d, name) != NULL)
        return "a peer came up without a name of its own";
    if (d->up_cnt == MCQ_DIARY_PEERS_MAX)
        return "more peers than the diary has place for";
    d->up[d->up_cnt++] = (struct mcq_diary_peer){.name = name};
    return NULL;
}

static const char *peer_slow(struct mcq_diary_peer *p, bool slow)
{
    if (p->slow == slow)
        return "a peer became slow, or stopped being so, twice";
    p->slow = slow;
    return NULL;
}

static const char *peer_dropped(struct mcq_diary_peer *p, enum mcq_reason reason, uint64_t turn)
{
    if (p->drop_turn != turn)
        p->drop_reasons = 0;
    /* SLOW is also why what was left ends with the connection. */
    bool again = (p->drop_reasons >> reason & 1) != 0 && reason != MCQ_REASON_SLOW;
    p->drop_turn = turn;
    p->drop_reasons |= 1u << reason;
    return again ? "drops of one reason were told twice in a turn" : NULL;
}

static const char *peer_down(struct mcq_diary *d, struct mcq_diary_peer *p)
{
    bool slow = p->slow;
    *p = d->up[--d->up_cnt];
    return slow ? "a slow peer ended, and that was not taken back" : NULL;
}

static const char *add_peer(struct mcq_diary *d, const struct mcq_event *ev, uint64_t turn)
{
    struct mcq_diary_peer *p = peer_find(d, ev->peer);
    if (ev->kind == MCQ_EVENT_UP)
        return peer_up(d, ev->peer);
    if (p == NULL)
        return ev->peer.bits != 0 || ev->kind == MCQ_EVENT_DISCONNECTED
                   ? "an event of a peer that is not up"
                   : NULL;
    if (ev->kind == MCQ_EVENT_SLOW || ev->kind == MCQ_EVENT_SLOW_END)
        return peer_slow(p, ev->kind == MCQ_EVENT_SLOW);
    if (ev->kind == MCQ_EVENT_DROPPED)
        return peer_dropped(p, ev->reason, turn);
    return ev->kind == MCQ_EVENT_DISCONNECTED ? peer_down(d, p) : NULL;
}

const char *mcq_diary_add(struct mcq_diary *d, const struct mcq_event *ev, uint64_t turn)
{
    const char *wrong = add_peer(d, ev, turn);
    if (wrong != NULL)
        return wrong;
    d->listening += ev->kind == MCQ_EVENT_LISTENING;
    d->unbound += ev->kind == MCQ_EVENT_UNBOUND;
    if (ev->kind == MCQ_EVENT_LISTENING || ev->kind == MCQ_EVENT_LISTEN_FAILED ||
        ev->kind == MCQ_EVENT_UNBOUND || ev->kind == MCQ_EVENT_DROPPED ||
        ev->kind == MCQ_EVENT_SLOW || ev->kind == MCQ_EVENT_SLOW_END)
        return NULL;
    struct mcq_diary_book *b = find(d, ev->endpoint);
    return b != NULL ? add_connect(b, ev) : add_accepted(d, ev);
}

const char *mcq_diary_end(const struct mcq_diary *d)
{
    if (d->up_cnt != 0)
        return "closed, and a peer that is up was not told as disconnected";
    for (uint32_t i = 0; i < d->book_cnt; i++)
        if (d->books[i].state != MCQ_DIARY_OVER)
            return "closed, and a connect's end was not told";
    if (d->accepted_up + d->accepted_failed + d->accepted_refused < d->accepted)
        return "closed, and an accepted peer's end was not told";
    if (d->unbound < d->listening)
        return "closed, and a listener's end was not told";
    return NULL;
}
