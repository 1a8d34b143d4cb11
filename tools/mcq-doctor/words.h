/* Words: the forms in which the kernel writes things. What isn't exactly of a form is refused. */
#ifndef MCQ_DOCTOR_WORDS_H
#define MCQ_DOCTOR_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORDS_LEN 64u

/* A whole number and nothing else, but for space around it. */
bool doctor_words_number(const char *text, int64_t *value);
/* The one word that is there; what doesn't fit isn't one. */
bool doctor_words_word(const char *text, char word[WORDS_LEN]);
/* The word in brackets of "always [madvise] never". */
bool doctor_words_chosen(const char *text, char word[WORDS_LEN]);
/* The number after a word at the beginning of a line: "Seccomp:\t2", "nr_throttled 7". */
bool doctor_words_key(const char *text, const char *key, int64_t *value);
bool doctor_words_key_hex(const char *text, const char *key, uint64_t *value);
/* The rest of such a line, without space around it; false: no such line, or nothing in it. */
bool doctor_words_line(const char *text, const char *key, char *line, size_t len);
/* Whether a word stands in a line of words. */
bool doctor_words_has(const char *text, const char *word);
/* The value of name=value in a kernel command line; name alone has the value "". The last wins, as
 * for the kernel. */
bool doctor_words_param(const char *text, const char *name, char *value, size_t len);
/* Numbers at the beginning of a text, up to max of them. Returns how many; space separates. */
uint32_t doctor_words_numbers(const char *text, int64_t *values, uint32_t max);
/* The line after this one; NULL: this was the last. */
const char *doctor_words_next_line(const char *text);
/* At most len - 1 printable bytes of what may be anything, in one line; more end with "...". */
void doctor_words_show(const char *text, char *shown, size_t len);

#endif
