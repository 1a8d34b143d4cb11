/* Stress of the mailbox's ring and of its sleep and wake, for ThreadSanitizer and without: nothing
 * lost, nothing twice, each producer's posts in order, no wake lost. A lost wake shows as a sleep
 * that only its time limit ended although a post was waiting.
 *
 *     stress_mailbox [SEED [TIMES]]     TIMES as long, 1 without it */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shards/mailbox.h"

#define PRODUCERS_MAX 4
#define LOST_MS       2000 /* a wake takes microseconds; the machine may be busy */
#define SETTLE_MS     500  /* between a post and its wake */

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SCALE 1u
#else
#define SCALE 2u
#endif

enum pace {
    PACE_FLOOD, /* as fast as it goes: the ring is full most of the time */
    PACE_PAUSE, /* pauses of random length: the shard falls asleep at any moment */
    PACE_ECHO   /* waits until its post has run: the shard falls asleep after every one */
};

struct producer {
    struct mcq_mailbox *mailbox;
    enum pace pace;
    uint32_t cnt;
    uint64_t random;
    uint32_t posted; /* the producer's */
    uint32_t ran;    /* the shard's, atomic */
    uint32_t wrong;  /* the shard's: out of order */
};

struct post {
    struct producer *from;
    uint32_t number;
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

/* --- producers ----------------------------------------------------------------------------- */

static void run_post(struct mcq_shard *shard, void *arg)
{
    struct post *post = arg;
    struct producer *p = post->from;
    (void)shard;
    p->wrong += post->number != p->ran;
    __atomic_store_n(&p->ran, p->ran + 1, __ATOMIC_RELEASE);
}

static void pause_randomly(struct producer *p)
{
    volatile uint32_t spin = random_below(&p->random, 4000);
    while (spin > 0)
        spin = spin - 1;
}

static void after_post(struct producer *p)
{
    switch (p->pace) {
    case PACE_FLOOD:
        break;
    case PACE_PAUSE:
        pause_randomly(p);
        break;
    case PACE_ECHO:
        while (__atomic_load_n(&p->ran, __ATOMIC_ACQUIRE) != p->posted)
            sched_yield();
        /* The shard looks once more, announces its sleep, looks again: hit every step of it. */
        for (volatile uint32_t spin = random_below(&p->random, 300); spin > 0;)
            spin = spin - 1;
        break;
    }
}

static void *produce(void *arg)
{
    struct producer *p = arg;
    struct post *posts = calloc(p->cnt, sizeof(*posts));
    if (posts == NULL)
        abort();
    for (uint32_t i = 0; i < p->cnt; i++) {
        posts[i] = (struct post){p, i};
        while (mcq_mailbox_post(p->mailbox, run_post, &posts[i]) != MCQ_OK)
            sched_yield();
        p->posted++;
        after_post(p);
    }
    while (__atomic_load_n(&p->ran, __ATOMIC_ACQUIRE) != p->cnt)
        sched_yield();
    free(posts);
    return NULL;
}

/* --- the shard ----------------------------------------------------------------------------- */

static bool readable(int fd, int timeout_ms)
{
    struct pollfd p = {fd, POLLIN, 0};
    int n;
    do
        n = poll(&p, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    return n == 1;
}

/* One sleep; false: it was not ended by a wake although there was work. */
static bool sleep_once(struct mcq_mailbox *m, int fd)
{
    bool lost = false;
    uint64_t wakes;
    if (!mcq_mailbox_sleep(m, true))
        return true;
    if (!readable(fd, LOST_MS))
        lost = !mcq_mailbox_empty(m) && !readable(fd, SETTLE_MS);
    (void)mcq_mailbox_sleep(m, false);
    if (readable(fd, 0) && read(fd, &wakes, sizeof(wakes)) != (ssize_t)sizeof(wakes))
        abort();
    return !lost;
}

static uint32_t all_ran(const struct producer *producers, uint32_t cnt)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < cnt; i++)
        sum += producers[i].ran;
    return sum;
}

struct shard_end {
    uint64_t sleeps, lost;
};

static struct shard_end shard_run(struct mcq_mailbox *m, int fd, const struct producer *producers,
                                  uint32_t cnt, uint32_t total)
{
    struct shard_end end = {0, 0};
    while (all_ran(producers, cnt) < total) {
        if (mcq_mailbox_run(m, NULL) != 0)
            continue;
        end.sleeps++;
        end.lost += !sleep_once(m, fd);
    }
    return end;
}

/* --- phases -------------------------------------------------------------------------------- */

struct fixture {
    struct mcq_arena arena;
    struct mcq_mailbox *mailbox;
    int fd;
};

static struct fixture fixture_open(void)
{
    struct fixture f;
    if (mcq_arena_init(&f.arena, (size_t)1 << 20, MCQ_NODE_ANY, NULL) != MCQ_OK)
        abort();
    f.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    f.mailbox = mcq_mailbox_init(&f.arena, f.fd);
    if (f.fd < 0 || f.mailbox == NULL)
        abort();
    return f;
}

static void fixture_close(struct fixture *f)
{
    close(f->fd);
    mcq_arena_fini(&f->arena);
}

static void phase(const char *name, enum pace pace, uint32_t producer_cnt, uint32_t cnt,
                  uint64_t seed)
{
    struct fixture f = fixture_open();
    struct producer producers[PRODUCERS_MAX] = {0};
    pthread_t threads[PRODUCERS_MAX];
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < producer_cnt; i++) {
        producers[i] = (struct producer){
            .mailbox = f.mailbox, .pace = pace, .cnt = cnt, .random = seed + i * 7919 + 1};
        if (pthread_create(&threads[i], NULL, produce, &producers[i]) != 0)
            abort();
    }
    struct shard_end end = shard_run(f.mailbox, f.fd, producers, producer_cnt, cnt * producer_cnt);
    for (uint32_t i = 0; i < producer_cnt; i++) {
        pthread_join(threads[i], NULL);
        wrong += producers[i].wrong;
    }
    printf("%s: %u producers, %u posts, %llu sleeps, %llu wakes, %llu full\n", name, producer_cnt,
           cnt * producer_cnt, (unsigned long long)end.sleeps,
           (unsigned long long)mcq_mailbox_wakes(f.mailbox),
           (unsigned long long)mcq_mailbox_full(f.mailbox));
    check(wrong == 0, "posts of one producer ran out of order, twice, or were lost");
    check(end.lost == 0, "a wake was lost");
    check(mcq_mailbox_posts(f.mailbox) == (uint64_t)cnt * producer_cnt, "posts were miscounted");
    check(mcq_mailbox_empty(f.mailbox), "something is left");
    fixture_close(&f);
}

/* One post against one falling asleep, both let go at the same moment: the store buffers of two
 * CPUs are what would hide the post from the shard and the sleep from the producer. */
struct race {
    struct mcq_mailbox *mailbox;
    uint32_t rounds;
    uint32_t producer_at, shard_at; /* atomic: the round each stands at */
    uint64_t random;
};

/* Announces a round and waits until the other side has come as far. */
static void meet(uint32_t *own, const uint32_t *other, uint32_t round)
{
    __atomic_store_n(own, round, __ATOMIC_RELEASE);
    for (uint32_t tries = 1; __atomic_load_n(other, __ATOMIC_ACQUIRE) < round; tries++)
        if (tries % 1024 == 0)
            sched_yield();
}

static void count_post(struct mcq_shard *shard, void *arg)
{
    uint32_t *ran = arg;
    (void)shard;
    (*ran)++;
}

static uint32_t race_ran; /* the shard's */

static void *race_produce(void *arg)
{
    struct race *r = arg;
    for (uint32_t round = 1; round <= r->rounds; round++) {
        uint32_t skew = random_below(&r->random, 64);
        meet(&r->producer_at, &r->shard_at, round);
        for (volatile uint32_t spin = skew; spin > 0;)
            spin = spin - 1;
        if (mcq_mailbox_post(r->mailbox, count_post, &race_ran) != MCQ_OK)
            abort();
    }
    return NULL;
}

static void phase_race(uint32_t rounds, uint64_t seed)
{
    struct fixture f = fixture_open();
    struct race race = {.mailbox = f.mailbox, .rounds = rounds, .random = seed};
    uint64_t random = seed * 7919 + 1, lost = 0;
    pthread_t thread;
    if (pthread_create(&thread, NULL, race_produce, &race) != 0)
        abort();
    for (uint32_t round = 1; round <= rounds; round++) {
        uint32_t skew = random_below(&random, 64);
        meet(&race.shard_at, &race.producer_at, round);
        for (volatile uint32_t spin = skew; spin > 0;)
            spin = spin - 1;
        do
            lost += lost == 0 && !sleep_once(f.mailbox, f.fd); /* each one costs seconds */
        while (mcq_mailbox_run(f.mailbox, NULL) == 0);
    }
    pthread_join(thread, NULL);
    printf("race: %u rounds, %llu wakes\n", rounds,
           (unsigned long long)mcq_mailbox_wakes(f.mailbox));
    check(lost == 0, "a wake was lost in the race of a post and a sleep");
    check(race_ran == rounds, "a post didn't run once");
    fixture_close(&f);
}

static void *stopper(void *arg)
{
    mcq_mailbox_stop(arg);
    return NULL;
}

/* A stop against a shard that is falling asleep, many times over. */
static void phase_stop(uint32_t rounds)
{
    uint32_t missed = 0;
    for (uint32_t i = 0; i < rounds; i++) {
        struct fixture f = fixture_open();
        pthread_t thread;
        if (pthread_create(&thread, NULL, stopper, f.mailbox) != 0)
            abort();
        while (!mcq_mailbox_stopped(f.mailbox)) {
            if (!mcq_mailbox_sleep(f.mailbox, true))
                continue;
            missed += !readable(f.fd, LOST_MS);
            (void)mcq_mailbox_sleep(f.mailbox, false);
        }
        pthread_join(thread, NULL);
        fixture_close(&f);
    }
    printf("stop: %u rounds\n", rounds);
    check(missed == 0, "a stop didn't wake the shard");
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20260707;
    uint32_t n = SCALE * (argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : 1);
    printf("seed %llu\n", (unsigned long long)seed);
    phase("flood", PACE_FLOOD, PRODUCERS_MAX, 50000 * n, seed);
    phase("pause", PACE_PAUSE, 2, 10000 * n, seed);
    phase("pause", PACE_PAUSE, PRODUCERS_MAX, 10000 * n, seed);
    phase("echo", PACE_ECHO, 1, 10000 * n, seed);
    phase("echo", PACE_ECHO, 2, 10000 * n, seed);
    phase_race(100000 * n, seed);
    phase_stop(100 * n);
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
