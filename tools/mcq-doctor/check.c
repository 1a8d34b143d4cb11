#include "check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- saying --------------------------------------------------------------------------------- */

void doctor_check_say(struct mcq_doctor_result *r, enum mcq_doctor_status status,
                      const char *format, ...)
{
    char whole[MCQ_DOCTOR_FOUND_LEN * 2];
    va_list args;
    va_start(args, format);
    vsnprintf(whole, sizeof whole, format, args);
    va_end(args);
    r->status = status;
    doctor_words_show(whole, r->found, sizeof r->found);
}

void doctor_check_fix(struct mcq_doctor_result *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->fix, sizeof r->fix, format, args);
    va_end(args);
}

static void note_path(struct mcq_doctor_result *r, const struct text *t)
{
    if (r->path[0] == '\0')
        doctor_words_show(t->path, r->path, sizeof r->path);
}

bool doctor_check_read(const struct exam *e, struct mcq_doctor_result *r, struct text *t,
                       const char *format, ...)
{
    char path[SOURCE_PATH_LEN];
    va_list args;
    va_start(args, format);
    vsnprintf(path, sizeof path, format, args);
    va_end(args);
    bool there = doctor_source_read(&e->source, t, "%s", path);
    note_path(r, t);
    if (!there)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s", t->why);
    return there;
}

bool doctor_check_ask(const struct exam *e, struct mcq_doctor_result *r, struct text *t,
                      const char *name, const char *shown, source_answer_fn *answer,
                      const void *ctx)
{
    char error[WORDS_LEN * 2];
    bool there = doctor_source_ask(&e->source, t, name, shown, answer, ctx);
    note_path(r, t);
    if (there && !doctor_words_line(t->at, "error", error, sizeof error))
        return true;
    if (there)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s: %s", shown, error);
    else
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s", t->why);
    doctor_text_drop(t);
    return false;
}

void doctor_check_malformed(struct mcq_doctor_result *r, const struct text *t, const char *form)
{
    char shown[40];
    doctor_words_show(t->at, shown, sizeof shown);
    if (shown[0] == '\0')
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s is empty, %s was expected", t->path, form);
    else
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s holds '%s', %s was expected", t->path, shown,
                         form);
}

const struct sample *doctor_check_sample(const struct exam *e, struct mcq_doctor_result *r,
                                         enum sample_kind kind)
{
    const struct sample *s = &e->samples[kind];
    note_path(r, &s->before);
    if (s->before.at != NULL && s->after.at != NULL)
        return s;
    doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s",
                     s->before.at == NULL ? s->before.why : s->after.why);
    return NULL;
}

bool doctor_check_twice(const struct exam *e, struct mcq_doctor_result *r)
{
    if (!e->twice)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN,
                         "counted once only, so whether it rises isn't known");
    return e->twice;
}

void doctor_check_say_count(const struct exam *e, struct mcq_doctor_result *r,
                            enum mcq_doctor_status status, int64_t rise, int64_t total,
                            const char *unit)
{
    if (e->twice)
        doctor_check_say(r, status, "%" PRId64 "%s in %" PRIu32 " ms, %" PRId64 "%s since boot",
                         rise, unit, e->window_ms, total, unit);
    else
        doctor_check_say(r, status, "%" PRId64 "%s since boot", total, unit);
}

bool doctor_check_has_nic(const struct exam *e, struct mcq_doctor_result *r)
{
    if (e->nic[0] != '\0')
        return true;
    doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "%s", e->nic_why);
    return false;
}

bool doctor_check_has_cpus(const struct exam *e, struct mcq_doctor_result *r)
{
    if (doctor_set_cnt(&e->shards_on) != 0)
        return true;
    doctor_check_say(r, MCQ_DOCTOR_UNKNOWN,
                     "which CPUs the shards run on isn't known: give --cpus");
    return false;
}

/* --- templates ------------------------------------------------------------------------------ */

static bool placeholder(const struct exam *e, const char *name, size_t len, char *value,
                        size_t value_len)
{
    static const char *const names[] = {"cpus", "each", "house", "housemask", "nic", "hugepages"};
    size_t i = 0;
    while (i < sizeof names / sizeof names[0] &&
           (strlen(names[i]) != len || strncmp(names[i], name, len) != 0))
        i++;
    switch (i) {
    case 0:
        doctor_set_list(&e->shards_on, value, value_len);
        return true;
    case 1:
        doctor_set_words(&e->shards_on, value, value_len);
        return true;
    case 2:
        doctor_set_list(&e->house, value, value_len);
        return true;
    case 3:
        doctor_set_mask(&e->house, value, value_len);
        return true;
    case 4:
        snprintf(value, value_len, "%s", e->nic[0] == '\0' ? "NIC" : e->nic);
        return true;
    case 5:
        snprintf(value, value_len, "%" PRIu64, e->memory_bytes / CHECK_HUGE_PAGE);
        return true;
    default:
        return false;
    }
}

void doctor_check_expand(const struct exam *e, const char *template, char *text, size_t len)
{
    size_t at = 0;
    while (*template != '\0' && at + 1 < len) {
        char value[MCQ_DOCTOR_CPUS_LEN];
        const char *end = *template == '{' ? strchr(template, '}') : NULL;
        if (end != NULL &&
            placeholder(e, template + 1, (size_t)(end - template - 1), value, sizeof value)) {
            int n = snprintf(text + at, len - at, "%s", value);
            at = at + (size_t)n < len ? at + (size_t)n : len - 1;
            template = end + 1;
        } else {
            text[at++] = *template ++;
        }
    }
    text[at] = '\0';
}

bool doctor_check_is_out_of_house(const struct exam *e, const char *template)
{
    return strstr(template, "{house") != NULL && doctor_set_cnt(&e->house) == 0;
}

/* --- the common forms ----------------------------------------------------------------------- */

bool doctor_check_holds(const struct check *c, int64_t value)
{
    switch (c->op) {
    case CHECK_EQ:
        return value == c->value;
    case CHECK_NE:
        return value != c->value;
    case CHECK_GE:
        return value >= c->value;
    case CHECK_LE:
        return value <= c->value;
    }
    return false;
}

void doctor_check_number(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t value;
    if (!doctor_check_read(e, r, &t, "%s", c->path))
        return;
    if (doctor_words_number(t.at, &value))
        doctor_check_say(r, doctor_check_holds(c, value) ? MCQ_DOCTOR_PASS : c->worse, "%" PRId64,
                         value);
    else
        doctor_check_malformed(r, &t, "a number");
    doctor_text_drop(&t);
}

void doctor_check_chosen(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    char word[WORDS_LEN];
    if (!doctor_check_read(e, r, &t, "%s", c->path))
        return;
    if (doctor_words_chosen(t.at, word))
        doctor_check_say(r, doctor_words_has(c->words, word) ? MCQ_DOCTOR_PASS : c->worse, "%s",
                         word);
    else
        doctor_check_malformed(r, &t, "a word in brackets");
    doctor_text_drop(&t);
}

void doctor_check_mask_off(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    struct set mask;
    if (!doctor_check_has_cpus(e, r))
        return;
    if (!doctor_check_read(e, r, &t, "%s", c->path))
        return;
    if (doctor_set_from_mask(&mask, t.at)) {
        char on[MCQ_DOCTOR_CPUS_LEN];
        struct set both = doctor_set_and(&mask, &e->shards_on);
        doctor_set_list(&both, on, sizeof on);
        if (doctor_set_cnt(&both) == 0)
            doctor_check_say(r, MCQ_DOCTOR_PASS, "no shard CPU in it");
        else
            doctor_check_say(r, c->worse, "has shard CPU %s", on);
    } else {
        doctor_check_malformed(r, &t, "a mask of CPUs");
    }
    doctor_text_drop(&t);
}

/* Some kernels print a null pointer where there is no list. */
static bool list_of(const struct text *t, struct set *s)
{
    char word[WORDS_LEN];
    if (doctor_words_word(t->at, word) && strcmp(word, "(null)") == 0) {
        *s = (struct set){0};
        return true;
    }
    return doctor_set_from_list(s, t->at);
}

void doctor_check_list_on(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    struct set list;
    if (!doctor_check_has_cpus(e, r))
        return;
    if (!doctor_check_read(e, r, &t, "%s", c->path))
        return;
    if (list_of(&t, &list)) {
        char has[MCQ_DOCTOR_CPUS_LEN], lacks[MCQ_DOCTOR_CPUS_LEN];
        struct set missing = doctor_set_without(&e->shards_on, &list);
        doctor_set_list(&list, has, sizeof has);
        doctor_set_list(&missing, lacks, sizeof lacks);
        if (doctor_set_cnt(&missing) == 0)
            doctor_check_say(r, MCQ_DOCTOR_PASS, "%s", has);
        else
            doctor_check_say(r, c->worse, "%s; lacks shard CPU %s", has, lacks);
    } else {
        doctor_check_malformed(r, &t, "a list of CPUs");
    }
    doctor_text_drop(&t);
}

/* The path with a number in place of CPU, or the interface in place of NIC. */
static void path_with(char path[SOURCE_PATH_LEN], const char *template, const char *word,
                      const char *value)
{
    const char *at = strstr(template, word);
    if (at == NULL)
        snprintf(path, SOURCE_PATH_LEN, "%s", template);
    else
        snprintf(path, SOURCE_PATH_LEN, "%.*s%s%s", (int)(at - template), template, value,
                 at + strlen(word));
}

/* Of one CPU: what is there as text, and whether it is good. False: UNKNOWN was said. */
static bool cpu_value(const struct exam *e, const struct check *c, struct mcq_doctor_result *r,
                      uint32_t cpu, bool number, char value[WORDS_LEN], bool *good)
{
    char path[SOURCE_PATH_LEN], digits[16];
    struct text t;
    int64_t v = 0;
    snprintf(digits, sizeof digits, "%" PRIu32, cpu);
    path_with(path, c->path, "CPU", digits);
    if (!doctor_check_read(e, r, &t, "%s", path))
        return false;
    bool formed = number ? doctor_words_number(t.at, &v) : doctor_words_word(t.at, value);
    if (formed && number)
        snprintf(value, WORDS_LEN, "%" PRId64, v);
    if (formed)
        *good = number ? doctor_check_holds(c, v) : doctor_words_has(c->words, value);
    else
        doctor_check_malformed(r, &t, number ? "a number" : "a word");
    doctor_text_drop(&t);
    return formed;
}

/* Each shard CPU by itself; what is worse is said with its CPUs, what can't be read ends it. */
static void each_cpu(const struct exam *e, const struct check *c, struct mcq_doctor_result *r,
                     bool number)
{
    struct set bad = {0};
    char value[WORDS_LEN] = "", worst[WORDS_LEN] = "", cpus[MCQ_DOCTOR_CPUS_LEN / 2];
    if (!doctor_check_has_cpus(e, r))
        return;
    for (uint32_t cpu = doctor_set_next(&e->shards_on, 0); cpu < SET_CPUS_MAX;
         cpu = doctor_set_next(&e->shards_on, cpu + 1)) {
        bool good = false;
        if (!cpu_value(e, c, r, cpu, number, value, &good))
            return;
        if (!good) {
            snprintf(worst, sizeof worst, "%s", value);
            doctor_set_add(&bad, cpu);
        }
    }
    doctor_set_list(doctor_set_cnt(&bad) == 0 ? &e->shards_on : &bad, cpus, sizeof cpus);
    doctor_check_say(r, doctor_set_cnt(&bad) == 0 ? MCQ_DOCTOR_PASS : c->worse, "%s on CPU %s",
                     doctor_set_cnt(&bad) == 0 ? value : worst, cpus);
}

void doctor_check_cpu_word(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    each_cpu(e, c, r, false);
}

void doctor_check_cpu_number(const struct exam *e, const struct check *c,
                             struct mcq_doctor_result *r)
{
    each_cpu(e, c, r, true);
}

void doctor_check_nic_number(const struct exam *e, const struct check *c,
                             struct mcq_doctor_result *r)
{
    char path[SOURCE_PATH_LEN];
    if (!doctor_check_has_nic(e, r))
        return;
    path_with(path, c->path, "NIC", e->nic);
    struct check here = *c;
    here.path = path;
    doctor_check_number(e, &here, r);
}
