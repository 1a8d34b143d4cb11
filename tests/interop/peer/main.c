/* interop-peer: one end of a test, on the public interface. Prints one line at the end: `ok` and
 * what it did, or `FAIL` and why; its exit code says the same. stderr: `bound EP`, `up` per peer,
 * `ready` when the first probe has come through (a message of one byte, `?`, is a probe), events.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "echo.h"
#include "sender.h"

/* How long after the last message another would be noticed. */
#define SETTLE_NS UINT64_C(50000000)

struct peer {
    struct peer_options options;
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_timer *timer; /* the end of settling, or of a pause */
    struct sender sender;
    struct stream_check check;
    struct echo echo;
    struct mcq_peer paused;
    int64_t subscriptions;
    bool gathered;
    bool ready;
    bool settling;
    bool ended;
    char failure[192];
};

static const char *const role_names[] = {"sent", "received", "asked", "echoed"};

static void end(struct peer *p)
{
    if (p->ended)
        return;
    p->ended = true;
    mcq_sock_close(p->sock);
}

static void fail(struct peer *p, const char *why)
{
    if (p->failure[0] == '\0')
        snprintf(p->failure, sizeof p->failure, "%s", why);
    end(p);
}

static bool checks(const struct peer *p)
{
    return p->options.role == ROLE_RECEIVE || p->options.role == ROLE_ASK;
}

static bool sends(const struct peer *p)
{
    return p->options.role == ROLE_SEND || p->options.role == ROLE_ASK;
}

/* --- Sending --------------------------------------------------------------------------------- */

static uint64_t sendable(const struct peer *p)
{
    uint64_t until = p->check.taken + p->options.window;
    if (p->options.role == ROLE_SEND || until > p->options.count)
        return p->options.count;
    return until;
}

static void send_on(struct peer *p)
{
    if (!p->gathered || p->ended || !sends(p))
        return;
    enum mcq_error err = sender_run(&p->sender, sendable(p));
    if (err != MCQ_OK && err != MCQ_EAGAIN)
        fail(p, mcq_error_name(err));
    if (p->options.role == ROLE_SEND && p->sender.sent == p->options.count)
        end(p);
}

static void gather(struct peer *p)
{
    int64_t now = p->options.type == MCQ_PUB || p->options.type == MCQ_XPUB
                      ? p->subscriptions
                      : mcq_sock_peer_cnt(p->sock);
    if (p->gathered || now < p->options.wait)
        return;
    p->gathered = true;
    send_on(p);
}

/* --- Receiving ------------------------------------------------------------------------------- */

static bool is_probe(struct peer *p, const struct mcq_msg *msg)
{
    if (msg->frame_cnt != 1 || msg->len != 1 || *(const char *)msg->data != '?')
        return false;
    if (!p->ready)
        fputs("ready\n", stderr);
    p->ready = true;
    return true;
}

static void check_message(struct peer *p, const struct mcq_msg *msg)
{
    struct mcq_frame one = mcq_msg_frame(msg, 0);
    const struct mcq_frame *frames = msg->frames != NULL ? msg->frames : &one;
    uint32_t cnt = mcq_msg_frame_cnt(msg);
    if (is_probe(p, msg))
        return;
    if (p->options.delimiter) {
        if (cnt < 2 || frames[0].len != 0) {
            fail(p, "no delimiter");
            return;
        }
        frames++;
        cnt--;
    }
    if (p->settling)
        fail(p, "a message more than was sent");
    else if (!stream_check_take(&p->check, frames, cnt))
        fail(p, p->check.why);
}

/* All is here; one more would be one too many. */
static void settle_if_complete(struct peer *p)
{
    if (p->check.taken < p->options.count || p->settling || p->ended)
        return;
    p->settling = true;
    mcq_timer_arm(p->timer, mcq_shard_now(p->shard) + SETTLE_NS);
}

static void on_timer(void *ctx, struct mcq_timer *timer)
{
    struct peer *p = ctx;
    (void)timer;
    if (p->settling)
        end(p);
    else
        mcq_peer_resume(p->sock, p->paused);
}

static bool pause_now(struct peer *p, struct mcq_peer from)
{
    if (p->options.pause_every == 0 || p->check.taken % p->options.pause_every != 0 || p->settling)
        return false;
    p->paused = from;
    mcq_timer_arm(p->timer, mcq_shard_now(p->shard) + 1000);
    return true;
}

static size_t on_messages(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                          struct mcq_msg *msgs, size_t n)
{
    struct peer *p = ctx;
    (void)sock;
    if (!checks(p))
        return echo_messages(&p->echo, from, msgs, n);
    size_t taken = 0;
    bool paused = false;
    while (taken < n && !paused && !p->ended) {
        check_message(p, &msgs[taken++]);
        settle_if_complete(p);
        paused = taken < n && pause_now(p, from);
    }
    send_on(p);
    return p->ended ? n : taken;
}

static enum mcq_flow on_message(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                                struct mcq_msg *msg)
{
    struct peer *p = ctx;
    (void)sock;
    if (!checks(p))
        return echo_message(&p->echo, from, msg);
    if (p->ended)
        return MCQ_CONTINUE;
    check_message(p, msg);
    settle_if_complete(p);
    send_on(p);
    return pause_now(p, from) ? MCQ_PAUSE : MCQ_CONTINUE;
}

/* --- The rest -------------------------------------------------------------------------------- */

static void on_writable(void *ctx, struct mcq_sock *sock)
{
    struct peer *p = ctx;
    (void)sock;
    echo_writable(&p->echo);
    send_on(p);
}

static void on_subscription(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                            const void *topic, size_t len)
{
    struct peer *p = ctx;
    (void)sock, (void)peer;
    if (p->options.events)
        fprintf(stderr, "subscription %s %.*s\n", added ? "added" : "removed", (int)len,
                (const char *)topic);
    p->subscriptions += added ? 1 : -1;
    gather(p);
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct peer *p = ctx;
    (void)sock;
    if (p->options.events)
        fprintf(stderr, "event %s reason=%s endpoint=%s offset=%" PRIu64 " cnt=%" PRIu64 " %s\n",
                mcq_event_name(event->kind), mcq_reason_name(event->reason), event->endpoint,
                event->offset, event->cnt, event->detail);
    if (event->kind != MCQ_EVENT_UP)
        return;
    fputs("up\n", stderr);
    gather(p);
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct peer *p = ctx;
    (void)sock;
    p->ended = true;
    mcq_timer_close(p->timer);
}

static enum mcq_error set_options(const struct peer_options *from, struct mcq_sock_opts *opts,
                                  struct mcq_detail *why)
{
    opts->identity = from->identity.data;
    opts->identity_len = from->identity.len;
    opts->handshake_ms = from->handshake_ms;
    opts->linger_ms = 20000;
    opts->reconnect_max_ms = 200;
    opts->send_hwm_msgs = from->hwm_msgs;
    opts->frame_max_bytes = 80u * 1024u * 1024u;
    opts->msg_max_bytes = 81u * 1024u * 1024u;
    if (from->unlimited) {
        opts->send_hwm_msgs = MCQ_UNLIMITED;
        opts->send_hwm_bytes = 1u << 30;
    }
    enum mcq_error err = MCQ_OK;
    for (uint32_t i = 0; err == MCQ_OK && i < from->setting_cnt; i++)
        err = mcq_sock_opts_set(opts, from->settings[i].name, from->settings[i].value, why);
    return err;
}

static enum mcq_error open_endpoints(struct peer *p, struct mcq_detail *why)
{
    const struct peer_options *o = &p->options;
    enum mcq_error err = MCQ_OK;
    for (uint32_t i = 0; err == MCQ_OK && i < o->endpoint_cnt; i++) {
        if (o->binds[i])
            err = mcq_sock_bind(p->sock, o->endpoints[i], why);
        else
            err = mcq_sock_connect(p->sock, o->endpoints[i], why);
        if (err == MCQ_OK && o->binds[i])
            fprintf(stderr, "bound %s\n", mcq_sock_endpoint(p->sock));
    }
    return err;
}

static enum mcq_error open_all(struct peer *p, struct mcq_detail *why)
{
    static struct mcq_sock_handlers handlers = {
        .writable = on_writable,
        .event = on_event,
        .subscription = on_subscription,
        .closed = on_closed,
    };
    if (p->options.one_by_one)
        handlers.message = on_message;
    else
        handlers.messages = on_messages;

    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    enum mcq_error err = set_options(&p->options, &opts, why);
    if (err == MCQ_OK)
        err = mcq_timer_open(p->shard, on_timer, p, &p->timer);
    if (err == MCQ_OK)
        err = mcq_sock_open(p->shard, p->options.type, &opts, &handlers, p, &p->sock, why);
    if (err == MCQ_OK && (p->options.type == MCQ_SUB || p->options.type == MCQ_XSUB))
        err = mcq_subscribe(p->sock, "", 0);
    if (err == MCQ_OK)
        err = open_endpoints(p, why);
    return err;
}

static int start(struct mcq_shard *shard, void *arg)
{
    struct peer *p = arg;
    struct mcq_detail why = {.text = ""};
    p->shard = shard;
    p->gathered = p->options.wait == 0;
    enum mcq_error err = open_all(p, &why);
    if (err != MCQ_OK) {
        snprintf(p->failure, sizeof p->failure, "%s: %.150s", mcq_error_name(err), why.text);
        return 1;
    }
    p->sender.sock = p->sock;
    p->echo.sock = p->sock;
    send_on(p);
    return 0;
}

static uint64_t progress(const struct peer *p)
{
    if (p->options.role == ROLE_ECHO)
        return p->echo.echoed;
    return p->options.role == ROLE_SEND ? p->sender.sent : p->check.taken;
}

/* What can only be told at the end. */
static void judge(struct peer *p)
{
    if (p->failure[0] != '\0')
        return;
    if (p->options.role == ROLE_ECHO) {
        if (p->echo.failure != NULL)
            snprintf(p->failure, sizeof p->failure, "%s", p->echo.failure);
    } else if (progress(p) != p->options.count) {
        snprintf(p->failure, sizeof p->failure,
                 "stopped: %s %" PRIu64 " of %" PRIu64 ", sent %" PRIu64,
                 role_names[p->options.role], progress(p), p->options.count, p->sender.sent);
    } else if (p->sender.returned != p->sender.lent) {
        snprintf(p->failure, sizeof p->failure, "%" PRIu64 " free callbacks for %" PRIu64,
                 p->sender.returned, p->sender.lent);
    }
}

static void print_stats(struct mcq_shard *shard)
{
    struct mcq_shard_stats stats;
    mcq_shard_stats(shard, &stats);
    fprintf(stderr,
            "drops hwm=%" PRIu64 " no_peer=%" PRIu64 " pattern=%" PRIu64 " filter=%" PRIu64
            " handler=%" PRIu64 " end=%" PRIu64 " pauses=%" PRIu64 " again=%" PRIu64 "\n",
            stats.pattern.drops_hwm, stats.pattern.drops_no_peer, stats.pattern.drops_pattern,
            stats.pattern.drops_filter, stats.pattern.drops_handler, stats.pattern.drops_end,
            stats.pattern.pauses, stats.pattern.again);
}

static void on_stop(struct mcq_shard *shard, void *arg)
{
    struct peer *p = arg;
    if (p->options.events)
        print_stats(shard);
}

int main(int argc, char **argv)
{
    static struct peer p;
    struct mcq_opts run = MCQ_OPTS_INIT;
    run.idle = MCQ_IDLE_BLOCK;
    run.cpus = "none";
    run.no_mlock = true;
    run.arena_bytes = 64u * 1024u * 1024u;
    run.large_bytes = 64u * 1024u * 1024u;
    mcq_opts_parse(&run, &argc, argv);
    peer_options_parse(&p.options, argc, argv);
    stream_init();
    p.sender.options = &p.options;
    stream_check_init(&p.check, &p.options.shape, p.options.senders, p.options.unordered,
                      p.options.count);

    struct mcq_app app = {.start = start, .on_stop = on_stop};
    struct mcq_detail why = {.text = ""};
    enum mcq_error err = mcq_run(&run, &app, &p, &why);
    if (err != MCQ_OK && p.failure[0] == '\0')
        snprintf(p.failure, sizeof p.failure, "%s: %.150s", mcq_error_name(err), why.text);
    judge(&p);
    if (p.failure[0] != '\0')
        printf("FAIL %s\n", p.failure);
    else
        printf("ok %s %" PRIu64 "\n", role_names[p.options.role], progress(&p));
    free(p.check.next_seq);
    free(p.check.seen);
    return p.failure[0] != '\0';
}
