/* mcq-topo: where shards go on a machine, and who gets whom. A word chooses the command; without
 * one it is `plan`. */
#include <stdarg.h>
#include <string.h>

#include "topo.h"

static const struct command {
    const char *name;
    int (*main)(int argc, char **argv);
} commands[] = {
    {"plan", plan_main},
    {"steer", steer_main},
};

int topo_refuse(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("mcq-topo: ", stderr);
    vfprintf(stderr, format, args);
    fputs(" (mcq-topo --help shows how)\n", stderr);
    va_end(args);
    return TOPO_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].main(argc - 1, argv + 1);
    return plan_main(argc, argv);
}
