/* mcq-doctor: its options, and what is printed. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "print.h"
#include "set.h"

#define EXIT_DONE  0
#define EXIT_WORSE 1
#define EXIT_USAGE 2

#define COLUMNS_DEFAULT 100u
#define COLUMNS_MIN     60u
#define COLUMNS_MAX     1000u
#define WINDOW_MS       200u
#define WINDOW_MS_MAX   60000u

static const char usage[] =
    "usage: mcq-doctor [options]\n"
    "\n"
    "What on this host costs latency: each check is PASS, WARN, FAIL, or UNKNOWN where something\n"
    "can't be read, with what was read, what it costs, and the command that fixes it. Nothing is\n"
    "changed, and nothing opened for writing.\n"
    "\n"
    "  --strict         exit code 1 when a check says WARN or FAIL; else it is 0 whatever they "
    "say\n"
    "  --json           print JSON; its form is in docs/DOCTOR.md\n"
    "  --root DIR       look at the proc/ and sys/ in DIR, of a container or another host; what\n"
    "                   only a running kernel can tell is read from DIR/live/\n"
    "  --window MS      how long counters are watched, 0 to 60000 [200]\n"
    "  --emit-tuned     print a profile of tuned, with a kernel command line, and check nothing\n"
    "  --list           print the table of all checks, and check nothing\n"
    "  --width N        columns of the text, from 60 on [the terminal's, else 100]\n"
    "\n"
    "The CPUs are those of --cpus, else those of the library's plan (mcq-topo shows it), else "
    "all;\n"
    "with --root all online but the first. Exit code: 0 done, 1 see --strict, 2 usage.\n"
    "\n"
    "  mcq-doctor --cpus 2-5 --nic eth0\n"
    "  mcq-doctor --shards 4 --strict --json >doctor.json\n"
    "  mcq-doctor --cpus 2-5 --emit-tuned >/etc/tuned/monocoque/tuned.conf\n"
    "\n";

struct options {
    struct mcq_doctor_opts doctor;
    struct print_look look;
    bool strict, json, emit_tuned, list;
};

__attribute__((format(printf, 1, 2))) static int refuse(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("mcq-doctor: ", stderr);
    vfprintf(stderr, format, args);
    fputs(" (mcq-doctor --help shows how)\n", stderr);
    va_end(args);
    return EXIT_USAGE;
}

static bool help_asked(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0)
            return true;
    return false;
}

static bool number(const char *text, unsigned min, unsigned max, unsigned *value)
{
    char *end = NULL;
    errno = 0;
    unsigned long v = strtoul(text, &end, 10);
    *value = (unsigned)v;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && v >= min && v <= max;
}

static int root_set(struct options *o, const char *dir)
{
    if (access(dir, F_OK) != 0)
        return refuse("--root %s: %s", dir, strerror(errno));
    if (strlen(dir) > 200)
        return refuse("--root: at most 200 bytes");
    o->doctor.root = dir;
    return EXIT_DONE;
}

static int option_take(struct options *o, int option)
{
    unsigned value = 0;
    switch (option) {
    case 's':
        o->strict = true;
        break;
    case 'j':
        o->json = true;
        break;
    case 't':
        o->emit_tuned = true;
        break;
    case 'l':
        o->list = true;
        break;
    case 'r':
        return root_set(o, optarg);
    case 'w':
        if (!number(optarg, 0, WINDOW_MS_MAX, &value))
            return refuse("--window %s: 0 to %u are wanted", optarg, WINDOW_MS_MAX);
        o->doctor.window_ms = value;
        break;
    case 'c':
        if (!number(optarg, COLUMNS_MIN, COLUMNS_MAX, &value))
            return refuse("--width %s: %u to %u are wanted", optarg, COLUMNS_MIN, COLUMNS_MAX);
        o->look.columns = value;
        break;
    case ':':
        return refuse("%s needs a value", optopt == 0 ? "an option" : "that option");
    default:
        break;
    }
    return EXIT_DONE;
}

static int options_parse(struct options *o, int argc, char **argv)
{
    static const struct option known[] = {
        {"strict", no_argument, NULL, 's'},      {"json", no_argument, NULL, 'j'},
        {"root", required_argument, NULL, 'r'},  {"window", required_argument, NULL, 'w'},
        {"emit-tuned", no_argument, NULL, 't'},  {"list", no_argument, NULL, 'l'},
        {"width", required_argument, NULL, 'c'}, {NULL, 0, NULL, 0},
    };
    int option, code = EXIT_DONE;
    opterr = 0;
    while (code == EXIT_DONE && (option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
        if (option == '?')
            return refuse("there is no option %s", argv[optind - 1]);
        if (option == ':')
            return refuse("%s needs a value", argv[optind - 1]);
        code = option_take(o, option);
    }
    if (code == EXIT_DONE && optind < argc)
        return refuse("'%s' is no option", argv[optind]);
    return code;
}

/* The library refuses a list it can't follow; one that belongs to another root is checked here. */
static int cpus_check(const struct mcq_opts *app)
{
    struct set cpus;
    if (app->cpus == NULL || strcmp(app->cpus, "none") == 0)
        return EXIT_DONE;
    if (!doctor_set_from_list(&cpus, app->cpus) || doctor_set_cnt(&cpus) == 0)
        return refuse("--cpus %s: a list like 2 or 0,2-5 is wanted", app->cpus);
    return EXIT_DONE;
}

static void look_default(struct print_look *look)
{
    struct winsize size;
    look->columns = COLUMNS_DEFAULT;
    if (isatty(STDOUT_FILENO) == 0)
        return;
    const char *term = getenv("TERM");
    look->colours = getenv("NO_COLOR") == NULL && term != NULL && strcmp(term, "dumb") != 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= COLUMNS_MIN)
        look->columns = size.ws_col < COLUMNS_MAX ? size.ws_col : COLUMNS_MAX;
}

static int examine(const struct options *o)
{
    static struct mcq_doctor_report report; /* too large for the stack's taste */
    mcq_doctor_run(&o->doctor, &report);
    if (o->json)
        print_json(stdout, &report);
    else
        print_text(stdout, &report, &o->look);
    return o->strict && mcq_doctor_verdict(&report) >= MCQ_DOCTOR_WARN ? EXIT_WORSE : EXIT_DONE;
}

int main(int argc, char **argv)
{
    struct mcq_opts app = MCQ_OPTS_INIT;
    struct options o = {.doctor = {.window_ms = WINDOW_MS}};
    if (help_asked(argc, argv)) {
        fputs(usage, stdout);
        fputs(mcq_opts_usage(), stdout);
        return EXIT_DONE;
    }
    mcq_opts_parse(&app, &argc, argv);
    look_default(&o.look);
    int code = options_parse(&o, argc, argv);
    if (code == EXIT_DONE)
        code = cpus_check(&app);
    if (code != EXIT_DONE)
        return code;
    o.doctor.app = &app;
    if (o.list)
        print_checks(stdout);
    else if (o.emit_tuned)
        print_tuned(stdout, &o.doctor);
    else
        code = examine(&o);
    return fflush(stdout) == 0 ? code : EXIT_WORSE;
}
