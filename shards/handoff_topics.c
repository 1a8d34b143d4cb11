/* What a publisher was told to send, and goes on sending when its peer has moved, until the new
 * member takes it back. */
#include "shards/handoff.h"
#include "shards/shard.h"

/* What was told before it came here, and hasn't been taken back yet. */
static struct mcq_slice untold(const struct mcq_link *link)
{
    const struct mcq_buf *b = link->topics;
    return b == NULL ? mcq_slice_of(NULL, 0)
                     : mcq_slice_of(b->base + link->topics_pos, b->written - link->topics_pos);
}

/* false: no memory for the list of what the publisher was told. */
bool mcq_handoff_give_topics(struct mcq_move *m)
{
    struct mcq_link *link = m->link;
    struct mcq_psock *ps = &link->sock->psock;
    if (!link->attached || ps->pattern->told == NULL)
        return true;
    const struct mcq_slice before = untold(link);
    size_t len = ps->pattern->told(ps, &link->pipe, NULL) + before.len;
    if (len == 0)
        return true;
    m->topics = mcq_buf_take(link->shard->heap, len);
    if (m->topics == NULL)
        return false;
    struct mcq_writer w = mcq_writer_of(m->topics->base, m->topics->cap);
    (void)ps->pattern->told(ps, &link->pipe, &w);
    if (!mcq_writer_put(&w, before))
        MCQ_ASSERT(false); /* it has been measured */
    m->topics->written = w.len;
    return true;
}

/* What the publisher was told over there, to be taken back as far as nobody wants it here. */
bool mcq_handoff_take_topics(struct mcq_link *link, const struct mcq_move *m)
{
    struct mcq_shard *sh = link->shard;
    if (m->topics == NULL)
        return true;
    struct mcq_buf *b = mcq_buf_take(sh->heap, m->topics->written);
    if (b == NULL)
        return false;
    mcq_bytes_copy(b->base, m->topics->base, m->topics->written);
    b->written = m->topics->written;
    link->topics = b;
    link->topics_pos = 0;
    return true;
}

void mcq_handoff_drop_topics(struct mcq_link *link)
{
    if (link->topics != NULL)
        mcq_buf_unref(link->shard->heap, link->topics);
    link->topics = NULL;
}

bool mcq_handoff_next_topic(struct mcq_link *link, struct mcq_slice *topic)
{
    struct mcq_psock *ps = &link->sock->psock;
    while (link->topics != NULL) {
        struct mcq_reader r = mcq_reader_of(mcq_slice_of(link->topics->base + link->topics_pos,
                                                         link->topics->written - link->topics_pos));
        uint32_t len;
        if (mcq_reader_left(&r) == 0) {
            mcq_handoff_drop_topics(link);
            return false;
        }
        bool ok = mcq_reader_be32(&r, &len) && mcq_reader_take(&r, len, topic);
        MCQ_ASSERT(ok);
        if (!ps->pattern->wants(ps, *topic))
            return true;
        link->topics_pos += r.pos;
    }
    return false;
}

void mcq_handoff_topic_told(struct mcq_link *link, struct mcq_slice topic)
{
    link->topics_pos += sizeof(uint32_t) + topic.len;
}
