/* RAW: one block of memory per plan, which mcq_topo_plan_drop frees; sound because everything
 * public in the plan points into it; any program calls. */
#include <errno.h>
#include <stdlib.h>

#include "mem/detail.h"
#include "mem/slice.h"
#include "shards/topo_facts.h"

struct own {
    struct mcq_topo_facts facts;
    struct mcq_topo_choice choice;
    const char *notes[MCQ_TOPO_NOTES_MAX];
};

static enum mcq_error plan_into(struct own *own, const struct mcq_opts *opts,
                                enum mcq_topo_source source, const char *text,
                                struct mcq_detail *detail)
{
    struct mcq_opts effective;
    enum mcq_error err = mcq_opts_effective(opts, &effective, detail);
    if (err == MCQ_OK)
        err = mcq_topo_facts_load(source, text, effective.nic, &own->facts, detail);
    if (err == MCQ_OK)
        err = mcq_topo_choose(&own->facts, &effective, &own->choice, detail);
    return err;
}

static void publish(struct own *own, struct mcq_topo_plan *plan)
{
    for (uint32_t i = 0; i < own->choice.note_cnt; i++)
        own->notes[i] = own->choice.notes[i];
    const struct mcq_topo_plan full = {.size = sizeof(full),
                                       .shards = own->choice.shards,
                                       .cpus = own->facts.cpus,
                                       .nodes = own->facts.nodes,
                                       .notes = own->notes,
                                       .shard_cnt = own->choice.shard_cnt,
                                       .cpu_cnt = own->facts.cpu_cnt,
                                       .node_cnt = own->facts.node_cnt,
                                       .note_cnt = own->choice.note_cnt,
                                       .may_spin = own->choice.may_spin,
                                       .own = own};
    size_t size = plan->size;
    mcq_bytes_copy(plan, &full, mcq_min(size, sizeof(full)));
    plan->size = size;
}

enum mcq_error mcq_topo_plan_make(const struct mcq_opts *opts, enum mcq_topo_source source,
                                  const char *text, struct mcq_topo_plan *plan,
                                  struct mcq_detail *detail)
{
    if (plan == NULL || plan->size < sizeof(*plan))
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "mcq_topo_plan_make: start from MCQ_TOPO_PLAN_INIT");
    if (source > MCQ_TOPO_XML || (source != MCQ_TOPO_HOST && text == NULL))
        return mcq_detail_set(detail, MCQ_EINVAL, 0,
                              "mcq_topo_plan_make: the source is unknown, or has no text");
    struct own *own = calloc(1, sizeof(*own));
    if (own == NULL)
        return mcq_detail_set(detail, MCQ_ENOMEM, ENOMEM, "no memory for a plan");
    enum mcq_error err = plan_into(own, opts, source, text, detail);
    if (err == MCQ_OK)
        publish(own, plan);
    else
        free(own);
    return err;
}

void mcq_topo_plan_drop(struct mcq_topo_plan *plan)
{
    if (plan == NULL)
        return;
    free(plan->own);
    *plan = (struct mcq_topo_plan){.size = plan->size};
}
