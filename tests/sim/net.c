/* runtime/net.h on the simulated machine. */
#include "runtime/net.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>

#include "tests/sim/machine.h"
#include "tests/sim/outside.h"
#include "tests/sim/place.h"
#include "tests/sim/socket.h"

/* Gives the file's descriptor; without one the file ends. */
static int open_fd(struct mcq_sim_file *f)
{
    int fd = mcq_sim_fd_open(mcq_sim.selected, f);
    if (fd < 0)
        mcq_sim_file_unref(f);
    return fd;
}

/* --- listening ----------------------------------------------------------------------------- */

int mcq_net_listen(const struct mcq_addr *addr, const struct mcq_sockopts *so, uint32_t backlog,
                   struct mcq_addr *bound)
{
    struct mcq_sim_file *f = mcq_sim_socket_take(addr->ss.ss_family);
    f->opts = *so;
    int fd = open_fd(f);
    if (fd < 0)
        return fd;
    int err = mcq_sim_socket_listen(f, addr, backlog, bound);
    if (err == 0)
        return fd;
    mcq_sim_fd_close(mcq_sim.selected, fd);
    return err;
}

int mcq_net_bind(const struct mcq_addr *addr, const struct mcq_sockopts *so, bool shared,
                 struct mcq_addr *bound)
{
    struct mcq_sim_file *f = mcq_sim_socket_take(addr->ss.ss_family);
    f->opts = *so;
    int fd = open_fd(f);
    int err = fd < 0 ? 0 : mcq_sim_socket_reserve(f, addr, shared, bound);
    if (err == 0)
        return fd;
    mcq_sim_fd_close(mcq_sim.selected, fd);
    return err;
}

int mcq_net_listen_on(int fd, uint32_t backlog)
{
    struct mcq_sim_file *f = mcq_sim_fd_socket(fd, "listen");
    if (!f->placed || f->state != MCQ_SIM_FRESH)
        mcq_sim_fail("process %u: listen on descriptor %d, which isn't bound", mcq_sim.selected,
                     fd);
    mcq_sim_socket_begin(f, backlog);
    return 0;
}

/* An abstract name that says the address. */
int mcq_net_claim(const struct mcq_addr *bound)
{
    struct mcq_addr name = {.len = sizeof(struct sockaddr_un)}, at;
    struct sockaddr_un *un = (struct sockaddr_un *)&name.ss;
    const uint8_t *bytes = (const uint8_t *)&bound->ss;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path + 1, bytes, mcq_min(bound->len, sizeof(un->sun_path) - 1));
    struct mcq_sim_file *f = mcq_sim_socket_take(AF_UNIX);
    int fd = open_fd(f);
    int err = fd < 0 ? 0 : mcq_sim_socket_reserve(f, &name, false, &at);
    if (err == 0)
        return fd;
    mcq_sim_fd_close(mcq_sim.selected, fd);
    return err;
}

int mcq_net_dup(int fd)
{
    return open_fd(mcq_sim_file_ref(mcq_sim_fd_socket(fd, "dup")));
}

int mcq_net_accept(int fd)
{
    struct mcq_sim_file *f = mcq_sim_socket_accept(mcq_sim_fd_socket(fd, "accept"));
    return f == NULL ? -EAGAIN : open_fd(f);
}

void mcq_net_deafen(int fd, bool deaf)
{
    mcq_sim_fd_socket(fd, "deafen")->deaf = deaf;
}

int mcq_net_cpu(int fd)
{
    (void)fd;
    return -1;
}

void mcq_net_unlink(const struct mcq_addr *addr)
{
    mcq_sim_place_unlink(addr);
}

/* --- connections --------------------------------------------------------------------------- */

int mcq_net_socket(const struct mcq_addr *addr, const struct mcq_addr *src,
                   const struct mcq_sockopts *so)
{
    struct mcq_sim_file *f = mcq_sim_socket_take(addr->ss.ss_family);
    f->opts = *so;
    int fd = open_fd(f);
    int err = fd < 0 || src == NULL ? 0 : mcq_sim_socket_bind(f, src);
    if (err == 0)
        return fd;
    mcq_sim_fd_close(mcq_sim.selected, fd);
    return err;
}

int mcq_net_pair(int fd[2])
{
    struct mcq_sim_file *a = mcq_sim_socket_take(AF_UNIX), *b = mcq_sim_socket_take(AF_UNIX);
    mcq_sim_stream_open(a, b);
    fd[0] = open_fd(a);
    fd[1] = open_fd(b);
    if (fd[0] >= 0 && fd[1] >= 0)
        return 0;
    int err = fd[0] < 0 ? fd[0] : fd[1];
    mcq_net_close(fd[0]);
    mcq_net_close(fd[1]);
    return err;
}

void mcq_net_apply(int fd, const struct mcq_sockopts *so, bool *unix_domain)
{
    struct mcq_sim_file *f = mcq_sim_fd_socket(fd, "setsockopt");
    f->opts = *so;
    if (f->stream != NULL)
        mcq_sim_stream_watch(f);
    *unix_domain = f->local.ss.ss_family == AF_UNIX;
}

static bool has_peer(const struct mcq_sim_file *f)
{
    return f->state == MCQ_SIM_CONNECTED || (f->stream != NULL && f->local.ss.ss_family == AF_UNIX);
}

void mcq_net_peer(int fd, struct mcq_addr *addr)
{
    addr->len = 0;
    if (fd < 0)
        return;
    const struct mcq_sim_file *f = mcq_sim_fd_socket(fd, "getpeername");
    if (has_peer(f))
        *addr = f->peer;
}

bool mcq_net_is_self(int fd)
{
    const struct mcq_sim_file *f = mcq_sim_fd_socket(fd, "getsockname");
    return f->local.ss.ss_family != AF_UNIX && has_peer(f) && f->local.len == f->peer.len &&
           memcmp(&f->local.ss, &f->peer.ss, f->local.len) == 0;
}

bool mcq_net_shutdown_send(int fd)
{
    return mcq_sim_socket_shutdown(mcq_sim_fd_socket(fd, "shutdown"), false);
}

bool mcq_net_shutdown_both(int fd)
{
    return mcq_sim_socket_shutdown(mcq_sim_fd_socket(fd, "shutdown"), true);
}

uint64_t mcq_net_unacked(int fd)
{
    const struct mcq_sim_file *f = mcq_sim_fd_socket(fd, "SIOCOUTQ");
    return f->stream == NULL ? f->outq : mcq_sim_stream_unacked(f);
}

uint32_t mcq_net_napi_id(int fd)
{
    (void)mcq_sim_fd_socket(fd, "getsockopt");
    return 0;
}

void mcq_net_close(int fd)
{
    if (fd >= 0)
        mcq_sim_fd_close(mcq_sim.selected, fd);
}

/* --- the eventfd --------------------------------------------------------------------------- */

int mcq_net_eventfd(void)
{
    struct mcq_sim_process *p = mcq_sim_process(mcq_sim.selected);
    if (p->eventfd != NULL)
        mcq_sim_fail("process %u: a second eventfd", mcq_sim.selected);
    p->eventfd = mcq_sim_file_take(MCQ_SIM_EVENTFD);
    return mcq_sim_eventfd_number(mcq_sim.selected);
}

static void on_wake(struct mcq_sim_event *e)
{
    struct mcq_sim_file *f = MCQ_CONTAINER_OF(e, struct mcq_sim_file, wake);
    f->value++;
    mcq_sim_op_wake(f);
}

void mcq_net_wake(int fd)
{
    uint32_t process = (uint32_t)(fd - MCQ_SIM_EVENTFD_BASE);
    if (fd >= MCQ_OUTSIDE_FD_BASE) {
        mcq_outside_ring(fd);
        return;
    }
    if (fd < MCQ_SIM_EVENTFD_BASE || process >= MCQ_SIM_PROCESSES_MAX)
        mcq_sim_fail("descriptor %d is no eventfd", fd);
    struct mcq_sim_file *f = mcq_sim_fd_file(process, fd, "wake");
    if (mcq_sim.faults.wake_max_ns == 0)
        on_wake(&f->wake);
    else if (!mcq_sim_event_armed(&f->wake))
        mcq_sim_event_arm(&f->wake, mcq_sim.now_ns + mcq_sim_below(mcq_sim.faults.wake_max_ns),
                          on_wake);
    mcq_outside_pause();
}
