/* Box: the machine as boxes inside boxes, and where each is drawn.
 *
 * machine > package > NUMA node > L3 > core > CPU; L3 outside of node where a cache spans nodes; a
 * level the machine doesn't tell is left out. Memory without CPUs is a box of its own. All boxes
 * are in one block, which box_free ends. */
#ifndef MCQ_TOPO_BOX_H
#define MCQ_TOPO_BOX_H

#include "topo.h"

#define BOX_LABEL_LEN 96

enum box_kind { BOX_MACHINE, BOX_PACKAGE, BOX_NODE, BOX_L3, BOX_CORE, BOX_CPU };

struct box {
    enum box_kind kind;
    uint32_t key; /* the number of the package, node, L3 or core; index of the CPU in the plan */
    struct box *child, *last, *next;
    double x, y, w, h;
    char label[BOX_LABEL_LEN];
};

/* The machine, laid out from (x, y) on, at least min_w wide; NULL: no memory. */
struct box *box_make(const struct mcq_topo_plan *plan, double x, double y, double min_w);
void box_free(struct box *machine);
/* Width of a text in pixels, rather too much than too little: fonts differ. */
double box_text_w(const char *text, double font);

#endif
