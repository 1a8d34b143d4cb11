/* Network interfaces of this host by name: for tcp://eth0:PORT and fe80::1%eth0.
 *
 * Thread: any. Cold: asks the kernel, and may allocate inside the C library. */
#ifndef MCQ_SHARDS_NETIF_H
#define MCQ_SHARDS_NETIF_H

#include "runtime/conn.h"

/* The index the kernel knows the interface by; 0: there is none of that name. */
uint32_t mcq_netif_index(const char *name);
/* The interface's first address of that family, port 0; AF_UNSPEC: its first IPv4 one, else its
 * first IPv6 one. false: no such interface, or it has no such address. */
MCQ_MUST_USE bool mcq_netif_addr(const char *name, sa_family_t family, struct mcq_addr *addr);

#endif
