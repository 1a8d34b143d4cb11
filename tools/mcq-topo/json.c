/* The plan as JSON for programs. */
#include <inttypes.h>

#include "topo.h"

static void number(FILE *out, const char *key, uint32_t value)
{
    if (value == MCQ_TOPO_NONE)
        fprintf(out, ", \"%s\": null", key);
    else
        fprintf(out, ", \"%s\": %" PRIu32, key, value);
}

static void string(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            fprintf(out, "\\%c", *at);
        else if (*at < 0x20)
            fprintf(out, "\\u%04x", *at);
        else
            fputc(*at, out);
    }
    fputc('"', out);
}

void json_print(FILE *out, const struct mcq_topo_plan *plan)
{
    fputs("{\"shards\": [", out);
    for (uint32_t i = 0; i < plan->shard_cnt; i++) {
        const struct mcq_topo_shard *s = &plan->shards[i];
        fprintf(out, "%s\n  {\"id\": %" PRIu32, i == 0 ? "" : ",", s->id);
        number(out, "cpu", s->cpu);
        number(out, "core", s->core);
        number(out, "package", s->package);
        number(out, "node", s->node);
        number(out, "sqpoll_cpu", s->sqpoll_cpu);
        fprintf(out, ", \"arena_bytes\": %" PRIu64 "}", s->arena_bytes);
    }
    fputs("],\n \"notes\": [", out);
    for (uint32_t i = 0; i < plan->note_cnt; i++) {
        fputs(i == 0 ? "\n  " : ",\n  ", out);
        string(out, plan->notes[i]);
    }
    fputs("]}\n", out);
}
