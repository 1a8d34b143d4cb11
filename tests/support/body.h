/* Body: bytes that tell by themselves which message they belong to and whether all are right. */
#ifndef MCQ_TESTS_BODY_H
#define MCQ_TESTS_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fills ptr[0, len) for number seq. */
void mcq_body_fill(void *ptr, size_t len, uint32_t seq);
bool mcq_body_right(const void *ptr, size_t len, uint32_t seq);

#endif
