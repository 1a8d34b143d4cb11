/* Cat: one socket between stdin and stdout. Everything here runs on the shard's thread.
 *
 * Lines wait in a queue until the socket may take them: all that are waited for are up, a REQ has
 * its last reply, a REP has a request, no queue is full. Peers whose messages can't be answered
 * yet are paused and come again.
 */
#ifndef MCQ_CAT_CAT_H
#define MCQ_CAT_CAT_H

#include "input.h"
#include "options.h"

enum cat_exit {
    CAT_EXIT_DONE = 0,
    CAT_EXIT_ERROR = 1,
    CAT_EXIT_USAGE = 2,
    CAT_EXIT_TIMEOUT = 3,
};

/* Peers whose next message was not taken. */
struct cat_paused {
    struct mcq_peer *peers;
    size_t cnt;
    size_t room;
};

struct cat {
    const struct cat_options *options;
    struct mcq_shard *shard;
    struct mcq_sock *sock;
    struct mcq_timer *timer; /* NULL without --timeout */
    struct cat_input *input; /* NULL if stdin is not read */

    struct cat_line *first; /* lines not yet sent */
    struct cat_line *last;
    struct cat_paused paused;

    bool gathered; /* all of --wait have come */
    bool met;      /* a peer has been up */
    bool input_ended;
    bool in_exchange; /* REQ: awaits a reply; REP: owes one */
    bool ending;
    int64_t subscriptions;
    uint64_t sent;
    uint64_t received;
    uint64_t active_ns; /* when something last happened */
    uint64_t warn_ns;   /* when the period of warnings began */
    uint64_t untold;    /* warnings beyond its limit */
    unsigned warnings;  /* of this period */
    enum cat_exit exit_code;
};

/* The start of struct mcq_app; arg is the struct cat, zero but for options. After the run exit_code
 * tells what became of it. */
int cat_start(struct mcq_shard *shard, void *arg);

/* After the run: tells what was not told, gives back what the cat holds. Thread: any. */
void cat_fini(struct cat *cat);

#endif
