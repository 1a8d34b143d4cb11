#include "proto/metadata.h"

#include <criterion/criterion.h>

Test(metadata, what_is_put_is_read)
{
    uint8_t out[64];
    struct mcq_writer w = mcq_writer_of(out, sizeof(out));
    cr_assert(mcq_metadata_put(&w, mcq_slice_of_text("X-One"), mcq_slice_of_text("1")));
    cr_assert(mcq_metadata_put(&w, mcq_slice_of_text("X-None"), mcq_slice_of_text("")));
    cr_assert_eq(w.len, 1 + 5 + 4 + 1 + 1 + 6 + 4);
    struct mcq_reader r = mcq_reader_of(mcq_slice_of(out, w.len));
    struct mcq_property p;
    cr_assert_eq(mcq_metadata_next(&r, &p), MCQ_METADATA_PROPERTY);
    cr_assert(mcq_metadata_is(&p, mcq_slice_of_text("X-One")));
    cr_assert(mcq_slice_equal(p.value, mcq_slice_of_text("1")));
    cr_assert_eq(mcq_metadata_next(&r, &p), MCQ_METADATA_PROPERTY);
    cr_assert(mcq_metadata_is(&p, mcq_slice_of_text("X-None")) && p.value.len == 0);
    cr_assert_eq(mcq_metadata_next(&r, &p), MCQ_METADATA_END);
}

/* Cut anywhere but at its end, a property is broken. */
Test(metadata, every_cut_is_noticed)
{
    static const char list[] = "\4Name\0\0\0\5value";
    for (size_t len = 1; len < sizeof(list) - 1; len++) {
        struct mcq_reader r = mcq_reader_of(mcq_slice_of(list, len));
        struct mcq_property p;
        cr_assert_eq(mcq_metadata_next(&r, &p), MCQ_METADATA_BROKEN, "cut at %zu", len);
    }
}

Test(metadata, a_property_has_a_name)
{
    struct mcq_reader r = mcq_reader_of(mcq_slice_of("\0\0\0\0\1x", 6));
    struct mcq_property p;
    cr_assert_eq(mcq_metadata_next(&r, &p), MCQ_METADATA_BROKEN);
}

Test(metadata, names_ignore_case_of_letters_alone)
{
    struct mcq_property p = {mcq_slice_of_text("sOCKET-tYPE"), mcq_slice_of_text("")};
    cr_assert(mcq_metadata_is(&p, mcq_slice_of_text("Socket-Type")));
    cr_assert(!mcq_metadata_is(&p, mcq_slice_of_text("Socket-Typ")));
    p.name = mcq_slice_of_text("Socket\rType"); /* '-' without bit 5 */
    cr_assert(!mcq_metadata_is(&p, mcq_slice_of_text("Socket-Type")));
    p.name = mcq_slice_of_text("@"); /* the neighbours of the letters */
    cr_assert(!mcq_metadata_is(&p, mcq_slice_of_text("`")));
    p.name = mcq_slice_of_text("[");
    cr_assert(!mcq_metadata_is(&p, mcq_slice_of_text("{")));
}

Test(metadata, no_room_writes_nothing)
{
    uint8_t out[16];
    for (size_t room = 0; room < 1 + 4 + 4 + 5; room++) {
        struct mcq_writer w = mcq_writer_of(out, room);
        cr_assert(!mcq_metadata_put(&w, mcq_slice_of_text("Name"), mcq_slice_of_text("value")));
        cr_assert_eq(w.len, 0);
    }
}
