/* After warm-up a shard allocates nothing and faults in no page: malloc and its family, mmap and
 * munmap are this program's own, which count the calls of one thread once it asks for it.
 *
 * Skipped under sanitizers: they bring an allocator of their own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/trial.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)

int main(void)
{
    printf("SKIP steady_state: a sanitizer has the allocator\n");
    return 77;
}

#else

#define WARM_UP 20000u

/* --- the interposed family -------------------------------------------------------------------- */

extern void *__libc_malloc(size_t len);
extern void *__libc_calloc(size_t cnt, size_t len);
extern void *__libc_realloc(void *ptr, size_t len);
extern void __libc_free(void *ptr);
void *malloc(size_t len);
void *calloc(size_t cnt, size_t len);
void *realloc(void *ptr, size_t len);
void free(void *ptr);

static __thread bool counting;
static __thread unsigned long calls;

static void count(void)
{
    if (counting)
        calls++;
}

void *malloc(size_t len)
{
    count();
    return __libc_malloc(len);
}

void *calloc(size_t cnt, size_t len)
{
    count();
    return __libc_calloc(cnt, len);
}

void *realloc(void *ptr, size_t len)
{
    count();
    return __libc_realloc(ptr, len);
}

void free(void *ptr)
{
    count();
    __libc_free(ptr);
}

static void *address(long at)
{
    return (void *)at;
}

void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
    count();
    return address(syscall(SYS_mmap, addr, len, prot, flags, fd, off));
}

int munmap(void *addr, size_t len)
{
    count();
    return (int)syscall(SYS_munmap, addr, len);
}

/* --- the two workloads ------------------------------------------------------------------------ */

struct steady {
    struct mcq_shard *shard;
    struct mcq_sock *from, *to;
    unsigned long sent, got, goal;
    bool stream;
    const char *at;
    size_t len;
    unsigned long calls;
    uint64_t faults;
};

static char body[4096];

static uint64_t faults(const struct steady *s)
{
    struct mcq_shard_stats stats;
    mcq_shard_stats(s->shard, &stats);
    return stats.mem.minor_faults;
}

static void look(struct steady *s)
{
    if (s->got >= WARM_UP && !counting) {
        s->faults = faults(s);
        calls = 0;
        counting = true;
    }
    if (s->got < s->goal)
        return;
    counting = false;
    s->calls = calls;
    s->faults = faults(s) - s->faults;
    mcq_stop(s->shard);
}

static void pump(void *ctx, struct mcq_sock *sock)
{
    struct steady *s = ctx;
    while (s->stream && mcq_send_bytes(sock, body, s->len) == MCQ_OK)
        s->sent++;
}

static size_t on_reply(void *ctx, struct mcq_sock *sock, struct mcq_peer from, struct mcq_msg *msgs,
                       size_t n)
{
    struct steady *s = ctx;
    (void)from;
    for (size_t i = 0; i < n; i++) {
        if (msgs[i].len != s->len)
            CHECK(msgs[i].len == s->len);
        s->got++;
    }
    look(s);
    if (!s->stream && s->got < s->goal && mcq_send_bytes(sock, body, s->len) != MCQ_OK)
        CHECK(false);
    return n;
}

static size_t echo(void *ctx, struct mcq_sock *sock, struct mcq_peer from, struct mcq_msg *msgs,
                   size_t n)
{
    (void)ctx;
    (void)from;
    for (size_t i = 0; i < n; i++)
        if (mcq_send(sock, &msgs[i]) != MCQ_OK)
            CHECK(false);
    return n;
}

static void on_up(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct steady *s = ctx;
    if (event->kind == MCQ_EVENT_UP && !s->stream)
        CHECK(mcq_send_bytes(sock, body, s->len) == MCQ_OK);
}

static const struct mcq_sock_handlers asking = {.messages = on_reply, .event = on_up};
static const struct mcq_sock_handlers answering = {.messages = echo};
static const struct mcq_sock_handlers pumping = {.writable = pump};
static const struct mcq_sock_handlers draining = {.messages = on_reply};

static int start(struct mcq_shard *shard, void *arg)
{
    struct steady *s = arg;
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.linger_ms = MCQ_NONE;
    s->shard = shard;
    CHECK(mcq_sock_open(shard, s->stream ? MCQ_PULL : MCQ_REP, &opts,
                        s->stream ? &draining : &answering, s, &s->to, NULL) == MCQ_OK);
    CHECK(mcq_sock_open(shard, s->stream ? MCQ_PUSH : MCQ_REQ, &opts,
                        s->stream ? &pumping : &asking, s, &s->from, NULL) == MCQ_OK);
    CHECK(mcq_sock_bind(s->to, s->at, NULL) == MCQ_OK);
    CHECK(mcq_sock_connect(s->from, mcq_sock_endpoint(s->to), NULL) == MCQ_OK);
    pump(s, s->from);
    return 0;
}

static void steady_at(const char *at, const char *name, bool stream, size_t len, enum mcq_idle idle,
                      unsigned long cnt)
{
    struct steady s = {.stream = stream, .at = at, .len = len, .goal = WARM_UP + cnt};
    struct mcq_trial trial = {name, mcq_trial_opts(), start, NULL, &s};
    trial.opts.idle = idle;
    mcq_trial_run(&trial);
    if (!CHECK(s.calls == 0) || !CHECK(s.faults == 0))
        printf("  %s: %lu calls, %llu faults\n", name, s.calls, (unsigned long long)s.faults);
    CHECK(s.got >= s.goal);
}

static void steady(const char *name, bool stream, size_t len, enum mcq_idle idle, unsigned long cnt)
{
    steady_at("tcp://127.0.0.1:*", name, stream, len, idle, cnt);
}

/* --- does it count at all? -------------------------------------------------------------------- */

static void control(void)
{
    calls = 0;
    counting = true;
    void *volatile a = malloc(10);
    a = realloc(a, 20);
    free(a);
    a = calloc(2, 3);
    free(a);
    char *text = strdup("of the C library's own");
    free(text);
    void *map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(map, 4096);
    counting = false;
    CHECK(calls == 9);
    a = malloc(1);
    free(a);
    CHECK(calls == 9);
}

static void *touch(void *arg)
{
    volatile char *map =
        mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < 1 << 20; i += 4096)
        map[i] = 1;
    return arg;
}

static void fault_on_shard(struct mcq_shard *shard, void *arg)
{
    struct steady *s = arg;
    s->shard = shard;
    s->faults = faults(s);
    touch(NULL);
    s->faults = faults(s) - s->faults;
}

static int start_control(struct mcq_shard *shard, void *arg)
{
    return mcq_post(shard, fault_on_shard, arg) == MCQ_OK ? 0 : 1;
}

static void control_faults(void)
{
    struct steady s = {.len = 0};
    struct mcq_trial trial = {"control", mcq_trial_opts(), start_control, NULL, &s};
    mcq_trial_run(&trial);
    CHECK(s.faults >= 1);
}

int main(void)
{
    control();
    control_faults();
    steady("REQ/REP, spinning", false, 16, MCQ_IDLE_SPIN, 200000);
    steady("REQ/REP, blocking", false, 300, MCQ_IDLE_BLOCK, 30000);
    steady("PUSH/PULL", true, 16, MCQ_IDLE_SPIN_BLOCK, 2000000);
    steady("PUSH/PULL of 3,000 bytes", true, 3000, MCQ_IDLE_SPIN_BLOCK, 200000);
    steady_at("inproc://steady", "REQ/REP, inproc", false, 16, MCQ_IDLE_BLOCK, 200000);
    steady_at("inproc://steady", "PUSH/PULL, inproc", true, 300, MCQ_IDLE_SPIN, 1000000);
    return mcq_trial_end();
}

#endif
