#include "perf/host/facts.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct perf_fact *fact_at(struct perf_environment *env, const char *group, const char *name)
{
    for (unsigned i = 0; i < env->cnt; i++) {
        if (strcmp(env->facts[i].group, group) == 0 && strcmp(env->facts[i].name, name) == 0) {
            return &env->facts[i];
        }
    }
    return NULL;
}

void perf_environment_add(struct perf_environment *env, const char *group, const char *name,
                          const char *format, ...)
{
    struct perf_fact *fact = fact_at(env, group, name);
    if (fact == NULL) {
        if (env->cnt == PERF_FACTS_MAX) {
            return;
        }
        fact = &env->facts[env->cnt++];
        fact->group = group;
        fact->name = name;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(fact->text, sizeof fact->text, format, args);
    va_end(args);
    if (fact->text[0] == '\0') {
        snprintf(fact->text, sizeof fact->text, "unknown");
    }
}

const char *perf_environment_find(const struct perf_environment *env, const char *group,
                                  const char *name)
{
    for (unsigned i = 0; i < env->cnt; i++) {
        if (strcmp(env->facts[i].group, group) == 0 && strcmp(env->facts[i].name, name) == 0) {
            return env->facts[i].text;
        }
    }
    return NULL;
}

bool perf_fact_read(const char *path, char *text, size_t cap)
{
    text[0] = '\0';
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    size_t len = fread(text, 1, cap - 1, file);
    fclose(file);
    while (len > 0 && isspace((unsigned char)text[len - 1])) {
        len--;
    }
    text[len] = '\0';
    for (char *at = text; *at != '\0'; at++) {
        *at = *at == '\n' || *at == '\t' ? ' ' : *at;
    }
    return len > 0;
}

void perf_fact_file(struct perf_environment *env, const char *group, const char *name,
                    const char *path)
{
    char text[PERF_FACT_MAX];
    perf_fact_read(path, text, sizeof text);
    perf_environment_add(env, group, name, "%s", text);
}

bool perf_fact_key(const char *path, const char *key, char *text, size_t cap)
{
    char line[4096];
    size_t key_len = strlen(key);
    bool found = false;
    text[0] = '\0';
    FILE *file = fopen(path, "re");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        char *at = line + key_len;
        if (strncmp(line, key, key_len) != 0) {
            continue;
        }
        at += strspn(at, " \t");
        if (*at == ':' || *at == '=') {
            at += 1 + strspn(at + 1, " \t\"");
            at[strcspn(at, "\n\"")] = '\0';
            snprintf(text, cap, "%s", at);
            found = true;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}
