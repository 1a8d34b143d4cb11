/* Trial: a test of the whole library in a process: an app on this thread's behalf, whose log may
 * hold no error and whose stats are kept, and a far end on a thread of its own.
 *
 * A trial that hangs is ended by a watchdog that says which one it was.
 */
#ifndef MCQ_TESTS_TRIAL_H
#define MCQ_TESTS_TRIAL_H

#include <monocoque.h>
#include <stdatomic.h>

#define MCQ_TRIAL_PEERS_MAX 256u

/* Counts; prints what is wrong. Thread: any. */
#define CHECK(x) mcq_trial_check((x), #x, __FILE__, __LINE__)
bool mcq_trial_check(bool ok, const char *what, const char *file, int line);

struct mcq_trial {
    const char *name;
    struct mcq_opts opts;
    int (*start)(struct mcq_shard *shard, void *arg);
    void *(*peer)(void *arg); /* NULL: none; ends before mcq_run returns or soon after */
    void *arg;
};

/* Runs it; MCQ_OK is expected. Gives the stats at the end of the shard, of several the first's. */
struct mcq_shard_stats mcq_trial_run(const struct mcq_trial *trial);
/* For programs that call mcq_run themselves: the watchdog looks at what has that name; NULL: it is
 * over. */
void mcq_trial_watch(const char *name);
/* Small memory, so that a trial starts quickly; block: no spinning. */
struct mcq_opts mcq_trial_opts(void);
/* Prints the last line; returns the exit code. */
int mcq_trial_end(void);

/* Waits until *value >= want (a condition, bounded): false after 10 s. Thread: not the shard's. */
bool mcq_trial_wait(const atomic_ulong *value, unsigned long want);
/* The same for what takes microseconds: yields instead of sleeping. */
bool mcq_trial_wait_quick(const atomic_ulong *value, unsigned long want);

/* What a socket's event handler was told, checked for order: one DISCONNECTED per UP. */
struct mcq_diary {
    atomic_ulong cnt[MCQ_EVENT_UNCONNECTED + 1];
    atomic_ulong reasons[MCQ_REASON_KILLED + 1]; /* of DISCONNECTED, HANDSHAKE_FAILED and REFUSED */
    atomic_ulong dropped;                        /* messages of DROPPED */
    struct mcq_report report;                    /* of the last DISCONNECTED */
    struct mcq_peer up[MCQ_TRIAL_PEERS_MAX];
    unsigned up_cnt;
    char endpoint[MCQ_ENDPOINT_LEN_MAX]; /* of the last LISTENING */
};

void mcq_diary_add(struct mcq_diary *d, const struct mcq_event *event);
/* Every peer that came up has gone again, every try and every bind has ended. */
void mcq_diary_end(const struct mcq_diary *d);

#endif
