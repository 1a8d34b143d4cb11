/* What has to be there once a run with several shards is at rest. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/many.h"
#include "tests/sim/mate.h"
#include "tests/sim/stream.h"
#include "tests/sim/tap.h"

#define WIRES_MAX 256u

static uint32_t greet_number; /* messages before the last round */
static uint64_t greet_stream; /* the last connection before it */
static uint64_t greet_drops[MCQ_MANY_CIRCUITS_MAX];

/* A message that has to be there by now: its connection is, or none of its circuit ever ended. */
static bool is_missing(const struct mcq_waybill *w)
{
    const struct mcq_circuit *c = &mcq_many()->circuits[w->circuit];
    if (!w->sent || w->taken != 0 || w->public)
        return false;
    const struct mcq_mate *m = mcq_mate_at(w->uid);
    if (m->part->type == MCQ_REQ || m->part->type == MCQ_REP)
        return false;
    if (w->tie != 0 && mcq_tie_at(w->tie)->state == MCQ_TIE_UP && m->part->member)
        return true;
    return !c->ends;
}

static uint64_t told_drops(uint32_t circuit)
{
    uint64_t sum = 0;
    for (uint32_t i = 1; i <= mcq_mate_cnt(); i++)
        if (mcq_mate_at(i)->part->circuit == circuit)
            sum += mcq_mate_at(i)->dropped;
    return sum;
}

const char *mcq_many_missing(char *who, size_t len)
{
    uint64_t cnt[MCQ_MANY_CIRCUITS_MAX] = {0};
    uint32_t first[MCQ_MANY_CIRCUITS_MAX] = {0};
    for (uint32_t i = 1; i <= mcq_waybill_cnt(); i++) {
        const struct mcq_waybill *w = mcq_waybill_at(i);
        if (!is_missing(w))
            continue;
        first[w->circuit] = first[w->circuit] == 0 ? i : first[w->circuit];
        cnt[w->circuit]++;
    }
    for (uint32_t i = 0; i < mcq_many()->circuit_cnt; i++) {
        uint64_t told = told_drops(i);
        if (cnt[i] > told) {
            snprintf(who, len, "#%u of %s (%lu, %lu told as dropped)", first[i],
                     mcq_mate_name(mcq_mate_at(mcq_waybill_at(first[i])->uid)),
                     (unsigned long)cnt[i], (unsigned long)told);
            return "what was sent doesn't arrive";
        }
    }
    return NULL;
}

/* Connections between publishers and subscribers: whose, and to what is subscribed over them. */
struct wire {
    uint64_t stream;
    uint32_t publisher, topics;
};

static struct wire wires[WIRES_MAX];

static bool publishes(const struct mcq_mate *m)
{
    return m->part->type == MCQ_PUB || m->part->type == MCQ_XPUB;
}

static struct wire *wire_of(uint64_t stream, uint32_t *cnt)
{
    uint32_t i = 0;
    while (i < *cnt && wires[i].stream != stream)
        i++;
    if (i == *cnt && ++*cnt > WIRES_MAX)
        mcq_sim_fail("more than %u connections of publishers", WIRES_MAX);
    return &wires[i];
}

static uint32_t gather_wires(void)
{
    static struct mcq_tap_link links[MCQ_TAP_LINKS_MAX];
    uint32_t cnt = 0;
    memset(wires, 0, sizeof(wires));
    for (uint32_t i = 1; i <= mcq_mate_cnt(); i++) {
        const struct mcq_mate *m = mcq_mate_at(i);
        if (m->state != MCQ_MATE_OPEN || (!publishes(m) && m->part->type != MCQ_SUB))
            continue;
        mcq_team_select(mcq_many_team(m->part->team), m->part->shard);
        uint32_t n = mcq_tap_links(m->sock, links);
        for (uint32_t k = 0; k < n; k++) {
            if (!links[k].up || links[k].stream == 0 || links[k].stream > greet_stream)
                continue;
            struct wire *w = wire_of(links[k].stream, &cnt);
            w->stream = links[k].stream;
            if (publishes(m))
                w->publisher = i;
            else
                w->topics = m->topics;
        }
    }
    return cnt;
}

/* Of how many connections the message should have come out. */
static uint32_t due_cnt(const struct mcq_waybill *w, uint32_t wire_cnt)
{
    const struct mcq_mate *m = mcq_mate_at(w->uid);
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < wire_cnt; i++) {
        const struct mcq_mate *p = mcq_mate_at(wires[i].publisher);
        bool same = p == m || (p != NULL && m->part->member && p->part->member &&
                               p->part->circuit == m->part->circuit);
        cnt += same && (wires[i].topics >> (w->topic - 'a') & 1) != 0;
    }
    return cnt;
}

/* One that is dropped between two members is missed by any number of subscribers. */
const char *mcq_many_unpublished(char *who, size_t len)
{
    uint32_t wire_cnt = gather_wires();
    for (uint32_t i = greet_number + 1; i <= mcq_waybill_cnt(); i++) {
        const struct mcq_waybill *w = mcq_waybill_at(i);
        bool must = w->public && w->sent && told_drops(w->circuit) == greet_drops[w->circuit];
        uint32_t due = must ? due_cnt(w, wire_cnt) : 0;
        if (due <= w->taken)
            continue;
        snprintf(who, len, "#%u of %s, %u of %u", i, mcq_mate_name(mcq_mate_at(w->uid)), w->taken,
                 due);
        return "what was published doesn't arrive";
    }
    return NULL;
}

void mcq_many_greets(void)
{
    greet_number = mcq_waybill_cnt();
    greet_stream = mcq_sim_stream_cnt();
    for (uint32_t i = 0; i < mcq_many()->circuit_cnt; i++)
        greet_drops[i] = told_drops(i);
}
