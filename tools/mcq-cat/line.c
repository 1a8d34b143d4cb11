#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "line.h"
#include "text.h"

struct buffer {
    char *text;
    size_t len;
    size_t room;
};

static bool buffer_put(struct buffer *b, int c)
{
    if (b->len == b->room) {
        size_t room = b->room == 0 ? 128 : b->room * 2;
        char *grown = realloc(b->text, room);
        if (grown == NULL)
            return false;
        b->text = grown;
        b->room = room;
    }
    b->text[b->len++] = (char)c;
    return true;
}

/* Reads up to a newline or the end of input; *ended: not a byte was left. */
static const char *read_text(FILE *in, struct buffer *b, bool *ended)
{
    int c;
    while ((c = getc_unlocked(in)) != EOF && c != '\n') {
        if (b->len == CAT_LINE_LEN_MAX)
            return "longer than any message may be";
        if (!buffer_put(b, c))
            return "out of memory";
    }
    if (ferror(in))
        return strerror(errno);
    *ended = c == EOF && b->len == 0;
    return NULL;
}

static uint32_t count_frames(const struct buffer *b)
{
    uint32_t cnt = 1;
    for (size_t i = 0; i < b->len; i++)
        cnt += b->text[i] == '\t';
    return cnt;
}

static const char *decode_frames(struct cat_line *line, bool hex)
{
    char *at = line->text;
    char *end = at + line->len;
    for (uint32_t i = 0; i < line->frame_cnt; i++) {
        char *tab = at == end ? NULL : memchr(at, '\t', (size_t)(end - at));
        char *stop = tab != NULL ? tab : end;
        size_t len = 0;
        const char *why = cat_text_decode(at, (size_t)(stop - at), hex, &len);
        if (why != NULL)
            return why;
        line->frames[i] = (struct mcq_frame){at, len};
        at = tab != NULL ? tab + 1 : end;
    }
    return NULL;
}

/* Takes the buffer's text on success. */
static const char *make_line(struct buffer *b, uint64_t number, bool hex, struct cat_line **line)
{
    uint32_t cnt = count_frames(b);
    if (cnt > MCQ_FRAME_CNT_MAX)
        return "more frames than a message may have";
    struct cat_line *made = malloc(sizeof *made + cnt * sizeof made->frames[0]);
    if (made == NULL)
        return "out of memory";
    made->next = NULL;
    made->number = number;
    made->len = b->len;
    made->text = b->text;
    made->frame_cnt = cnt;
    const char *why = decode_frames(made, hex);
    if (why != NULL) {
        free(made);
        return why;
    }
    *line = made;
    return NULL;
}

const char *cat_line_read(FILE *in, uint64_t number, bool hex, struct cat_line **line)
{
    struct buffer b = {NULL, 0, 0};
    bool ended = false;
    *line = NULL;
    const char *why = read_text(in, &b, &ended);
    if (why == NULL && !ended)
        why = make_line(&b, number, hex, line);
    if (*line == NULL)
        free(b.text);
    return why;
}

struct mcq_msg cat_line_message(const struct cat_line *line, uint32_t first)
{
    return mcq_msg_of_frames(line->frames + first, line->frame_cnt - first);
}

void cat_line_destroy(struct cat_line *line)
{
    if (line == NULL)
        return;
    free(line->text);
    free(line);
}

void cat_line_destroy_all(struct cat_line *first)
{
    while (first != NULL) {
        struct cat_line *next = first->next;
        cat_line_destroy(first);
        first = next;
    }
}
