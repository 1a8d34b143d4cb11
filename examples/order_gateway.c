/* order_gateway: orders in by a ROUTER, fills out by a PUB, on one thread without a queue between.
 *
 *   order_gateway [ORDERS_ENDPOINT [FILLS_ENDPOINT]]
 *   mcq-cat SUB --connect tcp://127.0.0.1:5558 --subscribe EUR
 *   printf '17\tEURUSD\t100\n' | mcq-cat DEALER --connect tcp://127.0.0.1:5557
 *
 * An order has three frames: its id, the instrument, the quantity (negative sells). The answer is
 * ACK and the id, or REJECT, the id and why. A client with too many rejects is cut off.
 */
#include <inttypes.h>
#include <monocoque.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUANTITY_MAX 1000
#define REJECTS_MAX  5
#define REPORT_NS    1000000000u

struct gateway {
    const char *orders_endpoint, *fills_endpoint;
    struct mcq_sock *orders, *fills;
    struct mcq_timer *report;
    uint64_t accepted, rejected, cut_off;
};

/* What the gateway knows of one client; lives as long as its connection. */
struct client {
    uint32_t rejects;
};

static int64_t read_quantity(struct mcq_frame frame)
{
    char text[16] = "";
    if (frame.len < sizeof text)
        memcpy(text, frame.data, frame.len);
    return strtoll(text, NULL, 10);
}

/* NULL: the order is good. */
static const char *find_fault(const struct mcq_msg *order)
{
    if (mcq_msg_frame_cnt(order) != 3)
        return "an order has three frames";
    if (mcq_msg_frame(order, 1).len != 6)
        return "unknown instrument";
    int64_t quantity = read_quantity(mcq_msg_frame(order, 2));
    if (quantity == 0 || quantity > QUANTITY_MAX || quantity < -QUANTITY_MAX)
        return "quantity out of range";
    return NULL;
}

/* A client that takes no answers isn't waited for: its queue is full, the event handler hears. */
static void answer(struct gateway *g, struct mcq_peer to, struct mcq_frame *frames, uint32_t cnt)
{
    struct mcq_msg msg = mcq_msg_of_frames(frames, cnt);
    if (mcq_send_to(g->orders, to, &msg) != MCQ_OK)
        fprintf(stderr, "order_gateway: no answer for %s\n", mcq_peer_endpoint(g->orders, to));
}

static void reject(struct gateway *g, struct mcq_peer from, struct mcq_frame id, const char *why)
{
    struct client *client = mcq_peer_user(g->orders, from);
    answer(g, from, (struct mcq_frame[]){{"REJECT", 6}, id, {why, strlen(why)}}, 3);
    g->rejected++;
    if (client == NULL || ++client->rejects < REJECTS_MAX)
        return;
    g->cut_off++;
    mcq_peer_close(g->orders, from); /* after the answers it still has coming */
}

static void fill(struct gateway *g, const struct mcq_msg *order)
{
    struct mcq_frame frames[] = {mcq_msg_frame(order, 1), mcq_msg_frame(order, 0),
                                 mcq_msg_frame(order, 2)};
    struct mcq_msg msg = mcq_msg_of_frames(frames, 3);
    if (mcq_send(g->fills, &msg) != MCQ_OK)
        fputs("order_gateway: a fill was not published\n", stderr);
}

static enum mcq_flow on_order(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                              struct mcq_msg *order)
{
    struct gateway *g = ctx;
    (void)sock;
    struct mcq_frame id = mcq_msg_frame(order, 0);
    const char *fault = find_fault(order);
    if (fault != NULL) {
        reject(g, from, id, fault);
        return MCQ_CONTINUE;
    }
    g->accepted++;
    answer(g, from, (struct mcq_frame[]){{"ACK", 3}, id}, 2);
    fill(g, order);
    return MCQ_CONTINUE;
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    (void)ctx;
    if (event->kind == MCQ_EVENT_UP)
        mcq_peer_set_user(sock, event->peer, calloc(1, sizeof(struct client)));
    if (event->kind == MCQ_EVENT_DISCONNECTED)
        free(mcq_peer_user(sock, event->peer));
    if (event->kind == MCQ_EVENT_DISCONNECTED || event->kind == MCQ_EVENT_DROPPED)
        printf("%s %s: %s\n", event->endpoint, mcq_event_name(event->kind),
               mcq_reason_name(event->reason));
}

static void on_report(void *ctx, struct mcq_timer *timer)
{
    struct gateway *g = ctx;
    printf("clients %" PRIu32 ", accepted %" PRIu64 ", rejected %" PRIu64 ", cut off %" PRIu64 "\n",
           mcq_sock_peer_cnt(g->orders), g->accepted, g->rejected, g->cut_off);
    mcq_timer_arm(timer, mcq_shard_now(mcq_sock_shard(g->orders)) + REPORT_NS);
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct gateway *g = ctx;
    (void)sock;
    mcq_timer_close(g->report);
}

static int start(struct mcq_shard *shard, void *arg)
{
    static const struct mcq_sock_handlers orders = {
        .message = on_order, .event = on_event, .closed = on_closed};
    static const struct mcq_sock_handlers fills = {.message = NULL};
    struct gateway *g = arg;
    if (mcq_timer_open(shard, on_report, g, &g->report) != MCQ_OK ||
        mcq_sock_open(shard, MCQ_ROUTER, NULL, &orders, g, &g->orders, NULL) != MCQ_OK ||
        mcq_sock_open(shard, MCQ_PUB, NULL, &fills, g, &g->fills, NULL) != MCQ_OK ||
        mcq_sock_bind(g->orders, g->orders_endpoint, NULL) != MCQ_OK ||
        mcq_sock_bind(g->fills, g->fills_endpoint, NULL) != MCQ_OK)
        return 1;
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
