#include "shards/bridge.h"
#include "shards/inproc_far.h"
#include "shards/member.h"
#include "shards/remote_peer.h"

mcq_bridge_accept_fn *const mcq_bridge_kinds[MCQ_BRIDGE_KIND_CNT] = {
    [MCQ_BRIDGE_INPROC] = mcq_inproc_far_accept,
    [MCQ_BRIDGE_MEMBER] = mcq_member_accept,
    [MCQ_BRIDGE_PEER] = mcq_remote_peer_accept,
};
