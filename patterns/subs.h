/* Own subscriptions of a SUB or XSUB: counted topics, and the log from which each publisher is
 * told.
 *
 * A subscription object lives through two marks of one sequence, the log:
 *
 *      log:   +A   +B   -A   +C  ...        +  it began (told as SUBSCRIBE)
 *             1    2    3    4              -  it ended (told as CANCEL)
 *
 * A publisher that attaches is told every + that is still live, in order; from then on every
 * mark. What ended before it attached (control_base) is skipped, both marks of it. Thus each one is
 * told each change exactly once and never a CANCEL without its SUBSCRIBE. An ended object is kept
 * until every attached publisher is past its - ; a new subscription to the same topic is a new
 * object. Ending needs no memory, so it can't fail.
 *
 * The topics are in the shard's prefix table as well, for the filter.
 *
 * Thread: the shard's. Limits: the pool "own subscriptions", which stalled publishers hold back
 * from shrinking. Cost: a change O(peers); control O(1) amortised while one publisher is told.
 */
#ifndef MCQ_PATTERNS_SUBS_H
#define MCQ_PATTERNS_SUBS_H

#include "mem/list.h"
#include "patterns/pattern.h"
#include "patterns/prefix.h"

struct mcq_subs_mark {
    struct mcq_node node; /* in mcq_subs.log */
    uint64_t seq;
    bool add;
};

struct mcq_own_sub {
    struct mcq_prefix prefix;
    uint32_t cnt; /* subscribes not yet taken back; 0: ended */
    struct mcq_subs_mark began, ended;
    struct mcq_node ended_node; /* in mcq_subs.over */
};

struct mcq_subs {
    struct mcq_prefix_set topics; /* of struct mcq_own_sub, the live ones */
    struct mcq_list log;          /* of struct mcq_subs_mark, by seq */
    struct mcq_list over;         /* ended objects, by ended.seq */
    uint64_t seq;                 /* of the last mark */
    struct mcq_subs_mark *told; /* the mark control gave last, NULL if it is gone: where to go on */
};

void mcq_subs_init(struct mcq_psock *s);
/* Gives all objects back; no publisher is attached. */
void mcq_subs_fini(struct mcq_psock *s);

/* Counts one more or less. Errors: MCQ_EINVAL, MCQ_ELIMIT; MCQ_ENOENT if there is nothing to take
 * back. */
MCQ_MUST_USE enum mcq_error mcq_subs_change(struct mcq_psock *s, bool add, struct mcq_slice topic);

/* Slots of SUB and XSUB: a publisher that attaches is told from the start, one that has detached
 * holds nothing back. */
enum mcq_reason mcq_subs_attach(struct mcq_psock *s, struct mcq_pipe *p);
void mcq_subs_detach(struct mcq_psock *s, struct mcq_pipe *p);
void mcq_subs_remove(struct mcq_psock *s, struct mcq_pipe *p);
/* The mark p has to be told next. false: none. */
bool mcq_subs_next(struct mcq_psock *s, struct mcq_pipe *p, struct mcq_control *c);

/* Slots of the same names: see pattern.h. */
size_t mcq_subs_told(const struct mcq_psock *s, const struct mcq_pipe *p, struct mcq_writer *w);
bool mcq_subs_wants(const struct mcq_psock *s, struct mcq_slice topic);

bool mcq_subs_match(const struct mcq_subs *subs, struct mcq_slice topic);

#endif
