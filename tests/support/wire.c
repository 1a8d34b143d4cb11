#include "tests/support/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_LEN_MAX 8192

/* The file as it is read. */
struct parse {
    struct mcq_wire *wire;
    struct mcq_text expected; /* settled lines */
    struct mcq_text out;      /* bytes to be drained since the last event */
    uint64_t wait_ms;         /* of the open step */
};

static bool bytes_of(const char *text, struct mcq_text *out)
{
    while (mcq_text_token(&text, out))
        continue;
    return *text == '\0';
}

static void settle_out(struct parse *p)
{
    if (p->out.len == 0)
        return;
    mcq_text_add(&p->expected, "<", 1);
    mcq_text_hex(&p->expected, (const uint8_t *)p->out.ptr, p->out.len);
    mcq_text_add(&p->expected, "\n", 1);
    p->out.len = 0;
}

/* The expectations of a step are what came before the next input, the open line of drained bytes
 * included. */
static bool step_end(struct parse *p)
{
    struct mcq_wire *w = p->wire;
    if (w->step_cnt == MCQ_WIRE_STEPS_MAX)
        return false;
    struct mcq_text log = {0};
    mcq_text_add(&log, p->expected.ptr, p->expected.len);
    struct mcq_text settled = p->expected, out = p->out;
    p->expected = log;
    p->out = (struct mcq_text){0};
    mcq_text_add(&p->out, out.ptr, out.len);
    settle_out(p);
    mcq_text_fini(&p->out);
    w->steps[w->step_cnt++] = (struct mcq_wire_step){w->input.len, p->wait_ms, p->expected.ptr};
    p->wait_ms = 0;
    p->expected = settled;
    p->out = out;
    return true;
}

static bool types_of(const char *text, uint32_t *mask)
{
    char word[32];
    int len;
    for (*mask = 0; sscanf(text, " %31s%n", word, &len) == 1; text += len) {
        enum mcq_sock_type type = mcq_zmtp_type_of(mcq_slice_of_text(word));
        if (type == 0)
            return false;
        *mask |= 1u << type;
    }
    return true;
}

static bool line_option(struct parse *p, const char *text)
{
    struct mcq_zmtp_config *config = &p->wire->opts.config;
    char word[32];
    int len;
    if (sscanf(text, " %31s %n", word, &len) != 1)
        return false;
    const char *value = text + len;
    if (strcmp(word, "type") == 0)
        return (config->type = mcq_zmtp_type_of(mcq_slice_of_text(value))) != 0;
    if (strcmp(word, "peers") == 0)
        return types_of(value, &config->peer_mask);
    if (strcmp(word, "identity") == 0)
        return bytes_of(value, &p->wire->identity);
    unsigned long long number = strtoull(value, NULL, 10);
    if (strcmp(word, "frame-max") == 0)
        config->limits.frame_max = number;
    else if (strcmp(word, "msg-max") == 0)
        config->limits.msg_max = number;
    else if (strcmp(word, "frames-max") == 0)
        config->limits.frames_max = (uint32_t)number;
    else if (strcmp(word, "zmtp-min") == 0)
        config->version_min = (uint32_t)number;
    else if (strcmp(word, "heartbeat-ms") == 0)
        config->heartbeat_ms = (uint32_t)number;
    else if (strcmp(word, "heartbeat-timeout-ms") == 0)
        config->heartbeat_timeout_ms = (uint32_t)number;
    else if (strcmp(word, "heartbeat-ttl-ms") == 0)
        config->heartbeat_ttl_ms = (uint32_t)number;
    else
        return false;
    return true;
}

/* Frames, topics and identities in canonical bytes. */
static bool bytes_line(struct mcq_text *log, const char *text)
{
    struct mcq_text bytes = {0};
    while (mcq_text_token(&text, &bytes))
        continue;
    mcq_text_hex(log, (const uint8_t *)bytes.ptr, bytes.len);
    mcq_text_fini(&bytes);
    while (*text == ' ')
        text++;
    if (*text == '|') {
        mcq_text_add(log, " |", 2);
        return bytes_line(log, text + 1);
    }
    mcq_text_add(log, "\n", 1);
    return *text == '\0';
}

static bool line_event(struct parse *p, const char *text)
{
    settle_out(p);
    char word[32];
    int len;
    if (sscanf(text, " %31s%n", word, &len) != 1)
        return false;
    const char *value = text + len;
    if (strcmp(word, "dead") == 0) {
        mcq_text_printf(&p->expected, "= dead%s\n", value);
        return true;
    }
    mcq_text_printf(&p->expected, "= %s", word);
    if (strcmp(word, "done") == 0) {
        if (sscanf(value, " %31s%n", word, &len) != 1)
            return false;
        mcq_text_printf(&p->expected, " %s", word);
        value += len;
    } else if (strcmp(word, "message") != 0 && strcmp(word, "subscribe") != 0 &&
               strcmp(word, "cancel") != 0) {
        return false;
    }
    return bytes_line(&p->expected, value);
}

static bool line_input(struct parse *p, const char *text)
{
    if (!step_end(p))
        return false;
    return bytes_of(text, &p->wire->input);
}

static bool line_wait(struct parse *p, const char *text)
{
    char *end;
    if (!step_end(p))
        return false;
    p->wait_ms = strtoull(text, &end, 10);
    return *end == '\0';
}

static bool line_read(struct parse *p, const char *line)
{
    switch (line[0]) {
    case '\0':
    case '#':
        return true;
    case '!':
        return line_option(p, line + 1);
    case '>':
        return line_input(p, line + 1);
    case '@':
        return line_wait(p, line + 1);
    case '<':
        return bytes_of(line + 1, &p->out);
    case '=':
        return line_event(p, line + 1);
    default:
        return false;
    }
}

bool mcq_wire_load(struct mcq_wire *wire, const char *path)
{
    memset(wire, 0, sizeof(*wire));
    wire->opts.config.limits = (struct mcq_zmtp_limits){1u << 20, 1u << 20, 64};
    wire->opts.config.peer_mask = UINT32_MAX;
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        fprintf(stderr, "%s: can't be opened (run from the project's root)\n", path);
        return false;
    }
    struct parse p = {.wire = wire};
    mcq_text_add(&p.expected, "", 0);
    char line[LINE_LEN_MAX];
    bool ok = true;
    for (int number = 1; ok && fgets(line, sizeof(line), f) != NULL; number++) {
        line[strcspn(line, "\n")] = '\0';
        ok = line_read(&p, line);
        if (!ok)
            fprintf(stderr, "%s:%d: not a line of a transcript\n", path, number);
    }
    fclose(f);
    ok = ok && step_end(&p) && wire->opts.config.type != 0;
    mcq_text_fini(&p.expected);
    mcq_text_fini(&p.out);
    wire->opts.config.identity = mcq_slice_of(wire->identity.ptr, wire->identity.len);
    return ok;
}

void mcq_wire_fini(struct mcq_wire *wire)
{
    mcq_text_fini(&wire->input);
    mcq_text_fini(&wire->identity);
    for (size_t i = 0; i < wire->step_cnt; i++)
        free(wire->steps[i].expected);
}

const char *mcq_wire_expected(const struct mcq_wire *wire)
{
    return wire->steps[wire->step_cnt - 1].expected;
}

static bool same(struct mcq_stream *s, const char *expected)
{
    const char *log = mcq_stream_log(s);
    if (strcmp(log, expected) == 0)
        return true;
    fprintf(stderr, "--- expected\n%s--- came out after %llu bytes\n%s---\n", expected,
            (unsigned long long)s->fed, log);
    return false;
}

/* Drained bytes are joined across steps, so that a log is compared without settling it. */
static bool replay_steps(const struct mcq_wire *wire, struct mcq_stream *s)
{
    size_t at = 0;
    for (size_t i = 0; i < wire->step_cnt; i++) {
        const struct mcq_wire_step *step = &wire->steps[i];
        if (step->end > at)
            mcq_stream_feed(s, wire->input.ptr + at, step->end - at);
        at = step->end;
        if (step->wait_ms != 0)
            mcq_stream_wait(s, step->wait_ms);
        if (!same(s, step->expected))
            return false;
    }
    return true;
}

static size_t piece_len(const struct mcq_stream *s, enum mcq_wire_cut cut, size_t at, size_t done)
{
    switch (cut) {
    case MCQ_WIRE_SPLIT:
        return done < at ? at - done : SIZE_MAX;
    case MCQ_WIRE_PIECES:
        return at;
    case MCQ_WIRE_BY_NEED:
        return s->dead ? SIZE_MAX : (size_t)mcq_zmtp_need(&s->z);
    case MCQ_WIRE_WHOLE:
    case MCQ_WIRE_STEPS:
        return SIZE_MAX;
    }
    return SIZE_MAX;
}

/* Where the input has to stop for a wait; those due before it, or here, take place. */
static size_t next_wait(const struct mcq_wire *wire, struct mcq_stream *s, size_t done,
                        size_t *step)
{
    for (; *step < wire->step_cnt; ++*step) {
        const struct mcq_wire_step *at = &wire->steps[*step];
        if (at->wait_ms == 0)
            continue;
        if (at->end > done)
            return at->end;
        mcq_stream_wait(s, at->wait_ms);
    }
    return wire->input.len;
}

static void replay_pieces(const struct mcq_wire *wire, struct mcq_stream *s, enum mcq_wire_cut cut,
                          size_t at)
{
    size_t step = 0;
    mcq_stream_feed(s, "", 0);
    size_t end = next_wait(wire, s, 0, &step);
    for (size_t done = 0; done < wire->input.len;) {
        size_t len = mcq_min(piece_len(s, cut, at, done), end - done);
        mcq_stream_feed(s, wire->input.ptr + done, len);
        done += len;
        end = next_wait(wire, s, done, &step);
    }
}

bool mcq_wire_replay(const struct mcq_wire *wire, const struct mcq_stream_opts *how,
                     enum mcq_wire_cut cut, size_t at)
{
    struct mcq_stream_opts opts = *how;
    opts.config = wire->opts.config;
    opts.exact_need = cut == MCQ_WIRE_BY_NEED;
    struct mcq_stream *s = malloc(sizeof(*s));
    if (s == NULL)
        abort();
    mcq_stream_init(s, &opts);
    bool ok;
    if (cut == MCQ_WIRE_STEPS) {
        ok = replay_steps(wire, s);
    } else {
        replay_pieces(wire, s, cut, at);
        ok = same(s, mcq_wire_expected(wire));
    }
    mcq_stream_fini(s);
    free(s);
    return ok;
}
