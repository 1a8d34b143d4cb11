/*
 * raw: what the kernel alone takes. A round trip is one send and one receive on each side, spinning
 * on non-blocking sockets or blocking; the stream is written in pieces of up to 256 KiB, of
 * messages one behind the other without anything between.
 */
#include "perf/peers/peer.h"
#include "perf/peers/raw_node.h"
#include "perf/peers/tcp.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STREAM_WRITE_LEN ((size_t)256 * 1024)

/* Reading into what stays in the first-level cache is the fastest and, above all, the steadiest. */
#define STREAM_READ_LEN ((size_t)32 * 1024)

static bool raw_prepare(struct perf_child *child, int fd, enum perf_idle idle)
{
    return idle == PERF_IDLE_BLOCK || perf_tcp_spin(child, fd);
}

static bool raw_echo(struct perf_child *child, const struct perf_rtt_job *job, int fd, void *body)
{
    uint64_t trips = perf_rtt_trips(job);
    for (uint64_t i = 0; i < trips; i++) {
        if (perf_tcp_recv_whole(child, fd, body, job->size) != PERF_TCP_OK ||
            perf_tcp_send_whole(child, fd, body, job->size) != PERF_TCP_OK) {
            return false;
        }
    }
    return true;
}

static bool raw_rtt_serve(struct perf_child *child, const struct perf_rtt_job *job)
{
    void *body = perf_child_alloc(child, job->size);
    int fd = body != NULL ? perf_tcp_serve_one(child, job->transport) : -1;
    bool ok = fd >= 0 && raw_prepare(child, fd, job->idle) && raw_echo(child, job, fd, body);
    if (fd >= 0) {
        close(fd);
    }
    free(body);
    return ok;
}

static bool raw_ask(struct perf_child *child, struct perf_rtt_meter *meter, int fd, void *body)
{
    perf_rtt_start(meter);
    do {
        perf_rtt_fill(meter, body);
        if (perf_tcp_send_whole(child, fd, body, meter->size) != PERF_TCP_OK ||
            perf_tcp_recv_whole(child, fd, body, meter->size) != PERF_TCP_OK) {
            return false;
        }
        if (!perf_rtt_check(meter, body, meter->size)) {
            return perf_child_fail(child, "a reply isn't the request that was sent");
        }
    } while (perf_rtt_trip(meter));
    return true;
}

static bool raw_rtt_run(struct perf_child *child, const struct perf_rtt_job *job,
                        struct perf_rtt_meter *meter)
{
    void *body = perf_rtt_body(child, meter);
    int fd = body != NULL ? perf_tcp_join(child) : -1;
    bool ok = fd >= 0 && raw_prepare(child, fd, job->idle) && raw_ask(child, meter, fd, body);
    if (fd >= 0) {
        close(fd);
    }
    free(body);
    return ok;
}

/* Checks what is whole and leaves the rest at the buffer's start. */
static bool raw_take(struct perf_rate_meter *meter, unsigned char *buffer, size_t *len,
                     uint64_t *msgs)
{
    unsigned char *at = buffer;
    size_t left = *len;
    bool ok = true;
    for (; ok && left >= meter->size; left -= meter->size, at += meter->size) {
        ok = perf_rate_take(meter, at, meter->size);
    }
    *msgs = (uint64_t)(at - buffer) / meter->size;
    if (at != buffer) {
        memmove(buffer, at, left);
    }
    *len = left;
    return ok;
}

static bool raw_count(struct perf_child *child, struct perf_rate_meter *meter, int fd,
                      unsigned char *buffer)
{
    size_t len = 0;
    uint64_t msgs = 0;
    do {
        size_t got = 0;
        if (perf_tcp_recv_some(child, fd, buffer + len, STREAM_READ_LEN, &got) != PERF_TCP_OK) {
            return false;
        }
        len += got;
        if (!raw_take(meter, buffer, &len, &msgs)) {
            return perf_rate_fault(child, meter);
        }
    } while (perf_rate_add(meter, msgs));
    return true;
}

static bool raw_rate_receive(struct perf_child *child, const struct perf_rate_job *job,
                             struct perf_rate_meter *meter)
{
    void *buffer = perf_child_alloc(child, STREAM_READ_LEN + job->size);
    int fd = buffer != NULL ? perf_tcp_serve_one(child, job->transport) : -1;
    bool ok = fd >= 0 && raw_count(child, meter, fd, buffer);
    if (fd >= 0) {
        close(fd);
    }
    free(buffer);
    return ok;
}

/* A block is messages made once, of which only the stamps change. */
static size_t block_make(const struct perf_rate_job *job, const void *body, unsigned char *block)
{
    size_t cnt = STREAM_WRITE_LEN / job->size;
    cnt = cnt == 0 ? 1 : cnt;
    for (size_t i = 0; i < cnt; i++) {
        memcpy(block + i * job->size, body, job->size);
    }
    return cnt;
}

static enum perf_tcp_end raw_flood(struct perf_child *child, const struct perf_rate_job *job,
                                   struct perf_rate_stamps *stamps, const void *body, int fd,
                                   unsigned char *block)
{
    enum perf_tcp_end end = PERF_TCP_OK;
    size_t cnt = block_make(job, body, block);
    while (end == PERF_TCP_OK && !perf_child_stopped(child)) {
        for (size_t i = 0; i < cnt; i++) {
            perf_rate_fill(stamps, block + i * job->size);
        }
        end = perf_tcp_send_whole(child, fd, block, cnt * job->size);
    }
    return end;
}

static bool raw_rate_send(struct perf_child *child, const struct perf_rate_job *job)
{
    struct perf_rate_stamps stamps;
    void *body = perf_rate_body(child, job, &stamps);
    void *block = body != NULL ? perf_child_alloc(child, STREAM_WRITE_LEN + job->size) : NULL;
    int fd = block != NULL ? perf_tcp_join(child) : -1;
    enum perf_tcp_end end =
        fd >= 0 ? raw_flood(child, job, &stamps, body, fd, block) : PERF_TCP_FAILED;
    if (fd >= 0) {
        close(fd);
    }
    free(block);
    free(body);
    return end != PERF_TCP_FAILED;
}

const struct perf_peer perf_peer_raw = {
    .name = "raw",
    .node = &perf_raw_node,
    .roles = PERF_ROLES_ALL,
    .transports = PERF_TRANSPORTS_ALL,
    .rtt_serve = raw_rtt_serve,
    .rtt_run = raw_rtt_run,
    .rate_receive = raw_rate_receive,
    .rate_send = raw_rate_send,
};
