/* Text: a message as a line, and a line as a message. TAB separates frames.
 *
 * Plain form: bytes 0x20 to 0x7e stand for themselves, all others and the backslash are written
 * \xNN. Reading is a little wider: any byte but TAB, newline and backslash stands for itself.
 * Hex form: two digits a byte.
 */
#ifndef MCQ_CAT_TEXT_H
#define MCQ_CAT_TEXT_H

#include <stdio.h>

#include <monocoque.h>

/* Decodes one frame's text[0, len) in place; *decoded_len <= len.
 * Returns NULL, or why the text can't be read. */
const char *cat_text_decode(char *text, size_t len, bool hex, size_t *decoded_len);

/* Writes cnt frames as one line. What went wrong shows in ferror(out). */
void cat_text_print(FILE *out, const struct mcq_frame *frames, uint32_t cnt, bool hex);

#endif
