#include "tests/sim/file.h"

#include <errno.h>
#include <string.h>

#include "tests/sim/machine.h"
#include "tests/sim/socket.h"

static struct mcq_sim_file pool[MCQ_SIM_FILES_MAX];
static uint32_t pool_used;
static struct mcq_sim_file *pool_free;
static uint32_t next_id;

void mcq_sim_file_reset(void)
{
    pool_used = 0;
    pool_free = NULL;
    next_id = 0;
}

void mcq_sim_fds_reset(struct mcq_sim_fds *fds)
{
    memset(fds->files, 0, fds->end * sizeof(fds->files[0]));
    memset(fds->used, 0, sizeof(fds->used));
    fds->used[0] = (1u << MCQ_SIM_FD_FIRST) - 1;
    fds->cnt = 0;
    fds->end = 0;
}

/* --- life ---------------------------------------------------------------------------------- */

struct mcq_sim_file *mcq_sim_file_take(enum mcq_sim_kind kind)
{
    struct mcq_sim_file *f = pool_free;
    if (f != NULL)
        pool_free = f->next;
    else if (pool_used < MCQ_SIM_FILES_MAX)
        f = &pool[pool_used++];
    else
        mcq_sim_fail("the simulation has more than %u files", MCQ_SIM_FILES_MAX);
    memset(f, 0, sizeof(*f));
    f->kind = kind;
    f->id = ++next_id;
    f->refs = 1;
    f->process = mcq_sim.selected;
    mcq_list_init(&f->ops);
    return f;
}

struct mcq_sim_file *mcq_sim_file_ref(struct mcq_sim_file *f)
{
    f->refs++;
    return f;
}

void mcq_sim_file_unref(struct mcq_sim_file *f)
{
    if (--f->refs != 0)
        return;
    if (f->kind == MCQ_SIM_SOCKET)
        mcq_sim_socket_end(f);
    f->kind = MCQ_SIM_FREE;
    f->next = pool_free;
    pool_free = f;
}

/* --- descriptors --------------------------------------------------------------------------- */

/* The leader's, for all that are joined to it. */
static struct mcq_sim_fds *fds_of(uint32_t process)
{
    return &mcq_sim_process(mcq_sim_process(process)->leader)->fds;
}

static int lowest_free(const struct mcq_sim_fds *fds)
{
    for (uint32_t i = 0; i < MCQ_SIM_FDS_MAX / 64; i++)
        if (fds->used[i] != UINT64_MAX)
            return (int)(i * 64) + __builtin_ctzll(~fds->used[i]);
    return -EMFILE;
}

int mcq_sim_fd_open(uint32_t process, struct mcq_sim_file *f)
{
    struct mcq_sim_fds *fds = fds_of(process);
    int fd = lowest_free(fds);
    if (fd < 0)
        return fd;
    uint32_t at = (uint32_t)fd;
    f->process = process;
    fds->files[at] = f;
    fds->used[at / 64] |= 1ull << at % 64;
    fds->cnt++;
    if (at >= fds->end)
        fds->end = at + 1;
    return fd;
}

struct mcq_sim_file *mcq_sim_fd_file(uint32_t process, int fd, const char *what)
{
    const struct mcq_sim_fds *fds = fds_of(process);
    struct mcq_sim_file *f = NULL;
    if (fd >= 0 && (uint32_t)fd < fds->end)
        f = fds->files[fd];
    else if (fd == mcq_sim_eventfd_number(process))
        f = mcq_sim_process(process)->eventfd;
    if (f == NULL)
        mcq_sim_fail("process %u: %s of descriptor %d, which isn't open", process, what, fd);
    return f;
}

struct mcq_sim_file *mcq_sim_fd_socket(int fd, const char *what)
{
    struct mcq_sim_file *f = mcq_sim_fd_file(mcq_sim.selected, fd, what);
    if (f->kind != MCQ_SIM_SOCKET)
        mcq_sim_fail("process %u: %s of descriptor %d, which is no socket", mcq_sim.selected, what,
                     fd);
    return f;
}

void mcq_sim_fd_close(uint32_t process, int fd)
{
    struct mcq_sim_fds *fds = fds_of(process);
    struct mcq_sim_file *f = mcq_sim_fd_file(process, fd, "close");
    if (mcq_sim_abi_refers(process, fd))
        mcq_sim_fail("process %u: descriptor %d was closed before an operation on it was submitted",
                     process, fd);
    if (f == mcq_sim_process(process)->eventfd) {
        mcq_sim_event_disarm(&f->wake);
        mcq_sim_process(process)->eventfd = NULL;
    } else {
        fds->files[fd] = NULL;
        fds->used[fd / 64] &= ~(1ull << fd % 64);
        fds->cnt--;
    }
    mcq_sim_file_unref(f);
}

void mcq_sim_fd_close_all(uint32_t process)
{
    struct mcq_sim_fds *fds = &mcq_sim_process(process)->fds;
    for (uint32_t fd = 0; fd < fds->end; fd++)
        if (fds->files[fd] != NULL)
            mcq_sim_fd_close(process, (int)fd);
    if (mcq_sim_process(process)->eventfd != NULL)
        mcq_sim_fd_close(process, mcq_sim_eventfd_number(process));
}
