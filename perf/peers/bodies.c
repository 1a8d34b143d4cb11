#include "perf/peers/bodies.h"

#include <stdlib.h>
#include <string.h>

/* A cache line, so that giving back doesn't touch the body's own first line. */
struct perf_body {
    _Alignas(64) struct perf_body *next;
    unsigned char data[];
};

void perf_bodies_init(struct perf_bodies *bodies, const void *filler, size_t size)
{
    bodies->filler = filler;
    bodies->size = size;
    bodies->free = NULL;
    atomic_init(&bodies->returned, NULL);
}

static struct perf_body *body_of(void *data)
{
    return (struct perf_body *)(void *)((unsigned char *)data - offsetof(struct perf_body, data));
}

static struct perf_body *body_new(const struct perf_bodies *bodies)
{
    size_t len = (sizeof(struct perf_body) + bodies->size + 63) / 64 * 64;
    struct perf_body *body = aligned_alloc(64, len);
    if (body != NULL) {
        body->next = NULL;
        memcpy(body->data, bodies->filler, bodies->size);
    }
    return body;
}

void *perf_bodies_take(struct perf_bodies *bodies)
{
    if (bodies->free == NULL) {
        bodies->free = atomic_exchange(&bodies->returned, NULL);
    }
    struct perf_body *body = bodies->free != NULL ? bodies->free : body_new(bodies);
    if (body == NULL) {
        return NULL;
    }
    bodies->free = body->next;
    return body->data;
}

void perf_bodies_give(struct perf_bodies *bodies, void *data)
{
    struct perf_body *body = body_of(data);
    struct perf_body *first = atomic_load(&bodies->returned);
    do {
        body->next = first;
    } while (!atomic_compare_exchange_weak(&bodies->returned, &first, body));
}

static void list_free(struct perf_body *body)
{
    while (body != NULL) {
        struct perf_body *next = body->next;
        free(body);
        body = next;
    }
}

void perf_bodies_fini(struct perf_bodies *bodies)
{
    list_free(bodies->free);
    list_free(atomic_exchange(&bodies->returned, NULL));
    bodies->free = NULL;
}
