#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "options.h"

static const char usage[] =
    "usage: mcq-proxy FRONT BACK --front EP... --back EP... [options]\n"
    "\n"
    "Two ZeroMQ sockets joined: what comes to one goes out of the other, both ways. FRONT BACK is\n"
    "XSUB XPUB (subscriptions travel from back to front), ROUTER DEALER, PULL PUSH or PAIR PAIR.\n"
    "A side that is full holds the other one back; nothing is dropped in between.\n"
    "\n"
    "  --front EP          listen there for clients: tcp://ADDR:PORT (port 0 or *: any),\n"
    "                      ipc://PATH, ipc://@NAME; @EP connects, as --front-connect EP does.\n"
    "                      Prints `bound front EP` on stderr\n"
    "  --back EP           the same for workers; --back-connect EP\n"
    "  --capture TYPE EP   send a copy of all that is passed on: PUB, PUSH, DEALER or PAIR;\n"
    "                      what it has no room for is dropped. More: --capture TYPE EP again\n"
    "  --control EP        a REP that takes the commands of libzmq's zmq_proxy_steerable: PAUSE,\n"
    "                      RESUME, TERMINATE and STATISTICS, which is answered with 8 frames of 8\n"
    "                      bytes in host order: messages and bytes received and sent by the "
    "front,\n"
    "                      then by the back; the others with an empty frame\n"
    "  --stats SECONDS     print a line of counters so often, and one at the end\n"
    "  --opt NAME=VALUE    an option of front and back, as docs/OPTIONS.md has it; of one socket:\n"
    "                      --opt front.slow=disconnect; also back., capture., control.\n"
    "\n"
    "Runs until TERMINATE, SIGINT or SIGTERM.\n"
    "Exit code: 0 done, 1 runtime error, 2 usage.\n"
    "\n"
    "  mcq-proxy XSUB XPUB --front 'tcp://*:5555' --back 'tcp://*:5556'\n"
    "  mcq-proxy ROUTER DEALER --front 'tcp://*:5559' --back 'tcp://*:5560' --stats 10\n"
    "  mcq-proxy PULL PUSH --front ipc:///run/jobs --back @tcp://10.0.0.7:6000 \\\n"
    "      --capture PUB 'tcp://127.0.0.1:6001' --control tcp://127.0.0.1:6002\n"
    "\n";

const char *const side_names[SIDE_CNT] = {"front", "back", "capture", "control"};

/* Index is enum mcq_sock_type; those that no side of a proxy may be are missing. */
static const char *const type_names[] = {
    [MCQ_PAIR] = "PAIR", [MCQ_PUB] = "PUB",   [MCQ_DEALER] = "DEALER", [MCQ_ROUTER] = "ROUTER",
    [MCQ_PULL] = "PULL", [MCQ_PUSH] = "PUSH", [MCQ_XPUB] = "XPUB",     [MCQ_XSUB] = "XSUB",
};
#define TYPE_END (sizeof type_names / sizeof type_names[0])

__attribute__((noreturn, format(printf, 1, 2))) static void refuse(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("mcq-proxy: ", stderr);
    vfprintf(stderr, format, args);
    fputs(" (mcq-proxy --help shows how)\n", stderr);
    va_end(args);
    exit(2);
}

static enum mcq_sock_type parse_type(const char *text)
{
    for (size_t i = 0; i < TYPE_END; i++)
        if (type_names[i] != NULL && strcasecmp(text, type_names[i]) == 0)
            return (enum mcq_sock_type)i;
    refuse("%s is no socket type of a proxy", text);
}

static void add_endpoint(struct proxy_options *o, enum side side, const char *text, bool bind)
{
    if (bind && text[0] == '@') {
        bind = false;
        text++;
    }
    o->endpoints[o->endpoint_cnt++] = (struct proxy_endpoint){side, text, bind};
}

/* The word behind --capture TYPE, which getopt doesn't know to be its second value. */
static const char *second_value(int argc, char **argv)
{
    if (optind >= argc)
        refuse("--capture wants a socket type and an endpoint");
    return argv[optind++];
}

static void parse_capture(struct proxy_options *o, const char *text, const char *endpoint)
{
    enum mcq_sock_type type = parse_type(text);
    if (type != MCQ_PUB && type != MCQ_PUSH && type != MCQ_DEALER && type != MCQ_PAIR)
        refuse("--capture %s: PUB, PUSH, DEALER or PAIR is wanted", text);
    if (o->types[SIDE_CAPTURE] != 0 && o->types[SIDE_CAPTURE] != type)
        refuse("--capture %s: it is a %s already", text, type_names[o->types[SIDE_CAPTURE]]);
    o->types[SIDE_CAPTURE] = type;
    add_endpoint(o, SIDE_CAPTURE, endpoint, true);
}

static uint64_t parse_seconds(const char *text)
{
    char *end = NULL;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(seconds) || seconds < 0.001 || seconds > 1e9)
        refuse("--stats %s: seconds from 0.001 on are wanted", text);
    return (uint64_t)(seconds * 1e9);
}

static void set(struct proxy_options *o, enum side side, const char *name, const char *value)
{
    struct mcq_detail detail = {.text = ""};
    if (mcq_sock_opts_set(&o->socks[side], name, value, &detail) != MCQ_OK)
        refuse("--opt %s=%s: %s", name, value, detail.text);
}

static void parse_setting(struct proxy_options *o, char *text)
{
    char *equals = strchr(text, '='), *dot = strchr(text, '.');
    if (equals == NULL)
        refuse("--opt %s: NAME=VALUE is wanted", text);
    *equals = '\0';
    if (dot == NULL || dot > equals) {
        set(o, SIDE_FRONT, text, equals + 1);
        set(o, SIDE_BACK, text, equals + 1);
        return;
    }
    *dot = '\0';
    for (unsigned i = 0; i < SIDE_CNT; i++) {
        if (strcmp(text, side_names[i]) == 0) {
            set(o, (enum side)i, dot + 1, equals + 1);
            return;
        }
    }
    refuse("--opt %s.%s: front., back., capture. or control. is wanted", text, dot + 1);
}

/* word: the option as it was written. */
static void parse_option(struct proxy_options *o, int option, int argc, char **argv)
{
    const char *word = argv[optind - 1];
    switch (option) {
    case 'f':
        add_endpoint(o, SIDE_FRONT, optarg, true);
        break;
    case 'F':
        add_endpoint(o, SIDE_FRONT, optarg, false);
        break;
    case 'b':
        add_endpoint(o, SIDE_BACK, optarg, true);
        break;
    case 'B':
        add_endpoint(o, SIDE_BACK, optarg, false);
        break;
    case 'p':
        parse_capture(o, optarg, second_value(argc, argv));
        break;
    case 'c':
        o->types[SIDE_CONTROL] = MCQ_REP;
        add_endpoint(o, SIDE_CONTROL, optarg, true);
        break;
    case 's':
        o->stats_ns = parse_seconds(optarg);
        break;
    case 'o':
        parse_setting(o, optarg);
        break;
    case ':':
        refuse("%s lacks its value", word);
    default:
        refuse("%s is not an option", word);
    }
}

static void check(const struct proxy_options *o)
{
    bool used[SIDE_CNT] = {false};
    for (uint32_t i = 0; i < o->endpoint_cnt; i++)
        used[o->endpoints[i].side] = true;
    for (unsigned i = SIDE_FRONT; i <= SIDE_BACK; i++)
        if (!used[i])
            refuse("the %s goes nowhere: --%s EP or --%s-connect EP is wanted", side_names[i],
                   side_names[i], side_names[i]);
}

static void help_if_asked(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            fputs(mcq_opts_usage(), stdout);
            exit(0);
        }
    }
}

void proxy_options_parse(struct proxy_options *o, struct mcq_opts *run, int argc, char **argv)
{
    static const struct option known[] = {
        {"front", required_argument, NULL, 'f'},
        {"front-connect", required_argument, NULL, 'F'},
        {"back", required_argument, NULL, 'b'},
        {"back-connect", required_argument, NULL, 'B'},
        {"capture", required_argument, NULL, 'p'},
        {"control", required_argument, NULL, 'c'},
        {"stats", required_argument, NULL, 's'},
        {"opt", required_argument, NULL, 'o'},
        {NULL, 0, NULL, 0},
    };
    help_if_asked(argc, argv);
    mcq_opts_parse(run, &argc, argv);
    *o = (struct proxy_options){.endpoints = calloc((size_t)argc, sizeof *o->endpoints)};
    if (o->endpoints == NULL)
        refuse("out of memory");
    for (unsigned i = 0; i < SIDE_CNT; i++)
        o->socks[i] = (struct mcq_sock_opts)MCQ_SOCK_OPTS_INIT;
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", known, NULL)) != -1)
        parse_option(o, option, argc, argv);
    if (argc - optind != 2)
        refuse("two socket types are wanted, FRONT and BACK");
    o->types[SIDE_FRONT] = parse_type(argv[optind]);
    o->types[SIDE_BACK] = parse_type(argv[optind + 1]);
    check(o);
}
