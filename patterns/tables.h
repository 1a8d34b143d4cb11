/* The table of each pattern; mcq_pattern_of is the way to them. */
#ifndef MCQ_PATTERNS_TABLES_H
#define MCQ_PATTERNS_TABLES_H

#include "patterns/pattern.h"

#define MCQ_PEER(type) (1u << (type)) /* in mcq_pattern.peer_mask */

extern const struct mcq_pattern mcq_pattern_pair;
extern const struct mcq_pattern mcq_pattern_pub;
extern const struct mcq_pattern mcq_pattern_sub;
extern const struct mcq_pattern mcq_pattern_req;
extern const struct mcq_pattern mcq_pattern_rep;
extern const struct mcq_pattern mcq_pattern_dealer;
extern const struct mcq_pattern mcq_pattern_router;
extern const struct mcq_pattern mcq_pattern_pull;
extern const struct mcq_pattern mcq_pattern_push;
extern const struct mcq_pattern mcq_pattern_xpub;
extern const struct mcq_pattern mcq_pattern_xsub;

#endif
