/* NAPI busy poll over a veth pair between two network namespaces, whose receive queues are real
 * ones once GRO is on and segmentation offload is off. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rig.h"
#include "runtime/net.h"
#include "runtime/uring_compat.h"

static struct rig r;
static int near_ns, far_ns;

static bool ip(const char *args)
{
    char command[160];
    snprintf(command, sizeof(command), "ip %s >/dev/null 2>&1", args);
    return system(command) == 0;
}

static bool offload(const char *name, unsigned command, unsigned value)
{
    struct ethtool_value v = {.cmd = command, .data = value};
    struct ifreq req = {.ifr_data = (void *)&v};
    strncpy(req.ifr_name, name, IFNAMSIZ - 1);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = ioctl(fd, SIOCETHTOOL, &req) == 0;
    close(fd);
    return ok;
}

static bool own_namespace(int *fd)
{
    if (unshare(CLONE_NEWNET) != 0)
        return false;
    *fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    return *fd >= 0 && ip("link set lo up");
}

static bool end_up(const char *name, const char *address)
{
    char command[160];
    snprintf(command, sizeof(command), "addr add %s dev %s", address, name);
    bool ok = ip(command) && offload(name, ETHTOOL_STSO, 0) && offload(name, ETHTOOL_SGSO, 0) &&
              offload(name, ETHTOOL_SGRO, 1);
    snprintf(command, sizeof(command), "link set %s up", name);
    return ok && ip(command);
}

static bool lay_cable(void)
{
    char move[80];
    if (!own_namespace(&far_ns) || !own_namespace(&near_ns))
        return false;
    snprintf(move, sizeof(move), "link set mcqv1 netns /proc/%d/fd/%d", (int)getpid(), far_ns);
    bool ok = ip("link add mcqv0 type veth peer name mcqv1") && ip(move) &&
              end_up("mcqv0", "10.78.0.1/24");
    ok = ok && setns(far_ns, CLONE_NEWNET) == 0 && end_up("mcqv1", "10.78.0.2/24");
    return setns(near_ns, CLONE_NEWNET) == 0 && ok;
}

/* The loop's end of a connection over the cable; *peer: the far one's. */
static struct mcq_conn *over_the_cable(int *peer)
{
    static const struct mcq_sockopts so = {0};
    struct mcq_conn *c;
    struct mcq_addr addr = {.len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (struct sockaddr_in *)&addr.ss;
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = inet_addr("10.78.0.1");
    int listener = rig_plain_listener(&addr);
    cr_assert_eq(setns(far_ns, CLONE_NEWNET), 0);
    *peer = rig_peer(&addr);
    cr_assert_eq(setns(near_ns, CLONE_NEWNET), 0);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_geq(fd, 0);
    close(listener);
    cr_assert_eq(mcq_conn_adopt(r.loop, fd, &so, NULL, &c), MCQ_OK);
    return c;
}

/* What fdinfo says of NAPI, from the line "NAPI:" on. */
static void fdinfo(char text[1024])
{
    char path[64], line[256];
    bool found = false;
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", mcq_loop_ring_fd(r.loop));
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    text[0] = '\0';
    while (fgets(line, sizeof(line), f) != NULL) {
        found |= strncmp(line, "NAPI:", 5) == 0;
        if (found)
            strncat(text, line, 1023 - strlen(text));
    }
    fclose(f);
}

/* Whether the ring knows this queue: naming it again is refused, or it is named now. */
static bool is_named(uint32_t id)
{
    struct mcq_compat_napi napi = {.opcode = MCQ_NAPI_OP_STATIC_ADD, .param = id};
    long err =
        syscall(__NR_io_uring_register, mcq_loop_ring_fd(r.loop), MCQ_REGISTER_NAPI, &napi, 1);
    return err != 0 && errno == EEXIST;
}

static bool has_napi(void)
{
    return strstr(mcq_loop_features(r.loop), ", napi") != NULL;
}

static void exchange(struct mcq_conn *c, int peer)
{
    for (unsigned i = 1; i <= 200; i++) {
        char got[3];
        ssize_t n = -1;
        cr_assert_eq(send(peer, "abc", 3, MSG_NOSIGNAL), 3);
        mcq_conn_recv(r.loop, c, 65536);
        rig_await_data(&r, 3 * i);
        cr_assert(mcq_conn_send(r.loop, c, &(struct iovec){"xyz", 3}, 1));
        while (n < 0) {
            rig_turn(&r);
            n = recv(peer, got, 3, 0);
        }
        cr_assert_eq(n, 3);
        while (c->send_busy)
            rig_turn(&r);
    }
}

static void finish(struct mcq_conn *c, int peer)
{
    mcq_conn_abort(r.loop, c);
    rig_await(&r, MCQ_IO_CLOSED, 1);
    close(peer);
    rig_close(&r);
}

/* Registered with the kernel, its queue named, and messages come, whichever way the loop idles. */
static void polls(enum mcq_idle idle)
{
    char text[1024];
    int peer;
    if (!lay_cable())
        cr_skip_test("no network namespaces here");
    rig_open(&r, &(struct rig_opts){.idle = idle, .napi_busy_us = 50});
    if (!has_napi()) {
        cr_assert_not_null(strstr(mcq_loop_napi_why(r.loop), "6.9"));
        rig_close(&r);
        cr_skip_test("this kernel has no NAPI busy poll");
    }
    cr_assert_str_empty(mcq_loop_napi_why(r.loop));
    struct mcq_conn *c = over_the_cable(&peer);
    exchange(c, peer);
    fdinfo(text);
    cr_assert_not_null(strstr(text, "enabled"), "%s", text);
    cr_assert_neq(mcq_net_napi_id(c->fd), 0, "the cable has no queue");
    if (strstr(text, "static") != NULL) {
        cr_assert(is_named(mcq_net_napi_id(c->fd)));
        cr_assert_not(is_named(mcq_net_napi_id(c->fd) + 1));
    }
    finish(c, peer);
}

Test(napi, spinning)
{
    polls(MCQ_IDLE_SPIN);
}

Test(napi, blocking)
{
    polls(MCQ_IDLE_BLOCK);
}

Test(napi, off_by_default)
{
    char text[1024];
    rig_open(&r, &(struct rig_opts){0});
    fdinfo(text);
    cr_assert_null(strstr(text, "enabled"), "%s", text);
    cr_assert_not(has_napi());
    cr_assert_str_empty(mcq_loop_napi_why(r.loop));
    rig_close(&r);
}

/* Loopback has no queue: nothing to name, and all goes its way. */
Test(napi, without_a_queue)
{
    int peer;
    rig_open(&r, &(struct rig_opts){.napi_busy_us = 50});
    struct mcq_conn *c = rig_adopt(&r, &peer);
    cr_assert_eq(mcq_net_napi_id(c->fd), 0);
    exchange(c, peer);
    finish(c, peer);
}
