#include "proto/command.h"

#include "proto/frame.h"

static const char *const names[] = {
    [MCQ_COMMAND_UNKNOWN] = "",      [MCQ_COMMAND_READY] = "READY",
    [MCQ_COMMAND_ERROR] = "ERROR",   [MCQ_COMMAND_PING] = "PING",
    [MCQ_COMMAND_PONG] = "PONG",     [MCQ_COMMAND_SUBSCRIBE] = "SUBSCRIBE",
    [MCQ_COMMAND_CANCEL] = "CANCEL",
};

static enum mcq_command_id id_of(struct mcq_slice name)
{
    for (size_t i = MCQ_COMMAND_READY; i < MCQ_CNT_OF(names); i++)
        if (mcq_slice_equal(name, mcq_slice_of_text(names[i])))
            return (enum mcq_command_id)i;
    return MCQ_COMMAND_UNKNOWN;
}

enum mcq_fault mcq_command_read(struct mcq_slice body, struct mcq_command *cmd)
{
    struct mcq_reader r = mcq_reader_of(body);
    uint8_t name_len;
    struct mcq_slice name;
    if (!mcq_reader_u8(&r, &name_len) || name_len == 0 || !mcq_reader_take(&r, name_len, &name))
        return MCQ_FAULT_NAME;
    cmd->id = id_of(name);
    cmd->data = mcq_reader_rest(&r);
    return MCQ_FAULT_NONE;
}

enum mcq_fault mcq_command_read_error(struct mcq_slice data, struct mcq_slice *reason)
{
    struct mcq_reader r = mcq_reader_of(data);
    uint8_t len;
    if (!mcq_reader_u8(&r, &len) || !mcq_reader_take(&r, len, reason) || mcq_reader_left(&r) != 0)
        return MCQ_FAULT_ERROR;
    return MCQ_FAULT_NONE;
}

enum mcq_fault mcq_command_read_ping(struct mcq_slice data, uint32_t *ttl_ms,
                                     struct mcq_slice *context)
{
    struct mcq_reader r = mcq_reader_of(data);
    uint16_t ttl;
    if (!mcq_reader_be16(&r, &ttl))
        return MCQ_FAULT_PING;
    *ttl_ms = ttl * MCQ_COMMAND_TTL_UNIT_MS;
    *context = mcq_reader_rest(&r);
    return MCQ_FAULT_NONE;
}

bool mcq_command_begin(struct mcq_writer *w, enum mcq_command_id id, size_t data_len)
{
    struct mcq_slice name = mcq_slice_of_text(names[id]);
    size_t body_len = 1 + name.len + data_len;
    if (mcq_writer_room(w) < mcq_frame_head_len(body_len) + body_len)
        return false;
    return mcq_frame_head_write(w, MCQ_FRAME_COMMAND, body_len) &&
           mcq_writer_u8(w, (uint8_t)name.len) && mcq_writer_put(w, name);
}

bool mcq_command_put(struct mcq_writer *w, enum mcq_command_id id, struct mcq_slice data)
{
    return mcq_command_begin(w, id, data.len) && mcq_writer_put(w, data);
}
