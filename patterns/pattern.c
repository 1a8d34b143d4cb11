#include "patterns/pattern.h"

#include "patterns/tables.h"

static const struct mcq_pattern *const tables[] = {
    [MCQ_PAIR] = &mcq_pattern_pair,     [MCQ_PUB] = &mcq_pattern_pub,
    [MCQ_SUB] = &mcq_pattern_sub,       [MCQ_REQ] = &mcq_pattern_req,
    [MCQ_REP] = &mcq_pattern_rep,       [MCQ_DEALER] = &mcq_pattern_dealer,
    [MCQ_ROUTER] = &mcq_pattern_router, [MCQ_PULL] = &mcq_pattern_pull,
    [MCQ_PUSH] = &mcq_pattern_push,     [MCQ_XPUB] = &mcq_pattern_xpub,
    [MCQ_XSUB] = &mcq_pattern_xsub,
};

const struct mcq_pattern *mcq_pattern_of(enum mcq_sock_type type)
{
    size_t idx = (size_t)type;
    return idx < MCQ_CNT_OF(tables) ? tables[idx] : NULL;
}
