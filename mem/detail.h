/* Detail: fills the struct mcq_detail that a setup call returns beside its error.
 *
 * The text says what happened and what to do about it. Cold; any thread; keeps nothing.
 */
#ifndef MCQ_MEM_DETAIL_H
#define MCQ_MEM_DETAIL_H

#include <monocoque/error.h>

/* Fills *d (borrowed; NULL: nothing to fill) and returns code, so that a failing call ends in
 * `return mcq_detail_set(...)`. A longer text is cut, always NUL-terminated. */
__attribute__((format(printf, 4, 5))) enum mcq_error mcq_detail_set(struct mcq_detail *d,
                                                                    enum mcq_error code,
                                                                    int os_errno, const char *fmt,
                                                                    ...);

#endif
