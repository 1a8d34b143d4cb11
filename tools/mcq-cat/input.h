/* Input: a thread that reads lines of stdin and posts each to the shard.
 *
 *      stdin --> [reading thread] --mcq_post--> line(ctx) on the shard --> cat_input_done
 *
 * At most CAT_INPUT_LINES_MAX lines and about CAT_INPUT_BYTES_MAX bytes are between the two (a
 * longer line goes alone): beyond that the thread waits, so whoever writes to our stdin waits.
 */
#ifndef MCQ_CAT_INPUT_H
#define MCQ_CAT_INPUT_H

#include "line.h"

#define CAT_INPUT_LINES_MAX 512u /* below the 1,024 posts a shard lets wait */
#define CAT_INPUT_BYTES_MAX (16u * 1024u * 1024u)

struct cat_input;

/* Both run on the shard's thread. */
struct cat_input_handlers {
    /* The next line, given: ends with cat_input_done. */
    void (*line)(void *ctx, struct cat_line *line);
    /* The last call. why: NULL at the end of stdin, else what is wrong with line `number`. */
    void (*end)(void *ctx, const char *why, uint64_t number);
};

/* Starts reading. handlers and ctx are borrowed until cat_input_stop. NULL: no thread to be had. */
struct cat_input *cat_input_create(struct mcq_shard *shard, bool hex,
                                   const struct cat_input_handlers *handlers, void *ctx);

/* Takes line, which leaves room for another. Thread: the shard's. */
void cat_input_done(struct cat_input *input, struct cat_line *line);

/* No handler runs afterwards, and nothing is posted. Thread: the shard's. */
void cat_input_stop(struct cat_input *input);

/* After stop; NULL is fine. A thread that still hangs in a read keeps its memory for as long as the
 * process lives. */
void cat_input_destroy(struct cat_input *input);

#endif
