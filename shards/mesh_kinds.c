#include "shards/bridge.h"
#include "shards/claim.h"
#include "shards/group.h"
#include "shards/handoff.h"
#include "shards/inproc_far.h"
#include "shards/mesh.h"
#include "shards/placement.h"
#include "shards/post.h"
#include "shards/remote_ref.h"

/* Whoever waits for room sends only where there is some. */
static void room(struct mcq_shard *sh, uint32_t to, enum mcq_lane lane)
{
    mcq_post_room(sh, to, lane);
    if (lane == MCQ_LANE_BULK)
        mcq_bridges_room(sh, to);
}

const struct mcq_mesh_handlers mcq_mesh_handlers = {
    .post = mcq_post_arrived,
    .of =
        {
            [MCQ_MESH_RELEASE] = mcq_remote_arrived,
            [MCQ_MESH_ACCEPT] = mcq_group_arrived,
            [MCQ_MESH_BRIDGE_OPEN] = mcq_bridge_on_open,
            [MCQ_MESH_BRIDGE_OPENED] = mcq_bridge_on_opened,
            [MCQ_MESH_BRIDGE_DATA] = mcq_bridge_on_data,
            [MCQ_MESH_BRIDGE_MARK] = mcq_bridge_on_mark,
            [MCQ_MESH_BRIDGE_MARKED] = mcq_bridge_on_marked,
            [MCQ_MESH_BRIDGE_TAKEN] = mcq_bridge_on_taken,
            [MCQ_MESH_BRIDGE_CONTROL] = mcq_bridge_on_control,
            [MCQ_MESH_BRIDGE_ACK] = mcq_bridge_on_ack,
            [MCQ_MESH_BRIDGE_HOLD] = mcq_bridge_on_hold,
            [MCQ_MESH_BRIDGE_HELD] = mcq_bridge_on_held,
            [MCQ_MESH_BRIDGE_END] = mcq_bridge_on_end,
            [MCQ_MESH_INPROC_BOUND] = mcq_inproc_far_bound,
            [MCQ_MESH_MOVE] = mcq_handoff_arrived,
            [MCQ_MESH_LOAD] = mcq_placement_arrived,
            [MCQ_MESH_DIRECTORY] = mcq_claim_arrived,
        },
    .room = room,
};
