#include "tests/support/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN_MIN 8u

void mcq_text_fini(struct mcq_text *t)
{
    free(t->ptr);
    *t = (struct mcq_text){0};
}

static void grow(struct mcq_text *t, size_t len)
{
    if (t->len + len + 1 <= t->cap)
        return;
    t->cap = (t->len + len + 1) * 2;
    t->ptr = realloc(t->ptr, t->cap);
    if (t->ptr == NULL)
        abort();
}

void mcq_text_add(struct mcq_text *t, const void *bytes, size_t len)
{
    grow(t, len);
    if (len > 0)
        memcpy(t->ptr + t->len, bytes, len);
    t->len += len;
    t->ptr[t->len] = '\0';
}

void mcq_text_printf(struct mcq_text *t, const char *form, ...)
{
    char line[1024];
    va_list args;
    va_start(args, form);
    int len = vsnprintf(line, sizeof(line), form, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(line))
        abort();
    mcq_text_add(t, line, (size_t)len);
}

void mcq_text_hex(struct mcq_text *t, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t run = 1;
        while (i + run < len && bytes[i + run] == bytes[i])
            run++;
        if (run >= RUN_MIN) {
            mcq_text_printf(t, " %02x*%zu", (unsigned)bytes[i], run);
            i += run;
        } else {
            mcq_text_printf(t, " %02x", (unsigned)bytes[i]);
            i++;
        }
    }
}

static bool quoted(const char **at, struct mcq_text *out)
{
    const char *end = strchr(*at + 1, '"');
    if (end == NULL)
        return false;
    mcq_text_add(out, *at + 1, (size_t)(end - *at - 1));
    *at = end + 1;
    return true;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool mcq_text_token(const char **at, struct mcq_text *out)
{
    while (**at == ' ')
        (*at)++;
    if (**at == '"')
        return quoted(at, out);
    if (digit((*at)[0]) < 0 || digit((*at)[1]) < 0)
        return false;
    uint8_t byte = (uint8_t)(digit((*at)[0]) * 16 + digit((*at)[1]));
    *at += 2;
    unsigned long cnt = 1;
    if (**at == '*' && isdigit((unsigned char)(*at)[1])) {
        char *end;
        cnt = strtoul(*at + 1, &end, 10);
        *at = end;
    }
    for (; cnt > 0; cnt--)
        mcq_text_add(out, &byte, 1);
    return true;
}
