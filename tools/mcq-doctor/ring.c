/* Checks of io_uring and BPF: whether they may be used, and what this kernel's can do. Asked by
 * setting one up, and a small map, which are closed at once. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

/* Numbers of the kernel's interface; its header isn't everywhere as new as its kernel. */
#define SETUP_SINGLE_ISSUER (1u << 12)
#define SETUP_DEFER_TASKRUN (1u << 13)
#define REGISTER_PROBE      8u
#define REGISTER_NAPI       27u
#define REGISTER_QUERY      35u
#define OP_MSG_RING         40
#define OP_SEND_ZC          47 /* came with 6.0, as did multishot receive */
#define REG_SEND_MSG_RING   31
#define FEAT_EXT_ARG        (1u << 8)
#define FEAT_CQE_SKIP       (1u << 11)
#define FEAT_BUNDLE         (1u << 14)
#define FEAT_MIN_TIMEOUT    (1u << 15)
#define CAP_SYS_ADMIN_BIT   21
#define CAP_BPF_BIT         39
#define BPF_MAP_CREATE      0
#define BPF_SOCKARRAY       20u

/* struct io_uring_params: 120 bytes, features is its sixth word. */
struct params {
    uint32_t sq_entries, cq_entries, flags, thread_cpu, thread_idle, features, rest[24];
};
_Static_assert(sizeof(struct params) == 120, "the kernel's size");

struct probe {
    uint8_t last_op, ops_len;
    uint16_t reserved;
    uint32_t rest[3];
    struct {
        uint8_t op, reserved;
        uint16_t flags;
        uint32_t more;
    } ops[256];
};

struct query {
    uint64_t next, data;
    uint32_t op, size;
    int32_t result;
    uint32_t reserved[3];
};

static int setup(uint32_t flags, uint32_t *features)
{
    struct params p = {.flags = flags};
    int fd = (int)syscall(SYS_io_uring_setup, 4, &p);
    *features = p.features;
    return fd;
}

static int ring_register(int fd, uint32_t what, void *arg, uint32_t cnt)
{
    return syscall(SYS_io_uring_register, fd, what, arg, cnt) < 0 ? errno : 0;
}

/* How many operations of io_uring_register there are, which nothing else tells; -1: not told. */
static int64_t registers_known(void)
{
    uint32_t answer[12] = {0}; /* request ops, register ops, then masks */
    struct query q = {.data = (uint64_t)(uintptr_t)answer, .size = sizeof answer};
    int err = ring_register(-1, REGISTER_QUERY, &q, 0);
    return err == 0 && q.result >= 0 ? (int64_t)answer[1] : -1;
}

static void ask_ring(const void *ctx, char *lines, size_t len)
{
    uint32_t features = 0;
    struct probe probe = {0};
    struct {
        uint32_t busy_us;
        uint8_t prefer, op, pad[2];
        uint32_t op_param, reserved;
    } napi = {.busy_us = 1};
    (void)ctx;
    int defer = setup(SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN, &features);
    int defer_err = defer < 0 ? errno : 0;
    int fd = defer >= 0 ? defer : setup(0, &features);
    int err = fd < 0 ? errno : 0;
    if (fd < 0) {
        snprintf(lines, len, "setup_errno %d\nsetup_error %s\n", err, strerror(err));
        return;
    }
    int probed = ring_register(fd, REGISTER_PROBE, &probe, 256);
    int64_t registers = registers_known();
    snprintf(lines, len,
             "setup_errno 0\ndefer_errno %d\nfeatures %" PRIu32 "\nops_errno %d\nlast_op %d\n"
             "napi_errno %d\nregister_ops %" PRId64 "\n",
             defer_err, features, probed, probe.last_op, ring_register(fd, REGISTER_NAPI, &napi, 1),
             registers);
    close(fd);
}

/* One question for several checks: what it answered, or UNKNOWN. */
static bool ring_answer(const struct exam *e, struct mcq_doctor_result *r, struct text *t)
{
    int64_t err = 0;
    if (!doctor_check_ask(e, r, t, "io_uring", "io_uring_setup(2)", ask_ring, NULL))
        return false;
    if (!doctor_words_key(t->at, "setup_errno", &err)) {
        doctor_check_malformed(r, t, "a line setup_errno");
    } else if (err != 0) {
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "io_uring_setup(2): no ring to ask, %s",
                         strerror((int)err));
    } else {
        return true;
    }
    doctor_text_drop(t);
    return false;
}

static bool ring_key(struct mcq_doctor_result *r, const struct text *t, const char *key,
                     int64_t *value)
{
    if (doctor_words_key(t->at, key, value))
        return true;
    doctor_check_malformed(r, t, key);
    return false;
}

/* --- allowed? ------------------------------------------------------------------------------- */

static void allowed(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t err = 0;
    if (!doctor_check_ask(e, r, &t, "io_uring", c->path, ask_ring, NULL))
        return;
    bool formed = doctor_words_key(t.at, "setup_errno", &err);
    if (!formed)
        doctor_check_malformed(r, &t, "a line setup_errno");
    doctor_text_drop(&t);
    if (!formed)
        return;
    if (err == 0)
        doctor_check_say(r, MCQ_DOCTOR_PASS, "a ring can be set up");
    else
        doctor_check_say(r, MCQ_DOCTOR_FAIL, "no ring: %s", strerror((int)err));
    if (err == ENOMEM)
        doctor_check_fix(r, "ulimit -l unlimited # rings count as locked memory");
}

static void disabled(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    static const char *const means[] = {"for everybody", "only for a group and for root",
                                        "for nobody"};
    struct text t;
    int64_t value = 0;
    if (!doctor_check_read(e, r, &t, "%s", c->path))
        return;
    if (!doctor_words_number(t.at, &value) || value < 0 || value > 2)
        doctor_check_malformed(r, &t, "0, 1 or 2");
    else
        doctor_check_say(r,
                         value == 0   ? MCQ_DOCTOR_PASS
                         : value == 1 ? MCQ_DOCTOR_WARN
                                      : MCQ_DOCTOR_FAIL,
                         "%" PRId64 ": io_uring is there %s", value, means[value]);
    doctor_text_drop(&t);
}

/* A filter is no fault in itself; with one, a refused ring is the filter's doing. */
static void seccomp(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text status, ring;
    int64_t mode = 0, err = -1;
    if (!doctor_check_read(e, r, &status, "%s", c->path))
        return;
    bool formed = doctor_words_key(status.at, "Seccomp", &mode) && mode >= 0 && mode <= 2;
    if (!formed)
        doctor_check_malformed(r, &status, "a line Seccomp");
    doctor_text_drop(&status);
    if (!formed)
        return;
    if (doctor_source_ask(&e->source, &ring, "io_uring", "io_uring_setup(2)", ask_ring, NULL) &&
        !doctor_words_key(ring.at, "setup_errno", &err))
        err = -1;
    doctor_text_drop(&ring);
    if (mode == 0)
        doctor_check_say(r, MCQ_DOCTOR_PASS, "no filter");
    else if (err == 0)
        doctor_check_say(r, MCQ_DOCTOR_PASS, "a filter, which lets io_uring through");
    else if (err == EPERM || err == ENOSYS)
        doctor_check_say(r, MCQ_DOCTOR_FAIL, "a filter, and io_uring_setup(2): %s",
                         strerror((int)err));
    else
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN,
                         "%s: a filter; whether it lets io_uring through isn't known", c->path);
}

/* --- what it can do ------------------------------------------------------------------------- */

static void defer(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t err = 0;
    if (!ring_answer(e, r, &t))
        return;
    if (ring_key(r, &t, "defer_errno", &err))
        doctor_check_say(r, err == 0 ? MCQ_DOCTOR_PASS : c->worse, "%s",
                         err == 0 ? "accepted" : strerror((int)err));
    doctor_text_drop(&t);
}

static void features(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t bits = 0;
    if (!ring_answer(e, r, &t))
        return;
    if (ring_key(r, &t, "features", &bits)) {
        bool needed = (bits & FEAT_EXT_ARG) != 0 && (bits & FEAT_CQE_SKIP) != 0;
        doctor_check_say(r, needed ? MCQ_DOCTOR_PASS : c->worse, "0x%" PRIx64 "%s%s%s",
                         (uint64_t)bits, needed ? "" : ": ext-arg or cqe-skip is missing",
                         (bits & FEAT_BUNDLE) != 0 ? ", bundles" : "",
                         (bits & FEAT_MIN_TIMEOUT) != 0 ? ", min-timeout" : "");
    }
    doctor_text_drop(&t);
}

static void operations(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t err = 0, last = 0;
    if (!ring_answer(e, r, &t))
        return;
    if (ring_key(r, &t, "ops_errno", &err) && ring_key(r, &t, "last_op", &last)) {
        if (err != 0)
            doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "io_uring_register(2), PROBE: %s",
                             strerror((int)err));
        else
            doctor_check_say(r, last >= OP_SEND_ZC ? MCQ_DOCTOR_PASS : c->worse,
                             "operations up to %" PRId64 ": %s, %s", last,
                             last >= OP_SEND_ZC ? "multishot receive" : "no multishot receive",
                             last >= OP_MSG_RING ? "msg-ring" : "no msg-ring");
    }
    doctor_text_drop(&t);
}

static void messages(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t cnt = 0;
    if (!ring_answer(e, r, &t))
        return;
    if (ring_key(r, &t, "register_ops", &cnt)) {
        if (cnt < 0)
            doctor_check_say(
                r, MCQ_DOCTOR_UNKNOWN,
                "io_uring_register(2): this kernel can't be asked which operations it has "
                "(QUERY, 6.18)");
        else
            doctor_check_say(r, cnt > REG_SEND_MSG_RING ? MCQ_DOCTOR_PASS : c->worse,
                             "%" PRId64 " register operations", cnt);
    }
    doctor_text_drop(&t);
}

static void napi(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t err = 0;
    if (!ring_answer(e, r, &t))
        return;
    if (ring_key(r, &t, "napi_errno", &err))
        doctor_check_say(r, err == 0 ? MCQ_DOCTOR_PASS : c->worse, "%s",
                         err == 0 ? "accepted" : strerror((int)err));
    doctor_text_drop(&t);
}

/* --- BPF ------------------------------------------------------------------------------------ */

static void ask_bpf(const void *ctx, char *lines, size_t len)
{
    /* union bpf_attr of BPF_MAP_CREATE: type, size of a key, of a value, entries */
    uint32_t attr[32] = {BPF_SOCKARRAY, 4, 8, 1};
    (void)ctx;
    int fd = (int)syscall(SYS_bpf, BPF_MAP_CREATE, attr, sizeof attr);
    int err = fd < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    snprintf(lines, len, "map_errno %d\n", err);
}

/* Who lacks the capability is told so, not the call's own EPERM. */
static void bpf(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t err = 0;
    uint64_t caps = 0;
    if (!doctor_check_ask(e, r, &t, "bpf", c->path, ask_bpf, NULL))
        return;
    bool formed = doctor_words_key(t.at, "map_errno", &err);
    if (!formed)
        doctor_check_malformed(r, &t, "a line map_errno");
    doctor_text_drop(&t);
    if (!formed)
        return;
    bool told = doctor_source_read(&e->source, &t, "/proc/self/status") &&
                doctor_words_key_hex(t.at, "CapEff", &caps);
    doctor_text_drop(&t);
    bool held = ((caps >> CAP_BPF_BIT | caps >> CAP_SYS_ADMIN_BIT) & 1) != 0;
    if (err == 0)
        doctor_check_say(r, MCQ_DOCTOR_PASS, "a map of sockets can be made");
    else
        doctor_check_say(r, c->worse, "no map of sockets: %s%s", strerror((int)err),
                         !told  ? ""
                         : held ? "; CAP_BPF is held"
                                : "; without CAP_BPF");
}

/* -------------------------------------------------------------------------------------------- */

const struct check doctor_ring_checks[] = {
    {.id = "ring-allowed",
     .path = "io_uring_setup(2)",
     .judge = allowed,
     .wanted = "a ring can be set up",
     .cost = "Shards don't start.",
     .fix = "sysctl -w kernel.io_uring_disabled=0 # and allow io_uring_* in the container's "
            "seccomp profile"},
    {.id = "ring-disabled",
     .path = "/proc/sys/kernel/io_uring_disabled",
     .judge = disabled,
     .wanted = "0",
     .cost = "Shards don't start for users whom it excludes.",
     .fix = "sysctl -w kernel.io_uring_disabled=0"},
    {.id = "ring-seccomp",
     .path = "/proc/self/status",
     .judge = seccomp,
     .wanted = "no filter, or one that lets io_uring through",
     .cost = "Shards don't start; any filter takes 0.1 to 1 us of each system call.",
     .fix = "no command: allow io_uring_setup, io_uring_enter and io_uring_register in the "
            "container's profile (docker run --security-opt seccomp=PROFILE.json)"},
    {.id = "ring-defer",
     .path = "io_uring_setup(2)",
     .judge = defer,
     .worse = MCQ_DOCTOR_FAIL,
     .wanted = "SINGLE_ISSUER and DEFER_TASKRUN (6.1)",
     .cost = "Shards don't start.",
     .fix = "no command: install a kernel from 6.1 on (apt-get install linux-image-amd64)"},
    {.id = "ring-features",
     .path = "io_uring_setup(2)",
     .judge = features,
     .worse = MCQ_DOCTOR_FAIL,
     .wanted = "waits with a timeout, completions that can be left out (5.17)",
     .cost = "Shards don't start.",
     .fix = "no command: install a kernel from 6.1 on (apt-get install linux-image-amd64)"},
    {.id = "ring-operations",
     .path = "io_uring_setup(2)",
     .judge = operations,
     .worse = MCQ_DOCTOR_FAIL,
     .wanted = "those of 6.0: multishot receive, messages between rings",
     .cost = "Shards don't start.",
     .fix = "no command: install a kernel from 6.1 on (apt-get install linux-image-amd64)"},
    {.id = "ring-messages",
     .path = "io_uring_setup(2)",
     .judge = messages,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "messages from threads without a ring (6.13)",
     .cost = "Such threads wake a shard by eventfd instead: 1 to 2 us more for the shard.",
     .fix = "no command: install a kernel from 6.13 on"},
    {.id = "ring-napi",
     .path = "io_uring_setup(2)",
     .judge = napi,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "a ring may ask receive queues itself (6.9)",
     .cost = "A packet waits for its interrupt, 3 to 20 us, whatever --napi says.",
     .fix = "no command: install a kernel from 6.9 on, with CONFIG_NET_RX_BUSY_POLL"},
    {.id = "ring-bpf",
     .path = "bpf(2)",
     .judge = bpf,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "CAP_BPF, for programs that steer connections",
     .cost = "Each new connection takes a way over the shard that accepts it: 2 to 20 us, once.",
     .fix = "setcap cap_bpf,cap_net_admin+ep PROGRAM # of a service: "
            "AmbientCapabilities=CAP_BPF CAP_NET_ADMIN"},
};
const uint32_t doctor_ring_check_cnt = sizeof doctor_ring_checks / sizeof doctor_ring_checks[0];
