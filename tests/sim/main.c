/* The simulator's program.
 *
 *   sim --seed N [--trace]                     one seed, in this process
 *   sim --seeds N [--from N] [--jobs N] [--failures N]
 *   sim --twice N [--from N]                   each seed twice: both must do the same
 *   ... --shards N                             with an app of N shards (many.h), 0: so many as the
 *                                              seed draws
 *
 * The last line is `1 passed, 0 failed`, or how many seeds failed; the exit code is 0 if none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/crew.h"
#include "tests/sim/many.h"
#include "tests/sim/world.h"

struct choice {
    uint64_t seed, from, seeds, twice, jobs, failures, shards;
    bool one, trace;
};

static struct choice choice;

/* The world that was asked for. */
static void run_seed(uint64_t seed, struct mcq_world_result *r)
{
    if (choice.shards == UINT64_MAX)
        mcq_world_run(seed, r);
    else
        mcq_many_run(seed, (uint32_t)choice.shards, r);
}

static int usage(void)
{
    fprintf(stderr, "usage: sim --seed N [--trace]\n"
                    "       sim --seeds N [--from N] [--jobs N] [--failures N]\n"
                    "       sim --twice N [--from N]\n"
                    "       ... --shards N  (of one app, up to 16; 0: drawn)\n");
    return 2;
}

static bool number(int argc, char **argv, int *i, const char *name, uint64_t *value)
{
    char *end;
    if (strcmp(argv[*i], name) != 0 || *i + 1 >= argc)
        return false;
    *value = strtoull(argv[++*i], &end, 0);
    return *end == '\0';
}

static bool parse(int argc, char **argv, struct choice *c)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0)
            c->trace = true;
        else if (number(argc, argv, &i, "--seed", &c->seed))
            c->one = true;
        else if (!number(argc, argv, &i, "--seeds", &c->seeds) &&
                 !number(argc, argv, &i, "--from", &c->from) &&
                 !number(argc, argv, &i, "--twice", &c->twice) &&
                 !number(argc, argv, &i, "--jobs", &c->jobs) &&
                 !number(argc, argv, &i, "--failures", &c->failures) &&
                 !number(argc, argv, &i, "--shards", &c->shards))
            return false;
    }
    if (c->shards != UINT64_MAX && c->shards > MCQ_TEAM_SHARDS_MAX)
        return false;
    return c->one || c->seeds != 0 || c->twice != 0;
}

static int run_one(const struct choice *c)
{
    struct mcq_world_result r;
    mcq_world_tracing = c->trace;
    setvbuf(stdout, NULL, _IOLBF, 0);
    run_seed(c->seed, &r);
    printf("seed %llu: %llu steps, %llu messages sent, %llu taken, %.3f ms of virtual time, digest "
           "%016llx\n1 passed, 0 failed\n",
           (unsigned long long)c->seed, (unsigned long long)r.steps, (unsigned long long)r.sent,
           (unsigned long long)r.taken, (double)r.ended_ns / 1e6, (unsigned long long)r.digest);
    return 0;
}

static int run_twice(const struct choice *c)
{
    uint64_t failed = 0;
    for (uint64_t seed = c->from; seed < c->from + c->twice; seed++) {
        struct mcq_world_result a, b;
        run_seed(seed, &a);
        run_seed(seed, &b);
        if (a.digest == b.digest && a.steps == b.steps && a.taken == b.taken)
            continue;
        printf("seed %llu: not the same twice\n", (unsigned long long)seed);
        failed++;
    }
    printf("sim: %llu seeds from %llu, each twice\n%d passed, %llu failed\n",
           (unsigned long long)c->twice, (unsigned long long)c->from, failed == 0,
           (unsigned long long)failed);
    return failed != 0;
}

static int run_many(const struct choice *c)
{
    const struct mcq_crew_plan plan = {run_seed, c->from, c->seeds, (uint32_t)c->jobs,
                                       (uint32_t)c->failures};
    struct mcq_crew_sum sum;
    mcq_crew_run(&plan, &sum);
    printf(
        "sim: %llu seeds from %llu, %llu violations, %llu steps, %llu messages sent, %llu taken, "
        "%.1f s, %.2f ms a seed\n",
        (unsigned long long)sum.seeds, (unsigned long long)c->from,
        (unsigned long long)sum.failures, (unsigned long long)sum.steps,
        (unsigned long long)sum.sent, (unsigned long long)sum.taken, sum.seconds,
        sum.seeds == 0 ? 0.0 : sum.seconds * 1e3 / (double)sum.seeds);
    if (sum.failures != 0)
        printf("sim: the first was seed %llu\n", (unsigned long long)sum.first_failed);
    printf("%d passed, %llu failed\n", sum.failures == 0, (unsigned long long)sum.failures);
    return sum.failures != 0;
}

int main(int argc, char **argv)
{
    struct choice *c = &choice;
    *c = (struct choice){.from = 1,
                         .jobs = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN),
                         .failures = 20,
                         .shards = UINT64_MAX};
    if (!parse(argc, argv, c))
        return usage();
    if (c->one)
        return run_one(c);
    return c->twice != 0 ? run_twice(c) : run_many(c);
}
