/* Stress of the rings between shards and of their sleep and wake, for ThreadSanitizer and without:
 * threads that are ends of one mesh, and no loop. Every record arrives once, in order per pair and
 * lane; whoever sleeps with something to take, or with room where it waits for some, was not woken.
 *
 *     stress_mesh [SEED [TIMES]]     TIMES as long, 1 without it */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mem/fence.h"
#include "shards/mesh.h"

#define ENDS_MAX  4
#define LOST_MS   20000 /* a wake takes microseconds; the machine may be busy */
#define SETTLE_MS 5000  /* between a record and its wake */

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SCALE 1u
#else
#define SCALE 2u
#endif

enum pace {
    PACE_FLOOD,  /* as fast as it goes: rings are full most of the time, producers sleep */
    PACE_PAUSE,  /* pauses of random length: everybody falls asleep at any moment */
    PACE_ANSWER, /* each record is answered: everybody sleeps after every one */
};

struct peer {
    uint32_t sent[MCQ_LANE_CNT], got[MCQ_LANE_CNT];
};

/* A thread; also what stands in for the shard in the handlers. */
struct end {
    struct mcq_mesh_end *mesh;
    int fd;
    enum pace pace;
    uint32_t cnt;     /* ends */
    uint32_t records; /* to each, in each lane */
    uint64_t random;
    uint64_t left;   /* to send */
    uint64_t wanted; /* to take */
    uint64_t wrong, sleeps, lost, rooms;
    struct peer peers[MCQ_SHARDS_MAX];
};

static unsigned passed, failed;

static void check(bool ok, const char *what)
{
    passed += ok;
    failed += !ok;
    if (!ok)
        printf("FAILED: %s\n", what);
}

/* xorshift64 */
static uint32_t random_below(uint64_t *state, uint32_t limit)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 32) % limit;
}

static void spin(uint32_t times)
{
    for (volatile uint32_t i = times; i > 0;)
        i = i - 1;
}

/* --- what arrives -------------------------------------------------------------------------- */

/* A record's bytes follow from its number: a few of them, up to the largest. */
static size_t len_of(uint32_t number)
{
    return 8 + (number % 97 == 0 ? 1016 : number * 7 % 57);
}

static void arrived(struct end *e, uint32_t from, enum mcq_lane lane, const uint32_t *body,
                    size_t len)
{
    struct peer *p = &e->peers[from];
    uint32_t number = p->got[lane]++;
    const uint8_t *bytes = (const uint8_t *)body;
    e->wrong += body[0] != number || body[1] != (uint32_t)lane || len != len_of(number);
    e->wrong += len > 8 && bytes[len - 1] != (uint8_t)number;
    e->wanted--;
}

static void on_post(struct mcq_shard *sh, uint32_t from, uint32_t tag, const void *body, size_t len)
{
    struct end *e = (struct end *)(void *)sh;
    const uint32_t *at = body;
    e->wrong += tag != at[0];
    arrived(e, from, at[1] == 1 ? MCQ_LANE_URGENT : MCQ_LANE_BULK, body, len);
}

static void on_release(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    const uint32_t *at = body;
    arrived((struct end *)(void *)sh, from, at[1] == 1 ? MCQ_LANE_URGENT : MCQ_LANE_BULK, body,
            len);
}

static void on_room(struct mcq_shard *sh, uint32_t to, enum mcq_lane lane)
{
    struct end *e = (struct end *)(void *)sh;
    e->rooms++;
    e->wrong += mcq_mesh_waits(e->mesh, to, lane);
}

static const struct mcq_mesh_handlers handlers = {
    .post = on_post, .of = {[MCQ_MESH_RELEASE] = on_release}, .room = on_room};

/* --- what is sent -------------------------------------------------------------------------- */

static bool send_one(struct end *e, uint32_t to, enum mcq_lane lane)
{
    struct peer *p = &e->peers[to];
    uint32_t number = p->sent[lane];
    if (number == e->records || mcq_mesh_waits(e->mesh, to, lane))
        return false;
    size_t len = len_of(number);
    enum mcq_mesh_kind kind = number % 5 == 0 ? MCQ_MESH_RELEASE : MCQ_MESH_POST;
    uint8_t *at = mcq_mesh_reserve(e->mesh, to, lane, kind, len);
    if (at == NULL)
        return false;
    memset(at, (int)(uint8_t)number, len);
    memcpy(at, &(uint32_t[2]){number, (uint32_t)lane}, 8);
    mcq_mesh_set_tag(e->mesh, to, lane, kind == MCQ_MESH_POST ? number : 0);
    mcq_mesh_commit(e->mesh, to, lane);
    p->sent[lane]++;
    e->left--;
    return true;
}

/* In PACE_ANSWER nobody is more than one record ahead of the other. */
static bool may_send(const struct end *e, uint32_t to, enum mcq_lane lane)
{
    const struct peer *p = &e->peers[to];
    return e->pace != PACE_ANSWER || p->sent[lane] <= p->got[lane];
}

static uint32_t send_some(struct end *e)
{
    uint32_t cnt = 0;
    uint32_t rounds = e->pace == PACE_FLOOD ? 64 : 1 + random_below(&e->random, 20);
    for (uint32_t i = 0; i < rounds && e->left != 0; i++) {
        uint32_t to = random_below(&e->random, e->cnt);
        enum mcq_lane lane = random_below(&e->random, 2) == 0 ? MCQ_LANE_BULK : MCQ_LANE_URGENT;
        if (may_send(e, to, lane))
            cnt += send_one(e, to, lane);
        if (e->pace == PACE_PAUSE && random_below(&e->random, 4) == 0)
            mcq_mesh_publish(e->mesh);
    }
    mcq_mesh_publish(e->mesh);
    return cnt;
}

/* Something could be sent now, or after a turn that draws another dice. */
static bool could_send(const struct end *e)
{
    for (uint32_t to = 0; to < e->cnt; to++)
        for (uint32_t lane = 0; lane < MCQ_LANE_CNT; lane++)
            if (e->peers[to].sent[lane] != e->records && may_send(e, to, lane) &&
                !mcq_mesh_waits(e->mesh, to, lane))
                return true;
    return false;
}

/* --- a thread ------------------------------------------------------------------------------ */

static bool readable(int fd, int timeout_ms)
{
    struct pollfd p = {fd, POLLIN, 0};
    int n;
    do
        n = poll(&p, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    return n == 1;
}

/* One sleep; counts it as lost if nobody ended it although there was a reason to. */
static void sleep_once(struct end *e)
{
    uint64_t wakes;
    spin(random_below(&e->random, 100));
    if (!mcq_mesh_sleep(e->mesh, true))
        return;
    e->sleeps++;
    while (!readable(e->fd, LOST_MS))
        if (!mcq_mesh_empty(e->mesh) && !readable(e->fd, SETTLE_MS)) {
            e->lost++;
            break;
        }
    (void)mcq_mesh_sleep(e->mesh, false);
    if (readable(e->fd, 0) && read(e->fd, &wakes, sizeof(wakes)) != (ssize_t)sizeof(wakes))
        abort();
}

static void *run(void *arg)
{
    struct end *e = arg;
    struct mcq_shard *sh = arg;
    while ((e->left != 0 || e->wanted != 0) && e->lost < 3) {
        uint32_t work = mcq_mesh_take(e->mesh, sh, &handlers);
        work += send_some(e);
        work += mcq_mesh_take(e->mesh, sh, &handlers);
        mcq_mesh_publish(e->mesh);
        if (e->pace == PACE_PAUSE)
            spin(random_below(&e->random, 3000));
        if (work == 0 && !could_send(e))
            sleep_once(e);
    }
    return NULL;
}

/* --- phases -------------------------------------------------------------------------------- */

/* Of `shards` ends the first cnt are threads; more than MCQ_MESH_SCAN_MAX use the bits. */
static void phase(const char *name, enum pace pace, uint32_t shards, uint32_t cnt, uint32_t records,
                  uint64_t seed)
{
    static struct end ends[ENDS_MAX];
    pthread_t threads[ENDS_MAX];
    struct mcq_mesh *mesh;
    struct mcq_mesh_opts opts = {.cnt = shards, .start = UINT64_C(0) - 65536};
    uint64_t wrong = 0, sleeps = 0, lost = 0, wakes = 0, full = 0, rooms = 0, left = 0;
    if (mcq_mesh_create(&opts, &mesh, NULL) != MCQ_OK)
        abort();
    for (uint32_t i = 0; i < cnt; i++) {
        ends[i] = (struct end){.mesh = mcq_mesh_at(mesh, i),
                               .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
                               .pace = pace,
                               .cnt = cnt,
                               .records = records,
                               .random = seed + i * 7919 + 1,
                               .left = (uint64_t)records * cnt * MCQ_LANE_CNT,
                               .wanted = (uint64_t)records * cnt * MCQ_LANE_CNT};
        mcq_mesh_attach_fd(ends[i].mesh, ends[i].fd);
    }
    for (uint32_t i = 0; i < cnt; i++)
        if (pthread_create(&threads[i], NULL, run, &ends[i]) != 0)
            abort();
    for (uint32_t i = 0; i < cnt; i++) {
        pthread_join(threads[i], NULL);
        wrong += ends[i].wrong;
        sleeps += ends[i].sleeps;
        lost += ends[i].lost;
        rooms += ends[i].rooms;
        left += ends[i].left + ends[i].wanted;
        wakes += ends[i].mesh->stats.wakes;
        full += ends[i].mesh->stats.full;
    }
    printf("%s: %u of %u ends, %u records each way and lane, %llu sleeps, %llu wakes, %llu full, "
           "%llu rooms\n",
           name, cnt, shards, records, (unsigned long long)sleeps, (unsigned long long)wakes,
           (unsigned long long)full, (unsigned long long)rooms);
    check(wrong == 0, "a record arrived out of order, twice, or was another");
    check(lost == 0, "a wake was lost");
    check(left == 0, "something wasn't sent or didn't arrive");
    check(mcq_mesh_drained(mesh), "records were miscounted");
    for (uint32_t i = 0; i < cnt; i++) {
        check(mcq_mesh_empty(ends[i].mesh), "something is left");
        close(ends[i].fd);
    }
    mcq_mesh_destroy(mesh);
}

/* --- races --------------------------------------------------------------------------------- */

/* One record against one falling asleep, both let go at the same moment: the store buffers of two
 * CPUs are what would hide the record from the one and the sleep from the other. With the roles of
 * room: one gives a full ring its room back while the other falls asleep for want of it. */
struct race {
    struct end ends[2]; /* the sleeper's, the other's */
    bool room;
    uint32_t rounds;
    _Alignas(128) uint32_t at[2]; /* atomic: the round each stands at */
};

/* Announces a round and waits until the other side has come as far, and a little longer. */
static void meet(struct race *r, uint32_t side, uint32_t round)
{
    __atomic_store_n(&r->at[side], round, __ATOMIC_RELEASE);
    for (uint32_t tries = 1; __atomic_load_n(&r->at[!side], __ATOMIC_ACQUIRE) < round; tries++)
        if (tries % 1024 == 0)
            sched_yield();
    for (uint32_t skew = random_below(&r->ends[side].random, 48); skew > 0; skew--)
        (void)__atomic_load_n(&r->at[side], __ATOMIC_RELAXED);
}

static void race_send(struct mcq_mesh_end *from, uint32_t to)
{
    if (!mcq_mesh_send(from, to, MCQ_LANE_BULK, MCQ_MESH_RELEASE, "race....", 8))
        abort();
}

static void on_race(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    struct end *e = (struct end *)(void *)sh;
    (void)from;
    e->wrong += len != 8 || memcmp(body, "race....", 8) != 0;
    e->wanted++;
}

static const struct mcq_mesh_handlers race_handlers = {.of = {[MCQ_MESH_RELEASE] = on_race},
                                                       .room = on_room};

static uint32_t take(struct end *e)
{
    return mcq_mesh_take(e->mesh, (struct mcq_shard *)(void *)e, &race_handlers);
}

/* Fills the ring to the other until it is found full. Returns records. */
static uint32_t fill(struct end *e)
{
    uint32_t cnt = 0;
    while (mcq_mesh_send(e->mesh, 1, MCQ_LANE_BULK, MCQ_MESH_RELEASE, "race....", 8))
        cnt++;
    mcq_mesh_publish(e->mesh);
    return cnt;
}

static void *race_other(void *arg)
{
    struct race *r = arg;
    struct end *e = &r->ends[1];
    for (uint32_t round = 1; round <= r->rounds; round++) {
        meet(r, 1, round);
        if (!r->room) {
            race_send(e->mesh, 0);
            mcq_mesh_publish(e->mesh);
        } else {
            while (take(e) != 0)
                ;
        }
    }
    return NULL;
}

static void race_sleeper(struct race *r)
{
    struct end *e = &r->ends[0];
    for (uint32_t round = 1; round <= r->rounds; round++) {
        if (r->room)
            e->left += fill(e);
        meet(r, 0, round);
        do
            if (e->lost == 0) /* each one costs seconds */
                sleep_once(e);
        while (take(e) == 0);
    }
}

static void phase_race(const char *name, bool room, uint32_t shards, uint32_t rounds, uint64_t seed)
{
    static struct race r;
    struct mcq_mesh *mesh;
    pthread_t thread;
    if (mcq_mesh_create(&(struct mcq_mesh_opts){.cnt = shards}, &mesh, NULL) != MCQ_OK)
        abort();
    r = (struct race){.room = room, .rounds = rounds};
    for (uint32_t i = 0; i < 2; i++) {
        r.ends[i] = (struct end){.mesh = mcq_mesh_at(mesh, i),
                                 .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
                                 .random = seed + i * 7919 + 1};
        mcq_mesh_attach_fd(r.ends[i].mesh, r.ends[i].fd);
    }
    if (pthread_create(&thread, NULL, race_other, &r) != 0)
        abort();
    race_sleeper(&r);
    pthread_join(thread, NULL);
    printf("%s: %u shards, %u rounds, %llu sleeps, %llu wakes\n", name, shards, rounds,
           (unsigned long long)r.ends[0].sleeps, (unsigned long long)r.ends[1].mesh->stats.wakes);
    check(r.ends[0].lost == 0, "a wake was lost in a race");
    check(r.ends[0].wrong + r.ends[1].wrong == 0, "a record was another");
    check(room ? r.ends[1].wanted == r.ends[0].left && r.ends[0].rooms == rounds
               : r.ends[0].wanted == rounds,
          "a record or a room didn't come once");
    for (uint32_t i = 0; i < 2; i++)
        close(r.ends[i].fd);
    mcq_mesh_destroy(mesh);
}

/* --- litmus -------------------------------------------------------------------------------- */

/* Store buffering by itself, without and with the fence: whether this machine shows at all what the
 * handshake is there for. With the fence it must not. */
struct litmus {
    _Alignas(128) uint32_t x;
    _Alignas(128) uint32_t y;
    _Alignas(128) uint32_t at[2];
    uint32_t rounds;
    bool fenced;
    uint8_t *seen[2];
};

static void litmus_side(struct litmus *l, uint32_t side)
{
    uint32_t *own = side == 0 ? &l->x : &l->y, *other = side == 0 ? &l->y : &l->x;
    for (uint32_t round = 1; round <= l->rounds; round++) {
        __atomic_store_n(&l->at[side], round, __ATOMIC_RELEASE);
        for (uint32_t i = 1; __atomic_load_n(&l->at[!side], __ATOMIC_ACQUIRE) < round; i++)
            if (i % 4096 == 0)
                sched_yield();
        for (uint32_t skew = (round >> 4 * side) % 16; skew > 0; skew--)
            (void)__atomic_load_n(own, __ATOMIC_RELAXED);
        __atomic_store_n(own, round, __ATOMIC_RELAXED);
        if (l->fenced)
            mcq_fence();
        l->seen[side][round - 1] = __atomic_load_n(other, __ATOMIC_RELAXED) >= round;
    }
}

static void *litmus_thread(void *arg)
{
    litmus_side(arg, 1);
    return NULL;
}

static uint32_t litmus_run(uint32_t rounds, bool fenced)
{
    static struct litmus l;
    pthread_t thread;
    uint32_t neither = 0;
    l = (struct litmus){
        .rounds = rounds, .fenced = fenced, .seen = {calloc(rounds, 1), calloc(rounds, 1)}};
    if (l.seen[0] == NULL || l.seen[1] == NULL ||
        pthread_create(&thread, NULL, litmus_thread, &l) != 0)
        abort();
    litmus_side(&l, 0);
    pthread_join(thread, NULL);
    for (uint32_t i = 0; i < rounds; i++)
        neither += l.seen[0][i] == 0 && l.seen[1][i] == 0;
    free(l.seen[0]);
    free(l.seen[1]);
    return neither;
}

static void phase_litmus(uint32_t rounds)
{
    uint32_t bare = litmus_run(rounds, false), fenced = litmus_run(rounds, true);
    printf("litmus: of %u rounds, neither saw the other %u times without a fence (%s), %u with "
           "one\n",
           rounds, bare, bare != 0 ? "this machine reorders" : "not seen here", fenced);
    check(fenced == 0, "a fence didn't keep a store before a load");
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20261123;
    uint32_t n = SCALE * (argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : 1);
    printf("seed %llu\n", (unsigned long long)seed);
    phase("flood", PACE_FLOOD, 4, 4, 10000 * n, seed);
    phase("flood", PACE_FLOOD, 12, 3, 10000 * n, seed);
    phase("pause", PACE_PAUSE, 2, 2, 10000 * n, seed);
    phase("pause", PACE_PAUSE, 4, 4, 2000 * n, seed);
    phase("pause", PACE_PAUSE, 12, 3, 4000 * n, seed);
    phase("answer", PACE_ANSWER, 2, 2, 10000 * n, seed);
    phase("answer", PACE_ANSWER, 4, 3, 4000 * n, seed);
    phase("answer", PACE_ANSWER, 12, 3, 4000 * n, seed);
    phase_race("race", false, 2, 50000 * n, seed);
    phase_race("race", false, 12, 50000 * n, seed);
    phase_race("room", true, 65, 20000 * n, seed);
    phase_litmus(200000 * n);
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
