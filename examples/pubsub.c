/* pubsub: prices to whoever subscribes.
 *
 *   pubsub publisher [ENDPOINT]                  a price of each instrument every 10 ms
 *   pubsub subscriber [ENDPOINT [PREFIX [COUNT]]]   prints COUNT prices of what begins with PREFIX
 *
 * A message has two frames: the instrument, which subscriptions are matched against, and the price.
 */
#include <inttypes.h>
#include <monocoque.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_NS (10u * 1000u * 1000u)

static const char *const instruments[] = {"EURUSD", "EURGBP", "USDJPY", "XAUUSD"};
#define INSTRUMENT_CNT (sizeof instruments / sizeof instruments[0])

struct pubsub {
    bool publisher;
    const char *endpoint;
    const char *prefix;
    uint64_t count;
    uint64_t ticks;
    struct mcq_sock *sock;
    struct mcq_timer *timer;
};

/* --- Publisher ------------------------------------------------------------------------------- */

static void publish(struct mcq_sock *sock, const char *instrument, uint64_t price)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%" PRIu64, price);
    struct mcq_frame frames[] = {{instrument, strlen(instrument)}, {text, (size_t)len}};
    struct mcq_msg msg = mcq_msg_of_frames(frames, 2);
    /* A PUB is never full either: subscribers that don't keep up lose messages, which is counted
     * and told as an event. */
    if (mcq_send(sock, &msg) != MCQ_OK)
        fputs("pubsub: not published\n", stderr);
}

static void on_tick(void *ctx, struct mcq_timer *timer)
{
    struct pubsub *p = ctx;
    for (size_t i = 0; i < INSTRUMENT_CNT; i++)
        publish(p->sock, instruments[i], 1000 * (i + 1) + p->ticks % 100);
    p->ticks++;
    mcq_timer_arm(timer, mcq_shard_now(mcq_sock_shard(p->sock)) + TICK_NS);
}

static void on_subscription(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                            const void *topic, size_t len)
{
    (void)ctx;
    printf("%s %s \"%.*s\"\n", mcq_peer_endpoint(sock, peer), added ? "wants" : "leaves", (int)len,
           (const char *)topic);
}

/* The last call: nothing may touch the socket afterwards, so the timer goes with it. */
static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct pubsub *p = ctx;
    (void)sock;
    mcq_timer_close(p->timer);
}

static const struct mcq_sock_handlers publisher_handlers = {
    .subscription = on_subscription,
    .closed = on_closed,
};

static enum mcq_error start_publisher(struct mcq_shard *shard, struct pubsub *p,
                                      struct mcq_detail *why)
{
    enum mcq_error err = mcq_sock_open(shard, MCQ_PUB, NULL, &publisher_handlers, p, &p->sock, why);
    if (err == MCQ_OK)
        err = mcq_timer_open(shard, on_tick, p, &p->timer);
    if (err == MCQ_OK)
        err = mcq_sock_bind(p->sock, p->endpoint, why);
    if (err == MCQ_OK)
        mcq_timer_arm(p->timer, mcq_shard_now(shard));
    return err;
}

/* --- Subscriber ------------------------------------------------------------------------------ */

static enum mcq_flow on_price(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                              struct mcq_msg *msg)
{
    struct pubsub *p = ctx;
    (void)from;
    if (p->count == 0 || mcq_msg_frame_cnt(msg) != 2)
        return MCQ_CONTINUE;
    struct mcq_frame instrument = mcq_msg_frame(msg, 0);
    struct mcq_frame price = mcq_msg_frame(msg, 1);
    printf("%.*s %.*s\n", (int)instrument.len, (const char *)instrument.data, (int)price.len,
           (const char *)price.data);
    if (--p->count == 0)
        mcq_sock_close(sock);
    return MCQ_CONTINUE;
}

static const struct mcq_sock_handlers subscriber_handlers = {.message = on_price};

static enum mcq_error start_subscriber(struct mcq_shard *shard, struct pubsub *p,
                                       struct mcq_detail *why)
{
    enum mcq_error err =
        mcq_sock_open(shard, MCQ_SUB, NULL, &subscriber_handlers, p, &p->sock, why);
    /* Told to every publisher, now and after each reconnect. */
    if (err == MCQ_OK)
        err = mcq_subscribe(p->sock, p->prefix, strlen(p->prefix));
    if (err == MCQ_OK)
        err = mcq_sock_connect(p->sock, p->endpoint, why);
    return err;
}

/* --- Both ------------------------------------------------------------------------------------ */

static int start(struct mcq_shard *shard, void *arg)
{
    struct pubsub *p = arg;
    struct mcq_detail why = {.text = "no timer or subscription to be had"};
    enum mcq_error err =
        p->publisher ? start_publisher(shard, p, &why) : start_subscriber(shard, p, &why);
    if (err != MCQ_OK)
        fprintf(stderr, "pubsub: %s: %s\n", mcq_error_name(err), why.text);
    return err;
}

int main(int argc, char **argv)
{
    struct mcq_opts opts = MCQ_OPTS_INIT;
    mcq_opts_parse(&opts, &argc, argv);
    if (argc < 2 || (strcmp(argv[1], "publisher") != 0 && strcmp(argv[1], "subscriber") != 0)) {
        fputs("usage: pubsub publisher|subscriber [ENDPOINT [PREFIX [COUNT]]]\n", stderr);
        return 2;
    }
    struct pubsub p = {
        .publisher = strcmp(argv[1], "publisher") == 0,
        .endpoint = argc > 2 ? argv[2] : "tcp://127.0.0.1:5556",
        .prefix = argc > 3 ? argv[3] : "",
        .count = argc > 4 ? strtoull(argv[4], NULL, 10) : 20,
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct mcq_app app = {.start = start};
    return mcq_run(&opts, &app, &p, NULL) != MCQ_OK;
}
