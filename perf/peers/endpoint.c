#include "perf/peers/endpoint.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define HOST_MAX 128

static const char tcp[] = "tcp://";
static const char ipc[] = "ipc://";

void perf_endpoint_own(enum perf_transport transport, char *endpoint)
{
    static unsigned made;
    if (transport == PERF_TRANSPORT_TCP) {
        snprintf(endpoint, PERF_ENDPOINT_MAX, "tcp://127.0.0.1:0");
    } else {
        snprintf(endpoint, PERF_ENDPOINT_MAX, "ipc:///tmp/mcq-perf-%d-%u.sock", (int)getpid(),
                 made++);
    }
}

static bool path_parse(struct perf_child *child, const char *path, struct sockaddr_storage *addr,
                       socklen_t *len)
{
    struct sockaddr_un *un = (struct sockaddr_un *)addr;
    size_t path_len = strlen(path);
    if (path_len == 0 || path_len >= sizeof un->sun_path) {
        return perf_child_fail(child, "ipc://%s: a path has 1 to %zu bytes", path,
                               sizeof un->sun_path - 1);
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, path_len);
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_len);
    if (path[0] == '@') {
        un->sun_path[0] = '\0';
    } else {
        *len += 1;
    }
    return true;
}

static bool host_parse(struct perf_child *child, const char *text, struct sockaddr_storage *addr,
                       socklen_t *len)
{
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char host[HOST_MAX];
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || (size_t)(colon - text) >= sizeof host) {
        return perf_child_fail(child, "tcp://%s: HOST:PORT is wanted", text);
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    int error = getaddrinfo(strcmp(host, "*") == 0 ? "0.0.0.0" : host, colon + 1, &hints, &found);
    if (error != 0) {
        return perf_child_fail(child, "tcp://%s: %s", text, gai_strerror(error));
    }
    memcpy(addr, found->ai_addr, found->ai_addrlen);
    *len = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

bool perf_endpoint_parse(struct perf_child *child, const char *endpoint,
                         struct sockaddr_storage *addr, socklen_t *len)
{
    memset(addr, 0, sizeof *addr);
    if (strncmp(endpoint, tcp, sizeof tcp - 1) == 0) {
        return host_parse(child, endpoint + sizeof tcp - 1, addr, len);
    }
    if (strncmp(endpoint, ipc, sizeof ipc - 1) == 0) {
        return path_parse(child, endpoint + sizeof ipc - 1, addr, len);
    }
    return perf_child_fail(child, "%s: neither tcp:// nor ipc://", endpoint);
}

bool perf_endpoint_bound(struct perf_child *child, int fd, const char *asked, char *endpoint)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof addr;
    char host[INET_ADDRSTRLEN];
    if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0) {
        return perf_child_fail_os(child, "asking for the address of a socket");
    }
    if (addr.ss_family != AF_INET) {
        snprintf(endpoint, PERF_ENDPOINT_MAX, "%s", asked);
        return true;
    }
    const struct sockaddr_in *in = (const struct sockaddr_in *)&addr;
    inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
    snprintf(endpoint, PERF_ENDPOINT_MAX, "tcp://%s:%u", host, ntohs(in->sin_port));
    return true;
}
