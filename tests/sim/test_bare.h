/* Bare: processes that have a ring and nothing else, to try the simulated kernel's operations one
 * by one. Tags are small numbers; what was reaped is kept by tag. */
#ifndef MCQ_TESTS_SIM_TEST_BARE_H
#define MCQ_TESTS_SIM_TEST_BARE_H

#include <criterion/criterion.h>

#include "mem/arena.h"
#include "runtime/net.h"
#include "runtime/uring.h"
#include "tests/sim/kernel.h"

#define BARE_TAGS_MAX   32u
#define BARE_BLOCKS_CNT 8u
#define BARE_BLOCK_LEN  256u

struct bare {
    uint32_t process;
    struct mcq_arena arena;
    struct mcq_loop_stats stats;
    struct mcq_uring *u;
    uint32_t cnt[BARE_TAGS_MAX]; /* completions */
    struct mcq_done last[BARE_TAGS_MAX];
    uint64_t order[BARE_TAGS_MAX]; /* which completion of all it was */
    uint64_t total;
    _Alignas(4096) uint8_t ring[BARE_BLOCKS_CNT * 16]; /* of them */
    uint8_t block[BARE_BLOCKS_CNT][BARE_BLOCK_LEN];
};

void bare_open(struct bare *b, uint32_t process);
void bare_close(struct bare *b);
/* Gives the first blocks to a buffer ring. */
void bare_blocks(struct bare *b, uint32_t cnt, bool inc);
/* Enters once and reaps. */
void bare_enter(struct bare *b);
/* The machine goes on until tag has completed, or nothing happens any more: then the test fails. */
void bare_await(struct bare *b, uint64_t tag);
/* The machine goes on until nothing happens any more before the limit of virtual time. */
void bare_settle(struct bare *b, uint64_t ns);
/* A tcp connection, fd[0] of a and fd[1] of b. */
void bare_connect(struct bare *a, struct bare *b, int fd[2]);
/* Sends, and waits until the kernel has taken all. */
void bare_send(struct bare *b, int fd, const void *ptr, uint32_t len);
/* Receives once into ptr: what the completion says. */
int32_t bare_recv(struct bare *b, int fd, void *ptr, uint32_t len);

/* Runs fn; true: mcq_sim_fail was called. */
bool bare_fails(void (*fn)(void *arg), void *arg);

struct mcq_addr bare_tcp4(uint16_t port);
struct mcq_addr bare_unix(const char *path); /* "@name" is abstract */

extern const struct mcq_sim_faults bare_no_faults;
extern const struct mcq_sockopts bare_so; /* none set */

#endif
