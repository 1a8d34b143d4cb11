/* Options: what the command line asks for. */
#ifndef MCQ_PROXY_OPTIONS_H
#define MCQ_PROXY_OPTIONS_H

#include <monocoque.h>

enum side { SIDE_FRONT = 0, SIDE_BACK, SIDE_CAPTURE, SIDE_CONTROL, SIDE_CNT };

/* What a side is called in options and messages. */
extern const char *const side_names[SIDE_CNT];

struct proxy_endpoint {
    enum side side;
    const char *text;
    bool bind; /* else connect */
};

struct proxy_options {
    enum mcq_sock_type types[SIDE_CNT]; /* capture: 0 if there is none; control: REP */
    struct mcq_sock_opts socks[SIDE_CNT];
    struct proxy_endpoint *endpoints; /* in the order given */
    uint32_t endpoint_cnt;
    uint64_t stats_ns; /* between two lines of statistics, 0: none */
};

/* Fills both from the command line, whose strings are borrowed. --help ends the program with 0,
 * a mistake with 2 and a line that names it. */
void proxy_options_parse(struct proxy_options *options, struct mcq_opts *run, int argc,
                         char **argv);

#endif
