/* What a shard asks of the kernel once it is warm: io_uring_enter and nothing else. An echo gateway
 * in a process of its own, round trips over raw sockets, and strace -c on the shard's thread.
 *
 *     strace_check [SECONDS] */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/raw.h"
#include "tests/support/trial.h"

#define WARM_UP 2000u

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)

int main(void)
{
    printf("SKIP strace_check: a sanitizer has system calls of its own\n");
    return 77;
}

#else

/* --- the gateway, in the child ---------------------------------------------------------------- */

struct gateway {
    int out; /* tells the endpoint */
};

static size_t echo(void *ctx, struct mcq_sock *sock, struct mcq_peer from, struct mcq_msg *msgs,
                   size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        if (mcq_send_to(sock, from, &msgs[i]) != MCQ_OK)
            abort();
    return n;
}

static const struct mcq_sock_handlers echoing = {.messages = echo};

static int start(struct mcq_shard *shard, void *arg)
{
    const struct gateway *g = arg;
    struct mcq_sock *sock;
    char text[64] = "";
    if (mcq_sock_open(shard, MCQ_DEALER, NULL, &echoing, NULL, &sock, NULL) != MCQ_OK ||
        mcq_sock_bind(sock, "tcp://127.0.0.1:*", NULL) != MCQ_OK)
        return 1;
    snprintf(text, sizeof(text), "%s", mcq_sock_endpoint(sock));
    return write(g->out, text, sizeof(text)) == sizeof(text) ? 0 : 1;
}

static pid_t gateway_start(enum mcq_idle idle, char endpoint[64])
{
    int fds[2];
    if (pipe(fds) != 0)
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        struct gateway g = {fds[1]};
        struct mcq_opts opts = mcq_trial_opts();
        opts.idle = idle;
        _exit(mcq_run(&opts, &(struct mcq_app){.start = start}, &g, NULL) == MCQ_OK ? 0 : 1);
    }
    close(fds[1]);
    if (read(fds[0], endpoint, 64) != 64)
        abort();
    close(fds[0]);
    return pid;
}

static void gateway_end(pid_t pid)
{
    int status = 0;
    kill(pid, SIGTERM);
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The thread named mcq-0. 0: not found. */
static int shard_tid(pid_t pid)
{
    char path[64], name[32];
    int tid = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *dir = opendir(path);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        char comm[400];
        snprintf(comm, sizeof(comm), "%s/%s/comm", path, e->d_name);
        FILE *f = fopen(comm, "r");
        if (f == NULL)
            continue;
        if (fgets(name, sizeof(name), f) != NULL && strcmp(name, "mcq-0\n") == 0)
            tid = atoi(e->d_name);
        fclose(f);
    }
    if (dir != NULL)
        closedir(dir);
    return tid;
}

/* --- the load --------------------------------------------------------------------------------- */

struct load {
    char endpoint[64];
    atomic_ulong trips;
    atomic_bool stop;
};

static void *load_run(void *arg)
{
    struct load *l = arg;
    struct mcq_text out = {NULL, 0, 0}, in = {NULL, 0, 0};
    unsigned flags;
    int fd = mcq_raw_open(l->endpoint, "DEALER");
    mcq_raw_frame(&out, 0, "sixteen bytes...", 16);
    while (!l->stop) {
        if (!CHECK(mcq_raw_write(fd, out.ptr, out.len) && mcq_raw_next(fd, &flags, &in)))
            break;
        atomic_fetch_add(&l->trips, 1);
    }
    mcq_raw_close(fd);
    mcq_text_fini(&out);
    mcq_text_fini(&in);
    return NULL;
}

/* --- strace ----------------------------------------------------------------------------------- */

/* strace -c for that long; its table in path. False: it can't be run here. */
static bool trace(int tid, const char *seconds, const char *path)
{
    char id[16];
    int status = 0;
    snprintf(id, sizeof(id), "%d", tid);
    pid_t pid = fork();
    if (pid == 0) {
        execlp("timeout", "timeout", "-s", "INT", seconds, "strace", "-q", "-c", "-o", path, "-p",
               id, (char *)NULL);
        _exit(127);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 124;
}

/* Lines of the table: % time, seconds, usecs/call, calls, [errors], name. */
static void check_table(const char *path, unsigned long trips)
{
    char line[256];
    unsigned long enters = 0;
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        char *name = strrchr(line, ' ');
        unsigned long calls;
        if (name == NULL || sscanf(line, "%*f %*f %*u %lu", &calls) != 1)
            continue;
        if (strcmp(name, " total\n") == 0)
            continue;
        if (!CHECK(strcmp(name, " io_uring_enter\n") == 0))
            printf("  %s", line);
        else
            enters = calls;
    }
    if (f != NULL)
        fclose(f);
    printf("%lu io_uring_enter, %lu round trips\n", enters, trips);
    CHECK(enters > 100 && trips > 100);
}

/* False: to be skipped. */
static bool one_mode(enum mcq_idle idle, const char *seconds)
{
    struct load l = {.trips = 0};
    char path[] = "/tmp/strace_check.XXXXXX";
    pthread_t thread;
    pid_t gateway = gateway_start(idle, l.endpoint);
    if (pthread_create(&thread, NULL, load_run, &l) != 0)
        abort();
    CHECK(mcq_trial_wait(&l.trips, WARM_UP));
    close(mkstemp(path));
    int tid = shard_tid(gateway);
    unsigned long before = l.trips;
    bool ran = CHECK(tid != 0) && trace(tid, seconds, path);
    unsigned long trips = l.trips - before;
    atomic_store(&l.stop, true);
    pthread_join(thread, NULL);
    gateway_end(gateway);
    if (ran)
        check_table(path, trips);
    unlink(path);
    return ran;
}

int main(int argc, char **argv)
{
    const char *seconds = argc > 1 ? argv[1] : "2";
    if (system("strace -V >/dev/null 2>&1") != 0) {
        printf("SKIP strace_check: strace is not installed\n");
        return 77;
    }
    if (!one_mode(MCQ_IDLE_BLOCK, seconds)) {
        printf("SKIP strace_check: strace may not attach here (ptrace is forbidden)\n");
        return 77;
    }
    CHECK(one_mode(MCQ_IDLE_SPIN, seconds));
    return mcq_trial_end();
}

#endif
