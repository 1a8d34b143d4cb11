#include "patterns/fairq.h"

void mcq_fairq_init(struct mcq_fairq *q)
{
    mcq_list_init(&q->line);
    q->turn = NULL;
}

void mcq_fairq_wait(struct mcq_fairq *q, struct mcq_pipe *p)
{
    if (!mcq_node_linked(&p->fairq_node))
        mcq_list_push_back(&q->line, &p->fairq_node);
}

bool mcq_fairq_take(struct mcq_fairq *q, struct mcq_pipe *p)
{
    if (q->turn != NULL && q->turn != p)
        return false;
    mcq_fairq_forget(q, p);
    return true;
}

struct mcq_pipe *mcq_fairq_next(struct mcq_fairq *q)
{
    MCQ_DASSERT(q->turn == NULL);
    struct mcq_node *n = mcq_list_pop_front(&q->line);
    if (n != NULL)
        q->turn = MCQ_CONTAINER_OF(n, struct mcq_pipe, fairq_node);
    return q->turn;
}

void mcq_fairq_forget(struct mcq_fairq *q, struct mcq_pipe *p)
{
    mcq_node_unlink(&p->fairq_node);
    if (q->turn == p)
        q->turn = NULL;
}
