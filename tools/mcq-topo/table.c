/* The plan as a table for people. */
#include <inttypes.h>

#include "topo.h"

static void cell(FILE *out, const char *head, uint32_t value)
{
    int width = (int)__builtin_strlen(head);
    if (value == MCQ_TOPO_NONE)
        fprintf(out, "  %*s", width, "-");
    else
        fprintf(out, "  %*" PRIu32, width, value);
}

static void size(FILE *out, uint64_t bytes)
{
    if (bytes % (1u << 20) == 0)
        fprintf(out, "  %6" PRIu64 " MiB", bytes >> 20);
    else
        fprintf(out, "  %6" PRIu64 " KiB", bytes >> 10);
}

void table_print(FILE *out, const struct mcq_topo_plan *plan)
{
    fputs("shard   CPU  core  package  node  sqpoll CPU       arena\n", out);
    for (uint32_t i = 0; i < plan->shard_cnt; i++) {
        const struct mcq_topo_shard *s = &plan->shards[i];
        fprintf(out, "%5" PRIu32, s->id);
        cell(out, " CPU", s->cpu);
        cell(out, "core", s->core);
        cell(out, "package", s->package);
        cell(out, "node", s->node);
        cell(out, "sqpoll CPU", s->sqpoll_cpu);
        size(out, s->arena_bytes);
        fputc('\n', out);
    }
    for (uint32_t i = 0; i < plan->note_cnt; i++)
        fprintf(out, "%snote: %s\n", i == 0 ? "\n" : "", plan->notes[i]);
}
