/* RAW: system calls on the bpf file system; sound because paths are built in buffers whose length
 * is checked, and nothing is kept open but locks; called by steer and steer_ctl. */
#include "shards/steer_pins.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "mem/detail.h"

#define BPF_FS 0xcafe4a11 /* BPF_FS_MAGIC of <linux/magic.h> */

/* A change takes less than a millisecond. */
#define LOCK_TRIES    200u
#define LOCK_PAUSE_NS 500000

static bool is_mounted(void)
{
    struct statfs fs;
    return statfs(MCQ_STEER_PINS_FS, &fs) == 0 && (uint32_t)fs.f_type == BPF_FS;
}

static enum mcq_error root_make(struct mcq_detail *detail)
{
    if (!is_mounted() &&
        mount("bpf", MCQ_STEER_PINS_FS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
        return mcq_detail_set(detail, MCQ_EACCESS, errno,
                              "no bpf file system at " MCQ_STEER_PINS_FS
                              ": as root, run `mount -t bpf bpf " MCQ_STEER_PINS_FS "`");
    if (mkdir(MCQ_STEER_PINS_ROOT, 0755) != 0 && errno != EEXIST)
        return mcq_detail_set(detail, MCQ_EACCESS, errno,
                              "can't make " MCQ_STEER_PINS_ROOT
                              ": as root, make it and give it to this user");
    return MCQ_OK;
}

/* The kernel refuses dots in names there. */
static void clean(const char *name, char *to, size_t len)
{
    size_t n = 0;
    for (; name[n] != '\0' && n + 1 < len; n++) {
        char c = name[n];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_';
        to[n] = plain ? c : '_';
    }
    to[n] = '\0';
}

/* --- locks ----------------------------------------------------------------------------------- */

/* Tries, not waits: a program that was stopped in the middle of a change may hold it for ever. */
int mcq_steer_pins_lock(const char *path)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (uint32_t i = 0; fd >= 0 && i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return fd;
        (void)nanosleep(&pause, NULL);
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

void mcq_steer_pins_unlock(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* Each bind has a directory of its own in its pins, on which its process holds a lock for life. Who
 * makes or removes a bind's pins does so under the lock of the root, so that nobody finds some that
 * are not held yet, or takes a new one's away for an old one's; if somebody keeps that lock,
 * nothing is removed but one's own. */
#define OWNER "owner"

static int owner_open(const char *path)
{
    char file[MCQ_STEER_PATH_LEN + sizeof(OWNER) + 1];
    snprintf(file, sizeof(file), "%.*s/" OWNER, MCQ_STEER_PATH_LEN - 1, path);
    return open(file, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

bool mcq_steer_pins_is_held(const char *path)
{
    int fd = owner_open(path);
    if (fd < 0)
        return errno != ENOENT && errno != ENOTDIR;
    bool held = flock(fd, LOCK_SH | LOCK_NB) != 0;
    close(fd);
    return held;
}

/* --- making and removing --------------------------------------------------------------------- */

static void remove_all(const char *path)
{
    char file[MCQ_STEER_PATH_LEN + 64];
    DIR *dir = opendir(path);
    const struct dirent *e;
    if (dir == NULL)
        return;
    while ((e = readdir(dir)) != NULL) {
        if (e->d_name[0] == '.' || strlen(e->d_name) >= 64)
            continue;
        snprintf(file, sizeof(file), "%.*s/%.63s", MCQ_STEER_PATH_LEN - 1, path, e->d_name);
        if (unlink(file) != 0)
            (void)rmdir(file);
    }
    closedir(dir);
    (void)rmdir(path);
}

void mcq_steer_pins_remove(const char *path, int owner_fd)
{
    int fd = mcq_steer_pins_lock(MCQ_STEER_PINS_ROOT);
    remove_all(path);
    mcq_steer_pins_unlock(owner_fd);
    mcq_steer_pins_unlock(fd);
}

bool mcq_steer_pins_sweep(const char *path)
{
    if (mcq_steer_pins_is_held(path))
        return false;
    int fd = mcq_steer_pins_lock(MCQ_STEER_PINS_ROOT);
    bool over = !mcq_steer_pins_is_held(path);
    if (over && fd >= 0)
        remove_all(path);
    mcq_steer_pins_unlock(fd);
    return over;
}

/* The directory with its owner's; false: errno. Who may open it may hold its locks. */
static bool pins_make(const char *path, int *owner_fd)
{
    char file[MCQ_STEER_PATH_LEN + sizeof(OWNER) + 1];
    snprintf(file, sizeof(file), "%.*s/" OWNER, MCQ_STEER_PATH_LEN - 1, path);
    if (mkdir(path, 0700) != 0)
        return false;
    *owner_fd = mkdir(file, 0700) == 0 ? mcq_steer_pins_lock(file) : -1;
    if (*owner_fd >= 0)
        return true;
    remove_all(path);
    return false;
}

/* A process of another pid namespace may have this number, too, and the same bind in another
 * network. */
enum mcq_error mcq_steer_pins_make(const char *name, char path[MCQ_STEER_PATH_LEN], int *owner_fd,
                                   struct mcq_detail *detail)
{
    char plain[128];
    bool made = false;
    enum mcq_error err = root_make(detail);
    clean(name, plain, sizeof(plain));
    *owner_fd = -1;
    int fd = err == MCQ_OK ? mcq_steer_pins_lock(MCQ_STEER_PINS_ROOT) : -1;
    for (uint32_t i = 1; err == MCQ_OK && !made && i <= MCQ_STEER_PINS_TWINS_MAX; i++) {
        snprintf(path, MCQ_STEER_PATH_LEN,
                 i == 1 ? MCQ_STEER_PINS_ROOT "/%u-%s" : MCQ_STEER_PINS_ROOT "/%u-%s_%u",
                 mcq_steer_pins_pid(), plain, i);
        if (fd >= 0 && !mcq_steer_pins_is_held(path))
            remove_all(path); /* of an earlier process with this number */
        made = pins_make(path, owner_fd);
        if (!made && errno != EEXIST)
            break;
    }
    mcq_steer_pins_unlock(fd);
    if (err == MCQ_OK && !made)
        err = mcq_detail_set(detail, MCQ_EACCESS, errno,
                             "can't make a directory in " MCQ_STEER_PINS_ROOT
                             ": give it to this user");
    if (err != MCQ_OK)
        path[0] = '\0';
    return err;
}

enum mcq_error mcq_steer_pins_each(mcq_steer_pins_fn *fn, void *ctx, struct mcq_detail *detail)
{
    char path[MCQ_STEER_PATH_LEN];
    DIR *dir = opendir(MCQ_STEER_PINS_ROOT);
    const struct dirent *e;
    bool more = true;
    if (dir == NULL && errno == ENOENT)
        return MCQ_OK;
    if (dir == NULL)
        return mcq_detail_set(detail, MCQ_EACCESS, errno,
                              "can't read " MCQ_STEER_PINS_ROOT ": run it as root");
    while (more && (e = readdir(dir)) != NULL) {
        char *end = NULL;
        unsigned long pid = strtoul(e->d_name, &end, 10);
        if (e->d_name[0] < '1' || e->d_name[0] > '9' || *end != '-' || pid > INT32_MAX)
            continue;
        snprintf(path, sizeof(path), MCQ_STEER_PINS_ROOT "/%.200s", e->d_name);
        more = fn(ctx, path);
    }
    closedir(dir);
    return MCQ_OK;
}

uint32_t mcq_steer_pins_pid(void)
{
    return (uint32_t)getpid();
}
