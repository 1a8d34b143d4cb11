#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "options.h"
#include "text.h"

static const char usage[] =
    "usage: mcq-cat TYPE (--bind EP | --connect EP)... [options]\n"
    "\n"
    "Any ZeroMQ socket from the shell: a line of stdin is a message, a message received is a line\n"
    "of stdout, TAB separates frames. TYPE is PAIR, PUB, SUB, REQ, REP, DEALER, ROUTER, PUSH,\n"
    "PULL, XPUB or XSUB. A ROUTER's first frame is the identity of the peer, in both directions.\n"
    "An XPUB also receives +TOPIC when the first peer subscribes to it, -TOPIC when the last ends\n"
    "that.\n"
    "\n"
    "  --bind EP           listen at tcp://ADDR:PORT (port 0 or *: any), ipc://PATH, ipc://@NAME;\n"
    "                      prints `bound EP` on stderr\n"
    "  --connect EP        connect there, and again after a loss\n"
    "  --subscribe PREFIX  SUB, XSUB: take messages that begin so; \"\" takes all\n"
    "  --identity ID       what a ROUTER knows this socket by\n"
    "  --opt NAME=VALUE    an option of the socket, as docs/OPTIONS.md has it: slow=drop-old\n"
    "  --echo              send back what arrives instead of printing it\n"
    "  --count N           end after N messages received (sent, for PUB and PUSH)\n"
    "  --wait N            send nothing until N peers are up (for PUB, XPUB: N subscriptions)\n"
    "  --timeout SECONDS   end with 3 when nothing has happened for so long\n"
    "  --hex               frames are hex; else bytes beyond 0x20-0x7e and \\ are \\xNN\n"
    "\n"
    "After the end of stdin PUB and PUSH end once all is written, REQ after its last reply,\n"
    "others run on. A REQ asks again if whom it asked goes away. Without --echo a REP answers\n"
    "with the lines of stdin in order. PREFIX and ID may use \\xNN.\n"
    "Exit code: 0 done, 1 runtime error, 2 usage, 3 timeout.\n"
    "\n"
    "  mcq-cat REP --bind tcp://127.0.0.1:5555 --echo\n"
    "  echo hello | mcq-cat REQ --connect tcp://127.0.0.1:5555\n"
    "  mcq-cat SUB --connect tcp://10.0.0.1:6000 --subscribe EURUSD --count 10\n"
    "  seq 1000 | mcq-cat PUSH --bind 'tcp://*:*' --wait 2\n"
    "  printf 'client-7\\thello\\n' | mcq-cat ROUTER --bind ipc:///tmp/orders --wait 1\n"
    "\n";

/* Index is enum mcq_sock_type. */
static const char *const type_names[] = {
    [MCQ_PAIR] = "PAIR", [MCQ_PUB] = "PUB",       [MCQ_SUB] = "SUB",       [MCQ_REQ] = "REQ",
    [MCQ_REP] = "REP",   [MCQ_DEALER] = "DEALER", [MCQ_ROUTER] = "ROUTER", [MCQ_PULL] = "PULL",
    [MCQ_PUSH] = "PUSH", [MCQ_XPUB] = "XPUB",     [MCQ_XSUB] = "XSUB",
};
#define TYPE_END (sizeof type_names / sizeof type_names[0])

bool cat_type_sends(enum mcq_sock_type type)
{
    return type != MCQ_SUB && type != MCQ_PULL;
}

bool cat_type_receives(enum mcq_sock_type type)
{
    return type != MCQ_PUB && type != MCQ_PUSH;
}

__attribute__((noreturn, format(printf, 1, 2))) static void refuse(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("mcq-cat: ", stderr);
    vfprintf(stderr, format, args);
    fputs(" (mcq-cat --help shows how)\n", stderr);
    va_end(args);
    exit(2);
}

static enum mcq_sock_type parse_type(const char *text, const char **name)
{
    for (size_t i = MCQ_PAIR; i < TYPE_END; i++) {
        if (strcasecmp(text, type_names[i]) == 0) {
            *name = type_names[i];
            return (enum mcq_sock_type)i;
        }
    }
    refuse("%s is no socket type", text);
}

static uint64_t parse_number(const char *option, const char *text, uint64_t min, uint64_t max)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < min || value > max)
        refuse("--%s %s: a whole number from %llu on is wanted", option, text,
               (unsigned long long)min);
    return value;
}

static uint64_t parse_seconds(const char *text)
{
    char *end = NULL;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(seconds) || seconds < 0.001 || seconds > 1e9)
        refuse("--timeout %s: seconds from 0.001 on are wanted", text);
    return (uint64_t)(seconds * 1e9);
}

/* Bytes given as text with \xNN; argv's own memory is decoded in place. */
static struct mcq_frame parse_bytes(const char *option, char *text, size_t len_max)
{
    size_t len = 0;
    const char *why = cat_text_decode(text, strlen(text), false, &len);
    if (why != NULL)
        refuse("--%s: %s", option, why);
    if (len > len_max)
        refuse("--%s: %zu bytes, at most %zu", option, len, len_max);
    return (struct mcq_frame){text, len};
}

static struct mcq_frame parse_identity(char *text)
{
    struct mcq_frame id = parse_bytes("identity", text, MCQ_IDENTITY_LEN_MAX);
    if (id.len == 0 || *(const char *)id.data == '\0')
        refuse("--identity: 1 to %d bytes, the first not zero", MCQ_IDENTITY_LEN_MAX);
    return id;
}

static struct cat_setting parse_setting(char *text)
{
    char *equals = strchr(text, '=');
    if (equals == NULL)
        refuse("--opt %s: NAME=VALUE is wanted", text);
    *equals = '\0';
    return (struct cat_setting){text, equals + 1};
}

/* word: the option as it was written. */
static void parse_option(struct cat_options *o, int option, char *value, const char *word)
{
    switch (option) {
    case 'b':
    case 'c':
        o->endpoints[o->endpoint_cnt++] = (struct cat_endpoint){value, option == 'b'};
        break;
    case 's':
        o->prefixes[o->prefix_cnt++] = parse_bytes("subscribe", value, MCQ_TOPIC_LEN_MAX);
        break;
    case 'i':
        o->identity = parse_identity(value);
        break;
    case 'o':
        o->settings[o->setting_cnt++] = parse_setting(value);
        break;
    case 'e':
        o->echo = true;
        break;
    case 'n':
        o->count = parse_number("count", value, 1, UINT64_MAX);
        break;
    case 'w':
        o->wait = (uint32_t)parse_number("wait", value, 0, UINT32_MAX);
        break;
    case 't':
        o->timeout_ns = parse_seconds(value);
        break;
    case 'x':
        o->hex = true;
        break;
    case ':':
        refuse("%s lacks its value", word);
    default:
        refuse("%s is not an option", word);
    }
}

static bool can_answer(enum mcq_sock_type type)
{
    return cat_type_sends(type) && cat_type_receives(type) && type != MCQ_REQ && type != MCQ_XPUB &&
           type != MCQ_XSUB;
}

/* What can't be meant. */
static void check(const struct cat_options *o)
{
    if (o->endpoint_cnt == 0)
        refuse("nowhere to go: --bind or --connect is wanted");
    if (o->prefix_cnt > 0 && o->type != MCQ_SUB && o->type != MCQ_XSUB)
        refuse("--subscribe is for SUB and XSUB, this is %s", o->type_name);
    if (o->echo && !can_answer(o->type))
        refuse("--echo is for types that can answer, %s can't", o->type_name);
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

static void *allocate(int cnt, size_t len)
{
    void *memory = calloc((size_t)cnt, len);
    if (memory == NULL)
        refuse("out of memory");
    return memory;
}

void cat_options_parse(struct cat_options *o, struct mcq_opts *run, int argc, char **argv)
{
    static const struct option known[] = {
        {"bind", required_argument, NULL, 'b'},
        {"connect", required_argument, NULL, 'c'},
        {"subscribe", required_argument, NULL, 's'},
        {"identity", required_argument, NULL, 'i'},
        {"opt", required_argument, NULL, 'o'},
        {"echo", no_argument, NULL, 'e'},
        {"count", required_argument, NULL, 'n'},
        {"wait", required_argument, NULL, 'w'},
        {"timeout", required_argument, NULL, 't'},
        {"hex", no_argument, NULL, 'x'},
        {NULL, 0, NULL, 0},
    };
    help_if_asked(argc, argv);
    mcq_opts_parse(run, &argc, argv);
    *o = (struct cat_options){
        .endpoints = allocate(argc, sizeof *o->endpoints),
        .prefixes = allocate(argc, sizeof *o->prefixes),
        .settings = allocate(argc, sizeof *o->settings),
    };
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", known, NULL)) != -1)
        parse_option(o, option, optarg, argv[optind - 1]);
    if (argc - optind != 1)
        refuse("one socket type is wanted");
    o->type = parse_type(argv[optind], &o->type_name);
    check(o);
}
