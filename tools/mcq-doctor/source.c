#include "source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define REFUSED_PATH_LEN 100u

bool doctor_source_init(struct source *s, const char *root)
{
    size_t len = root == NULL ? 0 : strlen(root);
    while (len > 0 && root[len - 1] == '/')
        len--;
    if (len >= sizeof s->root)
        return false;
    if (len > 0)
        memcpy(s->root, root, len);
    s->root[len] = '\0';
    return true;
}

bool doctor_source_is_host(const struct source *s)
{
    return s->root[0] == '\0';
}

bool doctor_source_is_running(const struct source *s)
{
    struct statfs fs;
    char whole[SOURCE_ROOT_LEN + 8];
    snprintf(whole, sizeof whole, "%s/proc", s->root);
    return statfs(whole, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* Never waits: neither for the other end of a pipe nor for a terminal's line. */
static int open_at(const struct source *s, const char *path, int flags)
{
    char whole[SOURCE_ROOT_LEN + SOURCE_PATH_LEN];
    snprintf(whole, sizeof whole, "%s%s", s->root, path);
    return open(whole, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags);
}

static bool refuse(struct text *t, int err, const char *reason)
{
    size_t len = strlen(t->path);
    /* The end of a long path tells more than its beginning. */
    const char *path = len < REFUSED_PATH_LEN ? t->path : t->path + len - REFUSED_PATH_LEN;
    t->err = err;
    snprintf(t->why, sizeof t->why, "%.*s: %s", (int)REFUSED_PATH_LEN, path, reason);
    return false;
}

/* What file there is, up to one byte more than is allowed. Returns an errno. */
static int drain(int fd, struct text *t)
{
    size_t room = 0;
    while (t->len <= SOURCE_TEXT_MAX) {
        if (t->len + 1 >= room) {
            room = room == 0 ? 4096 : room * 2;
            char *at = realloc(t->at, room);
            if (at == NULL)
                return ENOMEM;
            t->at = at;
        }
        ssize_t n = read(fd, t->at + t->len, room - t->len - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            break;
        t->len += (size_t)n;
    }
    t->at[t->len] = '\0';
    return 0;
}

static bool is_text(const struct text *t)
{
    for (size_t i = 0; i < t->len; i++)
        if ((unsigned char)t->at[i] < 0x20 && t->at[i] != '\n' && t->at[i] != '\t')
            return false;
    return true;
}

static bool load(const struct source *s, struct text *t)
{
    int fd = open_at(s, t->path, 0);
    if (fd < 0)
        return refuse(t, errno, strerror(errno));
    int err = drain(fd, t);
    close(fd);
    bool good = err == 0 && t->len <= SOURCE_TEXT_MAX && is_text(t);
    if (good)
        return true;
    bool is_long = err == 0 && t->len > SOURCE_TEXT_MAX;
    doctor_text_drop(t);
    if (err != 0)
        return refuse(t, err, strerror(err));
    return refuse(t, 0, is_long ? "longer than 4 MiB" : "holds no text");
}

bool doctor_source_read(const struct source *s, struct text *t, const char *format, ...)
{
    va_list args;
    *t = (struct text){0};
    va_start(args, format);
    int len = vsnprintf(t->path, sizeof t->path, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof t->path)
        return refuse(t, ENAMETOOLONG, strerror(ENAMETOOLONG));
    return load(s, t);
}

bool doctor_source_ask(const struct source *s, struct text *t, const char *name, const char *shown,
                       source_answer_fn *answer, const void *ctx)
{
    *t = (struct text){0};
    if (!doctor_source_is_host(s)) {
        snprintf(t->path, sizeof t->path, "/live/%s", name);
        return load(s, t);
    }
    snprintf(t->path, sizeof t->path, "%s", shown);
    t->at = calloc(1, SOURCE_LIVE_MAX);
    if (t->at == NULL)
        return refuse(t, ENOMEM, strerror(ENOMEM));
    answer(ctx, t->at, SOURCE_LIVE_MAX);
    t->len = strlen(t->at);
    return true;
}

void doctor_text_drop(struct text *t)
{
    free(t->at);
    t->at = NULL;
    t->len = 0;
}

int doctor_source_bytes(const struct source *s, const char *path, int64_t offset, void *bytes,
                        size_t len)
{
    int fd = open_at(s, path, 0);
    if (fd < 0)
        return errno;
    ssize_t n = pread(fd, bytes, len, (off_t)offset);
    if (n < 0 && errno == ESPIPE && offset == 0) /* a device without positions */
        n = read(fd, bytes, len);
    int err = n < 0 ? errno : (size_t)n == len ? 0 : ENODATA;
    close(fd);
    return err;
}

int doctor_source_names(const struct source *s, const char *path, source_name_fn *each, void *ctx)
{
    int fd = open_at(s, path, O_DIRECTORY);
    if (fd < 0)
        return errno;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int err = errno;
        close(fd);
        return err;
    }
    const struct dirent *entry;
    for (uint32_t i = 0; i < SOURCE_NAMES_MAX && (entry = readdir(dir)) != NULL; i++)
        if (entry->d_name[0] != '.' && !each(ctx, entry->d_name))
            break;
    closedir(dir);
    return 0;
}

bool doctor_source_is_there(const struct source *s, const char *path)
{
    char whole[SOURCE_ROOT_LEN + SOURCE_PATH_LEN];
    snprintf(whole, sizeof whole, "%s%s", s->root, path);
    return access(whole, F_OK) == 0;
}
