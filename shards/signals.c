/* RAW: signal handlers and the eventfd they write; sound because a handler does nothing else, and
 * the fd is taken from it before it is closed; app.c calls. */
#define _GNU_SOURCE
#include "shards/signals.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int told_fd = -1; /* of the one app that has the signals */

static void on_signal(int number)
{
    int saved = errno;
    const uint64_t one = 1;
    int fd = __atomic_load_n(&told_fd, __ATOMIC_SEQ_CST);
    (void)number;
    if (fd >= 0 && write(fd, &one, sizeof(one)) < 0) {
        /* full: it is readable already */
    }
    errno = saved;
}

int mcq_signals_open(struct mcq_signals *s)
{
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    int none = -1;
    sigset_t both;
    s->fd = -1;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return errno;
    if (!__atomic_compare_exchange_n(&told_fd, &none, fd, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST)) {
        close(fd);
        return 0;
    }
    s->fd = fd;
    sigaction(SIGINT, &action, &s->before_int);
    sigaction(SIGTERM, &action, &s->before_term);
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    pthread_sigmask(SIG_UNBLOCK, &both, &s->mask_before);
    return 0;
}

void mcq_signals_close(struct mcq_signals *s)
{
    if (s->fd < 0)
        return;
    pthread_sigmask(SIG_SETMASK, &s->mask_before, NULL);
    sigaction(SIGINT, &s->before_int, NULL);
    sigaction(SIGTERM, &s->before_term, NULL);
    __atomic_store_n(&told_fd, -1, __ATOMIC_SEQ_CST);
    close(s->fd);
    s->fd = -1;
}
