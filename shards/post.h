/* Post: the user's typed posts between shards (<monocoque/shard.h>), as records of the mesh whose
 * tag is the user's kind and whose body is his bytes. */
#ifndef MCQ_SHARDS_POST_H
#define MCQ_SHARDS_POST_H

#include "shards/mesh.h"

void mcq_post_arrived(struct mcq_shard *sh, uint32_t from, uint32_t tag, const void *body,
                      size_t len);
/* Tells the user, if it was he who was refused. */
void mcq_post_room(struct mcq_shard *sh, uint32_t to, enum mcq_lane lane);

#endif
