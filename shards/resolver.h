/* Resolver: one thread of the app that looks names up, so that no shard ever waits for DNS. It
 * starts before the shards, runs where the creator may run, sleeps while nobody asks, and takes no
 * signal. Asking takes a lock that it holds for a few instructions only, never during a lookup.
 * Answers come through the shard's mailbox. Of a name's addresses the first IPv4 one is taken, else
 * the first IPv6 one, unless the query says which. */
#ifndef MCQ_SHARDS_RESOLVER_H
#define MCQ_SHARDS_RESOLVER_H

#include <monocoque/sock.h>

#include "runtime/conn.h"
#include "shards/mailbox.h"

#define MCQ_RESOLVER_QUEUE_MAX 1024u /* names waiting, without the one being looked up */
#define MCQ_RESOLVER_JOIN_MS   100u

struct mcq_resolver;

/* A query: its memory is the asker's and stays until the answer has run, cancel returned true, or
 * the resolver was destroyed. */
struct mcq_query {
    char host[MCQ_ENDPOINT_LEN_MAX];
    uint16_t port;
    sa_family_t family; /* of the address wanted, AF_UNSPEC: any */
    struct mcq_mailbox *mailbox;
    mcq_post_fn *answer; /* runs on the shard, arg = the query */
    /* filled before answer */
    struct mcq_addr addr; /* len 0: not found */
    char error[96];       /* why, for a person */
    struct mcq_query *next;
};

/* Gives; cold. Thread: any. Errors: MCQ_ENOMEM; MCQ_EOS: the thread can't be started. */
MCQ_MUST_USE enum mcq_error mcq_resolver_create(struct mcq_resolver **r, struct mcq_detail *detail);
/* Thread: a shard's. Allocates nothing. MCQ_ELIMIT: queue full, q is neither answered nor filled
 * in.
 */
MCQ_MUST_USE enum mcq_error mcq_resolver_ask(struct mcq_resolver *r, struct mcq_query *q);
/* Thread: the asking shard's. true: the query is the asker's again and is not answered, even if it
 * was being looked up. false: its answer waits in the mailbox, or it was never asked. */
MCQ_MUST_USE bool mcq_resolver_cancel(struct mcq_resolver *r, struct mcq_query *q);
/* Unanswered queries are given back unanswered. Joins the thread; one that hangs in a lookup for
 * more than MCQ_RESOLVER_JOIN_MS is left to end by itself and touches no query or mailbox any more.
 * NULL is fine. */
void mcq_resolver_destroy(struct mcq_resolver *r);

#endif
