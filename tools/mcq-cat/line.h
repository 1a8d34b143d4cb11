/* Line: one line of input, decoded in place into the frames of a message. */
#ifndef MCQ_CAT_LINE_H
#define MCQ_CAT_LINE_H

#include <stdio.h>

#include <monocoque.h>

/* The longest line: a message at the library's default limit of 64 MiB, each byte written \xNN. */
#define CAT_LINE_LEN_MAX (4u * 65u * 1024u * 1024u)

struct cat_line {
    struct cat_line *next; /* for whoever queues it */
    uint64_t number;       /* from 1 */
    size_t len;            /* bytes of text, before decoding */
    char *text;            /* the frames' bytes lie here */
    uint32_t frame_cnt;
    struct mcq_frame frames[];
};

/* Reads the next line of in. Gives *line, or NULL at the end of input.
 * Returns NULL, or why it can't be read: *line is NULL then. */
const char *cat_line_read(FILE *in, uint64_t number, bool hex, struct cat_line **line);

/* Views the frames from `first` on as a message; borrowed from the line. */
struct mcq_msg cat_line_message(const struct cat_line *line, uint32_t first);

/* Takes line; NULL is fine. */
void cat_line_destroy(struct cat_line *line);

/* Takes a queue of lines, from first on by next. */
void cat_line_destroy_all(struct cat_line *first);

#endif
