/* Begin and end: apps of many shards that can't be set up, whole or in part: a thread, a descriptor
 * or a shard is not to be had. Each says why, nobody starts, and nothing is left. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <monocoque.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/trial.h"

#define SHARDS 4u

static atomic_uint starts, stops, threads_left = 1000;

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

/* Stands in front of the C library's. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    void *real = dlsym(RTLD_NEXT, "pthread_create");
    create_fn *create;
    memcpy(&create, &real, sizeof(create));
    if (atomic_load(&threads_left) == 0)
        return EAGAIN;
    atomic_fetch_sub(&threads_left, 1);
    return create(thread, attr, fn, arg);
}

static int start(struct mcq_shard *shard, void *arg)
{
    (void)shard;
    (void)arg;
    atomic_fetch_add(&starts, 1);
    return 0;
}

static void on_stop(struct mcq_shard *shard, void *arg)
{
    (void)shard;
    (void)arg;
    atomic_fetch_add(&stops, 1);
}

static unsigned entries(const char *path)
{
    unsigned cnt = 0;
    DIR *dir = opendir(path);
    while (dir != NULL && readdir(dir) != NULL)
        cnt++;
    if (dir != NULL)
        closedir(dir);
    return cnt;
}

/* A thread that was joined is in /proc for a moment longer. */
static bool tasks_are(unsigned cnt)
{
    for (unsigned i = 0; i < 100000 && entries("/proc/self/task") != cnt; i++)
        usleep(1000);
    return entries("/proc/self/task") == cnt;
}

static enum mcq_error run(uint32_t shards, bool embedded, struct mcq_detail *d)
{
    const struct mcq_app app = {.start = start, .on_stop = on_stop};
    struct mcq_opts opts = mcq_trial_opts();
    struct mcq_embed *e = NULL;
    opts.arena_bytes = 16 << 20;
    opts.large_bytes = 256 << 10;
    opts.shards = shards;
    opts.log = NULL;
    atomic_store(&starts, 0);
    atomic_store(&stops, 0);
    *d = (struct mcq_detail){.text = ""};
    if (!embedded)
        return mcq_run(&opts, &app, NULL, d);
    enum mcq_error err = mcq_embed_open(&opts, &app, NULL, &e, d);
    if (err != MCQ_OK)
        return err;
    while (mcq_shard_poll(mcq_embed_shard(e), NULL))
        ;
    return mcq_embed_close(e, d);
}

/* The resolver's thread is one of them. */
static void without_threads(bool embedded)
{
    const unsigned fds = entries("/proc/self/fd");
    const uint32_t needed = SHARDS + 1 - embedded;
    struct mcq_detail d;
    mcq_trial_watch(embedded ? "no thread, embedded" : "no thread");
    const unsigned tasks = entries("/proc/self/task");
    for (uint32_t n = 0; n <= needed; n++) {
        atomic_store(&threads_left, n);
        enum mcq_error err = run(SHARDS, embedded, &d);
        atomic_store(&threads_left, 1000);
        CHECK(err == (n == needed ? MCQ_OK : MCQ_EOS));
        CHECK((n == needed) == (d.text[0] == '\0'));
        CHECK(atomic_load(&starts) == (n == needed ? SHARDS : 0));
        CHECK(atomic_load(&stops) == atomic_load(&starts));
        CHECK(entries("/proc/self/fd") == fds);
        CHECK(tasks_are(tasks));
    }
}

static void without_fds(bool embedded)
{
    const unsigned fds = entries("/proc/self/fd");
    struct rlimit was, lim;
    struct mcq_detail d;
    unsigned failed = 0;
    mcq_trial_watch(embedded ? "no descriptor, embedded" : "no descriptor");
    CHECK(getrlimit(RLIMIT_NOFILE, &was) == 0);
    enum mcq_error err = MCQ_EOS;
    for (rlim_t n = fds - 2; err != MCQ_OK && n < fds + 200; n++) {
        lim = (struct rlimit){n, was.rlim_max};
        CHECK(setrlimit(RLIMIT_NOFILE, &lim) == 0);
        err = run(SHARDS, embedded, &d);
        CHECK(setrlimit(RLIMIT_NOFILE, &was) == 0);
        failed += err != MCQ_OK;
        if (!CHECK(err == MCQ_OK || d.text[0] != '\0'))
            fprintf(stderr, "%lu: %s\n", (unsigned long)n, mcq_error_name(err));
        CHECK(atomic_load(&stops) == atomic_load(&starts));
        CHECK(err == MCQ_OK || atomic_load(&starts) == 0 || embedded);
        CHECK(entries("/proc/self/fd") == fds);
    }
    CHECK(err == MCQ_OK && failed > SHARDS);
}

/* Gigabytes of arenas: not again under a mask or a sanitizer, unless there is time. */
static uint32_t many(void)
{
    bool again = getenv("MCQ_URING_FEATURES") != NULL;
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    again = true;
#endif
    return again && getenv("MCQ_TEST_LONG") == NULL ? MCQ_SHARDS_MAX / 4 : MCQ_SHARDS_MAX;
}

static void as_many_as_there_can_be(void)
{
    const uint32_t shards = many();
    struct mcq_detail d;
    mcq_trial_watch("many shards");
    CHECK(run(shards, false, &d) == MCQ_OK);
    if (d.text[0] != '\0')
        fprintf(stderr, "%s\n", d.text);
    CHECK(atomic_load(&starts) == shards && atomic_load(&stops) == shards);
    CHECK(run(MCQ_SHARDS_MAX + 1, false, &d) == MCQ_EINVAL);
}

int main(void)
{
    without_threads(false);
    without_threads(true);
    without_fds(false);
    without_fds(true);
    as_many_as_there_can_be();
    return mcq_trial_end();
}
