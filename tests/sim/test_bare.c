#include "tests/sim/test_bare.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define STEPS_MAX 1000000u

const struct mcq_sim_faults bare_no_faults;
const struct mcq_sockopts bare_so;

void bare_open(struct bare *b, uint32_t process)
{
    struct mcq_detail d;
    memset(b, 0, sizeof(*b));
    b->process = process;
    mcq_sim_select(process);
    cr_assert_eq(mcq_arena_init(&b->arena, 65536, MCQ_NODE_ANY, &d), MCQ_OK);
    struct mcq_uring_opts o = {
        .sq_cnt = MCQ_URING_SQ_CNT, .cq_cnt = MCQ_URING_CQ_CNT, .stats = &b->stats};
    cr_assert_eq(mcq_uring_init(&b->arena, &o, &b->u), 0);
}

void bare_close(struct bare *b)
{
    mcq_sim_select(b->process);
    mcq_uring_bufs_close(b->u);
    mcq_uring_fini(b->u);
    mcq_arena_fini(&b->arena);
}

void bare_blocks(struct bare *b, uint32_t cnt, bool inc)
{
    mcq_sim_select(b->process);
    cr_assert_eq(mcq_uring_bufs_open(b->u, b->ring, BARE_BLOCKS_CNT, inc), 0);
    for (uint16_t i = 0; i < cnt; i++)
        mcq_uring_bufs_add(b->u, b->block[i], BARE_BLOCK_LEN, i);
    mcq_uring_bufs_publish(b->u);
}

void bare_enter(struct bare *b)
{
    struct mcq_done d;
    mcq_sim_select(b->process);
    mcq_uring_wait(b->u, UINT64_MAX);
    while (mcq_uring_reap(b->u, &d, 1) == 1) {
        cr_assert_lt(d.tag, BARE_TAGS_MAX);
        b->cnt[d.tag]++;
        b->last[d.tag] = d;
        b->order[d.tag] = ++b->total;
    }
}

void bare_await(struct bare *b, uint64_t tag)
{
    uint32_t before = b->cnt[tag], steps = 0;
    for (bare_enter(b); b->cnt[tag] == before; bare_enter(b))
        cr_assert(steps++ < STEPS_MAX && (mcq_sim_runnable(b->process) || mcq_sim_advance()),
                  "tag %llu never completes", (unsigned long long)tag);
}

void bare_settle(struct bare *b, uint64_t ns)
{
    uint64_t until = mcq_sim_now_ns() + ns;
    do
        bare_enter(b);
    while (mcq_sim_now_ns() < until && mcq_sim_advance());
}

enum { TAG_SETUP = BARE_TAGS_MAX - 4, TAG_ACCEPT, TAG_SEND, TAG_RECV };

void bare_connect(struct bare *a, struct bare *b, int fd[2])
{
    struct mcq_addr any = bare_tcp4(0), at;
    mcq_sim_select(b->process);
    int listener = mcq_net_listen(&any, &bare_so, 8, &at);
    cr_assert_geq(listener, 0);
    mcq_uring_accept(b->u, TAG_ACCEPT, listener, false);
    bare_enter(b);
    mcq_sim_select(a->process);
    fd[0] = mcq_net_socket(&at, NULL, &bare_so);
    mcq_uring_connect(a->u, TAG_SETUP, fd[0], (const void *)&at.ss, at.len);
    bare_await(a, TAG_SETUP);
    cr_assert_eq(a->last[TAG_SETUP].res, 0);
    bare_await(b, TAG_ACCEPT);
    fd[1] = b->last[TAG_ACCEPT].res;
    cr_assert_geq(fd[1], 0);
    mcq_net_close(listener);
}

void bare_send(struct bare *b, int fd, const void *ptr, uint32_t len)
{
    mcq_sim_select(b->process);
    mcq_uring_send(b->u, TAG_SEND, fd, ptr, len);
    bare_await(b, TAG_SEND);
    cr_assert_eq(b->last[TAG_SEND].res, (int32_t)len);
}

int32_t bare_recv(struct bare *b, int fd, void *ptr, uint32_t len)
{
    mcq_sim_select(b->process);
    mcq_uring_recv_into(b->u, TAG_RECV, fd, ptr, len);
    bare_await(b, TAG_RECV);
    return b->last[TAG_RECV].res;
}

static jmp_buf failed;

static void on_fail(void)
{
    longjmp(failed, 1);
}

bool bare_fails(void (*fn)(void *arg), void *arg)
{
    int told = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, STDERR_FILENO);
    mcq_sim_on_fail = on_fail;
    volatile bool fails = true;
    if (setjmp(failed) == 0) {
        fn(arg);
        fails = false;
    }
    mcq_sim_on_fail = NULL;
    dup2(told, STDERR_FILENO);
    close(told);
    close(nowhere);
    return fails;
}

struct mcq_addr bare_tcp4(uint16_t port)
{
    struct mcq_addr a = {.len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (struct sockaddr_in *)&a.ss;
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in->sin_port = htons(port);
    return a;
}

struct mcq_addr bare_unix(const char *path)
{
    struct mcq_addr a = {.len = sizeof(struct sockaddr_un)};
    struct sockaddr_un *un = (struct sockaddr_un *)&a.ss;
    size_t len = strlen(path);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len);
    if (path[0] != '@')
        return a;
    un->sun_path[0] = '\0';
    a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return a;
}
