#include "perf/workloads/serve.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

/* What a server is ready for unless --conns says otherwise. */
#define CONNS_DEFAULT 1000u

static atomic_bool stop;

static void on_signal(int number)
{
    (void)number;
    atomic_store(&stop, true);
}

/* A poll that sleeps is to end at once. */
static void signals_take(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void on_listening(const char *endpoint)
{
    printf("serving at %s\n", endpoint);
    fflush(stdout);
}

static bool server_run(struct perf_child *child, void *arg)
{
    const struct perf_options *options = arg;
    struct perf_handler handler = perf_options_handler(options);
    struct perf_node_spec spec = {
        .role = PERF_ROLE_SERVER,
        .binds = true,
        .endpoint = options->bind,
        .size = options->size,
        .conns = options->conns != 0 ? options->conns : CONNS_DEFAULT,
        .spin = perf_peer_idle(options->peer, options->idle) == PERF_IDLE_SPIN,
    };
    handler.listening = on_listening;
    return perf_node_echo(child, options->peer->node, &spec, &handler);
}

int perf_serve_main(const struct perf_options *options)
{
    const struct perf_peer *peer = options->peer;
    char reason[PERF_REASON_MAX] = "";
    struct perf_options own = *options;
    if (peer->missing != NULL || !perf_peer_has_role(peer, PERF_ROLE_SERVER)) {
        fprintf(stderr, "mcq-perf: serve: %s\n",
                peer->missing != NULL ? peer->missing : "this peer is no server");
        return PERF_EXIT_MISSING;
    }
    signals_take();
    if (!perf_crew_here(server_run, &own, &stop, reason)) {
        fprintf(stderr, "mcq-perf: serve: %s\n", reason);
        return PERF_EXIT_MISSING;
    }
    return PERF_EXIT_MEASURED;
}
