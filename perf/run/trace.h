/*
 * trace: follows processes by ptrace to see their system calls.
 *
 * All threads of a process are followed, those it starts later too; processes it starts aren't. The
 * tracer is the thread that seized; it learns of each stop by waitpid and has to resume it. A
 * followed process dies with its tracer. Needs no privilege, as the followed are our children.
 */
#ifndef MCQ_PERF_RUN_TRACE_H
#define MCQ_PERF_RUN_TRACE_H

#include <stdbool.h>
#include <sys/types.h>

/* Remembered thread ids; further ones are looked up each time. */
#define PERF_TRACE_THREADS_MAX 256u

struct perf_trace {
    pid_t threads[PERF_TRACE_THREADS_MAX], processes[PERF_TRACE_THREADS_MAX];
    unsigned cnt;
};

/* False with errno set: the host forbids it. Until it is resumed for the first time its calls
 * aren't seen. */
bool perf_trace_seize(pid_t pid);
/* Is this stop, as waitpid told it, the beginning of a system call? */
bool perf_trace_is_call(pid_t tid, int status);
void perf_trace_resume(pid_t tid, int status);
/* Which process a thread belongs to; tid itself if that can't be told any more. */
pid_t perf_trace_process(struct perf_trace *trace, pid_t tid);

#endif
