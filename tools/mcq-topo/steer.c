/* mcq-topo steer: the steered binds of the programs that run here: who gets whom, and changing it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "topo.h"

#define BINDS_MAX 256u

static const char usage[] =
    "usage: mcq-topo steer [COMMAND] [--bind WHICH] [--json]\n"
    "\n"
    "Shows and changes which shard of a running program gets a new connection. Programs steer by\n"
    "eBPF where they may (CAP_BPF), and then their tables are pinned under /sys/fs/bpf/monocoque.\n"
    "Established connections stay where they are.\n"
    "\n"
    "  list                every bind that is steered [without a command]\n"
    "  show                its shards and rules, with how many connections each brought\n"
    "  set TEXT            adds rules, sets mode and weights, as in\n"
    "                      10.1.0.0/16=0,10.2.3.4=1,mode=least or weights=1:3\n"
    "  remove PREFIX       ends a rule\n"
    "  drain SHARD         it gets no new connection\n"
    "  undrain SHARD       ... and gets some again\n"
    "\n"
    "  --bind WHICH        which bind: a process number, the name of a logical socket, an "
    "endpoint\n"
    "                      or a path, as `list` shows them [the only one there is]\n"
    "  --json              list and show: print JSON\n"
    "\n"
    "Exit code: 0 done, 1 the host refused, 2 usage.\n";

struct binds {
    uint32_t cnt;
    struct mcq_steer *at[BINDS_MAX];
    struct mcq_steer_stats stats[BINDS_MAX];
};

struct options {
    const char *command, *value, *which;
    bool json;
};

static int host_refused(const struct mcq_detail *why)
{
    fprintf(stderr, "mcq-topo: %s\n", why->text);
    return TOPO_EXIT_HOST;
}

/* --- binds ----------------------------------------------------------------------------------- */

/* One that ends meanwhile is none any more. */
static bool bind_add(void *ctx, const char *path)
{
    struct binds *b = ctx;
    struct mcq_detail why = {.text = ""};
    if (mcq_steer_open(path, &b->at[b->cnt], &why) != MCQ_OK) {
        if (why.code != MCQ_ENOENT)
            fprintf(stderr, "mcq-topo: %s\n", why.text);
        return true;
    }
    if (mcq_steer_stats(b->at[b->cnt], &b->stats[b->cnt], &why) == MCQ_OK)
        b->cnt++;
    else
        mcq_steer_close(b->at[b->cnt]);
    return b->cnt < BINDS_MAX;
}

static void binds_close(struct binds *b)
{
    while (b->cnt > 0)
        mcq_steer_close(b->at[--b->cnt]);
    free(b);
}

static bool is_meant(const struct mcq_steer_stats *st, const char *which)
{
    char pid[16];
    snprintf(pid, sizeof pid, "%" PRIu32, st->pid);
    const char *last = strrchr(st->path, '/');
    return which == NULL || strcmp(which, pid) == 0 || strcmp(which, st->name) == 0 ||
           strcmp(which, st->endpoint) == 0 || strcmp(which, st->path) == 0 ||
           (last != NULL && strcmp(which, last + 1) == 0);
}

static int choose(const struct binds *b, const char *which, uint32_t *idx)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < b->cnt; i++)
        if (is_meant(&b->stats[i], which)) {
            *idx = i;
            cnt++;
        }
    if (cnt == 1)
        return TOPO_EXIT_DONE;
    if (cnt > 1)
        return topo_refuse("%" PRIu32 " binds %s: say which with --bind", cnt,
                           which == NULL ? "are steered here" : "are meant by that");
    fprintf(stderr,
            which == NULL ? "mcq-topo: nothing is steered here by eBPF\n"
                          : "mcq-topo: no steered bind is '%s'\n",
            which);
    return TOPO_EXIT_HOST;
}

/* --- printing -------------------------------------------------------------------------------- */

static void json_string(const char *key, const char *text, const char *end)
{
    printf("\"%s\": \"", key);
    for (const char *at = text; *at != '\0'; at++)
        if (*at == '"' || *at == '\\' || (unsigned char)*at < 0x20)
            printf("\\u%04x", (unsigned)(unsigned char)*at);
        else
            putchar(*at);
    printf("\"%s", end);
}

static void json_head(const struct mcq_steer_stats *st)
{
    printf("{\"pid\": %" PRIu32 ", ", st->pid);
    json_string("name", st->name, ", ");
    json_string("endpoint", st->endpoint, ", ");
    json_string("path", st->path, ", ");
    json_string("mode", mcq_steer_mode_name(st->mode), ", ");
    printf("\"shards_cnt\": %" PRIu32 ", \"rules_cnt\": %" PRIu32, st->shards_cnt, st->rules_cnt);
}

static void list_print(const struct binds *b, bool json)
{
    if (json)
        puts("[");
    else
        printf("%-8s %-20s %-28s %6s %6s %-8s\n", "PID", "NAME", "ENDPOINT", "SHARDS", "RULES",
               "MODE");
    for (uint32_t i = 0; i < b->cnt; i++) {
        const struct mcq_steer_stats *st = &b->stats[i];
        if (json) {
            json_head(st);
            puts(i + 1 < b->cnt ? "}," : "}");
        } else {
            printf("%-8" PRIu32 " %-20s %-28s %6" PRIu32 " %6" PRIu32 " %-8s\n", st->pid, st->name,
                   st->endpoint, st->shards_cnt, st->rules_cnt, mcq_steer_mode_name(st->mode));
        }
    }
    if (json)
        puts("]");
}

static const char *state_of(const struct mcq_steer_shard_stats *s)
{
    return s->live ? "live" : s->drained ? "drained" : s->member ? "not live" : "no member";
}

static void shards_print(const struct mcq_steer_stats *st)
{
    printf("%-6s %-9s %6s %6s %9s %9s %9s %9s %9s\n", "SHARD", "STATE", "WEIGHT", "CONNS", "EXACT",
           "PREFIX", "MODE", "ELSEWHERE", "MIGRATED");
    for (uint32_t i = 0; i < st->shards_cnt; i++) {
        const struct mcq_steer_shard_stats *s = &st->shards[i];
        printf("%-6" PRIu32 " %-9s %6" PRIu32 " %6" PRIu32 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64
               " %9" PRIu64 " %9" PRIu64 "\n",
               i, state_of(s), s->weight, s->conns_now, s->exact, s->prefix, s->mode, s->elsewhere,
               s->migrated);
    }
}

static void shards_json(const struct mcq_steer_stats *st)
{
    printf(",\n \"shards\": [");
    for (uint32_t i = 0; i < st->shards_cnt; i++) {
        const struct mcq_steer_shard_stats *s = &st->shards[i];
        printf("%s\n  {\"id\": %" PRIu32 ", ", i == 0 ? "" : ",", i);
        json_string("state", state_of(s), ", ");
        printf("\"weight\": %" PRIu32 ", \"conns\": %" PRIu32 ", \"exact\": %" PRIu64
               ", \"prefix\": %" PRIu64 ", \"mode\": %" PRIu64 ", \"elsewhere\": %" PRIu64
               ", \"migrated\": %" PRIu64 "}",
               s->weight, s->conns_now, s->exact, s->prefix, s->mode, s->elsewhere, s->migrated);
    }
    printf("]");
}

static void rules_print(const struct mcq_steer_rule_stats *rules, uint32_t cnt, bool json)
{
    char text[MCQ_STEER_RULE_TEXT_LEN];
    if (json)
        printf(",\n \"rules\": [");
    else if (cnt != 0)
        printf("\n%-48s %6s %9s\n", "RULE", "SHARD", "HITS");
    for (uint32_t i = 0; i < cnt; i++) {
        mcq_steer_rule_format(&rules[i].rule, text);
        text[strcspn(text, "=")] = '\0';
        if (json)
            printf("%s\n  {\"prefix\": \"%s\", \"shard\": %" PRIu32 ", \"hits\": %" PRIu64 "}",
                   i == 0 ? "" : ",", text, rules[i].rule.shard, rules[i].hits);
        else
            printf("%-48s %6" PRIu32 " %9" PRIu64 "\n", text, rules[i].rule.shard, rules[i].hits);
    }
    if (json)
        puts("]}");
}

static int show(struct mcq_steer *s, const struct mcq_steer_stats *st, bool json)
{
    static struct mcq_steer_rule_stats rules[MCQ_STEER_RULES_MAX];
    struct mcq_detail why = {.text = ""};
    uint32_t cnt;
    if (mcq_steer_rules(s, rules, MCQ_STEER_RULES_MAX, &cnt, &why) != MCQ_OK)
        return host_refused(&why);
    if (json) {
        json_head(st);
        shards_json(st);
    } else {
        printf("%s, process %" PRIu32 ", %s, mode %s\n%s\n\n", st->name, st->pid, st->endpoint,
               mcq_steer_mode_name(st->mode), st->path);
        shards_print(st);
    }
    rules_print(rules, cnt, json);
    return TOPO_EXIT_DONE;
}

/* --- commands -------------------------------------------------------------------------------- */

static bool shard_read(const char *text, uint32_t *shard)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    *shard = (uint32_t)n;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && n < MCQ_STEER_SHARDS_MAX;
}

static int outcome(enum mcq_error err, const struct mcq_detail *why)
{
    if (err == MCQ_OK)
        return TOPO_EXIT_DONE;
    (void)host_refused(why);
    return err == MCQ_EINVAL ? TOPO_EXIT_USAGE : TOPO_EXIT_HOST;
}

static int command(const struct options *o, struct mcq_steer *s)
{
    struct mcq_detail why = {.text = ""};
    struct mcq_steer_rule rule;
    uint32_t shard;
    if (strcmp(o->command, "set") == 0)
        return outcome(mcq_steer_set(s, o->value, &why), &why);
    if (strcmp(o->command, "remove") == 0) {
        enum mcq_error err = mcq_steer_rule_parse(o->value, false, &rule, &why);
        return outcome(err != MCQ_OK ? err : mcq_steer_remove(s, &rule, &why), &why);
    }
    if (!shard_read(o->value, &shard))
        return topo_refuse("'%s' is no shard", o->value);
    return outcome(mcq_steer_drain(s, shard, strcmp(o->command, "drain") == 0, &why), &why);
}

static bool takes_value(const char *name)
{
    return strcmp(name, "set") == 0 || strcmp(name, "remove") == 0 || strcmp(name, "drain") == 0 ||
           strcmp(name, "undrain") == 0;
}

static int word(struct options *o, const char *text)
{
    if (o->command == NULL) {
        o->command = text;
        if (strcmp(text, "list") != 0 && strcmp(text, "show") != 0 && !takes_value(text))
            return topo_refuse("steer: '%s' is no command", text);
    } else if (o->value == NULL && takes_value(o->command)) {
        o->value = text;
    } else {
        return topo_refuse("steer: what is '%s'?", text);
    }
    return TOPO_EXIT_DONE;
}

static int options_parse(struct options *o, int argc, char **argv)
{
    int code = TOPO_EXIT_DONE;
    for (int i = 1; i < argc && code == TOPO_EXIT_DONE; i++) {
        if (strcmp(argv[i], "--json") == 0)
            o->json = true;
        else if (strncmp(argv[i], "--bind=", 7) == 0)
            o->which = argv[i] + 7;
        else if (strcmp(argv[i], "--bind") == 0 && i + 1 < argc)
            o->which = argv[++i];
        else if (argv[i][0] == '-')
            code = topo_refuse("steer: there is no option %s, or it needs a value", argv[i]);
        else
            code = word(o, argv[i]);
    }
    if (o->command == NULL)
        o->command = "list";
    if (code == TOPO_EXIT_DONE && o->value == NULL && takes_value(o->command))
        code = topo_refuse("steer %s: it needs a value", o->command);
    return code;
}

static int on_one(const struct options *o, const struct binds *b)
{
    uint32_t idx = 0;
    int code = choose(b, o->which, &idx);
    if (code != TOPO_EXIT_DONE)
        return code;
    if (strcmp(o->command, "show") == 0)
        return show(b->at[idx], &b->stats[idx], o->json);
    return command(o, b->at[idx]);
}

int steer_main(int argc, char **argv)
{
    struct options o = {0};
    struct mcq_detail why = {.text = ""};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return TOPO_EXIT_DONE;
        }
    int code = options_parse(&o, argc, argv);
    if (code != TOPO_EXIT_DONE)
        return code;
    struct binds *b = calloc(1, sizeof *b);
    if (b == NULL)
        return TOPO_EXIT_HOST;
    if (mcq_steer_list(bind_add, b, &why) != MCQ_OK)
        code = host_refused(&why);
    else if (strcmp(o.command, "list") == 0)
        list_print(b, o.json);
    else
        code = on_one(&o, b);
    binds_close(b);
    return fflush(stdout) == 0 ? code : TOPO_EXIT_HOST;
}
