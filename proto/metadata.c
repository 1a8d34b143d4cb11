#include "proto/metadata.h"

enum mcq_metadata_step mcq_metadata_next(struct mcq_reader *r, struct mcq_property *p)
{
    uint8_t name_len;
    uint32_t value_len;
    if (!mcq_reader_u8(r, &name_len))
        return MCQ_METADATA_END;
    if (name_len == 0 || !mcq_reader_take(r, name_len, &p->name) ||
        !mcq_reader_be32(r, &value_len) || !mcq_reader_take(r, value_len, &p->value))
        return MCQ_METADATA_BROKEN;
    return MCQ_METADATA_PROPERTY;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool mcq_metadata_is(const struct mcq_property *p, struct mcq_slice name)
{
    if (p->name.len != name.len)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (lower(p->name.ptr[i]) != lower(name.ptr[i]))
            return false;
    return true;
}

size_t mcq_metadata_len(struct mcq_slice name, struct mcq_slice value)
{
    return 1 + name.len + sizeof(uint32_t) + value.len;
}

bool mcq_metadata_put(struct mcq_writer *w, struct mcq_slice name, struct mcq_slice value)
{
    if (mcq_writer_room(w) < mcq_metadata_len(name, value))
        return false;
    return mcq_writer_u8(w, (uint8_t)name.len) && mcq_writer_put(w, name) &&
           mcq_writer_be32(w, (uint32_t)value.len) && mcq_writer_put(w, value);
}
