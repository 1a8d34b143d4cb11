/* Text that grows, and bytes as people write them: `ff 00*7 "NULL"`.
 *
 * Written back, bytes are always hex with runs of eight or more as XX*N, so that two texts are
 * equal exactly if their bytes are.
 */
#ifndef MCQ_TESTS_TEXT_H
#define MCQ_TESTS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mcq_text {
    char *ptr; /* ends with a zero once something was added; NULL before */
    size_t len;
    size_t cap;
};

void mcq_text_fini(struct mcq_text *t);
void mcq_text_add(struct mcq_text *t, const void *bytes, size_t len);
__attribute__((format(printf, 2, 3))) void mcq_text_printf(struct mcq_text *t, const char *form,
                                                           ...);
/* Appends bytes[0, len) in the canonical form, a space before each token. */
void mcq_text_hex(struct mcq_text *t, const uint8_t *bytes, size_t len);

/* Reads one token of bytes at *at, appends what it means to out. false: none, or not well formed.
 */
bool mcq_text_token(const char **at, struct mcq_text *out);

#endif
