/* The policy against an oracle that looks at every rule, every way. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "shards/steer_rules.h"

#define SHARDS 7u

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint32_t dice(uint32_t sides)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % sides;
}

TestSuite(steer_policy, .timeout = 60);

/* --- random tables and connections, out of a few addresses so that much matches --------------- */

static void random_addr(uint8_t family, uint8_t addr[16])
{
    memset(addr, 0, 16);
    for (uint32_t i = 0; i < (family == 4 ? 4u : 16u); i++)
        addr[i] = (uint8_t)(dice(4) == 0 ? dice(256) : 1u << dice(3));
}

static struct mcq_steer_rule random_rule(uint32_t shards)
{
    struct mcq_steer_rule r = {.family = dice(2) == 0 ? 4 : 6, .shard = dice(shards)};
    r.bits = (uint8_t)dice(r.family == 4 ? 33 : 129);
    if (dice(4) == 0)
        r.bits = r.family == 4 ? 32 : 128;
    random_addr(r.family, r.addr);
    return r;
}

static struct mcq_steer_input random_input(const struct mcq_steer_tables *t)
{
    struct mcq_steer_input in = {.family = dice(20) == 0 ? 0 : dice(2) == 0 ? 4 : 6};
    uint8_t addr[16] = {0};
    if (in.family != 0)
        random_addr((uint8_t)in.family, addr);
    if (t->rules_cnt > 0 && dice(2) == 0) { /* near a rule */
        const struct mcq_steer_rule *r = &t->rules[dice(t->rules_cnt)].rule;
        in.family = r->family;
        memcpy(addr, r->addr, sizeof(addr));
        uint32_t bit = dice(r->family == 4 ? 32 : 128);
        addr[bit / 8] ^= (uint8_t)(dice(2) << (7 - bit % 8));
    }
    memcpy(in.addr, addr, sizeof(addr));
    in.port = dice(65536);
    in.cpu = dice(16);
    in.random = dice(UINT32_MAX);
    return in;
}

static struct mcq_steer_load load[MCQ_STEER_SHARD_CNT];

static void random_tables(struct mcq_steer_tables *t)
{
    uint32_t id;
    mcq_steer_tables_init(t, SHARDS, dice(UINT32_MAX), load);
    t->conf.mode = dice(5);
    for (uint32_t i = 0; i < SHARDS; i++) {
        t->member[i] = dice(4) != 0;
        t->drained[i] = dice(4) == 0;
        t->weights[i] = dice(4);
        load[i].conns = dice(5);
    }
    for (uint32_t i = 0; i < 16; i++)
        t->cpus[i] = dice(8) == 0 ? MCQ_STEER_NO_SHARD : dice(SHARDS);
    for (uint32_t n = dice(40); n > 0; n--) {
        const struct mcq_steer_rule r = random_rule(SHARDS);
        cr_assert_eq(mcq_steer_tables_put(t, &r, &id, NULL), MCQ_OK);
    }
    mcq_steer_tables_refresh(t);
}

/* --- the oracle ------------------------------------------------------------------------------ */

static bool bit_of(const uint8_t *addr, uint32_t bit)
{
    return (addr[bit / 8] >> (7 - bit % 8) & 1) != 0;
}

static bool covers(const struct mcq_steer_rule *r, const struct mcq_steer_input *in)
{
    const uint8_t *addr = (const uint8_t *)in->addr;
    for (uint32_t i = 0; i < r->bits; i++)
        if (bit_of(addr, i) != bit_of(r->addr, i))
            return false;
    return r->family == in->family;
}

static const struct mcq_steer_entry *longest(const struct mcq_steer_tables *t,
                                             const struct mcq_steer_input *in)
{
    const struct mcq_steer_entry *best = NULL;
    for (uint32_t i = 0; i < t->rules_cnt; i++)
        if (covers(&t->rules[i].rule, in) &&
            (best == NULL || t->rules[i].rule.bits > best->rule.bits))
            best = &t->rules[i];
    return best;
}

static bool live(const struct mcq_steer_tables *t, uint32_t shard)
{
    bool any = false;
    for (uint32_t i = 0; i < SHARDS; i++)
        any = any || (t->member[i] && !t->drained[i]);
    return t->member[shard] && (!any || !t->drained[shard]);
}

static uint32_t live_cnt(const struct mcq_steer_tables *t)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < SHARDS; i++)
        cnt += live(t, i) ? 1 : 0;
    return cnt;
}

static void check_mode(const struct mcq_steer_tables *t, const struct mcq_steer_input *in,
                       const struct mcq_steer_choice *c)
{
    uint32_t shard = t->cpus[in->cpu];
    switch (t->conf.mode) {
    case MCQ_STEER_BY_CPU:
        if (shard != MCQ_STEER_NO_SHARD && live(t, shard))
            cr_assert_eq(c->shard, shard);
        break;
    case MCQ_STEER_BY_PORT:
        if (live(t, in->port % SHARDS))
            cr_assert_eq(c->shard, in->port % SHARDS);
        break;
    case MCQ_STEER_BY_LEAST: /* never the worst alone */
        for (uint32_t i = 0; i < SHARDS && live_cnt(t) > 1; i++)
            if (live(t, i) && load[i].conns >= load[c->shard].conns && i != c->shard)
                return;
        cr_assert(live_cnt(t) == 1, "shard %u with %u connections", c->shard, load[c->shard].conns);
        break;
    case MCQ_STEER_BY_WEIGHTS:
        if (t->weights[c->shard] == 0)
            for (uint32_t i = 0; i < SHARDS; i++)
                cr_assert(!live(t, i) || t->weights[i] == 0);
        break;
    }
}

static void check(const struct mcq_steer_tables *t, const struct mcq_steer_input *in)
{
    struct mcq_steer_choice c = {0};
    bool found = mcq_steer_tables_decide(t, in, &c);
    cr_assert_eq(found, live_cnt(t) > 0);
    if (!found)
        return;
    cr_assert(c.shard < SHARDS && live(t, c.shard));
    const struct mcq_steer_entry *best = longest(t, in);
    cr_assert_eq(c.rule, best == NULL ? MCQ_STEER_NO_RULE : best->target.id);
    if (best != NULL && live(t, best->rule.shard)) {
        bool exact = best->rule.bits == (best->rule.family == 4 ? 32 : 128);
        cr_assert_eq(c.shard, best->rule.shard);
        cr_assert_eq(c.why, exact ? MCQ_STEER_WHY_EXACT : MCQ_STEER_WHY_PREFIX);
        return;
    }
    if (best != NULL)
        cr_assert_eq(c.why, MCQ_STEER_WHY_ELSEWHERE);
    check_mode(t, in, &c);
}

Test(steer_policy, agrees_with_one_that_looks_at_everything)
{
    static struct mcq_steer_tables t;
    for (uint32_t round = 0; round < 2000; round++) {
        random_tables(&t);
        for (uint32_t i = 0; i < 200; i++) {
            const struct mcq_steer_input in = random_input(&t);
            check(&t, &in);
        }
    }
}

/* --- tables ---------------------------------------------------------------------------------- */

static void all_members(struct mcq_steer_tables *t, uint32_t shards)
{
    mcq_steer_tables_init(t, shards, 1, NULL);
    memset(t->member, 1, shards);
    mcq_steer_tables_refresh(t);
}

static uint32_t slots_of(const struct mcq_steer_tables *t, uint32_t shard)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < MCQ_STEER_SLOT_CNT; i++)
        cnt += t->slots[i] == shard ? 1 : 0;
    return cnt;
}

Test(steer_policy, slots_are_shared_by_largest_remainder)
{
    static struct mcq_steer_tables t;
    all_members(&t, 3);
    cr_assert_eq(mcq_steer_tables_set_weights(&t, (uint32_t[]){1, 1, 1}, 3, NULL), MCQ_OK);
    mcq_steer_tables_refresh(&t);
    cr_assert_eq(slots_of(&t, 0), 342); /* 341 + 1 of the rest */
    cr_assert_eq(slots_of(&t, 1), 341);
    cr_assert_eq(slots_of(&t, 2), 341);
    cr_assert_eq(mcq_steer_tables_set_weights(&t, (uint32_t[]){0, 1, 3}, 3, NULL), MCQ_OK);
    mcq_steer_tables_refresh(&t);
    cr_assert_eq(slots_of(&t, 0), 0);
    cr_assert_eq(slots_of(&t, 1), 256);
    cr_assert_eq(slots_of(&t, 2), 768);
    t.drained[2] = 1;
    mcq_steer_tables_refresh(&t);
    cr_assert_eq(slots_of(&t, 1), 1024);
    t.drained[1] = 1; /* whoever is left has weight 0 */
    mcq_steer_tables_refresh(&t);
    cr_assert_eq(slots_of(&t, 0), 1024);
}

Test(steer_policy, hash_spreads_what_differs_only_in_its_port)
{
    static struct mcq_steer_tables t;
    uint32_t got[4] = {0};
    all_members(&t, 4);
    for (uint32_t port = 0; port < 4000; port++) {
        const struct mcq_steer_input in = {
            .family = 4, .addr = {htonl(0x7f000001)}, .port = 20000 + port};
        struct mcq_steer_choice c = {0};
        cr_assert(mcq_steer_tables_decide(&t, &in, &c));
        got[c.shard]++;
    }
    for (uint32_t i = 0; i < 4; i++)
        cr_assert(got[i] > 800 && got[i] < 1200, "shard %u has %u of 4000", i, got[i]);
}

Test(steer_policy, least_is_even_with_stale_loads_and_exact_with_fresh_ones)
{
    static struct mcq_steer_tables t;
    mcq_steer_tables_init(&t, 8, 1, load);
    memset(t.member, 1, 8);
    memset(load, 0, sizeof(load));
    mcq_steer_tables_refresh(&t);
    t.conf.mode = MCQ_STEER_BY_LEAST;
    for (uint32_t i = 0; i < 8000; i++) {
        const struct mcq_steer_input in = {.family = 4, .port = i, .random = dice(UINT32_MAX)};
        struct mcq_steer_choice c = {0};
        cr_assert(mcq_steer_tables_decide(&t, &in, &c));
        load[c.shard].conns++;
    }
    for (uint32_t i = 0; i < 8; i++)
        cr_assert(load[i].conns > 980 && load[i].conns < 1020, "shard %u has %u", i, load[i].conns);
}

/* --- text ------------------------------------------------------------------------------------ */

static enum mcq_error text_of(const char *text, struct mcq_steer_tables *t,
                              enum mcq_steer_rung *rung, struct mcq_detail *detail)
{
    all_members(t, 4);
    *detail = (struct mcq_detail){.text = ""};
    return mcq_steer_tables_read(t, text, rung, detail);
}

Test(steer_policy, text_says_all_there_is)
{
    static struct mcq_steer_tables t;
    struct mcq_detail d;
    enum mcq_steer_rung rung = MCQ_STEER_RUNG_DEFAULT;
    char text[MCQ_STEER_RULE_TEXT_LEN];
    const char *all = "127.1.2.3/16=0,127.2.0.0/16=1,10.0.0.7=3,fd00::1=2,fd00::/8=1,::/0=0,"
                      "::ffff:10.1.0.0/112=2,mode=least,weights=1:2:3,rung=cbpf";
    cr_assert_eq(text_of(all, &t, &rung, &d), MCQ_OK, "%s", d.text);
    cr_assert_eq(rung, MCQ_STEER_RUNG_CBPF);
    cr_assert_eq(t.conf.mode, MCQ_STEER_BY_WEIGHTS);
    cr_assert_eq(t.weights[2], 3);
    cr_assert_eq(t.weights[3], 1);
    cr_assert_eq(t.rules_cnt, 7);
    static const char *const sorted[] = {"10.0.0.7=3",     "fd00::1=2",     "127.1.0.0/16=0",
                                         "127.2.0.0/16=1", "10.1.0.0/16=2", "fd00::/8=1",
                                         "::/0=0"};
    for (uint32_t i = 0; i < t.rules_cnt; i++) {
        mcq_steer_rule_format(&t.rules[i].rule, text);
        cr_assert_str_eq(text, sorted[i]);
    }
}

Test(steer_policy, a_wrong_text_says_what_is_wrong)
{
    static struct mcq_steer_tables t;
    static const char *const texts[][2] = {
        {"127.0.0.0/33=0", "/0 to /32"},    {"127.0.0.1", "PREFIX=SHARD"},
        {"127.0.0.1=", "PREFIX=SHARD"},     {"127.0.0.1=4", "no shard 4"},
        {"127.0.0.1=128", "PREFIX=SHARD"},  {"nobody=1", "no address"},
        {"fd00::/129=0", "/0 to /128"},     {"mode=best", "one of hash"},
        {"weights=", "weights="},           {"weights=0:0:0:0", "all weights are 0"},
        {"weights=1:2:3:4:5", "5 weights"}, {"weights=70000", "up to 65535"},
        {"rung=ladder", "one of ebpf"},     {"mode=hash,", "comma"},
        {",mode=hash", "no address"},       {"127.0.0.1/-1=0", "/0 to /32"},
    };
    enum mcq_steer_rung rung;
    struct mcq_detail d;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cr_assert_eq(text_of(texts[i][0], &t, &rung, &d), MCQ_EINVAL, "%s", texts[i][0]);
        cr_assert_not_null(strstr(d.text, texts[i][1]), "%s: %s", texts[i][0], d.text);
    }
    cr_assert_eq(text_of("rung=ebpf", &t, NULL, &d), MCQ_EINVAL);
}

Test(steer_policy, rules_have_a_limit_and_keep_their_ids)
{
    static struct mcq_steer_tables t;
    struct mcq_steer_rule r = {.family = 4, .bits = 32, .addr = {10}};
    struct mcq_detail d = {.text = ""};
    uint32_t id, again;
    all_members(&t, 2);
    for (uint32_t i = 0; i < MCQ_STEER_RULES_MAX; i++) {
        r.addr[2] = (uint8_t)(i >> 8);
        r.addr[3] = (uint8_t)i;
        cr_assert_eq(mcq_steer_tables_put(&t, &r, &id, &d), MCQ_OK);
    }
    cr_assert_eq(mcq_steer_tables_put(&t, &r, &again, &d), MCQ_OK);
    cr_assert_eq(id, again);
    r.addr[0] = 11;
    cr_assert_eq(mcq_steer_tables_put(&t, &r, &id, &d), MCQ_ELIMIT);
    cr_assert_eq(mcq_steer_tables_drop(&t, &r, &d), MCQ_ENOENT);
    cr_assert_not_null(strstr(d.text, "11.0.3.255"), "%s", d.text);
    r = (struct mcq_steer_rule){.family = 4, .bits = 32, .addr = {10, 0, 1, 2}};
    cr_assert_eq(mcq_steer_tables_drop(&t, &r, &d), MCQ_OK);
    r.addr[0] = 12;
    cr_assert_eq(mcq_steer_tables_put(&t, &r, &id, &d), MCQ_OK);
    cr_assert_eq(id, 258, "the counter that was set free");
}
