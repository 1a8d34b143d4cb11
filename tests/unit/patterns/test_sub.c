#include <criterion/criterion.h>

#include "rig.h"

static void change(struct rig *r, bool add, const char *topic)
{
    cr_assert_eq(r->s.pattern->subscribe(&r->s, add, rig_slice(topic)), MCQ_OK);
}

static void expect(struct rig_peer *p, const char *text, bool delivered)
{
    uint32_t before = p->rig->delivered;
    uint64_t dropped = p->rig->stats.drops_filter;
    rig_input(p, text);
    cr_assert_eq(p->rig->delivered, before + delivered, "%s", text);
    cr_assert_eq(p->rig->stats.drops_filter, dropped + !delivered, "%s", text);
}

Test(sub, inverted_matching_delivers_what_matches_nothing)
{
    const struct mcq_psock_opts opts = {.slow = MCQ_SLOW_BLOCK, .invert_matching = true};
    struct rig *r = rig_new_opts(MCQ_SUB, NULL, &opts);
    struct rig_peer *p = rig_peer_up(r, NULL);
    expect(p, "a", true);
    change(r, true, "a");
    expect(p, "a", false);
    expect(p, "ab", false);
    expect(p, "b", true);
    expect(p, "", true);
    change(r, true, "");
    expect(p, "b", false);
    expect(p, "", false);
    change(r, false, "");
    change(r, false, "a");
    expect(p, "a", true);
    rig_free(r);
}

/* In one batch, with pauses: none is delivered twice or skipped. */
Test(sub, inverted_matching_keeps_its_place_in_a_batch)
{
    const struct mcq_psock_opts opts = {.slow = MCQ_SLOW_BLOCK, .invert_matching = true};
    struct rig *r = rig_new_opts(MCQ_SUB, NULL, &opts);
    struct rig_peer *p = rig_peer_up(r, NULL);
    static const char *const texts[] = {"a", "1", "2", "a", "3", "a"};
    change(r, true, "a");
    p->user_paused = true;
    for (size_t i = 0; i < MCQ_CNT_OF(texts); i++)
        rig_input(p, texts[i]);
    p->user_paused = false;
    r->refuse_from = 1;
    cr_assert_eq(rig_offer(p), 2);
    cr_assert_str_eq(r->last, "1");
    cr_assert_eq(rig_offer(p), 4);
    cr_assert_str_eq(r->last, "3");
    cr_assert_eq(r->delivered, 3);
    cr_assert_eq(r->stats.drops_filter, 3);
    rig_free(r);
}
