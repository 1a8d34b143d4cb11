#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream.h"

#define EMPTY_PERIOD 16u
#define EMPTY_PLACE  7u
#define FILLER_SHIFT 251u /* where a body starts in the filler differs from message to message */
#define FILLER_LEN   (64u * 1024u * 1024u)

static uint32_t crc_table[256];
static uint8_t *filler;

void stream_init(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
        crc_table[i] = crc;
    }
    filler = malloc(FILLER_LEN + FILLER_SHIFT);
    if (filler == NULL)
        abort();
}

/* Filled as far as it is used: most streams are small. */
static const uint8_t *filler_of(uint32_t seq, size_t len)
{
    static size_t filled;
    size_t start = seq % FILLER_SHIFT;
    if (start + len > FILLER_LEN)
        abort();
    for (; filled < start + len; filled++)
        filler[filled] = (uint8_t)(filled * 31 + (filled >> 8) * 7);
    return filler + start;
}

static uint32_t crc_add(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    crc = ~crc;
    for (size_t i = 0; i < len; i++)
        crc = (crc >> 8) ^ crc_table[(crc ^ bytes[i]) & 0xff];
    return ~crc;
}

static void put_le32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_le32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The lengths count as they are on the wire: a single message is one frame. */
static uint32_t hash(const struct mcq_frame *frames, uint32_t cnt, bool joined)
{
    uint8_t len_bytes[4];
    uint32_t crc = 0;
    size_t sum = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        sum += frames[i].len;
        put_le32(len_bytes, (uint32_t)(joined ? sum : frames[i].len));
        if (!joined || i + 1 == cnt)
            crc = crc_add(crc, len_bytes, sizeof len_bytes);
    }
    crc = crc_add(crc, frames[0].data, 8);
    const uint8_t *first = frames[0].data;
    crc = crc_add(crc, first + STREAM_HEAD_LEN, frames[0].len - STREAM_HEAD_LEN);
    for (uint32_t i = 1; i < cnt; i++)
        crc = crc_add(crc, frames[i].data, frames[i].len);
    return crc;
}

static bool is_empty_place(const struct stream_shape *shape, uint32_t seq)
{
    return !shape->no_empty && seq % EMPTY_PERIOD == EMPTY_PLACE;
}

static size_t body_len(const struct stream_shape *shape, uint32_t seq)
{
    uint32_t mix = (seq * 2654435761u) >> 8;
    if (!shape->mixed)
        return shape->body_len;
    if (seq % 1999 == 11)
        return 300000 + mix % 100000; /* beyond 256 KiB: received into a block of its own */
    if (seq % 97 == 5)
        return 12000 + mix % 60000; /* around the sizes of blocks */
    if (seq % 7 == 3)
        return 180 + mix % 120; /* around 255, where frame heads grow */
    return mix % 64;
}

/* Cuts body[0, len) into cnt frames, the second of them empty for every third message. */
static void cut(struct stream_msg *msg, const uint8_t *body, size_t len, uint32_t cnt, uint32_t seq)
{
    for (uint32_t i = 0; i < cnt; i++) {
        size_t part = i + 1 == cnt ? len : len / (cnt - i);
        if (i == 1 && cnt > 2 && seq % 3 == 0)
            part = 0;
        msg->frames[msg->frame_cnt++] = (struct mcq_frame){body, part};
        body += part;
        len -= part;
    }
}

static void make_empty(struct stream_msg *msg, bool multipart)
{
    msg->frame_cnt = multipart ? 3 : 1;
    for (uint32_t i = 0; i < msg->frame_cnt; i++)
        msg->frames[i] = (struct mcq_frame){"", 0};
}

static uint32_t planted_seq(uint32_t seq, enum stream_plant plant)
{
    if (plant == PLANT_DROP && seq >= STREAM_PLANT_SEQ)
        return seq + 1;
    if (plant == PLANT_SWAP && (seq == STREAM_PLANT_SEQ || seq == STREAM_PLANT_SEQ + 1))
        return 2 * STREAM_PLANT_SEQ + 1 - seq;
    if (plant == PLANT_TWICE && seq == STREAM_PLANT_SEQ + 1)
        return STREAM_PLANT_SEQ;
    return seq;
}

void stream_make(struct stream_msg *msg, const struct stream_shape *shape, uint32_t sender,
                 uint32_t seq, enum stream_plant plant)
{
    seq = planted_seq(seq, plant);
    if (is_empty_place(shape, seq)) {
        make_empty(msg, shape->multipart);
        return;
    }
    size_t len = body_len(shape, seq);
    put_le32(msg->head, sender);
    put_le32(msg->head + 4, seq);
    msg->frames[0] = (struct mcq_frame){msg->head, STREAM_HEAD_LEN};
    msg->frame_cnt = 1;
    cut(msg, filler_of(seq, len), len, shape->multipart ? 1 + seq % 4 : 1, seq);
    put_le32(msg->head + 8, hash(msg->frames, msg->frame_cnt, !shape->multipart));
    if (plant == PLANT_FLIP && seq == STREAM_PLANT_SEQ)
        msg->head[8] ^= 1;
}

size_t stream_len(const struct stream_msg *msg)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < msg->frame_cnt; i++)
        sum += msg->frames[i].len;
    return sum;
}

void stream_join(const struct stream_msg *msg, void *at)
{
    uint8_t *to = at;
    for (uint32_t i = 0; i < msg->frame_cnt; i++) {
        memcpy(to, msg->frames[i].data, msg->frames[i].len);
        to += msg->frames[i].len;
    }
}

/* --- Checking -------------------------------------------------------------------------------- */

static void *allocate(size_t cnt, size_t len)
{
    void *memory = calloc(cnt, len);
    if (memory == NULL)
        abort();
    return memory;
}

void stream_check_init(struct stream_check *check, const struct stream_shape *shape,
                       uint32_t senders, bool unordered, uint64_t count)
{
    *check = (struct stream_check){.shape = *shape, .unordered = unordered, .senders = senders};
    check->count = count;
    check->next_seq = allocate(senders, sizeof *check->next_seq);
    if (unordered)
        check->seen = allocate(count, 1);
}

__attribute__((format(printf, 2, 3))) static bool wrong(struct stream_check *check,
                                                        const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = snprintf(check->why, sizeof check->why, "message %" PRIu64 ": ", check->taken);
    vsnprintf(check->why + len, sizeof check->why - (size_t)len, format, args);
    va_end(args);
    return false;
}

static bool all_empty(const struct mcq_frame *frames, uint32_t cnt)
{
    for (uint32_t i = 0; i < cnt; i++)
        if (frames[i].len != 0)
            return false;
    return true;
}

static bool take_empty(struct stream_check *check, uint32_t cnt)
{
    uint32_t *next = &check->next_seq[0];
    if (check->senders != 1 || check->unordered || !is_empty_place(&check->shape, *next))
        return wrong(check, "empty, where %" PRIu32 " was expected", *next);
    if (cnt != (check->shape.multipart ? 3u : 1u))
        return wrong(check, "%" PRIu32 " empty frames", cnt);
    ++*next;
    return true;
}

static bool in_order(struct stream_check *check, uint32_t sender, uint32_t seq)
{
    if (check->unordered) {
        if (seq >= check->count || check->seen[seq] != 0)
            return wrong(check, "number %" PRIu32 " again, or never sent", seq);
        check->seen[seq] = 1;
        return true;
    }
    if (seq != check->next_seq[sender])
        return wrong(check, "number %" PRIu32 " of sender %" PRIu32 ", expected was %" PRIu32, seq,
                     sender, check->next_seq[sender]);
    if (is_empty_place(&check->shape, seq))
        return wrong(check, "number %" PRIu32 " isn't empty", seq);
    check->next_seq[sender]++;
    return true;
}

bool stream_check_take(struct stream_check *check, const struct mcq_frame *frames, uint32_t cnt)
{
    bool good;
    if (all_empty(frames, cnt)) {
        good = take_empty(check, cnt);
        check->taken += good;
        return good;
    }
    const uint8_t *head = frames[0].data;
    bool split = check->shape.multipart;
    if (frames[0].len < STREAM_HEAD_LEN || (split && frames[0].len > STREAM_HEAD_LEN))
        return wrong(check, "a first frame of %zu bytes", frames[0].len);
    if (split ? cnt < 2 : cnt != 1)
        return wrong(check, "%" PRIu32 " frames", cnt);
    if (hash(frames, cnt, false) != get_le32(head + 8))
        return wrong(check, "the hash differs");
    if (get_le32(head) >= check->senders)
        return wrong(check, "sender %" PRIu32, get_le32(head));
    good = in_order(check, get_le32(head), get_le32(head + 4));
    check->taken += good;
    return good;
}
