#include "mem/base.h"

#include <stdio.h>
#include <stdlib.h>

void mcq_assert_fail(const char *expr, const char *file, int line)
{
    fprintf(stderr, "monocoque: bug: %s:%d: assertion failed: %s\n", file, line, expr);
    abort();
}
