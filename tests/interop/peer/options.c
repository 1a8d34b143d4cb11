#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

static const char usage[] =
    "usage: interop-peer send|receive|ask|echo TYPE (--bind EP | --connect EP)...\n"
    "  --count N --size N|mixed --parts single|multi --no-empty --plant drop|swap|twice|flip\n"
    "  --senders N --sender N --window N --wait N --unordered --delimiter --one-by-one\n"
    "  --unlimited --events --handshake-ms N --hwm N --pause-every N --identity ID --to ID\n"
    "  --opt NAME=VALUE\n";

static void refuse(const char *what)
{
    fprintf(stderr, "interop-peer: %s\n%s", what, usage);
    exit(2);
}

static uint32_t place(const char *word, const char *const *names, uint32_t cnt, const char *what)
{
    for (uint32_t i = 0; i < cnt; i++)
        if (names[i] != NULL && strcmp(word, names[i]) == 0)
            return i;
    refuse(what);
    return 0;
}

static uint64_t number(const char *text)
{
    char *end = NULL;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0')
        refuse("a number is wanted");
    return value;
}

static void add_endpoint(struct peer_options *o, const char *endpoint, bool bind)
{
    if (o->endpoint_cnt == PEER_ENDPOINT_MAX)
        refuse("too many endpoints");
    o->endpoints[o->endpoint_cnt] = endpoint;
    o->binds[o->endpoint_cnt++] = bind;
}

static void set_size(struct stream_shape *shape, const char *value)
{
    shape->mixed = strcmp(value, "mixed") == 0;
    if (!shape->mixed)
        shape->body_len = number(value);
}

static void set_parts(struct stream_shape *shape, const char *value)
{
    static const char *const names[] = {"single", "multi"};
    shape->multipart = place(value, names, 2, "--parts single or multi") == 1;
}

static enum stream_plant parse_plant(const char *value)
{
    static const char *const names[] = {[PLANT_DROP] = "drop",
                                        [PLANT_SWAP] = "swap",
                                        [PLANT_TWICE] = "twice",
                                        [PLANT_FLIP] = "flip"};
    return (enum stream_plant)place(value, names, 5, "--plant drop, swap, twice or flip");
}

enum option_id {
    OPTION_BIND = 1,
    OPTION_CONNECT,
    OPTION_COUNT,
    OPTION_SIZE,
    OPTION_PARTS,
    OPTION_NO_EMPTY,
    OPTION_PLANT,
    OPTION_SENDERS,
    OPTION_SENDER,
    OPTION_WINDOW,
    OPTION_WAIT,
    OPTION_UNORDERED,
    OPTION_DELIMITER,
    OPTION_ONE_BY_ONE,
    OPTION_UNLIMITED,
    OPTION_EVENTS,
    OPTION_HANDSHAKE_MS,
    OPTION_HWM,
    OPTION_PAUSE_EVERY,
    OPTION_IDENTITY,
    OPTION_OPT,
    OPTION_TO
};

static const struct option known[] = {
    {"bind", required_argument, NULL, OPTION_BIND},
    {"connect", required_argument, NULL, OPTION_CONNECT},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"parts", required_argument, NULL, OPTION_PARTS},
    {"no-empty", no_argument, NULL, OPTION_NO_EMPTY},
    {"plant", required_argument, NULL, OPTION_PLANT},
    {"senders", required_argument, NULL, OPTION_SENDERS},
    {"sender", required_argument, NULL, OPTION_SENDER},
    {"window", required_argument, NULL, OPTION_WINDOW},
    {"wait", required_argument, NULL, OPTION_WAIT},
    {"unordered", no_argument, NULL, OPTION_UNORDERED},
    {"delimiter", no_argument, NULL, OPTION_DELIMITER},
    {"one-by-one", no_argument, NULL, OPTION_ONE_BY_ONE},
    {"unlimited", no_argument, NULL, OPTION_UNLIMITED},
    {"events", no_argument, NULL, OPTION_EVENTS},
    {"handshake-ms", required_argument, NULL, OPTION_HANDSHAKE_MS},
    {"hwm", required_argument, NULL, OPTION_HWM},
    {"pause-every", required_argument, NULL, OPTION_PAUSE_EVERY},
    {"identity", required_argument, NULL, OPTION_IDENTITY},
    {"opt", required_argument, NULL, OPTION_OPT},
    {"to", required_argument, NULL, OPTION_TO},
    {NULL, 0, NULL, 0},
};

static void set_flag(struct peer_options *o, enum option_id id)
{
    o->shape.no_empty |= id == OPTION_NO_EMPTY;
    o->unordered |= id == OPTION_UNORDERED;
    o->delimiter |= id == OPTION_DELIMITER;
    o->one_by_one |= id == OPTION_ONE_BY_ONE;
    o->unlimited |= id == OPTION_UNLIMITED;
    o->events |= id == OPTION_EVENTS;
}

static void set_number(struct peer_options *o, enum option_id id, const char *value)
{
    uint64_t n = number(value);
    if (id == OPTION_COUNT)
        o->count = n;
    else if (id == OPTION_SENDERS)
        o->senders = (uint32_t)n;
    else if (id == OPTION_SENDER)
        o->sender = (uint32_t)n;
    else if (id == OPTION_WINDOW)
        o->window = (uint32_t)n;
    else if (id == OPTION_WAIT)
        o->wait = (uint32_t)n;
    else if (id == OPTION_HANDSHAKE_MS)
        o->handshake_ms = (uint32_t)n;
    else if (id == OPTION_HWM)
        o->hwm_msgs = (uint32_t)n;
    else
        o->pause_every = n;
}

static void add_setting(struct peer_options *o, char *text)
{
    char *equals = strchr(text, '=');
    if (equals == NULL || o->setting_cnt == PEER_SETTING_MAX)
        refuse("--opt NAME=VALUE, not too many");
    *equals = '\0';
    o->settings[o->setting_cnt].name = text;
    o->settings[o->setting_cnt++].value = equals + 1;
}

static void set_text(struct peer_options *o, enum option_id id, char *value)
{
    struct mcq_frame bytes = {value, strlen(value)};
    if (id == OPTION_BIND || id == OPTION_CONNECT)
        add_endpoint(o, value, id == OPTION_BIND);
    else if (id == OPTION_SIZE)
        set_size(&o->shape, value);
    else if (id == OPTION_PARTS)
        set_parts(&o->shape, value);
    else if (id == OPTION_PLANT)
        o->plant = parse_plant(value);
    else if (id == OPTION_IDENTITY)
        o->identity = bytes;
    else if (id == OPTION_OPT)
        add_setting(o, value);
    else
        o->to = bytes;
}

static bool is_text(enum option_id id)
{
    return id == OPTION_BIND || id == OPTION_CONNECT || id == OPTION_SIZE || id == OPTION_PARTS ||
           id == OPTION_PLANT || id == OPTION_IDENTITY || id == OPTION_TO || id == OPTION_OPT;
}

static void set_option(struct peer_options *o, int option)
{
    if (option == '?')
        refuse("unknown option");
    else if (optarg == NULL)
        set_flag(o, (enum option_id)option);
    else if (is_text((enum option_id)option))
        set_text(o, (enum option_id)option, optarg);
    else
        set_number(o, (enum option_id)option, optarg);
}

void peer_options_parse(struct peer_options *o, int argc, char **argv)
{
    static const char *const roles[] = {"send", "receive", "ask", "echo"};
    static const char *const types[] = {
        [MCQ_PAIR] = "PAIR", [MCQ_PUB] = "PUB",       [MCQ_SUB] = "SUB",   [MCQ_REQ] = "REQ",
        [MCQ_REP] = "REP",   [MCQ_DEALER] = "DEALER", [MCQ_PULL] = "PULL", [MCQ_ROUTER] = "ROUTER",
        [MCQ_PUSH] = "PUSH", [MCQ_XPUB] = "XPUB",     [MCQ_XSUB] = "XSUB"};
    *o = (struct peer_options){.count = 10000, .senders = 1, .window = 100};
    o->shape.mixed = true;
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
        set_option(o, option);
    if (argc - optind != 2)
        refuse("a role and a type are wanted");
    o->role = (enum peer_role)place(argv[optind], roles, 4, "send, receive, ask or echo");
    o->type = (enum mcq_sock_type)place(argv[optind + 1], types, MCQ_XSUB + 1, "no such type");
    if (o->type == MCQ_REQ)
        o->window = 1;
    if (o->senders > 1 || o->unordered)
        o->shape.no_empty = true;
}
