/*
 * pushpull: what libzmq alone gives from PUSH to PULL over tcp loopback, written as plainly as its
 * guide does. Apart from mcq-perf on purpose and sharing no code with it: it is the check on
 * mcq-perf's `libzmq` peer, which has to be no slower.
 *
 * usage: pushpull pinned|free [SECONDS [BYTES]]    prints: msgs_per_s NUMBER
 */
#include <err.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define BYTES_MAX   65536
#define HWM_MSGS    10000
#define HWM_BYTES   (8 << 20)
#define WARMUP_SEC  0.3
#define LOOK_MSGS   4096
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
    if (CPU_COUNT(&one) == 0 || sched_setaffinity(0, sizeof one, &one) != 0) {
        errx(1, "two CPUs are needed");
    }
}

static void *socket_open(int type, size_t bytes)
{
    int hwm = HWM_BYTES / (int)bytes, linger = 0;
    hwm = hwm > HWM_MSGS ? HWM_MSGS : hwm;
    void *context = zmq_ctx_new();
    void *socket = context != NULL ? zmq_socket(context, type) : NULL;
    if (socket == NULL || zmq_setsockopt(socket, ZMQ_SNDHWM, &hwm, sizeof hwm) != 0 ||
        zmq_setsockopt(socket, ZMQ_RCVHWM, &hwm, sizeof hwm) != 0 ||
        zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger) != 0) {
        errx(1, "opening a socket: %s", zmq_strerror(zmq_errno()));
    }
    return socket;
}

static _Noreturn void sender(int endpoint_fd, size_t bytes)
{
    char endpoint[128] = "";
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (read(endpoint_fd, endpoint, sizeof endpoint - 1) <= 0) {
        errx(1, "no endpoint");
    }
    void *socket = socket_open(ZMQ_PUSH, bytes);
    if (zmq_connect(socket, endpoint) != 0) {
        errx(1, "connecting: %s", zmq_strerror(zmq_errno()));
    }
    for (uint64_t number = 0;; number++) {
        memcpy(message, &number, sizeof number);
        if (zmq_send(socket, message, bytes, 0) < 0) {
            errx(1, "sending: %s", zmq_strerror(zmq_errno()));
        }
    }
}

static double now_sec(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t receive(void *socket, zmq_msg_t *msg, uint64_t number, size_t bytes, double seconds)
{
    double until = now_sec() + seconds;
    uint64_t said;
    do {
        for (int i = 0; i < LOOK_MSGS; i++, number++) {
            if (zmq_msg_recv(msg, socket, 0) != (int)bytes) {
                errx(1, "receiving: %s", zmq_strerror(zmq_errno()));
            }
            memcpy(&said, zmq_msg_data(msg), sizeof said);
            if (said != number) {
                errx(1, "a message is missing");
            }
        }
    } while (now_sec() < until);
    return number;
}

static double receiver(void *socket, size_t bytes, double seconds)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    uint64_t first = receive(socket, &msg, 0, bytes, WARMUP_SEC);
    double begin = now_sec();
    uint64_t last = receive(socket, &msg, first, bytes, seconds);
    return (double)(last - first) / (now_sec() - begin);
}

int main(int argc, char **argv)
{
    if (argc < 2 || (strcmp(argv[1], "pinned") != 0 && strcmp(argv[1], "free") != 0)) {
        errx(2, "usage: pushpull pinned|free [SECONDS [BYTES]]");
    }
    int pinned = strcmp(argv[1], "pinned") == 0;
    double seconds = argc > 2 ? atof(argv[2]) : 1;
    size_t bytes = argc > 3 ? strtoul(argv[3], NULL, 10) : 16;
    char endpoint[128];
    size_t len = sizeof endpoint;
    int fds[2];
    if (bytes < sizeof(uint64_t) || bytes > BYTES_MAX || !(seconds > 0) || pipe(fds) != 0) {
        errx(2, "bytes are 8 to %d, seconds more than none", BYTES_MAX);
    }
    pid_t child = fork();
    if (child == 0) {
        if (pinned) {
            pin_to_allowed(1);
        }
        sender(fds[0], bytes);
    }
    alarm(TIMEOUT_SEC); /* ends this process, and the sender dies with it */
    if (pinned) {
        pin_to_allowed(0);
    }
    void *socket = socket_open(ZMQ_PULL, bytes);
    if (child < 0 || zmq_bind(socket, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &len) != 0 ||
        write(fds[1], endpoint, len) != (ssize_t)len) {
        errx(1, "starting: %s", zmq_strerror(zmq_errno()));
    }
    printf("msgs_per_s %.0f\n", receiver(socket, bytes, seconds));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return 0;
}
