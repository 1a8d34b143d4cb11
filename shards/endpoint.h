/* Endpoint: text to address and back. tcp://HOST:PORT and tcp://[V6]:PORT, where V6 may name its
 * zone (fe80::1%eth0, fe80::1%2); to bind, HOST may also be an interface (its first address) or *
 * (all IPv4 addresses; [::] is both families), and PORT 0 or * is an ephemeral one; to connect,
 * SRC; in front is the near end, written as to bind it, but for *; ipc://PATH, ipc://@ABSTRACT;
 * inproc://NAME. Numeric hosts are parsed here and now; names are left to the resolver. The kernel
 * is asked only for interfaces. What format writes, parse reads. Thread: any. */
#ifndef MCQ_SHARDS_ENDPOINT_H
#define MCQ_SHARDS_ENDPOINT_H

#include <monocoque/sock.h>

#include "runtime/conn.h"

struct mcq_endpoint {
    bool tcp;
    bool inproc;   /* host: the name */
    bool resolved; /* addr is valid */
    uint16_t port;
    char host[MCQ_ENDPOINT_LEN_MAX]; /* tcp: as written; what is to be looked up, if !resolved */
    struct mcq_addr addr;
    struct mcq_addr src; /* connect: the near end, of addr's family if that is known; len 0: any */
};

/* Errors: MCQ_EADDR (text names what is wrong and shows a right one), MCQ_ENOTSUP (unknown scheme:
 * names those there are). */
MCQ_MUST_USE enum mcq_error mcq_endpoint_parse(const char *text, bool bind, struct mcq_endpoint *ep,
                                               struct mcq_detail *detail);
/* Writes the endpoint text of addr, NUL-terminated; "" for an unnamed unix socket or len 0. */
void mcq_endpoint_format(const struct mcq_addr *addr, char text[MCQ_ENDPOINT_LEN_MAX]);

#endif
