/* Set: CPUs, as the kernel writes them: lists "0,2-5" and masks "ff,00000003". */
#ifndef MCQ_DOCTOR_SET_H
#define MCQ_DOCTOR_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SET_CPUS_MAX 4096u

struct set {
    uint64_t words[SET_CPUS_MAX / 64];
};

bool doctor_set_has(const struct set *s, uint32_t cpu);
void doctor_set_add(struct set *s, uint32_t cpu);
uint32_t doctor_set_cnt(const struct set *s);
/* The next CPU from `from` on; SET_CPUS_MAX: none. */
uint32_t doctor_set_next(const struct set *s, uint32_t from);
bool doctor_set_meets(const struct set *a, const struct set *b);
struct set doctor_set_and(const struct set *a, const struct set *b);
struct set doctor_set_without(const struct set *a, const struct set *b);

/* Both take the whole of a text but for space at its ends; an empty list is the empty set, an empty
 * mask is none. */
bool doctor_set_from_list(struct set *s, const char *text);
bool doctor_set_from_mask(struct set *s, const char *text);

/* "0,2-5"; "none" for the empty set; one that doesn't fit ends with "...". */
void doctor_set_list(const struct set *s, char *text, size_t len);
/* "0 2 3 4 5". */
void doctor_set_words(const struct set *s, char *text, size_t len);
/* "ff,00000003". */
void doctor_set_mask(const struct set *s, char *text, size_t len);

#endif
