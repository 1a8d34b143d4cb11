/* RAW: a thread, its heap memory and the C library's lookups; sound because queries are touched
 * only under the lock, and a lookup works on a copy; links ask, shards/app.c creates and destroys.
 */
#include "shards/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mem/detail.h"

#define RETRY_NS 1000000 /* until the next try to post into a full mailbox */
#define MS_NS    1000000

struct mcq_resolver {
    pthread_mutex_t lock;
    pthread_cond_t work;  /* a query was asked, or stop */
    pthread_cond_t ended; /* the thread is past its last lookup */
    pthread_t thread;
    /* --- under the lock -------------------------------------------------------------------- */
    struct mcq_query *head, **tail; /* waiting, in order */
    uint32_t cnt;
    struct mcq_query *current; /* being looked up; NULL once nobody wants it */
    bool stop, done;
    bool orphan; /* the thread frees it all */
};

/* What a lookup works on: the query itself may be taken back meanwhile. */
struct lookup {
    char host[MCQ_ENDPOINT_LEN_MAX];
    char port[8];
    sa_family_t family;
    struct mcq_addr addr;
    char error[sizeof(((struct mcq_query *)0)->error)];
};

/* --- The lookup ---------------------------------------------------------------------------- */

static bool take_family(struct lookup *l, const struct addrinfo *all, int family)
{
    for (const struct addrinfo *at = all; at != NULL; at = at->ai_next) {
        if (at->ai_family != family || at->ai_addrlen > sizeof(l->addr.ss))
            continue;
        l->addr.len = at->ai_addrlen;
        memcpy(&l->addr.ss, at->ai_addr, at->ai_addrlen);
        return true;
    }
    return false;
}

static void look_up(struct lookup *l)
{
    const struct addrinfo hints = {
        .ai_family = l->family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *all = NULL;
    int rc = getaddrinfo(l->host, l->port, &hints, &all);
    if (rc != 0) {
        char text[64];
        const char *why =
            rc == EAI_SYSTEM ? strerror_r(errno, text, sizeof(text)) : gai_strerror(rc);
        snprintf(l->error, sizeof(l->error), "can't look up '%.40s': %s", l->host, why);
        return;
    }
    bool found = (l->family != AF_INET6 && take_family(l, all, AF_INET)) ||
                 (l->family != AF_INET && take_family(l, all, AF_INET6));
    if (!found)
        snprintf(l->error, sizeof(l->error), "'%.40s' has no %s address", l->host,
                 l->family == AF_INET    ? "IPv4"
                 : l->family == AF_INET6 ? "IPv6"
                                         : "IPv4 or IPv6");
    freeaddrinfo(all);
}

/* --- The thread ---------------------------------------------------------------------------- */

static struct timespec deadline_after(long ns)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += ns;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

/* Answers what is current, unless it was taken back. Locked; unlocks while a full mailbox drains.
 */
static void answer_current(struct mcq_resolver *r, const struct lookup *l)
{
    if (r->current != NULL) {
        r->current->addr = l->addr;
        memcpy(r->current->error, l->error, sizeof(l->error));
    }
    while (r->current != NULL) {
        /* From a successful post on the query is the shard's. */
        if (mcq_mailbox_post(r->current->mailbox, r->current->answer, r->current) == MCQ_OK) {
            r->current = NULL;
        } else {
            struct timespec until = deadline_after(RETRY_NS);
            (void)pthread_cond_timedwait(&r->work, &r->lock, &until);
        }
    }
}

static void serve_one(struct mcq_resolver *r)
{
    struct mcq_query *q = r->head;
    struct lookup l = {.host = ""};
    r->head = q->next;
    if (r->head == NULL)
        r->tail = &r->head;
    r->cnt--;
    r->current = q;
    memcpy(l.host, q->host, sizeof(l.host) - 1);
    snprintf(l.port, sizeof(l.port), "%u", (unsigned)q->port);
    l.family = q->family;
    pthread_mutex_unlock(&r->lock);
    look_up(&l);
    pthread_mutex_lock(&r->lock);
    answer_current(r, &l);
}

static void resolver_free(struct mcq_resolver *r)
{
    pthread_cond_destroy(&r->ended);
    pthread_cond_destroy(&r->work);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static void *resolver_main(void *arg)
{
    struct mcq_resolver *r = arg;
    (void)pthread_setname_np(pthread_self(), "mcq-resolver");
    pthread_mutex_lock(&r->lock);
    while (!r->stop) {
        if (r->head != NULL)
            serve_one(r);
        else
            pthread_cond_wait(&r->work, &r->lock);
    }
    bool orphan = r->orphan;
    r->done = true;
    pthread_cond_signal(&r->ended);
    pthread_mutex_unlock(&r->lock);
    if (orphan)
        resolver_free(r);
    return NULL;
}

/* The creator's signals are not for this thread. Returns an errno. */
static int thread_start(struct mcq_resolver *r)
{
    sigset_t all, before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = pthread_create(&r->thread, NULL, resolver_main, r);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return e;
}

/* --- For the app and its shards ------------------------------------------------------------ */

enum mcq_error mcq_resolver_create(struct mcq_resolver **out, struct mcq_detail *detail)
{
    pthread_condattr_t monotonic;
    struct mcq_resolver *r = calloc(1, sizeof(*r));
    *out = NULL;
    if (r == NULL)
        return mcq_detail_set(detail, MCQ_ENOMEM, ENOMEM,
                              "no memory for the resolver (%zu bytes): free some", sizeof(*r));
    r->tail = &r->head;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->work, &monotonic);
    pthread_cond_init(&r->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int e = thread_start(r);
    if (e != 0) {
        resolver_free(r);
        return mcq_detail_set(detail, MCQ_EOS, e,
                              "a thread for the resolver can't be started: %s (see ulimit -u)",
                              strerror(e));
    }
    *out = r;
    return MCQ_OK;
}

static enum mcq_error ask_locked(struct mcq_resolver *r, struct mcq_query *q)
{
    if (r->cnt == MCQ_RESOLVER_QUEUE_MAX)
        return MCQ_ELIMIT;
    q->addr.len = 0;
    q->error[0] = '\0';
    q->next = NULL;
    *r->tail = q;
    r->tail = &q->next;
    r->cnt++;
    pthread_cond_signal(&r->work);
    return MCQ_OK;
}

enum mcq_error mcq_resolver_ask(struct mcq_resolver *r, struct mcq_query *q)
{
    pthread_mutex_lock(&r->lock);
    enum mcq_error err = ask_locked(r, q);
    pthread_mutex_unlock(&r->lock);
    return err;
}

static bool cancel_locked(struct mcq_resolver *r, struct mcq_query *q)
{
    if (r->current == q) {
        r->current = NULL;
        return true;
    }
    for (struct mcq_query **at = &r->head; *at != NULL; at = &(*at)->next) {
        if (*at != q)
            continue;
        *at = q->next;
        if (q->next == NULL)
            r->tail = at;
        r->cnt--;
        return true;
    }
    return false;
}

bool mcq_resolver_cancel(struct mcq_resolver *r, struct mcq_query *q)
{
    pthread_mutex_lock(&r->lock);
    bool taken = cancel_locked(r, q);
    pthread_mutex_unlock(&r->lock);
    return taken;
}

void mcq_resolver_destroy(struct mcq_resolver *r)
{
    if (r == NULL)
        return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    r->head = NULL;
    r->current = NULL;
    pthread_cond_signal(&r->work);
    struct timespec until = deadline_after((long)MCQ_RESOLVER_JOIN_MS * MS_NS);
    while (!r->done && pthread_cond_timedwait(&r->ended, &r->lock, &until) != ETIMEDOUT)
        ;
    bool orphan = !r->done;
    pthread_t thread = r->thread;
    r->orphan = orphan;
    pthread_mutex_unlock(&r->lock);
    /* From here on an orphan's memory is the thread's. */
    if (orphan) {
        pthread_detach(thread);
        return;
    }
    pthread_join(thread, NULL);
    resolver_free(r);
}
