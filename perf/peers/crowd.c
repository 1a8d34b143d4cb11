#include "perf/peers/crowd.h"

#include "perf/peers/files.h"
#include "perf/peers/tcp.h"
#include "perf/run/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What stays in the first-level cache is read fastest and steadiest. */
#define READ_LEN ((size_t)32 * 1024)

/* Queued before a send begins by itself: more would be cold when it is sent. */
#define FLUSH_LEN ((size_t)64 * 1024)

/* Queued per connection when the workload has no limit in messages: at least some of any size. */
#define OUT_MAX_DEFAULT ((size_t)256 * 1024)
#define OUT_MSGS_MIN    4u

static bool is_binder(const struct perf_crowd *crowd)
{
    return crowd->node->spec.binds;
}

static uint64_t token_of(const struct perf_crowd *crowd, const struct perf_stream *stream)
{
    return is_binder(crowd) ? (uint64_t)stream->life << 32 | stream->idx : stream->idx;
}

static struct perf_stream *stream_of(struct perf_crowd *crowd, uint64_t conn)
{
    uint32_t idx = !is_binder(crowd) && crowd->cap == 1 ? 0 : (uint32_t)conn;
    uint32_t life = is_binder(crowd) ? (uint32_t)(conn >> 32) : 0;
    if (idx >= crowd->used) {
        return NULL;
    }
    struct perf_stream *stream = &crowd->streams[idx];
    return stream->fd < 0 || stream->ended || stream->life != life ? NULL : stream;
}

/* --- receiving ---------------------------------------------------------------------------------
 */

static void on_whole(void *ctx, struct perf_stream *stream, const void *message)
{
    struct perf_crowd *crowd = ctx;
    const struct perf_node_spec *spec = &crowd->node->spec;
    crowd->came_cnt++;
    spec->arrived(spec->ctx, token_of(crowd, stream), message, spec->size);
}

void perf_crowd_take(struct perf_crowd *crowd, struct perf_stream *stream, const void *data,
                     size_t len)
{
    if (!crowd->sends_only &&
        !perf_stream_feed(stream, crowd->node->spec.size, data, len, on_whole, crowd)) {
        perf_child_fail(crowd->node->child, "no memory for a message");
        crowd->failed = true;
    }
}

void perf_crowd_read(struct perf_crowd *crowd, struct perf_stream *stream)
{
    /* The rest of a message that is larger than the buffer goes where its beginning is. */
    size_t size = crowd->node->spec.size;
    bool large = stream->part_len > 0 && size - stream->part_len > READ_LEN;
    unsigned char *to = large ? stream->part + stream->part_len : crowd->buffer;
    ssize_t got = recv(stream->fd, to, large ? size - stream->part_len : READ_LEN, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        perf_crowd_end(crowd, stream);
    } else if (got > 0 && large && (size_t)got < size - stream->part_len) {
        stream->part_len += (size_t)got;
    } else if (got > 0 && large) {
        stream->part_len = 0;
        on_whole(crowd, stream, stream->part);
    } else if (got > 0) {
        perf_crowd_take(crowd, stream, to, (size_t)got);
    }
}

/* --- sending -----------------------------------------------------------------------------------
 */

void perf_crowd_room(struct perf_crowd *crowd, struct perf_stream *stream)
{
    if (stream->full && perf_queue_len(&stream->out) + crowd->node->spec.size <= crowd->out_max) {
        stream->full = false;
        crowd->came_cnt++;
    }
}

static void blocked_set(struct perf_crowd *crowd, struct perf_stream *stream, bool blocked)
{
    crowd->blocked_cnt += (uint32_t)blocked - (uint32_t)stream->blocked;
    stream->blocked = blocked;
}

void perf_crowd_write(struct perf_crowd *crowd, struct perf_stream *stream)
{
    size_t len = perf_queue_len(&stream->out);
    if (len == 0 || stream->ended) {
        return;
    }
    ssize_t sent = send(stream->fd, stream->out.data + stream->out.begin, len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        perf_crowd_end(crowd, stream);
        return;
    }
    perf_queue_drop(&stream->out, sent < 0 ? 0 : (size_t)sent);
    blocked_set(crowd, stream, sent < 0 || (size_t)sent < len);
    perf_crowd_room(crowd, stream);
}

static void flush(struct perf_crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->dirty_cnt; i++) {
        struct perf_stream *stream = &crowd->streams[crowd->dirty[i]];
        stream->dirty = false;
        if (!stream->blocked && !stream->ended) {
            crowd->ops->flush(crowd, stream);
        }
    }
    crowd->dirty_cnt = 0;
}

static bool has_room(struct perf_crowd *crowd, struct perf_stream *stream)
{
    size_t need = crowd->node->spec.size;
    if (perf_queue_len(&stream->out) + need > crowd->out_max && !stream->blocked) {
        crowd->ops->flush(crowd, stream);
    }
    stream->full = perf_queue_len(&stream->out) + need > crowd->out_max;
    return !stream->full;
}

static void dirty_set(struct perf_crowd *crowd, struct perf_stream *stream)
{
    if (!stream->dirty) {
        stream->dirty = true;
        crowd->dirty[crowd->dirty_cnt++] = stream->idx;
    }
}

static enum perf_put put(struct perf_crowd *crowd, struct perf_stream *stream, const void *data,
                         size_t len)
{
    if (!has_room(crowd, stream)) {
        return PERF_PUT_FULL;
    }
    if (stream->ended) {
        return PERF_PUT_GONE;
    }
    if (!perf_queue_put(&stream->out, data, len, crowd->out_max)) {
        perf_child_fail(crowd->node->child, "no memory for a message");
        crowd->failed = true;
        return PERF_PUT_FULL;
    }
    dirty_set(crowd, stream);
    if (perf_queue_len(&stream->out) >= FLUSH_LEN && !stream->blocked) {
        crowd->ops->flush(crowd, stream);
    }
    return PERF_PUT_OK;
}

static enum perf_put publish(struct perf_crowd *crowd, const void *data, size_t len)
{
    bool room = true;
    for (uint32_t i = 0; i < crowd->live_cnt && !crowd->node->spec.drops; i++) {
        struct perf_stream *stream = &crowd->streams[crowd->live[i]];
        room = (stream->ended || has_room(crowd, stream)) && room;
    }
    for (uint32_t i = 0; i < crowd->live_cnt && room; i++) {
        struct perf_stream *stream = &crowd->streams[crowd->live[i]];
        if (!stream->ended && put(crowd, stream, data, len) == PERF_PUT_FULL) {
            stream->full = false; /* nobody waits for it */
        }
    }
    return room ? PERF_PUT_OK : PERF_PUT_FULL;
}

/* To the next that has room. */
static enum perf_put share(struct perf_crowd *crowd, const void *data, size_t len)
{
    for (uint32_t i = 0; i < crowd->live_cnt; i++) {
        struct perf_stream *stream = &crowd->streams[crowd->live[crowd->turn++ % crowd->live_cnt]];
        if (!stream->ended && put(crowd, stream, data, len) == PERF_PUT_OK) {
            return PERF_PUT_OK;
        }
    }
    return PERF_PUT_FULL;
}

enum perf_put perf_crowd_send(struct perf_crowd *crowd, uint64_t conn, const void *data, size_t len)
{
    enum perf_role role = crowd->node->spec.role;
    if (role == PERF_ROLE_PUB) {
        return publish(crowd, data, len);
    }
    if (is_binder(crowd) && role != PERF_ROLE_SERVER) {
        return share(crowd, data, len);
    }
    struct perf_stream *stream = stream_of(crowd, conn);
    return stream == NULL ? PERF_PUT_GONE : put(crowd, stream, data, len);
}

/* --- connections -------------------------------------------------------------------------------
 */

bool perf_crowd_add(struct perf_crowd *crowd, int fd)
{
    if (crowd->vacant_cnt == 0 && crowd->used == crowd->cap) {
        close(fd);
        return true;
    }
    uint32_t idx = crowd->vacant_cnt > 0 ? crowd->vacant[--crowd->vacant_cnt] : crowd->used++;
    struct perf_stream *stream = &crowd->streams[idx];
    stream->idx = idx;
    stream->fd = fd;
    crowd->live[crowd->live_cnt++] = idx;
    crowd->node->up_cnt++;
    /* A PUSH that binds and had nobody to send to has somebody now. */
    crowd->came_cnt += is_binder(crowd) && crowd->node->spec.role == PERF_ROLE_PUSH;
    return crowd->ops->added == NULL || crowd->ops->added(crowd, stream);
}

bool perf_crowd_accept(struct perf_crowd *crowd)
{
    int flags = SOCK_CLOEXEC | (crowd->ops->fds_block ? 0 : SOCK_NONBLOCK);
    int fd;
    while ((fd = accept4(crowd->listener, NULL, NULL, flags)) >= 0) {
        if (!perf_crowd_add(crowd, fd)) {
            return false;
        }
    }
    /* A connection that ended before it was accepted isn't the listener's fault. */
    return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED ||
           perf_child_fail_os(crowd->node->child, "accepting a connection");
}

void perf_crowd_end(struct perf_crowd *crowd, struct perf_stream *stream)
{
    if (stream->ended) {
        return;
    }
    blocked_set(crowd, stream, false);
    stream->ended = true;
    crowd->ended_cnt++;
    crowd->node->up_cnt--;
    crowd->node->gone_cnt++;
    /* Whoever waits for an answer, or for room, learns that there will be none. */
    crowd->came_cnt++;
    stream->full = false;
}

static void reap(struct perf_crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->live_cnt && crowd->ended_cnt > 0;) {
        struct perf_stream *stream = &crowd->streams[crowd->live[i]];
        if (!stream->ended || (crowd->ops->leaves != NULL && !crowd->ops->leaves(crowd, stream))) {
            i++;
            continue;
        }
        crowd->live[i] = crowd->live[--crowd->live_cnt];
        perf_stream_fini(stream);
        crowd->ended_cnt--;
        /* Of one that connects, an index stays what it was. */
        if (is_binder(crowd)) {
            crowd->vacant[crowd->vacant_cnt++] = stream->idx;
        }
    }
}

struct timespec perf_crowd_left(const struct perf_crowd *crowd, uint64_t until_ns)
{
    uint64_t now_ns = until_ns == 0 || crowd->node->spec.spin ? until_ns : perf_clock_ns();
    uint64_t left_ns = now_ns < until_ns ? until_ns - now_ns : 0;
    return (struct timespec){.tv_sec = (time_t)(left_ns / PERF_SECOND_NS),
                             .tv_nsec = (long)(left_ns % PERF_SECOND_NS)};
}

bool perf_crowd_poll(struct perf_crowd *crowd, uint64_t until_ns, perf_turn_fn *turn)
{
    uint64_t came_cnt = crowd->came_cnt;
    flush(crowd);
    do {
        if (!turn(crowd, crowd->came_cnt == came_cnt ? until_ns : 0)) {
            return false;
        }
        flush(crowd);
        if (crowd->ended_cnt > 0) {
            reap(crowd);
        }
    } while (!crowd->failed && crowd->came_cnt == came_cnt && until_ns != 0 &&
             perf_clock_ns() < until_ns);
    return !crowd->failed;
}

/* --- opening and closing -----------------------------------------------------------------------
 */

static bool room_make(struct perf_crowd *crowd)
{
    const struct perf_node_spec *spec = &crowd->node->spec;
    size_t msgs = OUT_MAX_DEFAULT / spec->size;
    msgs = spec->hwm != 0 ? spec->hwm : msgs < OUT_MSGS_MIN ? OUT_MSGS_MIN : msgs;
    crowd->out_max = msgs * spec->size;
    crowd->cap = spec->binds ? PERF_NODE_CONNS_MAX : spec->conns;
    crowd->streams = calloc(crowd->cap, sizeof *crowd->streams);
    crowd->live = calloc(crowd->cap, sizeof *crowd->live);
    crowd->vacant = calloc(crowd->cap, sizeof *crowd->vacant);
    crowd->dirty = calloc(crowd->cap, sizeof *crowd->dirty);
    crowd->buffer = malloc(READ_LEN);
    return (crowd->streams != NULL && crowd->live != NULL && crowd->vacant != NULL &&
            crowd->dirty != NULL && crowd->buffer != NULL) ||
           perf_child_fail(crowd->node->child, "no memory for a node");
}

/* What a listener has set, what it accepts has, too; unix sockets have no such thing. */
static void nodelay_set(int listener)
{
    int on = 1;
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static bool listener_open(struct perf_crowd *crowd)
{
    struct perf_node *n = crowd->node;
    char own[PERF_ENDPOINT_MAX];
    perf_endpoint_own(n->spec.transport, own);
    const char *asked = n->spec.endpoint != NULL ? n->spec.endpoint : own;
    crowd->listener = perf_tcp_listen(n->child, asked, n->endpoint);
    if (crowd->listener < 0) {
        return false;
    }
    nodelay_set(crowd->listener);
    return crowd->ops->fds_block || perf_tcp_spin(n->child, crowd->listener);
}

static bool all_connect(struct perf_crowd *crowd)
{
    struct perf_node *n = crowd->node;
    for (uint32_t i = 0; i < n->spec.conns; i++) {
        int fd = perf_tcp_connect(n->child, n->spec.endpoint);
        if (fd < 0) {
            return false;
        }
        if (!perf_crowd_add(crowd, fd) ||
            (!crowd->ops->fds_block && !perf_tcp_spin(n->child, fd))) {
            return false;
        }
    }
    return true;
}

bool perf_crowd_open(struct perf_crowd *crowd, struct perf_node *n,
                     const struct perf_crowd_ops *ops)
{
    crowd->node = n;
    crowd->ops = ops;
    crowd->listener = -1;
    crowd->sends_only = n->spec.role == PERF_ROLE_PUSH || n->spec.role == PERF_ROLE_PUB;
    n->spec.conns = n->spec.conns == 0 ? 1 : n->spec.conns;
    return perf_files_allow(n->child, n->spec.conns) && room_make(crowd) &&
           (n->spec.binds ? listener_open(crowd) : all_connect(crowd));
}

/* Tcp: a reset, so that no port waits for stragglers: thousands of them, run after run, would use
 * up all there are. */
static void stream_reset(struct perf_stream *stream)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    perf_stream_fini(stream);
}

static void listener_close(struct perf_crowd *crowd)
{
    static const char scheme[] = "ipc://";
    const char *endpoint = crowd->node->endpoint;
    close(crowd->listener);
    if (strncmp(endpoint, scheme, sizeof scheme - 1) == 0 && endpoint[sizeof scheme - 1] == '/') {
        unlink(endpoint + sizeof scheme - 1);
    }
}

void perf_crowd_close(struct perf_crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->live_cnt; i++) {
        stream_reset(&crowd->streams[crowd->live[i]]);
    }
    if (crowd->listener >= 0) {
        listener_close(crowd);
    }
    free(crowd->streams);
    free(crowd->live);
    free(crowd->vacant);
    free(crowd->dirty);
    free(crowd->buffer);
}
