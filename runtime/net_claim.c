/* RAW: system calls and the kernel's list of unix sockets, read line by line into a buffer whose
 * length is given; part of the simulation seam, called by shards/group. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/net.h"

/* An abstract unix name: it is of the network namespace, and gone with its last descriptor. */
#define PREFIX   "monocoque/tcp/"
#define NAME_LEN 96u

struct place {
    char host[INET6_ADDRSTRLEN]; /* as the kernel writes it */
    uint32_t scope, port;
};

static struct place place_of(const struct mcq_addr *addr)
{
    struct sockaddr_in6 in6 = {0}; /* port, and IPv4's address, are where sockaddr_in has them */
    struct sockaddr_in in = {0};
    struct place p = {.host = ""};
    memcpy(&in6, &addr->ss, sizeof(in6));
    memcpy(&in, &addr->ss, sizeof(in));
    bool six = addr->ss.ss_family == AF_INET6;
    inet_ntop(addr->ss.ss_family, six ? (void *)&in6.sin6_addr : (void *)&in.sin_addr, p.host,
              sizeof(p.host));
    p.scope = six ? in6.sin6_scope_id : 0;
    p.port = ntohs(in.sin_port);
    return p;
}

/* Binds the name that stands for the place. */
static int name_take(const struct place *p)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int len = snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, PREFIX "[%s%%%u]:%u", p->host,
                       p->scope, p->port);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&un,
                        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0)
        return fd;
    int err = -errno;
    if (fd >= 0)
        close(fd);
    return err;
}

/* --- all addresses of a port, and one of them ---------------------------------------------- */

/* Whether IPv6's wildcard takes IPv4's port as well: net.ipv6.bindv6only. */
static bool six_takes_four(void)
{
    int only = 1;
    socklen_t len = sizeof(only);
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    (void)getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &len);
    close(fd);
    return only == 0;
}

static bool contains(const struct place *a, const struct place *b)
{
    bool four = strchr(b->host, ':') == NULL;
    if (strcmp(a->host, "::") == 0)
        return !four || six_takes_four();
    return strcmp(a->host, "0.0.0.0") == 0 && four;
}

/* The place that a line of the list names. */
static bool line_read(const char *line, struct place *p)
{
    const char *name = strstr(line, "@" PREFIX "[");
    return name != NULL &&
           sscanf(name, "@" PREFIX "[%45[0-9a-f:.]%%%u]:%u", p->host, &p->scope, &p->port) == 3;
}

/* Sockets that share a port and don't listen yet exclude nobody, and those of one user not even
 * when they do: so others' names are looked through. Both of two that come at the same moment may
 * see each other. */
static bool is_contested(const struct place *own)
{
    char line[2 * NAME_LEN + 128];
    FILE *list = fopen("/proc/thread-self/net/unix", "re");
    bool contested = false;
    if (list == NULL)
        return false; /* no /proc: the kernel alone decides */
    while (!contested && fgets(line, sizeof(line), list) != NULL) {
        struct place p;
        contested = line_read(line, &p) && p.port == own->port &&
                    (p.scope != own->scope || strcmp(p.host, own->host) != 0) &&
                    (contains(own, &p) || contains(&p, own));
    }
    fclose(list);
    return contested;
}

int mcq_net_claim(const struct mcq_addr *bound)
{
    const struct place own = place_of(bound);
    int fd = name_take(&own);
    if (fd >= 0 && is_contested(&own)) {
        close(fd);
        return -EADDRINUSE;
    }
    return fd;
}
