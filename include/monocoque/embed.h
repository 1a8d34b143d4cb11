/* Embedding: shard 0 takes its turns in the program's own loop, on the program's own thread.
 *
 *      mcq_embed_open --> mcq_shard_poll, again and again, until it returns false -->
 * mcq_embed_close
 *
 *      while (mcq_shard_poll(shard, &wait_ns))
 *          poll mcq_shard_fd(shard) and the program's own descriptors for at most wait_ns
 *
 * With more than one shard the others have threads as in mcq_run. Everything else is as there; the
 * calling thread is shard 0's from open to close, may have no other shard, and isn't pinned;
 * signals are left alone. As there, an app with nothing open on any shard ends: one that waits for
 * ports or posts alone keeps a timer open.
 */
#ifndef MONOCOQUE_EMBED_H
#define MONOCOQUE_EMBED_H

#include <monocoque/app.h>
#include <monocoque/shard.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mcq_embed;

/* mcq_embed_open sets all shards up and starts them, shard 0 inside this call, and *gives* *embed.
 * app and arg are borrowed until close. Errors as of mcq_run, and MCQ_ETHREAD (this thread has a
 * shard); nothing is left over then. */
MCQ_API MCQ_MUST_USE enum mcq_error mcq_embed_open(const struct mcq_opts *opts,
                                                   const struct mcq_app *app, void *arg,
                                                   struct mcq_embed **embed,
                                                   struct mcq_detail *detail);
MCQ_API struct mcq_shard *mcq_embed_shard(struct mcq_embed *embed);

/* mcq_shard_poll takes one turn of an embedded shard; it never sleeps. Returns false once the app
 * has ended, or on another thread than the shard's.
 * wait_ns: set to how long the program may sleep before the next call, if it wakes when
 * mcq_shard_fd becomes readable: 0 if there is work left, UINT64_MAX for as long as it isn't.
 * NULL: the next call follows at once, and nobody needs to be told of a sleep. */
MCQ_API bool mcq_shard_poll(struct mcq_shard *shard, uint64_t *wait_ns);
/* mcq_shard_fd returns a descriptor for poll, epoll or another ring: readable (POLLIN) while a turn
 * has something to do; never to be read. Borrowed until close. */
MCQ_API int mcq_shard_fd(const struct mcq_shard *shard);

/* mcq_embed_close waits for the end of all shards, after mcq_stop if mcq_shard_poll hasn't returned
 * false, gives everything back, and *takes* embed. Thread: the one that opened.
 * Errors as of mcq_run; MCQ_ETHREAD. */
MCQ_API enum mcq_error mcq_embed_close(struct mcq_embed *embed, struct mcq_detail *detail);

#ifdef __cplusplus
}
#endif
#endif
