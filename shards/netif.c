/* RAW: asks the kernel about interfaces; sound because an address is copied only by the length
 * that its family has; shards/endpoint.c alone calls, when a socket binds or connects. */
#include "shards/netif.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

uint32_t mcq_netif_index(const char *name)
{
    return if_nametoindex(name);
}

static bool first_of_family(const struct ifaddrs *all, const char *name, sa_family_t family,
                            struct mcq_addr *addr)
{
    for (const struct ifaddrs *at = all; at != NULL; at = at->ifa_next) {
        if (at->ifa_addr == NULL || at->ifa_addr->sa_family != family ||
            strcmp(at->ifa_name, name) != 0)
            continue;
        *addr = (struct mcq_addr){.len = family == AF_INET ? sizeof(struct sockaddr_in)
                                                           : sizeof(struct sockaddr_in6)};
        memcpy(&addr->ss, at->ifa_addr, addr->len);
        return true;
    }
    return false;
}

bool mcq_netif_addr(const char *name, sa_family_t family, struct mcq_addr *addr)
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0)
        return false;
    bool found = (family != AF_INET6 && first_of_family(all, name, AF_INET, addr)) ||
                 (family != AF_INET && first_of_family(all, name, AF_INET6, addr));
    freeifaddrs(all);
    return found;
}
