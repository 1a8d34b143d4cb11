#include "set.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool doctor_set_has(const struct set *s, uint32_t cpu)
{
    return cpu < SET_CPUS_MAX && (s->words[cpu / 64] >> (cpu % 64) & 1) != 0;
}

void doctor_set_add(struct set *s, uint32_t cpu)
{
    if (cpu < SET_CPUS_MAX)
        s->words[cpu / 64] |= 1ull << (cpu % 64);
}

uint32_t doctor_set_cnt(const struct set *s)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < SET_CPUS_MAX / 64; i++)
        cnt += (uint32_t)__builtin_popcountll(s->words[i]);
    return cnt;
}

uint32_t doctor_set_next(const struct set *s, uint32_t from)
{
    for (uint32_t cpu = from; cpu < SET_CPUS_MAX; cpu++) {
        if (s->words[cpu / 64] >> (cpu % 64) == 0)
            cpu |= 63; /* nothing more in this word */
        else if (doctor_set_has(s, cpu))
            return cpu;
    }
    return SET_CPUS_MAX;
}

bool doctor_set_meets(const struct set *a, const struct set *b)
{
    for (uint32_t i = 0; i < SET_CPUS_MAX / 64; i++)
        if ((a->words[i] & b->words[i]) != 0)
            return true;
    return false;
}

struct set doctor_set_and(const struct set *a, const struct set *b)
{
    struct set s;
    for (uint32_t i = 0; i < SET_CPUS_MAX / 64; i++)
        s.words[i] = a->words[i] & b->words[i];
    return s;
}

struct set doctor_set_without(const struct set *a, const struct set *b)
{
    struct set s;
    for (uint32_t i = 0; i < SET_CPUS_MAX / 64; i++)
        s.words[i] = a->words[i] & ~b->words[i];
    return s;
}

static bool number(const char **at, uint32_t *value)
{
    uint32_t v = 0;
    if (!isdigit((unsigned char)**at))
        return false;
    for (; isdigit((unsigned char)**at); (*at)++) {
        v = v * 10 + (uint32_t)(**at - '0');
        if (v >= SET_CPUS_MAX)
            return false;
    }
    *value = v;
    return true;
}

static const char *skip_space(const char *at)
{
    while (isspace((unsigned char)*at))
        at++;
    return at;
}

bool doctor_set_from_list(struct set *s, const char *text)
{
    const char *at = skip_space(text);
    *s = (struct set){0};
    if (*at == '\0')
        return true;
    for (;; at++) {
        uint32_t first, last;
        if (!number(&at, &first))
            return false;
        last = first;
        if (*at == '-' && (at++, !number(&at, &last) || last < first))
            return false;
        for (uint32_t cpu = first; cpu <= last; cpu++)
            doctor_set_add(s, cpu);
        if (*at != ',')
            break;
    }
    return *skip_space(at) == '\0';
}

/* Groups of at most eight digits, of which the last has the lowest CPUs. */
bool doctor_set_from_mask(struct set *s, const char *text)
{
    const char *first = skip_space(text), *end = first;
    uint32_t bit = 0, group = 0;
    *s = (struct set){0};
    while (isxdigit((unsigned char)*end) || *end == ',')
        end++;
    if (end == first || *skip_space(end) != '\0')
        return false;
    for (const char *at = end; at > first;) {
        int c = tolower((unsigned char)*--at);
        if (c == ',' ? group == 0 : group == 8)
            return false;
        group = c == ',' ? 0 : group + 1;
        if (c == ',')
            continue;
        uint32_t digit = (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
        for (uint32_t i = 0; i < 4; i++, bit++) {
            if ((digit >> i & 1) != 0 && bit >= SET_CPUS_MAX)
                return false;
            if ((digit >> i & 1) != 0)
                doctor_set_add(s, bit);
        }
    }
    return group != 0;
}

void doctor_set_list(const struct set *s, char *text, size_t len)
{
    size_t at = 0;
    snprintf(text, len, "none");
    for (uint32_t cpu = doctor_set_next(s, 0); cpu < SET_CPUS_MAX;
         cpu = doctor_set_next(s, cpu + 1)) {
        uint32_t last = cpu;
        while (doctor_set_has(s, last + 1))
            last++;
        char range[32];
        int n = snprintf(range, sizeof range, last > cpu ? "%s%" PRIu32 "-%" PRIu32 : "%s%" PRIu32,
                         at == 0 ? "" : ",", cpu, last);
        if (at + (size_t)n + 4 > len) {
            snprintf(text + at, len - at, "...");
            return;
        }
        at += (size_t)snprintf(text + at, len - at, "%s", range);
        cpu = last;
    }
}

void doctor_set_words(const struct set *s, char *text, size_t len)
{
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t cpu = doctor_set_next(s, 0); cpu < SET_CPUS_MAX && at + 8 < len;
         cpu = doctor_set_next(s, cpu + 1))
        at += (size_t)snprintf(text + at, len - at, at == 0 ? "%" PRIu32 : " %" PRIu32, cpu);
}

void doctor_set_mask(const struct set *s, char *text, size_t len)
{
    uint32_t top = SET_CPUS_MAX / 32;
    size_t at = 0;
    while (top > 1 && (uint32_t)(s->words[(top - 1) / 2] >> ((top - 1) % 2 * 32)) == 0)
        top--;
    text[0] = '\0';
    for (uint32_t i = top; i > 0 && at + 10 < len; i--) {
        uint32_t word = (uint32_t)(s->words[(i - 1) / 2] >> ((i - 1) % 2 * 32));
        at += (size_t)snprintf(text + at, len - at, i == top ? "%" PRIx32 : ",%08" PRIx32, word);
    }
}
