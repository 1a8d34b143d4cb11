#include "runtime/hot.h"

#include "runtime/loop_private.h"

void mcq_hot_init(struct mcq_hot *hot, enum mcq_idle idle, bool on)
{
    mcq_list_init(&hot->again);
    hot->cnt = 0;
    hot->max = idle == MCQ_IDLE_BLOCK || !on ? 0 : MCQ_HOT_MAX;
}

bool mcq_hot_take(struct mcq_loop *loop, struct mcq_conn *c)
{
    if (c->hot)
        return true;
    if (c->quiet || loop->hot.cnt == loop->hot.max || c->state != MCQ_CONN_OPEN)
        return false;
    c->hot = true;
    c->hot_until_ns = loop->now_ns + MCQ_HOT_NS;
    loop->hot.cnt++;
    return true;
}

void mcq_hot_leave(struct mcq_loop *loop, struct mcq_conn *c)
{
    if (!c->hot)
        return;
    c->hot = false;
    loop->hot.cnt--;
}

static void cool(struct mcq_loop *loop, struct mcq_conn *c)
{
    mcq_hot_leave(loop, c);
    c->quiet = true;
    mcq_conn_arm_recv(loop, c);
}

void mcq_hot_missed(struct mcq_loop *loop, struct mcq_conn *c)
{
    if (loop->now_ns >= c->hot_until_ns)
        cool(loop, c);
    else
        mcq_list_push_back(&loop->hot.again, &c->line);
}

void mcq_hot_fed(struct mcq_loop *loop, struct mcq_conn *c)
{
    c->quiet = false;
    c->hot_until_ns = loop->now_ns + MCQ_HOT_NS;
}

void mcq_hot_ask(struct mcq_loop *loop)
{
    for (struct mcq_node *n; (n = mcq_list_pop_front(&loop->hot.again)) != NULL;)
        mcq_conn_arm_recv(loop, MCQ_CONTAINER_OF(n, struct mcq_conn, line));
}

void mcq_hot_rest(struct mcq_loop *loop)
{
    for (struct mcq_node *n; (n = mcq_list_pop_front(&loop->hot.again)) != NULL;)
        cool(loop, MCQ_CONTAINER_OF(n, struct mcq_conn, line));
}
