#include "mem/detail.h"

#include <stdarg.h>
#include <stdio.h>

enum mcq_error mcq_detail_set(struct mcq_detail *d, enum mcq_error code, int os_errno,
                              const char *fmt, ...)
{
    if (d == NULL)
        return code;
    d->code = code;
    d->os_errno = os_errno;
    d->text[0] = '\0';
    va_list args;
    va_start(args, fmt);
    vsnprintf(d->text, sizeof(d->text), fmt, args);
    va_end(args);
    return code;
}
