/* mcq-micro: ns per message through the library alone, both ways, no kernel involved.
 *
 *   in   from a received block of ZMTP frames to the user's `messages` handler (PULL)
 *   out  from mcq_send_bytes to bytes ready for the kernel (PUSH)
 *
 * Each row is the median of several rounds; a round is about 20 million messages' worth of blocks.
 *
 * mcq-micro prefix [--max N] [--json]: the prefix table, see prefix.h.
 * mcq-micro wake [--count N] [--json]: a wake from loop to loop, see wake.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "prefix.h"
#include "rig.h"
#include "wake.h"

#define ROUNDS     9
#define MSGS_ROUND 4000000u

static double now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof(*v), compare_double);
    return v[n / 2];
}

/* Whole frames of len bytes, as many as fit. */
static struct mcq_buf *block_of_frames(struct rig *rig, size_t len, size_t *cnt)
{
    struct mcq_buf *b = mcq_buf_take(rig->shard.heap, MCQ_BUF_RX_LEN);
    size_t at = 0;
    *cnt = 0;
    while (at + mcq_frame_head_len(len) + len <= b->cap) {
        uint8_t *body = mcq_frame_head_put(b->base + at, 0, len);
        memset(body, (int)*cnt, len);
        at = (size_t)(body - b->base) + len;
        (*cnt)++;
    }
    b->written = at;
    return b;
}

static double round_in(struct rig *rig, struct mcq_buf *b, size_t cnt)
{
    size_t blocks = MSGS_ROUND / cnt;
    struct mcq_io_event ev = {.kind = MCQ_IO_RECV,
                              .conn = rig->link->session.conn,
                              .buf = b,
                              .len = (uint32_t)b->written};
    double t = now_ns();
    for (size_t i = 0; i < blocks; i++) {
        mcq_buf_ref(rig->shard.heap, b);
        mcq_session_input(rig->link, &ev);
    }
    return (now_ns() - t) / (double)(blocks * cnt);
}

static bool measure_in(size_t len, double *ns)
{
    static struct rig rig;
    double v[ROUNDS];
    size_t cnt;
    if (!rig_open(&rig, MCQ_PULL, "PUSH"))
        return false;
    struct mcq_buf *b = block_of_frames(&rig, len, &cnt);
    for (int i = 0; i < ROUNDS; i++)
        v[i] = round_in(&rig, b, cnt);
    bool all = rig.received == (uint64_t)ROUNDS * (MSGS_ROUND / cnt) * cnt;
    mcq_buf_unref(rig.shard.heap, b);
    rig_close(&rig);
    *ns = median(v, ROUNDS);
    return all;
}

/* What the kernel would take is taken without it. */
static void swallow(struct rig *rig)
{
    struct mcq_slice out[MCQ_CONN_IOV_MAX];
    uint32_t cnt;
    struct mcq_pipe *p = &rig->link->pipe;
    size_t len = mcq_pipe_gather(p, out, MCQ_CONN_IOV_MAX, SIZE_MAX / 2, &cnt);
    mcq_pipe_sent(p, len);
}

static double round_out(struct rig *rig, const void *data, size_t len)
{
    size_t burst = 65536 / (len + 2) + 1;
    size_t sent = 0;
    /* as if a send were in flight: what is queued gathers */
    rig->link->session.conn->send_busy = true;
    double t = now_ns();
    while (sent < MSGS_ROUND) {
        for (size_t i = 0; i < burst; i++)
            if (mcq_send_bytes(rig->sock, data, len) != MCQ_OK)
                abort();
        sent += burst;
        swallow(rig);
    }
    double ns = (now_ns() - t) / (double)sent;
    rig->link->session.conn->send_busy = false;
    return ns;
}

static bool measure_out(size_t len, double *ns)
{
    static struct rig rig;
    char data[1024] = {1};
    double v[ROUNDS];
    if (!rig_open(&rig, MCQ_PUSH, "PULL"))
        return false;
    for (int i = 0; i < ROUNDS; i++)
        v[i] = round_out(&rig, data, len);
    rig_close(&rig);
    *ns = median(v, ROUNDS);
    return true;
}

int main(int argc, char **argv)
{
    const size_t lens[] = {16, 64, 256, 1024};
    if (argc > 1 && strcmp(argv[1], "prefix") == 0)
        return prefix_main(argc - 2, argv + 2);
    if (argc > 1 && strcmp(argv[1], "wake") == 0)
        return wake_main(argc - 2, argv + 2);
    printf("ns per message, median of %d rounds\n%8s %8s %8s\n", ROUNDS, "bytes", "in", "out");
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        double in, out;
        if (!measure_in(lens[i], &in) || !measure_out(lens[i], &out)) {
            fprintf(stderr, "mcq-micro: messages were lost\n");
            return 1;
        }
        printf("%8zu %8.2f %8.2f\n", lens[i], in, out);
    }
    return 0;
}
