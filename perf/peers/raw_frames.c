/*
 * raw-frames: what ZMTP framing over bare sockets takes, and nothing else. The sender copies each
 * message behind its frame header into a block and sends blocks of up to 256 KiB; the receiver
 * reads what there is and walks it frame by frame. No patterns, no callbacks, no queues.
 */
#include "perf/peers/peer.h"
#include "perf/peers/tcp.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_LEN ((size_t)256 * 1024)

/* What stays in the first-level cache is read fastest and steadiest. */
#define READ_LEN ((size_t)32 * 1024)

#define SHORT_BODY_MAX   255u
#define FLAG_LONG        0x02u
#define SHORT_HEADER_LEN 2u
#define LONG_HEADER_LEN  9u

static size_t header_len(size_t body_len)
{
    return body_len <= SHORT_BODY_MAX ? SHORT_HEADER_LEN : LONG_HEADER_LEN;
}

static size_t block_len(size_t body_len)
{
    size_t frame = header_len(body_len) + body_len;
    return frame > BLOCK_LEN ? frame : BLOCK_LEN;
}

static unsigned char *frame_write(unsigned char *to, const unsigned char *body, size_t len)
{
    if (len <= SHORT_BODY_MAX) {
        *to++ = 0;
        *to++ = (unsigned char)len;
    } else {
        uint64_t wire = __builtin_bswap64(len);
        *to++ = FLAG_LONG;
        memcpy(to, &wire, sizeof wire);
        to += sizeof wire;
    }
    memcpy(to, body, len);
    return to + len;
}

static size_t block_build(unsigned char *block, struct perf_rate_stamps *stamps,
                          unsigned char *body, size_t len)
{
    size_t frame = header_len(len) + len;
    unsigned char *to = block;
    for (size_t cnt = block_len(len) / frame; cnt > 0; cnt--) {
        perf_rate_fill(stamps, body);
        to = frame_write(to, body, len);
    }
    return (size_t)(to - block);
}

static bool frames_rate_send(struct perf_child *child, const struct perf_rate_job *job)
{
    struct perf_rate_stamps stamps;
    unsigned char *block = perf_child_alloc(child, block_len(job->size));
    unsigned char *body = block != NULL ? perf_rate_body(child, job, &stamps) : NULL;
    int fd = body != NULL ? perf_tcp_join(child) : -1;
    enum perf_tcp_end end = fd >= 0 ? PERF_TCP_OK : PERF_TCP_FAILED;
    while (end == PERF_TCP_OK && !perf_child_stopped(child)) {
        size_t len = block_build(block, &stamps, body, job->size);
        end = perf_tcp_send_whole(child, fd, block, len);
    }
    if (fd >= 0) {
        close(fd);
    }
    free(body);
    free(block);
    return end != PERF_TCP_FAILED;
}

/* Length of the header at `at`, 0 while it is incomplete; the body's length goes to *body_len. */
static size_t header_read(const unsigned char *at, size_t left, uint64_t *body_len)
{
    if (left >= SHORT_HEADER_LEN && at[0] == 0) {
        *body_len = at[1];
        return SHORT_HEADER_LEN;
    }
    if (left >= LONG_HEADER_LEN) {
        uint64_t wire;
        memcpy(&wire, at + 1, sizeof wire);
        *body_len = at[0] == FLAG_LONG ? __builtin_bswap64(wire) : UINT64_MAX;
        return LONG_HEADER_LEN;
    }
    return 0;
}

/* Takes the whole frames and leaves what is begun at the buffer's start. False: one isn't what was
 * sent. */
static bool frames_take(struct perf_rate_meter *meter, unsigned char *buffer, size_t *len,
                        uint64_t *msgs)
{
    unsigned char *at = buffer;
    size_t left = *len, header;
    uint64_t announced = 0;
    *msgs = 0;
    while ((header = header_read(at, left, &announced)) != 0) {
        if (announced != meter->size) {
            return false;
        }
        if (left - header < meter->size) {
            break;
        }
        if (!perf_rate_take(meter, at + header, meter->size)) {
            return false;
        }
        at += header + meter->size;
        left -= header + meter->size;
        ++*msgs;
    }
    if (at != buffer) {
        memmove(buffer, at, left);
    }
    *len = left;
    return true;
}

static bool frames_count(struct perf_child *child, struct perf_rate_meter *meter, int fd,
                         unsigned char *buffer)
{
    size_t len = 0;
    uint64_t msgs = 0;
    do {
        size_t got = 0;
        if (perf_tcp_recv_some(child, fd, buffer + len, READ_LEN, &got) != PERF_TCP_OK) {
            return false;
        }
        len += got;
        if (!frames_take(meter, buffer, &len, &msgs)) {
            return perf_rate_fault(child, meter);
        }
    } while (perf_rate_add(meter, msgs));
    return true;
}

static bool frames_rate_receive(struct perf_child *child, const struct perf_rate_job *job,
                                struct perf_rate_meter *meter)
{
    unsigned char *buffer = perf_child_alloc(child, READ_LEN + LONG_HEADER_LEN + job->size);
    int fd = buffer != NULL ? perf_tcp_serve_one(child, job->transport) : -1;
    bool ok = fd >= 0 && frames_count(child, meter, fd, buffer);
    if (fd >= 0) {
        close(fd);
    }
    free(buffer);
    return ok;
}

const struct perf_peer perf_peer_raw_frames = {
    .name = "raw-frames",
    .transports = PERF_TRANSPORTS_ALL,
    .rate_receive = frames_rate_receive,
    .rate_send = frames_rate_send,
};
