/* RAW: calloc for the process's side, on the caller's thread; the public calls of embed.h. */
#include <errno.h>
#include <monocoque/embed.h>
#include <stdlib.h>

#include "mem/detail.h"
#include "shards/process.h"

struct mcq_embed {
    struct mcq_process process;
};

static struct mcq_thread *own(struct mcq_embed *e)
{
    return &e->process.threads[0];
}

static enum mcq_error finish(struct mcq_embed *e, enum mcq_error err, struct mcq_detail *detail)
{
    if (e->process.threads_end != 0)
        mcq_thread_end(own(e));
    err = mcq_process_close(&e->process, err, detail);
    free(e);
    return err;
}

enum mcq_error mcq_embed_open(const struct mcq_opts *opts, const struct mcq_app *app, void *arg,
                              struct mcq_embed **embed, struct mcq_detail *detail)
{
    struct mcq_detail none = {.text = ""};
    struct mcq_detail *why = detail == NULL ? &none : detail;
    if (mcq_shard_here != NULL)
        return mcq_detail_set(why, MCQ_ETHREAD, 0, "mcq_embed_open: this thread has a shard");
    struct mcq_embed *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return mcq_detail_set(why, MCQ_ENOMEM, ENOMEM, "no memory to start the app");
    enum mcq_error err = mcq_process_open(&e->process, opts, app, arg, true, why);
    bool on = e->process.threads_end != 0 && mcq_thread_enter(own(e));
    if (!on || err != MCQ_OK)
        return finish(e, err, why);
    bool all_on = !mcq_roster_failed(e->process.roster);
    if (all_on)
        err = mcq_loop_bell_open(own(e)->shard.loop, why);
    if (all_on && err == MCQ_OK) {
        *embed = e;
        return MCQ_OK;
    }
    mcq_stop(&own(e)->shard);
    while (mcq_shard_step(&own(e)->shard))
        ;
    return finish(e, err, why);
}

struct mcq_shard *mcq_embed_shard(struct mcq_embed *e)
{
    return &own(e)->shard;
}

enum mcq_error mcq_embed_close(struct mcq_embed *e, struct mcq_detail *detail)
{
    struct mcq_detail none = {.text = ""};
    struct mcq_shard *sh = mcq_embed_shard(e);
    if (sh != mcq_shard_here)
        return MCQ_ETHREAD;
    mcq_stop(sh);
    while (mcq_shard_step(sh))
        ;
    return finish(e, MCQ_OK, detail == NULL ? &none : detail);
}
