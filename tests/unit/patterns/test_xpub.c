#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patterns/fanout.h"
#include "rig.h"

static struct rig *rig_of(struct mcq_psock_opts opts)
{
    opts.subs_max = 10000;
    opts.subs_max_bytes = 1u << 20;
    opts.subs_sock_max = UINT32_MAX;
    opts.subs_sock_max_bytes = UINT32_MAX;
    opts.slow = opts.slow == MCQ_SLOW_DEFAULT ? MCQ_SLOW_DROP_NEW : opts.slow;
    return rig_new_opts(MCQ_XPUB, NULL, &opts);
}

static enum mcq_reason change(struct rig_peer *p, bool add, const char *topic)
{
    return p->rig->s.pattern->subscribed(&p->rig->s, &p->pipe, add, rig_slice(topic));
}

static enum mcq_error change_for(struct rig_peer *p, bool add, const char *topic)
{
    return p->rig->s.pattern->subscribe_peer(&p->rig->s, &p->pipe, add, rig_slice(topic));
}

/* --- what the user is told ------------------------------------------------------------------- */

/* Of a member of a logical socket: what the others don't know yet. */
static uint64_t changes;
static uint64_t ask_unknown(void *ctx)
{
    (void)ctx;
    return changes;
}

/* ~: from here on other members don't know; =: they do, of all. */
static bool act_as_member(struct rig *r, const char *word)
{
    static struct mcq_psock_up up;
    if (word[0] != '~' && word[0] != '=')
        return false;
    if (r->s.up != &up)
        up = *r->s.up;
    up.unknown = ask_unknown;
    r->s.up = &up;
    changes = word[0] == '~' ? changes + 1 : 0;
    if (word[0] == '=')
        mcq_fanout_known(&r->s, UINT64_MAX - 1);
    return true;
}

/* A+a: peer A subscribes to a, A-a: cancels; A!: its connection ends, and all is swept; A?: it
 * ends; A*: it has a new one; A>a, A<a: the user subscribes it, or ends that; or as above. */
static void act(struct rig_peer **peers, const char *word)
{
    struct rig_peer *p = peers[word[0] - 'A'];
    switch (word[1]) {
    case '+':
    case '-':
        cr_assert_eq(change(p, word[1] == '+', word + 2), MCQ_REASON_NONE);
        break;
    case '>':
    case '<':
        cr_assert_eq(change_for(p, word[1] == '>', word + 2), MCQ_OK);
        break;
    case '!':
        rig_detach(p);
        rig_sweep(p->rig);
        break;
    case '?':
        rig_detach(p);
        break;
    case '*':
        cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
        break;
    default:
        cr_assert(false, "%s", word);
    }
}

/* Peers A, B and C are named 1, 2 and 3; nobody is 0. */
static void play(struct mcq_psock_opts opts, const char *script, const char *told)
{
    struct rig *r = rig_of(opts);
    struct rig_peer *peers[3];
    char text[256];
    char *rest = text;
    char *word;
    snprintf(text, sizeof text, "%s", script);
    for (int i = 0; i < 3; i++) {
        peers[i] = rig_peer_new(r, true, MCQ_UNLIMITED);
        cr_assert_eq(rig_attach(peers[i], NULL), MCQ_REASON_NONE);
    }
    while ((word = strsep(&rest, " ")) != NULL)
        if (!act_as_member(r, word))
            act(peers, word);
    cr_assert_str_eq(rig_told(r), told);
    rig_free(r);
}

static const struct mcq_psock_opts plain;
static const struct mcq_psock_opts verbose = {.verbose = true};
static const struct mcq_psock_opts verboser = {.verbose = true, .verboser = true};
static const struct mcq_psock_opts by_hand = {.manual = true};

/* As libzmq's XPUB has it. */
Test(xpub, tells_the_first_and_the_last_of_a_topic)
{
    play(plain, "A+a B+a A-a B-a", "+a@1 -a@2");
    play(plain, "A+a A+a A-a", "+a@1 -a@1");
    play(plain, "A+a A+ab B+a A-a", "+a@1 +ab@1");
    play(plain, "A+ A-", "+@1 -@1");
    play(plain, "A+a A-a A+a", "+a@1 -a@1 +a@1");
}

Test(xpub, verbose_tells_every_beginning)
{
    play(verbose, "A+a B+a A+a A-a B-a", "+a@1 +a@2 +a@1 -a@2");
    play(verbose, "A+a B+a A! B!", "+a@1 +a@2 -a@0");
}

Test(xpub, verboser_tells_every_end_as_well)
{
    play(verboser, "A+a B+a A+a A-a B-a", "+a@1 +a@2 +a@1 -a@1 -a@2");
    play(verboser, "A+a B+a A! B!", "+a@1 +a@2 -a@0 -a@0");
}

Test(xpub, a_peer_that_goes_ends_what_nobody_else_wants)
{
    play(plain, "A+a A+b B+a A!", "+a@1 +b@1 -b@0");
    play(plain, "A+a B+a A! B!", "+a@1 -a@0");
    play(plain, "A+a A-a A!", "+a@1 -a@1");
    play(plain, "A+a A! A* A+a", "+a@1 -a@0 +a@4");
}

Test(xpub, what_is_not_known_everywhere_is_told_later_or_never)
{
    play(plain, "~ A+a =", "+a@1");
    play(plain, "~ A+a A-a =", "");
    play(plain, "~ A+a B+a A-a =", "+a@2");
    play(plain, "~ A+a A! =", "");
    play(verbose, "A+a ~ B+a =", "+a@1 +a@2");
    play(verbose, "A+a ~ B+a B-a =", "+a@1");
}

/* One who wants it, too, but whose wish isn't known yet, is the last who did. */
Test(xpub, the_end_of_what_was_told_is_told_whoever_is_the_last)
{
    play(plain, "A+a ~ B+a A-a =", "+a@1");
    play(plain, "A+a ~ B+a A-a B-a =", "+a@1 -a@2");
    play(plain, "A+a ~ B+a A-a B! =", "+a@1 -a@0");
    play(plain, "A+a ~ B+a A! B-a =", "+a@1 -a@2");
    play(plain, "A+a ~ B+a B? = A! B*", "+a@1 -a@0");
    play(plain, "A+a ~ B+a A-a B-a C+a =", "+a@1 -a@2 +a@3");
    play(verbose, "A+a ~ B+a A-a B-a =", "+a@1 -a@2");
    play(verboser, "A+a ~ B+a A-a B-a =", "+a@1 -a@1");
    play(verboser, "A+a ~ B+a B-a A-a =", "+a@1 -a@1");
}

/* Here libzmq tells an end, even if another peer is still subscribed. */
Test(xpub, a_cancel_of_nothing_is_not_told)
{
    play(plain, "A-a B+a A-a", "+a@2");
    play(verboser, "A-a B+a A-a", "+a@2");
}

Test(xpub, manual_tells_all_the_peer_says_and_nothing_the_user_does)
{
    play(by_hand, "A+a A+a B+a A-a A-a B-b", "+a@1 +a@1 +a@2 -a@1 -a@1 -b@2");
    play(by_hand, "A+a A>a A>a A<a A-a", "+a@1 -a@1");
    play(by_hand, "A>x A! B+x", "+x@2");
}

/* As libzmq: the ends of what it had asked for, whatever it got. */
Test(xpub, manual_tells_the_ends_of_what_a_peer_that_goes_had_asked_for)
{
    play(by_hand, "A+a A+b A>b A>c B+a A!", "+a@1 +b@1 +a@2 -a@0 -b@0");
    play(by_hand, "A+a A>a A-a A!", "+a@1 -a@1");
}

/* Whoever takes over a topic before its last peer is swept is no news. */
Test(xpub, a_topic_that_is_taken_over_is_neither_new_nor_over)
{
    struct rig *r = rig_of(plain);
    struct rig_peer *a = rig_peer_up(r, NULL);
    struct rig_peer *b = rig_peer_up(r, NULL);
    cr_assert_eq(change(a, true, "t"), MCQ_REASON_NONE);
    rig_detach(a);
    cr_assert_eq(change(b, true, "t"), MCQ_REASON_NONE);
    rig_sweep(r);
    cr_assert_str_eq(rig_told(r), "+t@1");
    cr_assert_eq(change(b, false, "t"), MCQ_REASON_NONE);
    cr_assert_str_eq(rig_told(r), "-t@2");
    rig_free(r);
}

/* --- messages -------------------------------------------------------------------------------- */

Test(xpub, what_is_no_subscription_is_delivered)
{
    struct rig *r = rig_of(plain);
    struct rig_peer *p = rig_peer_up(r, NULL);
    rig_input(p, "hello|you");
    cr_assert_str_eq(r->last, "hello|you");
    r->refuse_from = 0;
    rig_input(p, "later");
    cr_assert_eq(p->in_cnt, 1);
    r->refuse_from = SIZE_MAX;
    cr_assert_eq(rig_offer(p), 1);
    cr_assert_str_eq(r->last, "later");
    cr_assert_eq(rig_send(r, p, "x"), MCQ_ENOTSUP);
    rig_free(r);
}

Test(xpub, manual_gives_what_the_user_made_real)
{
    struct rig *r = rig_of(by_hand);
    struct rig_peer *p = rig_peer_up(r, NULL);
    cr_assert_eq(change(p, true, "a"), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, NULL, "a1"), MCQ_OK);
    cr_assert_null(rig_got(p), "only told");
    cr_assert_eq(change_for(p, true, "b"), MCQ_OK);
    cr_assert_eq(change_for(p, true, "b"), MCQ_OK);
    cr_assert_eq(rig_send(r, NULL, "a2"), MCQ_OK);
    cr_assert_eq(rig_send(r, NULL, "b2"), MCQ_OK);
    cr_assert_str_eq(rig_got(p), "b2");
    cr_assert_null(rig_got(p));
    cr_assert_eq(change(p, false, "b"), MCQ_REASON_NONE, "told, but the user's is real");
    cr_assert_eq(rig_send(r, NULL, "b3"), MCQ_OK);
    cr_assert_str_eq(rig_got(p), "b3");
    cr_assert_eq(change_for(p, false, "b"), MCQ_OK, "several count once");
    cr_assert_eq(change_for(p, false, "b"), MCQ_ENOENT);
    cr_assert_eq(change_for(p, false, "a"), MCQ_ENOENT, "asked for, never real");
    cr_assert_eq(rig_send(r, NULL, "b4"), MCQ_OK);
    cr_assert_null(rig_got(p));
    rig_free(r);
}

Test(xpub, manual_is_an_option)
{
    struct rig *r = rig_of(plain);
    struct rig_peer *p = rig_peer_up(r, NULL);
    cr_assert_eq(change_for(p, true, "a"), MCQ_ENOTSUP);
    cr_assert_null(mcq_pattern_of(MCQ_PUB)->subscribe_peer);
    rig_free(r);
}

Test(xpub, manual_counts_against_the_peers_limits)
{
    struct rig *r = rig_of(by_hand);
    struct rig_peer *p = rig_peer_up(r, NULL);
    r->opts.subs_max = 2;
    cr_assert_eq(change(p, true, "a"), MCQ_REASON_NONE);
    cr_assert_eq(change_for(p, true, "a"), MCQ_OK, "the same subscription");
    cr_assert_eq(change_for(p, true, "b"), MCQ_OK);
    cr_assert_eq(change_for(p, true, "c"), MCQ_ELIMIT);
    cr_assert_eq(change(p, true, "c"), MCQ_REASON_LIMIT);
    cr_assert_eq(r->stats.subs_refused, 2);
    cr_assert_eq(change_for(p, false, "b"), MCQ_OK);
    cr_assert_eq(change(p, true, "c"), MCQ_REASON_NONE);
    rig_free(r);
}

/* --- what the user does in the handler ------------------------------------------------------- */

static struct rig_peer *peer_named(struct rig *r, struct mcq_peer peer)
{
    for (uint32_t i = 0; i < r->peer_cnt; i++)
        if (r->peers[i]->pipe.peer.bits == peer.bits && r->peers[i]->pipe.up)
            return r->peers[i];
    return NULL;
}

/* Grants what was asked for, in upper case. */
static void grant(struct rig *r, struct mcq_peer peer, bool added, struct mcq_slice topic)
{
    struct rig_peer *p = peer_named(r, peer);
    char name[16] = "";
    for (size_t i = 0; i < topic.len; i++)
        name[i] = (char)(topic.ptr[i] - 'a' + 'A');
    if (p != NULL)
        cr_assert_eq(change_for(p, added, name), MCQ_OK);
}

Test(xpub, the_handler_may_grant_something_else)
{
    struct rig *r = rig_of(by_hand);
    struct rig_peer *p = rig_peer_up(r, NULL);
    r->on_sub = grant;
    cr_assert_eq(change(p, true, "ab"), MCQ_REASON_NONE);
    cr_assert_eq(rig_send(r, NULL, "ab"), MCQ_OK);
    cr_assert_eq(rig_send(r, NULL, "AB"), MCQ_OK);
    cr_assert_str_eq(rig_got(p), "AB");
    cr_assert_null(rig_got(p));
    cr_assert_eq(change(p, false, "ab"), MCQ_REASON_NONE);
    cr_assert_eq(r->shared->fanout.topics.in_use, 0);
    rig_free(r);
}

/* Begins and ends the very topic whose end is being told. */
static void revive(struct rig *r, struct mcq_peer peer, bool added, struct mcq_slice topic)
{
    struct rig_peer *p = peer_named(r, peer);
    char name[128] = "";
    memcpy(name, topic.ptr, topic.len);
    if (added || p == NULL)
        return;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(change_for(p, true, name), MCQ_OK);
        cr_assert_eq(rig_send(r, NULL, name), MCQ_OK);
        cr_assert_eq(change_for(p, false, name), MCQ_OK);
    }
    cr_assert(mcq_slice_equal(topic, rig_slice(name)), "the name is good until return");
}

Test(xpub, the_handler_may_revive_the_topic_that_ends)
{
    static const char name[] = "a topic that is too long to be stored in its node, so has a block";
    struct rig *r = rig_of(by_hand);
    struct rig_peer *p = rig_peer_up(r, NULL);
    r->on_sub = revive;
    cr_assert_eq(change(p, true, name), MCQ_REASON_NONE);
    cr_assert_eq(change(p, false, name), MCQ_REASON_NONE);
    cr_assert_eq(r->shared->fanout.topics.in_use, 0);
    cr_assert_eq(rig_drain(p), 3);
    rig_free(r);
}

static void kill_it(struct rig *r, struct mcq_peer peer, bool added, struct mcq_slice topic)
{
    struct rig_peer *p = peer_named(r, peer);
    (void)added;
    (void)topic;
    if (p != NULL)
        rig_detach(p);
}

/* The peer's connection ends inside the handler that tells of its subscription. */
Test(xpub, the_handler_may_end_the_peer)
{
    for (int manual = 0; manual < 2; manual++) {
        struct rig *r = rig_of(manual ? by_hand : plain);
        struct rig_peer *p = rig_peer_new(r, true, MCQ_UNLIMITED);
        cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
        cr_assert_eq(change(p, true, "a"), MCQ_REASON_NONE);
        r->on_sub = kill_it;
        cr_assert_eq(change(p, true, "b"), MCQ_REASON_NONE);
        cr_assert_eq(rig_attach(p, NULL), MCQ_REASON_NONE);
        rig_sweep(r);
        cr_assert_str_eq(rig_told(r), "+a@1 +b@1 -a@0 -b@0");
        cr_assert_eq(r->stats.subs_now, 0);
        rig_free(r);
    }
}

/* --- the end of the user's memory ------------------------------------------------------------ */

static struct rig *nesting;
static enum mcq_error nested;

static void unsubscribe_in_free(void *data, size_t len, void *hint)
{
    (void)data, (void)len, (void)hint;
    for (uint32_t i = 0; i < nesting->peer_cnt; i++)
        nested = change_for(nesting->peers[i], false, "t");
}

/* Dropping an old message calls its owner, who would take the topic away that is being given to. */
Test(xpub, a_subscription_from_within_a_send_comes_later)
{
    static char large[100000] = "t";
    struct rig *r = rig_of((struct mcq_psock_opts){.slow = MCQ_SLOW_DROP_OLD, .manual = true});
    struct rig_peer *peers[5];
    struct mcq_msg m;
    nesting = r;
    for (int i = 0; i < 5; i++) {
        peers[i] = rig_peer_new(r, false, 1);
        cr_assert_eq(rig_attach(peers[i], NULL), MCQ_REASON_NONE);
        cr_assert_eq(change_for(peers[i], true, "t"), MCQ_OK);
    }
    cr_assert_eq(mcq_buf_msg_external(r->heap, large, sizeof large, unsubscribe_in_free, NULL, &m),
                 MCQ_OK);
    cr_assert_eq(r->s.pattern->send(&r->s, NULL, &m), MCQ_OK);
    mcq_buf_msg_drop(r->heap, &m);
    uint32_t writable = r->writable_cnt;
    cr_assert_eq(rig_send(r, NULL, "tnew"), MCQ_OK);
    cr_assert_eq(nested, MCQ_EAGAIN);
    cr_assert_eq(r->writable_cnt, writable + 1);
    for (int i = 0; i < 5; i++) {
        cr_assert_str_eq(rig_got(peers[i]), "tnew");
        cr_assert_eq(change_for(peers[i], false, "t"), MCQ_OK);
    }
    cr_assert_eq(r->stats.subs_now, 0);
    rig_free(r);
}
