#include "prefix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prefix_kind.h"
#include "prefix_peers.h"
#include "prefix_times.h"

#define MAX_DEFAULT 1000000u
#define BUILDS      3   /* of which each update's shortest time counts */
#define ROUNDS      5   /* of matches, tables in turn; the median counts */
#define ROUND_NS    2e7 /* about so long is each */
#define BATCH       32u /* matches between two looks at the clock */
#define BATCHES_MAX 65536u
#define RATIO_CNT   1000u
#define PEER_SUBS   100u
#define STEP        UINT64_C(7368787) /* prime: comes by every object once */

static const struct prefix_kind *const kinds[] = {&prefix_kind_table, &prefix_kind_scan,
                                                  &prefix_kind_trie};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct pace {
    double mean, p50; /* ns per match; p50 of the batches */
};

struct row {
    uint32_t cnt;
    const char *kind;
    struct pace alone, stream;
    struct prefix_spread insert, remove;
    double bytes; /* per prefix, its object not included */
};

struct setup {
    uint32_t max;
    bool json;
    bool comma;           /* JSON: something has been printed */
    struct row few, many; /* the library's own, of RATIO_CNT and of the most prefixes */
};

/* --- matches ---------------------------------------------------------------------------------- */

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), compare_double);
    return v[n / 2];
}

/* false: not every topic matched once. */
static bool pace_once(const struct prefix_kind *kind, void *table, const struct prefix_keys *k,
                      bool chained, uint64_t from, struct pace *pace)
{
    static double batches[BATCHES_MAX];
    double sum = 0;
    size_t cnt = 0;
    while (cnt < BATCHES_MAX && (sum < ROUND_NS || cnt < 8)) {
        uint64_t begin = prefix_clock_ns();
        if (kind->match(table, k, from + cnt * BATCH, BATCH, chained) != BATCH)
            return false;
        batches[cnt] = (double)(prefix_clock_ns() - begin);
        sum += batches[cnt++];
    }
    pace->mean = sum / (double)(cnt * BATCH);
    pace->p50 = median(batches, cnt) / BATCH;
    return true;
}

struct rounds {
    double mean[ROUNDS], p50[ROUNDS];
};

/* All tables in turn, so that what else the machine does hits them alike; topics that none has
 * been asked for yet, as long as there are some. */
static bool measure_matches(void *const *tables, const struct prefix_keys *k, bool chained,
                            struct row *rows)
{
    struct rounds all[KINDS];
    uint64_t from = 0;
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < KINDS; i++) {
            struct pace pace;
            if (!pace_once(kinds[i], tables[i], k, chained, from, &pace))
                return false;
            all[i].mean[round] = pace.mean;
            all[i].p50[round] = pace.p50;
            from += k->topic_cnt / ROUNDS;
        }
    for (size_t i = 0; i < KINDS; i++) {
        struct pace *pace = chained ? &rows[i].alone : &rows[i].stream;
        pace->mean = median(all[i].mean, ROUNDS);
        pace->p50 = median(all[i].p50, ROUNDS);
    }
    return true;
}

/* --- updates ---------------------------------------------------------------------------------- */

static bool build(const struct prefix_kind *kind, void *table, const struct prefix_keys *k,
                  uint32_t cnt, struct prefix_times *times)
{
    for (uint32_t i = 0; i < cnt; i++) {
        uint64_t begin = prefix_clock_ns();
        if (!kind->insert(table, &k->objs[i]))
            return false;
        prefix_times_note(times, i, prefix_clock_ns() - begin);
    }
    return true;
}

/* In another order than they came. */
static void tear_down(const struct prefix_kind *kind, void *table, const struct prefix_keys *k,
                      uint32_t cnt, struct prefix_times *times)
{
    for (uint64_t i = 0; i < cnt; i++) {
        struct prefix_obj *o = &k->objs[i * STEP % cnt];
        uint64_t begin = prefix_clock_ns();
        kind->remove(table, o);
        prefix_times_note(times, (uint32_t)i, prefix_clock_ns() - begin);
    }
}

/* The last build stays, for matching. Gives NULL if there is no memory. */
static void *measure_updates(const struct prefix_kind *kind, const struct prefix_keys *k,
                             struct row *row)
{
    struct prefix_times in;
    struct prefix_times out;
    void *table = NULL;
    if (!prefix_times_open(&in, row->cnt) || !prefix_times_open(&out, row->cnt))
        return NULL;
    for (int i = 0; i < BUILDS; i++) {
        table = kind->open(row->cnt);
        if (table == NULL || !build(kind, table, k, row->cnt, &in))
            return NULL;
        row->bytes = (double)kind->bytes(table) / row->cnt;
        if (kind == &prefix_kind_scan) /* finding one is what it is about */
            break;
        tear_down(kind, table, k, row->cnt, &out);
        if (i + 1 < BUILDS)
            kind->close(table);
    }
    row->insert = prefix_times_spread(&in);
    if (kind != &prefix_kind_scan) {
        row->remove = prefix_times_spread(&out);
        for (uint32_t i = 0; i < row->cnt; i++)
            (void)kind->insert(table, &k->objs[i]);
    }
    prefix_times_close(&in);
    prefix_times_close(&out);
    return table;
}

/* --- printing --------------------------------------------------------------------------------- */

static void print_head(const struct setup *setup)
{
    double clock = prefix_clock_cost_ns();
    if (setup->json) {
        printf("{\n  \"clock_ns\": %.1f,\n  \"prefixes\": [", clock);
        return;
    }
    printf(
        "Prefixes of 4-32 random bytes, random topics that match one each. Nanoseconds; %.0f of\n"
        "each update are the clock's. Rivals: a linear scan, a radix trie.\n\n",
        clock);
    printf("%9s %-5s | %17s | %17s | %26s | %26s | %6s\n", "", "", "match, in a row",
           "match, alone", "insert", "remove", "bytes");
    printf("%9s %-5s | %8s %8s | %8s %8s | %8s %8s %8s | %8s %8s %8s | %6s\n", "prefixes", "",
           "p50", "mean", "p50", "mean", "mean", "p99.9", "max", "mean", "p99.9", "max", "each");
}

static void print_row(struct setup *setup, const struct row *r)
{
    const struct prefix_spread *in = &r->insert;
    const struct prefix_spread *out = &r->remove;
    if (!setup->json) {
        printf("%9u %-5s | %8.1f %8.1f | %8.1f %8.1f | %8.0f %8u %8u | ", r->cnt, r->kind,
               r->stream.p50, r->stream.mean, r->alone.p50, r->alone.mean, in->mean, in->p999,
               in->max);
        if (out->max == 0)
            printf("%8s %8s %8s | %6.1f\n", "-", "-", "-", r->bytes);
        else
            printf("%8.0f %8u %8u | %6.1f\n", out->mean, out->p999, out->max, r->bytes);
        return;
    }
    printf("%s\n    {\"prefixes\": %u, \"table\": \"%s\", \"stream_p50_ns\": %.1f, "
           "\"stream_mean_ns\": %.1f, \"alone_p50_ns\": %.1f, \"alone_mean_ns\": %.1f, "
           "\"insert_mean_ns\": %.0f, \"insert_p999_ns\": %u, \"insert_max_ns\": %u, "
           "\"remove_mean_ns\": %.0f, \"remove_p999_ns\": %u, \"remove_max_ns\": %u, "
           "\"bytes_per_prefix\": %.1f}",
           setup->comma ? "," : "", r->cnt, r->kind, r->stream.p50, r->stream.mean, r->alone.p50,
           r->alone.mean, in->mean, in->p999, in->max, out->mean, out->p999, out->max, r->bytes);
    setup->comma = true;
}

/* How much more a match takes than at RATIO_CNT prefixes. */
static void print_ratio(const struct setup *setup)
{
    const struct row *few = &setup->few;
    const struct row *many = &setup->many;
    if (!setup->json && few->cnt == RATIO_CNT && many->cnt > few->cnt)
        printf("\nThe library's match at %u prefixes takes, by p50, %.1f times as long as at %u "
               "(alone: %.1f times).\n",
               many->cnt, many->stream.p50 / few->stream.p50, few->cnt,
               many->alone.p50 / few->alone.p50);
}

static void print_peers_head(struct setup *setup)
{
    setup->comma = false;
    if (setup->json) {
        printf("\n  ],\n  \"peers\": [");
        return;
    }
    printf(
        "\nSUBSCRIBE and CANCEL through the pattern layer. Nanoseconds; bytes per prefix and per\n"
        "subscription in use, and what is set aside per subscription whatever peers ask for\n\n");
    printf("%6s %5s %8s | %35s | %35s | %26s\n", "", "", "", "SUBSCRIBE", "CANCEL", "bytes");
    printf("%6s %5s %8s | %8s %8s %8s %8s | %8s %8s %8s %8s | %8s %8s %8s\n", "peers", "each",
           "prefixes", "mean", "p99.9", "max", "raw max", "mean", "p99.9", "max", "raw max",
           "prefix", "subscr.", "set by");
}

static void print_peers(struct setup *setup, const struct prefix_peers *p)
{
    const struct prefix_spread *in = &p->subscribe;
    const struct prefix_spread *out = &p->cancel;
    if (!setup->json) {
        printf("%6u %5u %8u | %8.0f %8u %8u %8llu | %8.0f %8u %8u %8llu | %8.0f %8.0f %8.0f\n",
               p->peers, p->per_peer, p->prefixes, in->mean, in->p999, in->max,
               (unsigned long long)in->raw_max, out->mean, out->p999, out->max,
               (unsigned long long)out->raw_max, p->prefix_bytes, p->sub_bytes, p->reserved_bytes);
        return;
    }
    printf("%s\n    {\"peers\": %u, \"each\": %u, \"prefixes\": %u, \"subscribe_mean_ns\": %.0f, "
           "\"subscribe_p999_ns\": %u, \"subscribe_max_ns\": %u, \"cancel_mean_ns\": %.0f, "
           "\"cancel_p999_ns\": %u, \"cancel_max_ns\": %u, \"bytes_per_prefix\": %.0f, "
           "\"bytes_per_subscription\": %.0f, \"reserved_per_subscription\": %.0f}",
           setup->comma ? "," : "", p->peers, p->per_peer, p->prefixes, in->mean, in->p999, in->max,
           out->mean, out->p999, out->max, p->prefix_bytes, p->sub_bytes, p->reserved_bytes);
    setup->comma = true;
}

/* --- the whole -------------------------------------------------------------------------------- */

static bool measure_size(struct setup *setup, struct prefix_keys *k, uint32_t cnt)
{
    struct row rows[KINDS];
    void *tables[KINDS] = {NULL};
    bool ok = true;
    for (size_t i = 0; ok && i < KINDS; i++) {
        rows[i] = (struct row){.cnt = cnt, .kind = kinds[i]->name};
        tables[i] = measure_updates(kinds[i], k, &rows[i]);
        ok = tables[i] != NULL;
    }
    prefix_keys_ask(k, cnt);
    ok = ok && measure_matches(tables, k, true, rows) && measure_matches(tables, k, false, rows);
    if (ok && cnt == RATIO_CNT)
        setup->few = rows[0];
    setup->many = rows[0];
    for (size_t i = 0; i < KINDS; i++) {
        if (ok)
            print_row(setup, &rows[i]);
        if (tables[i] != NULL)
            kinds[i]->close(tables[i]);
    }
    fflush(stdout);
    return ok;
}

/* As many prefixes as subscriptions, and a hundredth of them: each then has 100 subscribers. */
static bool measure_peers(struct setup *setup, const struct prefix_keys *k)
{
    uint32_t peers = setup->max / PEER_SUBS;
    struct prefix_peers all;
    struct prefix_peers shared;
    if (peers <= PEER_SUBS)
        return true;
    if (!prefix_peers_measure(k, peers, PEER_SUBS, peers * PEER_SUBS, &all) ||
        !prefix_peers_measure(k, peers, PEER_SUBS, peers, &shared))
        return false;
    print_peers(setup, &all);
    print_peers(setup, &shared);
    return true;
}

static bool run(struct setup *setup)
{
    struct prefix_keys k;
    bool ok = prefix_keys_open(&k, setup->max);
    if (ok)
        print_head(setup);
    for (uint64_t cnt = 10; ok && cnt <= setup->max; cnt *= 10)
        ok = measure_size(setup, &k, (uint32_t)cnt);
    if (ok) {
        print_ratio(setup);
        print_peers_head(setup);
    }
    ok = ok && measure_peers(setup, &k);
    if (setup->json)
        printf("\n  ]\n}\n");
    prefix_keys_close(&k);
    return ok;
}

int prefix_main(int argc, char **argv)
{
    struct setup setup = {.max = MAX_DEFAULT};
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            setup.json = true;
        } else if (strcmp(argv[i], "--max") == 0 && i + 1 < argc) {
            setup.max = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else {
            fprintf(stderr, "usage: mcq-micro prefix [--max N] [--json]\n");
            return 2;
        }
    }
    if (setup.max < 10 || setup.max > 10000000) {
        fprintf(stderr, "mcq-micro prefix: --max takes 10 to 10000000\n");
        return 2;
    }
    if (run(&setup))
        return 0;
    fprintf(stderr, "mcq-micro prefix: no memory, or a match went wrong\n");
    return 1;
}
