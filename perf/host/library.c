#include "perf/host/facts.h"
#include "perf/peers/mcq_opts.h"

#include <monocoque.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The library starts within some 10 ms. */
#define START_TIMEOUT_MS 5000
#define ARENA_BYTES      ((uint64_t)16 << 20)
#define LARGE_BYTES      ((uint64_t)256 << 10)

/* What precedes the features in the line a shard logs at start. */
static const char mark[] = "ring: ";

static void line_take(void *ctx, enum mcq_log_level level, const char *line)
{
    const char *at = strstr(line, "; ring: ");
    const int *fd = ctx;
    (void)level;
    if (at != NULL) {
        at += 2 + strlen(mark);
        ssize_t written = write(*fd, at, strlen(at));
        (void)written;
    }
}

/* In a process of its own, whose memory, ring and locks go with it. */
static void library_start(int fd)
{
    char cpus[16];
    struct mcq_opts opts = perf_mcq_opts(-1, PERF_IDLE_BLOCK, cpus);
    struct mcq_app app = {0};
    opts.arena_bytes = ARENA_BYTES;
    opts.large_bytes = LARGE_BYTES;
    opts.connections_max = 0;
    opts.log = line_take;
    opts.log_ctx = &fd;
    opts.log_level = MCQ_LOG_INFO;
    struct mcq_detail detail;
    if (mcq_run(&opts, &app, NULL, &detail) != MCQ_OK) {
        ssize_t written = write(fd, detail.text, strlen(detail.text));
        (void)written;
    }
    _exit(0);
}

static void answer_read(int fd, char *text, size_t cap)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    size_t len = 0;
    while (len < cap - 1 && poll(&ready, 1, START_TIMEOUT_MS) > 0) {
        ssize_t got = read(fd, text + len, cap - 1 - len);
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
    }
    text[len] = '\0';
}

static void ring_add(struct perf_environment *env)
{
    char text[PERF_FACT_MAX] = "";
    int ends[2];
    if (pipe(ends) == 0) {
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            library_start(ends[1]);
        }
        close(ends[1]);
        if (child > 0) {
            answer_read(ends[0], text, sizeof text);
            kill(child, SIGKILL);
            while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
            }
        }
        close(ends[0]);
    }
    perf_environment_add(env, "library", "ring", "%s", text);
}

static void options_add(struct perf_environment *env)
{
    char cpus[16];
    struct mcq_opts opts = perf_mcq_opts(-1, PERF_IDLE_BLOCK, cpus);
    const char *masked = getenv("MCQ_URING_FEATURES"), *ring = getenv("MCQ_RING");
    masked = opts.uring_features != NULL ? opts.uring_features : masked;
    perf_environment_add(env, "library", "uring_features", "%s",
                         masked != NULL && masked[0] != '\0' ? masked : "all there are");
    perf_environment_add(env, "library", "ring_mode", "%s",
                         ring != NULL && ring[0] != '\0' ? ring : "auto");
    if (opts.arena_bytes != 0) {
        perf_environment_add(env, "library", "arena_bytes", "%llu",
                             (unsigned long long)opts.arena_bytes);
    } else {
        perf_environment_add(env, "library", "arena_bytes", "default");
    }
    if (opts.large_bytes != 0) {
        perf_environment_add(env, "library", "large_bytes", "%llu",
                             (unsigned long long)opts.large_bytes);
    } else {
        perf_environment_add(env, "library", "large_bytes", "default");
    }
}

void perf_facts_library(struct perf_environment *env)
{
    options_add(env);
    ring_add(env);
}
