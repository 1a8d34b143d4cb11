#include "shards/endpoint.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define UN_OFF offsetof(struct sockaddr_un, sun_path)

static struct mcq_endpoint good(const char *text, bool bind)
{
    struct mcq_endpoint ep;
    struct mcq_detail detail = {.text = "untouched"};
    enum mcq_error err = mcq_endpoint_parse(text, bind, &ep, &detail);
    cr_assert_eq(err, MCQ_OK, "%s: %s", text, detail.text);
    cr_assert_str_eq(detail.text, "untouched");
    return ep;
}

/* Fails with code, a text that has `says`, and leaves no half-filled endpoint behind. */
static void bad(const char *text, bool bind, enum mcq_error code, const char *says)
{
    struct mcq_endpoint ep;
    struct mcq_detail detail = {.text = ""};
    memset(&ep, 0xa5, sizeof(ep));
    enum mcq_error err = mcq_endpoint_parse(text, bind, &ep, &detail);
    cr_assert_eq(err, code, "%s (%s): %s, %s", text, bind ? "bind" : "connect", mcq_error_name(err),
                 detail.text);
    cr_assert_eq(detail.code, code);
    cr_assert_not_null(strstr(detail.text, says), "%s: '%s' lacks '%s'", text, detail.text, says);
    cr_assert_lt(strlen(detail.text), MCQ_DETAIL_TEXT_LEN - 1, "'%s' is cut", detail.text);
    cr_assert_not(ep.resolved);
    cr_assert_eq(ep.addr.len, 0);
    cr_assert_eq(ep.src.len, 0);
    cr_assert_str_eq(ep.host, "");
    cr_assert_eq(ep.port, 0);
    cr_assert_eq(mcq_endpoint_parse(text, bind, &ep, NULL), code, "without a detail");
}

static void bad_both(const char *text, enum mcq_error code, const char *says)
{
    bad(text, true, code, says);
    bad(text, false, code, says);
}

/* The text that comes out is what went in, or `out`. */
static void round_trip(const char *in, bool bind, const char *out)
{
    char text[MCQ_ENDPOINT_LEN_MAX];
    struct mcq_endpoint ep = good(in, bind);
    cr_assert(ep.resolved, "%s", in);
    mcq_endpoint_format(&ep.addr, text);
    cr_assert_str_eq(text, out);
    struct mcq_endpoint again = good(text, bind);
    cr_assert_eq(again.addr.len, ep.addr.len);
    cr_assert_arr_eq(&again.addr.ss, &ep.addr.ss, ep.addr.len);
}

Test(endpoint, numeric_addresses_both_ways)
{
    round_trip("tcp://127.0.0.1:5555", false, "tcp://127.0.0.1:5555");
    round_trip("tcp://127.0.0.1:5555", true, "tcp://127.0.0.1:5555");
    round_trip("tcp://255.255.255.255:65535", false, "tcp://255.255.255.255:65535");
    round_trip("tcp://0.0.0.0:1", false, "tcp://0.0.0.0:1");
    round_trip("tcp://[::1]:5555", false, "tcp://[::1]:5555");
    round_trip("tcp://[0:0:0:0:0:0:0:1]:5555", true, "tcp://[::1]:5555");
    round_trip("tcp://[::ffff:10.0.0.1]:80", false, "tcp://[::ffff:10.0.0.1]:80");
    round_trip("tcp://[2001:db8::42]:65535", true, "tcp://[2001:db8::42]:65535");
    round_trip("tcp://127.0.0.1:00080", false, "tcp://127.0.0.1:80");
}

Test(endpoint, fields_of_an_ipv4_address)
{
    struct mcq_endpoint ep = good("tcp://10.1.2.3:258", false);
    struct sockaddr_in in;
    cr_assert(ep.tcp);
    cr_assert_eq(ep.port, 258);
    cr_assert_eq(ep.addr.len, sizeof(in));
    memcpy(&in, &ep.addr.ss, sizeof(in));
    cr_assert_eq(in.sin_family, AF_INET);
    cr_assert_eq(in.sin_port, htons(258));
    cr_assert_eq(in.sin_addr.s_addr, htonl(0x0a010203));
}

Test(endpoint, wildcards_are_for_bind)
{
    round_trip("tcp://*:5555", true, "tcp://0.0.0.0:5555");
    round_trip("tcp://*:*", true, "tcp://0.0.0.0:0");
    round_trip("tcp://127.0.0.1:0", true, "tcp://127.0.0.1:0");
    round_trip("tcp://127.0.0.1:*", true, "tcp://127.0.0.1:0");
    round_trip("tcp://[::]:*", true, "tcp://[::]:0");
    bad("tcp://*:5555", false, MCQ_EADDR, "one host");
    bad("tcp://127.0.0.1:0", false, MCQ_EADDR, "port '0'");
    bad("tcp://127.0.0.1:*", false, MCQ_EADDR, "port '*'");
    bad("tcp://[::1]:00000", false, MCQ_EADDR, "can only be bound");
    bad("tcp://localhost:0", false, MCQ_EADDR, "can only be bound");
}

Test(endpoint, ports_that_are_none)
{
    bad_both("tcp://127.0.0.1", MCQ_EADDR, "no port");
    bad_both("tcp://127.0.0.1:", MCQ_EADDR, "no port");
    bad_both("tcp://[::1]", MCQ_EADDR, "no port");
    bad_both("tcp://[::1]:", MCQ_EADDR, "no port");
    bad_both("tcp://[::1]5555", MCQ_EADDR, "no port");
    bad_both("tcp://127.0.0.1:65536", MCQ_EADDR, "above 65535");
    bad_both("tcp://127.0.0.1:4295033391", MCQ_EADDR, "above 65535"); /* 5555 in 32 bits */
    bad_both("tcp://127.0.0.1:99999999999999999999999999", MCQ_EADDR, "above 65535");
    bad_both("tcp://127.0.0.1:000000", MCQ_EADDR, "above 65535");
    bad_both("tcp://127.0.0.1:5555x", MCQ_EADDR, "not a number");
    bad_both("tcp://127.0.0.1:5555/", MCQ_EADDR, "not a number");
    bad_both("tcp://127.0.0.1:5555 ", MCQ_EADDR, "not a number");
    bad_both("tcp://127.0.0.1: 5555", MCQ_EADDR, "not a number");
    bad_both("tcp://127.0.0.1:+555", MCQ_EADDR, "not a number");
    bad_both("tcp://127.0.0.1:-1", MCQ_EADDR, "not a number");
    bad_both("tcp://127.0.0.1:0x50", MCQ_EADDR, "not a number");
    bad_both("tcp://127.0.0.1:**", MCQ_EADDR, "not a number");
    bad_both("tcp://[::1]:5555:1", MCQ_EADDR, "not a number");
}

Test(endpoint, hosts_that_are_none)
{
    bad_both("tcp://", MCQ_EADDR, "no port");
    bad_both("tcp://:5555", MCQ_EADDR, "no host");
    bad_both("tcp://[]:5555", MCQ_EADDR, "no host");
    bad_both("tcp://[::1:5555", MCQ_EADDR, "not closed");
    bad_both("tcp://::1:5555", MCQ_EADDR, "brackets");
    bad_both("tcp://fe80::1%lo:5555", MCQ_EADDR, "brackets");
    bad_both("tcp://[127.0.0.1]:5555", MCQ_EADDR, "not an IPv6 address");
    bad_both("tcp://[::g]:5555", MCQ_EADDR, "not an IPv6 address");
    bad_both("tcp://[1:2:3:4:5:6:7:8:9]:5555", MCQ_EADDR, "not an IPv6 address");
    bad_both("tcp://[*]:5555", MCQ_EADDR, "not an IPv6 address");
    bad_both("tcp://127.1:5555", MCQ_EADDR, "not an IPv4 address");
    bad_both("tcp://256.0.0.1:5555", MCQ_EADDR, "not an IPv4 address");
    bad_both("tcp://1.2.3.4.5:5555", MCQ_EADDR, "not an IPv4 address");
    bad_both("tcp://127.0.0.1.:5555", MCQ_EADDR, "not an IPv4 address");
    bad_both("tcp://2130706433:5555", MCQ_EADDR, "not an IPv4 address");
    bad_both("tcp://a b:5555", MCQ_EADDR, "not a host name");
    bad_both("tcp://a..b:5555", MCQ_EADDR, "not a host name");
    bad_both("tcp://-a:5555", MCQ_EADDR, "not a host name");
    bad_both("tcp://user@host:5555", MCQ_EADDR, "not a host name");
    bad_both("tcp:///host:5555", MCQ_EADDR, "not a host name");
}

Test(endpoint, transports)
{
    bad_both("", MCQ_EADDR, "empty");
    bad_both(NULL, MCQ_EADDR, "empty");
    bad_both("127.0.0.1:5555", MCQ_EADDR, "no transport");
    bad_both("tcp:/127.0.0.1:5555", MCQ_EADDR, "no transport");
    bad_both("://x", MCQ_ENOTSUP, "tcp, ipc or inproc");
    bad_both("udp://127.0.0.1:5555", MCQ_ENOTSUP, "'udp'");
    bad_both("TCP://127.0.0.1:5555", MCQ_ENOTSUP, "'TCP'");
    bad_both(" tcp://127.0.0.1:5555", MCQ_ENOTSUP, "tcp, ipc or inproc");
    bad_both("INPROC://a", MCQ_ENOTSUP, "'INPROC'");
    bad_both("a-transport-with-a-long-name://x", MCQ_ENOTSUP, "'a-transport-with': use");
}

Test(endpoint, names_wait_for_the_resolver)
{
    struct mcq_endpoint ep = good("tcp://localhost:5555", false);
    cr_assert(ep.tcp);
    cr_assert_not(ep.resolved);
    cr_assert_str_eq(ep.host, "localhost");
    cr_assert_eq(ep.port, 5555);
    cr_assert_eq(ep.addr.len, 0);
    cr_assert_str_eq(good("tcp://gw-1.eu_west.example.com.:1", false).host,
                     "gw-1.eu_west.example.com.");
}

Test(endpoint, bind_takes_interfaces_but_no_host_names)
{
    round_trip("tcp://lo:5555", true, "tcp://127.0.0.1:5555");
    round_trip("tcp://lo:*", true, "tcp://127.0.0.1:0");
    bad("tcp://localhost:5555", true, MCQ_EADDR, "interface");
    bad("tcp://no-such-if0:5555", true, MCQ_EADDR, "interface");
    cr_assert_not(good("tcp://lo:5555", false).resolved, "for connect it is a name");
}

/* --- the near end of a connect ---------------------------------------------------------------- */

static struct mcq_endpoint with_source(const char *text, const char *src)
{
    char got[MCQ_ENDPOINT_LEN_MAX];
    struct mcq_endpoint ep = good(text, false);
    mcq_endpoint_format(&ep.src, got);
    cr_assert_str_eq(got, src, "%s", text);
    return ep;
}

Test(endpoint, near_ends)
{
    struct mcq_endpoint ep = with_source("tcp://10.0.0.1:0;10.0.0.2:5555", "tcp://10.0.0.1:0");
    char far[MCQ_ENDPOINT_LEN_MAX];
    mcq_endpoint_format(&ep.addr, far);
    cr_assert_str_eq(far, "tcp://10.0.0.2:5555");
    cr_assert_eq(ep.port, 5555);
    with_source("tcp://10.0.0.1:*;10.0.0.2:5555", "tcp://10.0.0.1:0");
    with_source("tcp://10.0.0.1:777;10.0.0.2:5555", "tcp://10.0.0.1:777");
    with_source("tcp://lo:0;10.0.0.2:5555", "tcp://127.0.0.1:0");
    with_source("tcp://lo:5;localhost:5555", "tcp://127.0.0.1:5");
    with_source("tcp://[::1]:0;[2001:db8::1]:5555", "tcp://[::1]:0");
    cr_assert_not(with_source("tcp://[::1]:9;far.example:5555", "tcp://[::1]:9").resolved);
    cr_assert_eq(good("tcp://10.0.0.2:5555", false).src.len, 0);
    cr_assert_eq(good("ipc:///tmp/a;b:1", false).src.len, 0, "a path may have any byte");
}

Test(endpoint, near_ends_that_are_none)
{
    bad("tcp://10.0.0.1:0;10.0.0.2:5555", true, MCQ_EADDR, "connect alone");
    bad("tcp://*:0;10.0.0.2:5555", false, MCQ_EADDR, "'*:0' is no near end");
    bad("tcp://;10.0.0.2:5555", false, MCQ_EADDR, "'' is no near end");
    bad("tcp://:5;10.0.0.2:5555", false, MCQ_EADDR, "':5' is no near end");
    bad("tcp://10.0.0.1;10.0.0.2:5555", false, MCQ_EADDR, "'10.0.0.1' is no near end");
    bad("tcp://10.0.0.1:;10.0.0.2:5555", false, MCQ_EADDR, "no port");
    bad("tcp://10.0.0.1:65536;10.0.0.2:5555", false, MCQ_EADDR, "above 65535");
    bad("tcp://10.0.0.300:0;10.0.0.2:5555", false, MCQ_EADDR, "not an IPv4 address");
    bad("tcp://no-such-if0:0;10.0.0.2:5555", false, MCQ_EADDR, "interface of this host");
    bad("tcp://localhost:0;10.0.0.2:5555", false, MCQ_EADDR, "interface of this host");
    bad("tcp://10.0.0.1:0;10.0.0.2", false, MCQ_EADDR, "no port");
    bad("tcp://10.0.0.1:0;", false, MCQ_EADDR, "no port");
    bad("tcp://10.0.0.1:0;*:5555", false, MCQ_EADDR, "only be bound");
    bad("tcp://10.0.0.1:0;10.0.0.2:1;10.0.0.3:2", false, MCQ_EADDR, "brackets");
    bad("tcp://10.0.0.1:0;[::1]:5555", false, MCQ_EADDR, "same for both");
    bad("tcp://[::1]:0;10.0.0.1:5555", false, MCQ_EADDR, "same for both");
}

Test(endpoint, zones)
{
    struct sockaddr_in6 in6;
    char text[MCQ_ENDPOINT_LEN_MAX];
    struct mcq_endpoint ep = good("tcp://[fe80::1%lo]:5555", false);
    memcpy(&in6, &ep.addr.ss, sizeof(in6));
    cr_assert_eq(in6.sin6_scope_id, if_nametoindex("lo"));
    mcq_endpoint_format(&ep.addr, text);
    snprintf(ep.host, sizeof(ep.host), "tcp://[fe80::1%%%u]:5555", if_nametoindex("lo"));
    cr_assert_str_eq(text, ep.host);
    round_trip("tcp://[fe80::1%4294967295]:5555", true, "tcp://[fe80::1%4294967295]:5555");
    bad_both("tcp://[fe80::1%no-such-if0]:5555", MCQ_EADDR, "no interface 'no-such-if0'");
    bad_both("tcp://[fe80::1%]:5555", MCQ_EADDR, "no interface ''");
    bad_both("tcp://[fe80::1%0]:5555", MCQ_EADDR, "no interface '0'");
    bad_both("tcp://[fe80::1%4294967296]:5555", MCQ_EADDR, "no interface");
    bad_both("tcp://[fe80::1]:5555", MCQ_EADDR, "fe80::1%eth0");
}

Test(endpoint, unix_paths)
{
    round_trip("ipc:///run/gateway.sock", true, "ipc:///run/gateway.sock");
    round_trip("ipc://relative.sock", false, "ipc://relative.sock");
    round_trip("ipc:///tmp/with blank and \xc3\xa9", true, "ipc:///tmp/with blank and \xc3\xa9");
    struct mcq_endpoint ep = good("ipc://a", true);
    cr_assert_not(ep.tcp);
    cr_assert_eq(ep.addr.len, UN_OFF + 2);
    bad_both("ipc://", MCQ_EADDR, "no path");
    bad_both("ipc://*", MCQ_EADDR, "ephemeral");
    bad_both("ipc:///tmp/", MCQ_EADDR, "directory");
    bad_both("ipc:///tmp/a\nb", MCQ_EADDR, "control characters");
    bad_both("ipc:///tmp/a\x7f", MCQ_EADDR, "control characters");
}

Test(endpoint, abstract_names)
{
    round_trip("ipc://@name", true, "ipc://@name");
    struct mcq_endpoint ep = good("ipc://@n", false);
    struct sockaddr_un un;
    memcpy(&un, &ep.addr.ss, sizeof(un));
    cr_assert_eq(ep.addr.len, UN_OFF + 2);
    cr_assert_eq(un.sun_path[0], '\0');
    cr_assert_eq(un.sun_path[1], 'n');
    bad_both("ipc://@", MCQ_EADDR, "no path");
}

static const char *ipc_of(char text[MCQ_ENDPOINT_LEN_MAX], char first, size_t len)
{
    memset(text, 'p', MCQ_ENDPOINT_LEN_MAX);
    memcpy(text, "ipc://", 6);
    text[6] = first;
    text[6 + len] = '\0';
    return text;
}

Test(endpoint, path_lengths_at_the_limit)
{
    char text[MCQ_ENDPOINT_LEN_MAX];
    round_trip(ipc_of(text, '/', 107), true, ipc_of(text, '/', 107));
    bad_both(ipc_of(text, '/', 108), MCQ_EADDR, "at most 107");
    round_trip(ipc_of(text, '@', 108), true, ipc_of(text, '@', 108));
    bad_both(ipc_of(text, '@', 109), MCQ_EADDR, "at most 108");
    bad_both(ipc_of(text, '/', 249), MCQ_EADDR, "at most 107");
}

Test(endpoint, text_lengths_at_the_limit)
{
    char text[MCQ_ENDPOINT_LEN_MAX + 8];
    memset(text, 'h', sizeof(text));
    memcpy(text, "tcp://", 6);
    memcpy(text + 259, ":5555", 6); /* 264 bytes */
    cr_assert_eq(strlen(good(text, false).host), 253);
    memset(text + 259, 'h', 6);
    memcpy(text + 260, ":5555", 6); /* 265 bytes */
    bad_both(text, MCQ_EADDR, "longer than 264");
}

Test(endpoint, inproc_names)
{
    char text[MCQ_ENDPOINT_LEN_MAX + 1];
    for (int bind = 0; bind <= 1; bind++) {
        struct mcq_endpoint ep = good("inproc://a b/*:1", bind != 0);
        cr_assert(ep.inproc && ep.resolved && !ep.tcp);
        cr_assert_str_eq(ep.host, "a b/*:1");
    }
    memset(text, 'n', sizeof(text));
    memcpy(text, "inproc://", 9);
    text[9 + 255] = '\0';
    cr_assert_eq(strlen(good(text, true).host), 255);
    cr_assert_eq(strlen(good(text, false).host), 255);
    text[9 + 255] = 'n';
    text[9 + 256] = '\0';
    bad_both(text, MCQ_EADDR, "longer than 264");
    bad_both("inproc://", MCQ_EADDR, "no name");
    bad_both("inproc://a\nb", MCQ_EADDR, "control characters");
}

/* What the kernel says of peers: unnamed, without a NUL, with bytes of the peer's choice. */
Test(endpoint, formats_what_it_would_not_parse)
{
    char text[MCQ_ENDPOINT_LEN_MAX] = "x";
    struct mcq_addr addr = {0};
    mcq_endpoint_format(&addr, text);
    cr_assert_str_eq(text, "");

    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(&addr.ss, &un, sizeof(un));
    addr.len = UN_OFF;
    mcq_endpoint_format(&addr, text);
    cr_assert_str_eq(text, "");

    memcpy(un.sun_path, "\0a\0b\nc", 6);
    memcpy(&addr.ss, &un, sizeof(un));
    addr.len = UN_OFF + 6;
    mcq_endpoint_format(&addr, text);
    cr_assert_str_eq(text, "ipc://@a?b?c");

    char want[128] = "ipc://";
    memset(un.sun_path, 'p', sizeof(un.sun_path));
    memset(want + 6, 'p', sizeof(un.sun_path));
    memcpy(&addr.ss, &un, sizeof(un));
    addr.len = sizeof(un);
    mcq_endpoint_format(&addr, text);
    cr_assert_str_eq(text, want);
    addr.len = sizeof(addr.ss); /* more than a unix address can have */
    mcq_endpoint_format(&addr, text);
    cr_assert_str_eq(text, want);
}

Test(endpoint, formats_no_family_it_does_not_know)
{
    char text[MCQ_ENDPOINT_LEN_MAX] = "x";
    struct mcq_addr addr = {.len = sizeof(addr.ss)};
    addr.ss.ss_family = AF_NETLINK;
    mcq_endpoint_format(&addr, text);
    cr_assert_str_eq(text, "");
    struct mcq_endpoint ep = good("tcp://1.2.3.4:5", false);
    ep.addr.len--; /* cut short */
    mcq_endpoint_format(&ep.addr, text);
    cr_assert_str_eq(text, "");
}
