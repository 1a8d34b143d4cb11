/* RAW: an eventfd registered with the ring, and an epoll set; sound because both are the ring's
 * owner's; called by loop for a program that sleeps by itself.
 *
 * A poll of the ring's own descriptor won't do: with DEFER_TASKRUN it isn't woken by work that is
 * deferred while it sleeps. A registered eventfd is, but for work that the write to another eventfd
 * brings about (one isn't signalled from inside another); so that other one, the loop's own, is
 * looked at beside it. Not so in ring mode sqpoll: there the kernel's thread reads the loop's own,
 * a while after it was written and outside of that write, and until it has, a program that looked
 * at it would be told of the same again and again. And the registered one rings all the time, since
 * it stays silent once it has been silenced by IORING_CQ_EVENTFD_DISABLED (all seen on 6.18). */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runtime/uring_private.h"

static int fail(const struct mcq_uring_bell *b)
{
    const int err = -errno;
    const int fds[] = {b->fd, b->ring_fd};
    for (unsigned i = 0; i < 2; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return err;
}

static int add(const struct mcq_uring_bell *b, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN};
    return epoll_ctl(b->fd, EPOLL_CTL_ADD, fd, &ev);
}

int mcq_uring_bell_open(struct mcq_uring *u, int wake_fd, struct mcq_uring_bell *bell)
{
    struct mcq_uring_bell b = {.fd = epoll_create1(EPOLL_CLOEXEC),
                               .ring_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (b.fd < 0 || b.ring_fd < 0 || add(&b, b.ring_fd) != 0 ||
        (!u->sqpoll && add(&b, wake_fd) != 0))
        return fail(&b);
    int err = io_uring_register_eventfd(&u->ring, b.ring_fd);
    if (err != 0) {
        errno = -err;
        return fail(&b);
    }
    *bell = b;
    return 0;
}

void mcq_uring_bell_close(struct mcq_uring *u, const struct mcq_uring_bell *b)
{
    (void)io_uring_unregister_eventfd(&u->ring);
    close(b->fd);
    close(b->ring_fd);
}

void mcq_uring_bell_take(const struct mcq_uring_bell *b)
{
    uint64_t rung;
    if (read(b->ring_fd, &rung, sizeof(rung)) < 0)
        MCQ_DASSERT(errno == EAGAIN);
}
