#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cat.h"
#include "text.h"

/* However long it takes until all is written: about 24 days. */
#define LINGER_WRITTEN_MS 0x7fffffffu
/* Of a PUB or XPUB, which drop beyond it: all memory there is. */
#define PUB_QUEUE_BYTES (1u << 30)
#define WARNINGS_MAX    20u /* lines about peers in a period, of WARN_PERIOD_NS */
#define WARN_PERIOD_NS  UINT64_C(1000000000)

static bool is(const struct cat *cat, enum mcq_sock_type type)
{
    return cat->options->type == type;
}

static bool send_only(const struct cat *cat)
{
    return !cat_type_receives(cat->options->type);
}

static bool publishes(const struct cat *cat)
{
    return is(cat, MCQ_PUB) || is(cat, MCQ_XPUB);
}

static void touch(struct cat *cat)
{
    cat->active_ns = mcq_shard_now(cat->shard);
}

/* --- The end --------------------------------------------------------------------------------- */

static void end(struct cat *cat, enum cat_exit code)
{
    if (cat->ending)
        return;
    cat->ending = true;
    cat->exit_code = code;
    mcq_sock_close(cat->sock);
}

static void fail(struct cat *cat, const char *what, uint64_t number, const char *why)
{
    if (cat->ending)
        return;
    fprintf(stderr, "mcq-cat: %s", what);
    if (number > 0)
        fprintf(stderr, ", line %" PRIu64, number);
    fprintf(stderr, ": %s\n", why);
    end(cat, CAT_EXIT_ERROR);
}

static bool no_more_lines(const struct cat *cat)
{
    return cat->input_ended && cat->first == NULL;
}

static bool counted(const struct cat *cat)
{
    uint64_t cnt = send_only(cat) ? cat->sent : cat->received;
    return cat->options->count > 0 && cnt >= cat->options->count;
}

static bool done(const struct cat *cat)
{
    /* A REP answers its last request, if it has what to answer. */
    if (counted(cat))
        return !is(cat, MCQ_REP) || !cat->in_exchange || no_more_lines(cat);
    if (is(cat, MCQ_REQ))
        return no_more_lines(cat);
    /* What a PUSH has queued for peers that have never come isn't written yet. */
    if (is(cat, MCQ_PUSH))
        return no_more_lines(cat) && (cat->met || cat->sent == 0);
    return is(cat, MCQ_PUB) && no_more_lines(cat);
}

static void end_if_done(struct cat *cat)
{
    if (done(cat))
        end(cat, CAT_EXIT_DONE);
}

static void on_closed(void *ctx, struct mcq_sock *sock)
{
    struct cat *cat = ctx;
    (void)sock;
    cat->ending = true;
    if (cat->timer != NULL)
        mcq_timer_close(cat->timer);
    if (cat->input != NULL)
        cat_input_stop(cat->input);
}

static void arm_timer(struct cat *cat)
{
    mcq_timer_arm(cat->timer, cat->active_ns + cat->options->timeout_ns);
}

/* Armed once per --timeout, not per message: most often it finds that something has happened. */
static void on_timer(void *ctx, struct mcq_timer *timer)
{
    struct cat *cat = ctx;
    (void)timer;
    if (mcq_shard_now(cat->shard) - cat->active_ns >= cat->options->timeout_ns) {
        /* Closing already, and nobody takes what is left. */
        if (cat->ending)
            _exit(CAT_EXIT_TIMEOUT);
        end(cat, CAT_EXIT_TIMEOUT);
        touch(cat);
    }
    arm_timer(cat);
}

/* --- Sending --------------------------------------------------------------------------------- */

static bool may_send(const struct cat *cat)
{
    if (!cat->gathered || cat->ending || (send_only(cat) && counted(cat)))
        return false;
    if (is(cat, MCQ_REQ))
        return !cat->in_exchange;
    return !is(cat, MCQ_REP) || cat->in_exchange;
}

static void drop_line(struct cat *cat)
{
    struct cat_line *line = cat->first;
    cat->first = line->next;
    cat_input_done(cat->input, line);
}

/* By its name a full peer is waited for; by its identity, which is the rule for a ROUTER, the
 * message would be dropped. One that nobody has is left to that rule. */
static enum mcq_error send_routed(const struct cat *cat, const struct cat_line *line)
{
    struct mcq_peer to;
    struct mcq_msg msg = cat_line_message(line, 0);
    if (line->frame_cnt < 2 ||
        mcq_peer_find(cat->sock, line->frames[0].data, line->frames[0].len, &to) != MCQ_OK)
        return mcq_send(cat->sock, &msg);
    msg = cat_line_message(line, 1);
    return mcq_send_to(cat->sock, to, &msg);
}

static enum mcq_error send_line(const struct cat *cat, const struct cat_line *line)
{
    struct mcq_msg msg = cat_line_message(line, 0);
    return is(cat, MCQ_ROUTER) ? send_routed(cat, line) : mcq_send(cat->sock, &msg);
}

static void send_lines(struct cat *cat)
{
    while (cat->first != NULL && may_send(cat)) {
        enum mcq_error err = send_line(cat, cat->first);
        /* `writable` comes; or a signal has closed the socket, and `closed` comes. */
        if (err == MCQ_EAGAIN || err == MCQ_ESTATE)
            break;
        if (err != MCQ_OK) {
            fail(cat, "can't send stdin", cat->first->number, mcq_error_name(err));
            break;
        }
        /* A request stays until it is answered: it is asked again if it gets lost. */
        cat->in_exchange = is(cat, MCQ_REQ);
        if (!cat->in_exchange)
            drop_line(cat);
        cat->sent++;
        touch(cat);
    }
}

static void pause_peer(struct cat *cat, struct mcq_peer peer)
{
    struct cat_paused *p = &cat->paused;
    if (p->cnt == p->room) {
        size_t room = p->room == 0 ? 16 : p->room * 2;
        struct mcq_peer *grown = realloc(p->peers, room * sizeof *grown);
        if (grown == NULL) {
            fail(cat, "pausing a peer", 0, strerror(errno));
            return;
        }
        p->peers = grown;
        p->room = room;
    }
    p->peers[p->cnt++] = peer;
}

/* One that has gone meanwhile needs no resuming. */
static void resume_peers(struct cat *cat)
{
    for (size_t i = 0; i < cat->paused.cnt; i++)
        (void)mcq_peer_resume(cat->sock, cat->paused.peers[i]);
    cat->paused.cnt = 0;
}

/* What held lines or peers back may be over. */
static void go_on(struct cat *cat)
{
    send_lines(cat);
    resume_peers(cat);
    end_if_done(cat);
}

static void on_line(void *ctx, struct cat_line *line)
{
    struct cat *cat = ctx;
    if (cat->first == NULL)
        cat->first = line;
    else
        cat->last->next = line;
    cat->last = line;
    go_on(cat);
}

static void on_input_end(void *ctx, const char *why, uint64_t number)
{
    struct cat *cat = ctx;
    cat->input_ended = true;
    if (why != NULL)
        fail(cat, "stdin", number, why);
    end_if_done(cat);
}

static void on_writable(void *ctx, struct mcq_sock *sock)
{
    (void)sock;
    go_on(ctx);
}

/* --- Receiving ------------------------------------------------------------------------------- */

static bool echo(struct cat *cat, struct mcq_peer from, struct mcq_msg *msg)
{
    if (!cat->gathered)
        return false;
    enum mcq_error err =
        is(cat, MCQ_REP) ? mcq_send(cat->sock, msg) : mcq_send_to(cat->sock, from, msg);
    if (err == MCQ_EAGAIN)
        return false;
    if (err != MCQ_OK && err != MCQ_ESTALE && err != MCQ_ESTATE)
        fail(cat, "can't echo", 0, mcq_error_name(err));
    return true;
}

/* A ROUTER's message comes without the identity that opens the line. */
static void print(const struct cat *cat, struct mcq_peer from, const struct mcq_msg *msg)
{
    struct mcq_frame frames[MCQ_FRAME_CNT_MAX + 1];
    uint32_t cnt = 0;
    if (is(cat, MCQ_ROUTER) && mcq_peer_identity(cat->sock, from, frames) == MCQ_OK)
        cnt = 1;
    for (uint32_t i = 0; i < mcq_msg_frame_cnt(msg); i++)
        frames[cnt++] = mcq_msg_frame(msg, i);
    cat_text_print(stdout, frames, cnt, cat->options->hex);
}

static void flush(struct cat *cat)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        fail(cat, "stdout", 0, strerror(errno));
}

/* False: not now, the message has to come again. */
static bool take_message(struct cat *cat, struct mcq_peer from, struct mcq_msg *msg)
{
    if (cat->ending || counted(cat))
        return false;
    if (cat->options->echo)
        return echo(cat, from, msg);
    if (is(cat, MCQ_REP) && cat->in_exchange)
        return false;
    print(cat, from, msg);
    if (is(cat, MCQ_REQ))
        drop_line(cat);
    cat->in_exchange = is(cat, MCQ_REP);
    return true;
}

static size_t on_messages(void *ctx, struct mcq_sock *sock, struct mcq_peer from,
                          struct mcq_msg *msgs, size_t n)
{
    struct cat *cat = ctx;
    (void)sock;
    size_t taken = 0;
    while (taken < n && take_message(cat, from, &msgs[taken])) {
        taken++;
        cat->received++;
        send_lines(cat);
    }
    if (taken > 0)
        touch(cat);
    if (taken < n)
        pause_peer(cat, from);
    flush(cat);
    end_if_done(cat);
    return taken;
}

/* --- Peers ----------------------------------------------------------------------------------- */

static void gather(struct cat *cat)
{
    int64_t now = publishes(cat) ? cat->subscriptions : mcq_sock_peer_cnt(cat->sock);
    touch(cat);
    if (cat->gathered || now < cat->options->wait)
        return;
    cat->gathered = true;
    go_on(cat);
}

/* What an XPUB is told is something received: a line, +TOPIC or -TOPIC. */
static void on_subscription(void *ctx, struct mcq_sock *sock, struct mcq_peer peer, bool added,
                            const void *topic, size_t len)
{
    struct cat *cat = ctx;
    struct mcq_frame frame = {topic, len};
    (void)sock, (void)peer;
    if (is(cat, MCQ_XPUB) && !cat->ending && !counted(cat)) {
        putc_unlocked(added ? '+' : '-', stdout);
        cat_text_print(stdout, &frame, 1, cat->options->hex);
        cat->received++;
        flush(cat);
    }
    cat->subscriptions += added ? 1 : -1;
    gather(cat);
    end_if_done(cat);
}

/* What peers do is told as often as they do it: that must not fill a disk, nor stop us by a pipe
 * that nobody reads. */
static bool may_warn(struct cat *cat)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    uint64_t now_ns = mcq_shard_now(cat->shard);
    if (now_ns - cat->warn_ns >= WARN_PERIOD_NS) {
        cat->warn_ns = now_ns;
        cat->warnings = 0;
    }
    if (cat->warnings++ < WARNINGS_MAX && poll(&out, 1, 0) == 1)
        return true;
    cat->untold++;
    return false;
}

static void own_up(struct cat *cat)
{
    if (cat->untold > 0)
        fprintf(stderr, "mcq-cat: %" PRIu64 " more were not told\n", cat->untold);
    cat->untold = 0;
}

static void warn(struct cat *cat, const struct mcq_event *event)
{
    if (!may_warn(cat))
        return;
    own_up(cat);
    fprintf(stderr, "mcq-cat: %s %s: %s", mcq_event_name(event->kind), event->endpoint,
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

/* Whoever was asked is gone, and the reply with it. */
static void ask_again(struct cat *cat)
{
    if (!is(cat, MCQ_REQ) || !cat->in_exchange)
        return;
    cat->in_exchange = false;
    go_on(cat);
}

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *event)
{
    struct cat *cat = ctx;
    (void)sock;
    switch (event->kind) {
    case MCQ_EVENT_UP:
        cat->met = true;
        gather(cat);
        end_if_done(cat);
        break;
    case MCQ_EVENT_HANDSHAKE_FAILED:
        /* Nobody listens yet: that is what trying again is for. */
        if (event->reason != MCQ_REASON_RESET && event->reason != MCQ_REASON_LOCAL)
            warn(cat, event);
        break;
    case MCQ_EVENT_DROPPED:
        warn(cat, event);
        if (event->reason == MCQ_REASON_NO_PEER)
            ask_again(cat);
        break;
    case MCQ_EVENT_DISCONNECTED:
        if (!is_plain_end(event->reason))
            warn(cat, event);
        break;
    case MCQ_EVENT_LISTEN_FAILED:
    case MCQ_EVENT_REFUSED:
        warn(cat, event);
        break;
    case MCQ_EVENT_LISTENING:
    case MCQ_EVENT_UNBOUND:
    case MCQ_EVENT_ACCEPTED:
    case MCQ_EVENT_CONNECTING:
    case MCQ_EVENT_CONNECTED:
    case MCQ_EVENT_RETRY:
    case MCQ_EVENT_SLOW:
    case MCQ_EVENT_SLOW_END:
    case MCQ_EVENT_UNCONNECTED:
        break;
    }
}

/* --- The start ------------------------------------------------------------------------------- */

static enum mcq_error open_socket(struct cat *cat, struct mcq_detail *detail)
{
    static const struct mcq_sock_handlers handlers = {
        .messages = on_messages,
        .writable = on_writable,
        .event = on_event,
        .subscription = on_subscription,
        .closed = on_closed,
    };
    struct mcq_sock_opts opts = MCQ_SOCK_OPTS_INIT;
    opts.identity = cat->options->identity.data;
    opts.identity_len = cat->options->identity.len;
    if (publishes(cat)) {
        opts.send_hwm_msgs = MCQ_UNLIMITED;
        opts.send_hwm_bytes = PUB_QUEUE_BYTES;
    }
    if (send_only(cat) || is(cat, MCQ_REP) || cat->options->echo)
        opts.linger_ms = LINGER_WRITTEN_MS;
    for (uint32_t i = 0; i < cat->options->setting_cnt; i++) {
        const struct cat_setting *s = &cat->options->settings[i];
        enum mcq_error err = mcq_sock_opts_set(&opts, s->name, s->value, detail);
        if (err != MCQ_OK)
            return err;
    }
    return mcq_sock_open(cat->shard, cat->options->type, &opts, &handlers, cat, &cat->sock, detail);
}

static enum mcq_error open_endpoint(struct cat *cat, const struct cat_endpoint *endpoint,
                                    struct mcq_detail *detail)
{
    if (!endpoint->bind)
        return mcq_sock_connect(cat->sock, endpoint->text, detail);
    enum mcq_error err = mcq_sock_bind(cat->sock, endpoint->text, detail);
    if (err == MCQ_OK)
        fprintf(stderr, "bound %s\n", mcq_sock_endpoint(cat->sock));
    return err;
}

static enum mcq_error open_all(struct cat *cat, struct mcq_detail *detail)
{
    const struct cat_options *o = cat->options;
    enum mcq_error err = open_socket(cat, detail);
    for (uint32_t i = 0; err == MCQ_OK && i < o->prefix_cnt; i++)
        err = mcq_subscribe(cat->sock, o->prefixes[i].data, o->prefixes[i].len);
    for (uint32_t i = 0; err == MCQ_OK && i < o->endpoint_cnt; i++)
        err = open_endpoint(cat, &o->endpoints[i], detail);
    return err;
}

static enum mcq_error start_timer(struct cat *cat)
{
    if (cat->options->timeout_ns == 0)
        return MCQ_OK;
    enum mcq_error err = mcq_timer_open(cat->shard, on_timer, cat, &cat->timer);
    if (err == MCQ_OK)
        arm_timer(cat);
    return err;
}

static bool start_input(struct cat *cat)
{
    static const struct cat_input_handlers handlers = {.line = on_line, .end = on_input_end};
    if (!cat_type_sends(cat->options->type) || cat->options->echo)
        return true;
    cat->input = cat_input_create(cat->shard, cat->options->hex, &handlers, cat);
    return cat->input != NULL;
}

int cat_start(struct mcq_shard *shard, void *arg)
{
    struct cat *cat = arg;
    struct mcq_detail detail = {.text = ""};
    cat->shard = shard;
    cat->gathered = cat->options->wait == 0;
    touch(cat);
    enum mcq_error err = open_all(cat, &detail);
    if (err == MCQ_OK)
        err = start_timer(cat);
    if (err != MCQ_OK) {
        fprintf(stderr, "mcq-cat: %s: %s\n", mcq_error_name(err), detail.text);
        /* A type or an endpoint that doesn't exist is a mistake on the command line. */
        bool usage = err == MCQ_EADDR || err == MCQ_ENOTSUP;
        cat->exit_code = usage ? CAT_EXIT_USAGE : CAT_EXIT_ERROR;
        return 1;
    }
    if (!start_input(cat)) {
        fputs("mcq-cat: no thread to read stdin\n", stderr);
        cat->exit_code = CAT_EXIT_ERROR;
        return 1;
    }
    return 0;
}

void cat_fini(struct cat *cat)
{
    own_up(cat);
    cat_line_destroy_all(cat->first);
    cat_input_destroy(cat->input);
    free(cat->paused.peers);
}
