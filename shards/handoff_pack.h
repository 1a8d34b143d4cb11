/* Handoff_pack: what a connection's link is made of, from one shard's memory into another's.
 *
 *      giver   choose: how each block goes ........................... settle, or nothing
 *      taker            take: a copy in its own memory, or all undone
 *
 * Three ways for a block. Copied: small messages, residues. Lent: large bodies stay where they
 * are, and the reference goes with them (shards/remote_ref). Passed on: a body that the giver has
 * itself been lent by a third shard is now lent to the taker, or is home again if it is the
 * taker's; so however often a queue moves on, there is one reference, and no chain.
 *
 * Until the taker has answered, the giver keeps all of it and touches nothing; the taker reads, and
 * writes `way` alone. What the taker has built out of a queue ends without a word home if it takes
 * nothing in the end (undo), for only settle makes the references the taker's.
 *
 * Thread: each function that of the shard it is given. Errors: false, nothing is taken.
 */
#ifndef MCQ_SHARDS_HANDOFF_PACK_H
#define MCQ_SHARDS_HANDOFF_PACK_H

#include "patterns/pipe.h"
#include "shards/session.h"

enum mcq_way { MCQ_WAY_COPY = 0, MCQ_WAY_LEND, MCQ_WAY_PASS };

/* --- a queue */

void mcq_pack_choose(struct mcq_pipe_queue *q);
/* What of it is to be lent may come home before settle: it counts as out from here, until back.
 * Gives how much; settle comes in between. */
uint32_t mcq_pack_ahead(struct mcq_shard *sh, const struct mcq_pipe_queue *q);
void mcq_pack_back(struct mcq_shard *sh, uint32_t ahead);
/* from: the giver's id. src's segments and blocks are read. dst: of sh's own. */
MCQ_MUST_USE bool mcq_pack_take(struct mcq_shard *sh, uint32_t from, struct mcq_pipe_queue *src,
                                struct mcq_pipe_queue *dst);
void mcq_pack_undo(struct mcq_shard *sh, struct mcq_pipe_queue *dst);
/* The giver's part is over. */
void mcq_pack_settle(struct mcq_shard *sh, struct mcq_pipe_queue *q);
/* It wasn't to be: ends what waited. Returns the messages. */
uint64_t mcq_pack_drop(struct mcq_shard *sh, struct mcq_pipe_queue *q);

/* --- a session: window, control and converted bytes that wait, and its plain values */

enum mcq_way mcq_pack_choose_window(const struct mcq_session *s);
/* dst has no connection then, and moves. */
MCQ_MUST_USE bool mcq_pack_take_session(struct mcq_shard *sh, uint32_t from,
                                        const struct mcq_session *src, enum mcq_way way,
                                        struct mcq_session *dst);
void mcq_pack_undo_session(struct mcq_shard *sh, struct mcq_session *dst);
void mcq_pack_settle_session(struct mcq_shard *sh, struct mcq_session *src, enum mcq_way way);

#endif
