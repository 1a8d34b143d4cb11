#include "patterns/registry.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define PIPES 200

Test(registry, finds_who_is_entered_and_nobody_else)
{
    struct rig *r = rig_new(MCQ_PULL, NULL);
    struct rig *other = rig_new(MCQ_PULL, NULL);
    struct mcq_registry *reg = &r->shared->registry;
    struct mcq_pipe *pipes = calloc(PIPES, sizeof *pipes);
    bool in[PIPES] = {false};
    uint64_t seed = 3;
    for (int i = 0; i < PIPES; i++) {
        /* Pipes 2k and 2k+1 have one name on two sockets. */
        pipes[i].sock = i % 2 == 0 ? &r->s : &other->s;
        pipes[i].identity_len = (uint8_t)snprintf((char *)pipes[i].identity, 64, "%.*s%d",
                                                  (i / 2) % 20, "aaaaaaaaaaaaaaaaaaaaaaaa", i / 2);
    }
    for (int step = 0; step < 20000; step++) {
        size_t i = rig_random(&seed) % PIPES;
        if (in[i])
            mcq_registry_remove(&pipes[i]);
        else
            mcq_registry_put(reg, &pipes[i]);
        in[i] = !in[i];
        size_t k = rig_random(&seed) % PIPES;
        struct mcq_slice id = mcq_slice_of(pipes[k].identity, pipes[k].identity_len);
        cr_assert_eq(mcq_registry_find(reg, pipes[k].sock, id), in[k] ? &pipes[k] : NULL);
        id.len--;
        cr_assert_neq(mcq_registry_find(reg, pipes[k].sock, id), &pipes[k]);
    }
    for (int i = 0; i < PIPES; i++)
        mcq_registry_remove(&pipes[i]);
    free(pipes);
    rig_free(r);
    rig_free(other);
}

Test(registry, peers_of_any_type_are_found_while_they_are_up)
{
    struct rig *r = rig_new(MCQ_PULL, NULL);
    struct rig_peer *a = rig_peer_up(r, "alice");
    struct rig_peer *twin = rig_peer_up(r, "alice");
    struct rig_peer *nameless = rig_peer_up(r, NULL);
    cr_assert_eq(nameless->pipe.identity_len, 0);
    cr_assert_null(mcq_psock_find(&r->s, mcq_slice_of(NULL, 0)));
    cr_assert_not_null(mcq_psock_find(&r->s, rig_slice("alice")));
    rig_detach(a);
    cr_assert_eq(mcq_psock_find(&r->s, rig_slice("alice")), &twin->pipe);
    rig_detach(twin);
    cr_assert_null(mcq_psock_find(&r->s, rig_slice("alice")));
    rig_free(r);
}
