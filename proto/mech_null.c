#include "proto/mech_null.h"

#include "proto/command.h"
#include "proto/metadata.h"
#include "proto/zmtp.h"

static struct mcq_slice name_socket_type(void)
{
    return mcq_slice_of_text("Socket-Type");
}

static struct mcq_slice name_identity(void)
{
    return mcq_slice_of_text("Identity");
}

enum mcq_fault mcq_mech_null_check_identity(struct mcq_slice identity)
{
    if (identity.len > MCQ_IDENTITY_LEN_MAX)
        return MCQ_FAULT_IDENTITY_LEN;
    if (identity.len > 0 && identity.ptr[0] == 0)
        return MCQ_FAULT_IDENTITY_ZERO;
    return MCQ_FAULT_NONE;
}

enum mcq_fault mcq_mech_null_read(struct mcq_slice data, struct mcq_ready *ready)
{
    struct mcq_reader r = mcq_reader_of(data);
    struct mcq_slice none = {NULL, 0};
    struct mcq_slice type = none, identity = none;
    struct mcq_property p;
    enum mcq_metadata_step step;
    while ((step = mcq_metadata_next(&r, &p)) == MCQ_METADATA_PROPERTY) {
        bool is_type = mcq_metadata_is(&p, name_socket_type());
        if (!is_type && !mcq_metadata_is(&p, name_identity()))
            continue;
        struct mcq_slice *into = is_type ? &type : &identity;
        if (into->ptr != NULL)
            return MCQ_FAULT_PROPERTY_TWICE;
        *into = p.value;
    }
    if (step == MCQ_METADATA_BROKEN)
        return MCQ_FAULT_METADATA;
    if (type.ptr == NULL)
        return MCQ_FAULT_TYPE_MISSING;
    ready->type = mcq_zmtp_type_of(type);
    ready->identity = identity;
    return mcq_mech_null_check_identity(identity);
}

static bool has_identity(enum mcq_sock_type type)
{
    return type == MCQ_REQ || type == MCQ_DEALER || type == MCQ_ROUTER;
}

bool mcq_mech_null_put(struct mcq_writer *w, enum mcq_sock_type type, struct mcq_slice identity)
{
    struct mcq_slice type_name = mcq_slice_of_text(mcq_zmtp_type_name(type));
    size_t len = mcq_metadata_len(name_socket_type(), type_name);
    if (has_identity(type))
        len += mcq_metadata_len(name_identity(), identity);
    return mcq_command_begin(w, MCQ_COMMAND_READY, len) &&
           mcq_metadata_put(w, name_socket_type(), type_name) &&
           (!has_identity(type) || mcq_metadata_put(w, name_identity(), identity));
}
