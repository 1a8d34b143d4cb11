/* Typed posts between the shards of a running app: in order, once, whole; full is an answer; what
 * is refused; an app that does nothing but post ends by itself, and not before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/trial.h"

#define SHARDS_MAX 12u
#define ROUNDS     2000u
#define FLOOD      60000u
#define PER_PAIR   3000u

enum kind { KIND_TOKEN = 1, KIND_FLOOD, KIND_MESH, KIND_URGENT };

struct side {
    struct mcq_shard *shard;
    uint32_t id;
    uint32_t got[SHARDS_MAX], got_urgent[SHARDS_MAX], sent[SHARDS_MAX];
    uint32_t refused, rooms, wrong;
    struct mcq_shard_stats stats;
};

static struct side sides[SHARDS_MAX];
static uint32_t cnt; /* shards */

static struct side *side_of(struct mcq_shard *shard)
{
    struct side *s = &sides[mcq_shard_id(shard)];
    s->shard = shard;
    s->id = mcq_shard_id(shard);
    return s;
}

/* --- a token goes round -------------------------------------------------------------------- */

static void pass_on(struct side *s, uint32_t number)
{
    uint32_t to = (s->id + 1) % cnt;
    if (number == ROUNDS * cnt)
        return; /* the app has nothing left to do */
    if (number % 2 == 0)
        CHECK(mcq_post_bytes(s->shard, to, KIND_TOKEN, &number, sizeof(number)) == MCQ_OK);
    else
        CHECK(mcq_post_bytes_urgent(s->shard, to, KIND_TOKEN, &number, sizeof(number)) == MCQ_OK);
}

static void on_token(struct mcq_shard *shard, void *arg, uint32_t from, uint32_t kind,
                     const void *data, size_t len)
{
    struct side *s = side_of(shard);
    uint32_t number;
    (void)arg;
    memcpy(&number, data, sizeof(number));
    s->wrong += len != sizeof(number) || kind != KIND_TOKEN || from != (s->id + cnt - 1) % cnt ||
                number % cnt != from;
    s->got[from]++;
    pass_on(s, number + 1);
}

static int token_start(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    CHECK(mcq_shard_cnt(shard) == cnt);
    if (mcq_shard_id(shard) == 0)
        pass_on(side_of(shard), 0);
    return 0;
}

/* --- one floods another -------------------------------------------------------------------- */

static size_t flood_len(uint32_t number)
{
    return number % 61 == 0 ? MCQ_POST_LEN_MAX : 4 + number * 7 % 64;
}

static enum mcq_error flood_one(struct side *s, uint32_t number)
{
    static _Thread_local uint8_t bytes[MCQ_POST_LEN_MAX];
    size_t len = flood_len(number);
    void *at = bytes;
    if (number % 3 == 0) {
        enum mcq_error err = mcq_post_reserve(s->shard, 1, KIND_FLOOD, len, &at);
        if (err != MCQ_OK)
            return err;
    }
    memset(at, (int)(number % 251), len);
    memcpy(at, &number, sizeof(number));
    if (number % 3 == 0) {
        mcq_post_commit(s->shard, 1);
        return MCQ_OK;
    }
    return mcq_post_bytes(s->shard, 1, KIND_FLOOD, at, len);
}

static void flood(struct side *s)
{
    while (s->sent[1] < FLOOD) {
        enum mcq_error err = flood_one(s, s->sent[1]);
        if (err != MCQ_OK) {
            CHECK(err == MCQ_EAGAIN);
            s->refused++;
            return;
        }
        s->sent[1]++;
    }
}

static void on_flood(struct mcq_shard *shard, void *arg, uint32_t from, uint32_t kind,
                     const void *data, size_t len)
{
    struct side *s = side_of(shard);
    const uint8_t *bytes = data;
    uint32_t number;
    (void)arg;
    memcpy(&number, data, sizeof(number));
    s->wrong += from != 0 || kind != KIND_FLOOD || number != s->got[0] || len != flood_len(number);
    s->wrong += (uintptr_t)data % 8 != 0 || (len > 4 && bytes[len - 1] != number % 251);
    s->got[0]++;
}

static void on_flood_room(struct mcq_shard *shard, void *arg, uint32_t to)
{
    struct side *s = side_of(shard);
    (void)arg;
    s->wrong += to != 1;
    s->rooms++;
    flood(s);
}

static int flood_start(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    if (mcq_shard_id(shard) == 0)
        flood(side_of(shard));
    return 0;
}

/* --- all to all ---------------------------------------------------------------------------- */

static bool mesh_one(struct side *s, uint32_t to)
{
    uint32_t body[2] = {s->sent[to], s->id};
    enum mcq_error err = s->sent[to] % 16 == 15
                             ? mcq_post_bytes_urgent(s->shard, to, KIND_URGENT, body, sizeof(body))
                             : mcq_post_bytes(s->shard, to, KIND_MESH, body, sizeof(body));
    CHECK(err == MCQ_OK || err == MCQ_EAGAIN);
    if (err == MCQ_OK)
        s->sent[to]++;
    return err == MCQ_OK;
}

static void mesh_some(struct side *s)
{
    for (uint32_t to = 0; to < cnt; to++)
        for (uint32_t i = 0; i < 100 && s->sent[to] < PER_PAIR; i++)
            if (!mesh_one(s, to))
                break;
}

static void on_mesh(struct mcq_shard *shard, void *arg, uint32_t from, uint32_t kind,
                    const void *data, size_t len)
{
    struct side *s = side_of(shard);
    uint32_t body[2];
    (void)arg;
    memcpy(body, data, sizeof(body));
    /* the lanes are in order each: the n-th urgent one is number 16 n + 15 */
    uint32_t n = kind == KIND_URGENT ? s->got_urgent[from]++ : s->got[from]++;
    uint32_t want = kind == KIND_URGENT ? 16 * n + 15 : n / 15 * 16 + n % 15;
    s->wrong += len != sizeof(body) || body[0] != want || body[1] != from;
    if (s->got[from] % 50 == 0)
        mesh_some(s);
}

static void on_mesh_room(struct mcq_shard *shard, void *arg, uint32_t to)
{
    (void)arg;
    (void)to;
    side_of(shard)->rooms++;
    mesh_some(side_of(shard));
}

static int mesh_start(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    mesh_some(side_of(shard));
    return 0;
}

/* --- what is refused ----------------------------------------------------------------------- */

static int refusals_start(struct mcq_shard *shard, void *arg)
{
    static struct mcq_shard *first;
    uint8_t bytes[MCQ_POST_LEN_MAX + 1] = {0};
    void *at;
    (void)arg;
    if (mcq_shard_id(shard) == 0) {
        first = shard;
        return 0;
    }
    CHECK(mcq_post_bytes(first, 1, 1, bytes, 1) == MCQ_ETHREAD);
    CHECK(mcq_post_bytes_urgent(first, 1, 1, bytes, 1) == MCQ_ETHREAD);
    CHECK(mcq_post_reserve(first, 1, 1, 1, &at) == MCQ_ETHREAD);
    CHECK(mcq_post_bytes(shard, 2, 1, bytes, 1) == MCQ_EINVAL);
    CHECK(mcq_post_bytes(shard, UINT32_MAX, 1, bytes, 1) == MCQ_EINVAL);
    CHECK(mcq_post_reserve(shard, 2, 1, 1, &at) == MCQ_EINVAL);
    CHECK(mcq_post_bytes(shard, 0, 1, bytes, MCQ_POST_LEN_MAX + 1) == MCQ_ETOOBIG);
    CHECK(mcq_post_bytes_urgent(shard, 0, 1, bytes, MCQ_POST_LEN_MAX + 1) == MCQ_ETOOBIG);
    CHECK(mcq_post_reserve(shard, 0, 1, MCQ_POST_LEN_MAX + 1, &at) == MCQ_ETOOBIG);
    CHECK(mcq_post_reserve(shard, 0, 1, MCQ_POST_LEN_MAX, &at) == MCQ_OK); /* never committed */
    CHECK(mcq_post_bytes(shard, 0, UINT32_MAX, NULL, 0) == MCQ_OK);
    CHECK(mcq_post_bytes(shard, 1, 0, bytes, MCQ_POST_LEN_MAX) == MCQ_OK);
    CHECK(sides[1].got[1] == 0); /* never inside the call */
    return 0;
}

static void on_refusals(struct mcq_shard *shard, void *arg, uint32_t from, uint32_t kind,
                        const void *data, size_t len)
{
    struct side *s = side_of(shard);
    (void)arg;
    (void)data;
    s->got[from]++;
    s->wrong += s->id == 0 ? kind != UINT32_MAX || len != 0 : kind != 0 || len != MCQ_POST_LEN_MAX;
}

/* --- running them -------------------------------------------------------------------------- */

static void on_stop(struct mcq_shard *shard, void *arg)
{
    (void)arg;
    mcq_shard_stats(shard, &side_of(shard)->stats);
}

static void run(const char *name, uint32_t shards, enum mcq_idle idle, struct mcq_app app)
{
    struct mcq_opts opts = mcq_trial_opts();
    struct mcq_detail detail = {.text = ""};
    uint64_t sent = 0, taken = 0, wakes = 0, full = 0;
    memset(sides, 0, sizeof(sides));
    cnt = shards;
    opts.shards = shards;
    opts.idle = idle;
    opts.cpus = "none";
    app.on_stop = on_stop;
    if (!CHECK(mcq_run(&opts, &app, NULL, &detail) == MCQ_OK))
        printf("%s: %s\n", name, detail.text);
    for (uint32_t i = 0; i < shards; i++) {
        CHECK(sides[i].wrong == 0);
        sent += sides[i].stats.mesh.sent;
        taken += sides[i].stats.mesh.taken;
        wakes += sides[i].stats.mesh.wakes;
        full += sides[i].stats.mesh.full;
    }
    CHECK(sent == taken);
    printf("%s: %u shards, %llu posts, %llu wakes, %llu full\n", name, shards,
           (unsigned long long)taken, (unsigned long long)wakes, (unsigned long long)full);
}

static void tokens(uint32_t shards, enum mcq_idle idle)
{
    run("token", shards, idle, (struct mcq_app){.start = token_start, .on_post = on_token});
    for (uint32_t i = 0; i < shards; i++)
        CHECK(sides[i].got[(i + shards - 1) % shards] == ROUNDS);
}

static void all_to_all(uint32_t shards)
{
    run("all to all", shards, MCQ_IDLE_BLOCK,
        (struct mcq_app){.start = mesh_start, .on_post = on_mesh, .on_post_room = on_mesh_room});
    for (uint32_t i = 0; i < shards; i++)
        for (uint32_t from = 0; from < shards; from++)
            CHECK(sides[i].got[from] + sides[i].got_urgent[from] == PER_PAIR);
}

int main(void)
{
    tokens(1, MCQ_IDLE_BLOCK);
    tokens(2, MCQ_IDLE_SPIN_BLOCK);
    tokens(4, MCQ_IDLE_BLOCK);
    tokens(SHARDS_MAX, MCQ_IDLE_BLOCK); /* with the producers' bits */
    run("flood", 2, MCQ_IDLE_BLOCK,
        (struct mcq_app){.start = flood_start, .on_post = on_flood, .on_post_room = on_flood_room});
    CHECK(sides[1].got[0] == FLOOD);
    CHECK(sides[0].refused != 0 && sides[0].rooms == sides[0].refused);
    all_to_all(3);
    all_to_all(SHARDS_MAX);
    run("refusals", 2, MCQ_IDLE_BLOCK,
        (struct mcq_app){.start = refusals_start, .on_post = on_refusals});
    CHECK(sides[0].got[1] == 1 && sides[1].got[1] == 1);
    return mcq_trial_end();
}
