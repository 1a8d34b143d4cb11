/* Stream: messages that tell who sent them, their place, and whether they arrived as they were
 * sent.
 *
 * A message opens with a head of 12 bytes: sender, sequence number, CRC-32 (all little-endian) of
 * the frame lengths, the first 8 bytes and everything behind the head. Multipart has the head in a
 * frame of its own. Every 16th message of a sender is empty: nothing but frames of 0 bytes, known
 * by its place. stream.py makes and checks the same messages.
 */
#ifndef MCQ_INTEROP_STREAM_H
#define MCQ_INTEROP_STREAM_H

#include <monocoque.h>

#define STREAM_HEAD_LEN  12u
#define STREAM_FRAME_MAX 8u

struct stream_shape {
    bool multipart;
    bool no_empty;
    bool mixed;      /* sizes small, around 255, around 16 KiB and 64 KiB, a few above 256 KiB */
    size_t body_len; /* if not mixed: bytes behind the head */
};

/* What is wrong on purpose, so that tests of the tests can see it found. */
enum stream_plant {
    PLANT_NOTHING = 0,
    PLANT_DROP,  /* message STREAM_PLANT_SEQ is left out */
    PLANT_SWAP,  /* it changes places with the next */
    PLANT_TWICE, /* it comes instead of the next, too */
    PLANT_FLIP   /* a bit of it is wrong */
};
#define STREAM_PLANT_SEQ 1234u

struct stream_msg {
    struct mcq_frame frames[STREAM_FRAME_MAX];
    uint32_t frame_cnt;
    uint8_t head[STREAM_HEAD_LEN];
};

void stream_init(void);

/* Fills msg, whose frames point to its own head and to static bytes; so it must not be moved. A
 * single message has a frame for the head and one for the body that are to be joined. */
void stream_make(struct stream_msg *msg, const struct stream_shape *shape, uint32_t sender,
                 uint32_t seq, enum stream_plant plant);
size_t stream_len(const struct stream_msg *msg);
/* Writes the joined bytes to at[0, stream_len). */
void stream_join(const struct stream_msg *msg, void *at);

/* What has been seen so far. */
struct stream_check {
    struct stream_shape shape;
    bool unordered;     /* each message once, in any order; one sender */
    uint32_t senders;   /* ids [0, senders), each with an order of its own */
    uint32_t *next_seq; /* [senders] */
    uint8_t *seen;      /* unordered: [count] */
    uint64_t count;     /* messages of one sender, for unordered */
    uint64_t taken;
    char why[160];
};

/* Gives memory that lives until the process ends. */
void stream_check_init(struct stream_check *check, const struct stream_shape *shape,
                       uint32_t senders, bool unordered, uint64_t count);
/* Takes note of frames[0, cnt). False: why tells what is wrong with it. */
bool stream_check_take(struct stream_check *check, const struct mcq_frame *frames, uint32_t cnt);

#endif
