#include <pthread.h>
#include <stdlib.h>

#include "input.h"

struct cat_input {
    struct mcq_shard *shard;
    const struct cat_input_handlers *handlers;
    void *ctx;
    bool hex;

    pthread_mutex_t lock;
    pthread_cond_t room;    /* lines_now, bytes_now have fallen, or stopped */
    struct cat_line *first; /* read, not yet seen by the shard */
    struct cat_line *last;
    uint32_t lines_now;
    size_t bytes_now;
    bool stopped;
    bool ended; /* the thread touches nothing here any more */

    const char *why; /* set before the post of the end */
    uint64_t number;
};

static struct cat_line *take_line(struct cat_input *input)
{
    pthread_mutex_lock(&input->lock);
    struct cat_line *line = input->first;
    input->first = line->next;
    line->next = NULL;
    pthread_mutex_unlock(&input->lock);
    return line;
}

static void deliver_line(struct mcq_shard *shard, void *arg)
{
    struct cat_input *input = arg;
    (void)shard;
    if (!input->stopped)
        input->handlers->line(input->ctx, take_line(input));
}

static void deliver_end(struct mcq_shard *shard, void *arg)
{
    struct cat_input *input = arg;
    (void)shard;
    if (!input->stopped)
        input->handlers->end(input->ctx, input->why, input->number);
}

static bool has_room(const struct cat_input *input, size_t len)
{
    if (input->lines_now == 0)
        return true;
    return input->lines_now < CAT_INPUT_LINES_MAX && input->bytes_now + len <= CAT_INPUT_BYTES_MAX;
}

static void append(struct cat_input *input, struct cat_line *line)
{
    if (input->first == NULL)
        input->first = line;
    else
        input->last->next = line;
    input->last = line;
    input->lines_now++;
    input->bytes_now += line->len;
}

/* Waits for room and hands line (NULL: the end) over. The post happens under the lock, so that
 * none follows cat_input_stop, after which the shard may be gone. False: stopped. */
static bool hand_over(struct cat_input *input, struct cat_line *line)
{
    pthread_mutex_lock(&input->lock);
    while (!input->stopped && line != NULL && !has_room(input, line->len))
        pthread_cond_wait(&input->room, &input->lock);
    bool posted = !input->stopped &&
                  mcq_post(input->shard, line ? deliver_line : deliver_end, input) == MCQ_OK;
    if (posted && line != NULL)
        append(input, line);
    pthread_mutex_unlock(&input->lock);
    return posted;
}

/* False: there is no next one. */
static bool read_line(struct cat_input *input)
{
    struct cat_line *line = NULL;
    input->number++;
    input->why = cat_line_read(stdin, input->number, input->hex, &line);
    if (hand_over(input, line))
        return line != NULL;
    cat_line_destroy(line);
    return false;
}

static void *read_lines(void *arg)
{
    struct cat_input *input = arg;
    while (read_line(input))
        continue;
    pthread_mutex_lock(&input->lock);
    input->ended = true;
    pthread_mutex_unlock(&input->lock);
    return NULL;
}

struct cat_input *cat_input_create(struct mcq_shard *shard, bool hex,
                                   const struct cat_input_handlers *handlers, void *ctx)
{
    struct cat_input *input = calloc(1, sizeof *input);
    if (input == NULL)
        return NULL;
    input->shard = shard;
    input->hex = hex;
    input->handlers = handlers;
    input->ctx = ctx;
    pthread_mutex_init(&input->lock, NULL);
    pthread_cond_init(&input->room, NULL);

    pthread_t thread;
    if (pthread_create(&thread, NULL, read_lines, input) != 0) {
        free(input);
        return NULL;
    }
    pthread_detach(thread);
    return input;
}

void cat_input_done(struct cat_input *input, struct cat_line *line)
{
    pthread_mutex_lock(&input->lock);
    input->lines_now--;
    input->bytes_now -= line->len;
    pthread_cond_signal(&input->room);
    pthread_mutex_unlock(&input->lock);
    cat_line_destroy(line);
}

void cat_input_stop(struct cat_input *input)
{
    pthread_mutex_lock(&input->lock);
    input->stopped = true;
    pthread_cond_signal(&input->room);
    pthread_mutex_unlock(&input->lock);
}

void cat_input_destroy(struct cat_input *input)
{
    if (input == NULL)
        return;
    pthread_mutex_lock(&input->lock);
    bool ended = input->ended;
    pthread_mutex_unlock(&input->lock);
    if (!ended)
        return;
    cat_line_destroy_all(input->first);
    pthread_cond_destroy(&input->room);
    pthread_mutex_destroy(&input->lock);
    free(input);
}
