#include "shards/group.h"
#include "shards/mesh.h"
#include "shards/post.h"
#include "shards/remote_ref.h"

const struct mcq_mesh_handlers mcq_mesh_handlers = {
    .post = mcq_post_arrived,
    .of =
        {
            [MCQ_MESH_RELEASE] = mcq_remote_arrived,
            [MCQ_MESH_ACCEPT] = mcq_group_arrived,
        },
    .room = mcq_post_room,
};
