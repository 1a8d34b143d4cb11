/* Steer pins: the directories of the bpf file system where the maps of steered groups are, one per
 * bind: MCQ_STEER_PINS_ROOT/PID-NAME.
 *
 * The file system is mounted if it isn't and that is permitted. A process holds a lock on what it
 * has pinned until it ends, however it ends; children that it forks and that don't exec share it.
 * So what is left over is known for it in any pid namespace, whoever has the number by now, and is
 * removed by whoever looks or binds next. Thread: any. Cost: system calls.
 */
#ifndef MCQ_SHARDS_STEER_PINS_H
#define MCQ_SHARDS_STEER_PINS_H

#include <monocoque/steer.h>

#define MCQ_STEER_PINS_FS   "/sys/fs/bpf"
#define MCQ_STEER_PINS_ROOT MCQ_STEER_PINS_FS "/monocoque"

#define MCQ_STEER_PINS_TWINS_MAX 64u /* binds of one PID-NAME: they are told apart by a number */

/* Makes the directory for a bind of this process; what name has beyond letters, digits, '-' and '_'
 * becomes '_'. Gives *owner_fd, which holds it. Errors: MCQ_EACCESS, MCQ_EOS; detail says what to
 * do. */
MCQ_MUST_USE enum mcq_error mcq_steer_pins_make(const char *name, char path[MCQ_STEER_PATH_LEN],
                                                int *owner_fd, struct mcq_detail *detail);
/* Removes one's own directory and what is pinned in it; takes owner_fd. */
void mcq_steer_pins_remove(const char *path, int owner_fd);
/* Whether the process that made it is there; who can't look is told that it is. */
bool mcq_steer_pins_is_held(const char *path);
/* Removes what is left over. true: that is what it was. */
bool mcq_steer_pins_sweep(const char *path);
/* Calls fn for each directory until it returns false. Nothing there is no error. */
typedef bool mcq_steer_pins_fn(void *ctx, const char *path);
MCQ_MUST_USE enum mcq_error mcq_steer_pins_each(mcq_steer_pins_fn *fn, void *ctx,
                                                struct mcq_detail *detail);
uint32_t mcq_steer_pins_pid(void);
/* An exclusive lock on the directory, between processes. Gives its descriptor; -1: there is none,
 * or somebody has held it for 100 ms, which is no reason to hold up a shard. */
MCQ_MUST_USE int mcq_steer_pins_lock(const char *path);
void mcq_steer_pins_unlock(int fd);

#endif
