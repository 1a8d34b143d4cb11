#include "runtime/napi.h"

#include <errno.h>
#include <stdio.h>

#include "runtime/net.h"
#include "runtime/oserr.h"

void mcq_napi_open(struct mcq_napi *n, struct mcq_uring *ring, uint32_t busy_us, bool prefer)
{
    *n = (struct mcq_napi){.by_name = true};
    if (busy_us == 0)
        return;
    int err = mcq_uring_napi(ring, busy_us, prefer, true);
    if (err != 0) {
        n->by_name = false;
        err = mcq_uring_napi(ring, busy_us, prefer, false);
    }
    n->on = err == 0;
    if (err == -EINVAL)
        snprintf(n->why, sizeof(n->why),
                 "no NAPI busy poll: Linux 6.9 or newer with CONFIG_NET_RX_BUSY_POLL is needed");
    else if (err != 0)
        snprintf(n->why, sizeof(n->why), "no NAPI busy poll: %s", mcq_oserr_text(-err));
}

static bool is_known(const struct mcq_napi *n, uint32_t id)
{
    for (uint32_t i = 0; i < n->cnt; i++)
        if (n->ids[i] == id)
            return true;
    return false;
}

void mcq_napi_see(struct mcq_napi *n, struct mcq_uring *ring, int fd)
{
    if (!n->on || !n->by_name || n->cnt == MCQ_NAPI_QUEUES_MAX)
        return;
    uint32_t id = mcq_net_napi_id(fd);
    if (id != 0 && !is_known(n, id) && mcq_uring_napi_add(ring, id) == 0)
        n->ids[n->cnt++] = id;
}
