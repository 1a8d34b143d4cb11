#include "prefix_times.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t prefix_clock_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

double prefix_clock_cost_ns(void)
{
    uint64_t begin = prefix_clock_ns();
    uint64_t end = begin;
    for (int i = 0; i < 100000; i++)
        end = prefix_clock_ns();
    return (double)(end - begin) / 100000;
}

bool prefix_times_open(struct prefix_times *t, uint32_t cnt)
{
    *t = (struct prefix_times){.cnt = cnt, .ns = malloc(cnt * sizeof(uint32_t))};
    if (t->ns != NULL)
        memset(t->ns, 0xff, cnt * sizeof(uint32_t));
    return t->ns != NULL;
}

void prefix_times_close(struct prefix_times *t)
{
    free(t->ns);
}

void prefix_times_note(struct prefix_times *t, uint32_t idx, uint64_t ns)
{
    if (ns > t->raw_max)
        t->raw_max = ns;
    if (ns < t->ns[idx])
        t->ns[idx] = (uint32_t)ns;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

struct prefix_spread prefix_times_spread(struct prefix_times *t)
{
    struct prefix_spread s = {.raw_max = t->raw_max};
    double sum = 0;
    qsort(t->ns, t->cnt, sizeof(uint32_t), compare);
    for (uint32_t i = 0; i < t->cnt; i++)
        sum += t->ns[i];
    s.mean = sum / t->cnt;
    s.p999 = t->ns[t->cnt - 1 - t->cnt / 1000];
    s.max = t->ns[t->cnt - 1];
    return s;
}
