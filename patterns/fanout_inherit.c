/* Subscriptions that come along with a peer from another shard. */
#include "patterns/fanout_private.h"
#include "patterns/psock.h"

static bool inherit(struct mcq_psock *s, struct mcq_pipe *p, const struct mcq_sub *sub)
{
    struct mcq_slice name = mcq_prefix_key(&sub->topic->prefix);
    if (sub->asked && mcq_fanout_change(s, p, true, name) != MCQ_REASON_NONE)
        return false;
    return !s->opts->manual || !sub->real || mcq_fanout_change_for(s, p, true, name) == MCQ_OK;
}

bool mcq_fanout_inherit(struct mcq_psock *s, struct mcq_pipe *p, const struct mcq_pipe *giver)
{
    const struct mcq_subscriber *who = giver->subscriber;
    p->welcomed = s->opts->welcome_len == 0 || giver->welcomed;
    if (who == NULL)
        return true;
    for (struct mcq_node *n = mcq_list_first(&who->subs); n != NULL;
         n = mcq_list_next(&who->subs, n))
        if (!inherit(s, p, MCQ_CONTAINER_OF(n, struct mcq_sub, who_node)))
            return false;
    return true;
}

/* Its welcome follows as soon as all members know what it wants: then it is clear who sends it. */
bool mcq_fanout_tied(const struct mcq_psock *s, const struct mcq_pipe *p)
{
    return s->opts->welcome_len != 0 && !p->welcomed && !p->leaving && p->subscriber != NULL &&
           p->subscriber->cnt != 0;
}

/* A pass gives to those that it hasn't come to. */
void mcq_fanout_mute(struct mcq_pipe *p, bool on)
{
    p->fanout_seq = on ? UINT64_MAX : 0;
}
