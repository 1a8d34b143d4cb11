/* The public calls about owned messages. */
#include "shards/shard.h"

enum mcq_error mcq_msg_keep(struct mcq_shard *sh, const struct mcq_msg *src, struct mcq_msg *kept)
{
    if (sh != mcq_shard_here)
        return MCQ_ETHREAD;
    return mcq_buf_msg_keep(sh->heap, sh->pin_max, src, kept);
}

enum mcq_error mcq_msg_from_memory(struct mcq_shard *sh, const void *data, size_t len,
                                   mcq_free_fn *free_fn, void *hint, struct mcq_msg *msg)
{
    if (sh != mcq_shard_here)
        return MCQ_ETHREAD;
    return mcq_buf_msg_external(sh->heap, data, len, free_fn, hint, msg);
}

void mcq_msg_drop(struct mcq_shard *sh, struct mcq_msg *msg)
{
    if (sh == mcq_shard_here)
        mcq_buf_msg_drop(sh->heap, msg);
}
