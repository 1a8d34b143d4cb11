/* mcq-topo plan: its options, and where the plan is printed. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "topo.h"

static const char usage[] =
    "usage: mcq-topo [plan] [options]\n"
    "       mcq-topo steer --help\n"
    "\n"
    "Shows where shards go on a machine: the hardware thread of each, the NUMA node of its "
    "memory,\n"
    "the kernel thread of its ring. The same plan is made by every program that gets the same\n"
    "options of Monocoque.\n"
    "\n"
    "  --synthetic TEXT    plan for a described machine: \"pack:2 [numa] l3:4 core:8 pu:2\", from\n"
    "                      the outside in, is 2 packages, each with a NUMA node and 4 L3 caches\n"
    "                      over 8 cores of 2 hardware threads\n"
    "  --xml FILE          plan for the machine on which `lstopo FILE` wrote it\n"
    "  --json              print JSON: shards, and notes; null: not pinned, or no such thing\n"
    "  --svg FILE          also draw packages, nodes, caches, cores and who sits where; - is "
    "stdout\n"
    "                      (and nothing else is printed)\n"
    "\n"
    "Cores and packages are counted over the whole machine from 0; CPUs and nodes have the\n"
    "system's numbers. Exit code: 0 done, 1 the host refused, 2 usage.\n"
    "\n"
    "  mcq-topo --shards 4\n"
    "  mcq-topo --shards 16 --nic eth0 --json\n"
    "  mcq-topo --shards 12 --ring sqpoll --synthetic \"pack:2 [numa] l3:2 core:8 pu:2\" --svg "
    "m.svg\n"
    "\n";

struct options {
    enum mcq_topo_source source;
    const char *text;
    const char *svg;
    bool json;
};

static bool help_asked(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0)
            return true;
    return false;
}

static int source_set(struct options *o, enum mcq_topo_source source, const char *text)
{
    if (o->source != MCQ_TOPO_HOST)
        return topo_refuse("one machine at a time: --synthetic or --xml");
    o->source = source;
    o->text = text;
    return TOPO_EXIT_DONE;
}

static int options_parse(struct options *o, int argc, char **argv)
{
    static const struct option known[] = {
        {"synthetic", required_argument, NULL, 's'},
        {"xml", required_argument, NULL, 'x'},
        {"svg", required_argument, NULL, 'p'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    int option, code = TOPO_EXIT_DONE;
    opterr = 0;
    while (code == TOPO_EXIT_DONE && (option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
        switch (option) {
        case 's':
            code = source_set(o, MCQ_TOPO_SYNTHETIC, optarg);
            break;
        case 'x':
            code = source_set(o, MCQ_TOPO_XML, optarg);
            break;
        case 'p':
            o->svg = optarg;
            break;
        case 'j':
            o->json = true;
            break;
        case ':':
            return topo_refuse("%s needs a value", argv[optind - 1]);
        default:
            return topo_refuse("there is no option %s", argv[optind - 1]);
        }
    }
    if (code == TOPO_EXIT_DONE && optind < argc)
        return topo_refuse("'%s' is no command", argv[optind]);
    return code;
}

static int picture_write(const char *path, const struct mcq_topo_plan *plan)
{
    bool to_stdout = strcmp(path, "-") == 0;
    FILE *f = to_stdout ? stdout : fopen(path, "w");
    if (f == NULL) {
        fprintf(stderr, "mcq-topo: %s: %s\n", path, strerror(errno));
        return TOPO_EXIT_HOST;
    }
    bool ok = svg_print(f, plan) && ferror(f) == 0;
    ok = (to_stdout ? fflush(f) : fclose(f)) == 0 && ok;
    if (!ok)
        fprintf(stderr, "mcq-topo: %s: not written whole\n", path);
    return ok ? TOPO_EXIT_DONE : TOPO_EXIT_HOST;
}

static int print(const struct options *o, const struct mcq_topo_plan *plan)
{
    int code = TOPO_EXIT_DONE;
    if (o->svg != NULL)
        code = picture_write(o->svg, plan);
    if (o->svg == NULL || strcmp(o->svg, "-") != 0) {
        if (o->json)
            json_print(stdout, plan);
        else
            table_print(stdout, plan);
    }
    return fflush(stdout) == 0 ? code : TOPO_EXIT_HOST;
}

int plan_main(int argc, char **argv)
{
    struct mcq_opts opts = MCQ_OPTS_INIT;
    struct mcq_topo_plan plan = MCQ_TOPO_PLAN_INIT;
    struct mcq_detail detail = {.text = ""};
    struct options o = {.source = MCQ_TOPO_HOST};
    if (help_asked(argc, argv)) {
        fputs(usage, stdout);
        fputs(mcq_opts_usage(), stdout);
        return TOPO_EXIT_DONE;
    }
    mcq_opts_parse(&opts, &argc, argv);
    int code = options_parse(&o, argc, argv);
    if (code != TOPO_EXIT_DONE)
        return code;
    enum mcq_error err = mcq_topo_plan_make(&opts, o.source, o.text, &plan, &detail);
    if (err != MCQ_OK) {
        fprintf(stderr, "mcq-topo: %s\n", detail.text);
        return err == MCQ_ENOMEM || err == MCQ_EOS ? TOPO_EXIT_HOST : TOPO_EXIT_USAGE;
    }
    code = print(&o, &plan);
    mcq_topo_plan_drop(&plan);
    return code;
}
