/* Options: what the command line asks for. */
#ifndef MCQ_CAT_OPTIONS_H
#define MCQ_CAT_OPTIONS_H

#include <monocoque.h>

struct cat_endpoint {
    const char *text;
    bool bind; /* else connect */
};

/* An option of the socket's, as mcq_sock_opts_set takes it. */
struct cat_setting {
    const char *name, *value;
};

struct cat_options {
    enum mcq_sock_type type;
    const char *type_name; /* upper case */
    bool echo;
    bool hex;
    uint64_t count; /* messages until the end, 0: no limit */
    uint32_t wait;  /* peers, or subscriptions for PUB and XPUB, before the first message is sent */
    uint64_t timeout_ns; /* of nothing happening, 0: none */
    struct mcq_frame identity;
    struct cat_endpoint *endpoints; /* in the order given, at least one */
    uint32_t endpoint_cnt;
    struct mcq_frame *prefixes;
    uint32_t prefix_cnt;
    struct cat_setting *settings;
    uint32_t setting_cnt;
};

/* What a type does with messages. */
bool cat_type_sends(enum mcq_sock_type type);
bool cat_type_receives(enum mcq_sock_type type);

/* Fills both from the command line, whose strings are borrowed. --help ends the program with 0,
 * a mistake with 2 and a line that names it. */
void cat_options_parse(struct cat_options *options, struct mcq_opts *run, int argc, char **argv);

#endif
