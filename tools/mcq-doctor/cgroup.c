/* The folder of the process's cgroup where its share of CPU time is written. */
#include <stdio.h>
#include <string.h>

#include "exam.h"
#include "words.h"

/* Of "4:cpu,cpuacct:/path" the path, if the controllers are those of CPU time, or of "0::/path" for
 * the one hierarchy of version 2. */
static bool line_is(const char *line, bool v2, char *path, size_t len)
{
    const char *names = strchr(line, ':');
    const char *at = names == NULL ? NULL : strchr(names + 1, ':');
    if (at == NULL || at[1] != '/')
        return false;
    size_t names_len = (size_t)(at - names - 1), n = strcspn(at + 1, "\n");
    bool is_cpu = (names_len == 3 && strncmp(names + 1, "cpu", 3) == 0) ||
                  strncmp(names + 1, "cpu,", 4) == 0 || strncmp(names + 1, "cpuacct,cpu:", 12) == 0;
    if (n >= len || (v2 ? strncmp(line, "0::", 3) != 0 : !is_cpu))
        return false;
    memcpy(path, at + 1, n);
    path[n] = '\0';
    return true;
}

static bool own_path(const struct text *t, bool v2, char *path, size_t len)
{
    for (const char *line = t->at; line != NULL; line = doctor_words_next_line(line))
        if (line_is(line, v2, path, len))
            return true;
    return false;
}

void doctor_exam_find_cgroup(struct exam *e)
{
    struct text t;
    char path[SOURCE_PATH_LEN / 2] = "";
    e->cgroup_v2 = doctor_source_is_there(&e->source, "/sys/fs/cgroup/cgroup.controllers");
    if (!doctor_source_read(&e->source, &t, "/proc/self/cgroup")) {
        snprintf(e->cgroup_why, sizeof e->cgroup_why, "%s", t.why);
        return;
    }
    bool found = own_path(&t, e->cgroup_v2, path, sizeof path);
    doctor_text_drop(&t);
    if (strcmp(path, "/") == 0)
        path[0] = '\0';
    const char *mount = e->cgroup_v2 ? "/sys/fs/cgroup"
                        : doctor_source_is_there(&e->source, "/sys/fs/cgroup/cpu")
                            ? "/sys/fs/cgroup/cpu"
                            : "/sys/fs/cgroup/cpu,cpuacct";
    if (found && doctor_source_is_there(&e->source, mount))
        snprintf(e->cgroup, sizeof e->cgroup, "%s%s", mount, path);
    else
        snprintf(e->cgroup_why, sizeof e->cgroup_why, "%s",
                 found ? "/sys/fs/cgroup: no controller of CPU time is mounted"
                       : "/proc/self/cgroup: names no cgroup for CPU time");
}
