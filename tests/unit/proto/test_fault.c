#include "proto/fault.h"

#include <criterion/criterion.h>

#include <string.h>

/* A peer's fault without a reason or a sentence would be a silent disconnect. */
Test(fault, every_one_has_a_reason_and_its_own_sentence)
{
    for (int i = MCQ_FAULT_NONE + 1; i < MCQ_FAULT_CALLER; i++) {
        enum mcq_fault fault = (enum mcq_fault)i;
        const char *text = mcq_fault_text(fault);
        cr_assert_neq(mcq_fault_reason(fault), MCQ_REASON_NONE, "fault %d", i);
        cr_assert_gt(strlen(text), 10, "fault %d", i);
        for (int j = MCQ_FAULT_NONE + 1; j < i; j++)
            cr_assert(strcmp(text, mcq_fault_text((enum mcq_fault)j)) != 0, "faults %d and %d", i,
                      j);
    }
}
