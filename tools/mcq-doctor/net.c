/* Checks of the network stack: its settings, and what it dropped during the window. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define BUFFER_MAX  (4ll << 20)
#define PORTS_MIN   16384
#define SOFTNET_MAX 13u

/* Rings that ask receive queues themselves make the sysctl unnecessary. */
static void busy_poll(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    doctor_check_number(e, c, r);
    if (r->status == MCQ_DOCTOR_WARN && e->napi_busy_us > 0)
        doctor_check_say(r, MCQ_DOCTOR_PASS, "0, but shards ask themselves (--napi %" PRIu32 ")",
                         e->napi_busy_us);
}

/* "least usual most", in bytes: the last says how far a buffer grows. */
static void tcp_memory(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t values[4];
    if (!doctor_check_read(e, r, &t, "%s", c->path))
        return;
    if (doctor_words_numbers(t.at, values, 4) != 3)
        doctor_check_malformed(r, &t, "three numbers");
    else
        doctor_check_say(r, values[2] >= BUFFER_MAX ? MCQ_DOCTOR_PASS : c->worse,
                         "%" PRId64 " to %" PRId64 " KiB", values[0] >> 10, values[2] >> 10);
    doctor_text_drop(&t);
}

static void ports(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct text t;
    int64_t values[3];
    if (!doctor_check_read(e, r, &t, "%s", c->path))
        return;
    if (doctor_words_numbers(t.at, values, 3) != 2 || values[0] < 1 || values[1] > 65535 ||
        values[1] < values[0])
        doctor_check_malformed(r, &t, "two port numbers");
    else
        doctor_check_say(r, values[1] - values[0] + 1 >= PORTS_MIN ? MCQ_DOCTOR_PASS : c->worse,
                         "%" PRId64 " ports, %" PRId64 " to %" PRId64, values[1] - values[0] + 1,
                         values[0], values[1]);
    doctor_text_drop(&t);
}

/* --- softnet_stat: a line per CPU, of hexadecimal numbers: packets, drops, squeezes, ... ------ */

struct softnet {
    uint64_t drops, squeezes;
};

static bool line_read(const char *line, struct softnet *sum)
{
    uint64_t values[SOFTNET_MAX];
    uint32_t cnt = 0;
    const char *at = line;
    while (cnt < SOFTNET_MAX) {
        char *end = NULL;
        at += strspn(at, " ");
        if (!isxdigit((unsigned char)*at))
            break;
        values[cnt++] = strtoull(at, &end, 16);
        if (end - at > 8) /* all are of 32 bits */
            return false;
        at = end;
    }
    if (cnt < 3 || (*at != '\n' && *at != '\0' && cnt < SOFTNET_MAX))
        return false;
    sum->drops += values[1];
    sum->squeezes += values[2];
    return true;
}

static bool softnet_read(const struct text *t, struct softnet *sum)
{
    *sum = (struct softnet){0};
    for (const char *line = t->at; line != NULL; line = doctor_words_next_line(line))
        if (!line_read(line, sum))
            return false;
    return true;
}

static bool softnet(const struct exam *e, struct mcq_doctor_result *r, struct softnet *rise,
                    struct softnet *total)
{
    struct softnet before;
    const struct sample *s = doctor_check_sample(e, r, SAMPLE_SOFTNET);
    if (s == NULL)
        return false;
    if (!softnet_read(&s->before, &before) || !softnet_read(&s->after, total)) {
        doctor_check_malformed(r, &s->before, "lines of hexadecimal numbers");
        return false;
    }
    rise->drops = total->drops > before.drops ? total->drops - before.drops : 0;
    rise->squeezes = total->squeezes > before.squeezes ? total->squeezes - before.squeezes : 0;
    return true;
}

static void drops(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct softnet rise, total;
    (void)c;
    if (softnet(e, r, &rise, &total))
        doctor_check_say_count(e, r,
                               rise.drops > 0    ? MCQ_DOCTOR_FAIL
                               : total.drops > 0 ? MCQ_DOCTOR_WARN
                                                 : MCQ_DOCTOR_PASS,
                               (int64_t)rise.drops, (int64_t)total.drops, "");
}

static void squeezes(const struct exam *e, const struct check *c, struct mcq_doctor_result *r)
{
    struct softnet rise, total;
    if (softnet(e, r, &rise, &total) && (total.squeezes == 0 || doctor_check_twice(e, r)))
        doctor_check_say_count(e, r, rise.squeezes > 0 ? c->worse : MCQ_DOCTOR_PASS,
                               (int64_t)rise.squeezes, (int64_t)total.squeezes, "");
}

/* -------------------------------------------------------------------------------------------- */

const struct check doctor_net_checks[] = {
    {.id = "net-busy-poll",
     .path = "/proc/sys/net/core/busy_poll",
     .judge = busy_poll,
     .op = CHECK_GE,
     .value = 1,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "50, or --napi",
     .cost = "Who sleeps in poll or epoll waits for the interrupt, 3 to 20 us; shards by their "
             "--napi.",
     .fix = "sysctl -w net.core.busy_poll=50 # or run the shards with --napi 50",
     .tuned = "sysctl|net.core.busy_poll=50"},
    {.id = "net-busy-read",
     .path = "/proc/sys/net/core/busy_read",
     .judge = busy_poll,
     .op = CHECK_GE,
     .value = 1,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "50, or --napi",
     .cost = "Who sleeps in a read waits for the interrupt, 3 to 20 us; shards by their --napi.",
     .fix = "sysctl -w net.core.busy_read=50 # or run the shards with --napi 50",
     .tuned = "sysctl|net.core.busy_read=50"},
    {.id = "net-slow-start",
     .path = "/proc/sys/net/ipv4/tcp_slow_start_after_idle",
     .judge = doctor_check_number,
     .op = CHECK_EQ,
     .value = 0,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "0",
     .cost = "After a pause of 200 ms a connection may send 10 packets, then waits for a round "
             "trip: bursts of more than 14 KB take that longer.",
     .fix = "sysctl -w net.ipv4.tcp_slow_start_after_idle=0",
     .tuned = "sysctl|net.ipv4.tcp_slow_start_after_idle=0"},
    {.id = "net-autocorking",
     .path = "/proc/sys/net/ipv4/tcp_autocorking",
     .judge = doctor_check_number,
     .op = CHECK_EQ,
     .value = 0,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "0",
     .cost = "A small message waits until the interface has finished the one before: 5 to 50 us "
             "under load.",
     .fix = "sysctl -w net.ipv4.tcp_autocorking=0",
     .tuned = "sysctl|net.ipv4.tcp_autocorking=0"},
    {.id = "net-tcp-rmem",
     .path = "/proc/sys/net/ipv4/tcp_rmem",
     .judge = tcp_memory,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "up to 4 MiB or more",
     .cost = "A peer that pauses fills the buffer after fewer bytes, and its sender stops for a "
             "round trip.",
     .fix = "sysctl -w net.ipv4.tcp_rmem=\"4096 131072 8388608\"",
     .tuned = "sysctl|net.ipv4.tcp_rmem=4096 131072 8388608"},
    {.id = "net-tcp-wmem",
     .path = "/proc/sys/net/ipv4/tcp_wmem",
     .judge = tcp_memory,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "up to 4 MiB or more",
     .cost = "Over links with long round trips less is under way: 256 KiB at 10 ms is 25 MB/s.",
     .fix = "sysctl -w net.ipv4.tcp_wmem=\"4096 65536 8388608\"",
     .tuned = "sysctl|net.ipv4.tcp_wmem=4096 65536 8388608"},
    {.id = "net-rmem-max",
     .path = "/proc/sys/net/core/rmem_max",
     .judge = doctor_check_number,
     .op = CHECK_GE,
     .value = BUFFER_MAX,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "4 MiB or more, where an option asks for a receive buffer",
     .cost = "Larger SO_RCVBUF are cut down to it without a word; nothing by itself.",
     .fix = "sysctl -w net.core.rmem_max=8388608",
     .tuned = "sysctl|net.core.rmem_max=8388608"},
    {.id = "net-wmem-max",
     .path = "/proc/sys/net/core/wmem_max",
     .judge = doctor_check_number,
     .op = CHECK_GE,
     .value = BUFFER_MAX,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "4 MiB or more, where an option asks for a send buffer",
     .cost = "Larger SO_SNDBUF are cut down to it without a word; nothing by itself.",
     .fix = "sysctl -w net.core.wmem_max=8388608",
     .tuned = "sysctl|net.core.wmem_max=8388608"},
    {.id = "net-somaxconn",
     .path = "/proc/sys/net/core/somaxconn",
     .judge = doctor_check_number,
     .op = CHECK_GE,
     .value = 4096,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "at least 4096",
     .cost = "When more clients than that come at once, each of the others tries again after 1 s.",
     .fix = "sysctl -w net.core.somaxconn=4096",
     .tuned = "sysctl|net.core.somaxconn=4096"},
    {.id = "net-syn-backlog",
     .path = "/proc/sys/net/ipv4/tcp_max_syn_backlog",
     .judge = doctor_check_number,
     .op = CHECK_GE,
     .value = 1024,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "at least 1024",
     .cost = "When more clients than that are between SYN and ACK, others try again after 1 s, or "
             "get SYN cookies.",
     .fix = "sysctl -w net.ipv4.tcp_max_syn_backlog=4096",
     .tuned = "sysctl|net.ipv4.tcp_max_syn_backlog=4096"},
    {.id = "net-ports",
     .path = "/proc/sys/net/ipv4/ip_local_port_range",
     .judge = ports,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "16384 ports or more",
     .cost = "More connections than that to one address can't be opened.",
     .fix = "sysctl -w net.ipv4.ip_local_port_range=\"15000 65535\"",
     .tuned = "sysctl|net.ipv4.ip_local_port_range=15000 65535"},
    {.id = "net-softnet-drops",
     .path = "/proc/net/softnet_stat",
     .judge = drops,
     .wanted = "none",
     .cost = "A packet that is dropped comes again after 200 ms at the latest, and all behind it "
             "waits.",
     .fix = "sysctl -w net.core.netdev_max_backlog=10000"},
    {.id = "net-softnet-squeezes",
     .path = "/proc/net/softnet_stat",
     .judge = squeezes,
     .worse = MCQ_DOCTOR_WARN,
     .wanted = "none during the window",
     .cost = "Packets were left for the next round, which may be ksoftirqd's: up to milliseconds.",
     .fix = "sysctl -w net.core.netdev_budget=600 net.core.netdev_budget_usecs=8000"},
};
const uint32_t doctor_net_check_cnt = sizeof doctor_net_checks / sizeof doctor_net_checks[0];
