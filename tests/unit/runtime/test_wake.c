/* A ring wakes another: across threads, asleep or not, and what can't be woken says so. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rig.h"

static struct rig r, other;

static bool has_msgring(const struct rig *rig)
{
    return strstr(mcq_loop_features(rig->loop), "msgring") != NULL;
}

RIG_MASKS(wake, ring_to_ring)
{
    rig_open(&r, &(struct rig_opts){.features = m->text});
    rig_open(&other, &(struct rig_opts){.features = m->text});
    for (unsigned i = 1; i <= 100; i++) {
        bool sent = mcq_loop_wake_ring(r.loop, mcq_loop_ring_fd(other.loop));
        cr_assert_eq(sent, has_msgring(&r));
        if (sent)
            rig_await(&other, MCQ_IO_WAKE, i);
    }
    rig_turns(&r, 10);
    cr_assert_eq(r.rec.cnt[MCQ_IO_WAKE], 0);
    rig_close(&r);
    rig_close(&other);
}

/* What was prepared goes out with it, in order and at once. */
RIG_MASKS(wake, submits_what_is_prepared)
{
    struct mcq_conn *c;
    int peer;
    char got[4] = "";
    rig_open(&r, &(struct rig_opts){.features = m->text});
    rig_open(&other, &(struct rig_opts){.features = m->text});
    c = rig_adopt(&r, &peer);
    cr_assert(mcq_conn_send(r.loop, c, &(struct iovec){"abc", 3}, 1));
    if (mcq_loop_wake_ring(r.loop, mcq_loop_ring_fd(other.loop)))
        cr_assert_eq(recv(peer, got, sizeof(got), 0), 3);
    mcq_conn_abort(r.loop, c);
    rig_await(&r, MCQ_IO_CLOSED, 1);
    close(peer);
    rig_close(&r);
    rig_close(&other);
}

/* Both ways at once: the eventfd and the ring. Each is told. */
RIG_MASKS(wake, eventfd_still_works)
{
    rig_open(&r, &(struct rig_opts){.features = m->text});
    cr_assert_eq(eventfd_write(mcq_loop_wake_fd(r.loop), 1), 0);
    rig_await(&r, MCQ_IO_WAKE, 1);
    bool self = mcq_loop_wake_ring(r.loop, mcq_loop_ring_fd(r.loop));
    cr_assert_eq(self, has_msgring(&r));
    cr_assert_eq(eventfd_write(mcq_loop_wake_fd(r.loop), 1), 0);
    rig_await(&r, MCQ_IO_WAKE, 2u + self);
    rig_close(&r);
}

/* No ring, a closed descriptor: said at once, and nothing of it is ever told. */
RIG_MASKS(wake, failure_is_said)
{
    rig_open(&r, &(struct rig_opts){.features = m->text});
    int fd = eventfd(0, EFD_CLOEXEC);
    for (unsigned i = 0; i < 10; i++) {
        cr_assert_not(mcq_loop_wake_ring(r.loop, fd));
        cr_assert_not(mcq_loop_wake_ring(r.loop, 1 << 20));
        cr_assert_eq(mcq_loop_wake_ring(r.loop, mcq_loop_ring_fd(r.loop)), has_msgring(&r));
        if (i % 2 == 0)
            rig_turns(&r, 2);
    }
    close(fd);
    rig_turns(&r, 10);
    for (unsigned kind = 0; kind < RIG_KINDS; kind++)
        if (kind != MCQ_IO_WAKE)
            cr_assert_eq(r.rec.cnt[kind], 0);
    cr_assert_eq(r.rec.cnt[MCQ_IO_WAKE], has_msgring(&r) ? 10 : 0);
    rig_close(&r);
}

/* --- between threads ----------------------------------------------------------------------- */

enum { ROUNDS = 2000 };
static atomic_uint round_now;
static atomic_int waker_fd; /* of the waiting loop's ring */

/* Wakes the other loop once for each round it has reached. */
static void *waker(void *arg)
{
    static struct rig mine;
    unsigned done = 0, *failed = arg;
    rig_open(&mine, &(struct rig_opts){0});
    while (done < ROUNDS) {
        if (atomic_load(&round_now) == done)
            continue;
        done++;
        if (!mcq_loop_wake_ring(mine.loop, atomic_load(&waker_fd)))
            (*failed)++;
        rig_turn(&mine);
    }
    rig_close(&mine);
    return NULL;
}

/* The loop sleeps without a timer: each round ends only because the wake comes. */
Test(wake, ends_a_sleep)
{
    pthread_t thread;
    unsigned failed = 0;
    rig_open(&r, &(struct rig_opts){.idle = MCQ_IDLE_BLOCK});
    r.sleep_ns = 20000000000u;
    if (!has_msgring(&r)) {
        rig_close(&r);
        return;
    }
    atomic_store(&waker_fd, mcq_loop_ring_fd(r.loop));
    cr_assert_eq(pthread_create(&thread, NULL, waker, &failed), 0);
    for (unsigned i = 1; i <= ROUNDS; i++) {
        atomic_store(&round_now, i);
        while (r.rec.cnt[MCQ_IO_WAKE] < i)
            rig_turn(&r);
    }
    pthread_join(thread, NULL);
    cr_assert_eq(failed, 0);
    cr_assert_eq(r.rec.cnt[MCQ_IO_WAKE], ROUNDS);
    rig_close(&r);
}
