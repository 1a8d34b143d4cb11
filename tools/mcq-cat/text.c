#include "text.h"

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte of two hex digits, -1 if they aren't. */
static int pair_value(const char *digits)
{
    int high = digit_value(digits[0]);
    int low = digit_value(digits[1]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static const char *decode_hex(char *text, size_t len, size_t *decoded_len)
{
    if (len % 2 != 0)
        return "an odd number of hex digits";
    for (size_t i = 0; i < len; i += 2) {
        int value = pair_value(text + i);
        if (value < 0)
            return "not a hex digit";
        text[i / 2] = (char)value;
    }
    *decoded_len = len / 2;
    return NULL;
}

static const char *decode_plain(char *text, size_t len, size_t *decoded_len)
{
    size_t to = 0;
    for (size_t from = 0; from < len; from++) {
        if (text[from] != '\\') {
            text[to++] = text[from];
            continue;
        }
        int value = len - from >= 4 && text[from + 1] == 'x' ? pair_value(text + from + 2) : -1;
        if (value < 0)
            return "a backslash starts \\xNN; itself it is written \\x5c";
        text[to++] = (char)value;
        from += 3;
    }
    *decoded_len = to;
    return NULL;
}

const char *cat_text_decode(char *text, size_t len, bool hex, size_t *decoded_len)
{
    return hex ? decode_hex(text, len, decoded_len) : decode_plain(text, len, decoded_len);
}

static void put_hex(FILE *out, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    putc_unlocked(digits[byte >> 4], out);
    putc_unlocked(digits[byte & 15], out);
}

static void put_plain(FILE *out, unsigned char byte)
{
    if (byte >= 0x20 && byte <= 0x7e && byte != '\\') {
        putc_unlocked(byte, out);
        return;
    }
    putc_unlocked('\\', out);
    putc_unlocked('x', out);
    put_hex(out, byte);
}

static void put_frame(FILE *out, struct mcq_frame frame, bool hex)
{
    const unsigned char *bytes = frame.data;
    for (size_t i = 0; i < frame.len; i++) {
        if (hex)
            put_hex(out, bytes[i]);
        else
            put_plain(out, bytes[i]);
    }
}

void cat_text_print(FILE *out, const struct mcq_frame *frames, uint32_t cnt, bool hex)
{
    for (uint32_t i = 0; i < cnt; i++) {
        if (i > 0)
            putc_unlocked('\t', out);
        put_frame(out, frames[i], hex);
    }
    putc_unlocked('\n', out);
}
