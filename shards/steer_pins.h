/* Steer pins: the directories of the bpf file system where the maps of steered groups are, one per
 * bind: MCQ_STEER_PINS_ROOT/PID-NAME.
 *
 * The file system is mounted if it isn't and that is permitted. What processes that have ended have
 * left is removed by whoever looks or binds next: one is taken for ended if its number names
 * nobody, in the pid namespace that its pins name, which has to be one's own to judge. Thread: any.
 * Cost: system calls.
 */
#ifndef MCQ_SHARDS_STEER_PINS_H
#define MCQ_SHARDS_STEER_PINS_H

#include <monocoque/steer.h>

#define MCQ_STEER_PINS_FS   "/sys/fs/bpf"
#define MCQ_STEER_PINS_ROOT MCQ_STEER_PINS_FS "/monocoque"

/* Makes the directory for a bind of this process; what name has beyond letters, digits, '-' and '_'
 * becomes '_'. Errors: MCQ_EACCESS, MCQ_EOS; detail says what to do. */
MCQ_MUST_USE enum mcq_error mcq_steer_pins_make(const char *name, char path[MCQ_STEER_PATH_LEN],
                                                struct mcq_detail *detail);
/* Removes the directory and what is pinned in it. */
void mcq_steer_pins_remove(const char *path);
/* Calls fn for each directory until it returns false. pid: as its name begins. Nothing there is no
 * error. */
typedef bool mcq_steer_pins_fn(void *ctx, const char *path, uint32_t pid);
MCQ_MUST_USE enum mcq_error mcq_steer_pins_each(mcq_steer_pins_fn *fn, void *ctx,
                                                struct mcq_detail *detail);
/* Inode of this process's pid namespace; 0: can't be told. */
uint64_t mcq_steer_pins_pid_space(void);
uint32_t mcq_steer_pins_pid(void);
bool mcq_steer_pins_is_running(uint32_t pid);
/* An exclusive lock on the directory, between processes. Gives its descriptor; -1: there is none,
 * or somebody has held it for 100 ms, which is no reason to hold up a shard. */
MCQ_MUST_USE int mcq_steer_pins_lock(const char *path);
void mcq_steer_pins_unlock(int fd);

#endif
