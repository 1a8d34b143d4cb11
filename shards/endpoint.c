#include "shards/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "mem/detail.h"
#include "mem/slice.h"
#include "shards/netif.h"

#define PORT_DIGITS_MAX 5
#define NAME_LEN_MAX    253 /* of a host name, RFC 1035 section 3.1 */
#define UN_PATH_OFF     offsetof(struct sockaddr_un, sun_path)
#define UN_PATH_CAP     (sizeof(struct sockaddr_un) - UN_PATH_OFF)

/* One parse: the whole text is quoted in every sentence, cut so that the advice still fits. */
struct parse {
    const char *text;
    bool bind;
    sa_family_t family; /* of the address wanted, AF_UNSPEC: any */
    struct mcq_detail *detail;
    struct mcq_endpoint *ep;
};

#define BAD(p, code, fmt, ...) \
    mcq_detail_set((p)->detail, (code), 0, "'%.72s': " fmt, (p)->text, ##__VA_ARGS__)

static bool all_of(const char *text, const char *set)
{
    return text[strspn(text, set)] == '\0';
}

static void set_in(struct mcq_endpoint *ep, struct in_addr host)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(ep->port), .sin_addr = host};
    ep->addr = (struct mcq_addr){.len = sizeof(in)};
    mcq_bytes_copy(&ep->addr.ss, &in, sizeof(in));
    ep->resolved = true;
}

static void set_in6(struct mcq_endpoint *ep, struct in6_addr host, uint32_t scope)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                               .sin6_port = htons(ep->port),
                               .sin6_addr = host,
                               .sin6_scope_id = scope};
    ep->addr = (struct mcq_addr){.len = sizeof(in6)};
    mcq_bytes_copy(&ep->addr.ss, &in6, sizeof(in6));
    ep->resolved = true;
}

static enum mcq_error port_parse(const struct parse *p, const char *text)
{
    bool any = strcmp(text, "*") == 0;
    if (text[0] == '\0')
        return BAD(p, MCQ_EADDR, "no port after the ':': write tcp://127.0.0.1:5555");
    if (!any && !all_of(text, "0123456789"))
        return BAD(p, MCQ_EADDR, "the port '%.16s' is not a number: write tcp://127.0.0.1:5555",
                   text);
    uint32_t port = 0;
    for (const char *digit = text; !any && *digit != '\0' && port <= UINT16_MAX; digit++)
        port = port * 10 + (uint32_t)(*digit - '0');
    if (port > UINT16_MAX || strlen(text) > PORT_DIGITS_MAX)
        return BAD(p, MCQ_EADDR, "the port %.16s is above 65535: write one from %d to 65535", text,
                   p->bind ? 0 : 1);
    if (port == 0 && !p->bind)
        return BAD(p, MCQ_EADDR,
                   "port '%s' can only be bound: connect to the port that the other "
                   "side listens at, tcp://127.0.0.1:5555",
                   text);
    p->ep->port = (uint16_t)port;
    return MCQ_OK;
}

/* After the '%': an interface's number or name, RFC 4007 section 11. 0: there is none. */
static uint32_t zone_parse(const char *zone)
{
    if (zone[0] == '\0' || !all_of(zone, "0123456789"))
        return mcq_netif_index(zone);
    uint64_t index = 0;
    for (const char *digit = zone; *digit != '\0' && index <= UINT32_MAX; digit++)
        index = index * 10 + (uint64_t)(*digit - '0');
    return index <= UINT32_MAX ? (uint32_t)index : 0;
}

static enum mcq_error host6_parse(const struct parse *p)
{
    char host[MCQ_ENDPOINT_LEN_MAX];
    snprintf(host, sizeof(host), "%s", p->ep->host);
    char *zone = strchr(host, '%');
    if (zone != NULL)
        *zone++ = '\0';
    struct in6_addr addr;
    if (inet_pton(AF_INET6, host, &addr) != 1)
        return BAD(p, MCQ_EADDR, "'%.48s' is not an IPv6 address: write tcp://[::1]:5555", host);
    uint32_t scope = zone != NULL ? zone_parse(zone) : 0;
    if (zone != NULL && scope == 0)
        return BAD(p, MCQ_EADDR,
                   "this host has no interface '%.16s': `ip link` lists those there "
                   "are",
                   zone);
    if (scope == 0 && IN6_IS_ADDR_LINKLOCAL(&addr))
        return BAD(p, MCQ_EADDR,
                   "a link-local address needs its interface: write "
                   "tcp://[fe80::1%%eth0]:5555");
    set_in6(p->ep, addr, scope);
    return MCQ_OK;
}

static bool is_name(const char *host)
{
    return all_of(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") &&
           host[0] != '.' && host[0] != '-' && strstr(host, "..") == NULL &&
           strlen(host) <= NAME_LEN_MAX;
}

/* A name: looked up later for connect, an interface of this host for bind. */
static enum mcq_error name_parse(const struct parse *p)
{
    struct mcq_endpoint *ep = p->ep;
    if (!p->bind)
        return MCQ_OK;
    struct mcq_addr addr;
    if (!mcq_netif_addr(ep->host, p->family, &addr))
        return BAD(p, MCQ_EADDR,
                   "'%.32s' is neither an address nor an interface of this host%s: "
                   "use 127.0.0.1, one that `ip addr` lists, or, to bind, * for all",
                   ep->host, p->family == AF_INET6 ? " with IPv6" : "");
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    if (addr.ss.ss_family == AF_INET) {
        mcq_bytes_copy(&in, &addr.ss, sizeof(in));
        set_in(ep, in.sin_addr);
    } else {
        mcq_bytes_copy(&in6, &addr.ss, sizeof(in6));
        set_in6(ep, in6.sin6_addr, in6.sin6_scope_id);
    }
    return MCQ_OK;
}

static enum mcq_error host_parse(const struct parse *p)
{
    const char *host = p->ep->host;
    struct in_addr addr = {.s_addr = htonl(INADDR_ANY)};
    if (strcmp(host, "*") == 0) {
        if (!p->bind)
            return BAD(p, MCQ_EADDR,
                       "'*' can only be bound: connect to one host, "
                       "tcp://127.0.0.1:5555");
        set_in(p->ep, addr);
        return MCQ_OK;
    }
    if (inet_pton(AF_INET, host, &addr) == 1) {
        set_in(p->ep, addr);
        return MCQ_OK;
    }
    /* The resolver would read 127.1 or 0177.0.0.1 in the manner of inet_aton. */
    if (all_of(host, "0123456789."))
        return BAD(p, MCQ_EADDR,
                   "'%.32s' is not an IPv4 address: write four numbers up to 255, "
                   "tcp://127.0.0.1:5555",
                   host);
    if (!is_name(host))
        return BAD(p, MCQ_EADDR,
                   "'%.32s' is not a host name: write tcp://127.0.0.1:5555, "
                   "tcp://[::1]:5555 or tcp://localhost:5555",
                   host);
    return name_parse(p);
}

static enum mcq_error tcp_split(const struct parse *p, const char *rest, const char **port)
{
    const char *host = rest, *end = strrchr(rest, ':');
    if (rest[0] == '[') {
        host = rest + 1;
        end = strchr(rest, ']');
        if (end == NULL)
            return BAD(p, MCQ_EADDR, "the '[' is not closed: write tcp://[::1]:5555");
    }
    if (end == NULL || (*end == ']' && end[1] != ':'))
        return BAD(p, MCQ_EADDR, "no port: write tcp://127.0.0.1:5555 or tcp://[::1]:5555");
    *port = end + (*end == ']' ? 2 : 1);
    size_t len = (size_t)(end - host);
    if (len == 0)
        return BAD(p, MCQ_EADDR, "no host: write %s",
                   p->bind ? "tcp://*:5555 for all addresses of this host, or one of them"
                           : "tcp://127.0.0.1:5555 or tcp://localhost:5555");
    snprintf(p->ep->host, sizeof(p->ep->host), "%.*s", (int)len, host);
    if (rest[0] != '[' && strchr(p->ep->host, ':') != NULL)
        return BAD(p, MCQ_EADDR, "an IPv6 address goes in brackets: write tcp://[::1]:5555");
    return MCQ_OK;
}

static enum mcq_error tcp_parse(const struct parse *p, const char *rest)
{
    const char *port = NULL;
    p->ep->tcp = true;
    enum mcq_error err = tcp_split(p, rest, &port);
    if (err == MCQ_OK)
        err = port_parse(p, port);
    if (err == MCQ_OK)
        err = rest[0] == '[' ? host6_parse(p) : host_parse(p);
    return err;
}

/* The near end of a connect. */
static enum mcq_error source_parse(const struct parse *p, const char *text)
{
    const struct mcq_endpoint *far = p->ep;
    sa_family_t family = far->resolved ? far->addr.ss.ss_family : AF_UNSPEC;
    struct mcq_endpoint near = {.tcp = true};
    const struct parse source = {p->text, true, family, p->detail, &near};
    if (p->bind)
        return BAD(p, MCQ_EADDR, "a ';' is for connect alone: bind what stands before it");
    if (text[0] == '*' || text[0] == ':' || strchr(text, ':') == NULL)
        return BAD(p, MCQ_EADDR,
                   "'%.32s' is no near end: write an address or an interface of this host and a "
                   "port, 0 for any, tcp://eth0:0;10.0.0.1:5555",
                   text);
    enum mcq_error err = tcp_parse(&source, text);
    if (err == MCQ_OK && family != AF_UNSPEC && near.addr.ss.ss_family != family)
        err = BAD(p, MCQ_EADDR, "one end is IPv4, the other IPv6: use the same for both");
    if (err == MCQ_OK)
        p->ep->src = near.addr;
    return err;
}

/* SRC;HOST:PORT */
static enum mcq_error ends_parse(const struct parse *p, const char *rest)
{
    char near[MCQ_ENDPOINT_LEN_MAX];
    const char *far = strchr(rest, ';');
    if (far == NULL)
        return tcp_parse(p, rest);
    snprintf(near, sizeof(near), "%.*s", (int)(far - rest), rest);
    enum mcq_error err = tcp_parse(p, far + 1);
    return err != MCQ_OK ? err : source_parse(p, near);
}

static enum mcq_error ipc_parse(const struct parse *p, const char *path)
{
    size_t len = strlen(path);
    bool abstract = path[0] == '@';
    if (len == 0 || (abstract && len == 1))
        return BAD(p, MCQ_EADDR,
                   "no path: write ipc:///run/gateway.sock, or ipc://@gateway for an "
                   "abstract name");
    /* A path has its NUL; an abstract name ends where the length says. unix(7) */
    size_t nul = abstract ? 0 : 1;
    if (len + nul > UN_PATH_CAP)
        return BAD(p, MCQ_EADDR,
                   "%zu bytes are too long for a unix socket, which has at most %zu: "
                   "use a shorter path, ipc:///run/gateway.sock",
                   len, UN_PATH_CAP - nul);
    if (strcmp(path, "*") == 0)
        return BAD(p, MCQ_EADDR, "ipc has no ephemeral paths: write one, ipc:///run/gateway.sock");
    if (!abstract && path[len - 1] == '/')
        return BAD(p, MCQ_EADDR,
                   "the path is a directory's: name a file in it, "
                   "ipc:///run/gateway.sock");
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    mcq_bytes_copy(un.sun_path, path, len);
    if (abstract)
        un.sun_path[0] = '\0';
    p->ep->addr.len = (socklen_t)(UN_PATH_OFF + len + nul);
    mcq_bytes_copy(&p->ep->addr.ss, &un, sizeof(un));
    p->ep->resolved = true;
    return MCQ_OK;
}

static enum mcq_error inproc_parse(const struct parse *p, const char *name)
{
    if (name[0] == '\0')
        return BAD(p, MCQ_EADDR, "no name: write inproc://orders");
    p->ep->inproc = true;
    snprintf(p->ep->host, sizeof(p->ep->host), "%s", name);
    p->ep->resolved = true;
    return MCQ_OK;
}

static enum mcq_error scheme_parse(const struct parse *p)
{
    const char *sep = strstr(p->text, "://");
    if (sep == NULL)
        return BAD(p, MCQ_EADDR,
                   "no transport: write tcp://127.0.0.1:5555 or "
                   "ipc:///run/gateway.sock");
    if (strncmp(p->text, "tcp://", 6) == 0)
        return ends_parse(p, p->text + 6);
    if (strncmp(p->text, "ipc://", 6) == 0)
        return ipc_parse(p, p->text + 6);
    if (strncmp(p->text, "inproc://", 9) == 0)
        return inproc_parse(p, p->text + 9);
    return BAD(p, MCQ_ENOTSUP, "this version has no transport '%.*s': use tcp, ipc or inproc",
               (int)mcq_min((size_t)(sep - p->text), 16), p->text);
}

static bool has_no_controls(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x20 || byte == 0x7f)
            return false;
    }
    return true;
}

enum mcq_error mcq_endpoint_parse(const char *text, bool bind, struct mcq_endpoint *ep,
                                  struct mcq_detail *detail)
{
    *ep = (struct mcq_endpoint){0};
    if (text == NULL || text[0] == '\0')
        return mcq_detail_set(detail, MCQ_EADDR, 0,
                              "the endpoint is empty: write "
                              "tcp://127.0.0.1:5555 or ipc:///run/gateway.sock");
    size_t len = strnlen(text, MCQ_ENDPOINT_LEN_MAX);
    if (len == MCQ_ENDPOINT_LEN_MAX)
        return mcq_detail_set(detail, MCQ_EADDR, 0,
                              "the endpoint '%.72s...' is longer than %d "
                              "bytes",
                              text, MCQ_ENDPOINT_LEN_MAX - 1);
    if (!has_no_controls(text))
        return mcq_detail_set(detail, MCQ_EADDR, 0,
                              "the endpoint has control characters: "
                              "write tcp://127.0.0.1:5555 or ipc:///run/gateway.sock");
    struct parse p = {text, bind, AF_UNSPEC, detail, ep};
    enum mcq_error err = scheme_parse(&p);
    if (err != MCQ_OK)
        *ep = (struct mcq_endpoint){0};
    return err;
}

/* Paths of peers are their choice: control characters, NULs of abstract names too, print as '?'. */
static void un_format(const struct mcq_addr *addr, char text[MCQ_ENDPOINT_LEN_MAX])
{
    struct sockaddr_un un;
    mcq_bytes_copy(&un, &addr->ss, sizeof(un));
    size_t cap = mcq_min(addr->len - UN_PATH_OFF, sizeof(un.sun_path));
    bool abstract = un.sun_path[0] == '\0';
    size_t len = abstract ? cap : strnlen(un.sun_path, cap);
    struct mcq_writer w = mcq_writer_of(text, MCQ_ENDPOINT_LEN_MAX - 1);
    bool fits = mcq_writer_put(&w, mcq_slice_of(abstract ? "ipc://@" : "ipc://", abstract ? 7 : 6));
    for (size_t i = abstract ? 1 : 0; i < len && fits; i++) {
        uint8_t byte = (uint8_t)un.sun_path[i];
        fits = mcq_writer_u8(&w, byte < 0x20 || byte == 0x7f ? '?' : byte);
    }
    text[w.len] = '\0';
}

static void in_format(const struct mcq_addr *addr, char text[MCQ_ENDPOINT_LEN_MAX])
{
    struct sockaddr_in in;
    char host[INET_ADDRSTRLEN] = "";
    mcq_bytes_copy(&in, &addr->ss, sizeof(in));
    inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
    snprintf(text, MCQ_ENDPOINT_LEN_MAX, "tcp://%s:%u", host, (unsigned)ntohs(in.sin_port));
}

/* The zone is printed as its number, which is parsed as well: a name would cost a system call. */
static void in6_format(const struct mcq_addr *addr, char text[MCQ_ENDPOINT_LEN_MAX])
{
    struct sockaddr_in6 in6;
    char host[INET6_ADDRSTRLEN] = "", zone[16] = "";
    mcq_bytes_copy(&in6, &addr->ss, sizeof(in6));
    inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
    if (in6.sin6_scope_id != 0)
        snprintf(zone, sizeof(zone), "%%%u", (unsigned)in6.sin6_scope_id);
    snprintf(text, MCQ_ENDPOINT_LEN_MAX, "tcp://[%s%s]:%u", host, zone,
             (unsigned)ntohs(in6.sin6_port));
}

void mcq_endpoint_format(const struct mcq_addr *addr, char text[MCQ_ENDPOINT_LEN_MAX])
{
    sa_family_t family = addr->ss.ss_family;
    text[0] = '\0';
    if (family == AF_INET && addr->len >= sizeof(struct sockaddr_in))
        in_format(addr, text);
    else if (family == AF_INET6 && addr->len >= sizeof(struct sockaddr_in6))
        in6_format(addr, text);
    else if (family == AF_UNIX && addr->len > UN_PATH_OFF)
        un_format(addr, text);
}
