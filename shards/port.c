/* RAW: atomics, a mutex, eventfds and calloc; sound by the handshake of port.h, and because a
 * port's fields belong to the side they are named after. */
#include "shards/port.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "mem/detail.h"
#include "mem/fence.h"
#include "mem/slice.h"
#include "runtime/net.h"
#include "shards/shard.h"
#include "shards/spsc.h"

#define RING_LEN 65536u /* bytes, by default */
#define NS       1000000000u

struct mcq_port_end {
    struct mcq_spsc_rx rx;
    struct mcq_spsc_tx tx;
    struct mcq_shard *shard;
    struct mcq_node node;
    void *user;
    bool dirty;   /* has unpublished replies */
    bool refused; /* a reply found no room */
    bool over;    /* inside `closed` */
};

struct mcq_port {
    /* the thread's */
    struct mcq_spsc_rx rx;
    struct mcq_spsc_tx tx;
    struct mcq_mailbox *mailbox;
    int fd;
    bool refused; /* a send found no room */
    void *rings;  /* memory of both */
    /* each written by one side, read by the other */
    _Alignas(MCQ_SPSC_APART) bool closing; /* the thread has sent its last */
    _Alignas(MCQ_SPSC_APART) bool sleeps;  /* the thread, or is about to */
    bool gone;                             /* the shard lets go */
    bool done;                             /* ... and has */
    _Alignas(MCQ_SPSC_APART) bool inside;  /* the thread touches the shard's mailbox */
    _Alignas(MCQ_SPSC_APART) struct mcq_port_end end;
};

static struct mcq_port *port_of(struct mcq_port_end *e)
{
    return MCQ_CONTAINER_OF(e, struct mcq_port, end);
}

static struct mcq_port_end *end_of(struct mcq_node *n)
{
    return MCQ_CONTAINER_OF(n, struct mcq_port_end, node);
}

/* --- the thread's side --------------------------------------------------------------------- */

static bool is_gone(const struct mcq_port *p)
{
    return __atomic_load_n(&p->gone, __ATOMIC_SEQ_CST);
}

/* The shard doesn't go further in its end while the thread is inside: the mailbox is its memory. */
static void nudge(struct mcq_port *p)
{
    (void)__atomic_exchange_n(&p->inside, true, __ATOMIC_SEQ_CST);
    if (!is_gone(p))
        mcq_mailbox_nudge(p->mailbox);
    __atomic_store_n(&p->inside, false, __ATOMIC_RELEASE);
}

static size_t ring_len_of(uint32_t asked)
{
    size_t len = MCQ_PORT_RING_LEN_MIN;
    while (len < (asked == 0 ? RING_LEN : asked))
        len *= 2;
    return len;
}

static enum mcq_error rings_open(struct mcq_port *p, uint32_t ring_len, struct mcq_detail *detail)
{
    const size_t len = ring_len_of(ring_len);
    const size_t each = mcq_align_up(mcq_spsc_footprint(len), MCQ_SPSC_APART);
    p->rings = aligned_alloc(MCQ_SPSC_APART, 2 * each);
    if (p->rings == NULL)
        return mcq_detail_set(detail, MCQ_ENOMEM, ENOMEM, "no memory for a port's rings");
    memset(p->rings, 0, 2 * each);
    struct mcq_spsc *in = p->rings;
    void *second = (char *)p->rings + each;
    struct mcq_spsc *out = second;
    mcq_spsc_init(in, len, 0, &p->tx, &p->end.rx);
    mcq_spsc_init(out, len, 0, &p->end.tx, &p->rx);
    p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->fd < 0)
        return mcq_detail_set(detail, MCQ_EOS, errno,
                              "no descriptor for a port: raise `ulimit -n`");
    return MCQ_OK;
}

static void port_free(struct mcq_port *p)
{
    if (p->fd >= 0)
        close(p->fd);
    free(p->rings);
    free(p);
}

static enum mcq_error attach(struct mcq_port *p, struct mcq_ports *ports, struct mcq_detail *detail)
{
    enum mcq_error err = MCQ_OK;
    pthread_mutex_lock(&ports->mutex);
    if (ports->ended) {
        err = mcq_detail_set(detail, MCQ_ESTALE, 0, "the shard has ended");
    } else if (ports->cnt == MCQ_PORTS_MAX) {
        err = mcq_detail_set(detail, MCQ_ELIMIT, 0, "the shard has %u ports already: close one",
                             MCQ_PORTS_MAX);
    } else {
        ports->cnt++;
        mcq_list_push_back(&ports->coming, &p->end.node);
        __atomic_store_n(&ports->news, true, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&ports->mutex);
    return err;
}

enum mcq_error mcq_port_open(struct mcq_shard *sh, uint32_t ring_len, struct mcq_port **port,
                             struct mcq_detail *detail)
{
    if (mcq_shard_here != NULL)
        return mcq_detail_set(detail, MCQ_ETHREAD, 0,
                              "mcq_port_open: this thread is a shard's: mcq_post_bytes is for it");
    if (ring_len > MCQ_PORT_RING_LEN_MAX)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "ring_len: %u is above %u", ring_len,
                              MCQ_PORT_RING_LEN_MAX);
    struct mcq_port *p = aligned_alloc(MCQ_SPSC_APART, sizeof(*p));
    if (p == NULL)
        return mcq_detail_set(detail, MCQ_ENOMEM, ENOMEM, "no memory for a port");
    *p = (struct mcq_port){.mailbox = sh->mailbox, .fd = -1, .end = {.shard = sh}};
    enum mcq_error err = rings_open(p, ring_len, detail);
    if (err == MCQ_OK)
        err = attach(p, &sh->ports, detail);
    if (err != MCQ_OK) {
        port_free(p);
        return err;
    }
    nudge(p);
    *port = p;
    return MCQ_OK;
}

/* A lane found full asks to be told of room, and looks again: the shard may have made some before
 * it could see that. */
static void *reserve(struct mcq_spsc_tx *tx, size_t len)
{
    void *at = mcq_spsc_reserve(tx, len);
    if (MCQ_LIKELY(at != NULL))
        return at;
    mcq_spsc_wait(tx);
    mcq_fence();
    at = mcq_spsc_reserve(tx, len);
    if (at != NULL)
        mcq_spsc_wait_end(tx);
    return at;
}

/* Of room: it isn't told again, and the shard doesn't wake for it any more. */
static void heard(struct mcq_port *p)
{
    p->refused = false;
    mcq_spsc_wait_end(&p->tx);
}

enum mcq_error mcq_port_send(struct mcq_port *p, uint32_t kind, const void *data, size_t len)
{
    if (len > MCQ_PORT_LEN_MAX)
        return MCQ_ETOOBIG;
    if (is_gone(p))
        return MCQ_ESTALE;
    void *at = reserve(&p->tx, len);
    if (at == NULL) {
        p->refused = true;
        return MCQ_EAGAIN;
    }
    if (MCQ_UNLIKELY(p->refused))
        heard(p);
    mcq_bytes_copy(at, data, len);
    mcq_spsc_commit(&p->tx, mcq_spsc_hdr(1, kind, len));
    mcq_spsc_publish(&p->tx);
    nudge(p);
    return MCQ_OK;
}

/* What was given last may be overwritten now; the shard may wait for that. */
static void release(struct mcq_port *p)
{
    mcq_spsc_release(&p->rx);
    mcq_fence();
    if (MCQ_UNLIKELY(mcq_spsc_awaited(&p->rx)))
        nudge(p);
}

size_t mcq_port_recv(struct mcq_port *p, struct mcq_port_msg *msgs, size_t n)
{
    struct mcq_spsc_view view;
    size_t cnt = 0;
    release(p);
    while (cnt < n && mcq_spsc_next(&p->rx, &view))
        msgs[cnt++] = (struct mcq_port_msg){view.body, view.len, view.tag};
    return cnt;
}

static bool has_news(struct mcq_port *p)
{
    if (!mcq_spsc_empty(&p->rx) || is_gone(p))
        return true;
    if (!p->refused || !mcq_spsc_has_room(&p->tx))
        return false;
    heard(p);
    return true;
}

bool mcq_port_rest(struct mcq_port *p)
{
    uint64_t rung;
    release(p);
    (void)!read(p->fd, &rung, sizeof(rung));
    (void)__atomic_exchange_n(&p->sleeps, true, __ATOMIC_SEQ_CST);
    mcq_fence();
    if (!has_news(p))
        return true;
    (void)__atomic_exchange_n(&p->sleeps, false, __ATOMIC_SEQ_CST);
    return false;
}

int mcq_port_fd(const struct mcq_port *p)
{
    return p->fd;
}

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS + (uint64_t)ts.tv_nsec;
}

enum mcq_error mcq_port_wait(struct mcq_port *p, uint64_t timeout_ns)
{
    const uint64_t start_ns = now_ns();
    while (mcq_port_rest(p)) {
        uint64_t past_ns = now_ns() - start_ns;
        struct pollfd poll_fd = {.fd = p->fd, .events = POLLIN};
        struct timespec ts = {0, 0};
        if (timeout_ns != UINT64_MAX && past_ns >= timeout_ns)
            return MCQ_EAGAIN;
        if (timeout_ns != UINT64_MAX)
            ts = (struct timespec){(time_t)((timeout_ns - past_ns) / NS),
                                   (long)((timeout_ns - past_ns) % NS)};
        (void)ppoll(&poll_fd, 1, timeout_ns == UINT64_MAX ? NULL : &ts, NULL);
    }
    return mcq_spsc_empty(&p->rx) && is_gone(p) ? MCQ_ESTALE : MCQ_OK;
}

void mcq_port_close(struct mcq_port *p)
{
    __atomic_store_n(&p->closing, true, __ATOMIC_RELEASE);
    nudge(p);
    while (!is_gone(p)) {
        struct mcq_port_msg msgs[16];
        while (mcq_port_recv(p, msgs, MCQ_CNT_OF(msgs)) != 0)
            ;
        (void)mcq_port_wait(p, UINT64_MAX);
    }
    while (!__atomic_load_n(&p->done, __ATOMIC_ACQUIRE))
        sched_yield(); /* it is between two statements */
    port_free(p);
}

/* --- the shard's side ---------------------------------------------------------------------- */

static const struct mcq_port_handlers *handlers_of(const struct mcq_shard *sh)
{
    static const struct mcq_port_handlers none = {NULL};
    return sh->app == NULL || sh->app->ports == NULL ? &none : sh->app->ports;
}

static void wake_thread(struct mcq_port *p)
{
    if (__atomic_exchange_n(&p->sleeps, false, __ATOMIC_SEQ_CST))
        mcq_net_wake(p->fd);
}

void mcq_ports_init(struct mcq_ports *ports)
{
    mcq_list_init(&ports->open);
    mcq_list_init(&ports->coming);
    pthread_mutex_init(&ports->mutex, NULL);
}

void mcq_ports_fini(struct mcq_ports *ports)
{
    pthread_mutex_destroy(&ports->mutex);
}

static void publish(struct mcq_port_end *e)
{
    if (!e->dirty)
        return;
    e->dirty = false;
    mcq_spsc_publish(&e->tx);
    mcq_fence();
    wake_thread(port_of(e));
}

/* The thread frees it once `done` is seen, which is the last touch. */
static void let_go(struct mcq_port_end *e)
{
    struct mcq_shard *sh = e->shard;
    struct mcq_port *p = port_of(e);
    publish(e);
    e->over = true;
    if (handlers_of(sh)->closed != NULL)
        handlers_of(sh)->closed(sh, sh->app_arg, e);
    mcq_node_unlink(&e->node);
    pthread_mutex_lock(&sh->ports.mutex);
    sh->ports.cnt--;
    pthread_mutex_unlock(&sh->ports.mutex);
    __atomic_store_n(&p->gone, true, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&p->inside, __ATOMIC_SEQ_CST))
        sched_yield();
    wake_thread(p);
    __atomic_store_n(&p->done, true, __ATOMIC_RELEASE);
}

static uint32_t take_messages(struct mcq_port_end *e)
{
    struct mcq_shard *sh = e->shard;
    struct mcq_spsc_view view;
    uint32_t cnt = 0;
    while (cnt < MCQ_PORT_PER_TURN_MAX && mcq_spsc_next(&e->rx, &view)) {
        cnt++;
        if (handlers_of(sh)->message != NULL)
            handlers_of(sh)->message(sh, sh->app_arg, e, view.tag, view.body, view.len);
    }
    if (cnt == 0)
        return 0;
    mcq_spsc_release(&e->rx);
    mcq_fence();
    if (MCQ_UNLIKELY(mcq_spsc_awaited(&e->rx)))
        wake_thread(port_of(e));
    return cnt;
}

static uint32_t take_room(struct mcq_port_end *e)
{
    if (MCQ_LIKELY(!e->refused) || !mcq_spsc_has_room(&e->tx))
        return 0;
    e->refused = false;
    mcq_spsc_wait_end(&e->tx);
    if (handlers_of(e->shard)->room != NULL)
        handlers_of(e->shard)->room(e->shard, e->shard->app_arg, e);
    return 1;
}

/* Closing is looked at before the messages: what was sent ahead of it is there then. */
static uint32_t take(struct mcq_port_end *e)
{
    bool closing = __atomic_load_n(&port_of(e)->closing, __ATOMIC_ACQUIRE);
    uint32_t cnt = take_messages(e) + take_room(e);
    if (MCQ_UNLIKELY(closing) && mcq_spsc_empty(&e->rx)) {
        let_go(e);
        return cnt + 1;
    }
    return cnt;
}

static void take_coming(struct mcq_shard *sh)
{
    struct mcq_ports *ports = &sh->ports;
    struct mcq_list coming;
    struct mcq_node *n;
    mcq_list_init(&coming);
    pthread_mutex_lock(&ports->mutex);
    __atomic_store_n(&ports->news, false, __ATOMIC_RELAXED);
    while ((n = mcq_list_pop_front(&ports->coming)) != NULL)
        mcq_list_push_back(&coming, n);
    pthread_mutex_unlock(&ports->mutex);
    while ((n = mcq_list_pop_front(&coming)) != NULL) {
        mcq_list_push_back(&ports->open, n);
        if (handlers_of(sh)->opened != NULL)
            handlers_of(sh)->opened(sh, sh->app_arg, end_of(n));
    }
}

uint32_t mcq_ports_take(struct mcq_shard *sh)
{
    struct mcq_ports *ports = &sh->ports;
    uint32_t cnt = 0;
    struct mcq_node *next;
    if (MCQ_UNLIKELY(__atomic_load_n(&ports->news, __ATOMIC_ACQUIRE)))
        take_coming(sh);
    for (struct mcq_node *n = mcq_list_first(&ports->open); n != NULL; n = next) {
        next = mcq_list_next(&ports->open, n);
        cnt += take(end_of(n));
    }
    return cnt;
}

void mcq_ports_publish(struct mcq_shard *sh)
{
    for (struct mcq_node *n = mcq_list_first(&sh->ports.open); n != NULL;
         n = mcq_list_next(&sh->ports.open, n))
        publish(end_of(n));
}

bool mcq_ports_empty(const struct mcq_ports *ports)
{
    if (__atomic_load_n(&ports->news, __ATOMIC_ACQUIRE))
        return false;
    for (struct mcq_node *n = mcq_list_first(&ports->open); n != NULL;
         n = mcq_list_next(&ports->open, n)) {
        struct mcq_port_end *e = end_of(n);
        if (!mcq_spsc_empty(&e->rx) || (e->refused && mcq_spsc_has_room(&e->tx)) ||
            __atomic_load_n(&port_of(e)->closing, __ATOMIC_ACQUIRE))
            return false;
    }
    return true;
}

bool mcq_ports_none(const struct mcq_ports *ports)
{
    return mcq_list_empty(&ports->open) && !__atomic_load_n(&ports->news, __ATOMIC_ACQUIRE);
}

void mcq_ports_end(struct mcq_shard *sh)
{
    struct mcq_node *n;
    pthread_mutex_lock(&sh->ports.mutex);
    sh->ports.ended = true;
    pthread_mutex_unlock(&sh->ports.mutex);
    take_coming(sh);
    while ((n = mcq_list_first(&sh->ports.open)) != NULL)
        let_go(end_of(n));
}

enum mcq_error mcq_port_reply(struct mcq_port_end *e, uint32_t kind, const void *data, size_t len)
{
    if (e->shard != mcq_shard_here)
        return MCQ_ETHREAD;
    if (e->over)
        return MCQ_ESTALE;
    if (len > MCQ_PORT_LEN_MAX)
        return MCQ_ETOOBIG;
    void *at = reserve(&e->tx, len);
    if (at == NULL) {
        publish(e); /* or nobody would make room */
        e->refused = true;
        return MCQ_EAGAIN;
    }
    mcq_bytes_copy(at, data, len);
    mcq_spsc_commit(&e->tx, mcq_spsc_hdr(1, kind, len));
    e->dirty = true;
    return MCQ_OK;
}

void *mcq_port_user(const struct mcq_port_end *e)
{
    return e->user;
}

void mcq_port_set_user(struct mcq_port_end *e, void *user)
{
    e->user = user;
}
