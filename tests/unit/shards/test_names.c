#include <criterion/criterion.h>
#include <monocoque/event.h>
#include <string.h>

/* A value that has no name would be told to users as "unknown"; two with one name couldn't be told
 * apart; and a name that isn't its constant's can't be looked up in the header. */

Test(names, events)
{
    static const char *const names[] = {
        "listening", "listen-failed",    "unbound",    "accepted",     "connecting", "connected",
        "up",        "handshake-failed", "retry",      "disconnected", "refused",    "dropped",
        "slow",      "slow-end",         "unconnected"};
    for (int i = 0; i < 15; i++)
        cr_assert_str_eq(mcq_event_name((enum mcq_event_kind)(MCQ_EVENT_LISTENING + i)), names[i]);
    cr_assert_eq(MCQ_EVENT_LISTENING + 14, MCQ_EVENT_UNCONNECTED);
}

Test(names, reasons)
{
    static const char *const names[] = {
        "none",     "peer-closed", "reset", "protocol",  "handshake", "incompatible", "peer-error",
        "identity", "heartbeat",   "limit", "slow",      "timeout",   "local",        "hwm",
        "no-peer",  "pattern",     "os",    "conflated", "replaced",  "killed"};
    for (int i = 0; i < 20; i++)
        cr_assert_str_eq(mcq_reason_name((enum mcq_reason)i), names[i]);
    cr_assert_eq(MCQ_REASON_KILLED, 19);
}

Test(names, values_of_a_newer_header)
{
    cr_assert_not_null(mcq_event_name((enum mcq_event_kind)0));
    cr_assert_not_null(mcq_event_name((enum mcq_event_kind)4711));
    cr_assert_not_null(mcq_reason_name((enum mcq_reason)4711));
}
