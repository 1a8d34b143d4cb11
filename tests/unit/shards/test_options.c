#include "mem/base.h"
#include "shards/options.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- helpers ------------------------------------------------------------------------------- */

static struct mcq_opts opts_good(const struct mcq_opts *opts)
{
    struct mcq_opts out;
    struct mcq_detail detail = {.text = ""};
    memset(&out, 0xa5, sizeof(out));
    cr_assert_eq(mcq_opts_effective(opts, &out, &detail), MCQ_OK, "%s", detail.text);
    return out;
}

static void opts_bad(const struct mcq_opts *opts, enum mcq_error code, const char *says)
{
    struct mcq_opts out;
    struct mcq_detail detail = {.text = ""};
    cr_assert_eq(mcq_opts_effective(opts, &out, &detail), code, "%s: %s", says, detail.text);
    cr_assert_eq(detail.code, code);
    cr_assert_not_null(strstr(detail.text, says), "'%s' lacks '%s'", detail.text, says);
    cr_assert_eq(mcq_opts_effective(opts, &out, NULL), code);
}

static struct mcq_sock_opts sock_good(const struct mcq_sock_opts *opts, enum mcq_sock_type type)
{
    struct mcq_sock_opts out;
    struct mcq_detail detail = {.text = ""};
    memset(&out, 0xa5, sizeof(out));
    cr_assert_eq(mcq_sock_opts_effective(opts, type, &out, &detail), MCQ_OK, "%s", detail.text);
    return out;
}

static void sock_bad(const struct mcq_sock_opts *opts, enum mcq_sock_type type, const char *says)
{
    struct mcq_sock_opts out;
    struct mcq_detail detail = {.text = ""};
    cr_assert_eq(mcq_sock_opts_effective(opts, type, &out, &detail), MCQ_EINVAL, "%s", says);
    cr_assert_eq(strncmp(detail.text, says, strlen(says)), 0, "'%s' doesn't name '%s'", detail.text,
                 says);
}

/* --- the app's ----------------------------------------------------------------------------- */

Test(options, defaults_as_documented)
{
    struct mcq_opts init = MCQ_OPTS_INIT;
    unsetenv("MCQ_URING_FEATURES");
    unsetenv("MCQ_RING");
    for (int i = 0; i < 2; i++) {
        struct mcq_opts out = opts_good(i == 0 ? &init : NULL);
        cr_assert_eq(out.size, sizeof(out));
        cr_assert_eq(out.shards, 1);
        cr_assert_null(out.cpus);
        cr_assert_eq(out.idle, MCQ_IDLE_SPIN_BLOCK);
        cr_assert_eq(out.idle_spin_ns, 50000);
        cr_assert_eq(out.ring, MCQ_RING_AUTO);
        cr_assert_eq(out.sqpoll_idle_ms, 0);
        cr_assert_eq(out.napi_busy_us, 0);
        cr_assert_not(out.napi_prefer);
        cr_assert_eq(out.arena_bytes, 128u << 20);
        cr_assert_eq(out.large_bytes, 128u << 20);
        cr_assert_eq(out.connections_max, 0);
        cr_assert_null(out.uring_features);
        cr_assert_not(out.no_signals);
        cr_assert_not(out.no_mlock);
        cr_assert_null(out.log);
        cr_assert_eq(out.log_level, MCQ_LOG_ERROR);
        cr_assert_eq(out.smt, MCQ_SMT_LEAVE);
        cr_assert_null(out.nic);
        cr_assert_null(out.sqpoll_cpus);
        cr_assert_eq(out.sqpoll_share, 1);
        cr_assert_eq(out.numa, MCQ_NUMA_PREFER);
    }
}

Test(options, what_is_set_stays)
{
    int ctx;
    struct mcq_opts o = MCQ_OPTS_INIT;
    o.shards = 1;
    o.cpus = "3";
    o.idle = MCQ_IDLE_BLOCK;
    o.idle_spin_ns = 7;
    o.ring = MCQ_RING_DEFER;
    o.arena_bytes = 16 << 20;
    o.large_bytes = 2 << 20;
    o.connections_max = 16384;
    o.uring_features = "-inc";
    o.no_signals = o.no_mlock = true;
    o.log = mcq_log_stderr;
    o.log_ctx = &ctx;
    o.log_level = MCQ_LOG_DEBUG;
    o.smt = MCQ_SMT_USE;
    o.nic = "eth0";
    o.sqpoll_cpus = "4";
    o.sqpoll_share = 7;
    o.numa = MCQ_NUMA_OFF;
    o.sqpoll_idle_ms = 60000;
    o.napi_busy_us = 1000000;
    o.napi_prefer = true;
    struct mcq_opts out = opts_good(&o);
    cr_assert_arr_eq(&out, &o, sizeof(o));
}

Test(options, uring_features_default_to_the_environment)
{
    struct mcq_opts o = MCQ_OPTS_INIT;
    setenv("MCQ_URING_FEATURES", "6.1", 1);
    cr_assert_str_eq(opts_good(&o).uring_features, "6.1");
    o.uring_features = "-inc";
    cr_assert_str_eq(opts_good(&o).uring_features, "-inc");
    o.uring_features = ""; /* explicitly nothing */
    cr_assert_null(opts_good(&o).uring_features);
    o.uring_features = NULL;
    setenv("MCQ_URING_FEATURES", "", 1);
    cr_assert_null(opts_good(&o).uring_features);
}

Test(options, what_this_version_lacks_is_refused_not_ignored)
{
    struct mcq_opts o = MCQ_OPTS_INIT;
    o.shards = MCQ_SHARDS_MAX + 1;
    opts_bad(&o, MCQ_EINVAL, "shards: ");
}

Test(options, ring_defaults_to_the_environment)
{
    struct mcq_opts o = MCQ_OPTS_INIT;
    setenv("MCQ_RING", "sqpoll", 1);
    cr_assert_eq(opts_good(&o).ring, MCQ_RING_SQPOLL);
    o.ring = MCQ_RING_DEFER;
    cr_assert_eq(opts_good(&o).ring, MCQ_RING_DEFER);
    o.ring = MCQ_RING_AUTO;
    setenv("MCQ_RING", "", 1);
    cr_assert_eq(opts_good(&o).ring, MCQ_RING_AUTO);
    setenv("MCQ_RING", "sqpol", 1);
    opts_bad(&o, MCQ_EINVAL, "environment MCQ_RING: 'sqpol'");
}

Test(options, values_out_of_range)
{
    struct mcq_opts o = MCQ_OPTS_INIT;
    o.connections_max = 16385;
    opts_bad(&o, MCQ_EINVAL, "connections_max: ");
    o = (struct mcq_opts)MCQ_OPTS_INIT;
    o.idle = (enum mcq_idle)(MCQ_IDLE_BLOCK + 1);
    opts_bad(&o, MCQ_EINVAL, "idle: ");
    o = (struct mcq_opts)MCQ_OPTS_INIT;
    o.idle_spin_ns = MCQ_IDLE_SPIN_NS_MAX + 1;
    opts_bad(&o, MCQ_EINVAL, "idle_spin_ns: ");
    o = (struct mcq_opts)MCQ_OPTS_INIT;
    o.ring = (enum mcq_ring_mode)(MCQ_RING_SQPOLL + 1);
    opts_bad(&o, MCQ_EINVAL, "ring: ");
    o = (struct mcq_opts)MCQ_OPTS_INIT;
    o.sqpoll_idle_ms = 60001;
    opts_bad(&o, MCQ_EINVAL, "sqpoll_idle_ms: ");
    o = (struct mcq_opts)MCQ_OPTS_INIT;
    o.napi_prefer = true;
    opts_bad(&o, MCQ_EINVAL, "napi_prefer: ");
    o.napi_busy_us = 1000001;
    opts_bad(&o, MCQ_EINVAL, "napi_busy_us: ");
    o = (struct mcq_opts)MCQ_OPTS_INIT;
    o.log_level = (enum mcq_log_level)(MCQ_LOG_DEBUG + 1);
    opts_bad(&o, MCQ_EINVAL, "log_level: ");
    o = (struct mcq_opts)MCQ_OPTS_INIT;
    o.arena_bytes = 128; /* MiB were meant */
    opts_bad(&o, MCQ_EINVAL, "arena_bytes: ");
    o.arena_bytes = (16 << 20) - 1;
    opts_bad(&o, MCQ_EINVAL, "arena_bytes: ");
    o.arena_bytes = UINT64_MAX;
    opts_bad(&o, MCQ_EINVAL, "arena_bytes: ");
    o = (struct mcq_opts)MCQ_OPTS_INIT;
    o.large_bytes = (1ull << 40) + 1;
    opts_bad(&o, MCQ_EINVAL, "large_bytes: ");
    o.large_bytes = (256 << 10) - 1;
    opts_bad(&o, MCQ_EINVAL, "large_bytes: ");
    o = (struct mcq_opts)MCQ_OPTS_INIT;
    o.cpus = "0,x";
    opts_bad(&o, MCQ_EINVAL, "cpus: '0,x'");
    o = (struct mcq_opts)MCQ_OPTS_INIT;
    o.sqpoll_cpus = "1,1";
    opts_bad(&o, MCQ_EINVAL, "sqpoll_cpus: '1,1'");
    o = (struct mcq_opts)MCQ_OPTS_INIT;
    o.smt = (enum mcq_smt)(MCQ_SMT_USE + 1);
    opts_bad(&o, MCQ_EINVAL, "smt: ");
    o = (struct mcq_opts)MCQ_OPTS_INIT;
    o.numa = (enum mcq_numa)(MCQ_NUMA_OFF + 1);
    opts_bad(&o, MCQ_EINVAL, "numa: ");
    o = (struct mcq_opts)MCQ_OPTS_INIT;
    o.sqpoll_share = MCQ_SHARDS_MAX + 1;
    opts_bad(&o, MCQ_EINVAL, "sqpoll_share: ");
    static const char *const nics[] = {"", "..", "a/b", "a b"};
    for (size_t i = 0; i < MCQ_CNT_OF(nics); i++) {
        o = (struct mcq_opts)MCQ_OPTS_INIT;
        o.nic = nics[i];
        opts_bad(&o, MCQ_EINVAL, "nic: ");
    }
}

/* --- struct sizes -------------------------------------------------------------------------- */

Test(options, an_older_struct_lacks_the_last_fields)
{
    struct mcq_opts o = MCQ_OPTS_INIT;
    o.cpus = "2";
    o.arena_bytes = 12345; /* beyond the end of the older struct: not an option */
    o.connections_max = 99999;
    o.size = offsetof(struct mcq_opts, arena_bytes);
    struct mcq_opts out = opts_good(&o);
    cr_assert_str_eq(out.cpus, "2");
    cr_assert_eq(out.arena_bytes, 128u << 20);
    cr_assert_eq(out.connections_max, 0);
    cr_assert_eq(out.size, sizeof(out));
}

/* Hidden from the compiler, which would rightly say that a struct of that length is none. */
__attribute__((noipa)) static void *shorter(size_t size)
{
    size_t *o = calloc(1, size); /* the sanitizer watches its end */
    cr_assert_not_null(o);
    *o = size;
    return o;
}

Test(options, no_byte_past_the_size_is_read)
{
    struct mcq_opts *o = shorter(offsetof(struct mcq_opts, cpus));
    struct mcq_sock_opts *s = shorter(offsetof(struct mcq_sock_opts, identity_len));
    opts_good(o);
    sock_good(s, MCQ_PUSH);
    free(o);
    free(s);
}

Test(options, a_newer_struct_may_have_only_zeros_behind)
{
    struct {
        struct mcq_opts o;
        unsigned char later[24];
    } newer = {.o = MCQ_OPTS_INIT};
    newer.o.size = sizeof(newer);
    opts_good(&newer.o);
    newer.later[23] = 1;
    opts_bad(&newer.o, MCQ_EINVAL, "doesn't know");
    newer.o.size--;
    opts_good(&newer.o);
}

Test(options, a_struct_nobody_set_up)
{
    struct mcq_opts o = MCQ_OPTS_INIT;
    struct mcq_sock_opts s = MCQ_SOCK_OPTS_INIT;
    static const size_t sizes[] = {0, 1, sizeof(size_t) - 1, 4097, SIZE_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        o.size = s.size = sizes[i];
        opts_bad(&o, MCQ_EINVAL, "struct mcq_opts: ");
        sock_bad(&s, MCQ_PUSH, "struct mcq_sock_opts: ");
    }
}

/* --- cpus ---------------------------------------------------------------------------------- */

static void cpus_bad(const char *text, const char *says)
{
    uint32_t cpus[MCQ_CPUS_MAX], cnt = 77;
    struct mcq_detail detail = {.text = ""};
    cr_assert_eq(mcq_cpus_parse(text, cpus, &cnt, &detail), MCQ_EINVAL, "'%s'", text);
    cr_assert_eq(cnt, 0);
    cr_assert_not_null(strstr(detail.text, says), "'%s' lacks '%s'", detail.text, says);
}

static void cpus_good(const char *text, const uint32_t *want, uint32_t want_cnt)
{
    uint32_t cpus[MCQ_CPUS_MAX], cnt = 77;
    struct mcq_detail detail = {.text = ""};
    cr_assert_eq(mcq_cpus_parse(text, cpus, &cnt, &detail), MCQ_OK, "'%s': %s", text, detail.text);
    cr_assert_eq(cnt, want_cnt, "'%s'", text);
    for (uint32_t i = 0; i < cnt; i++)
        cr_assert_eq(cpus[i], want[i]);
}

Test(options, cpu_lists)
{
    cpus_good("none", NULL, 0);
    cpus_good("2", (uint32_t[]){2}, 1);
    cpus_good("0,2-5", (uint32_t[]){0, 2, 3, 4, 5}, 5);
    cpus_good("5,1,3-3", (uint32_t[]){5, 1, 3}, 3);
    cpus_good("1023", (uint32_t[]){1023}, 1);
    cpus_good("007", (uint32_t[]){7}, 1);
}

Test(options, every_cpu_at_once)
{
    uint32_t cpus[MCQ_CPUS_MAX], cnt;
    cr_assert_eq(mcq_cpus_parse("0-1023", cpus, &cnt, NULL), MCQ_OK);
    cr_assert_eq(cnt, MCQ_CPUS_MAX);
    cr_assert_eq(cpus[1023], 1023);
}

Test(options, cpu_lists_that_are_none)
{
    static const char *const lists[] = {"",    ",",    "1,",     ",1",     "1,,2", "-",   "1-",
                                        "-1",  "5-2",  "1 ",     " 1",     "1;2",  "0x1", "1-2-3",
                                        "all", "None", "none,1", "1,none", "1.5",  "+1",  "2-\n"};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        cpus_bad(lists[i], "is not a list of CPUs");
    cpus_bad("1024", "up to 1023");
    cpus_bad("0-1024", "up to 1023");
    cpus_bad("0-4294967297", "up to 1023");
    cpus_bad("18446744073709551617", "up to 1023");
    cpus_bad("1,2,1", "CPU 1 twice");
    cpus_bad("0-3,2", "CPU 2 twice");
    cpus_bad("0-1023,0", "CPU 0 twice");
}

/* --- a socket's ---------------------------------------------------------------------------- */

Test(options, sock_defaults_as_documented)
{
    struct mcq_sock_opts init = MCQ_SOCK_OPTS_INIT;
    for (int i = 0; i < 2; i++) {
        struct mcq_sock_opts out = sock_good(i == 0 ? &init : NULL, MCQ_REQ);
        cr_assert_eq(out.size, sizeof(out));
        cr_assert_eq(out.identity_len, 0);
        cr_assert_eq(out.send_hwm_msgs, 1000);
        cr_assert_eq(out.send_hwm_bytes, 8u << 20);
        cr_assert_eq(out.recv_hwm_bytes, 256u << 10);
        cr_assert_eq(out.frame_max_bytes, 64u << 20);
        cr_assert_eq(out.msg_max_bytes, (64u << 20) + (64u << 10));
        cr_assert_eq(out.msg_frames_max, 1024);
        cr_assert_eq(out.handshake_ms, 10000);
        cr_assert_eq(out.linger_ms, 1000);
        cr_assert_eq(out.reconnect_min_ms, 100);
        cr_assert_eq(out.reconnect_max_ms, 5000);
        cr_assert_eq(out.request_timeout_ms, MCQ_NONE);
        cr_assert_eq(out.subs_max, 10000);
        cr_assert_eq(out.notsent_lowat_bytes, 512u << 10);
        cr_assert_eq(out.backlog, 1024);
    }
}

Test(options, words_where_they_mean_something)
{
    struct mcq_sock_opts o = MCQ_SOCK_OPTS_INIT;
    o.send_hwm_msgs = MCQ_UNLIMITED;
    o.linger_ms = MCQ_NONE;
    o.request_timeout_ms = MCQ_NONE;
    o.notsent_lowat_bytes = MCQ_NONE;
    struct mcq_sock_opts out = sock_good(&o, MCQ_REQ);
    cr_assert_eq(out.send_hwm_msgs, MCQ_UNLIMITED);
    cr_assert_eq(out.linger_ms, 0);
    cr_assert_eq(out.request_timeout_ms, MCQ_NONE);
    cr_assert_eq(out.notsent_lowat_bytes, 0);
}

/* Every number with both words, refused by name where the word has no meaning; and at its limit. */
Test(options, words_and_limits_of_every_number)
{
    struct mcq_sock_opts o;
    const struct {
        const char *name;
        uint32_t *value;
        bool none, unlimited;
        uint32_t max;
        enum mcq_sock_type type; /* 0: REQ will do */
    } all[] = {{"send_hwm_msgs: ", &o.send_hwm_msgs, false, true, 0, 0},
               {"send_hwm_bytes: ", &o.send_hwm_bytes, false, false, 0, 0},
               {"recv_hwm_bytes: ", &o.recv_hwm_bytes, false, false, 0, 0},
               {"frame_max_bytes: ", &o.frame_max_bytes, false, false, 67174400, 0},
               {"msg_max_bytes: ", &o.msg_max_bytes, false, false, 0, 0},
               {"msg_frames_max: ", &o.msg_frames_max, false, false, 1024, 0},
               {"handshake_ms: ", &o.handshake_ms, false, false, 0, 0},
               {"linger_ms: ", &o.linger_ms, true, false, 0, 0},
               {"reconnect_min_ms: ", &o.reconnect_min_ms, false, false, 5000, 0},
               {"reconnect_max_ms: ", &o.reconnect_max_ms, false, false, 0, 0},
               {"request_timeout_ms: ", &o.request_timeout_ms, true, false, 0, 0},
               {"subs_max: ", &o.subs_max, false, false, 0, MCQ_PUB},
               {"notsent_lowat_bytes: ", &o.notsent_lowat_bytes, true, false, 0, 0},
               {"backlog: ", &o.backlog, false, false, INT32_MAX, 0}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        enum mcq_sock_type type = all[i].type != 0 ? all[i].type : MCQ_REQ;
        uint32_t max = all[i].max != 0 ? all[i].max : MCQ_UNLIMITED - 1;
        o = (struct mcq_sock_opts)MCQ_SOCK_OPTS_INIT;
        *all[i].value = max;
        sock_good(&o, type);
        *all[i].value = max + 1;
        if (max + 1 != MCQ_UNLIMITED || !all[i].unlimited)
            sock_bad(&o, type, all[i].name);
        *all[i].value = MCQ_NONE;
        if (!all[i].none)
            sock_bad(&o, type, all[i].name);
        *all[i].value = MCQ_UNLIMITED;
        if (!all[i].unlimited)
            sock_bad(&o, type, all[i].name);
    }
}

Test(options, numbers_that_contradict_each_other)
{
    struct mcq_sock_opts o = MCQ_SOCK_OPTS_INIT;
    o.reconnect_min_ms = 200;
    o.reconnect_max_ms = 199;
    sock_bad(&o, MCQ_REQ, "reconnect_min_ms: ");
    o.reconnect_max_ms = 200;
    sock_good(&o, MCQ_REQ);
    o.frame_max_bytes = 1001;
    o.msg_max_bytes = 1000;
    sock_bad(&o, MCQ_REQ, "frame_max_bytes: ");
    o.frame_max_bytes = 0; /* a default contradicts nobody */
    sock_good(&o, MCQ_REQ);
}

Test(options, identities)
{
    static const char text[256] = "gateway-1";
    struct mcq_sock_opts o = MCQ_SOCK_OPTS_INIT;
    o.identity = text;
    o.identity_len = 255;
    struct mcq_sock_opts out = sock_good(&o, MCQ_DEALER);
    cr_assert_eq(out.identity, text);
    cr_assert_eq(out.identity_len, 255);
    o.identity_len = 256;
    sock_bad(&o, MCQ_DEALER, "identity_len: ");
    o.identity_len = 1;
    o.identity = "\0a";
    sock_bad(&o, MCQ_DEALER, "identity: ");
    o.identity = NULL;
    sock_bad(&o, MCQ_DEALER, "identity: ");
    o.identity = "";
    o.identity_len = 0;
    sock_good(&o, MCQ_DEALER);
}

Test(options, identities_are_of_req_dealer_and_router)
{
    struct mcq_sock_opts o = MCQ_SOCK_OPTS_INIT;
    o.identity = "a";
    o.identity_len = 1;
    for (int type = MCQ_PAIR; type <= MCQ_XSUB; type++) {
        if (type == MCQ_REQ || type == MCQ_DEALER || type == MCQ_ROUTER)
            sock_good(&o, (enum mcq_sock_type)type);
        else
            sock_bad(&o, (enum mcq_sock_type)type, "identity: ");
    }
}

/* --- by name --------------------------------------------------------------------------------- */

static void set_good(struct mcq_sock_opts *o, const char *name, const char *value)
{
    struct mcq_detail detail = {.text = ""};
    cr_assert_eq(mcq_sock_opts_set(o, name, value, &detail), MCQ_OK, "%s", detail.text);
}

static void set_bad(const char *name, const char *value, enum mcq_error code, const char *says)
{
    struct mcq_sock_opts o = MCQ_SOCK_OPTS_INIT, before = o;
    struct mcq_detail detail = {.text = ""};
    cr_assert_eq(mcq_sock_opts_set(&o, name, value, &detail), code, "%s: %s", name, detail.text);
    cr_assert_not_null(strstr(detail.text, says), "'%s' lacks '%s'", detail.text, says);
    cr_assert_eq(memcmp(&o, &before, sizeof(o)), 0, "%s has changed something", name);
}

Test(options, set_by_name_and_text)
{
    struct mcq_sock_opts o = MCQ_SOCK_OPTS_INIT;
    set_good(&o, "send_hwm_msgs", "4096");
    set_good(&o, "recv_hwm_msgs", "unlimited");
    set_good(&o, "linger_ms", "none");
    set_good(&o, "slow", "drop-old");
    set_good(&o, "identity", "gateway-1");
    set_good(&o, "identity_policy", "replace");
    set_good(&o, "router_mandatory", "true");
    set_good(&o, "probe", "1");
    set_good(&o, "immediate", "true");
    set_good(&o, "immediate", "false");
    set_good(&o, "device", "lo");
    struct mcq_sock_opts out = sock_good(&o, MCQ_ROUTER);
    cr_assert_eq(out.send_hwm_msgs, 4096);
    cr_assert_eq(out.recv_hwm_msgs, MCQ_UNLIMITED);
    cr_assert_eq(out.linger_ms, 0);
    cr_assert_eq(out.slow, MCQ_SLOW_DROP_OLD);
    cr_assert_eq(out.identity_len, 9);
    cr_assert_eq(memcmp(out.identity, "gateway-1", 9), 0);
    cr_assert_eq(out.identity_policy, MCQ_IDENTITY_REPLACE);
    cr_assert(out.router_mandatory && out.probe && !out.immediate);
    cr_assert_str_eq(out.device, "lo");
}

Test(options, set_refuses_what_it_does_not_know)
{
    set_bad("send_hwm_msg", "1", MCQ_EINVAL, "docs/OPTIONS.md");
    set_bad("send_hwm_msgs", "-1", MCQ_EINVAL, "send_hwm_msgs");
    set_bad("send_hwm_msgs", "1k", MCQ_EINVAL, "1k");
    set_bad("send_hwm_msgs", "", MCQ_EINVAL, "send_hwm_msgs");
    set_bad("send_hwm_msgs", "4294967295", MCQ_EINVAL, "4294967295");
    set_bad("send_hwm_msgs", "99999999999999999999999", MCQ_EINVAL, "99999");
    set_bad("slow", "drop", MCQ_EINVAL, "drop");
    set_bad("probe", "yes", MCQ_EINVAL, "neither true nor false");
    set_bad("ZMQ_SNDHWM", "1", MCQ_ENOTSUP, "here it is send_hwm_msgs");
    set_bad("SNDHWM", "1", MCQ_ENOTSUP, "here it is send_hwm_msgs");
    set_bad("ZMQ_CURVE_SERVER", "1", MCQ_ENOTSUP, "CURVE is not part");
    set_bad("ZMQ_NONSENSE", "1", MCQ_EINVAL, "docs/OPTIONS.md");
}

/* Of an older program, or of none: what lies behind it isn't the struct's. */
Test(options, set_stays_inside_the_struct_that_it_is_given)
{
    static const char *const names[] = {"tos", "probe", "slow", "device", "welcome"};
    static const size_t ends[] = {
        offsetof(struct mcq_sock_opts, tos) + sizeof(uint32_t),
        offsetof(struct mcq_sock_opts, probe) + sizeof(bool),
        offsetof(struct mcq_sock_opts, slow) + sizeof(enum mcq_slow),
        offsetof(struct mcq_sock_opts, device) + sizeof(const char *),
        offsetof(struct mcq_sock_opts, welcome_len) + sizeof(size_t),
    };
    for (size_t i = 0; i < MCQ_CNT_OF(names); i++) {
        const char *value = i == 1 ? "true" : i == 2 ? "block" : "1";
        const size_t sizes[] = {0, ends[i] - 1};
        for (size_t k = 0; k < MCQ_CNT_OF(sizes); k++) {
            struct mcq_sock_opts o = MCQ_SOCK_OPTS_INIT;
            o.size = sizes[k];
            struct mcq_sock_opts before = o;
            struct mcq_detail detail = {.text = ""};
            cr_assert_eq(mcq_sock_opts_set(&o, names[i], value, &detail), MCQ_EINVAL);
            cr_assert_eq(memcmp(&o, &before, sizeof(o)), 0, "%s", names[i]);
            cr_assert_not_null(strstr(detail.text, "_INIT"));
        }
        struct mcq_sock_opts o = MCQ_SOCK_OPTS_INIT;
        o.size = ends[i];
        cr_assert_eq(mcq_sock_opts_set(&o, names[i], value, NULL), MCQ_OK, "%s", names[i]);
    }
}

Test(options, a_type_takes_its_own_alone)
{
    const struct {
        const char *name, *value;
        enum mcq_sock_type good, bad;
    } all[] = {{"req_relaxed", "true", MCQ_REQ, MCQ_DEALER},
               {"req_correlate", "true", MCQ_REQ, MCQ_REP},
               {"router_mandatory", "true", MCQ_ROUTER, MCQ_DEALER},
               {"identity_policy", "replace", MCQ_ROUTER, MCQ_REP},
               {"probe", "true", MCQ_DEALER, MCQ_PUSH},
               {"verbose", "true", MCQ_XPUB, MCQ_PUB},
               {"verboser", "true", MCQ_XPUB, MCQ_SUB},
               {"manual", "true", MCQ_XPUB, MCQ_PUB},
               {"invert_matching", "true", MCQ_SUB, MCQ_XSUB},
               {"welcome", "hello", MCQ_PUB, MCQ_SUB},
               {"subs_max", "5", MCQ_XPUB, MCQ_SUB},
               {"request_timeout_ms", "5", MCQ_REQ, MCQ_REP},
               {"slow", "disconnect", MCQ_PUSH, MCQ_REQ},
               {"slow", "drop-old", MCQ_PUB, MCQ_SUB},
               {"slow", "block", MCQ_PULL, MCQ_REP}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct mcq_sock_opts o = MCQ_SOCK_OPTS_INIT;
        set_good(&o, all[i].name, all[i].value);
        sock_good(&o, all[i].good);
        sock_bad(&o, all[i].bad, all[i].name);
    }
}

Test(options, defaults_that_follow_others)
{
    struct mcq_sock_opts o = MCQ_SOCK_OPTS_INIT;
    o.handshake_ms = 123;
    o.heartbeat_ms = 456;
    struct mcq_sock_opts out = sock_good(&o, MCQ_ROUTER);
    cr_assert_eq(out.connect_timeout_ms, 123);
    cr_assert_eq(out.heartbeat_timeout_ms, 456);
    cr_assert_eq(out.slow, MCQ_SLOW_DROP_NEW);
    o.router_mandatory = true;
    cr_assert_eq(sock_good(&o, MCQ_ROUTER).slow, MCQ_SLOW_BLOCK);
    o = (struct mcq_sock_opts)MCQ_SOCK_OPTS_INIT;
    o.heartbeat_ttl_ms = 100;
    sock_bad(&o, MCQ_PAIR, "heartbeat_ttl_ms: ");
    o.heartbeat_ttl_ms = 0;
    o.zmtp_min = 31;
    sock_bad(&o, MCQ_PAIR, "zmtp_min: ");
    o.zmtp_min = 0;
    o.slow = 9;
    sock_bad(&o, MCQ_PAIR, "slow: ");
}

/* Each row `| number | NAME | default | ours | meaning |` of the table for people says what the
 * library says. Returns how many rows there were. */
static size_t rows_check(FILE *f)
{
    char line[1024], name[64], ours[64];
    size_t rows = 0;
    while (fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line, "| %*d | %63[A-Z0-9_] | %*[^|]| %63[^ ] |", name, ours) != 2)
            continue;
        rows++;
        if (strcmp(ours, "no") == 0) {
            set_bad(name, "1", MCQ_ENOTSUP, "there is none");
            continue;
        }
        ours[strlen(ours) - 1] = '\0';
        set_bad(name, "1", MCQ_ENOTSUP, ours + 1);
        struct mcq_sock_opts o = MCQ_SOCK_OPTS_INIT;
        struct mcq_detail detail = {.text = ""};
        bool call = strncmp(ours + 1, "mcq_", 4) == 0;
        if (!call && mcq_sock_opts_set(&o, ours + 1, "", &detail) != MCQ_OK)
            cr_assert_null(strstr(detail.text, "is no option"), "%s: %s", name, detail.text);
    }
    return rows;
}

Test(options, the_table_in_docs_is_the_one_in_the_code)
{
    FILE *f = fopen("docs/OPTIONS.md", "r");
    cr_assert_not_null(f, "run from the project's folder");
    cr_assert_eq(rows_check(f), 112);
    fclose(f);
}
