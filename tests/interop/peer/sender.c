#include <stdlib.h>
#include <string.h>

#include "sender.h"

#define JOINED_LEN_MAX  65536u /* longer ones are sent from memory of their own */
#define RESERVE_LEN_MAX 16384u
#define MANY            3u
#define ROUTE_FRAMES    2u /* identity, delimiter */
#define IDENTITY_MSGS   500u

static bool is(const struct sender *s, enum mcq_sock_type type)
{
    return s->options->type == type;
}

static void make(const struct sender *s, struct stream_msg *msg, uint64_t seq)
{
    stream_make(msg, &s->options->shape, s->options->sender, (uint32_t)seq, s->options->plant);
}

static void give_back(void *data, size_t len, void *hint)
{
    struct sender *s = hint;
    memset(data, 0xee, len < 4096 ? len : 4096); /* whoever still reads it sends nonsense */
    free(data);
    s->returned++;
}

static enum mcq_error lend(struct sender *s, const struct stream_msg *made, struct mcq_msg *msg)
{
    size_t len = stream_len(made);
    void *data = malloc(len);
    if (data == NULL)
        return MCQ_ENOMEM;
    stream_join(made, data);
    enum mcq_error err = mcq_msg_from_memory(mcq_sock_shard(s->sock), data, len, give_back, s, msg);
    if (err == MCQ_OK)
        s->lent++;
    else
        free(data);
    return err;
}

/* What was refused is still whole, and ours. */
static enum mcq_error send_memory(struct sender *s, const struct stream_msg *made)
{
    enum mcq_error err = MCQ_OK;
    if (s->refused.frame_cnt == 0)
        err = lend(s, made, &s->refused);
    return err == MCQ_OK ? mcq_send(s->sock, &s->refused) : err;
}

static enum mcq_error send_reserved(struct sender *s, const struct stream_msg *made)
{
    void *at = NULL;
    size_t len = stream_len(made);
    enum mcq_error err = mcq_tx_reserve(s->sock, len + 5, &at); /* more than is used */
    if (err != MCQ_OK)
        return err;
    stream_join(made, at);
    return mcq_tx_commit(s->sock, len);
}

static enum mcq_error send_many(struct sender *s, uint64_t seq, uint64_t until, size_t *sent)
{
    static uint8_t joined[MANY][JOINED_LEN_MAX];
    struct mcq_msg msgs[MANY];
    size_t cnt = 0;
    while (cnt < MANY && seq + cnt < until) {
        struct stream_msg made;
        make(s, &made, seq + cnt);
        size_t len = stream_len(&made);
        if (len > JOINED_LEN_MAX)
            break;
        stream_join(&made, joined[cnt]);
        msgs[cnt] = mcq_msg_of(joined[cnt], len);
        cnt++;
    }
    return mcq_send_many(s->sock, msgs, cnt, sent);
}

/* By identity a ROUTER drops what finds no room; by the peer's name it says so. Both are used: by
 * identity while nothing is queued yet. */
static enum mcq_error send_routed(struct sender *s, const struct mcq_frame *frames, uint32_t cnt)
{
    struct mcq_peer peer;
    struct mcq_msg msg = mcq_msg_of_frames(frames, cnt);
    if (s->sent < IDENTITY_MSGS)
        return mcq_send(s->sock, &msg);
    enum mcq_error err = mcq_peer_find(s->sock, frames[0].data, frames[0].len, &peer);
    if (err != MCQ_OK)
        return err;
    msg = mcq_msg_of_frames(frames + 1, cnt - 1);
    return mcq_send_to(s->sock, peer, &msg);
}

static enum mcq_error send_frames(struct sender *s, const struct stream_msg *made)
{
    struct mcq_frame frames[ROUTE_FRAMES + STREAM_FRAME_MAX];
    uint32_t cnt = 0;
    if (is(s, MCQ_ROUTER))
        frames[cnt++] = s->options->to;
    if (s->options->delimiter)
        frames[cnt++] = (struct mcq_frame){"", 0};
    for (uint32_t i = 0; i < made->frame_cnt; i++)
        frames[cnt++] = made->frames[i];
    if (is(s, MCQ_ROUTER))
        return send_routed(s, frames, cnt);
    struct mcq_msg msg = mcq_msg_of_frames(frames, cnt);
    return mcq_send(s->sock, &msg);
}

/* One frame for the body, with a route before it. */
static enum mcq_error send_joined(struct sender *s, const struct stream_msg *made)
{
    struct stream_msg one = {.frame_cnt = 1};
    size_t len = stream_len(made);
    void *joined = malloc(len + 1);
    if (joined == NULL)
        return MCQ_ENOMEM;
    stream_join(made, joined);
    one.frames[0] = (struct mcq_frame){joined, len};
    enum mcq_error err = send_frames(s, &one);
    free(joined);
    return err;
}

static bool may_reserve(const struct sender *s, size_t len)
{
    return len + 5 <= RESERVE_LEN_MAX && (is(s, MCQ_PUSH) || is(s, MCQ_DEALER) || is(s, MCQ_PAIR));
}

static enum mcq_error send_bytes(struct sender *s, const struct stream_msg *made)
{
    static uint8_t joined[JOINED_LEN_MAX];
    stream_join(made, joined);
    return mcq_send_bytes(s->sock, joined, stream_len(made));
}

static bool many_fits(const struct sender *s, uint64_t seq, size_t len)
{
    return seq % 4 == 2 && len <= JOINED_LEN_MAX && !s->options->shape.multipart &&
           !s->options->delimiter && !is(s, MCQ_ROUTER);
}

static enum mcq_error send_one(struct sender *s, uint64_t seq, const struct stream_msg *made)
{
    size_t len = stream_len(made);
    if (s->options->shape.multipart)
        return send_frames(s, made);
    if (is(s, MCQ_ROUTER) || s->options->delimiter)
        return send_joined(s, made);
    if (len > JOINED_LEN_MAX)
        return send_memory(s, made);
    if (seq % 4 == 0 && may_reserve(s, len))
        return send_reserved(s, made);
    if (seq % 4 == 1)
        return send_bytes(s, made);
    return send_joined(s, made);
}

enum mcq_error sender_run(struct sender *s, uint64_t until)
{
    enum mcq_error err = MCQ_OK;
    while (err == MCQ_OK && s->sent < until) {
        size_t sent = 0;
        if (s->made_cnt != s->sent + 1)
            make(s, &s->made, s->sent);
        s->made_cnt = s->sent + 1;
        if (many_fits(s, s->sent, stream_len(&s->made))) {
            err = send_many(s, s->sent, until, &sent);
        } else {
            err = send_one(s, s->sent, &s->made);
            sent = err == MCQ_OK;
        }
        s->sent += sent;
    }
    return err;
}
