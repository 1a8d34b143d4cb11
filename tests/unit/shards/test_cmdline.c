#include <criterion/criterion.h>
#include <monocoque/app.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shards/options.h"

#define ARGS_MAX 16

struct args {
    int argc;
    char *argv[ARGS_MAX + 1];
};

/* Words up to NULL behind the program's name; string literals, which parsing must not write. */
static struct args args_of(const char *first, ...)
{
    static char program[] = "/usr/bin/gateway";
    struct args a = {1, {program}};
    va_list rest;
    va_start(rest, first);
    for (const char *word = first; word != NULL; word = va_arg(rest, const char *))
        memcpy(&a.argv[a.argc++], &word, sizeof(word));
    va_end(rest);
    return a;
}

static void assert_left(const struct args *a, const char *words)
{
    char left[256] = "";
    size_t len = 0;
    for (int i = 1; i < a->argc; i++)
        len += (size_t)snprintf(left + len, sizeof(left) - len, "%s ", a->argv[i]);
    cr_assert_str_eq(left, words);
    cr_assert_null(a->argv[a->argc]);
    cr_assert_str_eq(a->argv[0], "/usr/bin/gateway");
}

#define PARSE(o, ...)                           \
    struct args a = args_of(__VA_ARGS__, NULL); \
    struct mcq_opts o = MCQ_OPTS_INIT;          \
    mcq_opts_parse(&o, &a.argc, a.argv)

Test(cmdline, nothing_given)
{
    struct args a = args_of(NULL);
    struct mcq_opts o = MCQ_OPTS_INIT;
    mcq_opts_parse(&o, &a.argc, a.argv);
    assert_left(&a, "");
    cr_assert_eq(o.log, mcq_log_stderr);
    cr_assert_eq(o.log_level, MCQ_LOG_WARN);
    cr_assert_eq(o.shards, 0);
    cr_assert_eq(o.arena_bytes, 0);
    cr_assert_null(o.cpus);
}

Test(cmdline, every_option_with_an_equals_sign)
{
    PARSE(o, "--shards=3", "--cpus=0,2-5", "--idle=spin", "--ring=defer", "--arena=64M",
          "--large-bytes=1g", "--connections=16384", "--uring-features=-inc,-mshot", "--log=debug",
          "--smt=use", "--nic=eth0", "--numa=bind", "--sqpoll-cpus=6,7", "--sqpoll-share=4",
          "--sqpoll-idle=3", "--napi=50:prefer");
    assert_left(&a, "");
    cr_assert_eq(o.smt, MCQ_SMT_USE);
    cr_assert_str_eq(o.nic, "eth0");
    cr_assert_eq(o.numa, MCQ_NUMA_BIND);
    cr_assert_str_eq(o.sqpoll_cpus, "6,7");
    cr_assert_eq(o.sqpoll_share, 4);
    cr_assert_eq(o.sqpoll_idle_ms, 3);
    cr_assert_eq(o.napi_busy_us, 50);
    cr_assert(o.napi_prefer);
    cr_assert_eq(o.shards, 3);
    cr_assert_str_eq(o.cpus, "0,2-5");
    cr_assert_eq(o.idle, MCQ_IDLE_SPIN);
    cr_assert_eq(o.ring, MCQ_RING_DEFER);
    cr_assert_eq(o.arena_bytes, 64u << 20);
    cr_assert_eq(o.large_bytes, 1u << 30);
    cr_assert_eq(o.connections_max, 16384);
    cr_assert_str_eq(o.uring_features, "-inc,-mshot");
    cr_assert_eq(o.log_level, MCQ_LOG_DEBUG);
}

Test(cmdline, values_as_words_of_their_own)
{
    PARSE(o, "--shards", "1", "--idle", "block", "--uring-features", "-inc", "--arena", "65536",
          "--ring", "auto");
    assert_left(&a, "");
    cr_assert_eq(o.shards, 1);
    cr_assert_eq(o.idle, MCQ_IDLE_BLOCK);
    cr_assert_str_eq(o.uring_features, "-inc", "one dash is a mask, not an option");
    cr_assert_eq(o.arena_bytes, 65536);
    cr_assert_eq(o.ring, MCQ_RING_AUTO);
}

Test(cmdline, the_programs_own_words_stay_in_order)
{
    PARSE(o, "pub", "--idle", "spin", "--bind", "tcp://*:1", "-x", "--log=info", "--", "--idle",
          "block");
    assert_left(&a, "pub --bind tcp://*:1 -x -- --idle block ");
    cr_assert_eq(o.idle, MCQ_IDLE_SPIN);
    cr_assert_eq(o.log_level, MCQ_LOG_INFO);
}

Test(cmdline, names_are_taken_whole)
{
    PARSE(o, "--idl=spin", "--idles", "spin", "-idle", "idle=spin", "--", "--help");
    assert_left(&a, "--idl=spin --idles spin -idle idle=spin -- --help ");
    cr_assert_eq(o.idle, MCQ_IDLE_DEFAULT);
}

Test(cmdline, the_last_one_counts)
{
    PARSE(o, "--idle=spin-block:7", "--idle=spin-block", "--arena=1M", "--arena=2M");
    cr_assert_eq(o.idle, MCQ_IDLE_SPIN_BLOCK);
    cr_assert_eq(o.idle_spin_ns, 0, "the default time again");
    cr_assert_eq(o.arena_bytes, 2u << 20);
}

Test(cmdline, spin_times_are_microseconds)
{
    PARSE(o, "--idle", "spin-block:250");
    cr_assert_eq(o.idle, MCQ_IDLE_SPIN_BLOCK);
    cr_assert_eq(o.idle_spin_ns, 250000);
}

Test(cmdline, the_programs_own_log_stays)
{
    struct args a = args_of("--log", "error", NULL);
    struct mcq_opts o = MCQ_OPTS_INIT;
    mcq_log_fn *own = (mcq_log_fn *)(void (*)(void))mcq_opts_usage;
    o.log = own;
    o.log_level = MCQ_LOG_DEBUG;
    mcq_opts_parse(&o, &a.argc, a.argv);
    cr_assert_eq(o.log, own);
    cr_assert_eq(o.log_level, MCQ_LOG_ERROR);
}

/* Hidden from the compiler, which would rightly say that a struct of that length is none. */
__attribute__((noipa)) static void *shorter(size_t size)
{
    size_t *o = calloc(1, size); /* the sanitizer watches its end */
    cr_assert_not_null(o);
    *o = size;
    return o;
}

/* A program built against an older, shorter struct keeps what lies behind it. */
Test(cmdline, no_byte_past_the_struct_is_written)
{
    struct args a = args_of("--shards=1", "--arena=1M", "--log=debug", NULL);
    size_t size = offsetof(struct mcq_opts, arena_bytes);
    struct mcq_opts *o = shorter(size);
    mcq_opts_parse(o, &a.argc, a.argv);
    cr_assert_eq(o->shards, 1);
    cr_assert_eq(o->size, size);
    assert_left(&a, "");
    free(o);
}

/* --- what ends the program ----------------------------------------------------------------- */

struct end {
    int status;
    char out[8192], err[1024];
};

static void child_end(int status, void *arg)
{
    (void)arg;
    fflush(stdout);
    fflush(stderr);
    _exit(status); /* nothing of the test runner's */
}

static void read_all(int fd, char *text, size_t cap)
{
    size_t len = 0;
    ssize_t n;
    while (len + 1 < cap && (n = read(fd, text + len, cap - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    close(fd);
}

static struct end parse_in_child(struct args a)
{
    struct end end = {0};
    int out[2], err[2];
    cr_assert(pipe(out) == 0 && pipe(err) == 0);
    fflush(NULL);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        struct mcq_opts o = MCQ_OPTS_INIT;
        on_exit(child_end, NULL);
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        mcq_opts_parse(&o, &a.argc, a.argv);
        _exit(99);
    }
    close(out[1]);
    close(err[1]);
    read_all(out[0], end.out, sizeof(end.out));
    read_all(err[0], end.err, sizeof(end.err));
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status));
    end.status = WEXITSTATUS(status);
    return end;
}

static void refused(const char *line, const char *word, const char *value)
{
    struct end end = parse_in_child(args_of(word, value, NULL));
    cr_assert_eq(end.status, 2, "%s %s", word, value != NULL ? value : "");
    cr_assert_str_eq(end.out, "");
    cr_assert_str_eq(end.err, line);
}

Test(cmdline, bad_values_are_quoted_with_what_is_right)
{
    refused("gateway: --idle: 'foo' is not one of spin, block, spin-block[:US]\n", "--idle", "foo");
    refused("gateway: --idle: 'foo' is not one of spin, block, spin-block[:US]\n", "--idle=foo",
            NULL);
    refused("gateway: --ring: '' is not one of auto, defer, sqpoll\n", "--ring", "");
    refused("gateway: --log: 'warning' is not one of error, warn, info, debug\n", "--log=warning",
            NULL);
    refused("gateway: --cpus: '0,' is not a list of CPUs: write 2, 0,2-5, or none\n", "--cpus",
            "0,");
    refused("gateway: --shards: '0' is not a whole number from 1 to 128\n", "--shards", "0");
    refused("gateway: --connections: '16385' is not a whole number from 1 to 16384\n",
            "--connections", "16385");
}

Test(cmdline, numbers_that_are_none)
{
    static const char *const words[] = {"--shards=",
                                        "--shards=-1",
                                        "--shards=129",
                                        "--shards=1x",
                                        "--shards= 1",
                                        "--shards=4294967297",
                                        "--connections=0",
                                        "--connections=+1",
                                        "--arena=0",
                                        "--arena=",
                                        "--arena=M",
                                        "--arena=64MB",
                                        "--arena=64T",
                                        "--arena=1.5G",
                                        "--arena=-1M",
                                        "--arena=64 M",
                                        "--arena=64\x0b",
                                        "--arena=17179869184G",
                                        "--arena=17179869185G",
                                        "--large-bytes=18446744073709551616",
                                        "--large-bytes=0K",
                                        "--sqpoll-idle=0",
                                        "--sqpoll-idle=60001",
                                        "--napi=0",
                                        "--napi=",
                                        "--napi=:prefer",
                                        "--napi=5:",
                                        "--napi=5:preferred",
                                        "--napi=1000001",
                                        "--idle=spin-block:",
                                        "--idle=spin-block:0",
                                        "--idle=spin-block:-1",
                                        "--idle=spin-block:1us",
                                        "--idle=spin-block:10000001",
                                        "--idle=Spin",
                                        "--cpus="};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct end end = parse_in_child(args_of(words[i], NULL));
        cr_assert_eq(end.status, 2, "%s", words[i]);
        cr_assert_str_eq(end.out, "");
        cr_assert_eq(strncmp(end.err, "gateway: --", 11), 0, "%s: %s", words[i], end.err);
    }
}

Test(cmdline, numbers_at_their_limits)
{
    PARSE(o, "--arena=17179869183G", "--large-bytes=18446744073709551615", "--shards=128",
          "--idle=spin-block:10000000");
    cr_assert_eq(o.arena_bytes, 17179869183ull << 30);
    cr_assert_eq(o.large_bytes, UINT64_MAX);
    cr_assert_eq(o.shards, 128);
    cr_assert_eq(o.idle_spin_ns, MCQ_IDLE_SPIN_NS_MAX);
}

Test(cmdline, forgotten_values)
{
    refused("gateway: --idle: needs a value, see --help\n", "--idle", NULL);
    refused("gateway: --uring-features: needs a value, see --help\n", "--uring-features", "--idle");
    refused("gateway: --arena: needs a value, see --help\n", "--arena", "--");
    refused("gateway: --help: takes no value\n", "--help=idle", NULL);
}

Test(cmdline, help_is_the_usage_text)
{
    struct end end = parse_in_child(args_of("pub", "--help", NULL));
    cr_assert_eq(end.status, 0);
    cr_assert_str_eq(end.out, mcq_opts_usage());
    cr_assert_str_eq(end.err, "");
}

/* Every option is in the text, and every one in the text is taken. */
Test(cmdline, the_usage_text_is_complete)
{
    static const char *const names[] = {
        "shards", "cpus",  "smt",         "nic",          "numa",
        "idle",   "ring",  "sqpoll-cpus", "sqpoll-share", "sqpoll-idle",
        "napi",   "arena", "large-bytes", "connections",  "uring-features",
        "log",    "help"};
    const char *at = mcq_opts_usage();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        at = strstr(at, "\n  --");
        cr_assert_not_null(at, "%s is missing", names[i]);
        at += 5;
        cr_assert_eq(strncmp(at, names[i], strlen(names[i])), 0, "%.20s", at);
        cr_assert_eq(at[strlen(names[i])], ' ');
        char word[32];
        snprintf(word, sizeof(word), "--%s=\n", names[i]);
        if (strcmp(names[i], "uring-features") != 0)
            cr_assert_eq(parse_in_child(args_of(word, NULL)).status, 2, "%s", word);
    }
    cr_assert_null(strstr(at, "\n  --"));
    for (const char *line = mcq_opts_usage(); *line != '\0'; line = strchr(line, '\n') + 1)
        cr_assert_leq(strcspn(line, "\n"), 80, "%.40s...", line);
}
