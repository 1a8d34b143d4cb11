/* Source: where facts come from.
 *
 * Files under a root, opened for reading only, or answers of the running kernel as lines `key
 * value`. Under another root such answers are files of its folder live/. What is empty is a text
 * of length 0; what isn't text at all, or longer than a limit, isn't read. */
#ifndef MCQ_DOCTOR_SOURCE_H
#define MCQ_DOCTOR_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_ROOT_LEN  256u
#define SOURCE_PATH_LEN  512u
#define SOURCE_WHY_LEN   160u
#define SOURCE_TEXT_MAX  (4u << 20) /* /proc/interrupts of 1,024 CPUs is about as long */
#define SOURCE_LIVE_MAX  8192u
#define SOURCE_NAMES_MAX 65536u /* entries of a folder that are looked at */

struct source {
    char root[SOURCE_ROOT_LEN]; /* "" for this host; else without a slash at its end */
};

/* The text ends with a NUL after len bytes, none of which is one. at: NULL if it could not be read,
 * and why says the reason with the path; err is its errno, 0 for a text that is no text. */
struct text {
    char *at;
    size_t len;
    int err;
    char path[SOURCE_PATH_LEN]; /* without the root */
    char why[SOURCE_WHY_LEN];
};

bool doctor_source_init(struct source *s, const char *root);
bool doctor_source_is_host(const struct source *s);
/* Its proc/ is a kernel's, not a copy of one: what is read again may have changed. */
bool doctor_source_is_running(const struct source *s);

/* Both return whether there is a text; doctor_text_drop *takes* it, and is harmless where there is
 * none.
 */
__attribute__((format(printf, 3, 4))) bool doctor_source_read(const struct source *s,
                                                              struct text *t, const char *format,
                                                              ...);
/* answer() fills lines of at most len bytes; it says `error REASON` for an answer that failed. */
typedef void source_answer_fn(const void *ctx, char *lines, size_t len);
bool doctor_source_ask(const struct source *s, struct text *t, const char *name, const char *shown,
                       source_answer_fn *answer, const void *ctx);
void doctor_text_drop(struct text *t);

/* Exactly len bytes at an offset of a file that needn't be text. Returns 0 or an errno; a file that
 * ends before is ENODATA. */
int doctor_source_bytes(const struct source *s, const char *path, int64_t offset, void *bytes,
                        size_t len);

/* Calls each() for every name of a folder, in no order, until it returns false. Returns 0 or an
 * errno. */
typedef bool source_name_fn(void *ctx, const char *name);
int doctor_source_names(const struct source *s, const char *path, source_name_fn *each, void *ctx);
bool doctor_source_is_there(const struct source *s, const char *path);

#endif
