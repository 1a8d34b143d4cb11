/* Time, as a session has it: sends that are told late or not at all, input of the same moment. */
#include "proto/zmtp.h"

#include <criterion/criterion.h>

#include <string.h>

#define MS UINT64_C(1000000)

static const char hello[] = "\xff\0\0\0\0\0\0\0\1\x7f\3\1NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                            "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                            "\x04\x1a\x05READY\x0bSocket-Type\0\0\0\4PUSH";

struct bench {
    struct mcq_zmtp z;
    struct mcq_proto_stats stats;
    struct mcq_frame frames[MCQ_FRAME_CNT_MAX];
    uint8_t out[MCQ_ZMTP_DRAIN_MAX];
};

static size_t drain(struct bench *b)
{
    struct mcq_writer w = mcq_writer_of(b->out, sizeof(b->out));
    cr_assert(mcq_zmtp_drain(&b->z, &w, &b->stats) && mcq_zmtp_invariants(&b->z));
    return w.len;
}

static enum mcq_zmtp_kind feed(struct bench *b, const char *bytes, size_t len, uint64_t now_ns)
{
    struct mcq_reader in = mcq_reader_of(mcq_slice_of(bytes, len));
    struct mcq_zmtp_event ev;
    do {
        mcq_zmtp_next(&b->z, &in, now_ns, b->frames, &ev, &b->stats);
        if (ev.kind == MCQ_ZMTP_WROTE)
            drain(b);
    } while (ev.kind == MCQ_ZMTP_WROTE);
    return ev.kind;
}

/* In traffic since second 10, heartbeat 1 s, timeout 300 ms. */
static void start(struct bench *b)
{
    struct mcq_zmtp_config config = {.type = MCQ_PULL,
                                     .peer_mask = 1u << MCQ_PUSH,
                                     .limits = {1u << 24, 1u << 25, 8},
                                     .heartbeat_ms = 1000,
                                     .heartbeat_timeout_ms = 300};
    memset(b, 0, sizeof(*b));
    mcq_zmtp_init(&b->z, &config, 9000 * MS);
    cr_assert(feed(b, hello, sizeof(hello) - 1, 10000 * MS) == MCQ_ZMTP_HANDSHAKE_DONE);
    mcq_zmtp_alive(&b->z, 10000 * MS);
    mcq_zmtp_told(&b->z, 10000 * MS);
}

static bool expire(struct bench *b, uint64_t ms)
{
    bool dead = mcq_zmtp_expire(&b->z, ms * MS, &b->stats);
    cr_assert(mcq_zmtp_invariants(&b->z));
    return dead;
}

/* A PING is due at ms and not before. */
static void ping_due(struct bench *b, uint64_t ms)
{
    cr_assert_eq(mcq_zmtp_expiry(&b->z), ms * MS);
    cr_assert(!expire(b, ms - 1) && !mcq_zmtp_wants_drain(&b->z));
    cr_assert(!expire(b, ms) && mcq_zmtp_wants_drain(&b->z));
}

static void say(struct bench *b, uint64_t ms)
{
    cr_assert_eq(drain(b), 9);
    cr_assert(!mcq_zmtp_wants_drain(&b->z));
    mcq_zmtp_told(&b->z, ms * MS);
}

Test(heartbeat, due_after_the_older_of_input_and_output)
{
    struct bench b;
    start(&b);
    mcq_zmtp_alive(&b.z, 10700 * MS); /* it speaks, we don't */
    ping_due(&b, 11000);
    say(&b, 11000);
    mcq_zmtp_alive(&b.z, 11001 * MS);
    mcq_zmtp_told(&b.z, 11700 * MS); /* we speak, it doesn't */
    ping_due(&b, 12001);
    cr_assert_eq(b.stats.pings_out, 1);
}

Test(heartbeat, unanswered_it_ends)
{
    struct bench b;
    start(&b);
    ping_due(&b, 11000);
    say(&b, 11000);
    cr_assert_eq(mcq_zmtp_expiry(&b.z), 11300 * MS);
    mcq_zmtp_told(&b.z, 11200 * MS); /* our own words are no answer */
    cr_assert(!expire(&b, 11299) && !mcq_zmtp_wants_drain(&b.z));
    cr_assert(expire(&b, 11300));
    cr_assert(mcq_zmtp_reason(&b.z) == MCQ_REASON_HEARTBEAT && mcq_zmtp_expiry(&b.z) == 0);
    cr_assert(b.stats.heartbeats_expired == 1 && b.stats.pings_out == 1 && b.stats.errors == 0);
    cr_assert(b.stats.handshakes_failed == 0 && !mcq_zmtp_wants_drain(&b.z));
}

/* The answer may be here in the turn that sent the PING, or before its send is told complete. */
Test(heartbeat, an_answer_of_the_same_moment)
{
    struct bench b;
    start(&b);
    ping_due(&b, 11000);
    say(&b, 11000);
    mcq_zmtp_alive(&b.z, 11000 * MS);
    cr_assert_eq(mcq_zmtp_expiry(&b.z), 12000 * MS);
    ping_due(&b, 12000);
}

/* Only one is under way, however late the caller looks, and the next is asked for anew. */
Test(heartbeat, one_at_a_time)
{
    struct bench b;
    start(&b);
    for (uint64_t ms = 11000; ms < 200000; ms += 1000) {
        ping_due(&b, ms);
        cr_assert(!expire(&b, ms + 100)); /* due still, not twice */
        say(&b, ms);
        cr_assert(!expire(&b, ms + 200) && !mcq_zmtp_wants_drain(&b.z));
        mcq_zmtp_alive(&b.z, (ms + 250) * MS);
        cr_assert(!expire(&b, ms + 300));
    }
    cr_assert_eq(b.stats.pings_out, 189);
}

/* In the middle of a long message of ours a PING can't be said. As long as that message's bytes
 * leave, the peer isn't asked, so it can't have failed to answer. */
Test(heartbeat, an_unsaid_ping_waits_as_long_as_bytes_leave)
{
    struct bench b;
    start(&b);
    mcq_zmtp_told(&b.z, 10900 * MS);
    ping_due(&b, 11000);
    for (uint64_t ms = 11250; ms < 60000; ms += 250) {
        cr_assert(!expire(&b, ms));
        mcq_zmtp_told(&b.z, ms * MS);
        cr_assert_leq(mcq_zmtp_expiry(&b.z), (ms + 300) * MS);
    }
    say(&b, 60000);
    cr_assert(!expire(&b, 60299) && expire(&b, 60300));
}

/* ... and once they don't, the stream is stuck: its end is the same. */
Test(heartbeat, an_unsaid_ping_of_a_stuck_stream_ends_it)
{
    struct bench b;
    start(&b);
    ping_due(&b, 11000);
    mcq_zmtp_told(&b.z, 11200 * MS);
    cr_assert(!expire(&b, 11499) && mcq_zmtp_wants_drain(&b.z));
    cr_assert(expire(&b, 11500) && mcq_zmtp_reason(&b.z) == MCQ_REASON_HEARTBEAT);
}

/* Input while a PING waits for being said: it is alive, and still asked. */
Test(heartbeat, an_unsaid_ping_and_input)
{
    struct bench b;
    start(&b);
    ping_due(&b, 11000);
    mcq_zmtp_alive(&b.z, 11250 * MS);
    cr_assert(!expire(&b, 11549) && mcq_zmtp_wants_drain(&b.z));
    say(&b, 11549);
    cr_assert_eq(mcq_zmtp_expiry(&b.z), 11849 * MS);
}

/* Drained but not yet with the kernel: the time doesn't run from what was never sent. */
Test(heartbeat, said_and_not_yet_told)
{
    struct bench b;
    start(&b);
    ping_due(&b, 11000);
    cr_assert_eq(drain(&b), 9);
    mcq_zmtp_told(&b.z, 11290 * MS);
    cr_assert(!expire(&b, 11589) && expire(&b, 11590));
}

/* A session that doesn't listen says so before each look; it goes on telling that it lives. */
Test(heartbeat, deaf_for_a_day)
{
    struct bench b;
    start(&b);
    for (uint64_t ms = 11000; ms < 86411000; ms += 1000) {
        mcq_zmtp_alive(&b.z, ms * MS);
        cr_assert(!expire(&b, ms) && mcq_zmtp_wants_drain(&b.z));
        say(&b, ms);
    }
    cr_assert_eq(b.stats.pings_out, 86400);
}

/* A PING's answer is life even if the caller tells of input by next alone. */
Test(heartbeat, pong_is_life)
{
    struct bench b;
    start(&b);
    ping_due(&b, 11000);
    say(&b, 11000);
    cr_assert(feed(&b, "\4\5\4PONG", 7, 11299 * MS) == MCQ_ZMTP_MORE);
    cr_assert(!expire(&b, 11300));
    ping_due(&b, 12000);
}

Test(heartbeat, pong_and_ping_leave_together)
{
    struct bench b;
    start(&b);
    ping_due(&b, 11000);
    struct mcq_reader in = mcq_reader_of(mcq_slice_of("\4\7\4PING\0\0", 9));
    struct mcq_zmtp_event ev;
    mcq_zmtp_next(&b.z, &in, 11000 * MS, b.frames, &ev, &b.stats);
    cr_assert(ev.kind == MCQ_ZMTP_WROTE && drain(&b) == 16);
    cr_assert(memcmp(b.out, "\4\5\4PONG\4\7\4PING\0\0", 16) == 0);
    for (size_t room = 0; room < 9; room++) { /* whole or not at all */
        start(&b);
        ping_due(&b, 11000);
        struct mcq_writer w = mcq_writer_of(b.out, room);
        cr_assert(!mcq_zmtp_drain(&b.z, &w, &b.stats) && w.len == 0 && mcq_zmtp_wants_drain(&b.z));
    }
}

Test(heartbeat, timeout_defaults_to_the_heartbeat)
{
    struct mcq_zmtp z;
    struct mcq_zmtp_config config = {.type = MCQ_PULL, .limits = {1, 1, 1}, .heartbeat_ms = 700};
    mcq_zmtp_init(&z, &config, 0);
    cr_assert_eq(z.heartbeat_timeout_ms, 700);
    config.heartbeat_timeout_ms = 1;
    mcq_zmtp_init(&z, &config, 0);
    cr_assert(z.heartbeat_timeout_ms == 1 && z.version_min == MCQ_ZMTP_2_0);
}

/* The peer's time to live and our heartbeat: whichever is first. */
Test(heartbeat, the_earlier_deadline_is_told)
{
    struct bench b;
    start(&b);
    b.z.peer_ttl_ms = 500;
    cr_assert_eq(mcq_zmtp_expiry(&b.z), 10500 * MS);
    cr_assert(expire(&b, 10500) && b.stats.heartbeats_expired == 1 && b.stats.pings_out == 0);
    start(&b);
    b.z.peer_ttl_ms = 5000;
    ping_due(&b, 11000);
    cr_assert_eq(mcq_zmtp_expiry(&b.z), 11300 * MS);
}

/* What nobody could hear isn't missed: neither what was promised nor an answer. */
Test(heartbeat, time_that_nobody_listened_in_does_not_count)
{
    struct bench b;
    start(&b);
    b.z.peer_ttl_ms = 500;
    mcq_zmtp_deaf(&b.z, 10400 * MS, 60400 * MS);
    cr_assert(!expire(&b, 60499) && expire(&b, 60500));
    start(&b);
    ping_due(&b, 11000);
    say(&b, 11000);
    mcq_zmtp_deaf(&b.z, 11200 * MS, 61200 * MS);
    cr_assert(!expire(&b, 61299) && expire(&b, 61300));
    start(&b);
    mcq_zmtp_deaf(&b.z, 10400 * MS, 10300 * MS); /* another shard's clock */
    ping_due(&b, 11000);
}

/* The answer makes the next PING due earlier than the timeout of the last would be: a caller that
 * comes back when it was told to is in time for it. */
Test(heartbeat, a_timeout_longer_than_the_heartbeat)
{
    struct bench b;
    start(&b);
    b.z.heartbeat_timeout_ms = 10000;
    ping_due(&b, 11000);
    say(&b, 11000);
    uint64_t look = mcq_zmtp_expiry(&b.z);
    mcq_zmtp_alive(&b.z, 11001 * MS);
    cr_assert(look == 12000 * MS && mcq_zmtp_expiry(&b.z) == 12000 * MS);
    ping_due(&b, 12000);
    say(&b, 12000);
    for (uint64_t ms = 13000; ms < 22000; ms += 1000) { /* no answer: no other one either */
        cr_assert_eq(mcq_zmtp_expiry(&b.z), ms * MS);
        cr_assert(!expire(&b, ms) && !mcq_zmtp_wants_drain(&b.z));
    }
    struct bench late = b;
    mcq_zmtp_alive(&late.z, 21500 * MS);
    cr_assert(!expire(&late, 22000) && mcq_zmtp_wants_drain(&late.z)); /* we are silent, too */
    cr_assert(expire(&b, 22000) && b.stats.pings_out == 2);
}
