#include "echo.h"

static bool routed(enum mcq_sock_type type)
{
    return type == MCQ_ROUTER || type == MCQ_DEALER || type == MCQ_PAIR;
}

static enum mcq_error send_back(struct echo *e, struct mcq_peer to, struct mcq_msg *msg)
{
    enum mcq_error err =
        routed(mcq_sock_type(e->sock)) ? mcq_send_to(e->sock, to, msg) : mcq_send(e->sock, msg);
    if (err == MCQ_ESTALE)
        return MCQ_OK;
    if (err == MCQ_OK)
        e->echoed++;
    else if (err != MCQ_EAGAIN)
        e->failure = mcq_error_name(err);
    return err;
}

static void wait_for(struct echo *e, struct mcq_peer peer, struct mcq_msg kept)
{
    e->waits++;
    if (e->waiting_cnt == ECHO_WAITING_MAX) {
        e->failure = "too many peers wait";
        return;
    }
    e->waiting[e->waiting_cnt++] = (struct echo_waiting){peer, kept};
}

size_t echo_messages(struct echo *e, struct mcq_peer from, struct mcq_msg *msgs, size_t n)
{
    size_t taken = 0;
    while (taken < n && send_back(e, from, &msgs[taken]) == MCQ_OK)
        taken++;
    if (taken < n)
        wait_for(e, from, (struct mcq_msg){.frame_cnt = 0});
    return taken;
}

enum mcq_flow echo_message(struct echo *e, struct mcq_peer from, struct mcq_msg *msg)
{
    struct mcq_msg kept;
    if (send_back(e, from, msg) != MCQ_EAGAIN)
        return MCQ_CONTINUE;
    enum mcq_error err = mcq_msg_keep(mcq_sock_shard(e->sock), msg, &kept);
    if (err != MCQ_OK)
        e->failure = mcq_error_name(err);
    else
        wait_for(e, from, kept);
    return MCQ_PAUSE;
}

/* False: still no room. */
static bool retry(struct echo *e, struct echo_waiting *w)
{
    if (w->kept.frame_cnt != 0) {
        if (send_back(e, w->peer, &w->kept) == MCQ_EAGAIN)
            return false;
        mcq_msg_drop(mcq_sock_shard(e->sock), &w->kept); /* nothing if it was sent */
    }
    mcq_peer_resume(e->sock, w->peer);
    return true;
}

void echo_writable(struct echo *e)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < e->waiting_cnt; i++)
        if (!retry(e, &e->waiting[i]))
            e->waiting[left++] = e->waiting[i];
    e->waiting_cnt = left;
}
