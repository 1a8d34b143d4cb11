/* The policy in the kernel and in C: the same answer to 1,000,000 random questions, over tables
 * that change all the time and are written to the maps as a difference. Skips without CAP_BPF. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "shards/steer.h"
#include "tests/bpf/steer_twin.h"
#include "tests/bpf/steer_twin.skel.h"

#define SHARDS   11u
#define ASKED    1000000u
#define LOAD_LEN MCQ_STEER_LOAD_BYTES

static uint64_t state = 0x243f6a8885a308d3u;

static uint32_t dice(uint32_t sides)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % sides;
}

static void fail(const char *what, const char *why)
{
    printf("steer_twin: %s: %s\n0 passed, 1 failed\n", what, why);
    exit(1);
}

static void random_addr(uint32_t family, uint8_t addr[16])
{
    memset(addr, 0, 16);
    for (uint32_t i = 0; i < (family == 4 ? 4u : 16u); i++)
        addr[i] = (uint8_t)(dice(3) == 0 ? dice(256) : 1u << dice(3));
}

static void random_rule(struct mcq_steer_rule *r)
{
    *r = (struct mcq_steer_rule){.family = dice(2) == 0 ? 4 : 6, .shard = dice(SHARDS)};
    r->bits = (uint8_t)dice(r->family == 4 ? 33 : 129);
    random_addr(r->family, r->addr);
}

/* Some rules come, some go, some name another shard; everything else is thrown anew. */
static void change(struct mcq_steer_tables *t, struct mcq_steer_load *load)
{
    struct mcq_steer_rule r;
    uint32_t id;
    for (uint32_t n = dice(60); n > 0; n--) {
        random_rule(&r);
        if (mcq_steer_tables_put(t, &r, &id, NULL) != MCQ_OK)
            break;
    }
    for (uint32_t n = dice(t->rules_cnt + 1) / 2; n > 0; n--) {
        r = t->rules[dice(t->rules_cnt)].rule;
        if (mcq_steer_tables_drop(t, &r, NULL) != MCQ_OK)
            fail("drop", "a rule that is there");
    }
    t->conf.mode = dice(5);
    t->conf.seed = dice(UINT32_MAX);
    for (uint32_t i = 0; i < SHARDS; i++) {
        t->member[i] = dice(5) != 0;
        t->drained[i] = dice(5) == 0;
        t->weights[i] = dice(6);
        load[i].conns = dice(9);
    }
    for (uint32_t i = 0; i < MCQ_STEER_CPU_CNT; i++)
        t->cpus[i] = dice(9) == 0 ? MCQ_STEER_NO_SHARD : dice(SHARDS);
    mcq_steer_tables_refresh(t);
}

static void random_question(const struct mcq_steer_tables *t, struct mcq_twin_question *q)
{
    uint8_t addr[16];
    *q = (struct mcq_twin_question){.in.family = dice(30) == 0 ? 0 : dice(2) == 0 ? 4 : 6};
    random_addr(q->in.family == 0 ? 4 : q->in.family, addr);
    if (t->rules_cnt > 0 && dice(2) == 0) {
        const struct mcq_steer_rule *r = &t->rules[dice(t->rules_cnt)].rule;
        uint32_t bit = dice(r->family == 4 ? 32 : 128);
        memcpy(addr, r->addr, sizeof(addr));
        q->in.family = r->family;
        addr[bit / 8] ^= (uint8_t)(dice(2) << (7 - bit % 8));
    }
    memcpy(q->in.addr, addr, sizeof(addr));
    q->in.port = dice(65536);
    q->in.cpu = dice(2000);
    q->in.random = dice(UINT32_MAX);
}

static struct mcq_steer_twin_bpf *twin_load(const struct mcq_steer_maps *maps)
{
    struct mcq_steer_twin_bpf *twin = mcq_steer_twin_bpf__open();
    if (twin == NULL || bpf_map__reuse_fd(twin->maps.conf, mcq_steer_maps_fd(maps, "conf")) != 0 ||
        bpf_map__reuse_fd(twin->maps.exact, mcq_steer_maps_fd(maps, "exact")) != 0 ||
        bpf_map__reuse_fd(twin->maps.fronts4, mcq_steer_maps_fd(maps, "fronts4")) != 0 ||
        bpf_map__reuse_fd(twin->maps.fronts6, mcq_steer_maps_fd(maps, "fronts6")) != 0 ||
        bpf_map__reuse_fd(twin->maps.slots, mcq_steer_maps_fd(maps, "slots")) != 0 ||
        bpf_map__reuse_fd(twin->maps.cpus, mcq_steer_maps_fd(maps, "cpus")) != 0 ||
        bpf_map__reuse_fd(twin->maps.load, mcq_steer_maps_fd(maps, "load")) != 0 ||
        mcq_steer_twin_bpf__load(twin) != 0)
        fail("twin", strerror(errno));
    return twin;
}

static void ask(int prog, const struct mcq_steer_tables *t, struct mcq_twin_question *q)
{
    uint8_t packet[64] = {0};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet),
                .repeat = 1);
    for (uint32_t i = 0; i < MCQ_TWIN_BATCH; i++)
        random_question(t, &q[i]);
    if (bpf_prog_test_run_opts(prog, &opts) != 0)
        fail("test run", strerror(errno));
    for (uint32_t i = 0; i < MCQ_TWIN_BATCH; i++) {
        struct mcq_steer_choice c = {0};
        bool found = mcq_steer_tables_decide(t, &q[i].in, &c);
        bool same = q[i].answered == (found ? 1u : 2u) &&
                    (!found || memcmp(&c, &q[i].choice, sizeof(c)) == 0);
        if (!same) {
            printf("mode %u, family %u, %08x %08x %08x %08x: kernel %u shard %u why %u rule %u, C "
                   "%d shard %u why %u rule %u\n",
                   t->conf.mode, q[i].in.family, q[i].in.addr[0], q[i].in.addr[1], q[i].in.addr[2],
                   q[i].in.addr[3], q[i].answered, q[i].choice.shard, q[i].choice.why,
                   q[i].choice.rule, found, c.shard, c.why, c.rule);
            fail("agreement", "they differ");
        }
    }
}

/* What was written is read back as it is. */
static void compare(struct mcq_steer_maps *maps, const struct mcq_steer_tables *t)
{
    static struct mcq_steer_tables back;
    struct mcq_detail d = {.text = ""};
    if (mcq_steer_maps_read(maps, &back, NULL, &d) != MCQ_OK)
        fail("read", d.text);
    if (back.rules_cnt != t->rules_cnt || memcmp(&back.conf, &t->conf, sizeof(t->conf)) != 0 ||
        memcmp(back.slots, t->slots, sizeof(t->slots)) != 0 ||
        memcmp(back.weights, t->weights, sizeof(t->weights)) != 0)
        fail("read", "not what was written");
    for (uint32_t i = 0; i < t->rules_cnt; i++) {
        const struct mcq_steer_entry *e = mcq_steer_tables_find(&back, &t->rules[i].rule);
        if (e == NULL || memcmp(&e->target, &t->rules[i].target, sizeof(e->target)) != 0)
            fail("read", "a rule differs");
    }
}

int main(void)
{
    static struct mcq_steer_tables was, now;
    struct mcq_steer_maps *maps = NULL;
    struct mcq_detail d = {.text = ""};
    struct mcq_steer_load *load =
        mmap(NULL, LOAD_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int load_fd = load == MAP_FAILED ? -1 : mcq_steer_load_create(load);
    enum mcq_error err = mcq_steer_maps_create(&maps, load_fd, &d);
    if (err != MCQ_OK) {
        printf("SKIP steer_twin: %s\n", d.text);
        return 77;
    }
    struct mcq_steer_about about = {.version = MCQ_STEER_LAYOUT_VERSION, .shard_cnt = SHARDS};
    if (mcq_steer_maps_tell(maps, &about, &d) != MCQ_OK)
        fail("about", d.text);
    struct mcq_steer_twin_bpf *twin = twin_load(maps);
    struct mcq_twin_question *q = mmap(NULL, MCQ_TWIN_BATCH * sizeof(*q), PROT_READ | PROT_WRITE,
                                       MAP_SHARED, bpf_map__fd(twin->maps.questions), 0);
    if (q == MAP_FAILED)
        fail("questions", strerror(errno));
    mcq_steer_tables_init(&now, SHARDS, 1, load);
    for (uint32_t asked = 0; asked < ASKED; asked += MCQ_TWIN_BATCH) {
        change(&now, load);
        if (mcq_steer_maps_write(maps, &was, &now, &d) != MCQ_OK)
            fail("write", d.text);
        compare(maps, &now);
        ask(bpf_program__fd(twin->progs.mcq_steer_twin), &now, q);
        was = now;
    }
    munmap(q, MCQ_TWIN_BATCH * sizeof(*q));
    mcq_steer_twin_bpf__destroy(twin);
    mcq_steer_maps_destroy(maps);
    mcq_steer_load_destroy(load_fd);
    munmap(load, LOAD_LEN);
    printf("1 passed, 0 failed\n");
    return 0;
}
