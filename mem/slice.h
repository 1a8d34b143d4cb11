/* RAW: the one place where bytes are read and written through pointers; sound because every
 * access is checked against the slice's length first; anybody may call.
 *
 * Slices and cursors: a slice is a view of bytes; a reader takes from its front, a writer fills
 * one up. Each operation returns false and moves nothing if the bytes or the room are not there,
 * so a parser is a list of reads and can't run past its input.
 */
#ifndef MCQ_MEM_SLICE_H
#define MCQ_MEM_SLICE_H

#include "mem/base.h"

struct mcq_slice {
    const uint8_t *ptr; /* borrowed */
    size_t len;         /* bytes */
};

static inline struct mcq_slice mcq_slice_of(const void *ptr, size_t len)
{
    struct mcq_slice s = {(const uint8_t *)ptr, len};
    return s;
}

/* Without the terminating zero. */
static inline struct mcq_slice mcq_slice_of_text(const char *text)
{
    return mcq_slice_of(text, __builtin_strlen(text));
}

static inline bool mcq_slice_equal(struct mcq_slice a, struct mcq_slice b)
{
    return a.len == b.len && (a.len == 0 || __builtin_memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* The 8 bytes from pos on as a number, zeroes past the end: where two of them differ, the numbers
 * compare as the bytes do. */
static inline uint64_t mcq_slice_head(struct mcq_slice s, size_t pos)
{
    uint64_t raw;
    uint32_t half[2];
    if (MCQ_LIKELY(pos + 8 <= s.len)) {
        __builtin_memcpy(&raw, s.ptr + pos, 8);
        return __builtin_bswap64(raw);
    }
    if (pos >= s.len)
        return 0;
    size_t left = s.len - pos;
    unsigned past = 8 * (unsigned)(8 - left); /* bits */
    if (s.len >= 8) {
        __builtin_memcpy(&raw, s.ptr + s.len - 8, 8);
        return __builtin_bswap64(raw) << past;
    }
    if (left >= 4) { /* two loads that may overlap */
        __builtin_memcpy(&half[0], s.ptr + pos, 4);
        __builtin_memcpy(&half[1], s.ptr + s.len - 4, 4);
        raw = (uint64_t)__builtin_bswap32(half[0]) << 32;
        return raw | (uint64_t)__builtin_bswap32(half[1]) << past;
    }
    raw = (uint64_t)s.ptr[pos] << 56 | (uint64_t)s.ptr[pos + left / 2] << (56 - 8 * (left / 2));
    return raw | (uint64_t)s.ptr[s.len - 1] << past;
}

/* The 4 bytes at pos, which are there, as a number. */
static inline uint32_t mcq_slice_be32(struct mcq_slice s, size_t pos)
{
    uint32_t raw;
    MCQ_DASSERT(pos + 4 <= s.len);
    __builtin_memcpy(&raw, s.ptr + pos, 4);
    return __builtin_bswap32(raw);
}

/* How many bytes at their front a and b have in common, of which the first `from` are known to be
 * equal: from <= a.len, b.len. */
static inline size_t mcq_slice_common(struct mcq_slice a, struct mcq_slice b, size_t from)
{
    size_t len = mcq_min(a.len, b.len);
    uint64_t diff = 0;
    while (from < len && (diff = mcq_slice_head(a, from) ^ mcq_slice_head(b, from)) == 0)
        from += 8;
    if (diff != 0)
        from += (size_t)__builtin_clzll(diff) / 8;
    return mcq_min(from, len);
}

static inline bool mcq_slice_starts(struct mcq_slice s, struct mcq_slice front)
{
    return s.len >= front.len &&
           (front.len == 0 || __builtin_memcmp(s.ptr, front.ptr, front.len) == 0);
}

/* Copies len bytes; the ranges don't overlap; dst has room: the caller has checked. */
static inline void mcq_bytes_copy(void *dst, const void *src, size_t len)
{
    if (len != 0)
        __builtin_memcpy(dst, src, len);
}

/* The same, for what is mostly short: up to 64 bytes without a call, as two loads that may overlap
 * cover any length between their own and twice that. */
static inline void mcq_bytes_copy_short(uint8_t *dst, const void *src, size_t len)
{
    struct wide {
        uint64_t w[4];
    } a, b;
    const uint8_t *from = (const uint8_t *)src;
    if (MCQ_LIKELY(len - 8 <= 8)) {
        __builtin_memcpy(&a, from, 8);
        __builtin_memcpy(&b, from + len - 8, 8);
        __builtin_memcpy(dst, &a, 8);
        __builtin_memcpy(dst + len - 8, &b, 8);
    } else if (len - 16 <= 16) {
        __builtin_memcpy(&a, from, 16);
        __builtin_memcpy(&b, from + len - 16, 16);
        __builtin_memcpy(dst, &a, 16);
        __builtin_memcpy(dst + len - 16, &b, 16);
    } else if (len - 32 <= 32) {
        __builtin_memcpy(&a, from, 32);
        __builtin_memcpy(&b, from + len - 32, 32);
        __builtin_memcpy(dst, &a, 32);
        __builtin_memcpy(dst + len - 32, &b, 32);
    } else {
        mcq_bytes_copy(dst, src, len);
    }
}

/* The same for ranges of one block that may overlap. */
static inline void mcq_bytes_move(void *dst, const void *src, size_t len)
{
    if (len != 0)
        __builtin_memmove(dst, src, len);
}

static inline void mcq_bytes_zero(void *dst, size_t len)
{
    __builtin_memset(dst, 0, len);
}

/* --- reader: [pos, len) is left --------------------------------------------------------- */

struct mcq_reader {
    const uint8_t *ptr;
    size_t len;
    size_t pos;
};

static inline struct mcq_reader mcq_reader_of(struct mcq_slice s)
{
    struct mcq_reader r = {s.ptr, s.len, 0};
    return r;
}

static inline size_t mcq_reader_left(const struct mcq_reader *r)
{
    return r->len - r->pos;
}

static inline struct mcq_slice mcq_reader_rest(const struct mcq_reader *r)
{
    return mcq_slice_of(r->ptr + r->pos, r->len - r->pos);
}

static inline bool mcq_reader_u8(struct mcq_reader *r, uint8_t *v)
{
    if (r->pos == r->len)
        return false;
    *v = r->ptr[r->pos++];
    return true;
}

static inline bool mcq_reader_be16(struct mcq_reader *r, uint16_t *v)
{
    uint16_t raw;
    if (r->len - r->pos < sizeof(raw))
        return false;
    __builtin_memcpy(&raw, r->ptr + r->pos, sizeof(raw));
    r->pos += sizeof(raw);
    *v = __builtin_bswap16(raw);
    return true;
}

static inline bool mcq_reader_be32(struct mcq_reader *r, uint32_t *v)
{
    uint32_t raw;
    if (r->len - r->pos < sizeof(raw))
        return false;
    __builtin_memcpy(&raw, r->ptr + r->pos, sizeof(raw));
    r->pos += sizeof(raw);
    *v = __builtin_bswap32(raw);
    return true;
}

static inline bool mcq_reader_be64(struct mcq_reader *r, uint64_t *v)
{
    uint64_t raw;
    if (r->len - r->pos < sizeof(raw))
        return false;
    __builtin_memcpy(&raw, r->ptr + r->pos, sizeof(raw));
    r->pos += sizeof(raw);
    *v = __builtin_bswap64(raw);
    return true;
}

static inline bool mcq_reader_take(struct mcq_reader *r, uint64_t len, struct mcq_slice *s)
{
    if (len > r->len - r->pos)
        return false;
    *s = mcq_slice_of(r->ptr + r->pos, (size_t)len);
    r->pos += (size_t)len;
    return true;
}

/* --- writer: [0, len) is written, [len, cap) is room --------------------------------------- */

struct mcq_writer {
    uint8_t *ptr;
    size_t cap;
    size_t len;
};

static inline struct mcq_writer mcq_writer_of(void *ptr, size_t cap)
{
    struct mcq_writer w = {(uint8_t *)ptr, cap, 0};
    return w;
}

static inline size_t mcq_writer_room(const struct mcq_writer *w)
{
    return w->cap - w->len;
}

static inline bool mcq_writer_u8(struct mcq_writer *w, uint8_t v)
{
    if (w->len == w->cap)
        return false;
    w->ptr[w->len++] = v;
    return true;
}

static inline bool mcq_writer_be32(struct mcq_writer *w, uint32_t v)
{
    uint32_t raw = __builtin_bswap32(v);
    if (w->cap - w->len < sizeof(raw))
        return false;
    __builtin_memcpy(w->ptr + w->len, &raw, sizeof(raw));
    w->len += sizeof(raw);
    return true;
}

static inline bool mcq_writer_be64(struct mcq_writer *w, uint64_t v)
{
    uint64_t raw = __builtin_bswap64(v);
    if (w->cap - w->len < sizeof(raw))
        return false;
    __builtin_memcpy(w->ptr + w->len, &raw, sizeof(raw));
    w->len += sizeof(raw);
    return true;
}

static inline bool mcq_writer_put(struct mcq_writer *w, struct mcq_slice s)
{
    if (s.len > w->cap - w->len)
        return false;
    mcq_bytes_copy(w->ptr + w->len, s.ptr, s.len);
    w->len += s.len;
    return true;
}

static inline bool mcq_writer_fill(struct mcq_writer *w, uint8_t v, size_t cnt)
{
    if (cnt > w->cap - w->len)
        return false;
    __builtin_memset(w->ptr + w->len, v, cnt);
    w->len += cnt;
    return true;
}

#endif
