#include "words.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than any counter is, and little enough to be multiplied and summed. */
#define NUMBER_MAX 1000000000000000ll

static const char *skip_space(const char *at)
{
    while (isspace((unsigned char)*at))
        at++;
    return at;
}

static const char *skip_blank(const char *at)
{
    while (*at == ' ' || *at == '\t')
        at++;
    return at;
}

/* strtoll takes more forms than the kernel writes. */
static bool integer(const char *at, const char **end, int64_t *value)
{
    const char *digits = *at == '-' ? at + 1 : at;
    if (!isdigit((unsigned char)*digits))
        return false;
    char *stop = NULL;
    errno = 0;
    long long v = strtoll(at, &stop, 10);
    if (errno != 0 || v > NUMBER_MAX || v < -NUMBER_MAX)
        return false;
    *end = stop;
    *value = v;
    return true;
}

bool doctor_words_number(const char *text, int64_t *value)
{
    const char *end = NULL;
    return integer(skip_space(text), &end, value) && *skip_space(end) == '\0';
}

static bool copy_word(const char *at, size_t len, char word[WORDS_LEN])
{
    if (len == 0 || len >= WORDS_LEN)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isgraph((unsigned char)at[i]))
            return false;
    memcpy(word, at, len);
    word[len] = '\0';
    return true;
}

bool doctor_words_word(const char *text, char word[WORDS_LEN])
{
    const char *at = skip_space(text);
    size_t len = strcspn(at, " \t\n");
    return copy_word(at, len, word) && *skip_space(at + len) == '\0';
}

bool doctor_words_chosen(const char *text, char word[WORDS_LEN])
{
    const char *open = strchr(text, '[');
    const char *close = open == NULL ? NULL : strchr(open, ']');
    return close != NULL && strchr(open + 1, '[') == NULL &&
           copy_word(open + 1, (size_t)(close - open - 1), word);
}

const char *doctor_words_next_line(const char *text)
{
    const char *end = strchr(text, '\n');
    return end == NULL || end[1] == '\0' ? NULL : end + 1;
}

/* Behind the key, its colon and the space that follows. */
static const char *behind_key(const char *text, const char *key)
{
    size_t len = strlen(key);
    for (const char *line = text; line != NULL; line = doctor_words_next_line(line))
        if (strncmp(line, key, len) == 0 && strchr(" \t:", line[len]) != NULL && line[len] != '\0')
            return skip_blank(skip_blank(line + len) + (*skip_blank(line + len) == ':'));
    return NULL;
}

bool doctor_words_key(const char *text, const char *key, int64_t *value)
{
    const char *at = behind_key(text, key), *end = NULL;
    return at != NULL && integer(at, &end, value) && (*end == '\0' || isspace((unsigned char)*end));
}

bool doctor_words_key_hex(const char *text, const char *key, uint64_t *value)
{
    const char *at = behind_key(text, key);
    if (at == NULL || !isxdigit((unsigned char)*at))
        return false;
    char *end = NULL;
    errno = 0;
    *value = strtoull(at, &end, 16);
    return errno == 0 && (*end == '\0' || isspace((unsigned char)*end));
}

bool doctor_words_line(const char *text, const char *key, char *line, size_t len)
{
    const char *at = behind_key(text, key);
    size_t n = at == NULL ? 0 : strcspn(at, "\n");
    while (n > 0 && isspace((unsigned char)at[n - 1]))
        n--;
    if (n == 0 || n >= len)
        return false;
    memcpy(line, at, n);
    line[n] = '\0';
    return true;
}

bool doctor_words_has(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = skip_space(text); *at != '\0';) {
        size_t n = strcspn(at, " \t\n");
        if (n == len && strncmp(at, word, len) == 0)
            return true;
        at = skip_space(at + n);
    }
    return false;
}

bool doctor_words_param(const char *text, const char *name, char *value, size_t len)
{
    size_t name_len = strlen(name);
    bool found = false;
    for (const char *at = skip_space(text); *at != '\0';) {
        size_t n = strcspn(at, " \t\n");
        bool alone = n == name_len;
        if (n >= name_len && strncmp(at, name, name_len) == 0 && (alone || at[name_len] == '=')) {
            size_t skip = alone ? n : name_len + 1;
            if (n - skip >= len)
                return false;
            memcpy(value, at + skip, n - skip);
            value[n - skip] = '\0';
            found = true;
        }
        at = skip_space(at + n);
    }
    return found;
}

uint32_t doctor_words_numbers(const char *text, int64_t *values, uint32_t max)
{
    uint32_t cnt = 0;
    const char *at = skip_blank(text), *end = NULL;
    while (cnt < max && integer(at, &end, &values[cnt]) &&
           (*end == '\0' || isspace((unsigned char)*end))) {
        cnt++;
        at = skip_blank(end);
    }
    return cnt;
}

void doctor_words_show(const char *text, char *shown, size_t len)
{
    size_t at = 0;
    text = skip_space(text);
    size_t n = strlen(text);
    while (n > 0 && isspace((unsigned char)text[n - 1]))
        n--;
    for (size_t i = 0; i < n; i++) {
        if (at + 4 >= len && i + (len - 1 - at) < n) {
            at += (size_t)snprintf(shown + at, len - at, "...");
            break;
        }
        char c = text[i];
        shown[at++] = (char)(c == '\n' || c == '\t' ? ' ' : isprint((unsigned char)c) ? c : '?');
    }
    shown[at] = '\0';
}
