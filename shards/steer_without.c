/* Steer maps of a library that was built without clang or bpftool: there are none. */
#include "mem/detail.h"
#include "shards/steer.h"

static enum mcq_error none(struct mcq_detail *detail)
{
    return mcq_detail_set(detail, MCQ_ENOTSUP, 0,
                          "this library was built without eBPF: install clang-14 and bpftool, and "
                          "build it again");
}

int mcq_steer_load_create(struct mcq_steer_load *load)
{
    (void)load;
    return -1;
}

void mcq_steer_load_destroy(int fd)
{
    (void)fd;
}

enum mcq_error mcq_steer_maps_create(struct mcq_steer_maps **maps, int load_fd,
                                     struct mcq_detail *detail)
{
    (void)load_fd;
    *maps = NULL;
    return none(detail);
}

enum mcq_error mcq_steer_maps_open(struct mcq_steer_maps **maps, const char *path,
                                   struct mcq_detail *detail)
{
    (void)path;
    *maps = NULL;
    return none(detail);
}

/* --- of an object that nobody has ------------------------------------------------------------ */

void mcq_steer_maps_destroy(struct mcq_steer_maps *maps)
{
    (void)maps;
}

enum mcq_error mcq_steer_maps_pin(struct mcq_steer_maps *maps, const char *name,
                                  struct mcq_detail *detail)
{
    (void)maps;
    (void)name;
    return none(detail);
}

const char *mcq_steer_maps_path(const struct mcq_steer_maps *maps)
{
    (void)maps;
    return "";
}

enum mcq_error mcq_steer_maps_attach(struct mcq_steer_maps *maps, int fd, struct mcq_detail *detail)
{
    (void)maps;
    (void)fd;
    return none(detail);
}

enum mcq_error mcq_steer_maps_enter(struct mcq_steer_maps *maps, uint32_t shard, int fd,
                                    struct mcq_detail *detail)
{
    (void)maps;
    (void)shard;
    (void)fd;
    return none(detail);
}

void mcq_steer_maps_lock(struct mcq_steer_maps *maps)
{
    (void)maps;
}

void mcq_steer_maps_unlock(struct mcq_steer_maps *maps)
{
    (void)maps;
}

enum mcq_error mcq_steer_maps_read(struct mcq_steer_maps *maps, struct mcq_steer_tables *t,
                                   struct mcq_steer_about *about, struct mcq_detail *detail)
{
    (void)maps;
    (void)t;
    (void)about;
    return none(detail);
}

enum mcq_error mcq_steer_maps_write(struct mcq_steer_maps *maps, const struct mcq_steer_tables *was,
                                    const struct mcq_steer_tables *now, struct mcq_detail *detail)
{
    (void)maps;
    (void)was;
    (void)now;
    return none(detail);
}

enum mcq_error mcq_steer_maps_tell(struct mcq_steer_maps *maps, const struct mcq_steer_about *about,
                                   struct mcq_detail *detail)
{
    (void)maps;
    (void)about;
    return none(detail);
}

void mcq_steer_maps_shard_hits(struct mcq_steer_maps *maps, uint32_t shard,
                               uint64_t hits[MCQ_STEER_WHY_CNT])
{
    (void)maps;
    (void)shard;
    for (uint32_t i = 0; i < MCQ_STEER_WHY_CNT; i++)
        hits[i] = 0;
}

uint64_t mcq_steer_maps_rule_hits(struct mcq_steer_maps *maps, uint32_t id)
{
    (void)maps;
    (void)id;
    return 0;
}

uint32_t mcq_steer_maps_conns(struct mcq_steer_maps *maps, uint32_t shard)
{
    (void)maps;
    (void)shard;
    return 0;
}

int mcq_steer_maps_fd(const struct mcq_steer_maps *maps, const char *name)
{
    (void)maps;
    (void)name;
    return -1;
}
