#include "tests/sim/socket.h"

#include <errno.h>

#include "tests/sim/machine.h"
#include "tests/sim/place.h"

#define SECOND_NS  1000000000ull
#define MS_NS      1000000ull
#define SYN_MAX    6u                /* tries, each twice as long after the one before */
#define LOST_NS    (127 * SECOND_NS) /* when Linux gives up a connect that isn't answered */
#define BACKLOG_NS 1000000ull        /* until a unix connect looks again for room */

/* Sequence numbers that stand for no byte, which Linux counts as unacknowledged (seen on 6.18). */
#define OUTQ_REFUSED    1u
#define OUTQ_TAKEN_BACK 3u

struct mcq_sim_file *mcq_sim_socket_take(int domain)
{
    struct mcq_sim_file *f = mcq_sim_file_take(MCQ_SIM_SOCKET);
    f->local.ss.ss_family = (sa_family_t)domain;
    f->local.len = sizeof(sa_family_t);
    return f;
}

int mcq_sim_socket_bind(struct mcq_sim_file *f, const struct mcq_addr *src)
{
    if (!mcq_sim_place_free(src))
        return -EADDRINUSE;
    f->local = *src;
    f->bound = true;
    return 0;
}

static bool is_local(const struct mcq_sim_file *f)
{
    return f->local.ss.ss_family == AF_UNIX;
}

/* --- listening ----------------------------------------------------------------------------- */

int mcq_sim_socket_listen(struct mcq_sim_file *f, const struct mcq_addr *addr, uint32_t backlog,
                          struct mcq_addr *bound)
{
    int err = mcq_sim_socket_reserve(f, addr, false, bound);
    if (err == 0)
        mcq_sim_socket_begin(f, backlog);
    return err;
}

int mcq_sim_socket_reserve(struct mcq_sim_file *f, const struct mcq_addr *addr, bool shared,
                           struct mcq_addr *bound)
{
    int err = mcq_sim_place_add(addr, f, shared, bound);
    if (err != 0)
        return err;
    f->placed = true;
    f->local = *bound;
    return 0;
}

void mcq_sim_socket_begin(struct mcq_sim_file *f, uint32_t backlog)
{
    f->state = MCQ_SIM_LISTENING;
    f->backlog = backlog;
}

struct mcq_sim_file *mcq_sim_socket_accept(struct mcq_sim_file *f)
{
    struct mcq_sim_file *child = f->first;
    if (child == NULL)
        return NULL;
    f->first = child->next;
    f->queued--;
    child->next = NULL;
    return child;
}

static void queue(struct mcq_sim_file *f, struct mcq_sim_file *child)
{
    if (f->first == NULL)
        f->first = child;
    else
        f->last->next = child;
    f->last = child;
    f->queued++;
    mcq_sim_op_wake(f);
}

/* Who was not accepted yet is reset. */
static void end_listener(struct mcq_sim_file *f)
{
    int err;
    const struct mcq_sim_file *other =
        f->first == NULL ? NULL : mcq_sim_place_find(&f->local, &err);
    mcq_sim.seen.orphans += other != NULL && !other->deaf;
    struct mcq_sim_file *child;
    while ((child = mcq_sim_socket_accept(f)) != NULL) {
        mcq_sim_stream_abort(child);
        mcq_sim_file_unref(child);
    }
}

/* --- connecting ---------------------------------------------------------------------------- */

static void answer(struct mcq_sim_op *op, int res)
{
    struct mcq_sim_file *f = op->file;
    if (res != 0 && f->state == MCQ_SIM_CONNECTING) {
        f->state = MCQ_SIM_CLOSED;
        f->outq = OUTQ_REFUSED;
    }
    op->res = res;
    op->answered = true;
    mcq_sim.seen.refusals += res != 0;
    mcq_sim_op_wake(f);
}

static void establish(struct mcq_sim_op *op, struct mcq_sim_file *listener)
{
    struct mcq_sim_file *f = op->file;
    struct mcq_sim_file *child = mcq_sim_socket_take(f->local.ss.ss_family);
    mcq_sim_place_source(&op->addr, f->bound, &f->local);
    f->peer = op->addr;
    child->opts = listener->opts;
    child->local = op->addr;
    child->peer = f->local;
    mcq_sim_stream_open(f, child);
    mcq_sim.seen.connects++;
    queue(listener, child);
    answer(op, 0);
}

static void on_syn(struct mcq_sim_event *e);

/* No room in the listener's queue: tcp drops the SYN, a unix connect waits. */
static void again(struct mcq_sim_op *op)
{
    uint64_t wait = is_local(op->file) ? BACKLOG_NS : SECOND_NS << op->tries++;
    if (op->tries > SYN_MAX)
        answer(op, -ETIMEDOUT);
    else
        mcq_sim_event_arm(&op->later, mcq_sim.now_ns + wait, on_syn);
}

static void on_syn(struct mcq_sim_event *e)
{
    struct mcq_sim_op *op = MCQ_CONTAINER_OF(e, struct mcq_sim_op, later);
    int err;
    if (op->file->state != MCQ_SIM_CONNECTING)
        return;
    struct mcq_sim_file *listener = mcq_sim_place_find(&op->addr, &err);
    if (listener == NULL)
        answer(op, err);
    else if (mcq_sim_strikes(mcq_sim.faults.refused, &mcq_sim.seen.refuseds))
        answer(op, -ECONNREFUSED);
    else if (listener->deaf || listener->queued > listener->backlog)
        again(op);
    else
        establish(op, listener);
}

static void on_lost(struct mcq_sim_event *e)
{
    struct mcq_sim_op *op = MCQ_CONTAINER_OF(e, struct mcq_sim_op, later);
    if (op->file->state == MCQ_SIM_CONNECTING)
        answer(op, -ETIMEDOUT);
}

void mcq_sim_socket_connect(struct mcq_sim_op *op)
{
    struct mcq_sim_file *f = op->file;
    uint64_t patience = f->opts.user_timeout_ms == 0 ? LOST_NS : f->opts.user_timeout_ms * MS_NS;
    if (f->state != MCQ_SIM_FRESH)
        mcq_sim_fail("process %u: connect of descriptor %d, which is no fresh socket",
                     mcq_sim.selected, op->fd);
    f->state = MCQ_SIM_CONNECTING;
    if (is_local(f))
        mcq_sim_event_arm(&op->later, mcq_sim.now_ns, on_syn);
    else if (mcq_sim_strikes(mcq_sim.faults.connect_lost, &mcq_sim.seen.connects_lost))
        mcq_sim_event_arm(&op->later, mcq_sim.now_ns + patience, on_lost);
    else
        mcq_sim_event_arm(&op->later, mcq_sim.now_ns + mcq_sim_hop(), on_syn);
}

/* --- ending -------------------------------------------------------------------------------- */

/* Linux takes a connect back with ECONNRESET. */
static void disconnect(struct mcq_sim_file *f)
{
    f->state = MCQ_SIM_CLOSED;
    f->error = ECONNRESET;
    f->outq = OUTQ_TAKEN_BACK;
    for (struct mcq_node *n = mcq_list_first(&f->ops); n != NULL; n = mcq_list_next(&f->ops, n)) {
        struct mcq_sim_op *op = MCQ_CONTAINER_OF(n, struct mcq_sim_op, on_file);
        if (op->kind != MCQ_SIM_CONNECT || op->answered)
            continue;
        mcq_sim_event_disarm(&op->later);
        op->res = -ECONNRESET;
        op->answered = true;
    }
    mcq_sim_op_wake(f);
}

bool mcq_sim_socket_shutdown(struct mcq_sim_file *f, bool both)
{
    switch (f->state) {
    case MCQ_SIM_CONNECTED:
        mcq_sim_stream_shut(f, both);
        return true;
    case MCQ_SIM_CONNECTING:
        disconnect(f);
        return true;
    case MCQ_SIM_LISTENING:
        mcq_sim_fail("process %u: shutdown of a listener", mcq_sim.selected);
    case MCQ_SIM_FRESH:
    case MCQ_SIM_CLOSED:
        f->send_shut = true;
        f->recv_shut |= both;
        mcq_sim_op_wake(f);
        return f->stream != NULL && is_local(f);
    }
    return false;
}

void mcq_sim_socket_end(struct mcq_sim_file *f)
{
    if (f->placed)
        mcq_sim_place_leave(f);
    if (f->state == MCQ_SIM_LISTENING)
        end_listener(f);
    else if (f->stream != NULL)
        mcq_sim_stream_leave(f);
}
