/* Posts: what the shards of a team post to one another, and what arrives: numbered per ordered pair
 * of shards and way (bulk, urgent, mailbox), every one once and in order, every byte right; a post
 * that was refused is followed by `room`.
 */
#ifndef MCQ_TESTS_SIM_POSTS_H
#define MCQ_TESTS_SIM_POSTS_H

#include "tests/sim/team.h"

enum mcq_posts_way { MCQ_POSTS_BULK = 0, MCQ_POSTS_URGENT, MCQ_POSTS_MAILBOX, MCQ_POSTS_WAYS };

struct mcq_posts_pair {
    uint64_t sent[MCQ_POSTS_WAYS], taken[MCQ_POSTS_WAYS];
    bool refused[MCQ_LANE_CNT]; /* `room` is due */
};

struct mcq_posts {
    struct mcq_posts_pair pairs[MCQ_TEAM_SHARDS_MAX][MCQ_TEAM_SHARDS_MAX]; /* [from][to] */
    uint64_t room_cnt, refused_cnt;
};

void mcq_posts_init(struct mcq_posts *p);
/* From the selected shard, up to cnt of them, to anybody. */
void mcq_posts_send(struct mcq_posts *p, struct mcq_team *t, uint32_t from, uint32_t cnt);
/* As struct mcq_app's on_post and on_post_room. */
void mcq_posts_take(struct mcq_posts *p, struct mcq_team *t, uint32_t from, uint32_t to,
                    uint32_t kind, const void *data, size_t len);
void mcq_posts_room(struct mcq_posts *p, struct mcq_team *t, uint32_t from, uint32_t to);
/* NULL: all that was posted has arrived, all that was refused was told of room. */
const char *mcq_posts_unrest(const struct mcq_posts *p, const struct mcq_team *t);

#endif
