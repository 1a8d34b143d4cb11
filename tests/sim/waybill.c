#include "tests/sim/waybill.h"

#include <stdio.h>
#include <string.h>

#include "tests/sim/kernel.h"

#define LANES_BITS 15u
#define LANES_CNT  (1u << LANES_BITS)

/* The order of one sender's messages over one tie. */
struct lane {
    uint32_t uid, tie; /* tie 0: free */
    uint32_t last;     /* number */
};

static struct mcq_waybill bills[MCQ_WAYBILLS_MAX];
static struct mcq_tie ties[MCQ_TIES_MAX];
static struct lane lanes[LANES_CNT];
static uint32_t bills_cnt, ties_cnt, lanes_cnt;
static uint8_t scratch[MCQ_WAYBILL_LEN_MAX];
static struct mcq_frame frames[MCQ_WAYBILL_FRAMES_MAX];

void mcq_waybill_reset(void)
{
    if (lanes_cnt != 0)
        memset(lanes, 0, sizeof(lanes));
    bills_cnt = 0;
    ties_cnt = 0;
    lanes_cnt = 0;
}

/* --- bytes --------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 31;
    x *= 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    return x;
}

static uint64_t key_of(const struct mcq_waybill *w, uint32_t frame)
{
    return mix((uint64_t)w->number << 16 | frame);
}

size_t mcq_waybill_frame_len(const struct mcq_waybill *w, uint32_t frame)
{
    size_t left = w->len - MCQ_WAYBILL_HEAD_LEN;
    for (uint32_t i = 0;; i++) {
        size_t len = i + 1u == w->frame_cnt ? left : (size_t)(key_of(w, i + 64) % (left + 1));
        if (i == frame)
            return len + (i == 0 ? MCQ_WAYBILL_HEAD_LEN : 0);
        left -= len;
    }
}

static void write_head(const struct mcq_waybill *w, uint8_t *at)
{
    at[0] = (uint8_t)w->topic;
    memcpy(at + 1, &w->number, 4);
    memcpy(at + 5, &w->uid, 4);
}

static uint64_t word(uint64_t key, size_t i)
{
    return key + i * 0x9e3779b97f4a7c15u;
}

void mcq_waybill_fill(const struct mcq_waybill *w, uint32_t frame, void *at)
{
    size_t head = frame == 0 ? MCQ_WAYBILL_HEAD_LEN : 0;
    size_t len = mcq_waybill_frame_len(w, frame) - head;
    uint64_t key = key_of(w, frame);
    uint8_t *to = at;
    if (head != 0)
        write_head(w, to);
    to += head;
    for (size_t i = 0; i < len / 8; i++) {
        uint64_t v = word(key, i);
        memcpy(to + 8 * i, &v, 8);
    }
    uint64_t v = word(key, len / 8);
    memcpy(to + len / 8 * 8, &v, len % 8);
}

static bool frame_right(const struct mcq_waybill *w, uint32_t frame, const struct mcq_frame *f)
{
    size_t head = frame == 0 ? MCQ_WAYBILL_HEAD_LEN : 0;
    uint64_t key = key_of(w, frame);
    const uint8_t *from = f->data;
    uint64_t wrong = 0, v;
    if (f->len != mcq_waybill_frame_len(w, frame))
        return false;
    from += head;
    size_t len = f->len - head;
    for (size_t i = 0; i < len / 8; i++) {
        memcpy(&v, from + 8 * i, 8);
        wrong |= v ^ word(key, i);
    }
    v = word(key, len / 8);
    return wrong == 0 && (len % 8 == 0 || memcmp(from + len / 8 * 8, &v, len % 8) == 0);
}

/* For a person: where the frame begins to be another. */
static const char *first_wrong(const struct mcq_waybill *w, uint32_t frame,
                               const struct mcq_frame *f)
{
    static char text[120];
    size_t len = mcq_waybill_frame_len(w, frame), at = 0;
    const uint8_t *got = f->data;
    mcq_waybill_fill(w, frame, scratch);
    while (at < len && at < f->len && got[at] == scratch[at])
        at++;
    snprintf(text, sizeof(text), "#%u, frame %u of %zu bytes, due are %zu, is wrong from byte %zu",
             w->number, frame, f->len, len, at);
    return text;
}

/* --- messages ------------------------------------------------------------------------------ */

struct mcq_waybill *mcq_waybill_new(uint32_t uid, uint32_t circuit, char topic, uint32_t len,
                                    uint32_t frame_cnt)
{
    if (bills_cnt + 1 >= MCQ_WAYBILLS_MAX)
        return NULL;
    struct mcq_waybill *w = &bills[++bills_cnt];
    *w = (struct mcq_waybill){
        .number = bills_cnt,
        .uid = uid,
        .circuit = circuit,
        .len = len < MCQ_WAYBILL_HEAD_LEN ? MCQ_WAYBILL_HEAD_LEN : len,
        .frame_cnt = (uint8_t)frame_cnt,
        .topic = topic,
    };
    return w;
}

struct mcq_frame *mcq_waybill_write(const struct mcq_waybill *w)
{
    size_t at = 0;
    for (uint32_t i = 0; i < w->frame_cnt; i++) {
        size_t len = mcq_waybill_frame_len(w, i);
        mcq_waybill_fill(w, i, scratch + at);
        frames[i] = (struct mcq_frame){scratch + at, len};
        at += len;
    }
    return frames;
}

uint32_t mcq_waybill_cnt(void)
{
    return bills_cnt;
}

struct mcq_waybill *mcq_waybill_at(uint32_t number)
{
    return &bills[number];
}

struct mcq_waybill *mcq_waybill_read(const struct mcq_msg *m, const char **why)
{
    uint8_t head[MCQ_WAYBILL_HEAD_LEN];
    struct mcq_frame f = mcq_msg_frame(m, 0);
    uint32_t number;
    *why = "its first frame is too short";
    if (f.len < MCQ_WAYBILL_HEAD_LEN)
        return NULL;
    memcpy(&number, (const uint8_t *)f.data + 1, 4);
    *why = "nobody sent it";
    if (number == 0 || number > bills_cnt)
        return NULL;
    struct mcq_waybill *w = &bills[number];
    write_head(w, head);
    if (memcmp(head, f.data, sizeof(head)) != 0)
        return NULL;
    *why = "it has another number of frames";
    if (mcq_msg_frame_cnt(m) != w->frame_cnt)
        return NULL;
    for (uint32_t i = 0; i < w->frame_cnt; i++) {
        f = mcq_msg_frame(m, i);
        if (!frame_right(w, i, &f)) {
            *why = first_wrong(w, i, &f);
            return NULL;
        }
    }
    return w;
}

static struct lane *lane_of(uint32_t uid, uint32_t tie)
{
    uint32_t i = (uint32_t)(mix((uint64_t)uid << 32 | tie) >> (64 - LANES_BITS));
    while (lanes[i].tie != 0 && (lanes[i].uid != uid || lanes[i].tie != tie))
        i = (i + 1) % LANES_CNT;
    if (lanes[i].tie == 0) {
        if (++lanes_cnt > LANES_CNT / 2)
            mcq_sim_fail("the waybills have no place for another lane");
        lanes[i] = (struct lane){uid, tie, 0};
    }
    return &lanes[i];
}

const char *mcq_waybill_take(struct mcq_waybill *w, uint32_t tie)
{
    struct lane *lane = lane_of(w->uid, tie);
    struct mcq_tie *t = &ties[tie];
    if (w->circuit != t->circuit)
        return "it is another circuit's";
    if (t->far == 0)
        t->far = w->uid;
    if (w->number == lane->last || (!w->public && w->taken != 0))
        return "it comes twice";
    if (w->ordered && w->number < lane->last)
        return "it comes behind one that was sent after it";
    lane->last = w->number > lane->last ? w->number : lane->last;
    w->taken++;
    return NULL;
}

/* --- ties ---------------------------------------------------------------------------------- */

uint32_t mcq_tie_find(uint32_t realm, struct mcq_peer peer)
{
    for (uint32_t i = ties_cnt; i != 0; i--)
        if (ties[i].realm == realm && mcq_peer_equal(ties[i].peer, peer))
            return i;
    return 0;
}

uint32_t mcq_tie_up(uint32_t realm, uint32_t circuit, struct mcq_peer peer, uint32_t owner)
{
    if (peer.bits == 0 || mcq_tie_find(realm, peer) != 0)
        return 0;
    if (ties_cnt + 1 >= MCQ_TIES_MAX)
        mcq_sim_fail("the waybills have no place for another connection");
    ties[++ties_cnt] = (struct mcq_tie){
        .state = MCQ_TIE_UP, .realm = realm, .circuit = circuit, .peer = peer, .owner = owner};
    return ties_cnt;
}

struct mcq_tie *mcq_tie_at(uint32_t tie)
{
    return &ties[tie];
}

uint32_t mcq_tie_cnt(void)
{
    return ties_cnt;
}

uint32_t mcq_tie_any(uint32_t realm, uint32_t circuit, uint32_t owner, uint32_t idx)
{
    uint32_t found[256];
    uint32_t cnt = 0;
    for (uint32_t i = 1; i <= ties_cnt && cnt < MCQ_CNT_OF(found); i++)
        if (ties[i].state == MCQ_TIE_UP && ties[i].realm == realm && ties[i].circuit == circuit &&
            (owner == 0 || ties[i].owner == owner))
            found[cnt++] = i;
    return cnt == 0 ? 0 : found[idx % cnt];
}
