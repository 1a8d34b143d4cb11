/* Messages: 1..n frames, all delivered or none.
 *
 * struct mcq_msg is an open value of 32 bytes, a view: copying it copies no payload. Where its
 * bytes live decides how long it is good for:
 *   - given to a callback: *borrowed* until the callback returns; mcq_msg_keep makes it yours;
 *   - built over your own bytes (mcq_msg_of): borrowed by the send, which copies what it keeps;
 *   - kept, or built from your memory with a free callback: *owned*; sending takes it, and an
 *     unsent one ends with mcq_msg_drop.
 *
 * Fields are read through the accessors; `frames` is NULL for a message of one frame, else it
 * points to all frame_cnt frames, the first one included.
 */
#ifndef MONOCOQUE_MSG_H
#define MONOCOQUE_MSG_H

#include <monocoque/base.h>
#include <monocoque/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mcq_frame {
    const void *data;
    size_t len; /* bytes */
};

struct mcq_msg {
    const void *data; /* first frame */
    size_t len;       /* bytes of the first frame */
    const struct mcq_frame *frames;
    uint32_t frame_cnt;
    uint32_t owner; /* private: which block holds the bytes, and whether it is borrowed */
};

/* mcq_msg_of views len bytes of the caller's memory as a message of one frame. Borrows data. */
static inline struct mcq_msg mcq_msg_of(const void *data, size_t len)
{
    struct mcq_msg m = {data, len, NULL, 1, 0};
    return m;
}

/* mcq_msg_of_frames views cnt frames in [1, 1024] as one message. Borrows frames and their bytes.
 */
static inline struct mcq_msg mcq_msg_of_frames(const struct mcq_frame *frames, uint32_t cnt)
{
    struct mcq_msg m = {frames[0].data, frames[0].len, cnt > 1 ? frames : NULL, cnt, 0};
    return m;
}

static inline uint32_t mcq_msg_frame_cnt(const struct mcq_msg *m)
{
    return m->frame_cnt;
}

/* mcq_msg_frame returns frame idx in [0, frame_cnt). Cost: one compare. */
static inline struct mcq_frame mcq_msg_frame(const struct mcq_msg *m, uint32_t idx)
{
    struct mcq_frame f = {m->data, m->len};
    if (m->frames != NULL)
        f = m->frames[idx];
    return f;
}

/* mcq_msg_bytes returns the payload bytes of all frames. Cost: O(frames). */
static inline size_t mcq_msg_bytes(const struct mcq_msg *m)
{
    size_t sum = m->len;
    if (m->frames != NULL)
        for (uint32_t i = 1; i < m->frame_cnt; i++)
            sum += m->frames[i].len;
    return sum;
}

/* Called once, on the shard's thread, when the last reference to the memory has ended (for a
 * message that was sent: after the kernel has taken every byte). May send; may not close. */
typedef void mcq_free_fn(void *data, size_t len, void *hint);

/* mcq_msg_keep makes an owned message of a borrowed one: *kept is *given*.
 * Thread: owning shard, inside a callback that borrowed src. Cost: a copy for messages up to
 * 4 KiB, and whenever kept messages already pin a quarter of the shard's 32 KiB blocks, or the
 * message lies in a larger block than it needs; else a count, no copy.
 * Errors: MCQ_ELIMIT (block pool empty; src is unchanged), MCQ_ETHREAD. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_msg_keep(struct mcq_shard *shard, const struct mcq_msg *src,
                                                 struct mcq_msg *kept);

/* mcq_msg_from_memory makes an owned message over the caller's memory without a copy: *takes*
 * data[0, len) on success and *gives* *msg; free_fn (may be NULL for static memory) ends it. The
 * memory must not change until then.
 * Thread: owning shard. Cost: O(1), no copy. Errors: MCQ_ELIMIT, MCQ_ETHREAD; data stays yours. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_msg_from_memory(struct mcq_shard *shard, const void *data,
                                                        size_t len, mcq_free_fn *free_fn,
                                                        void *hint, struct mcq_msg *msg);

/* mcq_msg_drop ends an owned message and zeroes *msg; for a borrowed one it only zeroes.
 * Thread: owning shard. Cost: O(1). */
MCQ_API void mcq_msg_drop(struct mcq_shard *shard, struct mcq_msg *msg);

#ifdef __cplusplus
}
#endif
#endif
