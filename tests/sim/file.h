/* File: what a descriptor refers to, and each process's table of descriptors.
 *
 * A file lives while a descriptor, an operation in flight or an accept queue refers to it: closing
 * the descriptor of a socket with an operation in flight ends nothing, as in Linux. Descriptors are
 * given lowest first, from 3 on; an eventfd's is a number of its own kind that names its process
 * too, because other processes wake it.
 */
#ifndef MCQ_TESTS_SIM_FILE_H
#define MCQ_TESTS_SIM_FILE_H

#include "mem/list.h"
#include "runtime/conn.h"
#include "tests/sim/event.h"

#define MCQ_SIM_FDS_MAX   4096u /* of a process */
#define MCQ_SIM_FD_FIRST  3
#define MCQ_SIM_FILES_MAX 16384u

enum mcq_sim_kind { MCQ_SIM_FREE = 0, MCQ_SIM_SOCKET, MCQ_SIM_EVENTFD, MCQ_SIM_RING };

enum mcq_sim_state {
    MCQ_SIM_FRESH = 0, /* neither bound nor connected */
    MCQ_SIM_LISTENING,
    MCQ_SIM_CONNECTING,
    MCQ_SIM_CONNECTED, /* until both sides have ended, or a reset */
    MCQ_SIM_CLOSED     /* reset, refused or disconnected */
};

struct mcq_sim_file {
    enum mcq_sim_kind kind;
    uint32_t id; /* never reused */
    uint32_t refs, process;
    struct mcq_list ops;       /* in flight, by `on_file` */
    struct mcq_sim_file *next; /* free, or in an accept queue */
    /* --- sockets --- */
    enum mcq_sim_state state;
    int error; /* positive errno, told once */
    bool recv_shut, send_shut;
    bool bound;  /* local was chosen before the connect */
    bool placed; /* it has a place */
    struct mcq_addr local, peer;
    struct mcq_sim_stream *stream;
    uint32_t side; /* which end of the stream */
    uint32_t outq; /* what SIOCOUTQ says of a connect that failed */
    struct mcq_sockopts opts;
    /* --- listeners --- */
    struct mcq_sim_file *first, *last;
    uint32_t queued, backlog;
    bool deaf; /* it answers nobody any more */
    /* --- eventfds --- */
    uint64_t value;
    struct mcq_sim_event wake; /* it is written, and will be seen to be */
};

struct mcq_sim_fds {
    struct mcq_sim_file *files[MCQ_SIM_FDS_MAX];
    uint64_t used[MCQ_SIM_FDS_MAX / 64];
    uint32_t cnt, end; /* descriptors; above the highest ever used */
};

void mcq_sim_file_reset(void);
/* Forgets the process's descriptors, without closing anything. */
void mcq_sim_fds_reset(struct mcq_sim_fds *fds);

/* Gives a file with one reference. */
struct mcq_sim_file *mcq_sim_file_take(enum mcq_sim_kind kind);
struct mcq_sim_file *mcq_sim_file_ref(struct mcq_sim_file *f);
/* The last one ends it. */
void mcq_sim_file_unref(struct mcq_sim_file *f);

/* The lowest free descriptor for the file, whose reference it takes; -EMFILE. */
int mcq_sim_fd_open(uint32_t process, struct mcq_sim_file *f);
/* What fd refers to. A violation if it isn't open; `what` is told. */
struct mcq_sim_file *mcq_sim_fd_file(uint32_t process, int fd, const char *what);
/* The same, and a violation if it is no socket. */
struct mcq_sim_file *mcq_sim_fd_socket(int fd, const char *what);
void mcq_sim_fd_close(uint32_t process, int fd);
void mcq_sim_fd_close_all(uint32_t process);

/* The number of a process's eventfd. */
#define MCQ_SIM_EVENTFD_BASE 0x40000000
#define MCQ_SIM_RING_BASE    0x50000000
static inline int mcq_sim_eventfd_number(uint32_t process)
{
    return MCQ_SIM_EVENTFD_BASE + (int)process;
}

#endif
