/* mcq-cat: any socket type from the shell. cat_options_parse has the manual. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cat.h"

/* Seconds between a signal and giving up on what is unsent. */
#define PATIENCE_S 2

/* Small, as scripts start many of them. */
#define ARENA_BYTES     (48u * 1024u * 1024u)
#define LARGE_BYTES     (48u * 1024u * 1024u)
#define CONNECTIONS_MAX 1024u

static struct mcq_shard *volatile running;

static void on_alarm(int number)
{
    static const char text[] = "mcq-cat: ended with messages unsent\n";
    (void)number;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(CAT_EXIT_ERROR);
}

/* The library's own handling would linger for as long as PUB and PUSH may. */
static void on_signal(int number)
{
    (void)number;
    mcq_stop(running);
    alarm(PATIENCE_S);
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(number, &action, NULL);
}

static int start(struct mcq_shard *shard, void *arg)
{
    running = shard;
    handle(SIGALRM, on_alarm);
    handle(SIGINT, on_signal);
    handle(SIGTERM, on_signal);
    return cat_start(shard, arg);
}

static void on_stop(struct mcq_shard *shard, void *arg)
{
    (void)shard, (void)arg;
    handle(SIGINT, SIG_IGN);
    handle(SIGTERM, SIG_IGN);
    alarm(0);
}

int main(int argc, char **argv)
{
    struct mcq_opts run = MCQ_OPTS_INIT;
    run.idle = MCQ_IDLE_BLOCK;
    run.cpus = "none";
    run.no_mlock = true;
    run.no_signals = true;
    run.arena_bytes = ARENA_BYTES;
    run.large_bytes = LARGE_BYTES;
    run.connections_max = CONNECTIONS_MAX;

    struct cat_options options;
    cat_options_parse(&options, &run, argc, argv);
    signal(SIGPIPE, SIG_IGN);

    struct cat cat = {.options = &options};
    struct mcq_app app = {.start = start, .on_stop = on_stop};
    enum mcq_error err = mcq_run(&run, &app, &cat, NULL); /* logs what is wrong */
    if (err != MCQ_OK && cat.exit_code == CAT_EXIT_DONE)
        cat.exit_code = CAT_EXIT_ERROR;
    cat_fini(&cat);
    free(options.prefixes);
    free(options.settings);
    free(options.endpoints);
    return (int)cat.exit_code;
}
