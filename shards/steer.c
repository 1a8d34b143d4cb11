/* RAW: maps of the kernel, read and written through libbpf, and one of them mapped; sound because
 * every key and value has the type that steer_layout.h gives it in the program, too, which is
 * checked when pins are opened; called by group and steer_ctl, one at a time per object. */
#include "shards/steer.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mem/detail.h"
#include "mem/slice.h"
#include "shards/steer.skel.h"
#include "shards/steer_pins.h"

enum map {
    CONF,
    EXACT,
    FRONTS4,
    FRONTS6,
    SLOTS,
    CPUS,
    LOAD,
    SHARD_HITS,
    RULE_HITS,
    ABOUT,
    MAP_CNT /* pinned; the listeners are for this process alone */
};

static const struct {
    const char *name;
    uint32_t key_len, value_len;
} shapes[MAP_CNT] = {
    [CONF] = {"conf", 4, sizeof(struct mcq_steer_conf)},
    [EXACT] = {"exact", sizeof(struct mcq_steer_exact), sizeof(struct mcq_steer_target)},
    [FRONTS4] = {"fronts4", sizeof(struct mcq_steer_front4), sizeof(struct mcq_steer_target)},
    [FRONTS6] = {"fronts6", sizeof(struct mcq_steer_front6), sizeof(struct mcq_steer_target)},
    [SLOTS] = {"slots", 4, 4},
    [CPUS] = {"cpus", 4, 4},
    [LOAD] = {"load", 4, sizeof(struct mcq_steer_load)},
    [SHARD_HITS] = {"shard_hits", 4, 8},
    [RULE_HITS] = {"rule_hits", 4, 8},
    [ABOUT] = {"about", 4, sizeof(struct mcq_steer_about)},
};

struct mcq_steer_maps {
    struct mcq_steer_bpf *skel; /* NULL: opened by path */
    int fd[MAP_CNT];
    int lock_fd;
    int owner_fd; /* holds the path */
    uint32_t cpu_cnt;
    uint64_t *per_cpu; /* scratch, one per possible CPU */
    char path[MCQ_STEER_PATH_LEN];
    bool pinned; /* by this process */
};

static enum mcq_error explain(struct mcq_detail *detail, int os_errno, const char *what)
{
    if (os_errno == EPERM || os_errno == EACCES)
        return mcq_detail_set(detail, MCQ_EACCESS, os_errno,
                              "%s: not permitted: give the program CAP_BPF (setcap cap_bpf+ep)",
                              what);
    if (os_errno == ENOMEM)
        return mcq_detail_set(detail, MCQ_ENOMEM, os_errno, "%s: no memory", what);
    if (os_errno == ENOENT)
        return mcq_detail_set(detail, MCQ_ENOENT, os_errno, "%s: not there", what);
    if (os_errno == EINVAL || os_errno == ENOSYS || os_errno == EOPNOTSUPP)
        return mcq_detail_set(detail, MCQ_ENOTSUP, os_errno, "%s: this kernel can't", what);
    return mcq_detail_set(detail, MCQ_EOS, os_errno, "%s: error %d of the system", what, os_errno);
}

/* libbpf would print; it is one setting for the process, which may use libbpf itself. */
static pthread_mutex_t quiet = PTHREAD_MUTEX_INITIALIZER;

static libbpf_print_fn_t hush(void)
{
    pthread_mutex_lock(&quiet);
    return libbpf_set_print(NULL);
}

static void unhush(libbpf_print_fn_t was)
{
    libbpf_set_print(was);
    pthread_mutex_unlock(&quiet);
}

/* --- the load array -------------------------------------------------------------------------- */

int mcq_steer_load_create(struct mcq_steer_load *load)
{
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
    int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, shapes[LOAD].name, shapes[LOAD].key_len,
                            shapes[LOAD].value_len, MCQ_STEER_SHARD_CNT, &opts);
    if (fd < 0)
        return -1;
    bool ok = true;
    for (uint32_t i = 0; i < MCQ_STEER_SHARD_CNT && ok; i++)
        ok = bpf_map_update_elem(fd, &i, &load[i], BPF_ANY) == 0;
    if (ok && mmap(load, MCQ_STEER_LOAD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
                   0) == (void *)load)
        return fd;
    close(fd);
    return -1;
}

void mcq_steer_load_destroy(int fd)
{
    close(fd);
}

/* --- making and opening ---------------------------------------------------------------------- */

static struct mcq_steer_maps *maps_new(void)
{
    struct mcq_steer_maps *m = calloc(1, sizeof(*m));
    int cpus = libbpf_num_possible_cpus();
    if (m == NULL)
        return NULL;
    m->cpu_cnt = cpus > 0 ? (uint32_t)cpus : 1;
    m->per_cpu = calloc(m->cpu_cnt, sizeof(*m->per_cpu));
    m->lock_fd = m->owner_fd = -1;
    for (uint32_t i = 0; i < MAP_CNT; i++)
        m->fd[i] = -1;
    if (m->per_cpu == NULL) {
        free(m);
        return NULL;
    }
    return m;
}

static int load_program(struct mcq_steer_maps *m, int load_fd)
{
    libbpf_print_fn_t was = hush();
    int err = -ENOMEM;
    m->skel = mcq_steer_bpf__open();
    if (m->skel != NULL)
        err = load_fd < 0 ? 0 : bpf_map__reuse_fd(m->skel->maps.load, load_fd);
    if (err == 0)
        err = mcq_steer_bpf__load(m->skel);
    unhush(was);
    return -err;
}

enum mcq_error mcq_steer_maps_create(struct mcq_steer_maps **maps, int load_fd,
                                     struct mcq_detail *detail)
{
    struct mcq_steer_maps *m = maps_new();
    if (m == NULL)
        return explain(detail, ENOMEM, "eBPF");
    int os_errno = load_program(m, load_fd);
    if (os_errno != 0) {
        mcq_steer_maps_destroy(m);
        return explain(detail, os_errno, "eBPF");
    }
    for (uint32_t i = 0; i < MAP_CNT; i++)
        m->fd[i] = bpf_object__find_map_fd_by_name(m->skel->obj, shapes[i].name);
    *maps = m;
    return MCQ_OK;
}

/* Pins of another version of this page would be misread. */
static bool has_shape(int fd, uint32_t map)
{
    struct bpf_map_info info = {0};
    uint32_t len = sizeof(info);
    return bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.key_size == shapes[map].key_len &&
           info.value_size == shapes[map].value_len;
}

static enum mcq_error open_pins(struct mcq_steer_maps *m, struct mcq_detail *detail)
{
    char file[MCQ_STEER_PATH_LEN + 32];
    struct mcq_steer_about about = {0};
    const uint32_t zero = 0;
    for (uint32_t i = 0; i < MAP_CNT; i++) {
        snprintf(file, sizeof(file), "%s/%s", m->path, shapes[i].name);
        m->fd[i] = bpf_obj_get(file);
        if (m->fd[i] < 0)
            return explain(detail, errno, m->path);
        if (!has_shape(m->fd[i], i))
            return mcq_detail_set(detail, MCQ_ENOTSUP, 0, "%s: pinned by another version", m->path);
    }
    if (bpf_map_lookup_elem(m->fd[ABOUT], &zero, &about) != 0)
        return explain(detail, errno, m->path);
    if (about.version != MCQ_STEER_LAYOUT_VERSION || about.shard_cnt == 0 ||
        about.shard_cnt > MCQ_STEER_SHARD_CNT)
        return mcq_detail_set(detail, MCQ_ENOTSUP, 0, "%s: pinned by another version", m->path);
    return MCQ_OK;
}

enum mcq_error mcq_steer_maps_open(struct mcq_steer_maps **maps, const char *path,
                                   struct mcq_detail *detail)
{
    if (strlen(path) >= MCQ_STEER_PATH_LEN)
        return mcq_detail_set(detail, MCQ_ENOENT, 0, "'%.48s...' is no pinned bind", path);
    struct mcq_steer_maps *m = maps_new();
    if (m == NULL)
        return explain(detail, ENOMEM, path);
    strcpy(m->path, path);
    enum mcq_error err = open_pins(m, detail);
    if (err == MCQ_OK)
        *maps = m;
    else
        mcq_steer_maps_destroy(m);
    return err;
}

void mcq_steer_maps_destroy(struct mcq_steer_maps *m)
{
    if (m->pinned)
        mcq_steer_pins_remove(m->path, m->owner_fd);
    if (m->skel != NULL)
        mcq_steer_bpf__destroy(m->skel); /* and its maps */
    for (uint32_t i = 0; i < MAP_CNT && m->skel == NULL; i++)
        if (m->fd[i] >= 0)
            close(m->fd[i]);
    free(m->per_cpu);
    free(m);
}

enum mcq_error mcq_steer_maps_pin(struct mcq_steer_maps *m, const char *name,
                                  struct mcq_detail *detail)
{
    char file[MCQ_STEER_PATH_LEN + 32];
    enum mcq_error err = mcq_steer_pins_make(name, m->path, &m->owner_fd, detail);
    for (uint32_t i = 0; i < MAP_CNT && err == MCQ_OK; i++) {
        snprintf(file, sizeof(file), "%s/%s", m->path, shapes[i].name);
        if (bpf_obj_pin(m->fd[i], file) != 0)
            err = explain(detail, errno, m->path);
    }
    m->pinned = err == MCQ_OK;
    if (err != MCQ_OK && m->path[0] != '\0')
        mcq_steer_pins_remove(m->path, m->owner_fd);
    if (err != MCQ_OK)
        m->path[0] = '\0';
    return err;
}

const char *mcq_steer_maps_path(const struct mcq_steer_maps *m)
{
    return m->path;
}

int mcq_steer_maps_fd(const struct mcq_steer_maps *m, const char *name)
{
    for (uint32_t i = 0; i < MAP_CNT; i++)
        if (strcmp(shapes[i].name, name) == 0)
            return m->fd[i];
    return -1;
}

/* --- listeners ------------------------------------------------------------------------------- */

enum mcq_error mcq_steer_maps_attach(struct mcq_steer_maps *m, int fd, struct mcq_detail *detail)
{
    int prog = bpf_program__fd(m->skel->progs.mcq_steer);
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &prog, sizeof(prog)) != 0)
        return explain(detail, errno, "attaching the steering program");
    return MCQ_OK;
}

enum mcq_error mcq_steer_maps_enter(struct mcq_steer_maps *m, uint32_t shard, int fd,
                                    struct mcq_detail *detail)
{
    const uint64_t value = (uint64_t)fd;
    if (bpf_map_update_elem(bpf_map__fd(m->skel->maps.listeners), &shard, &value, BPF_ANY) != 0)
        return explain(detail, errno, "entering a listener");
    return MCQ_OK;
}

/* --- tables ---------------------------------------------------------------------------------- */

void mcq_steer_maps_lock(struct mcq_steer_maps *m)
{
    if (m->path[0] != '\0')
        m->lock_fd = mcq_steer_pins_lock(m->path);
}

void mcq_steer_maps_unlock(struct mcq_steer_maps *m)
{
    mcq_steer_pins_unlock(m->lock_fd);
    m->lock_fd = -1;
}

static bool is_exact(const struct mcq_steer_rule *r)
{
    return r->bits == (r->family == 4 ? 32 : 128);
}

/* Where a rule is, under which key. */
struct place {
    uint32_t map;
    union {
        struct mcq_steer_exact exact;
        struct mcq_steer_front4 front4;
        struct mcq_steer_front6 front6;
    } key;
};

static struct place place_of(const struct mcq_steer_rule *r)
{
    struct place p;
    size_t len = r->family == 4 ? 4 : 16;
    mcq_bytes_zero(&p, sizeof(p));
    if (is_exact(r)) {
        p.map = EXACT;
        p.key.exact.family = r->family;
        mcq_bytes_copy(p.key.exact.addr, r->addr, len);
    } else if (r->family == 4) {
        p.map = FRONTS4;
        p.key.front4.len = r->bits;
        mcq_bytes_copy(p.key.front4.addr, r->addr, len);
    } else {
        p.map = FRONTS6;
        p.key.front6.len = r->bits;
        mcq_bytes_copy(p.key.front6.addr, r->addr, len);
    }
    return p;
}

static struct mcq_steer_rule rule_at(const struct place *p, const struct mcq_steer_target *target)
{
    struct mcq_steer_rule r = {.family = 4, .shard = target->shard};
    if (p->map == FRONTS6 || (p->map == EXACT && p->key.exact.family != 4))
        r.family = 6;
    size_t len = r.family == 4 ? 4 : 16;
    const void *addr = p->map == EXACT     ? p->key.exact.addr
                       : p->map == FRONTS4 ? p->key.front4.addr
                                           : p->key.front6.addr;
    uint32_t bits = p->map == FRONTS4 ? p->key.front4.len : p->key.front6.len;
    r.bits = (uint8_t)(p->map == EXACT ? 8 * len : mcq_min(bits, 8 * len - 1));
    mcq_bytes_copy(r.addr, addr, len);
    return r;
}

static void read_rules(struct mcq_steer_maps *m, uint32_t map, struct mcq_steer_tables *t)
{
    struct place at = {.map = map}, next = {.map = map};
    const void *key = NULL;
    while (bpf_map_get_next_key(m->fd[map], key, &next.key) == 0) {
        struct mcq_steer_target target;
        at = next;
        key = &at.key;
        if (bpf_map_lookup_elem(m->fd[map], key, &target) != 0)
            continue;
        const struct mcq_steer_rule r = rule_at(&at, &target);
        if (target.shard >= MCQ_STEER_SHARD_CNT || !mcq_steer_tables_place(t, &r, target.id))
            return;
    }
}

static int read_array(int fd, void *values, uint32_t cnt)
{
    uint32_t keys[MCQ_STEER_CPU_CNT], got = cnt, next = 0;
    LIBBPF_OPTS(bpf_map_batch_opts, opts);
    return bpf_map_lookup_batch(fd, NULL, &next, keys, values, &got, &opts);
}

static int write_array(int fd, const void *values, uint32_t cnt)
{
    uint32_t keys[MCQ_STEER_CPU_CNT], put = cnt;
    LIBBPF_OPTS(bpf_map_batch_opts, opts);
    for (uint32_t i = 0; i < cnt; i++)
        keys[i] = i;
    return bpf_map_update_batch(fd, keys, values, &put, &opts);
}

enum mcq_error mcq_steer_maps_read(struct mcq_steer_maps *m, struct mcq_steer_tables *t,
                                   struct mcq_steer_about *about, struct mcq_detail *detail)
{
    struct mcq_steer_about own;
    const uint32_t zero = 0;
    about = about == NULL ? &own : about;
    t->rules_cnt = 0;
    if (bpf_map_lookup_elem(m->fd[CONF], &zero, &t->conf) != 0 ||
        bpf_map_lookup_elem(m->fd[ABOUT], &zero, about) != 0 ||
        read_array(m->fd[SLOTS], t->slots, MCQ_STEER_SLOT_CNT) != 0 ||
        read_array(m->fd[CPUS], t->cpus, MCQ_STEER_CPU_CNT) != 0)
        return explain(detail, errno, "reading the steering tables");
    mcq_bytes_copy(t->weights, about->weights, sizeof(t->weights));
    mcq_bytes_copy(t->member, about->member, sizeof(t->member));
    mcq_bytes_copy(t->drained, about->drained, sizeof(t->drained));
    t->conf.shard_cnt = (uint32_t)mcq_min(t->conf.shard_cnt, MCQ_STEER_SHARD_CNT);
    t->conf.live_cnt = (uint32_t)mcq_min(t->conf.live_cnt, MCQ_STEER_SHARD_CNT);
    about->name[MCQ_STEER_PINS_NAME - 1] = '\0';
    about->endpoint[MCQ_STEER_PINS_TEXT - 1] = '\0';
    read_rules(m, EXACT, t);
    read_rules(m, FRONTS4, t);
    read_rules(m, FRONTS6, t);
    return MCQ_OK;
}

static int put_rule(struct mcq_steer_maps *m, const struct mcq_steer_entry *e, bool is_new)
{
    const struct place p = place_of(&e->rule);
    if (is_new) {
        mcq_bytes_zero(m->per_cpu, m->cpu_cnt * sizeof(*m->per_cpu));
        if (bpf_map_update_elem(m->fd[RULE_HITS], &e->target.id, m->per_cpu, BPF_ANY) != 0)
            return -1;
    }
    return bpf_map_update_elem(m->fd[p.map], &p.key, &e->target, BPF_ANY);
}

static int write_rules(struct mcq_steer_maps *m, const struct mcq_steer_tables *was,
                       const struct mcq_steer_tables *now)
{
    int err = 0;
    for (uint32_t i = 0; i < now->rules_cnt && err == 0; i++) {
        const struct mcq_steer_entry *old = mcq_steer_tables_find(was, &now->rules[i].rule);
        if (old == NULL || old->target.shard != now->rules[i].target.shard)
            err = put_rule(m, &now->rules[i], old == NULL);
    }
    for (uint32_t i = 0; i < was->rules_cnt && err == 0; i++) {
        const struct place p = place_of(&was->rules[i].rule);
        if (mcq_steer_tables_find(now, &was->rules[i].rule) == NULL)
            err = bpf_map_delete_elem(m->fd[p.map], &p.key);
    }
    return err;
}

static bool differ(const void *a, const void *b, size_t len)
{
    return !mcq_slice_equal(mcq_slice_of(a, len), mcq_slice_of(b, len));
}

static int write_about(struct mcq_steer_maps *m, const struct mcq_steer_tables *now)
{
    struct mcq_steer_about about;
    const uint32_t zero = 0;
    if (bpf_map_lookup_elem(m->fd[ABOUT], &zero, &about) != 0)
        return -1;
    mcq_bytes_copy(about.weights, now->weights, sizeof(about.weights));
    mcq_bytes_copy(about.member, now->member, sizeof(about.member));
    mcq_bytes_copy(about.drained, now->drained, sizeof(about.drained));
    return bpf_map_update_elem(m->fd[ABOUT], &zero, &about, BPF_ANY);
}

enum mcq_error mcq_steer_maps_write(struct mcq_steer_maps *m, const struct mcq_steer_tables *was,
                                    const struct mcq_steer_tables *now, struct mcq_detail *detail)
{
    const uint32_t zero = 0;
    int err = write_rules(m, was, now);
    if (err == 0 && differ(was->slots, now->slots, sizeof(now->slots)))
        err = write_array(m->fd[SLOTS], now->slots, MCQ_STEER_SLOT_CNT);
    if (err == 0 && differ(was->cpus, now->cpus, sizeof(now->cpus)))
        err = write_array(m->fd[CPUS], now->cpus, MCQ_STEER_CPU_CNT);
    if (err == 0 && differ(&was->conf, &now->conf, sizeof(now->conf)))
        err = bpf_map_update_elem(m->fd[CONF], &zero, &now->conf, BPF_ANY);
    if (err == 0)
        err = write_about(m, now);
    return err == 0 ? MCQ_OK : explain(detail, errno, "writing the steering tables");
}

enum mcq_error mcq_steer_maps_tell(struct mcq_steer_maps *m, const struct mcq_steer_about *about,
                                   struct mcq_detail *detail)
{
    const uint32_t zero = 0;
    if (bpf_map_update_elem(m->fd[ABOUT], &zero, about, BPF_ANY) != 0)
        return explain(detail, errno, "writing the steering tables");
    return MCQ_OK;
}

/* --- counters -------------------------------------------------------------------------------- */

static uint64_t sum_of(struct mcq_steer_maps *m, uint32_t map, uint32_t idx)
{
    uint64_t sum = 0;
    if (bpf_map_lookup_elem(m->fd[map], &idx, m->per_cpu) != 0)
        return 0;
    for (uint32_t i = 0; i < m->cpu_cnt; i++)
        sum += m->per_cpu[i];
    return sum;
}

void mcq_steer_maps_shard_hits(struct mcq_steer_maps *m, uint32_t shard,
                               uint64_t hits[MCQ_STEER_WHY_CNT])
{
    for (uint32_t i = 0; i < MCQ_STEER_WHY_CNT; i++)
        hits[i] = sum_of(m, SHARD_HITS, shard * MCQ_STEER_WHY_CNT + i);
}

uint64_t mcq_steer_maps_rule_hits(struct mcq_steer_maps *m, uint32_t id)
{
    return sum_of(m, RULE_HITS, id);
}

uint32_t mcq_steer_maps_conns(struct mcq_steer_maps *m, uint32_t shard)
{
    struct mcq_steer_load load;
    return bpf_map_lookup_elem(m->fd[LOAD], &shard, &load) == 0 ? load.conns : 0;
}
