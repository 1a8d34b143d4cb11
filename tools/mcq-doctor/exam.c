#include "exam.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "words.h"

#define MEMORY_DEFAULT (128ull << 20) /* of arena_bytes and of large_bytes */

/* --- CPUs ----------------------------------------------------------------------------------- */

static void note(struct exam *e, const char *text)
{
    doctor_words_show(text, e->note, sizeof e->note);
}

static void cpus_of_process(struct exam *e)
{
    struct text t;
    char list[MCQ_DOCTOR_CPUS_LEN];
    e->shards_on = e->online;
    if (doctor_source_read(&e->source, &t, "/proc/self/status") &&
        doctor_words_line(t.at, "Cpus_allowed_list", list, sizeof list)) {
        struct set allowed;
        if (doctor_set_from_list(&allowed, list) && doctor_set_meets(&allowed, &e->online))
            e->shards_on = doctor_set_and(&allowed, &e->online);
    }
    doctor_text_drop(&t);
}

static void cpus_of_plan(struct exam *e, const struct mcq_topo_plan *plan)
{
    for (uint32_t i = 0; i < plan->shard_cnt; i++)
        if (plan->shards[i].cpu != MCQ_TOPO_NONE)
            doctor_set_add(&e->shards_on, plan->shards[i].cpu);
    if (doctor_set_cnt(&e->shards_on) != 0) {
        note(e, "CPUs of the library's own plan");
        return;
    }
    cpus_of_process(e);
    note(e, "the plan pins no shard, so all CPUs of the process are looked at");
}

static void cpus_planned(struct exam *e, const struct mcq_opts *app)
{
    struct mcq_topo_plan plan = MCQ_TOPO_PLAN_INIT;
    struct mcq_detail detail = {.text = ""};
    if (mcq_topo_plan_make(app, MCQ_TOPO_HOST, NULL, &plan, &detail) == MCQ_OK) {
        cpus_of_plan(e, &plan);
    } else {
        cpus_of_process(e);
        note(e, detail.text);
    }
    mcq_topo_plan_drop(&plan);
}

/* Of another machine the library has no plan: all but the first CPU. */
static void cpus_of_root(struct exam *e)
{
    struct set first = {0};
    doctor_set_add(&first, doctor_set_next(&e->online, 0));
    e->shards_on =
        doctor_set_cnt(&e->online) > 1 ? doctor_set_without(&e->online, &first) : e->online;
    note(e, "no --cpus given: all CPUs but the first");
}

static void find_cpus(struct exam *e, const struct mcq_opts *app)
{
    struct text t;
    if (doctor_source_read(&e->source, &t, "/sys/devices/system/cpu/online"))
        e->online_known = doctor_set_from_list(&e->online, t.at) && doctor_set_cnt(&e->online) != 0;
    doctor_text_drop(&t);
    struct set asked = {0};
    bool listed =
        app->cpus != NULL && doctor_set_from_list(&asked, app->cpus) && doctor_set_cnt(&asked) != 0;
    e->shards = app->shards;
    if (listed) {
        e->shards_on = asked;
        note(e, "CPUs as given");
    } else if (doctor_source_is_host(&e->source)) {
        cpus_planned(e, app);
    } else if (e->online_known) {
        cpus_of_root(e);
    } else {
        note(e, "no --cpus given, and which CPUs are online can't be read");
    }
    if (e->shards == 0)
        e->shards =
            listed || !doctor_source_is_host(&e->source) ? doctor_set_cnt(&e->shards_on) : 1;
    e->house = doctor_set_without(&e->online, &e->shards_on);
}

/* --- the interface -------------------------------------------------------------------------- */

static bool usable_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len < MCQ_DOCTOR_NIC_LEN && strchr(name, '/') == NULL && name[0] != '.' &&
           strpbrk(name, " \t\n") == NULL;
}

/* The interface of the default route: the first whose destination is 0. */
static bool default_route(const struct exam *e, char nic[MCQ_DOCTOR_NIC_LEN])
{
    struct text t;
    bool found = false;
    doctor_source_read(&e->source, &t, "/proc/net/route");
    for (const char *line = t.at; line != NULL && !found; line = doctor_words_next_line(line)) {
        char name[MCQ_DOCTOR_NIC_LEN], to[16];
        if (sscanf(line, "%31s %15s", name, to) == 2 && strcmp(to, "00000000") == 0 &&
            usable_name(name)) {
            memcpy(nic, name, sizeof name);
            found = true;
        }
    }
    doctor_text_drop(&t);
    return found;
}

struct search {
    const struct exam *e;
    char *nic;
};

/* The first by name among those with a device behind them: not lo, no bridge, no tunnel. */
static bool with_device(void *ctx, const char *name)
{
    struct search *s = ctx;
    char path[SOURCE_PATH_LEN];
    snprintf(path, sizeof path, "/sys/class/net/%s/device", name);
    if (usable_name(name) && doctor_source_is_there(&s->e->source, path) &&
        (s->nic[0] == '\0' || strcmp(name, s->nic) < 0))
        snprintf(s->nic, MCQ_DOCTOR_NIC_LEN, "%s", name);
    return true;
}

static void find_nic(struct exam *e, const char *asked)
{
    char path[SOURCE_PATH_LEN];
    /* "node:1" is a place, not an interface */
    if (asked != NULL && usable_name(asked) && strchr(asked, ':') == NULL)
        snprintf(e->nic, sizeof e->nic, "%s", asked);
    else if (!default_route(e, e->nic))
        doctor_source_names(&e->source, "/sys/class/net", with_device, &(struct search){e, e->nic});
    if (e->nic[0] == '\0') {
        snprintf(e->nic_why, sizeof e->nic_why,
                 "no default route and no network device: name an interface with --nic");
        return;
    }
    snprintf(path, sizeof path, "/sys/class/net/%s/device", e->nic);
    e->nic_physical = doctor_source_is_there(&e->source, path);
}

/* --- the window ----------------------------------------------------------------------------- */

static void sample_path(const struct exam *e, enum sample_kind kind, char path[SOURCE_PATH_LEN])
{
    switch (kind) {
    case SAMPLE_INTERRUPTS:
        snprintf(path, SOURCE_PATH_LEN, "/proc/interrupts");
        break;
    case SAMPLE_STAT:
        snprintf(path, SOURCE_PATH_LEN, "/proc/stat");
        break;
    case SAMPLE_SOFTNET:
        snprintf(path, SOURCE_PATH_LEN, "/proc/net/softnet_stat");
        break;
    case SAMPLE_CPU_STAT:
        snprintf(path, SOURCE_PATH_LEN, "%.480s/cpu.stat", e->cgroup);
        break;
    case SAMPLE_NUMASTAT:
        snprintf(path, SOURCE_PATH_LEN, "/sys/devices/system/node/node%u/numastat", e->node);
        break;
    case SAMPLE_CNT:
        break;
    }
}

static void look(struct exam *e, bool later)
{
    for (unsigned i = 0; i < SAMPLE_CNT; i++) {
        char path[SOURCE_PATH_LEN] = "";
        struct text *t = later ? &e->samples[i].after : &e->samples[i].before;
        sample_path(e, (enum sample_kind)i, path);
        bool moved = later && !doctor_source_is_host(&e->source) &&
                     doctor_source_read(&e->source, t, "/later%s", path);
        if (!moved) {
            doctor_text_drop(t);
            doctor_source_read(&e->source, t, "%s", path);
        }
    }
    for (unsigned i = 0; i < COUNTER_CNT; i++) {
        struct counter *c = &e->counters[i];
        int64_t value = 0;
        bool known = doctor_exam_count(e, (enum counter_kind)i, later, &value, c->path, c->why);
        c->known = known && (!later || c->known);
        *(later ? &c->after : &c->before) = value;
    }
}

static void wait_ms(uint32_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0)
        ;
}

/* --- all of it ------------------------------------------------------------------------------ */

static void find_memory(struct exam *e, const struct mcq_opts *app)
{
    uint64_t arena = app->arena_bytes != 0 ? app->arena_bytes : MEMORY_DEFAULT;
    uint64_t large = app->large_bytes != 0 ? app->large_bytes : MEMORY_DEFAULT;
    e->memory_bytes = (arena + large) * e->shards;
    e->napi_busy_us = app->napi_busy_us;
    e->wants_lock = !app->no_mlock;
}

static bool node_has(void *ctx, const char *name)
{
    struct exam *e = ctx;
    struct text t;
    struct set cpus;
    unsigned node = 0;
    char rest = '\0';
    if (sscanf(name, "node%5u%c", &node, &rest) != 1)
        return true;
    bool here =
        doctor_source_read(&e->source, &t, "/sys/devices/system/node/node%u/cpulist", node) &&
        doctor_set_from_list(&cpus, t.at) &&
        doctor_set_has(&cpus, doctor_set_next(&e->shards_on, 0));
    doctor_text_drop(&t);
    if (here)
        e->node = node;
    e->node_known |= here;
    return !here;
}

void doctor_exam_init(struct exam *e, const struct mcq_doctor_opts *opts)
{
    struct mcq_opts defaults = MCQ_OPTS_INIT;
    const struct mcq_opts *app = opts->app != NULL ? opts->app : &defaults;
    *e = (struct exam){.window_ms = opts->window_ms};
    if (!doctor_source_init(&e->source, opts->root))
        snprintf(e->source.root, sizeof e->source.root, "/nonexistent");
    find_cpus(e, app);
    find_memory(e, app);
    find_nic(e, app->nic);
    doctor_source_names(&e->source, "/sys/devices/system/node", node_has, e);
    doctor_exam_find_cgroup(e);
    bool runs = doctor_source_is_running(&e->source);
    e->twice = runs ? e->window_ms > 0 : doctor_source_is_there(&e->source, "/later");
    look(e, false);
    if (runs)
        wait_ms(e->window_ms);
    look(e, true);
}

void doctor_exam_fini(struct exam *e)
{
    for (unsigned i = 0; i < SAMPLE_CNT; i++) {
        doctor_text_drop(&e->samples[i].before);
        doctor_text_drop(&e->samples[i].after);
    }
}
