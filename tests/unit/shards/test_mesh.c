#include "shards/mesh.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mem/os_mem.h"

static struct mcq_mesh *mesh;
static int fds[MCQ_SHARDS_MAX];

static void mesh_open(uint32_t cnt, bool spins)
{
    const struct mcq_mesh_opts o = {.cnt = cnt, .spins = spins, .start = UINT64_C(0) - 4096};
    cr_assert_eq(mcq_mesh_create(&o, &mesh, NULL), MCQ_OK);
    cr_assert_eq(mcq_mesh_cnt(mesh), cnt);
    for (uint32_t i = 0; i < cnt; i++) {
        fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        mcq_mesh_attach_fd(mcq_mesh_at(mesh, i), fds[i]);
    }
}

static void mesh_close(void)
{
    for (uint32_t i = 0; i < mcq_mesh_cnt(mesh); i++)
        close(fds[i]);
    mcq_mesh_destroy(mesh);
}

static struct mcq_mesh_end *at(uint32_t id)
{
    return mcq_mesh_at(mesh, id);
}

static uint64_t wakes_read(uint32_t id)
{
    uint64_t n = 0;
    return read(fds[id], &n, sizeof(n)) == (ssize_t)sizeof(n) ? n : 0;
}

/* What the handlers saw, in order. */
struct seen {
    uint32_t from, tag, len;
    uint64_t body;
};
static struct seen seen[16384];
static uint32_t seen_cnt, rooms_cnt;
static struct {
    uint32_t to;
    enum mcq_lane lane;
} rooms[16];
static bool answers; /* a post is answered by another, inside the handler */
static struct mcq_shard *handed;

static void note(struct mcq_shard *sh, uint32_t from, uint32_t tag, const void *body, size_t len)
{
    struct seen *s = &seen[seen_cnt++ % MCQ_CNT_OF(seen)];
    *s = (struct seen){.from = from, .tag = tag, .len = (uint32_t)len};
    handed = sh;
    if (len >= sizeof(s->body))
        s->body = *(const uint64_t *)body;
}

static bool post(uint32_t from, uint32_t to, enum mcq_lane lane, uint64_t number)
{
    uint64_t *body = mcq_mesh_reserve(at(from), to, lane, MCQ_MESH_POST, sizeof(*body));
    if (body == NULL)
        return false;
    *body = number;
    mcq_mesh_set_tag(at(from), to, lane, (uint32_t)number + 1);
    mcq_mesh_commit(at(from), to, lane);
    return true;
}

static void on_post(struct mcq_shard *sh, uint32_t from, uint32_t tag, const void *body, size_t len)
{
    note(sh, from, tag, body, len);
    if (answers)
        cr_assert(post(1, from, MCQ_LANE_BULK, *(const uint64_t *)body + 100));
}

static void on_release(struct mcq_shard *sh, uint32_t from, const void *body, size_t len)
{
    note(sh, from, 0, body, len);
}

static void on_room(struct mcq_shard *sh, uint32_t to, enum mcq_lane lane)
{
    (void)sh;
    rooms[rooms_cnt].to = to;
    rooms[rooms_cnt++].lane = lane;
}

static const struct mcq_mesh_handlers handlers = {
    .post = on_post, .of = {[MCQ_MESH_RELEASE] = on_release}, .room = on_room};

static uint32_t take(uint32_t id)
{
    return mcq_mesh_take(at(id), (struct mcq_shard *)(void *)&seen_cnt, &handlers);
}

Test(mesh, in_order_per_pair_to_the_handler_of_the_kind)
{
    mesh_open(3, false);
    for (uint64_t i = 0; i < 5; i++) {
        cr_assert(post(0, 2, MCQ_LANE_BULK, i));
        cr_assert(mcq_mesh_send(at(1), 2, MCQ_LANE_BULK, MCQ_MESH_RELEASE, &i, sizeof(i)));
    }
    cr_assert_eq(take(2), 0); /* nothing is published */
    mcq_mesh_publish(at(0));
    mcq_mesh_publish(at(1));
    cr_assert_eq(take(0) + take(1), 0);
    cr_assert_eq(take(2), 10);
    cr_assert_eq(handed, (struct mcq_shard *)(void *)&seen_cnt);
    uint64_t next[2] = {0, 0};
    for (uint32_t i = 0; i < 10; i++) {
        cr_assert_eq(seen[i].body, next[seen[i].from]);
        cr_assert_eq(seen[i].tag, seen[i].from == 0 ? next[0] + 1 : 0);
        next[seen[i].from]++;
    }
    cr_assert_eq(next[0] + next[1], 10);
    cr_assert(mcq_mesh_drained(mesh));
    mesh_close();
}

Test(mesh, urgent_ones_first_whoever_sent_them)
{
    mesh_open(4, false);
    for (uint32_t from = 0; from < 4; from++) {
        cr_assert(post(from, 3, MCQ_LANE_BULK, from));
        cr_assert(post(from, 3, MCQ_LANE_URGENT, 10 + from));
        mcq_mesh_publish(at(from));
    }
    cr_assert_eq(take(3), 8);
    for (uint32_t i = 0; i < 8; i++)
        cr_assert_eq(seen[i].body >= 10, i < 4);
    mesh_close();
}

Test(mesh, a_shard_posts_to_itself)
{
    mesh_open(1, false);
    cr_assert(post(0, 0, MCQ_LANE_BULK, 5));
    cr_assert_not(mcq_mesh_empty(at(0)));
    mcq_mesh_publish(at(0));
    cr_assert_not(mcq_mesh_empty(at(0)));
    cr_assert_not(mcq_mesh_drained(mesh));
    cr_assert_eq(take(0), 1);
    cr_assert_eq(seen[0].body, 5);
    cr_assert(mcq_mesh_idle(at(0)));
    mesh_close();
}

Test(mesh, many_are_published_without_being_asked)
{
    mesh_open(2, false);
    for (uint32_t i = 0; i + 1 < MCQ_MESH_BATCH_CNT; i++)
        cr_assert(post(0, 1, MCQ_LANE_BULK, i));
    cr_assert_eq(take(1), 0);
    cr_assert(post(0, 1, MCQ_LANE_BULK, 0));
    cr_assert_eq(take(1), MCQ_MESH_BATCH_CNT);
    mesh_close();
}

Test(mesh, what_a_handler_sends_is_published)
{
    mesh_open(2, false);
    answers = true;
    cr_assert(post(0, 1, MCQ_LANE_BULK, 7));
    mcq_mesh_publish(at(0));
    cr_assert_eq(take(1), 1);
    answers = false;
    cr_assert_eq(take(0), 1);
    cr_assert_eq(seen[1].body, 107);
    mesh_close();
}

static uint32_t fill(uint32_t from, uint32_t to, enum mcq_lane lane)
{
    uint32_t cnt = 0;
    while (post(from, to, lane, cnt))
        cnt++;
    mcq_mesh_publish(at(from));
    return cnt;
}

Test(mesh, full_is_an_answer_and_room_is_told_once)
{
    mesh_open(2, false);
    uint32_t cnt = fill(0, 1, MCQ_LANE_URGENT);
    cr_assert_eq(cnt, 65536 / 16 - 1);
    cr_assert(at(0)->full);
    cr_assert(mcq_mesh_waits(at(0), 1, MCQ_LANE_URGENT));
    cr_assert_not(mcq_mesh_waits(at(0), 1, MCQ_LANE_BULK));
    cr_assert_not(mcq_mesh_idle(at(0)));
    cr_assert(mcq_mesh_empty(at(0)));
    cr_assert_not(post(0, 1, MCQ_LANE_URGENT, 1));
    cr_assert_eq(at(0)->stats.full, 2);
    cr_assert(post(0, 1, MCQ_LANE_BULK, 1)); /* the other lane isn't */
    cr_assert_eq(take(0), 0);
    cr_assert_eq(take(1), MCQ_MESH_PER_RING_MAX + 1);
    cr_assert_eq(take(0), 0, "a quarter is not the half");
    cr_assert_eq(rooms_cnt, 0);
    cr_assert_eq(take(1), MCQ_MESH_PER_RING_MAX);
    cr_assert_eq(take(0), 1);
    cr_assert_eq(rooms_cnt, 1);
    cr_assert_eq(rooms[0].to, 1);
    cr_assert_eq(rooms[0].lane, MCQ_LANE_URGENT);
    cr_assert_not(at(0)->full);
    cr_assert_eq(take(0), 0);
    cr_assert_eq(rooms_cnt, 1);
    cr_assert(post(0, 1, MCQ_LANE_URGENT, cnt));
    mcq_mesh_publish(at(0));
    while (take(1) != 0)
        ;
    cr_assert_eq(seen_cnt, cnt + 2);
    cr_assert(mcq_mesh_drained(mesh));
    mesh_close();
}

Test(mesh, one_producer_doesnt_own_a_turn)
{
    mesh_open(3, false);
    (void)fill(0, 2, MCQ_LANE_BULK);
    (void)fill(1, 2, MCQ_LANE_BULK);
    uint32_t froms[2] = {0, 0};
    cr_assert_eq(take(2), 2 * MCQ_MESH_PER_RING_MAX);
    cr_assert_eq(at(2)->stats.later, 2);
    for (uint32_t i = 0; i < seen_cnt; i++)
        froms[seen[i].from]++;
    cr_assert_eq(froms[0], MCQ_MESH_PER_RING_MAX);
    mesh_close();
}

Test(mesh, a_run_is_bounded_and_the_next_begins_with_another)
{
    mesh_open(8, false);
    uint32_t total = 0;
    for (uint32_t from = 0; from < 7; from++)
        total += fill(from, 7, MCQ_LANE_BULK);
    uint32_t first[8] = {0};
    for (uint32_t turn = 0; turn < 5; turn++) {
        seen_cnt = 0;
        cr_assert_eq(take(7), MCQ_MESH_PER_RUN_MAX);
        first[seen[0].from]++;
        total -= MCQ_MESH_PER_RUN_MAX;
    }
    for (uint32_t from = 0; from < 7; from++)
        cr_assert_leq(first[from], 2);
    uint32_t n;
    while ((n = take(7)) != 0)
        total -= n;
    cr_assert_eq(total, 0);
    mesh_close();
}

/* --- sleep --------------------------------------------------------------------------------- */

static void who_sleeps_is_woken(uint32_t cnt)
{
    uint32_t last = cnt - 1;
    mesh_open(cnt, false);
    cr_assert(mcq_mesh_sleep(at(last), true));
    for (uint32_t from = 0; from < 3; from++) {
        cr_assert(post(from, last, MCQ_LANE_BULK, from));
        cr_assert_eq(wakes_read(last), 0);
        mcq_mesh_publish(at(from));
        cr_assert_eq(wakes_read(last), from == 0 ? 1 : 0, "only the first wakes");
    }
    cr_assert(mcq_mesh_sleep(at(last), false));
    cr_assert_not(mcq_mesh_sleep(at(last), true), "there is something");
    cr_assert_eq(take(last), 3);
    cr_assert(mcq_mesh_sleep(at(last), true));
    cr_assert(mcq_mesh_sleep(at(last), false));
    cr_assert(post(0, last, MCQ_LANE_URGENT, 9));
    mcq_mesh_publish(at(0));
    cr_assert_eq(wakes_read(last), 0, "nobody sleeps");
    cr_assert_not(mcq_mesh_sleep(at(last), true));
    cr_assert_eq(take(last), 1);
    mesh_close();
}

Test(mesh, who_sleeps_is_woken_once)
{
    who_sleeps_is_woken(4);
}

Test(mesh, who_sleeps_is_woken_once_among_many)
{
    who_sleeps_is_woken(MCQ_MESH_SCAN_MAX + 1);
}

static void who_waits_for_room_is_woken(uint32_t cnt)
{
    mesh_open(cnt, false);
    uint32_t sent = fill(0, 1, MCQ_LANE_BULK), taken = 0;
    cr_assert(mcq_mesh_sleep(at(0), true));
    while (wakes_read(0) == 0) {
        uint32_t n = take(1);
        cr_assert_neq(n, 0, "half of the ring was free long ago");
        taken += n;
    }
    cr_assert_geq(taken, sent / 2);
    cr_assert(mcq_mesh_sleep(at(0), false));
    cr_assert_not(mcq_mesh_sleep(at(0), true));
    cr_assert_eq(take(0), 1);
    cr_assert_eq(rooms_cnt, 1);
    cr_assert(mcq_mesh_sleep(at(0), true));
    mesh_close();
}

Test(mesh, who_waits_for_room_is_woken)
{
    who_waits_for_room_is_woken(2);
}

Test(mesh, who_waits_for_room_is_woken_among_many)
{
    who_waits_for_room_is_woken(40);
}

Test(mesh, nobody_is_woken_where_nobody_sleeps)
{
    mesh_open(2, true);
    cr_assert(at(0)->quiet);
    cr_assert(mcq_mesh_sleep(at(1), true)); /* never done; shows that the word isn't looked at */
    cr_assert(post(0, 1, MCQ_LANE_BULK, 1));
    mcq_mesh_publish(at(0));
    cr_assert_eq(wakes_read(1), 0);
    cr_assert_eq(take(1), 1);
    mesh_close();
}

/* Ids 0, 63 and 126 share a bit. */
Test(mesh, more_shards_than_bits, .timeout = 120)
{
    mesh_open(MCQ_SHARDS_MAX, true);
    cr_assert_not(at(0)->quiet, "bits need the word");
    uint64_t next[MCQ_SHARDS_MAX] = {0};
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t from = 0; from < MCQ_SHARDS_MAX; from++) {
            for (uint32_t i = 0; i <= from % 5; i++)
                cr_assert(post(from, 63, MCQ_LANE_BULK, next[from]++));
            mcq_mesh_publish(at(from));
        }
        if (round == 1)
            continue;
        seen_cnt = 0;
        while (take(63) != 0)
            ;
        cr_assert(mcq_mesh_idle(at(63)));
    }
    uint64_t sum = 0;
    for (uint32_t from = 0; from < MCQ_SHARDS_MAX; from++)
        sum += next[from];
    cr_assert_eq(at(63)->stats.taken, sum);
    mesh_close();
}

/* --- memory -------------------------------------------------------------------------------- */

Test(mesh, memory_is_as_the_header_says)
{
    static const struct {
        uint32_t cnt;
        size_t max;
    } sizes[] = {{2, (size_t)1536 << 10},
                 {4, (size_t)6 << 20},
                 {16, (size_t)22 << 20},
                 {32, (size_t)24 << 20}};
    for (size_t i = 0; i < MCQ_CNT_OF(sizes); i++) {
        size_t sum = 0;
        mesh_open(sizes[i].cnt, false);
        for (uint32_t id = 0; id < sizes[i].cnt; id++) {
            const struct mcq_arena *a = mcq_mesh_arena(mesh, id);
            cr_assert(a->sealed);
            cr_assert_lt(a->cap - a->used, MCQ_OS_HUGE_LEN, "nothing is mapped for nothing");
            sum += a->used;
        }
        cr_assert_leq(sum, sizes[i].max, "%u shards take %zu", sizes[i].cnt, sum);
        mesh_close();
    }
}

Test(mesh, one_of_a_kind_is_a_cache_line)
{
    cr_assert_eq(sizeof(struct mcq_mesh_tx), MCQ_CACHE_LINE);
    cr_assert_leq(sizeof(struct mcq_spsc_rx), MCQ_CACHE_LINE / 2);
}
