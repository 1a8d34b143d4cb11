/* What the twin of the steering program is asked, and answers. */
#ifndef MCQ_TESTS_BPF_STEER_TWIN_H
#define MCQ_TESTS_BPF_STEER_TWIN_H

#include "shards/steer_layout.h"

#define MCQ_TWIN_BATCH 8192u

struct mcq_twin_question {
    struct mcq_steer_input in;
    struct mcq_steer_choice choice;
    uint32_t answered; /* 1: choice is set; 2: no shard is live */
};

#endif
