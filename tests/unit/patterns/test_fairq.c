#include "patterns/fairq.h"

#include <criterion/criterion.h>

Test(fairq, calls_in_order_of_arrival_and_serves_only_who_was_called)
{
    struct mcq_fairq q;
    struct mcq_pipe a = {0}, b = {0}, c = {0};
    mcq_fairq_init(&q);
    cr_assert(mcq_fairq_take(&q, &a), "nobody waits: whoever comes");
    mcq_fairq_wait(&q, &b);
    mcq_fairq_wait(&q, &c);
    mcq_fairq_wait(&q, &b); /* keeps its place */
    cr_assert_eq(mcq_fairq_next(&q), &b);
    cr_assert_not(mcq_fairq_take(&q, &a));
    cr_assert_not(mcq_fairq_take(&q, &c));
    cr_assert(mcq_fairq_take(&q, &b));
    cr_assert_eq(mcq_fairq_next(&q), &c);
    mcq_fairq_forget(&q, &c); /* gone before it came */
    cr_assert(mcq_fairq_take(&q, &a));
    cr_assert_null(mcq_fairq_next(&q));
}

Test(fairq, who_leaves_the_line_is_not_called)
{
    struct mcq_fairq q;
    struct mcq_pipe a = {0}, b = {0};
    mcq_fairq_init(&q);
    mcq_fairq_wait(&q, &a);
    mcq_fairq_wait(&q, &b);
    mcq_fairq_forget(&q, &a);
    cr_assert_eq(mcq_fairq_next(&q), &b);
    cr_assert(mcq_fairq_take(&q, &b));
    cr_assert_null(mcq_fairq_next(&q));
}
