#include "tests/sim/transfer.h"

#include <errno.h>
#include <string.h>

#include "tests/sim/machine.h"
#include "tests/sim/socket.h"

#define PIECE_WHOLE_MAX 512u /* bytes of a piece whose every byte is in the checksum */
#define PIECE_EDGE_LEN  128u /* of a longer one, at both ends */
#define PIECE_SAMPLES   16u  /* words between */
#define PIECES_FEW      4u
#define WATCHED_ONE_IN  16u /* of sends of more pieces */

/* --- what can go on ------------------------------------------------------------------------ */

static bool can_recv(const struct mcq_sim_op *op)
{
    const struct mcq_sim_file *f = op->file;
    if (f->stream == NULL || f->state == MCQ_SIM_CLOSED || f->error != 0 || f->recv_shut)
        return true;
    struct mcq_sim_ring *ring = &mcq_sim_process(op->process)->ring;
    return mcq_sim_stream_readable(f) != 0 || mcq_sim_stream_ended(f) ||
           (op->shot && ring->eager_enobufs && mcq_sim_blocks_empty(&ring->blocks));
}

static bool can_send(const struct mcq_sim_file *f)
{
    return f->stream == NULL || f->state != MCQ_SIM_CONNECTED || f->error != 0 || f->send_shut;
}

bool mcq_sim_transfer_ready(const struct mcq_sim_op *op)
{
    const struct mcq_sim_file *f = op->file;
    switch (op->kind) {
    case MCQ_SIM_ACCEPT:
        return f->state != MCQ_SIM_LISTENING || f->queued != 0;
    case MCQ_SIM_CONNECT:
        return op->answered;
    case MCQ_SIM_RECV:
        return can_recv(op);
    case MCQ_SIM_SEND:
        return can_send(f) || mcq_sim_stream_roomy(f);
    case MCQ_SIM_READ:
        return f->value != 0;
    case MCQ_SIM_CANCEL:
        break;
    }
    return false;
}

bool mcq_sim_transfer_possible(const struct mcq_sim_op *op)
{
    if (op->kind == MCQ_SIM_SEND && !can_send(op->file))
        return mcq_sim_stream_room(op->file) != 0;
    return mcq_sim_transfer_ready(op);
}

static int take_error(struct mcq_sim_file *f)
{
    int error = f->error;
    f->error = 0;
    return error;
}

static bool end(struct mcq_sim_op *op, int32_t res)
{
    mcq_sim_op_end(op, res, 0, 0);
    return true;
}

/* --- accepting ----------------------------------------------------------------------------- */

static int32_t accept_one(struct mcq_sim_op *op)
{
    if (mcq_sim_strikes(mcq_sim.faults.emfile, &mcq_sim.seen.emfiles))
        return -EMFILE;
    struct mcq_sim_file *child = op->file->first;
    int fd = mcq_sim_fd_open(op->process, child);
    if (fd >= 0) {
        (void)mcq_sim_socket_accept(op->file);
        mcq_sim.seen.accepts++;
    }
    return fd;
}

static bool try_accept(struct mcq_sim_op *op)
{
    for (uint32_t i = 0; i < MCQ_SIM_SHOTS_MAX; i++) {
        if (op->file->state != MCQ_SIM_LISTENING)
            return end(op, -EINVAL);
        if (op->file->queued == 0)
            return false;
        int32_t res = accept_one(op);
        if (res < 0 || !op->shot ||
            mcq_sim_strikes(mcq_sim.faults.shot_end, &mcq_sim.seen.shot_ends))
            return end(op, res);
        if (!mcq_sim_op_tell(op, res, 0, 0))
            return true;
    }
    return false;
}

/* --- receiving ----------------------------------------------------------------------------- */

/* No bytes are there. */
static bool recv_nothing(struct mcq_sim_op *op)
{
    struct mcq_sim_file *f = op->file;
    struct mcq_sim_ring *ring = &mcq_sim_process(op->process)->ring;
    if (op->shot && ring->eager_enobufs && mcq_sim_blocks_empty(&ring->blocks))
        return end(op, -ENOBUFS);
    if (f->stream == NULL)
        return end(op, -ENOTCONN);
    bool ended = mcq_sim_stream_ended(f);
    if (!ended && f->error != 0)
        return end(op, -take_error(f));
    if (!ended && !f->recv_shut)
        return false;
    /* Some kernels say at the end that they took a block. */
    if (op->select && ring->block_at_end && !mcq_sim_blocks_empty(&ring->blocks)) {
        uint16_t bid = mcq_sim_blocks_waste(&ring->blocks);
        mcq_sim_op_end(op, 0, bid, MCQ_DONE_BUFFER);
        return true;
    }
    return end(op, 0);
}

static size_t shortened(size_t len, uint32_t in_10000, uint64_t *seen)
{
    return len > 1 && mcq_sim_strikes(in_10000, seen) ? 1 + mcq_sim_below(len - 1) : len;
}

/* Receives once into *to of up to max bytes. */
static size_t recv_some(struct mcq_sim_op *op, void *to, size_t max)
{
    size_t len = mcq_min(mcq_sim_stream_readable(op->file), max);
    len = shortened(len, mcq_sim.faults.short_read, &mcq_sim.seen.short_reads);
    mcq_sim_stream_read(op->file, to, len);
    return len;
}

static bool recv_into(struct mcq_sim_op *op)
{
    size_t len = recv_some(op, op->ptr, op->len);
    bool more = mcq_sim_stream_readable(op->file) != 0;
    mcq_sim_op_end(op, (int32_t)len, 0, more ? MCQ_DONE_NONEMPTY : 0);
    return true;
}

/* Into a block. False: it is a shot that goes on. Its last receive may bring more than was left of
 * its limit: Linux looks at it behind each receive. */
static bool recv_block(struct mcq_sim_op *op)
{
    struct mcq_sim_ring *ring = &mcq_sim_process(op->process)->ring;
    struct mcq_sim_blocks *b = &ring->blocks;
    size_t room;
    uint8_t *to = mcq_sim_blocks_peek(b, &room);
    size_t max = op->shot && !ring->strict_limit ? room : mcq_min(op->len, room);
    size_t len = recv_some(op, to, max);
    uint16_t bid;
    unsigned flags = MCQ_DONE_BUFFER;
    if (mcq_sim_blocks_commit(b, len, &bid))
        flags |= MCQ_DONE_BUF_MORE;
    if (mcq_sim_stream_readable(op->file) != 0)
        flags |= MCQ_DONE_NONEMPTY;
    op->len -= op->shot ? mcq_min(len, op->len) : 0;
    bool last = !op->shot || op->len == 0 ||
                mcq_sim_strikes(mcq_sim.faults.shot_end, &mcq_sim.seen.shot_ends);
    if (!last)
        return !mcq_sim_op_tell(op, (int32_t)len, bid, (uint16_t)flags);
    mcq_sim_op_end(op, (int32_t)len, bid, (uint16_t)flags);
    return true;
}

static bool try_recv(struct mcq_sim_op *op)
{
    struct mcq_sim_blocks *b = &mcq_sim_process(op->process)->ring.blocks;
    for (uint32_t i = 0; i < MCQ_SIM_SHOTS_MAX; i++) {
        if (op->file->stream == NULL || mcq_sim_stream_readable(op->file) == 0)
            return recv_nothing(op);
        if (!op->select)
            return recv_into(op);
        if (mcq_sim_blocks_empty(b) ||
            mcq_sim_strikes(mcq_sim.faults.enobufs, &mcq_sim.seen.enobufs))
            return end(op, -ENOBUFS);
        if (recv_block(op))
            return true;
    }
    return false;
}

/* --- sending ------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t sum, const uint8_t *at, size_t len)
{
    uint64_t word;
    for (; len >= sizeof(word); at += sizeof(word), len -= sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
        sum ^= sum >> 32;
    }
    for (; len != 0; at++, len--)
        sum = (sum ^ *at) * 0x100000001b3u;
    return sum;
}

static uint64_t mix_piece(uint64_t sum, const uint8_t *at, size_t len)
{
    if (len <= PIECE_WHOLE_MAX)
        return mix(sum, at, len);
    sum = mix(sum, at, PIECE_EDGE_LEN);
    size_t step = (len - 2 * PIECE_EDGE_LEN) / PIECE_SAMPLES;
    for (size_t i = 0; i < PIECE_SAMPLES; i++)
        sum = mix(sum, at + PIECE_EDGE_LEN + i * step, sizeof(uint64_t));
    return mix(sum, at + len - PIECE_EDGE_LEN, PIECE_EDGE_LEN);
}

static uint64_t sum_of(const struct mcq_sim_op *op)
{
    if (op->msg == NULL)
        return mix_piece(op->len, op->source, op->len);
    const struct iovec *iov = op->msg->msg_iov;
    uint64_t sum = op->msg->msg_iovlen;
    for (size_t i = 0; i < op->msg->msg_iovlen; i++)
        sum = mix_piece(sum ^ iov[i].iov_len, iov[i].iov_base, iov[i].iov_len);
    return sum;
}

void mcq_sim_transfer_watch(struct mcq_sim_op *op)
{
    op->watched =
        op->msg == NULL || op->msg->msg_iovlen <= PIECES_FEW || mcq_sim_below(WATCHED_ONE_IN) == 0;
    if (op->watched)
        op->sum = sum_of(op);
}

static size_t send_len(const struct mcq_sim_op *op)
{
    size_t len = 0;
    if (op->msg == NULL)
        return op->len;
    for (size_t i = 0; i < op->msg->msg_iovlen; i++)
        len += op->msg->msg_iov[i].iov_len;
    return len;
}

static void write_pieces(struct mcq_sim_op *op, size_t len)
{
    if (op->msg == NULL && len != 0) {
        mcq_sim_stream_write(op->file, op->source, len);
        return;
    }
    for (const struct iovec *v = op->msg->msg_iov; len != 0; v++) {
        size_t part = mcq_min(len, v->iov_len);
        if (part != 0)
            mcq_sim_stream_write(op->file, v->iov_base, part);
        len -= part;
    }
}

static bool try_send(struct mcq_sim_op *op)
{
    struct mcq_sim_file *f = op->file;
    if (f->error != 0)
        return end(op, -take_error(f));
    if (f->send_shut || f->stream == NULL)
        return end(op, -EPIPE);
    size_t room = mcq_sim_stream_room(f);
    if (room == 0)
        return false;
    if (op->watched && sum_of(op) != op->sum)
        mcq_sim_fail("process %u: what is sent on descriptor %d was changed in flight", op->process,
                     op->fd);
    size_t len = mcq_min(send_len(op), room);
    len = shortened(len, mcq_sim.faults.short_write, &mcq_sim.seen.short_writes);
    write_pieces(op, len);
    return end(op, (int32_t)len);
}

/* --- the rest ------------------------------------------------------------------------------ */

static bool try_read(struct mcq_sim_op *op)
{
    if (op->file->value == 0)
        return false;
    memcpy(op->ptr, &op->file->value, sizeof(op->file->value));
    op->file->value = 0;
    return end(op, (int32_t)sizeof(op->file->value));
}

bool mcq_sim_transfer_try(struct mcq_sim_op *op)
{
    switch (op->kind) {
    case MCQ_SIM_ACCEPT:
        return try_accept(op);
    case MCQ_SIM_CONNECT:
        return op->answered && end(op, op->res);
    case MCQ_SIM_RECV:
        return try_recv(op);
    case MCQ_SIM_SEND:
        return try_send(op);
    case MCQ_SIM_READ:
        return try_read(op);
    case MCQ_SIM_CANCEL:
        break;
    }
    return false;
}
