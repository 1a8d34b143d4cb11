#include "perf/workloads/offsets.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char path[64];
static char reason[PERF_OFFSETS_TEXT];

static bool read_text(struct perf_offsets *offsets, const char *text, size_t len)
{
    snprintf(path, sizeof path, "/tmp/mcq-offsets-XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, len), (ssize_t)len);
    close(fd);
    memset(reason, 0, sizeof reason);
    bool ok = perf_offsets_read(offsets, path, reason);
    unlink(path);
    return ok;
}

Test(offsets, are_read)
{
    struct perf_offsets offsets;
    static const char text[] = "# two at once\n0\n1500\n1500\r\n86400000000000";
    cr_assert(read_text(&offsets, text, sizeof text - 1), "%s", reason);
    cr_assert_eq(offsets.cnt, 4);
    cr_assert_eq(offsets.ns[0], 0);
    cr_assert_eq(offsets.ns[2], 1500);
    cr_assert_eq(offsets.ns[3], PERF_OFFSETS_MAX_NS);
    perf_offsets_end(&offsets);
    cr_assert_null(offsets.ns);
}

Test(offsets, more_than_the_first_room)
{
    static char text[20000 * 8];
    struct perf_offsets offsets;
    size_t len = 0;
    for (unsigned i = 0; i < 20000; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%u\n", i * 3);
    }
    cr_assert(read_text(&offsets, text, len), "%s", reason);
    cr_assert_eq(offsets.cnt, 20000);
    cr_assert_eq(offsets.ns[19999], 19999 * 3);
    perf_offsets_end(&offsets);
}

/* Each is refused, and the sentence names the line. */
Test(offsets, malformed_lines_are_named)
{
    static const struct {
        const char *text, *said;
    } wrong[] = {
        {"0\n1\nx\n", "line 3: this is no offset"},
        {"0\n\n1\n", "line 2: this is no offset"},
        {"-1\n", "line 1: this is no offset"},
        {" 1\n", "line 1: this is no offset"},
        {"1 2\n", "line 1: this is no offset"},
        {"1.5\n", "line 1: this is no offset"},
        {"1e6\n", "line 1: this is no offset"},
        {"# a\n5\n4\n", "line 3: the offset is before"},
        {"86400000000001\n", "line 1: the offset is longer than a day"},
        {"99999999999999999999999\n", "line 1: this is no offset"},
        {"0\n1", ""},
        {"7\n0000000000000000000000000000000000000000000000000000000000000000000000000009\n",
         "line 2: the line is too long"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct perf_offsets offsets;
        bool good = wrong[i].said[0] == '\0';
        cr_assert_eq(read_text(&offsets, wrong[i].text, strlen(wrong[i].text)), good, "%zu: %s", i,
                     reason);
        cr_assert(good || strstr(reason, wrong[i].said) != NULL, "%zu: %s", i, reason);
        perf_offsets_end(&offsets);
    }
}

Test(offsets, nothing_in_it)
{
    struct perf_offsets offsets;
    cr_assert_not(read_text(&offsets, "", 0));
    cr_assert_not(read_text(&offsets, "# nothing\n", 10));
    cr_assert_not(read_text(&offsets, "1\0002\n", 4)); /* a zero byte hides nothing */
    cr_assert_not(perf_offsets_read(&offsets, "/nonexistent/trace", reason));
    cr_assert_not_null(strstr(reason, "/nonexistent/trace"));
}

/* A remark longer than what is read at once isn't taken for offsets. */
Test(offsets, long_remarks)
{
    char text[400];
    struct perf_offsets offsets;
    memset(text, '7', sizeof text);
    text[0] = '#';
    text[sizeof text - 3] = '\n';
    text[sizeof text - 2] = '5';
    text[sizeof text - 1] = '\n';
    cr_assert(read_text(&offsets, text, sizeof text), "%s", reason);
    cr_assert_eq(offsets.cnt, 1);
    cr_assert_eq(offsets.ns[0], 5);
    perf_offsets_end(&offsets);
}
