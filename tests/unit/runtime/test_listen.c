/* Listening and connecting. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "rig.h"

static struct rig r;
static const struct mcq_sockopts so = {.notsent_lowat_bytes = 131072};

static struct mcq_conn *listen_at(struct mcq_addr addr, struct mcq_addr *bound)
{
    struct mcq_conn *l;
    struct mcq_detail d;
    cr_assert_eq(mcq_conn_listen(r.loop, &addr, &so, 64, &r, &l, bound, &d), MCQ_OK, "%s", d.text);
    cr_assert_eq(l->state, MCQ_CONN_LISTENING);
    cr_assert_eq(l->user, &r);
    return l;
}

static void end(struct mcq_conn *c)
{
    unsigned closed = r.rec.cnt[MCQ_IO_CLOSED];
    mcq_conn_abort(r.loop, c);
    rig_await(&r, MCQ_IO_CLOSED, closed + 1);
}

static const char *path_of(const struct mcq_addr *a)
{
    return ((const struct sockaddr_un *)&a->ss)->sun_path;
}

/* Takes every descriptor below the limit; returns how many. */
static unsigned fill_up(int fd[], unsigned max)
{
    unsigned n = 0;
    while (n < max && (fd[n] = dup(0)) >= 0)
        n++;
    return n;
}

/* No descriptor left: told once, accepting stops; armed again, the one that waited comes. The
 * kernel looks at the limit when the accept is armed, so it is set before. */
RIG_MASKS(listen, emfile_then_again)
{
    struct mcq_addr bound;
    int filler[64];
    rig_open(&r, &(struct rig_opts){.features = m->text});
    int next = dup(0);
    close(next);
    struct rlimit low = {(rlim_t)next + 8, (rlim_t)next + 8};
    setrlimit(RLIMIT_NOFILE, &low);
    struct mcq_conn *l = listen_at(rig_tcp4(), &bound);
    int peer = rig_peer(&bound);
    rig_await(&r, MCQ_IO_ACCEPTED, 1);
    int fd = r.rec.last[MCQ_IO_ACCEPTED].fd;
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    cr_assert_not(fcntl(fd, F_GETFL) & O_NONBLOCK);
    int second = socket(AF_INET, SOCK_STREAM, 0);
    unsigned fillers = fill_up(filler, 64);
    cr_assert_eq(connect(second, (const struct sockaddr *)&bound.ss, bound.len), 0);
    rig_await(&r, MCQ_IO_ACCEPT_FAILED, 1);
    cr_assert_eq(r.rec.last[MCQ_IO_ACCEPT_FAILED].os_errno, EMFILE);
    cr_assert_eq(r.rec.last[MCQ_IO_ACCEPT_FAILED].conn, l);
    rig_turns(&r, 200);
    cr_assert_eq(r.rec.cnt[MCQ_IO_ACCEPT_FAILED], 1, "not armed by itself");
    while (fillers != 0)
        close(filler[--fillers]);
    rig_turns(&r, 50);
    cr_assert_eq(r.rec.cnt[MCQ_IO_ACCEPTED], 1);
    mcq_listen_arm(r.loop, l);
    mcq_listen_arm(r.loop, l);
    rig_await(&r, MCQ_IO_ACCEPTED, 2);
    close(r.rec.last[MCQ_IO_ACCEPTED].fd);
    close(fd);
    close(peer);
    close(second);
    end(l);
    rig_close(&r);
}

/* More peers than slots: accepted, counted, given back; the listener goes on. */
RIG_MASKS(listen, table_full)
{
    struct mcq_addr bound;
    struct mcq_conn *c[4];
    int peer[6];
    rig_open(&r, &(struct rig_opts){.features = m->text, .conns = 4});
    struct mcq_conn *l = listen_at(rig_tcp4(), &bound);
    unsigned adopted = 0;
    for (unsigned i = 0; i < 6; i++) {
        peer[i] = rig_peer(&bound);
        rig_await(&r, MCQ_IO_ACCEPTED, i + 1);
        enum mcq_error e =
            mcq_conn_adopt(r.loop, r.rec.last[MCQ_IO_ACCEPTED].fd, &so, NULL, &c[adopted]);
        cr_assert_eq(e, i < 3 ? MCQ_OK : MCQ_ELIMIT);
        if (e != MCQ_OK)
            close(r.rec.last[MCQ_IO_ACCEPTED].fd); /* still ours */
        adopted += e == MCQ_OK;
    }
    struct mcq_conn *more;
    struct mcq_detail d;
    cr_assert_eq(mcq_conn_connect(r.loop, &bound, NULL, &so, NULL, &more, &d), MCQ_ELIMIT);
    cr_assert_eq(r.stats.conns_refused, 4);
    cr_assert_eq(r.stats.conns_peak, 4);
    char byte;
    cr_assert_eq(recv(peer[5], &byte, 1, 0), 0, "closed at once");
    for (unsigned i = 0; i < 3; i++)
        end(c[i]);
    end(l);
    for (unsigned i = 0; i < 6; i++)
        close(peer[i]);
    rig_close(&r);
}

RIG_MASKS(listen, in_use)
{
    struct mcq_addr bound, other;
    struct mcq_conn *l2;
    struct mcq_detail d;
    rig_open(&r, &(struct rig_opts){.features = m->text});
    struct mcq_conn *l = listen_at(rig_tcp4(), &bound);
    cr_assert_neq(((const struct sockaddr_in *)&bound.ss)->sin_port, 0);
    cr_assert_eq(mcq_conn_listen(r.loop, &bound, &so, 8, NULL, &l2, &other, &d), MCQ_EADDRINUSE);
    cr_assert_eq(d.os_errno, EADDRINUSE);
    end(l);
    /* and free again, although a peer's connection is in TIME_WAIT or not */
    l = listen_at(bound, &other);
    end(l);
    rig_close(&r);
}

/* A dead process's file is taken over, a living one's isn't, and ours goes with us. */
RIG_MASKS(listen, unix_file)
{
    struct mcq_addr addr = rig_unix("stale"), bound;
    struct mcq_conn *l2;
    struct stat st;
    struct mcq_detail d;
    rig_open(&r, &(struct rig_opts){.features = m->text});
    close(rig_plain_listener(&addr));
    cr_assert_eq(stat(path_of(&addr), &st), 0);
    struct mcq_conn *l = listen_at(addr, &bound);
    cr_assert_eq(mcq_conn_listen(r.loop, &addr, &so, 8, NULL, &l2, &bound, &d), MCQ_EADDRINUSE);
    int peer = rig_peer(&addr);
    rig_await(&r, MCQ_IO_ACCEPTED, 1); /* the look at the file connected, too, if it was served */
    while (r.rec.cnt[MCQ_IO_ACCEPTED] < 2)
        rig_turn(&r);
    end(l);
    cr_assert_neq(stat(path_of(&addr), &st), 0);
    close(peer);
    rig_close(&r);
}

Test(listen, refusals_say_why)
{
    struct mcq_addr bound, addr = rig_unix("no/such/dir");
    struct mcq_conn *l;
    struct mcq_detail d = {0};
    rig_open(&r, &(struct rig_opts){0});
    cr_assert_eq(mcq_conn_listen(r.loop, &addr, &so, 8, NULL, &l, &bound, &d), MCQ_EADDR);
    cr_assert_eq(d.os_errno, ENOENT);
    addr = rig_tcp4();
    ((struct sockaddr_in *)&addr.ss)->sin_addr.s_addr = htonl(0x01020304);
    cr_assert_eq(mcq_conn_listen(r.loop, &addr, &so, 8, NULL, &l, &bound, &d), MCQ_EADDR);
    cr_assert_eq(d.code, MCQ_EADDR);
    cr_assert_not_null(strstr(d.text, "address"));
    rig_close(&r);
}

/* --- connecting ------------------------------------------------------------------------------ */

static void connects(const char *mask, struct mcq_addr addr)
{
    struct mcq_conn *c;
    rig_open(&r, &(struct rig_opts){.features = mask});
    int listener = rig_plain_listener(&addr);
    cr_assert_eq(mcq_conn_connect(r.loop, &addr, NULL, &so, &r, &c, NULL), MCQ_OK);
    cr_assert_eq(c->state, MCQ_CONN_CONNECTING);
    struct iovec iov = {&r.mem, 4};
    cr_assert_not(mcq_conn_send(r.loop, c, &iov, 1), "not yet");
    rig_await(&r, MCQ_IO_CONNECTED, 1);
    cr_assert_eq(c->state, MCQ_CONN_OPEN);
    int peer = accept(listener, NULL, NULL);
    cr_assert_geq(peer, 0);
    struct mcq_addr far;
    mcq_conn_peer_addr(c, &far);
    cr_assert_eq(far.ss.ss_family, addr.ss.ss_family);
    cr_assert(mcq_conn_send(r.loop, c, &iov, 1));
    rig_await(&r, MCQ_IO_SENT, 1);
    mcq_conn_recv(r.loop, c, 1000);
    rig_write(&r, peer, "back", 4);
    rig_await_data(&r, 4);
    cr_assert_eq(memcmp(r.rec.data, "back", 4), 0);
    mcq_conn_close(r.loop, c, mcq_loop_now(r.loop) + 10000000000u);
    close(peer);
    rig_await(&r, MCQ_IO_CLOSED, 1);
    cr_assert_eq(c->unacked_known, addr.ss.ss_family != AF_UNIX);
    close(listener);
    if (addr.ss.ss_family == AF_UNIX)
        unlink(path_of(&addr));
    rig_close(&r);
}

RIG_MASKS(connect, tcp4)
{
    connects(m->text, rig_tcp4());
}

RIG_MASKS(connect, tcp6)
{
    connects(m->text, rig_tcp6());
}

RIG_MASKS(connect, unix_domain)
{
    connects(m->text, rig_unix("connect"));
}

RIG_MASKS(connect, refused)
{
    struct mcq_addr addr = rig_tcp4(), gone = rig_unix("nobody");
    struct mcq_conn *c;
    rig_open(&r, &(struct rig_opts){.features = m->text});
    close(rig_plain_listener(&addr));
    cr_assert_eq(mcq_conn_connect(r.loop, &addr, NULL, &so, NULL, &c, NULL), MCQ_OK);
    rig_await(&r, MCQ_IO_CONNECT_FAILED, 1);
    cr_assert_eq(r.rec.last[MCQ_IO_CONNECT_FAILED].os_errno, ECONNREFUSED);
    end(c);
    cr_assert_eq(c->unacked, 0, "nothing was ever sent");
    cr_assert_eq(mcq_conn_connect(r.loop, &gone, NULL, &so, NULL, &c, NULL), MCQ_OK);
    rig_await(&r, MCQ_IO_CONNECT_FAILED, 2);
    cr_assert_eq(r.rec.last[MCQ_IO_CONNECT_FAILED].os_errno, ENOENT);
    end(c);
    rig_close(&r);
}

/* Nobody answers: the owner's deadline takes it back, and no event but CLOSED comes. */
RIG_MASKS(connect, aborted)
{
    struct mcq_addr addr = rig_tcp4();
    struct mcq_conn *c;
    int filler[8];
    rig_open(&r, &(struct rig_opts){.features = m->text});
    int listener = rig_plain_listener(&addr);
    cr_assert_eq(listen(listener, 0), 0);
    for (unsigned i = 0; i < 8; i++) { /* the queue is full: the handshake gets no answer */
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(filler[i], (const struct sockaddr *)&addr.ss, addr.len);
    }
    cr_assert_eq(mcq_conn_connect(r.loop, &addr, NULL, &so, NULL, &c, NULL), MCQ_OK);
    rig_turns(&r, 50);
    cr_assert_eq(r.rec.cnt[MCQ_IO_CONNECTED] + r.rec.cnt[MCQ_IO_CONNECT_FAILED], 0);
    end(c);
    cr_assert_eq(r.rec.cnt[MCQ_IO_CONNECTED] + r.rec.cnt[MCQ_IO_CONNECT_FAILED], 0);
    cr_assert_eq(c->unacked, 0, "nothing was ever sent");
    for (unsigned i = 0; i < 8; i++)
        close(filler[i]);
    close(listener);
    rig_close(&r);
}
