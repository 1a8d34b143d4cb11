#include "perf/output/hist_code.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define COOKIE_INSIDE  0x1c849313u
#define COOKIE_OUTSIDE 0x1c849314u
#define HEAD_INSIDE    40u
#define HEAD_OUTSIDE   8u
#define COUNT_LEN_MAX  9u
#define DIGITS         3u
/* More records than any run has, and few enough that no sum of them overflows. */
#define RECORDS_MAX (UINT64_C(1) << 53)

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static size_t inside_max(void)
{
    return HEAD_INSIDE + COUNT_LEN_MAX * mcq_hdr_counts_cnt(PERF_HIST_MAX_NS);
}

static uint8_t *put(uint8_t *at, uint64_t value, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        at[i] = (uint8_t)(value >> 8 * (len - 1 - i));
    }
    return at + len;
}

static uint64_t get(const uint8_t *at, unsigned len)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < len; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

static uint8_t *put_count(uint8_t *at, int64_t count)
{
    uint64_t value = (uint64_t)count << 1 ^ (uint64_t)(count >> 63);
    for (unsigned i = 1; i < COUNT_LEN_MAX && value > 0x7f; i++) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

/* False when the bytes end inside of it. */
static bool get_count(const uint8_t **at, const uint8_t *end, int64_t *count)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < COUNT_LEN_MAX; i++) {
        if (*at == end) {
            return false;
        }
        uint64_t byte = *(*at)++;
        bool last = byte < 0x80 || i == COUNT_LEN_MAX - 1;
        value |= (i < COUNT_LEN_MAX - 1 ? byte & 0x7f : byte) << 7 * i;
        if (last) {
            break;
        }
    }
    *count = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
    return true;
}

static uint8_t *put_counts(uint8_t *at, const struct mcq_hdr *h)
{
    size_t cnt = mcq_hdr_counts_cnt(h->value_max);
    size_t last = cnt - 1;
    while (last > 0 && h->counts[last] == 0 && h->over_cnt == 0) {
        last--;
    }
    for (size_t i = 0; i <= last;) {
        size_t zeros = 0;
        while (i + zeros <= last && h->counts[i + zeros] == 0) {
            zeros++;
        }
        /* Out-of-range records are the last step's, even if it has none of its own. */
        if (zeros > 0 && i + zeros > last && h->over_cnt > 0) {
            zeros--;
        }
        if (zeros > 0) {
            at = put_count(at, zeros == 1 ? 0 : -(int64_t)zeros);
            i += zeros;
            continue;
        }
        at = put_count(at, (int64_t)(h->counts[i] + (i == cnt - 1 ? h->over_cnt : 0)));
        i++;
    }
    return at;
}

static size_t inside_write(uint8_t *inside, const struct mcq_hdr *h)
{
    uint8_t *end = put_counts(inside + HEAD_INSIDE, h);
    size_t len = (size_t)(end - inside);
    uint8_t *at = put(inside, COOKIE_INSIDE, 4);
    at = put(at, len - HEAD_INSIDE, 4);
    at = put(at, 0, 4);
    at = put(at, DIGITS, 4);
    at = put(at, 1, 8);
    at = put(at, h->value_max, 8);
    /* 1.0 as IEEE 754 has it */
    put(at, UINT64_C(0x3ff0000000000000), 8);
    return len;
}

static void base64_write(char *text, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i += 3) {
        uint32_t bits = (uint32_t)data[i] << 16;
        bits |= i + 1 < len ? (uint32_t)data[i + 1] << 8 : 0;
        bits |= i + 2 < len ? data[i + 2] : 0u;
        *text++ = base64_digits[bits >> 18];
        *text++ = base64_digits[bits >> 12 & 63];
        *text++ = i + 1 < len ? base64_digits[bits >> 6 & 63] : '=';
        *text++ = i + 2 < len ? base64_digits[bits & 63] : '=';
    }
    *text = '\0';
}

char *perf_hist_encode(const struct mcq_hdr *h)
{
    uint8_t *inside = perf_zeroed(1, inside_max());
    size_t inside_len = inside_write(inside, h);
    uLongf len = compressBound(inside_len);
    uint8_t *outside = perf_zeroed(1, HEAD_OUTSIDE + len);
    char *text = NULL;
    /* It can't fail but for want of memory, with that much room. */
    if (compress2(outside + HEAD_OUTSIDE, &len, inside, inside_len, Z_BEST_COMPRESSION) == Z_OK) {
        put(put(outside, COOKIE_OUTSIDE, 4), len, 4);
        text = perf_zeroed(1, (HEAD_OUTSIDE + len + 2) / 3 * 4 + 1);
        base64_write(text, outside, HEAD_OUTSIDE + len);
    }
    free(inside);
    free(outside);
    return text != NULL ? text : perf_zeroed(1, 1);
}

/* Returns how many bytes, 0 when text isn't base64. data: room for 3 bytes per 4 letters. */
static size_t base64_read(uint8_t *data, const char *text)
{
    size_t letters = strlen(text), len = 0;
    if (letters % 4 != 0) {
        return 0;
    }
    for (size_t i = 0; i < letters; i += 4) {
        uint32_t bits = 0;
        unsigned pads = 0;
        for (size_t j = i; j < i + 4; j++) {
            const char *digit = strchr(base64_digits, text[j]);
            bool pad = text[j] == '=' && i + 4 == letters && j >= i + 2;
            if (pad ? j == i + 2 && text[j + 1] != '=' : digit == NULL || pads > 0) {
                return 0;
            }
            pads += pad;
            bits = bits << 6 | (pad ? 0 : (uint32_t)(digit - base64_digits));
        }
        for (unsigned j = 0; j < 3 - pads; j++) {
            data[len++] = (uint8_t)(bits >> (16 - 8 * j));
        }
    }
    return len;
}

/* One count, or so many zeros. False when that doesn't fit. */
static bool count_take(struct mcq_hdr *h, size_t *idx, int64_t count)
{
    size_t room = mcq_hdr_counts_cnt(h->value_max) - *idx;
    if (count < 0) {
        if (count < -(int64_t)room) {
            return false;
        }
        *idx += (size_t)-count;
        return true;
    }
    if (room == 0 || (uint64_t)count > RECORDS_MAX - h->in_cnt) {
        return false;
    }
    if (count > 0) {
        uint64_t first = *idx == 0 ? 0 : mcq_hdr_step_end(*idx - 1) + 1;
        h->min = h->in_cnt == 0 ? first : h->min;
        h->max = mcq_hdr_step_end(*idx);
        h->counts[*idx] = (uint64_t)count;
        h->in_cnt += (uint64_t)count;
    }
    (*idx)++;
    return true;
}

static bool inside_read(const uint8_t *inside, size_t len, struct mcq_hdr *h)
{
    if (len < HEAD_INSIDE || get(inside, 4) != COOKIE_INSIDE ||
        get(inside + 4, 4) != len - HEAD_INSIDE || get(inside + 8, 4) != 0 ||
        get(inside + 12, 4) != DIGITS || get(inside + 16, 8) != 1) {
        return false;
    }
    const uint8_t *at = inside + HEAD_INSIDE, *end = inside + len;
    size_t idx = 0;
    while (at < end) {
        int64_t count;
        if (!get_count(&at, end, &count) || !count_take(h, &idx, count)) {
            return false;
        }
    }
    return true;
}

static bool outside_read(const uint8_t *outside, size_t len, struct mcq_hdr *h)
{
    if (len < HEAD_OUTSIDE || get(outside, 4) != COOKIE_OUTSIDE ||
        get(outside + 4, 4) != len - HEAD_OUTSIDE) {
        return false;
    }
    uLongf inside_len = inside_max();
    uint8_t *inside = perf_zeroed(1, inside_len);
    bool ok = uncompress(inside, &inside_len, outside + HEAD_OUTSIDE, len - HEAD_OUTSIDE) == Z_OK &&
              inside_read(inside, inside_len, h);
    free(inside);
    return ok;
}

bool perf_hist_decode(const char *text, struct mcq_hdr *h)
{
    uint8_t *outside = perf_zeroed(1, strlen(text) / 4 * 3 + 1);
    bool ok = outside_read(outside, base64_read(outside, text), h);
    free(outside);
    if (!ok) {
        mcq_hdr_reset(h);
    }
    return ok;
}
