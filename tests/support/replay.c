/* replay: the main of a fuzz target where libFuzzer is not linked.
 *
 *   fuzz-NAME [--mutate CNT] [--seed N] FILE-OR-FOLDER...
 *
 * Feeds every file given, and every file of every folder given, to the target; then CNT mutations
 * of them, the same for the same seed. Each input lies in a block of exactly its length, so that
 * AddressSanitizer sees an overread of one byte. A crash ends the process with the name of the
 * input, or with the seed and the index of the mutation, on stderr. The last line counts the
 * corpus as one test and its mutations as another.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_LEN_MAX (1u << 20)
#define INPUT_CNT_MAX 65536u
#define PATH_LEN_MAX  4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
/* Of the sanitizer's runtime, where one is linked. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

struct input {
    char *path;
    uint8_t *data;
    size_t len;
};

struct replay {
    struct input *inputs;
    size_t input_cnt;
    uint64_t mutate_cnt;
    uint64_t seed;
    uint64_t random;
};

/* What the input at hand is, for the message of a crash. */
static char input_name[PATH_LEN_MAX + 64];

static void tell_input(void)
{
    static const char lead[] = "\nreplay: the input was ";
    ssize_t done = write(STDERR_FILENO, lead, sizeof lead - 1);
    done = write(STDERR_FILENO, input_name, strlen(input_name));
    done = write(STDERR_FILENO, "\n", 1);
    (void)done; /* the process is dying already */
}

static void on_signal(int number)
{
    tell_input();
    signal(number, SIG_DFL);
    raise(number);
}

/* A sanitizer ends the process by itself and takes the signals; the rest arrives as one. */
static void watch_deaths(void)
{
    signal(SIGABRT, on_signal);
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(tell_input);
        return;
    }
    signal(SIGSEGV, on_signal);
    signal(SIGBUS, on_signal);
    signal(SIGFPE, on_signal);
    signal(SIGILL, on_signal);
}

static void die(const char *what, const char *path)
{
    fprintf(stderr, "replay: %s: %s: %s\n", path, what, strerror(errno));
    exit(2);
}

static void *bytes_new(size_t len)
{
    void *p = malloc(len != 0 ? len : 1);
    if (p == NULL)
        die("malloc", "input");
    return p;
}

static void feed(const uint8_t *data, size_t len)
{
    uint8_t *exact = bytes_new(len);
    memcpy(exact, data, len);
    /* An empty input lies at the end of its block: one byte read is one too many. */
    LLVMFuzzerTestOneInput(len != 0 ? exact : exact + 1, len);
    free(exact);
}

static void file_add(struct replay *r, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        die("open", path);
    if (r->input_cnt == INPUT_CNT_MAX) {
        errno = E2BIG;
        die("inputs", path);
    }
    uint8_t *data = bytes_new(INPUT_LEN_MAX);
    size_t len = fread(data, 1, INPUT_LEN_MAX, f);
    if (ferror(f) != 0 || fgetc(f) != EOF)
        die("read (at most 1 MiB)", path);
    fclose(f);
    data = realloc(data, len != 0 ? len : 1);
    char *name = strdup(path);
    if (data == NULL || name == NULL)
        die("malloc", path);
    r->inputs[r->input_cnt++] = (struct input){name, data, len};
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void path_add(struct replay *r, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        die("stat", path);
    if (!S_ISDIR(st.st_mode)) {
        file_add(r, path);
        return;
    }
    struct dirent **entries;
    int cnt = scandir(path, &entries, NULL, by_name); /* sorted: mutations depend on the order */
    if (cnt < 0)
        die("scandir", path);
    for (int i = 0; i < cnt; i++) {
        char name[PATH_LEN_MAX];
        int len = snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && len > 0 && (size_t)len < sizeof name)
            path_add(r, name);
        free(entries[i]);
    }
    free(entries);
}

/* xorshift64*: its state is never 0. */
static size_t random_below(struct replay *r, size_t limit)
{
    r->random ^= r->random >> 12;
    r->random ^= r->random << 25;
    r->random ^= r->random >> 27;
    return (size_t)((r->random * UINT64_C(0x2545F4914F6CDD1D)) >> 33) % limit;
}

/* Values at which lengths and flags of a wire protocol tend to break. */
static uint8_t byte_interesting(struct replay *r)
{
    static const uint8_t values[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x06, 0x07,
                                     0x7f, 0x80, 0xfe, 0xff, 0x10, 0x40};
    size_t idx = random_below(r, sizeof values + 1);
    return idx < sizeof values ? values[idx] : (uint8_t)random_below(r, 256);
}

/* Copies a piece of another input over, or behind, what is there. */
static size_t splice(struct replay *r, uint8_t *data, size_t len)
{
    const struct input *other = &r->inputs[random_below(r, r->input_cnt)];
    if (other->len == 0)
        return len;
    size_t from = random_below(r, other->len);
    size_t cnt = 1 + random_below(r, other->len - from);
    size_t to = random_below(r, len + 1);
    if (cnt > INPUT_LEN_MAX - to)
        cnt = INPUT_LEN_MAX - to;
    memcpy(data + to, other->data + from, cnt);
    return to + cnt > len ? to + cnt : len;
}

static size_t mutate_once(struct replay *r, uint8_t *data, size_t len)
{
    size_t at = len != 0 ? random_below(r, len) : 0;
    switch (random_below(r, 6)) {
    case 0:
        if (len != 0)
            data[at] = byte_interesting(r);
        return len;
    case 1:
        if (len != 0)
            data[at] ^= (uint8_t)(1u << random_below(r, 8));
        return len;
    case 2: /* cut the end off */
        return at;
    case 3: /* take bytes out */
        if (len != 0) {
            size_t cnt = 1 + random_below(r, len - at);
            memmove(data + at, data + at + cnt, len - at - cnt);
            len -= cnt;
        }
        return len;
    case 4: /* put one byte in */
        if (len == INPUT_LEN_MAX)
            return len;
        memmove(data + at + 1, data + at, len - at);
        data[at] = byte_interesting(r);
        return len + 1;
    default:
        return splice(r, data, len);
    }
}

static void mutations_run(struct replay *r)
{
    uint8_t *data = bytes_new(INPUT_LEN_MAX);
    for (uint64_t i = 0; i < r->mutate_cnt; i++) {
        /* From seed and index alone, so that one mutation can be repeated. */
        r->random = (r->seed + i + 1) * UINT64_C(0x9E3779B97F4A7C15);
        const struct input *in = &r->inputs[random_below(r, r->input_cnt)];
        size_t len = in->len;
        memcpy(data, in->data, len);
        for (size_t n = 1 + random_below(r, 6); n > 0; n--)
            len = mutate_once(r, data, len);
        snprintf(input_name, sizeof input_name, "mutation %llu of --seed %llu",
                 (unsigned long long)i, (unsigned long long)r->seed);
        feed(data, len);
    }
    free(data);
}

static void inputs_run(struct replay *r)
{
    for (size_t i = 0; i < r->input_cnt; i++) {
        snprintf(input_name, sizeof input_name, "%s", r->inputs[i].path);
        feed(r->inputs[i].data, r->inputs[i].len);
    }
}

static void inputs_drop(struct replay *r)
{
    for (size_t i = 0; i < r->input_cnt; i++) {
        free(r->inputs[i].path);
        free(r->inputs[i].data);
    }
    free(r->inputs);
}

static uint64_t number_of(const char *text)
{
    char *end = NULL;
    errno = 0;
    uint64_t value = text != NULL ? strtoull(text, &end, 10) : 0;
    if (text == NULL || *text == '\0' || *end != '\0' || errno != 0) {
        errno = EINVAL;
        die("a number is wanted", text != NULL ? text : "end of arguments");
    }
    return value;
}

int main(int argc, char **argv)
{
    struct replay r = {.inputs = calloc(INPUT_CNT_MAX, sizeof *r.inputs), .seed = 1};
    if (r.inputs == NULL)
        die("malloc", "inputs");
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--mutate") == 0)
            r.mutate_cnt = number_of(argv[++i]);
        else if (strcmp(argv[i], "--seed") == 0)
            r.seed = number_of(argv[++i]);
        else
            path_add(&r, argv[i]);
    }
    if (r.input_cnt == 0) {
        fprintf(stderr, "usage: %s [--mutate CNT] [--seed N] FILE-OR-FOLDER...\n", argv[0]);
        inputs_drop(&r);
        return 2;
    }
    watch_deaths();
    inputs_run(&r);
    mutations_run(&r);
    printf("%zu inputs, %llu mutations of seed %llu\n", r.input_cnt,
           (unsigned long long)r.mutate_cnt, (unsigned long long)r.seed);
    printf("%d passed, 0 failed\n", r.mutate_cnt != 0 ? 2 : 1);
    inputs_drop(&r);
    return 0;
}
