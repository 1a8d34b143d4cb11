/* Steer maps: a group's steering program and its tables in the kernel. The only place of libbpf.
 *
 * Made here, by whoever binds, or opened by the path where another process has pinned them; either
 * may read and change them, under the lock (mcq_steer_maps_lock), which holds between processes for
 * what is pinned. A process's own pins end with it; those of one that was killed are removed by the
 * next that looks.
 *
 * Built without clang or bpftool, every call says MCQ_ENOTSUP (steer_without.c).
 * Thread: any, one at a time per object. Cost: system calls; malloc. For setup alone.
 */
#ifndef MCQ_SHARDS_STEER_H
#define MCQ_SHARDS_STEER_H

#include "shards/steer_rules.h"

struct mcq_steer_maps;

/* Makes the load array, one for all groups of an app, take the place of the memory at `load`, which
 * is mapped at a page's start and MCQ_STEER_LOAD_BYTES long; what it held is kept, but for what is
 * written meanwhile. Gives the map's descriptor, -1: there is no eBPF to be had. */
#define MCQ_STEER_LOAD_BYTES (MCQ_STEER_SHARD_CNT * sizeof(struct mcq_steer_load))
MCQ_MUST_USE int mcq_steer_load_create(struct mcq_steer_load *load);
void mcq_steer_load_destroy(int fd);

/* Gives a program, loaded but not attached, with empty tables. Errors: MCQ_EACCESS, MCQ_ENOTSUP,
 * MCQ_ENOMEM, MCQ_EOS; detail says which privilege is missing. */
MCQ_MUST_USE enum mcq_error mcq_steer_maps_create(struct mcq_steer_maps **maps, int load_fd,
                                                  struct mcq_detail *detail);
/* Gives what is pinned at path. Errors: MCQ_ENOENT, MCQ_EACCESS, MCQ_ENOTSUP, MCQ_ENOMEM. */
MCQ_MUST_USE enum mcq_error mcq_steer_maps_open(struct mcq_steer_maps **maps, const char *path,
                                                struct mcq_detail *detail);
/* Takes maps; unpins what this process pinned. */
void mcq_steer_maps_destroy(struct mcq_steer_maps *maps);

/* Pins all maps as PID-NAME. Errors: as of mcq_steer_pins_make; then they work unpinned. */
MCQ_MUST_USE enum mcq_error mcq_steer_maps_pin(struct mcq_steer_maps *maps, const char *name,
                                               struct mcq_detail *detail);
/* "": not pinned. */
const char *mcq_steer_maps_path(const struct mcq_steer_maps *maps);

/* The group that the socket belongs, or will belong, to is steered by this program. */
MCQ_MUST_USE enum mcq_error mcq_steer_maps_attach(struct mcq_steer_maps *maps, int fd,
                                                  struct mcq_detail *detail);
/* The listening socket is the shard's. Its slot empties by itself when it closes. */
MCQ_MUST_USE enum mcq_error mcq_steer_maps_enter(struct mcq_steer_maps *maps, uint32_t shard,
                                                 int fd, struct mcq_detail *detail);

void mcq_steer_maps_lock(struct mcq_steer_maps *maps);
void mcq_steer_maps_unlock(struct mcq_steer_maps *maps);
/* The tables as they are now; t->load is left alone. about may be NULL. */
MCQ_MUST_USE enum mcq_error mcq_steer_maps_read(struct mcq_steer_maps *maps,
                                                struct mcq_steer_tables *t,
                                                struct mcq_steer_about *about,
                                                struct mcq_detail *detail);
/* Writes what differs between two states of them, `was` being the one that is there. */
MCQ_MUST_USE enum mcq_error mcq_steer_maps_write(struct mcq_steer_maps *maps,
                                                 const struct mcq_steer_tables *was,
                                                 const struct mcq_steer_tables *now,
                                                 struct mcq_detail *detail);
/* Names its process and bind; the rest of it is written with the tables. */
MCQ_MUST_USE enum mcq_error mcq_steer_maps_tell(struct mcq_steer_maps *maps,
                                                const struct mcq_steer_about *about,
                                                struct mcq_detail *detail);

/* Connections of the shard by MCQ_STEER_WHY_*; by a rule's id; those it has now. */
void mcq_steer_maps_shard_hits(struct mcq_steer_maps *maps, uint32_t shard,
                               uint64_t hits[MCQ_STEER_WHY_CNT]);
uint64_t mcq_steer_maps_rule_hits(struct mcq_steer_maps *maps, uint32_t id);
uint32_t mcq_steer_maps_conns(struct mcq_steer_maps *maps, uint32_t shard);
/* A map's descriptor by its name, borrowed; -1: none of it. For the twin of the program. */
int mcq_steer_maps_fd(const struct mcq_steer_maps *maps, const char *name);

#endif
