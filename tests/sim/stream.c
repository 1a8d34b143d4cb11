#include "tests/sim/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/machine.h"
#include "tests/sim/raw.h"
#include "tests/sim/spare.h"

#define ACK_LATE_ONE_IN 8u
/* After so long without an answer Linux gives a connection up (tcp_retries2). */
#define GIVE_UP_NS 924600000000ull
#define SECOND_NS  1000000000ull
/* Its own keepalive, where only a part is set. */
#define KEEP_IDLE_S     7200u
#define KEEP_INTERVAL_S 75u
#define KEEP_CNT        9u
#define MS_NS           1000000ull

static struct mcq_sim_stream pool[MCQ_SIM_STREAMS_MAX];
static uint32_t pool_used;
static struct mcq_sim_stream *pool_free;
static uint64_t number_last;

static void give_bytes(struct mcq_sim_dir *d)
{
    if (d->bytes == NULL)
        return;
    mcq_sim_spare_give(d->class, d->bytes);
    d->bytes = NULL;
}

void mcq_sim_stream_reset(void)
{
    for (uint32_t i = 0; i < pool_used; i++) {
        give_bytes(&pool[i].dir[0]);
        give_bytes(&pool[i].dir[1]);
    }
    pool_used = 0;
    pool_free = NULL;
    number_last = 0;
}

/* --- life ---------------------------------------------------------------------------------- */

uint64_t mcq_sim_stream_cnt(void)
{
    return number_last;
}

/* A local direction is one buffer, the receiver's. */
static void init_dir(struct mcq_sim_stream *s, uint32_t from)
{
    struct mcq_sim_dir *d = &s->dir[from];
    uint32_t len = mcq_sim.faults.socket_buffer_bytes;
    uint32_t half = len == 0 ? MCQ_SIM_BUFFER_LEN / 2 : len < 2 ? 1 : len / 2;
    memset(d, 0, sizeof(*d));
    d->stream = s;
    d->from = from;
    d->progress_ns = mcq_sim.now_ns;
    d->send_max = half;
    d->recv_max = s->local ? 2 * half : half;
    d->class = 4;
    while (1u << d->class < 2 * half)
        d->class ++;
    d->mask = (1u << d->class) - 1;
}

static void join(struct mcq_sim_stream *s, uint32_t side, struct mcq_sim_file *f)
{
    init_dir(s, side);
    s->end[side] = f;
    f->stream = s;
    f->side = side;
    f->state = MCQ_SIM_CONNECTED;
}

void mcq_sim_stream_open(struct mcq_sim_file *a, struct mcq_sim_file *b)
{
    struct mcq_sim_stream *s = pool_free;
    if (s != NULL)
        pool_free = s->next_free;
    else if (pool_used < MCQ_SIM_STREAMS_MAX)
        s = &pool[pool_used++];
    else
        mcq_sim_fail("the simulation has more than %u streams", MCQ_SIM_STREAMS_MAX);
    s->local = a->local.ss.ss_family == AF_UNIX;
    s->dead = false;
    s->number = ++number_last;
    s->born_ns = mcq_sim.now_ns;
    join(s, 0, a);
    join(s, 1, b);
}

static void end_dir(struct mcq_sim_dir *d)
{
    mcq_sim_event_disarm(&d->deliver);
    mcq_sim_event_disarm(&d->ack);
    mcq_sim_event_disarm(&d->stall);
    mcq_sim_event_disarm(&d->reset);
    give_bytes(d);
}

static void free_stream(struct mcq_sim_stream *s)
{
    end_dir(&s->dir[0]);
    end_dir(&s->dir[1]);
    s->next_free = pool_free;
    pool_free = s;
}

static struct mcq_sim_dir *out_of(const struct mcq_sim_file *f)
{
    return &f->stream->dir[f->side];
}

static struct mcq_sim_dir *into(const struct mcq_sim_file *f)
{
    return &f->stream->dir[1 - f->side];
}

static void wake(struct mcq_sim_file *f)
{
    if (f != NULL)
        mcq_sim_op_wake(f);
}

/* --- resets -------------------------------------------------------------------------------- */

/* The socket learns that its connection is no more. */
static void reset_end(struct mcq_sim_file *f, int error)
{
    if (f == NULL || f->state != MCQ_SIM_CONNECTED)
        return;
    f->state = MCQ_SIM_CLOSED;
    f->error = error;
    f->recv_shut = true;
    f->send_shut = true;
    mcq_sim_event_disarm(&out_of(f)->deliver);
    mcq_sim_event_disarm(&out_of(f)->ack);
    mcq_sim_event_disarm(&out_of(f)->stall);
    mcq_sim_event_disarm(&into(f)->deliver);
    wake(f);
}

static uint64_t on_way(const struct mcq_sim_dir *d)
{
    return d->written - d->lost - d->arrived;
}

static void move(struct mcq_sim_dir *d)
{
    uint64_t room = d->recv_max - (d->arrived - d->read);
    d->arrived += mcq_min_u64(on_way(d), room);
}

static void on_reset(struct mcq_sim_event *e)
{
    struct mcq_sim_dir *d = MCQ_CONTAINER_OF(e, struct mcq_sim_dir, reset);
    struct mcq_sim_stream *s = d->stream;
    struct mcq_sim_file *to = s->end[1 - d->from];
    if (to == NULL || s->dead)
        return;
    move(d);
    reset_end(to, d->fin_arrived ? EPIPE : ECONNRESET);
}

/* A RST goes out behind some of what is on its way; the rest is lost. */
static void send_reset(struct mcq_sim_stream *s, uint32_t from)
{
    struct mcq_sim_dir *d = &s->dir[from];
    if (s->end[1 - from] == NULL || s->dead || mcq_sim_event_armed(&d->reset))
        return;
    if (s->local) {
        reset_end(s->end[1 - from], ECONNRESET);
        return;
    }
    d->lost += mcq_sim_below(on_way(d) + 1);
    uint64_t at = mcq_sim.now_ns + mcq_sim_hop();
    if (mcq_sim_event_armed(&d->deliver) && d->deliver.at_ns > at)
        at = d->deliver.at_ns;
    mcq_sim_event_arm(&d->reset, at, on_reset);
}

/* Somebody on the way resets both. */
static void cut(struct mcq_sim_stream *s, uint32_t first)
{
    send_reset(s, first);
    reset_end(s->end[first], ECONNRESET);
}

/* --- silence ------------------------------------------------------------------------------- */

static bool is_waiting(const struct mcq_sim_dir *d)
{
    return d->written != d->acked || d->fin != d->fin_acked;
}

static uint64_t or_else(uint32_t value, uint32_t other)
{
    return value == 0 ? other : value;
}

/* 0: it isn't on. */
static uint64_t keepalive_ns(const struct mcq_sockopts *o)
{
    if ((o->keepalive_idle_s | o->keepalive_interval_s | o->keepalive_cnt) == 0)
        return 0;
    return (or_else(o->keepalive_idle_s, KEEP_IDLE_S) +
            or_else(o->keepalive_interval_s, KEEP_INTERVAL_S) *
                or_else(o->keepalive_cnt, KEEP_CNT)) *
           SECOND_NS;
}

/* How long the sending socket waits for progress; 0: for ever. */
static uint64_t patience_ns(const struct mcq_sim_dir *d)
{
    const struct mcq_sockopts *o = &d->stream->end[d->from]->opts;
    if (is_waiting(d))
        return o->user_timeout_ms != 0 ? o->user_timeout_ms * MS_NS
               : d->stream->dead       ? GIVE_UP_NS
                                       : 0;
    return d->stream->dead ? keepalive_ns(o) : 0;
}

static void watch(struct mcq_sim_dir *d);

static void on_stall(struct mcq_sim_event *e)
{
    struct mcq_sim_dir *d = MCQ_CONTAINER_OF(e, struct mcq_sim_dir, stall);
    struct mcq_sim_file *f = d->stream->end[d->from];
    uint64_t patience = patience_ns(d);
    if (patience == 0)
        return; /* what was waited for has come */
    if (mcq_sim.now_ns < d->progress_ns + patience) {
        watch(d);
        return;
    }
    mcq_sim.seen.timeouts++;
    send_reset(d->stream, d->from);
    reset_end(f, ETIMEDOUT);
}

/* Sees to it that a stall ends. */
static void watch(struct mcq_sim_dir *d)
{
    const struct mcq_sim_file *f = d->stream->end[d->from];
    if (f == NULL || f->state != MCQ_SIM_CONNECTED || mcq_sim_event_armed(&d->stall))
        return;
    uint64_t patience = patience_ns(d);
    if (patience != 0)
        mcq_sim_event_arm(&d->stall, d->progress_ns + patience, on_stall);
}

void mcq_sim_stream_watch(struct mcq_sim_file *f)
{
    watch(out_of(f));
}

static void die(struct mcq_sim_stream *s)
{
    s->dead = true;
    for (uint32_t i = 0; i < 2; i++) {
        mcq_sim_event_disarm(&s->dir[i].deliver);
        mcq_sim_event_disarm(&s->dir[i].ack);
        mcq_sim_event_disarm(&s->dir[i].stall);
        watch(&s->dir[i]);
    }
}

/* --- delivery ------------------------------------------------------------------------------ */

/* The sender learns what has arrived. */
static void acknowledge(struct mcq_sim_dir *d)
{
    d->acked = d->arrived;
    d->fin_acked = d->fin_arrived;
    d->progress_ns = mcq_sim.now_ns;
    wake(d->stream->end[d->from]);
}

static void on_ack(struct mcq_sim_event *e)
{
    acknowledge(MCQ_CONTAINER_OF(e, struct mcq_sim_dir, ack));
}

/* Most acknowledgements are as good as there with what they are for. */
static void answer(struct mcq_sim_dir *d)
{
    if (d->stream->local || mcq_sim_below(ACK_LATE_ONE_IN) != 0)
        acknowledge(d);
    else if (!mcq_sim_event_armed(&d->ack))
        mcq_sim_event_arm(&d->ack, mcq_sim.now_ns + mcq_sim_hop(), on_ack);
}

/* Nobody is there any more. */
static void arrive_nowhere(struct mcq_sim_dir *d)
{
    if (on_way(d) != 0) {
        mcq_sim.seen.aborts++;
        send_reset(d->stream, 1 - d->from);
    } else if (d->fin) {
        d->fin_arrived = true;
        answer(d);
    }
}

static void arrive_fin(struct mcq_sim_dir *d)
{
    struct mcq_sim_stream *s = d->stream;
    d->fin_arrived = true;
    if (s->local || !s->dir[1 - d->from].fin_arrived)
        return;
    for (uint32_t i = 0; i < 2; i++)
        if (s->end[i] != NULL)
            s->end[i]->state = MCQ_SIM_CLOSED;
}

static void arrive(struct mcq_sim_dir *d)
{
    struct mcq_sim_stream *s = d->stream;
    struct mcq_sim_file *to = s->end[1 - d->from];
    if (to == NULL) {
        arrive_nowhere(d);
        return;
    }
    /* Linux answers data for a socket that is shut both ways with a reset. */
    if (to->recv_shut && to->send_shut && on_way(d) != 0 && !s->local) {
        mcq_sim.seen.aborts++;
        send_reset(s, to->side);
        reset_end(to, ECONNRESET);
        return;
    }
    move(d);
    if (d->fin && !d->fin_arrived && on_way(d) == 0)
        arrive_fin(d);
    wake(to);
    answer(d);
}

static void on_deliver(struct mcq_sim_event *e)
{
    struct mcq_sim_dir *d = MCQ_CONTAINER_OF(e, struct mcq_sim_dir, deliver);
    const struct mcq_sim_faults *faults = &mcq_sim.faults;
    mcq_sim_note(d->written);
    if (mcq_sim_strikes(faults->reset, &mcq_sim.seen.resets))
        cut(d->stream, (uint32_t)mcq_sim_below(2));
    else if (mcq_sim_strikes(faults->half_open, &mcq_sim.seen.half_opens))
        die(d->stream);
    else
        arrive(d);
}

static bool has_news(const struct mcq_sim_dir *d)
{
    if (on_way(d) != 0)
        return d->arrived - d->read < d->recv_max || d->stream->end[1 - d->from] == NULL;
    return d->fin && !d->fin_arrived;
}

static void schedule(struct mcq_sim_dir *d)
{
    if (d->stream->local) {
        arrive(d);
        return;
    }
    if (d->stream->dead || mcq_sim_event_armed(&d->deliver) || !has_news(d))
        return;
    mcq_sim_event_arm(&d->deliver, mcq_sim.now_ns + mcq_sim_hop(), on_deliver);
}

void mcq_sim_stream_hurry(struct mcq_sim_file *f)
{
    struct mcq_sim_dir *d = into(f);
    if (!mcq_sim_event_armed(&d->deliver))
        return;
    mcq_sim_event_disarm(&d->deliver);
    arrive(d);
}

/* --- for sockets --------------------------------------------------------------------------- */

size_t mcq_sim_stream_readable(const struct mcq_sim_file *f)
{
    const struct mcq_sim_dir *d = into(f);
    return d->arrived - d->read;
}

bool mcq_sim_stream_ended(const struct mcq_sim_file *f)
{
    const struct mcq_sim_dir *d = into(f);
    return d->fin_arrived && d->arrived == d->read;
}

void mcq_sim_stream_read(struct mcq_sim_file *f, void *ptr, size_t len)
{
    struct mcq_sim_dir *d = into(f);
    uint32_t at = (uint32_t)d->read & d->mask;
    size_t part = mcq_min(len, d->mask + 1 - at);
    mcq_sim_raw_copy(ptr, d->bytes + at, part);
    mcq_sim_raw_copy((uint8_t *)ptr + part, d->bytes, len - part);
    d->read += len;
    mcq_sim.seen.bytes += len;
    if (d->stream->local)
        wake(d->stream->end[d->from]);
    else if (f->state == MCQ_SIM_CONNECTED)
        schedule(d);
}

size_t mcq_sim_stream_room(const struct mcq_sim_file *f)
{
    const struct mcq_sim_dir *d = out_of(f);
    return d->stream->local ? d->recv_max - (d->written - d->read)
                            : d->send_max - (d->written - d->acked);
}

bool mcq_sim_stream_roomy(const struct mcq_sim_file *f)
{
    size_t room = mcq_sim_stream_room(f);
    return room != 0 && room >= out_of(f)->send_max / 3;
}

void mcq_sim_stream_write(struct mcq_sim_file *f, const void *ptr, size_t len)
{
    struct mcq_sim_dir *d = out_of(f);
    uint32_t at = (uint32_t)d->written & d->mask;
    size_t part = mcq_min(len, d->mask + 1 - at);
    if (d->bytes == NULL)
        d->bytes = mcq_sim_spare_take(d->class);
    if (!is_waiting(d))
        d->progress_ns = mcq_sim.now_ns;
    memcpy(d->bytes + at, ptr, part);
    memcpy(d->bytes, (const uint8_t *)ptr + part, len - part);
    d->written += len;
    watch(d);
    schedule(d);
}

void mcq_sim_stream_shut(struct mcq_sim_file *f, bool both)
{
    struct mcq_sim_dir *d = out_of(f);
    struct mcq_sim_file *other = f->stream->end[1 - f->side];
    f->send_shut = true;
    f->recv_shut |= both;
    if (!d->fin && f->state == MCQ_SIM_CONNECTED) {
        if (!is_waiting(d))
            d->progress_ns = mcq_sim.now_ns;
        d->fin = true;
        watch(d);
        schedule(d);
    }
    if (both && f->stream->local && other != NULL) {
        other->send_shut = true;
        wake(other);
    }
    wake(f);
}

uint64_t mcq_sim_stream_unacked(const struct mcq_sim_file *f)
{
    const struct mcq_sim_dir *d = out_of(f);
    return d->written - d->acked + (d->fin && !d->fin_acked);
}

void mcq_sim_stream_abort(struct mcq_sim_file *f)
{
    mcq_sim.seen.aborts++;
    send_reset(f->stream, f->side);
    reset_end(f, ECONNRESET);
}

static void leave_open(struct mcq_sim_file *f)
{
    struct mcq_sim_stream *s = f->stream;
    struct mcq_sim_file *other = s->end[1 - f->side];
    if (into(f)->arrived != into(f)->read) {
        mcq_sim_stream_abort(f);
        return;
    }
    mcq_sim_stream_shut(f, false);
    if (s->local && other != NULL) {
        other->send_shut = true;
        wake(other);
    }
}

void mcq_sim_stream_leave(struct mcq_sim_file *f)
{
    struct mcq_sim_stream *s = f->stream;
    if (f->state == MCQ_SIM_CONNECTED)
        leave_open(f);
    mcq_sim_event_disarm(&out_of(f)->stall);
    f->stream = NULL;
    s->end[f->side] = NULL;
    if (s->end[1 - f->side] == NULL)
        free_stream(s);
}
