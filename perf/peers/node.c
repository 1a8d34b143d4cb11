#include "perf/peers/node.h"

#include "perf/run/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long a poll may last before the crew's end is looked for. */
#define LOOK_NS (10 * PERF_MS_NS)

/* How often what its library holds is told. */
#define BUFFERS_NS (100 * PERF_MS_NS)

/* What an echo may owe at once: more is a client that doesn't read. */
#define OWED_BYTES_MAX ((size_t)256 * 1024 * 1024)

/* An answer that found no room, and what lies behind it in the store. */
struct owed {
    uint64_t conn;
    size_t len;
};

struct echo {
    struct perf_node node;
    struct perf_handler handler;
    uint64_t stall_at_ns, buffers_at_ns;
    unsigned char *store; /* answers in order, each behind its struct owed */
    size_t cap, begin, end;
    bool failed;
};

static void burn(uint64_t ns)
{
    uint64_t until_ns = perf_clock_ns() + ns;
    while (perf_clock_ns() < until_ns) {
    }
}

/* Room for len more bytes behind the end. */
static bool store_grow(struct echo *echo, size_t len)
{
    if (echo->begin > 0) {
        memmove(echo->store, echo->store + echo->begin, echo->end - echo->begin);
        echo->end -= echo->begin;
        echo->begin = 0;
    }
    size_t cap = echo->cap == 0 ? len : echo->cap;
    while (cap - echo->end < len) {
        cap *= 2;
    }
    if (cap > OWED_BYTES_MAX) {
        return perf_child_fail(echo->node.child, "a client doesn't take its answers");
    }
    unsigned char *store = realloc(echo->store, cap);
    if (store == NULL) {
        return perf_child_fail(echo->node.child, "no memory for answers that wait");
    }
    echo->store = store;
    echo->cap = cap;
    return true;
}

static void owe(struct echo *echo, uint64_t conn, const void *data, size_t len)
{
    struct owed owed = {conn, len};
    size_t need = sizeof owed + len;
    if (echo->cap - echo->end < need && !store_grow(echo, need)) {
        echo->failed = true;
        return;
    }
    memcpy(echo->store + echo->end, &owed, sizeof owed);
    memcpy(echo->store + echo->end + sizeof owed, data, len);
    echo->end += need;
}

/* Answers that waited go out first, and in order. */
static void pay(struct echo *echo)
{
    while (echo->begin < echo->end) {
        struct owed owed;
        memcpy(&owed, echo->store + echo->begin, sizeof owed);
        const void *data = echo->store + echo->begin + sizeof owed;
        if (echo->node.ops->send(&echo->node, owed.conn, data, owed.len) == PERF_PUT_FULL) {
            return;
        }
        echo->begin += sizeof owed + owed.len;
    }
    echo->begin = echo->end = 0;
}

static void on_request(void *ctx, uint64_t conn, const void *data, size_t len)
{
    struct echo *echo = ctx;
    if (echo->handler.delay_ns > 0) {
        burn(echo->handler.delay_ns);
    }
    if (echo->begin < echo->end ||
        echo->node.ops->send(&echo->node, conn, data, len) == PERF_PUT_FULL) {
        owe(echo, conn, data, len);
    }
}

/* Sleeps as a program that waits for its disk would: nothing of the library runs meanwhile. */
static void stall(struct echo *echo, uint64_t now_ns)
{
    if (echo->handler.stall_ns == 0 || now_ns < echo->stall_at_ns) {
        return;
    }
    struct timespec pause = {.tv_sec = (time_t)(echo->handler.stall_ns / PERF_SECOND_NS),
                             .tv_nsec = (long)(echo->handler.stall_ns % PERF_SECOND_NS)};
    nanosleep(&pause, NULL);
    echo->stall_at_ns = now_ns + echo->handler.stall_every_ns;
}

static void buffers_tell(struct echo *echo, uint64_t now_ns)
{
    if (echo->handler.buffers != NULL && now_ns >= echo->buffers_at_ns &&
        echo->node.ops->buffers != NULL) {
        atomic_store(echo->handler.buffers, echo->node.ops->buffers(&echo->node));
        echo->buffers_at_ns = now_ns + BUFFERS_NS;
    }
}

static bool echo_serve(struct echo *echo)
{
    bool ok = true;
    while (ok && !echo->failed && !perf_child_stopped(echo->node.child)) {
        uint64_t now_ns = perf_clock_ns();
        stall(echo, now_ns);
        buffers_tell(echo, now_ns);
        pay(echo);
        bool owes = echo->begin < echo->end;
        ok = echo->node.ops->poll(&echo->node, owes ? now_ns + PERF_MS_NS : now_ns + LOOK_NS);
    }
    return ok && !echo->failed;
}

bool perf_node_echo(struct perf_child *child, const struct perf_node_ops *ops,
                    const struct perf_node_spec *spec, const struct perf_handler *handler)
{
    struct echo echo = {.handler = handler != NULL ? *handler : (struct perf_handler){0}};
    struct perf_node_spec own = *spec;
    own.arrived = on_request;
    own.ctx = &echo;
    echo.stall_at_ns = perf_clock_ns() + echo.handler.stall_every_ns;
    bool ok = perf_node_open(&echo.node, ops, child, &own);
    if (ok) {
        if (echo.handler.listening != NULL) {
            echo.handler.listening(echo.node.endpoint);
        }
        ok = perf_child_give_endpoint(child, echo.node.endpoint) && echo_serve(&echo);
        ops->close(&echo.node);
    }
    free(echo.store);
    return ok;
}
