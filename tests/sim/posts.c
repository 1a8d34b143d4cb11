#include "tests/sim/posts.h"

#include <string.h>

#include "tests/sim/dice.h"

#define KIND_WAY_BITS 2u

/* What a post of the mailbox brings; the ring of them is longer than a mailbox. */
struct letter {
    struct mcq_posts *posts;
    struct mcq_team *team;
    uint32_t from, to;
    uint64_t number;
};

#define LETTERS_CNT (MCQ_TEAM_SHARDS_MAX * 2u * MCQ_MAILBOX_MAX)
static struct letter letters[LETTERS_CNT];
static uint32_t next_letter;

void mcq_posts_init(struct mcq_posts *p)
{
    memset(p, 0, sizeof(*p));
}

/* --- sending ------------------------------------------------------------------------------- */

static uint32_t kind_of(uint64_t number, enum mcq_posts_way way)
{
    return (uint32_t)(number * 0x9e3779b1u) << KIND_WAY_BITS | way;
}

static uint8_t byte_at(uint64_t number, uint32_t from, uint32_t to, size_t i)
{
    return (uint8_t)(number * 31 + from * 7 + to * 3 + i);
}

static void fill(void *at, size_t len, uint64_t number, uint32_t from, uint32_t to)
{
    uint8_t *bytes = at;
    for (size_t i = 0; i < len; i++)
        bytes[i] = byte_at(number, from, to, i);
}

static size_t draw_len(void)
{
    return mcq_dice_percent(70) ? mcq_dice_below(65) : mcq_dice_below(MCQ_POST_LEN_MAX + 1);
}

static enum mcq_error send_bytes(struct mcq_team *t, uint32_t from, uint32_t to,
                                 enum mcq_posts_way way, uint64_t number)
{
    uint8_t data[MCQ_POST_LEN_MAX];
    size_t len = draw_len();
    struct mcq_shard *sh = mcq_team_at(t, from);
    uint32_t kind = kind_of(number, way);
    void *at;
    fill(data, len, number, from, to);
    if (way == MCQ_POSTS_URGENT)
        return mcq_post_bytes_urgent(sh, to, kind, data, len);
    if (mcq_dice_percent(70))
        return mcq_post_bytes(sh, to, kind, data, len);
    enum mcq_error err = mcq_post_reserve(sh, to, kind, len, &at);
    if (err != MCQ_OK)
        return err;
    memcpy(at, data, len);
    mcq_post_commit(sh, to);
    return MCQ_OK;
}

static void on_letter(struct mcq_shard *sh, void *arg)
{
    const struct letter *l = arg;
    struct mcq_posts_pair *pair = &l->posts->pairs[l->from][l->to];
    if (sh != mcq_team_at(l->team, l->to) || mcq_shard_here != sh)
        mcq_sim_fail("team %u: a post to shard %u ran elsewhere", l->team->idx, l->to);
    if (l->number != pair->taken[MCQ_POSTS_MAILBOX]++)
        mcq_sim_fail("team %u: post %lu of shard %u to %u ran, and %lu is due", l->team->idx,
                     (unsigned long)l->number, l->from, l->to,
                     (unsigned long)pair->taken[MCQ_POSTS_MAILBOX] - 1);
}

static enum mcq_error send_letter(struct mcq_posts *p, struct mcq_team *t, uint32_t from,
                                  uint32_t to, uint64_t number)
{
    struct letter *l = &letters[next_letter++ % LETTERS_CNT];
    *l = (struct letter){p, t, from, to, number};
    return mcq_post(mcq_team_at(t, to), on_letter, l);
}

static bool send_one(struct mcq_posts *p, struct mcq_team *t, uint32_t from, uint32_t to)
{
    enum mcq_posts_way way = mcq_dice_percent(75)   ? MCQ_POSTS_BULK
                             : mcq_dice_percent(80) ? MCQ_POSTS_URGENT
                                                    : MCQ_POSTS_MAILBOX;
    struct mcq_posts_pair *pair = &p->pairs[from][to];
    uint64_t number = pair->sent[way];
    enum mcq_error err = way == MCQ_POSTS_MAILBOX ? send_letter(p, t, from, to, number)
                                                  : send_bytes(t, from, to, way, number);
    if (err == MCQ_OK) {
        pair->sent[way]++;
        return true;
    }
    if (err != MCQ_EAGAIN)
        mcq_sim_fail("team %u: a post of shard %u to %u: %s", t->idx, from, to,
                     mcq_error_name(err));
    p->refused_cnt++;
    if (way != MCQ_POSTS_MAILBOX)
        pair->refused[way == MCQ_POSTS_URGENT ? MCQ_LANE_URGENT : MCQ_LANE_BULK] = true;
    return false;
}

void mcq_posts_send(struct mcq_posts *p, struct mcq_team *t, uint32_t from, uint32_t cnt)
{
    uint32_t to = mcq_dice_below(t->cnt);
    for (uint32_t i = 0; i < cnt && send_one(p, t, from, to); i++)
        if (mcq_dice_percent(20))
            to = mcq_dice_below(t->cnt);
}

/* --- arriving ------------------------------------------------------------------------------ */

void mcq_posts_take(struct mcq_posts *p, struct mcq_team *t, uint32_t from, uint32_t to,
                    uint32_t kind, const void *data, size_t len)
{
    enum mcq_posts_way way = kind & ((1u << KIND_WAY_BITS) - 1);
    const uint8_t *bytes = data;
    if (from >= t->cnt || way >= MCQ_POSTS_MAILBOX || (uintptr_t)data % 8 != 0)
        mcq_sim_fail("team %u: a post of shard %u, kind %u, that nobody sent", t->idx, from, kind);
    uint64_t number = p->pairs[from][to].taken[way]++;
    if (kind != kind_of(number, way))
        mcq_sim_fail("team %u: post %lu of shard %u to %u, way %u, is due, and another came",
                     t->idx, (unsigned long)number, from, to, way);
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != byte_at(number, from, to, i))
            mcq_sim_fail("team %u: post %lu of shard %u to %u: byte %zu of %zu is wrong", t->idx,
                         (unsigned long)number, from, to, i, len);
}

/* The lane isn't told: it is the one that the library doesn't remember as refused any more. */
void mcq_posts_room(struct mcq_posts *p, struct mcq_team *t, uint32_t from, uint32_t to)
{
    const struct mcq_mesh_tx *tx = &mcq_team_at(t, from)->mesh->tx[to * MCQ_LANE_CNT];
    bool known = false;
    for (uint32_t lane = 0; lane < MCQ_LANE_CNT; lane++) {
        if (!p->pairs[from][to].refused[lane] || tx[lane].refused)
            continue;
        p->pairs[from][to].refused[lane] = false;
        known = true;
    }
    if (!known)
        mcq_sim_fail("team %u: shard %u is told of room towards %u, and no post was refused",
                     t->idx, from, to);
    p->room_cnt++;
}

const char *mcq_posts_unrest(const struct mcq_posts *p, const struct mcq_team *t)
{
    for (uint32_t from = 0; from < t->cnt; from++)
        for (uint32_t to = 0; to < t->cnt; to++) {
            const struct mcq_posts_pair *pair = &p->pairs[from][to];
            if (pair->refused[MCQ_LANE_BULK] || pair->refused[MCQ_LANE_URGENT])
                return "a post was refused, and room isn't told";
            for (uint32_t way = 0; way < MCQ_POSTS_WAYS; way++)
                if (pair->sent[way] != pair->taken[way])
                    return "a post doesn't arrive";
        }
    return NULL;
}
