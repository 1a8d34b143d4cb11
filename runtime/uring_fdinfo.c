/* RAW: reads what /proc tells of a ring, a line per value; sound because it reads a descriptor of
 * its own into a buffer whose end it keeps to; called by loop. Cold. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/uring_private.h"

#define FDINFO_LEN_MAX 4096u /* the lines wanted come before those of each operation in flight */

static void read_fdinfo(int ring_fd, char text[FDINFO_LEN_MAX])
{
    char path[48];
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ring_fd);
    text[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t len = read(fd, text, FDINFO_LEN_MAX - 1);
    text[len < 0 ? 0 : len] = '\0';
    close(fd);
}

static bool find(const char *text, const char *name, uint64_t *value)
{
    const char *at = strstr(text, name);
    if (at == NULL)
        return false;
    *value = strtoull(at + strlen(name), NULL, 10);
    return true;
}

bool mcq_uring_sq_times(const struct mcq_uring *u, uint64_t *run_us, uint64_t *work_us)
{
    char text[FDINFO_LEN_MAX];
    read_fdinfo(u->ring.ring_fd, text);
    return find(text, "SqTotalTime:\t", run_us) && find(text, "SqWorkTime:\t", work_us);
}
