#include "perf/run/trace.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#define SYSCALL_STOP (SIGTRAP | 0x80) /* with PTRACE_O_TRACESYSGOOD */

bool perf_trace_seize(pid_t pid)
{
    uintptr_t options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
    return ptrace(PTRACE_SEIZE, pid, NULL, options) == 0 &&
           ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0;
}

bool perf_trace_is_call(pid_t tid, int status)
{
    struct __ptrace_syscall_info info;
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SYSCALL_STOP) {
        return false;
    }
    /* Entries and exits aren't counted off against each other: a thread may be met in the middle of
     * a call. */
    return ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) > 0 &&
           info.op == PTRACE_SYSCALL_INFO_ENTRY;
}

void perf_trace_resume(pid_t tid, int status)
{
    unsigned event = (unsigned)status >> 16;
    int stopsig = WSTOPSIG(status);
    if (event == PTRACE_EVENT_STOP && stopsig != SIGTRAP) {
        ptrace(PTRACE_LISTEN, tid, NULL, NULL); /* stopped as a group, by a signal: stays so */
        return;
    }
    uintptr_t signal = event == 0 && stopsig != SYSCALL_STOP ? (uintptr_t)stopsig : 0;
    ptrace(PTRACE_SYSCALL, tid, NULL, signal);
}

static pid_t process_of(pid_t tid)
{
    char path[64], line[128];
    int process = tid;
    snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return tid;
    }
    while (fgets(line, sizeof line, file) != NULL && sscanf(line, "Tgid: %d", &process) != 1) {
    }
    fclose(file);
    return process;
}

pid_t perf_trace_process(struct perf_trace *trace, pid_t tid)
{
    for (unsigned i = 0; i < trace->cnt; i++) {
        if (trace->threads[i] == tid) {
            return trace->processes[i];
        }
    }
    pid_t process = process_of(tid);
    if (trace->cnt < PERF_TRACE_THREADS_MAX) {
        trace->threads[trace->cnt] = tid;
        trace->processes[trace->cnt++] = process;
    }
    return process;
}
