/* The options of a socket: one table says what each is called, may be and defaults to. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mem/detail.h"
#include "mem/slice.h"
#include "shards/options.h"
#include "shards/zmq_names.h"

#define KIB                  1024u
#define MIB                  (1024u * KIB)
#define NUMBER_MAX           (MCQ_UNLIMITED - 1)
#define MS_MAX               86400000u /* a day */
#define HEARTBEAT_TTL_MAX_MS 6553500u  /* RFC 37: 16 bits of tenths of a second */
#define STEER_LEN_MAX        (MCQ_STEER_RULES_MAX * MCQ_STEER_RULE_TEXT_LEN)
#define OF(type)             (1u << (type))
#define ALL                  (~0u)
#define PUBLISHERS           (OF(MCQ_PUB) | OF(MCQ_XPUB))

enum kind { NUMBER, BOOL, NAMED, BYTES, TEXT };

static const char *const slow_names[] = {"default",  "block",      "drop-new", "drop-old",
                                         "conflate", "disconnect", NULL};
static const char *const identity_names[] = {"reject", "replace", NULL};
static const char *const placement_names[] = {"none", "least", "handler", NULL};

/* NUMBER: 0 becomes dflt; of MCQ_NONE and MCQ_UNLIMITED at most `word` has a meaning, and becomes
 * `as`. NAMED: values of an enum. BYTES: a pointer and its length behind it. */
struct option {
    const char *name;
    size_t at; /* in struct mcq_sock_opts */
    enum kind kind;
    uint32_t types; /* of socket that have it */
    uint32_t dflt, max, word, as;
    const char *const *names;
};

#define AT(field)          #field, offsetof(struct mcq_sock_opts, field)
#define WORDLESS           0, 0, NULL
#define NONE_IS(as)        MCQ_NONE, (as), NULL
#define FLAG(field, types) AT(field), BOOL, (types), 0, 1, WORDLESS

static const struct option options[] = {
    {AT(identity), BYTES, OF(MCQ_REQ) | OF(MCQ_DEALER) | OF(MCQ_ROUTER), 0, MCQ_IDENTITY_LEN_MAX,
     WORDLESS},
    {AT(send_hwm_msgs), NUMBER, ALL, 1000, NUMBER_MAX, MCQ_UNLIMITED, MCQ_UNLIMITED, NULL},
    {AT(send_hwm_bytes), NUMBER, ALL, 8 * MIB, NUMBER_MAX, WORDLESS},
    {AT(recv_hwm_bytes), NUMBER, ALL, 256 * KIB, NUMBER_MAX, WORDLESS},
    {AT(recv_hwm_msgs), NUMBER, ALL, 1000, NUMBER_MAX, MCQ_UNLIMITED, MCQ_UNLIMITED, NULL},
    {AT(frame_max_bytes), NUMBER, ALL, 64 * MIB, NUMBER_MAX, WORDLESS},
    {AT(msg_max_bytes), NUMBER, ALL, 64 * MIB + 64 * KIB, NUMBER_MAX, WORDLESS},
    {AT(msg_frames_max), NUMBER, ALL, MCQ_FRAME_CNT_MAX, MCQ_FRAME_CNT_MAX, WORDLESS},
    {AT(handshake_ms), NUMBER, ALL, 10000, NUMBER_MAX, WORDLESS},
    {AT(linger_ms), NUMBER, ALL, 1000, NUMBER_MAX, NONE_IS(0)},
    {AT(reconnect_min_ms), NUMBER, ALL, 100, NUMBER_MAX, WORDLESS},
    {AT(reconnect_max_ms), NUMBER, ALL, 5000, NUMBER_MAX, WORDLESS},
    {AT(request_timeout_ms), NUMBER, OF(MCQ_REQ), MCQ_NONE, NUMBER_MAX, NONE_IS(MCQ_NONE)},
    {AT(subs_max), NUMBER, PUBLISHERS, 10000, NUMBER_MAX, WORDLESS},
    {AT(subs_max_bytes), NUMBER, PUBLISHERS, MIB, NUMBER_MAX, WORDLESS},
    {AT(subs_sock_max), NUMBER, PUBLISHERS, NUMBER_MAX, NUMBER_MAX, WORDLESS},
    {AT(subs_sock_max_bytes), NUMBER, PUBLISHERS, 64 * MIB, NUMBER_MAX, WORDLESS},
    {AT(notsent_lowat_bytes), NUMBER, ALL, 512 * KIB, NUMBER_MAX, NONE_IS(0)},
    {AT(backlog), NUMBER, ALL, 1024, INT32_MAX, WORDLESS},
    {AT(slow), NAMED, ALL, 0, MCQ_SLOW_DISCONNECT, 0, 0, slow_names},
    {FLAG(immediate, ALL)},
    {AT(connect_timeout_ms), NUMBER, ALL, 0, MS_MAX, WORDLESS},
    {FLAG(stop_on_refused, ALL)},
    {AT(heartbeat_ms), NUMBER, ALL, 0, MS_MAX, NONE_IS(0)},
    {AT(heartbeat_timeout_ms), NUMBER, ALL, 0, MS_MAX, WORDLESS},
    {AT(heartbeat_ttl_ms), NUMBER, ALL, 0, HEARTBEAT_TTL_MAX_MS, NONE_IS(0)},
    {AT(tcp_user_timeout_ms), NUMBER, ALL, 0, MS_MAX, NONE_IS(0)},
    {AT(keepalive_idle_s), NUMBER, ALL, 0, 32767, WORDLESS},
    {AT(keepalive_interval_s), NUMBER, ALL, 0, 32767, WORDLESS},
    {AT(keepalive_cnt), NUMBER, ALL, 0, 127, WORDLESS},
    {AT(send_buffer_bytes), NUMBER, ALL, 0, INT32_MAX, WORDLESS},
    {AT(recv_buffer_bytes), NUMBER, ALL, 0, INT32_MAX, WORDLESS},
    {AT(tos), NUMBER, ALL, 0, 255, WORDLESS},
    {AT(device), TEXT, ALL, 0, MCQ_DEVICE_LEN_MAX, WORDLESS},
    {AT(zmtp_min), NUMBER, ALL, MCQ_ZMTP_2_0, MCQ_ZMTP_3_0, WORDLESS},
    {FLAG(req_correlate, OF(MCQ_REQ))},
    {FLAG(req_relaxed, OF(MCQ_REQ))},
    {FLAG(router_mandatory, OF(MCQ_ROUTER))},
    {AT(identity_policy), NAMED, OF(MCQ_ROUTER), 0, MCQ_IDENTITY_REPLACE, 0, 0, identity_names},
    {FLAG(probe, OF(MCQ_ROUTER) | OF(MCQ_DEALER) | OF(MCQ_REQ))},
    {FLAG(verbose, OF(MCQ_XPUB))},
    {FLAG(verboser, OF(MCQ_XPUB))},
    {FLAG(manual, OF(MCQ_XPUB))},
    {FLAG(invert_matching, PUBLISHERS | OF(MCQ_SUB))},
    {AT(welcome), BYTES, PUBLISHERS, 0, MCQ_WELCOME_LEN_MAX, WORDLESS},
    {AT(logical), TEXT, ALL & ~OF(MCQ_PAIR), 0, MCQ_LOGICAL_LEN_MAX, WORDLESS},
    {AT(steer), TEXT, ALL & ~OF(MCQ_PAIR), 0, STEER_LEN_MAX, WORDLESS},
    {AT(placement), NAMED, ALL & ~OF(MCQ_PAIR), 0, MCQ_PLACEMENT_HANDLER, 0, 0, placement_names},
};

_Static_assert(offsetof(struct mcq_sock_opts, identity_len) ==
                       offsetof(struct mcq_sock_opts, identity) + sizeof(void *) &&
                   offsetof(struct mcq_sock_opts, welcome_len) ==
                       offsetof(struct mcq_sock_opts, welcome) + sizeof(void *),
               "BYTES: the length is behind the pointer");

static void *field(struct mcq_sock_opts *o, const struct option *opt)
{
    return (char *)o + opt->at;
}

static size_t *bytes_len(struct mcq_sock_opts *o, const struct option *opt)
{
    void *at = (char *)o + opt->at + sizeof(void *);
    return at;
}

/* --- checking ------------------------------------------------------------------------------ */

static enum mcq_error number_check(uint32_t *value, const struct option *opt,
                                   struct mcq_detail *detail)
{
    uint32_t v = *value == 0 ? opt->dflt : *value;
    if (opt->word != 0 && v == opt->word) {
        *value = opt->as;
        return MCQ_OK;
    }
    if (v == MCQ_NONE || v == MCQ_UNLIMITED)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "%s: it can't be %s: set a number up to %u",
                              opt->name, v == MCQ_NONE ? "MCQ_NONE" : "MCQ_UNLIMITED", opt->max);
    if (v > opt->max)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "%s: %u is above %u", opt->name, v, opt->max);
    *value = v;
    return MCQ_OK;
}

static enum mcq_error bytes_check(struct mcq_sock_opts *o, const struct option *opt,
                                  struct mcq_detail *detail)
{
    const void **data = field(o, opt);
    size_t len = *bytes_len(o, opt);
    if (len != 0 && *data == NULL)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "%s: NULL, but %s_len is %zu", opt->name,
                              opt->name, len);
    if (len > opt->max)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "%s_len: %zu is above %u", opt->name, len,
                              opt->max);
    return MCQ_OK;
}

static enum mcq_error text_check(const char **text, const struct option *opt,
                                 struct mcq_detail *detail)
{
    if (*text != NULL && (*text)[0] == '\0')
        *text = NULL;
    if (*text != NULL && strnlen(*text, opt->max + 1u) > opt->max)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "%s: '%.32s...' is longer than %u bytes",
                              opt->name, *text, opt->max);
    return MCQ_OK;
}

static enum mcq_error named_check(const uint32_t *value, const struct option *opt,
                                  struct mcq_detail *detail)
{
    if (*value > opt->max)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "%s: %u is no value of it", opt->name, *value);
    return MCQ_OK;
}

static bool is_set(struct mcq_sock_opts *o, const struct option *opt)
{
    const void *at = field(o, opt);
    switch (opt->kind) {
    case BOOL:
        return *(const bool *)at;
    case BYTES:
        return *bytes_len(o, opt) != 0;
    case TEXT:
        return *(const char *const *)at != NULL;
    case NUMBER:
    case NAMED:
        return *(const uint32_t *)at != 0;
    }
    return false;
}

static enum mcq_error option_check(struct mcq_sock_opts *o, const struct option *opt,
                                   enum mcq_sock_type type, struct mcq_detail *detail)
{
    if ((opt->types & OF(type)) == 0 && is_set(o, opt))
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "%s: a socket of this type has no such option",
                              opt->name);
    switch (opt->kind) {
    case BOOL:
        return MCQ_OK;
    case BYTES:
        return bytes_check(o, opt, detail);
    case TEXT:
        return text_check(field(o, opt), opt, detail);
    case NUMBER:
        return number_check(field(o, opt), opt, detail);
    case NAMED:
        return named_check(field(o, opt), opt, detail);
    }
    return MCQ_OK;
}

/* --- what each allows alone may still contradict another ------------------------------------- */

/* RFC 23, 37: a first byte of zero is reserved for generated identities. */
static enum mcq_error identity_check(const struct mcq_sock_opts *o, struct mcq_detail *detail)
{
    const uint8_t *id = o->identity;
    if (o->identity_len != 0 && id[0] == 0)
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "identity: a first byte of 0 is reserved for generated identities: "
                              "start with another");
    return MCQ_OK;
}

static enum mcq_error pairs_check(const struct mcq_sock_opts *o, bool frame_max_set,
                                  struct mcq_detail *detail)
{
    if (o->reconnect_min_ms > o->reconnect_max_ms)
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "reconnect_min_ms: %u is above reconnect_max_ms, %u: set both",
                              o->reconnect_min_ms, o->reconnect_max_ms);
    if (frame_max_set && o->frame_max_bytes > o->msg_max_bytes)
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "frame_max_bytes: %u is above msg_max_bytes, %u: set both",
                              o->frame_max_bytes, o->msg_max_bytes);
    if (o->heartbeat_ms == 0 && (o->heartbeat_timeout_ms != 0 || o->heartbeat_ttl_ms != 0))
        return mcq_detail_set(
            detail, MCQ_EINVAL, 0, "%s: it needs heartbeat_ms, which says how often",
            o->heartbeat_ttl_ms != 0 ? "heartbeat_ttl_ms" : "heartbeat_timeout_ms");
    return MCQ_OK;
}

static enum mcq_error slow_check(const struct mcq_sock_opts *o, enum mcq_sock_type type,
                                 struct mcq_detail *detail)
{
    bool blocks = type == MCQ_REQ || type == MCQ_SUB || type == MCQ_PULL;
    if (blocks && o->slow > MCQ_SLOW_BLOCK)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "slow: a socket of this type can only %s",
                              slow_names[MCQ_SLOW_BLOCK]);
    if (type == MCQ_REP && o->slow == MCQ_SLOW_BLOCK)
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "slow: a reply never waits (RFC 28): choose a drop or disconnect");
    return MCQ_OK;
}

static enum mcq_error zmtp_check(const struct mcq_sock_opts *o, struct mcq_detail *detail)
{
    if (o->zmtp_min != MCQ_ZMTP_1_0 && o->zmtp_min != MCQ_ZMTP_2_0 && o->zmtp_min != MCQ_ZMTP_3_0)
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "zmtp_min: %u is none of MCQ_ZMTP_1_0, MCQ_ZMTP_2_0, MCQ_ZMTP_3_0",
                              o->zmtp_min);
    return MCQ_OK;
}

static enum mcq_error steer_check(const struct mcq_sock_opts *o, struct mcq_detail *detail)
{
    if (o->logical == NULL && (o->steer != NULL || o->steering != NULL))
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "%s: only the members of a logical socket are chosen among: set "
                              "`logical`, too",
                              o->steer != NULL ? "steer" : "steering");
    return MCQ_OK;
}

/* Defaults that follow another option. */
static void follow(struct mcq_sock_opts *o, enum mcq_sock_type type)
{
    if (o->connect_timeout_ms == 0)
        o->connect_timeout_ms = o->handshake_ms;
    if (o->heartbeat_timeout_ms == 0)
        o->heartbeat_timeout_ms = o->heartbeat_ms;
    o->req_correlate = o->req_correlate || o->req_relaxed;
    o->verbose = o->verbose || o->verboser;
    if (o->slow != MCQ_SLOW_DEFAULT)
        return;
    bool drops = type == MCQ_PUB || type == MCQ_XPUB || type == MCQ_XSUB || type == MCQ_REP ||
                 (type == MCQ_ROUTER && !o->router_mandatory);
    o->slow = drops ? MCQ_SLOW_DROP_NEW : MCQ_SLOW_BLOCK;
}

enum mcq_error mcq_sock_opts_effective(const struct mcq_sock_opts *opts, enum mcq_sock_type type,
                                       struct mcq_sock_opts *out, struct mcq_detail *detail)
{
    const struct mcq_sock_opts none = MCQ_SOCK_OPTS_INIT;
    if (opts == NULL)
        opts = &none;
    *out = (struct mcq_sock_opts){0};
    enum mcq_error err =
        mcq_opts_sized_copy("struct mcq_sock_opts", out, sizeof(*out), opts, opts->size, detail);
    bool frame_max_set = out->frame_max_bytes != 0;
    for (size_t i = 0; err == MCQ_OK && i < MCQ_CNT_OF(options); i++)
        err = option_check(out, &options[i], type, detail);
    if (err == MCQ_OK)
        err = identity_check(out, detail);
    if (err == MCQ_OK)
        err = pairs_check(out, frame_max_set, detail);
    if (err == MCQ_OK)
        err = slow_check(out, type, detail);
    if (err == MCQ_OK)
        err = zmtp_check(out, detail);
    if (err == MCQ_OK)
        err = steer_check(out, detail);
    if (err == MCQ_OK)
        follow(out, type);
    return err;
}

/* --- by name ------------------------------------------------------------------------------- */

static const struct option *option_of(const char *name)
{
    for (size_t i = 0; i < MCQ_CNT_OF(options); i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

static enum mcq_error number_read(uint32_t *value, const struct option *opt, const char *text,
                                  struct mcq_detail *detail)
{
    char *end = NULL;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (strcmp(text, "none") == 0)
        *value = MCQ_NONE;
    else if (strcmp(text, "unlimited") == 0)
        *value = MCQ_UNLIMITED;
    else if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || v > NUMBER_MAX)
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "%s: '%.32s' is no number up to %u, nor none or unlimited", opt->name,
                              text, opt->max);
    else
        *value = (uint32_t)v;
    return MCQ_OK;
}

static enum mcq_error bool_read(bool *value, const struct option *opt, const char *text,
                                struct mcq_detail *detail)
{
    bool on = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    if (!on && strcmp(text, "false") != 0 && strcmp(text, "0") != 0)
        return mcq_detail_set(detail, MCQ_EINVAL, 0, "%s: '%.32s' is neither true nor false",
                              opt->name, text);
    *value = on;
    return MCQ_OK;
}

static enum mcq_error named_read(uint32_t *value, const struct option *opt, const char *text,
                                 struct mcq_detail *detail)
{
    for (uint32_t i = 0; opt->names[i] != NULL; i++)
        if (strcmp(opt->names[i], text) == 0) {
            *value = i;
            return MCQ_OK;
        }
    return mcq_detail_set(detail, MCQ_EINVAL, 0, "%s: '%.32s' is no value of it, as %s is",
                          opt->name, text, opt->names[1]);
}

static enum mcq_error unknown(const char *name, struct mcq_detail *detail)
{
    const char *ours = NULL;
    const char *why = NULL;
    if (!mcq_zmq_name_find(name, &ours, &why))
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "'%.64s' is no option of a socket: docs/OPTIONS.md lists them", name);
    if (ours == NULL)
        return mcq_detail_set(detail, MCQ_ENOTSUP, 0, "%s: there is none: %s", name, why);
    return mcq_detail_set(detail, MCQ_ENOTSUP, 0, "%s: here it is %s: %s", name, ours, why);
}

static size_t option_len(const struct option *opt)
{
    switch (opt->kind) {
    case NUMBER:
    case NAMED:
        return sizeof(uint32_t);
    case BOOL:
        return sizeof(bool);
    case BYTES:
        return sizeof(void *) + sizeof(size_t);
    case TEXT:
        return sizeof(void *);
    }
    return 0;
}

/* The struct is as long as its program knows it, which may be of an older version. */
static enum mcq_error room_check(const struct mcq_sock_opts *opts, const struct option *opt,
                                 struct mcq_detail *detail)
{
    if (opts->size >= opt->at + option_len(opt))
        return MCQ_OK;
    return mcq_detail_set(detail, MCQ_EINVAL, 0,
                          "%s: this program's struct mcq_sock_opts has %zu bytes and no such "
                          "option: start from its _INIT macro, or build it with this version",
                          opt->name, opts->size);
}

enum mcq_error mcq_sock_opts_set(struct mcq_sock_opts *opts, const char *name, const char *value,
                                 struct mcq_detail *detail)
{
    const struct option *opt = option_of(name);
    if (opt == NULL)
        return unknown(name, detail);
    if (room_check(opts, opt, detail) != MCQ_OK)
        return MCQ_EINVAL;
    void *at = field(opts, opt);
    switch (opt->kind) {
    case NUMBER:
        return number_read(at, opt, value, detail);
    case BOOL:
        return bool_read(at, opt, value, detail);
    case NAMED:
        return named_read(at, opt, value, detail);
    case BYTES:
        *bytes_len(opts, opt) = strlen(value);
        break;
    case TEXT:
        break;
    }
    *(const char **)at = value;
    return MCQ_OK;
}
