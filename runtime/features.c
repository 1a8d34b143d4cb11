#include "runtime/features.h"

#include <stdio.h>
#include <string.h>

#include "mem/detail.h"

enum feature { INC = 1, MSHOT_LIMIT = 2, MSHOT_ACCEPT = 4, RING_FD = 8, HOT = 16, MSGRING = 32 };

/* mshot is mshot-limit by another name: an unlimited shot would let a peer run past its credit, so
 * without the limit no shot is taken at all. */
static const struct {
    const char *name;
    unsigned bits;
} NAMES[] = {
    {"inc", INC},           {"mshot-limit", MSHOT_LIMIT},
    {"mshot", MSHOT_LIMIT}, {"mshot-accept", MSHOT_ACCEPT},
    {"ring-fd", RING_FD},   {"min-wait", 0},
    {"msgring", MSGRING},   {"send-zc", 0},
    {"hot", HOT},
};
#define NAMES_TEXT \
    "-inc -mshot -mshot-limit -mshot-accept -ring-fd -min-wait -msgring -send-zc -hot"

static bool is_name(const char *name, const char *word, size_t len)
{
    return strlen(name) == len && strncmp(name, word, len) == 0;
}

/* -1: unknown. */
static int bits_of(const char *word, size_t len)
{
    if (is_name("6.1", word, len))
        return INC | MSHOT_LIMIT;
    if (len == 0 || word[0] != '-')
        return -1;
    for (size_t i = 0; i < MCQ_CNT_OF(NAMES); i++)
        if (is_name(NAMES[i].name, word + 1, len - 1))
            return (int)NAMES[i].bits;
    return -1;
}

struct mcq_features mcq_features_all(void)
{
    struct mcq_features f = {.inc = true,
                             .mshot_limit = true,
                             .mshot_accept = true,
                             .ring_fd = true,
                             .hot = true,
                             .msgring = true};
    return f;
}

enum mcq_error mcq_features_mask(struct mcq_features *f, const char *text,
                                 struct mcq_detail *detail)
{
    unsigned off = 0;
    const char *word = text == NULL ? "" : text;
    while (*word != '\0') {
        size_t len = strcspn(word, ",");
        int bits = bits_of(word, len);
        if (bits < 0)
            return mcq_detail_set(
                detail, MCQ_EINVAL, 0,
                "unknown io_uring feature '%.*s': write %s, or 6.1 for all that is "
                "newer than kernel 6.1, with commas between",
                len > 32 ? 32 : (int)len, word, NAMES_TEXT);
        off |= (unsigned)bits;
        word += len;
        if (*word == ',')
            word++;
    }
    f->inc &= !(off & INC);
    f->mshot_limit &= !(off & MSHOT_LIMIT);
    f->mshot_accept &= !(off & MSHOT_ACCEPT);
    f->ring_fd &= !(off & RING_FD);
    f->hot &= !(off & HOT);
    f->msgring &= !(off & MSGRING);
    return MCQ_OK;
}

void mcq_features_text(const struct mcq_features *f, char text[MCQ_FEATURES_TEXT_LEN])
{
    snprintf(text, MCQ_FEATURES_TEXT_LEN, "%s%s%s%s%s%s%s%s", f->sqpoll ? "sqpoll" : "defer",
             f->ring_fd ? ", ring-fd" : "", f->mshot_accept ? ", mshot-accept" : "",
             f->mshot_limit ? ", mshot-limit" : "", f->inc ? ", inc" : "", f->hot ? ", hot" : "",
             f->msgring ? ", msgring" : "", f->napi ? ", napi" : "");
}
