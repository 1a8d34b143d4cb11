/* A storm of connects while members of a logical socket unbind, bind again, drain and come back.
 * Every connect that the kernel says is up must be greeted by some shard: refused is an answer, a
 * reset after accept is a lost client. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shards/steer.h"
#include "tests/support/trial.h"

#define SHARDS   3u
#define CLIENTS  3u
#define CONNECTS 1500u /* of each client */
#define WAIT_MS  80000

struct world {
    struct mcq_sock_opts opts;
    struct mcq_sock *socks[SHARDS];
    struct mcq_shard *shards[SHARDS];
    struct mcq_steer *steer;
    char endpoint[MCQ_ENDPOINT_LEN_MAX];
    struct sockaddr_in at;
    atomic_ulong listening, unbound, rebound, binds;
    atomic_ulong greeted, refused, lost;
    atomic_bool over;
    uint32_t pace; /* connects of a round, at least */
};

static void on_event(void *ctx, struct mcq_sock *sock, const struct mcq_event *ev)
{
    struct world *w = ctx;
    (void)sock;
    if (ev->kind == MCQ_EVENT_LISTENING)
        atomic_fetch_add(&w->listening, 1);
    if (ev->kind == MCQ_EVENT_UNBOUND)
        atomic_fetch_add(&w->unbound, 1);
}

static const struct mcq_sock_handlers handlers = {.event = on_event};

static int start(struct mcq_shard *shard, void *arg)
{
    struct world *w = arg;
    uint32_t id = mcq_shard_id(shard);
    struct mcq_detail d = {.text = ""};
    w->shards[id] = shard;
    if (!CHECK(mcq_sock_open(shard, MCQ_PULL, &w->opts, &handlers, w, &w->socks[id], &d) ==
               MCQ_OK) ||
        !CHECK(mcq_sock_bind(w->socks[id], "tcp://127.0.0.1:*", &d) == MCQ_OK)) {
        printf("shard %u: %s\n", id, d.text);
        return 1;
    }
    atomic_fetch_add(&w->binds, 1);
    if (id != 0)
        return 0;
    snprintf(w->endpoint, sizeof(w->endpoint), "%s", mcq_sock_endpoint(w->socks[id]));
    CHECK(mcq_steer_of(w->socks[id], NULL, &w->steer, NULL) == MCQ_OK);
    w->at = (struct sockaddr_in){.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)atoi(strrchr(w->endpoint, ':') + 1)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return 0;
}

/* --- clients --------------------------------------------------------------------------------- */

static void connect_once(struct world *w)
{
    const struct linger reset = {.l_onoff = 1}; /* no port stays behind */
    uint8_t byte;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    if (connect(fd, (const struct sockaddr *)&w->at, sizeof(w->at)) != 0) {
        CHECK(errno == ECONNREFUSED);
        atomic_fetch_add(&w->refused, 1);
    } else {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        bool up = poll(&p, 1, WAIT_MS) == 1 && recv(fd, &byte, 1, MSG_PEEK) == 1;
        atomic_fetch_add(up ? &w->greeted : &w->lost, 1);
    }
    close(fd);
}

static void *client(void *arg)
{
    for (uint32_t i = 0; i < CONNECTS; i++)
        connect_once(arg);
    return NULL;
}

/* --- members that come and go ---------------------------------------------------------------- */

static void unbind(struct mcq_shard *shard, void *arg)
{
    struct world *w = arg;
    CHECK(mcq_sock_unbind(w->socks[mcq_shard_id(shard)], w->endpoint, NULL) == MCQ_OK);
}

static void bind_again(struct mcq_shard *shard, void *arg)
{
    struct world *w = arg;
    struct mcq_sock *sock = w->socks[mcq_shard_id(shard)];
    struct mcq_detail d = {.text = ""};
    if (!CHECK(mcq_sock_bind(sock, "tcp://127.0.0.1:*", &d) == MCQ_OK))
        printf("bind: %s\n", d.text);
    CHECK(strcmp(mcq_sock_endpoint(sock), w->endpoint) == 0);
    atomic_fetch_add(&w->binds, 1);
    atomic_fetch_add(&w->rebound, 1);
}

static void *churn(void *arg)
{
    struct world *w = arg;
    unsigned long rounds = 0;
    while (!atomic_load(&w->over)) {
        unsigned long greeted = atomic_load(&w->greeted);
        CHECK(mcq_post(w->shards[1], unbind, w) == MCQ_OK);
        CHECK(mcq_trial_wait(&w->unbound, rounds + 1));
        CHECK(mcq_steer_drain(w->steer, 2, true, NULL) == MCQ_OK);
        CHECK(mcq_post(w->shards[1], bind_again, w) == MCQ_OK);
        CHECK(mcq_trial_wait(&w->rebound, rounds + 1));
        CHECK(mcq_steer_drain(w->steer, 2, false, NULL) == MCQ_OK);
        rounds++;
        while (!atomic_load(&w->over) && atomic_load(&w->greeted) < greeted + w->pace)
            usleep(100);
    }
    printf("%lu rounds: ", rounds);
    return NULL;
}

static void *storm(void *arg)
{
    struct world *w = arg;
    pthread_t clients[CLIENTS], other;
    struct mcq_steer_stats st;
    CHECK(mcq_trial_wait(&w->listening, 1));
    pthread_create(&other, NULL, churn, w);
    for (uint32_t i = 0; i < CLIENTS; i++)
        pthread_create(&clients[i], NULL, client, w);
    for (uint32_t i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    atomic_store(&w->over, true);
    pthread_join(other, NULL);
    CHECK(mcq_steer_stats(w->steer, &st, NULL) == MCQ_OK);
    printf("%s: greeted %lu, refused %lu, lost %lu\n", mcq_steer_rung_name(st.rung),
           atomic_load(&w->greeted), atomic_load(&w->refused), atomic_load(&w->lost));
    CHECK(atomic_load(&w->refused) == 0); /* shard 0 listens all the time */
    CHECK(atomic_load(&w->lost) == 0);
    CHECK(atomic_load(&w->greeted) == CLIENTS * CONNECTS);
    mcq_steer_close(w->steer);
    mcq_stop(w->shards[0]);
    return NULL;
}

static void run(const char *name, const char *steer, uint32_t pace)
{
    struct world *w = calloc(1, sizeof(*w));
    if (w == NULL)
        exit(1);
    w->opts = (struct mcq_sock_opts)MCQ_SOCK_OPTS_INIT;
    w->opts.logical = "storm";
    w->opts.steer = steer;
    w->pace = pace;
    struct mcq_trial trial = {
        .name = name, .opts = mcq_trial_opts(), .start = start, .peer = storm, .arg = w};
    trial.opts.shards = SHARDS;
    trial.opts.cpus = "none";
    mcq_trial_run(&trial);
    CHECK(atomic_load(&w->unbound) == atomic_load(&w->binds));
    free(w);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    run("storm, ebpf", NULL, 50);
    run("storm, cbpf", "rung=cbpf", 50);
    run("storm, cbpf, by CPU", "mode=cpu,rung=cbpf", 50);
    run("storm, kernel", "rung=kernel", 600); /* whoever isn't answered waits for a second */
    run("storm, handoff", "rung=handoff", 50);
    return mcq_trial_end();
}
