#include "shards/resolver.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Lookups of names in ".test" are answered here; all others go to the C library. A gate holds
 * "slow*.test" until it is opened, so that a test decides what happens meanwhile. */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static bool gate_open;
static unsigned gate_waiting, lookups;
static cpu_set_t lookup_cpus;
static sigset_t lookup_signals;

static bool thread_refused;

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*main)(void *), void *arg)
{
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (thread_refused)
        return EAGAIN;
    void *symbol = dlsym(RTLD_NEXT, "pthread_create");
    memcpy(&real, &symbol, sizeof(real));
    return real(thread, attr, main, arg);
}

static struct addrinfo *fake(int family, const char *host, uint16_t port, struct addrinfo *next)
{
    struct addrinfo *ai = calloc(1, sizeof(*ai));
    struct sockaddr_storage *ss = calloc(1, sizeof(*ss));
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    cr_assert(ai != NULL && ss != NULL);
    if (family == AF_INET) {
        inet_pton(AF_INET, host, &in.sin_addr);
        memcpy(ss, &in, sizeof(in));
    } else {
        inet_pton(AF_INET6, host, &in6.sin6_addr);
        memcpy(ss, &in6, sizeof(in6));
    }
    ai->ai_family = family;
    ai->ai_addrlen = family == AF_INET ? sizeof(in) : sizeof(in6);
    ai->ai_addr = (struct sockaddr *)(void *)ss;
    ai->ai_flags = 4711;
    ai->ai_next = next;
    return ai;
}

static void gate_pass(void)
{
    pthread_mutex_lock(&gate);
    gate_waiting++;
    pthread_cond_broadcast(&gate_moved);
    while (!gate_open)
        pthread_cond_wait(&gate_moved, &gate);
    gate_waiting--;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate);
}

static void gate_set_open(void)
{
    pthread_mutex_lock(&gate);
    gate_open = true;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate);
}

static void gate_await(unsigned waiting)
{
    pthread_mutex_lock(&gate);
    while (gate_waiting != waiting)
        pthread_cond_wait(&gate_moved, &gate);
    pthread_mutex_unlock(&gate);
}

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **all)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    size_t len = strlen(host);
    if (len < 5 || strcmp(host + len - 5, ".test") != 0) {
        void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
        memcpy(&real, &symbol, sizeof(real));
        return real(host, port, hints, all);
    }
    uint16_t number = (uint16_t)atoi(port);
    __atomic_fetch_add(&lookups, 1, __ATOMIC_RELAXED);
    sched_getaffinity(0, sizeof(lookup_cpus), &lookup_cpus);
    pthread_sigmask(SIG_BLOCK, NULL, &lookup_signals);
    cr_assert_eq(hints->ai_socktype, SOCK_STREAM);
    if (strncmp(host, "slow", 4) == 0)
        gate_pass();
    if (strcmp(host, "both.test") == 0)
        *all = fake(AF_INET6, "2001:db8::1", number,
                    fake(AF_INET, "10.0.0.1", number, fake(AF_INET, "10.0.0.2", number, NULL)));
    else if (strcmp(host, "six.test") == 0)
        *all = fake(AF_INET6, "2001:db8::1", number, fake(AF_INET6, "2001:db8::2", number, NULL));
    else if (strcmp(host, "strange.test") == 0)
        *all = fake(AF_INET6, "2001:db8::1", number, NULL), (*all)->ai_family = AF_UNIX;
    else if (strcmp(host, "broken.test") == 0)
        return errno = ENFILE, EAI_SYSTEM;
    else if (strncmp(host, "none", 4) == 0)
        return EAI_NONAME;
    else
        *all = fake(AF_INET, "10.0.0.9", number, NULL);
    return 0;
}

void freeaddrinfo(struct addrinfo *all)
{
    static void (*real)(struct addrinfo *);
    if (all != NULL && all->ai_flags != 4711) {
        void *symbol = dlsym(RTLD_NEXT, "freeaddrinfo");
        memcpy(&real, &symbol, sizeof(real));
        real(all);
        return;
    }
    while (all != NULL) {
        struct addrinfo *next = all->ai_next;
        free(all->ai_addr);
        free(all);
        all = next;
    }
}

/* --- a shard ------------------------------------------------------------------------------- */

static struct mcq_arena arena;
static struct mcq_mailbox *mailbox;
static struct mcq_resolver *resolver;
static unsigned answers;
static struct mcq_query *answered[2 * MCQ_MAILBOX_MAX];

static void on_answer(struct mcq_shard *shard, void *arg)
{
    (void)shard;
    answered[answers++] = arg;
}

static void setup(void)
{
    cr_assert_eq(mcq_arena_init(&arena, (size_t)1 << 20, MCQ_NODE_ANY, NULL), MCQ_OK);
    mailbox = mcq_mailbox_init(&arena, -1);
    cr_assert_eq(mcq_resolver_create(&resolver, NULL), MCQ_OK);
    cr_assert_not_null(resolver);
}

static void teardown(void)
{
    mcq_resolver_destroy(resolver);
    mcq_arena_fini(&arena);
}

/* Everything that is not filled by the asker holds rubbish. */
static void ask_for(struct mcq_query *q, const char *host, uint16_t port, sa_family_t family)
{
    memset(q, 0xa5, sizeof(*q));
    snprintf(q->host, sizeof(q->host), "%s", host);
    q->port = port;
    q->family = family;
    q->mailbox = mailbox;
    q->answer = on_answer;
    cr_assert_eq(mcq_resolver_ask(resolver, q), MCQ_OK);
}

static void ask(struct mcq_query *q, const char *host, uint16_t port)
{
    ask_for(q, host, port, AF_UNSPEC);
}

/* Runs the shard until that many answers are there; Criterion's own timeout ends a hang. */
static void await(unsigned cnt)
{
    while (answers < cnt) {
        mcq_mailbox_run(mailbox, NULL);
        sched_yield();
    }
}

static void assert_in(const struct mcq_query *q, const char *host, uint16_t port)
{
    struct sockaddr_in in;
    cr_assert_eq(q->addr.len, sizeof(in), "%s", q->error);
    memcpy(&in, &q->addr.ss, sizeof(in));
    cr_assert_eq(in.sin_family, AF_INET);
    cr_assert_eq(in.sin_addr.s_addr, inet_addr(host));
    cr_assert_eq(in.sin_port, htons(port));
    cr_assert_str_eq(q->error, "");
}

TestSuite(resolver, .init = setup, .fini = teardown, .timeout = 30);

Test(resolver, localhost)
{
    struct mcq_query q;
    struct addrinfo *found;
    if (getaddrinfo("localhost", NULL, NULL, &found) != 0)
        cr_skip_test("this host doesn't know localhost");
    freeaddrinfo(found);
    ask(&q, "localhost", 5555);
    await(1);
    cr_assert_eq(answered[0], &q);
    assert_in(&q, "127.0.0.1", 5555);
}

Test(resolver, the_first_ipv4_address_else_the_first_ipv6_one)
{
    struct mcq_query both, six;
    struct sockaddr_in6 in6;
    char text[INET6_ADDRSTRLEN];
    ask(&both, "both.test", 65535);
    ask(&six, "six.test", 258);
    await(2);
    assert_in(&both, "10.0.0.1", 65535);
    cr_assert_eq(six.addr.len, sizeof(in6));
    memcpy(&in6, &six.addr.ss, sizeof(in6));
    cr_assert_str_eq(inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof(text)), "2001:db8::1");
    cr_assert_eq(in6.sin6_port, htons(258));
}

Test(resolver, of_the_family_asked_for)
{
    struct mcq_query four, six, none;
    struct sockaddr_in6 in6;
    ask_for(&four, "both.test", 1, AF_INET);
    ask_for(&six, "both.test", 258, AF_INET6);
    ask_for(&none, "six.test", 1, AF_INET);
    await(3);
    assert_in(&four, "10.0.0.1", 1);
    cr_assert_eq(six.addr.len, sizeof(in6));
    memcpy(&in6, &six.addr.ss, sizeof(in6));
    cr_assert_eq(in6.sin6_family, AF_INET6);
    cr_assert_eq(none.addr.len, 0);
    cr_assert_not_null(strstr(none.error, "no IPv4 address"), "%s", none.error);
}

Test(resolver, failures_say_why)
{
    struct mcq_query none, broken, strange;
    ask(&none, "none.test", 1);
    ask(&broken, "broken.test", 1);
    ask(&strange, "strange.test", 1);
    await(3);
    cr_assert_eq(none.addr.len, 0);
    cr_assert_str_eq(none.error, "can't look up 'none.test': Name or service not known");
    cr_assert_eq(broken.addr.len, 0);
    cr_assert_not_null(strstr(broken.error, "Too many open files in system"), "%s", broken.error);
    cr_assert_eq(strange.addr.len, 0);
    cr_assert_not_null(strstr(strange.error, "no IPv4 or IPv6 address"), "%s", strange.error);
}

Test(resolver, a_long_name_leaves_room_for_the_reason)
{
    struct mcq_query q;
    char host[MCQ_ENDPOINT_LEN_MAX];
    memset(host, 'n', sizeof(host));
    memcpy(host, "none", 4);
    memcpy(host + sizeof(host) - 6, ".test", 6);
    ask(&q, host, 1);
    await(1);
    cr_assert_not_null(strstr(q.error, "Name or service not known"), "%s", q.error);
}

Test(resolver, answers_in_order)
{
    static struct mcq_query qs[500];
    for (size_t i = 0; i < 500; i++)
        ask(&qs[i], i % 3 == 0 ? "none.test" : "a.test", (uint16_t)(i + 1));
    await(500);
    for (size_t i = 0; i < 500; i++)
        cr_assert_eq(answered[i], &qs[i]);
    assert_in(&qs[499], "10.0.0.9", 500);
}

Test(resolver, ends_without_having_been_asked)
{
    mcq_resolver_destroy(resolver);
    cr_assert_eq(mcq_resolver_create(&resolver, NULL), MCQ_OK);
    mcq_resolver_destroy(NULL);
}

static int threads_now(void)
{
    char line[128];
    int cnt = 0;
    FILE *f = fopen("/proc/self/status", "r");
    cr_assert_not_null(f);
    while (fgets(line, sizeof(line), f) != NULL)
        if (sscanf(line, "Threads: %d", &cnt) == 1)
            break;
    fclose(f);
    return cnt;
}

/* A shard that asks is sealed: the thread was there before. */
Test(resolver, asking_starts_no_thread)
{
    struct mcq_query q;
    int before = threads_now();
    ask(&q, "slow.test", 1);
    gate_await(1);
    cr_assert_eq(threads_now(), before);
    gate_set_open();
    await(1);
}

Test(resolver, no_thread_to_be_had)
{
    struct mcq_detail detail = {.text = ""};
    struct mcq_resolver *none;
    thread_refused = true;
    cr_assert_eq(mcq_resolver_create(&none, &detail), MCQ_EOS);
    cr_assert_null(none);
    cr_assert_eq(detail.os_errno, EAGAIN);
    cr_assert_not_null(strstr(detail.text, "resolver"), "%s", detail.text);
}

Test(resolver, does_not_sit_on_the_shards_cpu_nor_take_its_signals)
{
    struct mcq_query q;
    cpu_set_t before;
    cr_assert_eq(sched_getaffinity(getpid(), sizeof(before), &before), 0);
    ask(&q, "a.test", 1);
    await(1);
    cr_assert(CPU_EQUAL(&lookup_cpus, &before));
    cr_assert_eq(sigismember(&lookup_signals, SIGINT), 1);
    cr_assert_eq(sigismember(&lookup_signals, SIGTERM), 1);
    sigset_t own;
    pthread_sigmask(SIG_BLOCK, NULL, &own);
    cr_assert_eq(sigismember(&own, SIGINT), 0, "the asker's mask is as before");
}

static void *pinned_asker(void *arg)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    cr_assert_eq(pthread_setaffinity_np(pthread_self(), sizeof(one), &one), 0);
    ask(arg, "a.test", 1);
    return NULL;
}

Test(resolver, asked_by_a_pinned_thread_it_runs_anywhere)
{
    struct mcq_query q;
    pthread_t thread;
    cpu_set_t all;
    cr_assert_eq(sched_getaffinity(0, sizeof(all), &all), 0);
    cr_assert_eq(pthread_create(&thread, NULL, pinned_asker, &q), 0);
    pthread_join(thread, NULL);
    await(1);
    cr_assert(CPU_EQUAL(&lookup_cpus, &all));
}

/* --- limits, cancelling, ending ------------------------------------------------------------ */

Test(resolver, the_queue_has_a_limit)
{
    static struct mcq_query qs[MCQ_RESOLVER_QUEUE_MAX + 2];
    ask(&qs[0], "slow.test", 1);
    gate_await(1); /* it is being looked up: it doesn't count */
    for (size_t i = 1; i <= MCQ_RESOLVER_QUEUE_MAX; i++)
        ask(&qs[i], "a.test", 1);
    struct mcq_query *more = &qs[MCQ_RESOLVER_QUEUE_MAX + 1];
    more->mailbox = mailbox;
    cr_assert_eq(mcq_resolver_ask(resolver, more), MCQ_ELIMIT);
    cr_assert(mcq_resolver_cancel(resolver, &qs[7]), "makes room");
    ask(more, "a.test", 2);
    gate_set_open();
    await(MCQ_RESOLVER_QUEUE_MAX + 1);
    cr_assert_eq(answered[MCQ_RESOLVER_QUEUE_MAX], more, "the last one asked comes last");
}

Test(resolver, cancelled_queries_are_not_answered)
{
    struct mcq_query slow, first, mid, last, after;
    ask(&slow, "slow.test", 1);
    gate_await(1);
    ask(&first, "a.test", 1);
    ask(&mid, "a.test", 2);
    ask(&last, "a.test", 3);
    cr_assert(mcq_resolver_cancel(resolver, &last), "the end of the line");
    cr_assert(mcq_resolver_cancel(resolver, &first), "its head");
    cr_assert_not(mcq_resolver_cancel(resolver, &first), "once only");
    cr_assert(mcq_resolver_cancel(resolver, &slow), "the one being looked up");
    memset(&slow, 0x5a, sizeof(slow)); /* ours again */
    memset(&first, 0x5a, sizeof(first));
    ask(&after, "a.test", 4);
    gate_set_open();
    await(2);
    cr_assert_eq(answered[0], &mid);
    cr_assert_eq(answered[1], &after);
    assert_in(&after, "10.0.0.9", 4);
    for (size_t i = 0; i < sizeof(slow); i++)
        cr_assert_eq(((unsigned char *)&slow)[i], 0x5a, "written after it was taken back");
    cr_assert_not(mcq_resolver_cancel(resolver, &after), "it was answered");
}

Test(resolver, a_cancelled_query_may_be_asked_again)
{
    struct mcq_query q;
    ask(&q, "slow.test", 1);
    gate_await(1);
    cr_assert(mcq_resolver_cancel(resolver, &q));
    ask(&q, "b.test", 2);
    gate_set_open();
    await(1);
    assert_in(&q, "10.0.0.9", 2);
    sched_yield();
    mcq_mailbox_run(mailbox, NULL);
    cr_assert_eq(answers, 1, "the old lookup's result is nobody's");
}

static void nothing(struct mcq_shard *shard, void *arg)
{
    (void)shard;
    (void)arg;
}

/* No answer is lost to a full mailbox: it waits for room. */
Test(resolver, waits_for_room_in_the_mailbox)
{
    struct mcq_query q;
    while (mcq_mailbox_post(mailbox, nothing, NULL) == MCQ_OK)
        ;
    uint64_t full = mcq_mailbox_full(mailbox);
    ask(&q, "a.test", 7);
    while (mcq_mailbox_full(mailbox) < full + 3)
        sched_yield();
    await(1);
    assert_in(&q, "10.0.0.9", 7);
}

Test(resolver, destroyed_while_the_mailbox_is_full)
{
    struct mcq_query q;
    while (mcq_mailbox_post(mailbox, nothing, NULL) == MCQ_OK)
        ;
    uint64_t full = mcq_mailbox_full(mailbox);
    ask(&q, "a.test", 7);
    while (mcq_mailbox_full(mailbox) == full)
        sched_yield();
    mcq_resolver_destroy(resolver);
    resolver = NULL;
    while (mcq_mailbox_run(mailbox, NULL) != 0)
        ;
    cr_assert_eq(answers, 0);
}

/* A name server that doesn't answer must not hold up the end of the program, and what it says later
 * must touch nothing. */
Test(resolver, destroyed_in_a_lookup_that_hangs)
{
    struct mcq_query *q = malloc(sizeof(*q)), waiting;
    cr_assert_not_null(q);
    ask(q, "slow.test", 1);
    gate_await(1);
    ask(&waiting, "a.test", 1);
    mcq_resolver_destroy(resolver);
    resolver = NULL;
    free(q); /* and the mailbox's arena goes with the test */
    mcq_mailbox_run(mailbox, NULL);
    cr_assert_eq(answers, 0);
    gate_set_open();
    gate_await(0);
    cr_assert_eq(__atomic_load_n(&lookups, __ATOMIC_RELAXED), 1, "nothing new was begun");
}
