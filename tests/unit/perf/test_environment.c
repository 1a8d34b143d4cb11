#include "perf/host/environment.h"

#include "perf/host/facts.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(environment, every_fact_is_named_once_and_says_something)
{
    static const char *const wanted[][2] = {
        {"host", "kernel"},     {"host", "cmdline"},   {"host", "hypervisor"},
        {"cpu", "model"},       {"cpu", "used"},       {"cpu", "governor"},
        {"cpu", "mitigations"}, {"cpu", "microcode"},  {"clock", "source"},
        {"memory", "thp"},      {"memory", "memlock"}, {"build", "revision"},
        {"build", "flags"},     {"build", "liburing"}, {"library", "ring"},
        {"doctor", "verdict"},  {"build", "version"},  {"build", "compiler"},
        {"date", "utc"},        {"cpu", "siblings"},   {"library", "uring_features"}};
    struct perf_environment *env = calloc(1, sizeof *env);
    perf_environment_read(env);
    cr_assert(env->cnt < PERF_FACTS_MAX);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        cr_assert_not_null(perf_environment_find(env, wanted[i][0], wanted[i][1]), "%s %s",
                           wanted[i][0], wanted[i][1]);
    }
    for (unsigned i = 0; i < env->cnt; i++) {
        const struct perf_fact *fact = &env->facts[i];
        cr_assert(fact->text[0] != '\0' && strpbrk(fact->text, "\n\t") == NULL, "%s", fact->name);
        cr_assert_eq(perf_environment_find(env, fact->group, fact->name), fact->text);
    }
    cr_assert(strstr(perf_environment_find(env, "library", "ring"), "defer") != NULL, "%s",
              perf_environment_find(env, "library", "ring"));
    free(env);
}

Test(environment, what_is_not_there_is_unknown)
{
    struct perf_environment *env = calloc(1, sizeof *env);
    char text[8];
    perf_fact_file(env, "host", "nothing", "/nowhere/at/all");
    cr_assert_str_eq(perf_environment_find(env, "host", "nothing"), "unknown");
    cr_assert_null(perf_environment_find(env, "host", "else"));
    cr_assert(!perf_fact_key("/nowhere", "a", text, sizeof text) && text[0] == '\0');
    cr_assert(!perf_fact_read("/proc/self", text, sizeof text) && text[0] == '\0');
    /* Replaced, not doubled; and no more than there is room for. */
    for (unsigned i = 0; i < 2 * PERF_FACTS_MAX; i++) {
        static char names[2 * PERF_FACTS_MAX][8];
        snprintf(names[i], sizeof names[i], "n%u", i);
        perf_environment_add(env, "many", names[i], "%0600d", 1);
        perf_environment_add(env, "host", "nothing", "%u", i);
    }
    cr_assert_eq(env->cnt, PERF_FACTS_MAX);
    cr_assert_str_eq(perf_environment_find(env, "host", "nothing"), "255");
    free(env);
}

Test(environment, keys_of_a_file)
{
    char path[] = "/tmp/mcq-perf-fact-XXXXXX", text[16];
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    fputs("modelling: no\nmodel name\t: A \"CPU\"\nmodel : 7\nNAME=\"An OS\"\nlast:", file);
    fclose(file);
    cr_assert(perf_fact_key(path, "model", text, sizeof text));
    cr_assert_str_eq(text, "7");
    cr_assert(perf_fact_key(path, "NAME", text, sizeof text));
    cr_assert_str_eq(text, "An OS");
    cr_assert(perf_fact_key(path, "last", text, sizeof text));
    cr_assert_str_eq(text, "");
    cr_assert(perf_fact_read(path, text, sizeof text));
    cr_assert_str_eq(text, "modelling: no m");
    remove(path);
}
