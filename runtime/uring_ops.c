/* RAW: prepares io_uring's operations and keeps its buffer ring; sound because what they point at
 * lives in its connection, or in the receive ring, until the completion; called by loop, conn,
 * bufring and uring_probe. */
#include <errno.h>

#include "runtime/uring_private.h"

#define BUF_GROUP 0

/* --- operations ---------------------------------------------------------------------------- */

static struct io_uring_sqe *next_sqe(struct mcq_uring *u, uint64_t tag)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    if (MCQ_UNLIKELY(sqe == NULL)) {
        mcq_uring_make_room(u);
        sqe = io_uring_get_sqe(&u->ring);
    }
    u->stats->sqes++;
    sqe->user_data = tag;
    return sqe;
}

void mcq_uring_accept(struct mcq_uring *u, uint64_t tag, int fd, bool multishot)
{
    struct io_uring_sqe *sqe = next_sqe(u, tag);
    io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
    if (multishot)
        sqe->ioprio |= IORING_ACCEPT_MULTISHOT;
}

void mcq_uring_connect(struct mcq_uring *u, uint64_t tag, int fd, const struct sockaddr *addr,
                       socklen_t len)
{
    io_uring_prep_connect(next_sqe(u, tag), fd, addr, len);
}

static struct io_uring_sqe *select_recv(struct mcq_uring *u, uint64_t tag, int fd, uint32_t len)
{
    struct io_uring_sqe *sqe = next_sqe(u, tag);
    io_uring_prep_recv(sqe, fd, NULL, len, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUF_GROUP;
    return sqe;
}

void mcq_uring_recv_shot(struct mcq_uring *u, uint64_t tag, int fd, uint32_t limit)
{
    struct io_uring_sqe *sqe = select_recv(u, tag, fd, 0);
    sqe->ioprio |= IORING_RECV_MULTISHOT;
    mcq_compat_recv_limit(sqe, limit);
}

void mcq_uring_recv_one(struct mcq_uring *u, uint64_t tag, int fd, uint32_t len)
{
    (void)select_recv(u, tag, fd, len);
}

void mcq_uring_recv_try(struct mcq_uring *u, uint64_t tag, int fd, uint32_t len)
{
    select_recv(u, tag, fd, len)->msg_flags |= MSG_DONTWAIT;
}

void mcq_uring_recv_into(struct mcq_uring *u, uint64_t tag, int fd, void *ptr, uint32_t len)
{
    io_uring_prep_recv(next_sqe(u, tag), fd, ptr, len, 0);
}

void mcq_uring_send(struct mcq_uring *u, uint64_t tag, int fd, const void *ptr, size_t len)
{
    io_uring_prep_send(next_sqe(u, tag), fd, ptr, len, MSG_NOSIGNAL);
}

void mcq_uring_sendmsg(struct mcq_uring *u, uint64_t tag, int fd, const struct msghdr *msg)
{
    io_uring_prep_sendmsg(next_sqe(u, tag), fd, msg, MSG_NOSIGNAL);
}

void mcq_uring_cancel(struct mcq_uring *u, uint64_t tag, uint64_t target)
{
    io_uring_prep_cancel64(next_sqe(u, tag), target, 0);
}

void mcq_uring_read(struct mcq_uring *u, uint64_t tag, int fd, void *ptr, uint32_t len)
{
    io_uring_prep_read(next_sqe(u, tag), fd, ptr, len, 0);
}

/* --- the buffer ring ----------------------------------------------------------------------- */

size_t mcq_uring_bufs_len(uint32_t cnt)
{
    return cnt * sizeof(struct io_uring_buf);
}

int mcq_uring_bufs_open(struct mcq_uring *u, void *mem, uint32_t cnt, bool inc)
{
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)mem, .ring_entries = cnt, .bgid = BUF_GROUP};
    if (inc)
        mcq_compat_buf_reg_flags(&reg, MCQ_PBUF_RING_INC);
    int err = io_uring_register_buf_ring(&u->ring, &reg, 0);
    if (err < 0)
        return err;
    u->bufs = mem;
    u->bufs_mask = io_uring_buf_ring_mask(cnt);
    u->bufs_added = 0;
    io_uring_buf_ring_init(u->bufs);
    return 0;
}

void mcq_uring_bufs_close(struct mcq_uring *u)
{
    if (u->bufs != NULL)
        (void)io_uring_unregister_buf_ring(&u->ring, BUF_GROUP);
    u->bufs = NULL;
}

void mcq_uring_bufs_add(struct mcq_uring *u, void *base, uint32_t len, uint16_t bid)
{
    io_uring_buf_ring_add(u->bufs, base, len, bid, u->bufs_mask, u->bufs_added++);
}

void mcq_uring_bufs_publish(struct mcq_uring *u)
{
    io_uring_buf_ring_advance(u->bufs, u->bufs_added);
    u->bufs_added = 0;
}

/* --- NAPI ---------------------------------------------------------------------------------- */

int mcq_uring_napi(struct mcq_uring *u, uint32_t busy_us, bool prefer, bool by_name)
{
    struct mcq_compat_napi napi = {.busy_poll_us = busy_us,
                                   .prefer = prefer,
                                   .opcode = MCQ_NAPI_OP_REGISTER,
                                   .param = by_name ? MCQ_NAPI_STATIC : MCQ_NAPI_DYNAMIC};
    return io_uring_register((unsigned)u->ring.ring_fd, MCQ_REGISTER_NAPI, &napi, 1);
}

int mcq_uring_napi_add(struct mcq_uring *u, uint32_t id)
{
    struct mcq_compat_napi napi = {.opcode = MCQ_NAPI_OP_STATIC_ADD, .param = id};
    return io_uring_register((unsigned)u->ring.ring_fd, MCQ_REGISTER_NAPI, &napi, 1);
}
