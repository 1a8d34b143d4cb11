/* The real probe, tried out on the simulated ring: what it looks for must be there, byte by byte.
 */
#define mcq_uring_probe   probe_of_runtime
#define mcq_uring_explain explain_of_runtime
#define mcq_uring_wait    wait_for_it
#include "runtime/uring_probe.c"
#undef mcq_uring_wait

#include "tests/sim/test_bare.h"

void mcq_uring_wait(struct mcq_uring *u, uint64_t timeout_ns);

/* A wait that lasts. */
void wait_for_it(struct mcq_uring *u, uint64_t timeout_ns)
{
    mcq_uring_wait(u, timeout_ns);
    while (!mcq_sim_runnable(0) && mcq_sim_advance())
        ;
    mcq_uring_wait(u, timeout_ns);
}

Test(probe, finds_all_that_is_simulated)
{
    /* Its sends share a tag, so each must have ended when the next is submitted. */
    struct mcq_sim_faults at_once = {.inline_done = 10000};
    static _Alignas(4096) uint8_t mem[4096];
    for (uint64_t seed = 0; seed < 32; seed++) {
        struct mcq_features f = mcq_features_all();
        struct mcq_detail d;
        struct bare b;
        mcq_sim_open(seed, &at_once);
        bare_open(&b, 0);
        cr_assert_eq(probe_of_runtime(b.u, mem, &f, &d), MCQ_OK);
        cr_assert(f.inc);
        cr_assert(f.mshot_limit);
        bare_close(&b);
        cr_assert_eq(mcq_sim_open_fds(0), 0);
        mcq_sim_close();
    }
}
