/* Shards: one thread, one ring, one arena. Time, timers, posts, stopping. */
#ifndef MONOCOQUE_SHARD_H
#define MONOCOQUE_SHARD_H

#include <monocoque/base.h>
#include <monocoque/error.h>

#ifdef __cplusplus
extern "C" {
#endif

MCQ_API uint32_t mcq_shard_id(const struct mcq_shard *shard); /* [0, mcq_shard_cnt) */
/* How many shards the app has; and the one with that id, for mcq_post and mcq_stop alone (NULL:
 * there is none). Thread: any. */
MCQ_API uint32_t mcq_shard_cnt(const struct mcq_shard *shard);
MCQ_API struct mcq_shard *mcq_shard_at(struct mcq_shard *shard, uint32_t id);
MCQ_API void *mcq_shard_user(const struct mcq_shard *shard);
MCQ_API void mcq_shard_set_user(struct mcq_shard *shard, void *user);

/* mcq_shard_now returns the turn's time: ns, monotonic, not wall-clock, read once per turn.
 * mcq_shard_clock reads the clock now. Thread: owning shard. Cost: a load; about 10 ns. */
MCQ_API uint64_t mcq_shard_now(const struct mcq_shard *shard);
MCQ_API uint64_t mcq_shard_clock(struct mcq_shard *shard);

/* Runs from the loop at or after the armed time; the timer is disarmed then and may be armed
 * again or closed inside. */
typedef void mcq_timer_fn(void *ctx, struct mcq_timer *timer);

/* mcq_timer_open *gives* a timer, not armed. Thread: owning shard. Errors: MCQ_ELIMIT, MCQ_ETHREAD.
 */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_timer_open(struct mcq_shard *shard, mcq_timer_fn *fn,
                                                   void *ctx, struct mcq_timer **timer);
/* mcq_timer_arm sets when it runs: ns on the shard's clock; a past time means the next turn.
 * Arming an armed timer moves it. Cost: O(log timers). */
MCQ_API void mcq_timer_arm(struct mcq_timer *timer, uint64_t at_ns);
MCQ_API void mcq_timer_disarm(struct mcq_timer *timer);
MCQ_API void mcq_timer_close(struct mcq_timer *timer); /* takes */

/* mcq_post runs fn(shard, arg) on the shard's thread, in the order of this thread's posts.
 * Thread: any. Cost: lock-free; one system call if the shard sleeps.
 * Errors: MCQ_EAGAIN (1,024 posts wait already). arg: the caller keeps it alive. */
typedef void mcq_post_fn(struct mcq_shard *shard, void *arg);
MCQ_API MCQ_MUST_USE enum mcq_error mcq_post(struct mcq_shard *shard, mcq_post_fn *fn, void *arg);

#define MCQ_POST_LEN_MAX 1024u

/* mcq_post_bytes copies data[0, len) to shard `to`, where the app's on_post is called with it and
 * kind, whose meaning is the user's. In order per pair of shards. It leaves at the end of the
 * callback, or with 15 others; a post to the own shard arrives in a later turn, or later in this
 * one, never inside the call. Urgent ones have a small ring of their own, are taken before
 * everything else of a turn, and may overtake.
 * Thread: the shard `from`. Cost: some ns and no system call, but to a shard that sleeps.
 * Errors: MCQ_EAGAIN (its ring is full: on_post_room will be called), MCQ_ETOOBIG, MCQ_EINVAL (no
 * such shard), MCQ_ETHREAD. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_post_bytes(struct mcq_shard *from, uint32_t to,
                                                   uint32_t kind, const void *data, size_t len);
MCQ_API MCQ_MUST_USE enum mcq_error mcq_post_bytes_urgent(struct mcq_shard *from, uint32_t to,
                                                          uint32_t kind, const void *data,
                                                          size_t len);
/* The same without the copy: mcq_post_reserve points *at to len bytes, aligned to 8, to be written
 * before mcq_post_commit. In between nothing else of the shard's may be called: a send, too, may
 * use the ring to `to`. What is never committed is never sent. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_post_reserve(struct mcq_shard *from, uint32_t to,
                                                     uint32_t kind, size_t len, void **at);
MCQ_API void mcq_post_commit(struct mcq_shard *from, uint32_t to);

/* mcq_stop ends the app, all shards of it: on_stopping is told, every socket closes within its
 * linger, then mcq_run returns.
 * Thread: any, also a signal handler's. */
MCQ_API void mcq_stop(struct mcq_shard *shard);

#ifdef __cplusplus
}
#endif
#endif
