/*
 * pingpong: what a round trip over loopback costs with nothing but two sockets. Written apart from
 * mcq-perf on purpose and sharing no code with it: it is the check on mcq-perf's `raw` peer.
 *
 * usage: pingpong spin|block [COUNT [BYTES]]    prints: p50_us NUMBER
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WARMUP      2000
#define BYTES_MAX   65536
#define COUNT_MAX   1000000
#define TIMEOUT_SEC 60

static char message[BYTES_MAX];

static void pin_to_allowed(int nth)
{
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        err(1, "sched_getaffinity");
    }
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed) && nth-- == 0) {
            CPU_SET(cpu, &one);
        }
    }
    if (CPU_COUNT(&one) == 0) {
        errx(1, "two CPUs are needed");
    }
    if (sched_setaffinity(0, sizeof one, &one) != 0) {
        err(1, "sched_setaffinity");
    }
}

static void socket_prepare(int fd, bool spin)
{
    int on = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        err(1, "TCP_NODELAY");
    }
    if (spin && fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        err(1, "O_NONBLOCK");
    }
}

static void give(int fd, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = write(fd, message + done, bytes - done);
        done += n > 0 ? (size_t)n : 0;
    }
}

/* False at the end of the stream. */
static bool take(int fd, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = read(fd, message + done, bytes - done);
        if (n == 0) {
            return false;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static _Noreturn void server(int listener, bool spin, size_t bytes)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin_to_allowed(0);
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) {
        err(1, "accept");
    }
    socket_prepare(fd, spin);
    while (take(fd, bytes)) {
        give(fd, bytes);
    }
    _exit(0);
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double client(int fd, size_t count, size_t bytes)
{
    double *samples = calloc(count, sizeof *samples);
    if (samples == NULL) {
        err(1, "calloc");
    }
    for (size_t i = 0; i < WARMUP + count; i++) {
        double before = now_us();
        give(fd, bytes);
        if (!take(fd, bytes)) {
            errx(1, "the server went away");
        }
        samples[i < WARMUP ? 0 : i - WARMUP] = now_us() - before;
    }
    qsort(samples, count, sizeof *samples, ascending);
    double p50 = samples[(count - 1) / 2];
    free(samples);
    return p50;
}

static int listen_on(struct sockaddr_in *address)
{
    socklen_t len = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)address, len) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)address, &len) != 0) {
        err(1, "listen");
    }
    return fd;
}

static size_t number(const char *text, size_t max)
{
    size_t value = strtoul(text, NULL, 10);
    if (value < 1 || value > max) {
        errx(2, "'%s' is not a number from 1 to %zu", text, max);
    }
    return value;
}

int main(int argc, char **argv)
{
    if (argc < 2 || (strcmp(argv[1], "spin") != 0 && strcmp(argv[1], "block") != 0)) {
        errx(2, "usage: pingpong spin|block [COUNT [BYTES]]");
    }
    bool spin = strcmp(argv[1], "spin") == 0;
    size_t count = argc > 2 ? number(argv[2], COUNT_MAX) : (spin ? 100000 : 20000);
    size_t bytes = argc > 3 ? number(argv[3], BYTES_MAX) : 16;
    struct sockaddr_in address = {0};
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_on(&address);
    pid_t child = fork();
    if (child == 0) {
        server(listener, spin, bytes);
    }
    alarm(TIMEOUT_SEC); /* ends this process, and the server dies with it */
    pin_to_allowed(1);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (child < 0 || fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        err(1, "connect");
    }
    socket_prepare(fd, spin);
    printf("p50_us %.3f\n", client(fd, count, bytes));
    close(fd);
    waitpid(child, NULL, 0);
    return 0;
}
