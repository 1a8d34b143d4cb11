/* mcq-proxy: two sockets joined, from the shell. proxy_options_parse has the manual. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "control.h"
#include "options.h"

#define WARNINGS_MAX   20u /* lines about peers in a period, of WARN_PERIOD_NS */
#define WARN_PERIOD_NS UINT64_C(1000000000)

struct relay {
    const struct proxy_options *options;
    struct mcq_shard *shard;
    struct mcq_proxy *proxy; /* NULL: not open, or closed */
    struct control control;
    struct mcq_timer *timer; /* NULL without --stats */
    uint64_t warn_ns;        /* when the period began */
    uint64_t untold;
    unsigned warnings; /* of this period */
};

/* --- What is told ---------------------------------------------------------------------------- */

static void print_way(const char *name, const struct mcq_proxy_way *way)
{
    printf("%s %" PRIu64 " messages %" PRIu64 " bytes %" PRIu64 " dropped %" PRIu64 " pauses, ",
           name, way->msgs, way->bytes, way->dropped, way->pauses);
}

static void print_stats(const struct relay *relay)
{
    struct mcq_proxy_stats s;
    mcq_proxy_stats(relay->proxy, &s);
    print_way("to-back", &s.to_back);
    print_way("to-front", &s.to_front);
    printf("captured %" PRIu64 " and %" PRIu64 " dropped, subscriptions %" PRIu64 "%s\n",
           s.captured, s.capture_dropped, s.subscriptions, s.paused ? ", paused" : "");
    fflush(stdout);
}

/* What peers do is told as often as they do it: that must not fill a disk, nor stop us by a pipe
 * that nobody reads. */
static bool may_warn(struct relay *relay)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    uint64_t now_ns = mcq_shard_now(relay->shard);
    if (now_ns - relay->warn_ns >= WARN_PERIOD_NS) {
        relay->warn_ns = now_ns;
        relay->warnings = 0;
    }
    if (relay->warnings++ < WARNINGS_MAX && poll(&out, 1, 0) == 1)
        return true;
    relay->untold++;
    return false;
}

static void own_up(struct relay *relay)
{
    if (relay->untold > 0)
        fprintf(stderr, "mcq-proxy: %" PRIu64 " more were not told\n", relay->untold);
    relay->untold = 0;
}

static void warn(struct relay *relay, const char *side, const struct mcq_event *event)
{
    if (!may_warn(relay))
        return;
    own_up(relay);
    fprintf(stderr, "mcq-proxy: %s: %s %s: %s", side, mcq_event_name(event->kind), event->endpoint,
            mcq_reason_name(event->reason));
    if (event->cnt > 0)
        fprintf(stderr, ", messages: %" PRIu64, event->cnt);
    if (event->detail[0] != '\0')
        fprintf(stderr, ": %s", event->detail);
    fputc('\n', stderr);
}

/* Peers come and go; anything else is somebody's fault. */
static bool is_plain_end(enum mcq_reason reason)
{
    return reason == MCQ_REASON_PEER_CLOSED || reason == MCQ_REASON_RESET ||
           reason == MCQ_REASON_LOCAL;
}

static bool is_worth_telling(const struct mcq_event *event)
{
    switch (event->kind) {
    case MCQ_EVENT_LISTEN_FAILED:
    case MCQ_EVENT_REFUSED:
    case MCQ_EVENT_DROPPED:
        return true;
    case MCQ_EVENT_HANDSHAKE_FAILED: /* nobody listens yet: that is what trying again is for */
    case MCQ_EVENT_DISCONNECTED:
        return !is_plain_end(event->reason);
    case MCQ_EVENT_LISTENING:
    case MCQ_EVENT_UNBOUND:
    case MCQ_EVENT_ACCEPTED:
    case MCQ_EVENT_CONNECTING:
    case MCQ_EVENT_CONNECTED:
    case MCQ_EVENT_UP:
    case MCQ_EVENT_RETRY:
    case MCQ_EVENT_SLOW: /* what is held back is counted */
    case MCQ_EVENT_SLOW_END:
    case MCQ_EVENT_UNCONNECTED:
        return false;
    }
    return false;
}

static void on_event(void *ctx, struct mcq_proxy *proxy, struct mcq_sock *sock,
                     const struct mcq_event *event)
{
    if (is_worth_telling(event))
        warn(ctx,
             side_names[sock == mcq_proxy_front(proxy)  ? SIDE_FRONT
                        : sock == mcq_proxy_back(proxy) ? SIDE_BACK
                                                        : SIDE_CAPTURE],
             event);
}

static void on_timer(void *ctx, struct mcq_timer *timer)
{
    struct relay *relay = ctx;
    print_stats(relay);
    mcq_timer_arm(timer, mcq_shard_now(relay->shard) + relay->options->stats_ns);
}

/* --- The end --------------------------------------------------------------------------------- */

static void on_closed(void *ctx, struct mcq_proxy *proxy)
{
    struct relay *relay = ctx;
    (void)proxy;
    own_up(relay);
    if (relay->timer != NULL) {
        print_stats(relay);
        mcq_timer_close(relay->timer);
    }
    relay->proxy = NULL;
    relay->control.proxy = NULL;
    if (relay->control.sock != NULL)
        mcq_sock_close(relay->control.sock);
}

static void on_terminate(void *ctx)
{
    struct relay *relay = ctx;
    mcq_proxy_close(relay->proxy);
}

/* --- The start ------------------------------------------------------------------------------- */

static enum mcq_error open_proxy(struct relay *relay, struct mcq_detail *detail)
{
    const struct proxy_options *o = relay->options;
    struct mcq_proxy_opts opts = MCQ_PROXY_OPTS_INIT;
    opts.front = o->types[SIDE_FRONT];
    opts.back = o->types[SIDE_BACK];
    opts.capture = o->types[SIDE_CAPTURE];
    opts.front_opts = &o->socks[SIDE_FRONT];
    opts.back_opts = &o->socks[SIDE_BACK];
    opts.capture_opts = &o->socks[SIDE_CAPTURE];
    opts.event = on_event;
    opts.closed = on_closed;
    opts.ctx = relay;
    return mcq_proxy_open(relay->shard, &opts, &relay->proxy, detail);
}

static struct mcq_sock *sock_of(const struct relay *relay, enum side side)
{
    switch (side) {
    case SIDE_FRONT:
        return mcq_proxy_front(relay->proxy);
    case SIDE_BACK:
        return mcq_proxy_back(relay->proxy);
    case SIDE_CAPTURE:
        return mcq_proxy_capture(relay->proxy);
    case SIDE_CONTROL:
    case SIDE_CNT:
        break;
    }
    return relay->control.sock;
}

static enum mcq_error open_endpoint(const struct relay *relay, const struct proxy_endpoint *e,
                                    struct mcq_detail *detail)
{
    struct mcq_sock *sock = sock_of(relay, e->side);
    if (!e->bind)
        return mcq_sock_connect(sock, e->text, detail);
    enum mcq_error err = mcq_sock_bind(sock, e->text, detail);
    if (err == MCQ_OK)
        fprintf(stderr, "bound %s %s\n", side_names[e->side], mcq_sock_endpoint(sock));
    return err;
}

static enum mcq_error open_control(struct relay *relay, struct mcq_detail *detail)
{
    static const struct control_handlers handlers = {.terminate = on_terminate};
    relay->control.proxy = relay->proxy;
    relay->control.handlers = &handlers;
    relay->control.ctx = relay;
    if (relay->options->types[SIDE_CONTROL] == 0)
        return MCQ_OK;
    return control_open(&relay->control, relay->shard, &relay->options->socks[SIDE_CONTROL],
                        detail);
}

static enum mcq_error open_timer(struct relay *relay)
{
    if (relay->options->stats_ns == 0)
        return MCQ_OK;
    enum mcq_error err = mcq_timer_open(relay->shard, on_timer, relay, &relay->timer);
    if (err == MCQ_OK)
        mcq_timer_arm(relay->timer, mcq_shard_now(relay->shard) + relay->options->stats_ns);
    return err;
}

static int start(struct mcq_shard *shard, void *arg)
{
    struct relay *relay = arg;
    struct mcq_detail detail = {.text = ""};
    relay->shard = shard;
    enum mcq_error err = open_proxy(relay, &detail);
    if (err == MCQ_OK)
        err = open_control(relay, &detail);
    for (uint32_t i = 0; err == MCQ_OK && i < relay->options->endpoint_cnt; i++)
        err = open_endpoint(relay, &relay->options->endpoints[i], &detail);
    if (err == MCQ_OK)
        err = open_timer(relay);
    return err == MCQ_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct mcq_opts run = MCQ_OPTS_INIT;
    struct proxy_options options;
    proxy_options_parse(&options, &run, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    struct relay relay = {.options = &options};
    struct mcq_app app = {.start = start};
    enum mcq_error err = mcq_run(&run, &app, &relay, NULL); /* logs what is wrong */
    free(options.endpoints);
    return err == MCQ_OK ? 0 : 1;
}
