/* mcq-topo: what its parts share. Each command takes argv from its own name on, and returns the
 * exit code: 0 done, 1 the host refused, 2 usage. */
#ifndef MCQ_TOPO_TOPO_H
#define MCQ_TOPO_TOPO_H

#include <monocoque.h>
#include <stdio.h>

#define TOPO_EXIT_DONE  0
#define TOPO_EXIT_HOST  1
#define TOPO_EXIT_USAGE 2

int plan_main(int argc, char **argv);
int steer_main(int argc, char **argv);

void table_print(FILE *out, const struct mcq_topo_plan *plan);
void json_print(FILE *out, const struct mcq_topo_plan *plan);
/* The picture. Returns false when memory ends. */
bool svg_print(FILE *out, const struct mcq_topo_plan *plan);

/* Sentence on stderr; returns TOPO_EXIT_USAGE. */
__attribute__((format(printf, 1, 2))) int topo_refuse(const char *format, ...);

#endif
