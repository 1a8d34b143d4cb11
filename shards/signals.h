/* Signals: SIGINT and SIGTERM of the process as something that can be polled. Handlers, not a
 * signalfd: they work whichever thread the kernel picks, also one that the program made before.
 * One app of a process at a time has them; a second leaves them to the first. */
#ifndef MCQ_SHARDS_SIGNALS_H
#define MCQ_SHARDS_SIGNALS_H

#include <signal.h>

#include "mem/base.h"

struct mcq_signals {
    int fd; /* readable once a signal has come; -1: not ours */
    struct sigaction before_int, before_term;
    sigset_t mask_before;
};

/* Installs the handlers and lets the calling thread have both signals. 0, or errno. */
int mcq_signals_open(struct mcq_signals *s);
/* Puts everything back. */
void mcq_signals_close(struct mcq_signals *s);

#endif
