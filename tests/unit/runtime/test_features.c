#include "runtime/features.h"

#include <criterion/criterion.h>
#include <string.h>

static struct mcq_features masked(const char *text)
{
    struct mcq_features f = mcq_features_all();
    cr_assert_eq(mcq_features_mask(&f, text, NULL), MCQ_OK, "%s", text);
    return f;
}

Test(features, nothing_masked)
{
    struct mcq_features f = masked(NULL), g = masked("");
    cr_assert(f.inc && f.mshot_limit && f.mshot_accept && f.ring_fd);
    cr_assert(g.inc && g.mshot_limit && g.mshot_accept && g.ring_fd);
}

Test(features, single_names)
{
    struct mcq_features f = masked("-inc");
    cr_assert(!f.inc && f.mshot_limit && f.mshot_accept && f.ring_fd);
    f = masked("-mshot");
    cr_assert(f.inc && !f.mshot_limit && f.mshot_accept && f.ring_fd);
    f = masked("-mshot-accept,-ring-fd");
    cr_assert(f.inc && f.mshot_limit && !f.mshot_accept && !f.ring_fd);
    f = masked("-msgring,-min-wait");
    cr_assert_not(f.msgring);
    cr_assert(f.inc && f.mshot_limit && f.mshot_accept && f.ring_fd);
}

Test(features, kernel_6_1)
{
    struct mcq_features f = masked("6.1,-ring-fd");
    cr_assert(!f.inc && !f.mshot_limit && f.mshot_accept && !f.ring_fd);
}

Test(features, unknown_is_refused)
{
    static const char *const BAD[] = {"inc",   "-", "-incc",        "-in",      "6.2",
                                      "-inc;", ",", "-inc,,-mshot", "-bufring", " -inc"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        struct mcq_features f = mcq_features_all();
        struct mcq_detail d = {0};
        cr_assert_eq(mcq_features_mask(&f, BAD[i], &d), MCQ_EINVAL, "%s", BAD[i]);
        cr_assert(f.inc && f.mshot_limit && f.mshot_accept && f.ring_fd);
        cr_assert_not_null(strstr(d.text, "-mshot-limit"), "%s", d.text);
        cr_assert_not_null(strstr(d.text, "6.1"), "%s", d.text);
        cr_assert_lt(strlen(d.text), MCQ_DETAIL_TEXT_LEN - 1);
    }
}

Test(features, text)
{
    char text[MCQ_FEATURES_TEXT_LEN];
    struct mcq_features f = mcq_features_all();
    mcq_features_text(&f, text);
    cr_assert_str_eq(text, "defer, ring-fd, mshot-accept, mshot-limit, inc, hot, msgring");
    f = (struct mcq_features){0};
    mcq_features_text(&f, text);
    cr_assert_str_eq(text, "defer");
}
