#include "planted.h"

#include <stdlib.h>
#include <string.h>

#define HELD_MAX      64u
#define SIZE_MAX_HELD 256u

struct planted planted;

/* Of this process's server. */
static uint64_t sent, others;
static uint64_t victim;
static bool victim_known;
static uint32_t kept;
static struct {
    unsigned char data[SIZE_MAX_HELD];
    size_t len;
} held[HELD_MAX];
static unsigned held_begin, held_end;

static const struct perf_node_ops *inner(void)
{
    return perf_peer_epoll.node;
}

static enum perf_put hold(const void *data, size_t len)
{
    if (held_end - held_begin == HELD_MAX || len > SIZE_MAX_HELD) {
        return PERF_PUT_FULL;
    }
    memcpy(held[held_end % HELD_MAX].data, data, len);
    held[held_end++ % HELD_MAX].len = len;
    return PERF_PUT_OK;
}

static void release(struct perf_node *n)
{
    if (held_begin < held_end && others >= planted.held_for) {
        unsigned at = held_begin % HELD_MAX;
        if (inner()->send(n, victim, held[at].data, held[at].len) == PERF_PUT_OK) {
            held_begin++;
            others = 0;
        }
    }
}

static enum perf_put send_bent(struct perf_node *n, uint64_t conn, const void *data, size_t len)
{
    unsigned char bent[SIZE_MAX_HELD];
    enum perf_put put;
    sent++;
    if (sent == planted.drop_at || (planted.silent_after > 0 && sent > planted.silent_after)) {
        return PERF_PUT_OK;
    }
    if (sent == planted.damage_at && len <= sizeof bent) {
        memcpy(bent, data, len);
        bent[len - 1] ^= 1;
        return inner()->send(n, conn, bent, len);
    }
    put = inner()->send(n, conn, data, len);
    sent -= put != PERF_PUT_OK;
    if (put == PERF_PUT_OK && sent == planted.double_at) {
        inner()->send(n, conn, data, len);
    }
    return put;
}

static enum perf_put planted_send(struct perf_node *n, uint64_t conn, const void *data, size_t len)
{
    bool serves = n->spec.role == PERF_ROLE_SERVER || n->spec.role == PERF_ROLE_PUB;
    if (!serves) {
        return inner()->send(n, conn, data, len);
    }
    if (planted.held_for > 0) {
        victim = victim_known ? victim : conn;
        victim_known = true;
        if (conn == victim) {
            return hold(data, len);
        }
        others++;
        release(n);
    }
    return send_bent(n, conn, data, len);
}

static bool planted_poll(struct perf_node *n, uint64_t until_ns)
{
    bool ok = inner()->poll(n, until_ns);
    for (; planted.keeps > 0 && n->spec.role == PERF_ROLE_SERVER && kept < n->up_cnt; kept++) {
        void *memory = malloc(planted.keeps);
        if (memory != NULL) {
            memset(memory, 1, planted.keeps);
        }
    }
    return ok;
}

static bool planted_open(struct perf_node *n)
{
    return inner()->open(n);
}

static void planted_close(struct perf_node *n)
{
    inner()->close(n);
}

static const struct perf_node_ops ops = {
    .open = planted_open,
    .send = planted_send,
    .poll = planted_poll,
    .close = planted_close,
};

const struct perf_peer planted_peer = {
    .name = "planted",
    .node = &ops,
    .roles = PERF_ROLES_ALL,
    .transports = PERF_TRANSPORTS_ALL,
};
