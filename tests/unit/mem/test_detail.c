#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "mem/base.h"
#include "mem/detail.h"

Test(detail, fills_and_returns_the_code)
{
    struct mcq_detail d;
    memset(&d, 0xee, sizeof(d));
    enum mcq_error err = mcq_detail_set(&d, MCQ_EACCESS, EPERM, "sysctl %s=%d", "x", 1);
    cr_assert_eq(err, MCQ_EACCESS);
    cr_assert_eq(d.code, MCQ_EACCESS);
    cr_assert_eq(d.os_errno, EPERM);
    cr_assert_str_eq(d.text, "sysctl x=1");
}

Test(detail, null_is_allowed)
{
    cr_assert_eq(mcq_detail_set(NULL, MCQ_EINVAL, 0, "%s", "nobody reads it"), MCQ_EINVAL);
}

Test(detail, long_text_is_cut_at_every_length)
{
    char text[2 * MCQ_DETAIL_TEXT_LEN + 1];
    for (size_t len = MCQ_DETAIL_TEXT_LEN - 3; len < sizeof(text); len++) {
        struct {
            struct mcq_detail d;
            unsigned char guard[16];
        } at;
        memset(&at, 0x5a, sizeof(at));
        memset(text, 'a', len);
        text[len] = '\0';
        mcq_detail_set(&at.d, MCQ_EOS, 0, "%s", text);
        size_t want = len < MCQ_DETAIL_TEXT_LEN ? len : MCQ_DETAIL_TEXT_LEN - 1;
        cr_assert_eq(strlen(at.d.text), want);
        for (size_t i = 0; i < sizeof(at.guard); i++)
            cr_assert_eq(at.guard[i], 0x5a);
    }
}

Test(error, every_code_has_its_own_name)
{
    for (int a = MCQ_ETOOBIG; a <= MCQ_OK; a++) {
        cr_assert_eq(strncmp(mcq_error_name((enum mcq_error)a), "MCQ_", 4), 0, "code %d", a);
        for (int b = MCQ_ETOOBIG; b < a; b++)
            cr_assert_str_neq(mcq_error_name((enum mcq_error)a), mcq_error_name((enum mcq_error)b));
    }
    cr_assert_str_eq(mcq_error_name(MCQ_OK), "MCQ_OK");
    cr_assert_str_eq(mcq_error_name(MCQ_ETOOBIG), "MCQ_ETOOBIG");
}

Test(error, an_unknown_code_is_named_too)
{
    cr_assert_not_null(mcq_error_name((enum mcq_error)(MCQ_ETOOBIG - 1)));
    cr_assert_not_null(mcq_error_name((enum mcq_error)1));
}

Test(error, version_is_the_headers)
{
    cr_assert_eq(mcq_version(),
                 (uint32_t)(MCQ_VERSION_MAJOR << 16 | MCQ_VERSION_MINOR << 8 | MCQ_VERSION_PATCH));
}
