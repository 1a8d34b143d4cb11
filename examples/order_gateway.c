/* order_gateway: orders in by a ROUTER, fills out by a PUB, on one thread without a queue between.
 *
 *   order_gateway [ORDERS_ENDPOINT [FILLS_ENDPOINT]]
 *   mcq-cat SUB --connect tcp://127.0.0.1:5558 --subscribe EUR
 *   printf '17\tEURUSD\t100\n' | mcq-cat DEALER --connect tcp://127.0.0.1:5557
 *
 * An order has three frames: its id, the instrument, the quantity (negative sells). The answer is
 * ACK and the id, or REJECT, the id and why. A client that sends anything else is cut off.
 */
#include <inttypes.h>
#include <monocoque.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORDER_FRAMES   3
#define INSTRUMENT_LEN 6
#define QUANTITY_MAX   1000
#define REPORT_NS      1000000000u

struct gateway {
    const char *orders_endpoint, *fills_endpoint;
    struct mcq_sock *orders, *fills;
    struct mcq_timer *report;
    uint64_t accepted, rejected, cut_off;
};

static int64_t read_quantity(struct mcq_frame frame)
{
    char text[16] = ""; /* a frame doesn't end in a zero */
    if (frame.len < sizeof text)
        memcpy(text, frame.data, frame.len);
    return strtoll(text, NULL, 10);
}

/* NULL: the order is good. */
static const char *find_fault(const struct mcq_msg *order)
{
    if (mcq_msg_frame(order, 1).len != INSTRUMENT_LEN)
        return "unknown instrument";
    int64_t quantity = read_quantity(mcq_msg_frame(order, 2));
    if (quantity == 0 || quantity > QUANTITY_MAX || quantity < -QUANTITY_MAX)
        return "quantity out of range";
    return NULL;
}

/* By the name the order came with, not by identity: it can't reach anybody else, and a client that
 * doesn't take its answers is known by MCQ_EAGAIN. */
static void answer(struct gateway *g, struct mcq_peer to, const struct mcq_frame *frames,
                   uint32_t cnt)
{
    struct mcq_msg msg = mcq_msg_of_frames(frames, cnt);
    if (mcq_send_to(g->orders, to, &msg) != MCQ_OK)
        fprintf(stderr, "no answer for %s\n", mcq_peer_endpoint(g->orders, to));
}

/* A PUB never waits: who doesn't keep up loses fills, and hears nothing of it from us. */
static void publish(struct gateway *g, const struct mcq_msg *order)
{
    struct mcq_frame frames[] = {mcq_msg_frame(order, 1), mcq_msg_frame(order, 0),
                                 mcq_msg_frame(order, 2)};
    struct mcq_msg msg = mcq_msg_of_frames(frames, 3);
    if (g->fills == NULL || mcq_send(g->fills, &msg) != MCQ_OK)
        fputs("a fill was not published\n", stderr);
}

static enum mcq_flow on_order(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                              struct mcq_msg *order)
{
    struct gateway *g = ctx;
    if (mcq_msg_frame_cnt(order) != ORDER_FRAMES) {
        g->cut_off++;
        mcq_peer_close(sock, from); /* once it has the answers that are on their way */
        return MCQ_PAUSE;           /* nothing more of it until then */
    }
    struct mcq_frame id = mcq_msg_frame(order, 0);
    const char *fault = find_fault(order);
    if (fault != NULL) {
        g->rejected++;
        answer(g, from, (struct mcq_frame[]){{"REJECT", 6}, id, {fault, strlen(fault)}}, 3);
        return MCQ_CONTINUE;
    }
    g->accepted++;
    answer(g, from, (struct mcq_frame[]){{"ACK", 3}, id}, 2);
    publish(g, order);
    return MCQ_CONTINUE;
}

/* Every end of a connection has a reason, and says what may not have arrived. */
static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    (void)ctx, (void)sock;
    if (event->kind == MCQ_EVENT_DISCONNECTED)
        printf("client gone: %s, answers in doubt: %" PRIu64 "\n", mcq_reason_name(event->reason),
               event->report.lost_hi - event->report.lost_lo);
}

static void on_report(void *ctx, struct mcq_timer *timer)
{
    struct gateway *g = ctx;
    printf("clients %" PRIu32 ", accepted %" PRIu64 ", rejected %" PRIu64 ", cut off %" PRIu64 "\n",
           mcq_sock_peer_cnt(g->orders), g->accepted, g->rejected, g->cut_off);
    mcq_timer_arm(timer, mcq_shard_now(mcq_sock_shard(g->orders)) + REPORT_NS);
}

/* A socket is no more after this: whoever uses it has to know. */
static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct gateway *g = ctx;
    if (sock == g->fills)
        g->fills = NULL;
    else
        mcq_timer_close(g->report);
}

static int start(struct mcq_shard *shard, void *arg)
{
    static const struct mcq_sock_handlers orders = {
        .message = on_order, .event = on_event, .closed = on_closed};
    static const struct mcq_sock_handlers fills = {.closed = on_closed};
    struct gateway *g = arg;
    struct mcq_detail why = {.text = "no timer left"};
    if (mcq_timer_open(shard, on_report, g, &g->report) != MCQ_OK ||
        mcq_sock_open(shard, MCQ_ROUTER, NULL, &orders, g, &g->orders, &why) != MCQ_OK ||
        mcq_sock_open(shard, MCQ_PUB, NULL, &fills, g, &g->fills, &why) != MCQ_OK ||
        mcq_sock_bind(g->orders, g->orders_endpoint, &why) != MCQ_OK ||
        mcq_sock_bind(g->fills, g->fills_endpoint, &why) != MCQ_OK) {
        fprintf(stderr, "order_gateway: %s\n", why.text);
        return 1;
    }
    mcq_timer_arm(g->report, mcq_shard_now(shard) + REPORT_NS);
    return 0;
}

int main(int argc, char **argv)
{
    struct mcq_opts opts = MCQ_OPTS_INIT;
    mcq_opts_parse(&opts, &argc, argv);
    struct gateway g = {
        .orders_endpoint = argc > 1 ? argv[1] : "tcp://127.0.0.1:5557",
        .fills_endpoint = argc > 2 ? argv[2] : "tcp://127.0.0.1:5558",
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct mcq_app app = {.start = start};
    return mcq_run(&opts, &app, &g, NULL) != MCQ_OK;
}
