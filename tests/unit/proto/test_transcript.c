/* Every transcript of tests/wire, cut in every way: what comes out may not depend on the cut. */
#include "tests/support/wire.h"

#include <criterion/criterion.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER       "tests/wire"
#define PATH_LEN_MAX 512
#define FILES_MIN    170 /* a folder found empty must not pass */

typedef bool check_fn(const struct mcq_wire *wire);

static bool is_transcript(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && strcmp(dot, ".txt") == 0;
}

/* Plain assert macros abort the test at the first failure; here every file gets its turn. */
static void each_transcript(check_fn *check)
{
    DIR *dir = opendir(FOLDER);
    cr_assert_not_null(dir, "%s: run from the project's root", FOLDER);
    int files = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (!is_transcript(entry->d_name))
            continue;
        char path[PATH_LEN_MAX];
        snprintf(path, sizeof(path), "%s/%s", FOLDER, entry->d_name);
        struct mcq_wire *wire = malloc(sizeof(*wire));
        cr_assert_not_null(wire);
        cr_assert(mcq_wire_load(wire, path), "%s", path);
        cr_expect(check(wire), "%s", path);
        mcq_wire_fini(wire);
        free(wire);
        files++;
    }
    closedir(dir);
    cr_assert_geq(files, FILES_MIN);
}

static const struct mcq_stream_opts ways[] = {
    {.guard = true, .batches = true},
    {.guard = true, .batches = true, .give_back = true, .views_max = 3},
    {.guard = true},
    {.batches = true, .views_max = 1},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static bool line_by_line(const struct mcq_wire *wire)
{
    for (size_t i = 0; i < WAYS; i++)
        if (!mcq_wire_replay(wire, &ways[i], MCQ_WIRE_STEPS, 0))
            return false;
    return true;
}

Test(transcript, line_by_line)
{
    each_transcript(line_by_line);
}

static bool whole(const struct mcq_wire *wire)
{
    for (size_t i = 0; i < WAYS; i++)
        if (!mcq_wire_replay(wire, &ways[i], MCQ_WIRE_WHOLE, 0))
            return false;
    return true;
}

Test(transcript, whole)
{
    each_transcript(whole);
}

static bool every_split(const struct mcq_wire *wire)
{
    for (size_t at = 0; at <= wire->input.len; at++)
        if (!mcq_wire_replay(wire, &ways[at % WAYS], MCQ_WIRE_SPLIT, at))
            return false;
    return true;
}

Test(transcript, every_split)
{
    each_transcript(every_split);
}

static bool small_pieces(const struct mcq_wire *wire)
{
    for (size_t len = 1; len <= 17; len++)
        if (!mcq_wire_replay(wire, &ways[len % WAYS], MCQ_WIRE_PIECES, len))
            return false;
    return true;
}

Test(transcript, small_pieces)
{
    each_transcript(small_pieces);
}

static bool as_needed(const struct mcq_wire *wire)
{
    for (size_t i = 0; i < WAYS; i++)
        if (!mcq_wire_replay(wire, &ways[i], MCQ_WIRE_BY_NEED, 0))
            return false;
    return true;
}

/* What the state machine asks for is exactly what it needs: nothing is ever left in the window. */
Test(transcript, as_needed)
{
    each_transcript(as_needed);
}
