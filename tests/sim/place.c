#include "tests/sim/place.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "tests/sim/machine.h"

#define PORT_FIRST 32768u /* of those that the kernel chooses */
#define PORT_END   61000u

static struct place {
    struct mcq_addr addr;
    struct mcq_sim_file *listener; /* NULL: a stale path */
    bool shared;
} places[MCQ_SIM_PLACES_MAX];
static uint32_t places_cnt;
static uint32_t next_port;

void mcq_sim_place_reset(void)
{
    places_cnt = 0;
    next_port = PORT_FIRST;
}

/* --- addresses ----------------------------------------------------------------------------- */

static bool is_path(const struct mcq_addr *addr)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&addr->ss;
    return addr->ss.ss_family == AF_UNIX && addr->len > offsetof(struct sockaddr_un, sun_path) &&
           un->sun_path[0] != '\0';
}

static uint32_t port_of(const struct mcq_addr *addr)
{
    return ntohs(addr->ss.ss_family == AF_INET
                     ? ((const struct sockaddr_in *)&addr->ss)->sin_port
                     : ((const struct sockaddr_in6 *)&addr->ss)->sin6_port);
}

static void set_port(struct mcq_addr *addr, uint32_t port)
{
    if (addr->ss.ss_family == AF_INET)
        ((struct sockaddr_in *)&addr->ss)->sin_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in6 *)&addr->ss)->sin6_port = htons((uint16_t)port);
}

static bool is_any(const struct mcq_addr *addr)
{
    if (addr->ss.ss_family == AF_INET)
        return ((const struct sockaddr_in *)&addr->ss)->sin_addr.s_addr == htonl(INADDR_ANY);
    return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&addr->ss)->sin6_addr);
}

static bool same_host(const struct mcq_addr *a, const struct mcq_addr *b)
{
    if (a->ss.ss_family != b->ss.ss_family)
        return false;
    if (a->ss.ss_family == AF_INET)
        return ((const struct sockaddr_in *)&a->ss)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)&b->ss)->sin_addr.s_addr;
    return memcmp(&((const struct sockaddr_in6 *)&a->ss)->sin6_addr,
                  &((const struct sockaddr_in6 *)&b->ss)->sin6_addr, 16) == 0;
}

/* A path counts up to its NUL, an abstract name by its length. */
static bool same_name(const struct mcq_addr *a, const struct mcq_addr *b)
{
    const struct sockaddr_un *x = (const struct sockaddr_un *)&a->ss;
    const struct sockaddr_un *y = (const struct sockaddr_un *)&b->ss;
    if (is_path(a) || is_path(b))
        return is_path(a) && is_path(b) &&
               strncmp(x->sun_path, y->sun_path, sizeof(x->sun_path)) == 0;
    return a->len == b->len &&
           memcmp(x->sun_path, y->sun_path, a->len - offsetof(struct sockaddr_un, sun_path)) == 0;
}

/* A connect to addr reaches who listens at place. [::] answers for IPv4 too. */
static bool reaches(const struct mcq_addr *addr, const struct mcq_addr *at)
{
    bool local = at->ss.ss_family == AF_UNIX;
    if (local || addr->ss.ss_family == AF_UNIX)
        return local && addr->ss.ss_family == AF_UNIX && same_name(addr, at);
    if (port_of(addr) != port_of(at))
        return false;
    return same_host(addr, at) ||
           (is_any(at) && (at->ss.ss_family == AF_INET6 || addr->ss.ss_family == AF_INET));
}

/* --- listening ----------------------------------------------------------------------------- */

/* Two listeners can't be told apart by who connects. */
static bool conflicts(const struct mcq_addr *a, const struct mcq_addr *b)
{
    return reaches(a, b) || reaches(b, a);
}

/* shared: those that share the very same address are none. */
static struct place *conflict(const struct mcq_addr *addr, bool shared)
{
    for (uint32_t i = 0; i < places_cnt; i++) {
        struct place *p = &places[i];
        bool mates = shared && p->shared && same_host(addr, &p->addr);
        if (conflicts(addr, &p->addr) && !mates)
            return p;
    }
    return NULL;
}

static uint32_t take_port(void)
{
    uint32_t port = next_port++;
    if (next_port == PORT_END)
        next_port = PORT_FIRST;
    return port;
}

/* 0: all are in use. */
static uint32_t free_port(const struct mcq_addr *addr)
{
    struct mcq_addr at = *addr;
    for (uint32_t i = PORT_FIRST; i < PORT_END; i++) {
        uint32_t port = take_port();
        set_port(&at, port);
        if (conflict(&at, false) == NULL)
            return port;
    }
    return 0;
}

static void drop(struct place *p)
{
    *p = places[--places_cnt];
}

int mcq_sim_place_add(const struct mcq_addr *addr, struct mcq_sim_file *listener, bool shared,
                      struct mcq_addr *bound)
{
    *bound = *addr;
    if (addr->ss.ss_family != AF_UNIX && port_of(addr) == 0) {
        uint32_t port = free_port(addr);
        if (port == 0)
            return -EADDRINUSE;
        set_port(bound, port);
    }
    struct place *p = conflict(bound, shared);
    if (p != NULL && p->listener != NULL)
        return -EADDRINUSE;
    if (p != NULL)
        drop(p);
    if (places_cnt == MCQ_SIM_PLACES_MAX)
        mcq_sim_fail("the simulation has more than %u addresses", MCQ_SIM_PLACES_MAX);
    places[places_cnt++] = (struct place){*bound, listener, shared};
    return 0;
}

void mcq_sim_place_leave(const struct mcq_sim_file *listener)
{
    for (uint32_t i = 0; i < places_cnt; i++) {
        if (places[i].listener != listener)
            continue;
        places[i].listener = NULL;
        if (!is_path(&places[i].addr))
            drop(&places[i]);
        return;
    }
}

void mcq_sim_place_unlink(const struct mcq_addr *addr)
{
    for (uint32_t i = 0; i < places_cnt; i++) {
        if (!is_path(&places[i].addr) || !reaches(addr, &places[i].addr))
            continue;
        drop(&places[i]);
        return;
    }
}

/* --- connecting ---------------------------------------------------------------------------- */

/* Which of several is the kernel's hash; here the seed's. */
struct mcq_sim_file *mcq_sim_place_find(const struct mcq_addr *addr, int *err)
{
    struct mcq_sim_file *found = NULL;
    uint32_t cnt = 0;
    *err = is_path(addr) ? -ENOENT : -ECONNREFUSED;
    for (uint32_t i = 0; i < places_cnt; i++) {
        struct mcq_sim_file *listener = places[i].listener;
        if (!reaches(addr, &places[i].addr))
            continue;
        *err = -ECONNREFUSED;
        if (listener == NULL || listener->state != MCQ_SIM_LISTENING)
            continue;
        if (++cnt == 1 || mcq_sim_below(cnt) == 0)
            found = listener;
    }
    return found;
}

bool mcq_sim_place_free(const struct mcq_addr *source)
{
    return port_of(source) == 0 || conflict(source, false) == NULL;
}

void mcq_sim_place_source(const struct mcq_addr *addr, bool bound, struct mcq_addr *source)
{
    if (!bound)
        *source = *addr;
    if (addr->ss.ss_family == AF_UNIX)
        source->len = sizeof(sa_family_t);
    else if (!bound || port_of(source) == 0)
        set_port(source, free_port(source));
}
