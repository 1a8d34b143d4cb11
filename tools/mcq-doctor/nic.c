/* Checks of the interface: when it interrupts, what it merges, how its queues are spread. */
#include <errno.h>
#include <inttypes.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

#define RX_RING_MIN 1024

/* --- asking the driver: SIOCETHTOOL, of which only the commands that get ---------------------- */

struct driver {
    int fd;
    const char *nic;
    char *lines;
    size_t len, at;
};

static int get(const struct driver *d, void *request)
{
    struct ifreq ifr = {.ifr_data = request};
    snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", d->nic);
    return ioctl(d->fd, SIOCETHTOOL, &ifr) == 0 ? 0 : errno;
}

__attribute__((format(printf, 2, 3))) static void put(struct driver *d, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(d->lines + d->at, d->len - d->at, format, args);
    va_end(args);
    if (n > 0 && d->at + (size_t)n < d->len)
        d->at += (size_t)n;
}

static void put_coalescing(struct driver *d)
{
    struct ethtool_coalesce c = {.cmd = ETHTOOL_GCOALESCE};
    int err = get(d, &c);
    put(d, "coalesce_errno %d\n", err);
    if (err == 0)
        put(d, "rx_usecs %" PRIu32 "\nrx_frames %" PRIu32 "\nadaptive_rx %d\nadaptive_tx %d\n",
            c.rx_coalesce_usecs, c.rx_max_coalesced_frames, c.use_adaptive_rx_coalesce != 0,
            c.use_adaptive_tx_coalesce != 0);
}

static void put_rings(struct driver *d)
{
    struct ethtool_ringparam p = {.cmd = ETHTOOL_GRINGPARAM};
    int err = get(d, &p);
    put(d, "rings_errno %d\n", err);
    if (err == 0)
        put(d, "rx_ring %" PRIu32 "\nrx_ring_max %" PRIu32 "\n", p.rx_pending, p.rx_max_pending);
}

static void put_queues(struct driver *d)
{
    struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};
    int err = get(d, &c);
    put(d, "queues_errno %d\n", err);
    if (err == 0)
        put(d, "queues %" PRIu32 "\nqueues_max %" PRIu32 "\n", c.combined_count + c.rx_count,
            c.max_combined != 0 ? c.max_combined : c.max_rx);
}

static void put_value(struct driver *d, const char *name, uint32_t cmd, uint32_t mask)
{
    struct ethtool_value v = {.cmd = cmd};
    int err = get(d, &v);
    put(d, "%s_errno %d\n", name, err);
    if (err == 0)
        put(d, "%s %d\n", name, (v.data & mask) != 0);
}

static void put_name(struct driver *d)
{
    struct ethtool_drvinfo i = {.cmd = ETHTOOL_GDRVINFO};
    char name[sizeof i.driver + 1] = "", firmware[sizeof i.fw_version + 1] = "";
    if (get(d, &i) != 0)
        return;
    memcpy(name, i.driver, sizeof i.driver);
    memcpy(firmware, i.fw_version, sizeof i.fw_version);
    put(d, "driver %s%s%s\n", name, firmware[0] == '\0' ? "" : ", firmware ", firmware);
}

static void ask_driver(const void *ctx, char *lines, size_t len)
{
    struct driver d = {.nic = ctx, .lines = lines, .len = len};
    d.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (d.fd < 0) {
        put(&d, "error %s\n", strerror(errno));
        return;
    }
    put_name(&d);
    put_coalescing(&d);
    put_rings(&d);
    put_queues(&d);
    put_value(&d, "lro", ETHTOOL_GFLAGS, ETH_FLAG_LRO);
    put_value(&d, "gro", ETHTOOL_GGRO, UINT32_MAX);
    put_value(&d, "tso", ETHTOOL_GTSO, UINT32_MAX);
    close(d.fd);
}

/* What the driver answered about one subject; false: UNKNOWN was said. */
static bool driver_answer(const struct exam *e, struct mcq_doctor_result *r, struct text *t,
                          const char *errno_key)
{
    int64_t err = 0;
    if (!doctor_check_has_nic(e, r))
        return false;
    if (!doctor_check_ask(e, r, t, "ethtool", "ioctl(2), SIOCETHTOOL", ask_driver, e->nic))
        return false;
    if (!doctor_words_key(t->at, errno_key, &err))
        doctor_check_malformed(r, t, errno_key);
    else if (err != 0)
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "SIOCETHTOOL of %s: %s", e->nic,
                         strerror((int)err));
    else
        return true;
    doctor_text_drop(t);
    return false;
}

static bool driver_key(struct mcq_doctor_result *r, const struct text *t, const char *key,
                       int64_t *value)
{
    if (doctor_words_key(t->at, key, value))
        return true;
    doctor_check_malformed(r, t, key);
    return false;
}

/* --- what the driver does ------------------------------------------------------------------- */

static void driver(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    char name[96];
    (void)c;
    if (!doctor_check_has_nic(e, r) ||
        !doctor_check_ask(e, r, &t, "ethtool", "ioctl(2), SIOCETHTOOL", ask_driver, e->nic))
        return;
    if (doctor_words_line(t.at, "driver", name, sizeof name))
        doctor_check_say(r, MCQ_DOCTOR_PASS, "%s: %s%s", e->nic, name,
                         e->nic_physical ? "" : ", with no device behind it");
    else
        doctor_check_say(r, MCQ_DOCTOR_UNKNOWN, "SIOCETHTOOL: tells no driver of %s", e->nic);
    doctor_text_drop(&t);
}

static void coalescing(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t usecs = 0, adaptive = 0;
    if (!driver_answer(e, r, &t, "coalesce_errno"))
        return;
    if (driver_key(r, &t, "rx_usecs", &usecs) && driver_key(r, &t, "adaptive_rx", &adaptive))
        doctor_check_say(r, usecs == 0 && adaptive == 0 ? MCQ_DOCTOR_PASS : c->worse,
                         "rx-usecs %" PRId64 ", adaptive %s", usecs, adaptive != 0 ? "on" : "off");
    doctor_text_drop(&t);
}

static void receive_ring(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t len = 0, max = 0;
    if (!driver_answer(e, r, &t, "rings_errno"))
        return;
    if (driver_key(r, &t, "rx_ring", &len) && driver_key(r, &t, "rx_ring_max", &max)) {
        int64_t wanted = max < RX_RING_MIN ? max : RX_RING_MIN;
        doctor_check_say(r, len >= wanted ? MCQ_DOCTOR_PASS : c->worse,
                         "%" PRId64 " of at most %" PRId64, len, max);
        doctor_check_fix(r, "ethtool -G %s rx %" PRId64, e->nic, wanted);
    }
    doctor_text_drop(&t);
}

static void queues(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t cnt = 0, max = 0;
    if (!driver_answer(e, r, &t, "queues_errno"))
        return;
    if (driver_key(r, &t, "queues", &cnt) && driver_key(r, &t, "queues_max", &max)) {
        doctor_check_say(r, cnt >= e->shards ? MCQ_DOCTOR_PASS : c->worse,
                         "%" PRId64 " of at most %" PRId64 ", for %" PRIu32 " shard%s", cnt, max,
                         e->shards, e->shards == 1 ? "" : "s");
        if (max < e->shards)
            doctor_check_fix(r,
                             "no command: the interface has %" PRId64 " at most; give it to fewer "
                             "shards",
                             max);
        else
            doctor_check_fix(r, "ethtool -L %s combined %" PRIu32, e->nic, e->shards);
    }
    doctor_text_drop(&t);
}

static void large_receive(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t on = 0;
    if (!driver_answer(e, r, &t, "lro_errno"))
        return;
    if (driver_key(r, &t, "lro", &on))
        doctor_check_say(r, on == 0 ? MCQ_DOCTOR_PASS : c->worse, "%s", on == 0 ? "off" : "on");
    doctor_text_drop(&t);
}

/* Both are good for throughput and cost a single message next to nothing: reported. */
static void offloads(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t gro = 0, tso = 0;
    (void)c;
    if (!driver_answer(e, r, &t, "gro_errno"))
        return;
    if (driver_key(r, &t, "gro", &gro) && driver_key(r, &t, "tso", &tso))
        doctor_check_say(r, MCQ_DOCTOR_PASS, "GRO %s, TSO %s", gro != 0 ? "on" : "off",
                         tso != 0 ? "on" : "off");
    doctor_text_drop(&t);
}

/* --- what the kernel does with its queues ----------------------------------------------------- */

struct masks {
    const struct exam *e;
    struct mcq_doctor_result *r;
    const char *prefix, *file;
    uint32_t queues, empty, on_shards;
    bool failed;
};

static bool mask_of_queue(void *ctx, const char *name)
{
    struct masks *m = ctx;
    struct text t;
    struct set cpus;
    if (strncmp(name, m->prefix, 3) != 0)
        return true;
    m->queues++;
    if (!doctor_check_read(m->e, m->r, &t, "/sys/class/net/%s/queues/%.32s/%s", m->e->nic, name,
                           m->file)) {
        m->failed = true;
        return false;
    }
    if (doctor_set_from_mask(&cpus, t.at)) {
        m->empty += doctor_set_cnt(&cpus) == 0;
        m->on_shards += doctor_set_meets(&cpus, &m->e->shards_on);
    } else {
        doctor_check_malformed(m->r, &t, "a mask of CPUs");
        m->failed = true;
    }
    doctor_text_drop(&t);
    return !m->failed;
}

static bool masks_read(const struct exam *e, struct masks *m)
{
    char path[SOURCE_PATH_LEN];
    if (!doctor_check_has_nic(e, m->r))
        return false;
    snprintf(path, sizeof path, "/sys/class/net/%s/queues", e->nic);
    int err = doctor_source_names(&e->source, path, mask_of_queue, m);
    if (!m->failed && (err != 0 || m->queues == 0))
        doctor_check_say(m->r, MCQ_DOCTOR_UNKNOWN, "%s: %s", path,
                         err != 0 ? strerror(err) : "shows no queue");
    return !m->failed && err == 0 && m->queues != 0;
}

static void rps(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct masks m = {.e = e, .r = r, .prefix = "rx-", .file = "rps_cpus"};
    if (masks_read(e, &m))
        doctor_check_say(r, m.on_shards == 0 ? MCQ_DOCTOR_PASS : c->worse,
                         "%" PRIu32 " of %" PRIu32
                         " receive queues hand packets to other CPUs, %" PRIu32
                         " of them to shard CPUs",
                         m.queues - m.empty, m.queues, m.on_shards);
}

static void xps(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct masks m = {.e = e, .r = r, .prefix = "tx-", .file = "xps_cpus"};
    if (masks_read(e, &m))
        doctor_check_say(r, m.queues == 1 || m.empty == 0 ? MCQ_DOCTOR_PASS : c->worse,
                         "%" PRIu32 " of %" PRIu32 " transmit queues have CPUs of their own",
                         m.queues - m.empty, m.queues);
}

/* Interrupts put off and a timer that flushes: one without the other makes no sense, and both are
 * for rings that ask by themselves. */
static void deferral(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    static const char *const files[] = {"gro_flush_timeout", "napi_defer_hard_irqs"};
    int64_t values[2];
    if (!doctor_check_has_nic(e, r))
        return;
    for (unsigned i = 0; i < 2; i++) {
        struct text t;
        if (!doctor_check_read(e, r, &t, "/sys/class/net/%s/%s", e->nic, files[i]))
            return;
        bool formed = doctor_words_number(t.at, &values[i]);
        if (!formed)
            doctor_check_malformed(r, &t, "a number");
        doctor_text_drop(&t);
        if (!formed)
            return;
    }
    bool off = values[0] == 0 && values[1] == 0, on = values[0] != 0 && values[1] != 0;
    doctor_check_say(r, off || (on && e->napi_busy_us != 0) ? MCQ_DOCTOR_PASS : c->worse,
                     "gro_flush_timeout %" PRId64 " ns, napi_defer_hard_irqs %" PRId64 "%s",
                     values[0], values[1],
                     off                    ? ""
                     : !on                  ? ": one without the other"
                     : e->napi_busy_us == 0 ? ", but shards aren't run with --napi"
                                            : "");
}

/* -------------------------------------------------------------------------------------------- */

const struct check doctor_nic_checks[] = {
    {.id = "nic-driver",
     .path = "ioctl(2), SIOCETHTOOL",
     .judge = driver,
     .wanted = "reported",
     .cost = "A virtual interface adds 5 to 50 us each way to what a physical one takes."},
    {.id = "nic-coalescing",
     .path = "ioctl(2), SIOCETHTOOL",
     .judge = coalescing,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "rx-usecs 0, adaptive off",
     .cost = "The interrupt of a packet waits for others: up to rx-usecs, 3 to 100 us by most "
             "drivers.",
     .fix = "ethtool -C {nic} adaptive-rx off adaptive-tx off rx-usecs 0",
     .tuned = "net|coalesce=adaptive-rx off adaptive-tx off rx-usecs 0"},
    {.id = "nic-lro",
     .path = "ioctl(2), SIOCETHTOOL",
     .judge = large_receive,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "off",
     .cost = "The interface holds packets back to merge them, 10 to 100 us.",
     .fix = "ethtool -K {nic} lro off",
     .tuned = "net|features=lro off"},
    {.id = "nic-offloads",
     .path = "ioctl(2), SIOCETHTOOL",
     .judge = offloads,
     .wanted = "reported",
     .cost = "Without them each packet goes through the stack alone: half the throughput of large "
             "messages and more."},
    {.id = "nic-ring",
     .path = "ioctl(2), SIOCETHTOOL",
     .judge = receive_ring,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "1024 descriptors to receive into, or as many as there can be",
     .cost = "A burst of more packets than that loses some; they come again after 200 ms at the "
             "latest."},
    {.id = "nic-queues",
     .path = "ioctl(2), SIOCETHTOOL",
     .judge = queues,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "a receive queue for each shard",
     .cost = "Packets of several shards go through one CPU and from there to theirs, 1 to 5 us."},
    {.id = "nic-rps",
     .path = "/sys/class/net/NIC/queues/rx-*/rps_cpus",
     .judge = rps,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "no shard CPU",
     .cost = "Packets are handed from CPU to CPU by an interrupt, 1 to 5 us, and served on shard "
             "CPUs also for others.",
     .fix = "for f in /sys/class/net/{nic}/queues/rx-*/rps_cpus; do echo 0 >$f; done"},
    {.id = "nic-xps",
     .path = "/sys/class/net/NIC/queues/tx-*/xps_cpus",
     .judge = xps,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "a transmit queue for each CPU, if there are several",
     .cost = "CPUs that share a queue wait for its lock, 0.1 to 1 us.",
     .fix = "i=0; for f in /sys/class/net/{nic}/queues/tx-*/xps_cpus; do printf %x $((1 << (i++ % "
            "$(nproc)))) >$f; done"},
    {.id = "nic-threaded",
     .path = "/sys/class/net/NIC/threaded",
     .judge = doctor_check_nic_number,
     .op = CHECK_EQ,
     .value = 0,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "0, unless its threads have CPUs of their own",
     .cost = "Packets wait until a thread of the kernel's is scheduled, 2 to 50 us.",
     .fix = "echo 0 >/sys/class/net/{nic}/threaded"},
    {.id = "nic-deferral",
     .path = "/sys/class/net/NIC/{gro_flush_timeout,napi_defer_hard_irqs}",
     .judge = deferral,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "both 0, or both set and shards run with --napi",
     .cost = "A packet that nobody asks for waits for the timer, gro_flush_timeout.",
     .fix = "echo 0 >/sys/class/net/{nic}/napi_defer_hard_irqs; echo 0 "
            ">/sys/class/net/{nic}/gro_flush_timeout"},
};
const uint32_t doctor_nic_check_cnt = sizeof doctor_nic_checks / sizeof doctor_nic_checks[0];
