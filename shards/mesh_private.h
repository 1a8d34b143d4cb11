/* The mesh's inside, shared by mesh.c and mesh_create.c. */
#ifndef MCQ_SHARDS_MESH_PRIVATE_H
#define MCQ_SHARDS_MESH_PRIVATE_H

#include "shards/mesh.h"

/* What other ends read and write of one. */
struct mcq_mesh_shared {
    _Alignas(MCQ_SPSC_APART) uint64_t word;
    _Alignas(MCQ_SPSC_APART) int wake_fd;
    int ring_fd;
};

/* One mapping: the shared part, the inbound rings. */
struct mcq_mesh_place {
    struct mcq_arena arena;
    struct mcq_mesh_shared *shared;
    struct mcq_mesh_end *end;
};

struct mcq_mesh {
    uint32_t cnt;
    struct mcq_mesh_place places[];
};

#endif
