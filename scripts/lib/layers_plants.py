"""Violations planted in a copy of the tree, each of which layers.py must find at its line, and
lookalikes, of which it must find none."""

import os
import shutil
import tempfile

import layers

RAW_OPENING = ("/* RAW: planted. Sound because the plants never run; nobody but the self test may"
               " call it. */\n")


def body(statement):
    return f"void f(void *p)\n{{\n    {statement}\n}}\n"


def tokens(room, rule, line, *statements):
    return [(room, body(s), rule, line) for s in statements]


LONG = "void f(void)\n{\n" + "    g();\n" * 99 + "}\n"
LONG_ENOUGH = "void f(void)\n{\n" + "    g();\n" * 98 + "}\n"

# (room, text, rule, line)
PLANTS = [
    ("mem", '#include "proto/frame.h"\n', "include", 1),
    ("mem", '#include "runtime/op.h"\n', "include", 1),
    ("proto", "\n#include <runtime/op.h>\n", "include", 2),
    ("proto", '#include "patterns/pattern.h"\n', "include", 1),
    ("proto", '#include "shards/sock.h"\n', "include", 1),
    ("patterns", '#include "proto/zmtp.h"\n', "include", 1),
    ("patterns", '#  include "runtime/timer.h"\n', "include", 1),
    ("runtime", '#include "proto/zmtp.h"\n', "include", 1),
    ("runtime", '#include "patterns/pipe.h"\n', "include", 1),
    ("shards", '#include "tools/cat.h"\n', "include", 1),
    ("shards", '#include "tests/support/tape.h"\n', "include", 1),
    ("include/monocoque", '#include "mem/buf.h"\n', "include", 1),
    ("include/monocoque", "#include <sys/socket.h>\n", "pure", 1),
    ("tools", '#include "mem/buf.h"\n', "include", 1),
    ("examples", '#include "shards/sock.h"\n', "include", 1),
    ("perf", '#include "mem/buf.h"\n', "include", 1),
    ("perf", '#include "tools/mcq-doctor/check.h"\n', "include", 1),
    ("examples", '#include "tools/mcq-doctor/doctor.h"\n', "include", 1),
    ("shards", '#include "sock.h"\n', "include", 1),
    ("shards", '#include "../mem/buf.h"\n', "include", 1),
    ("tools", '#include "../perf/peer.h"\n', "include", 1),
    ("shards", "#include HEADER\n", "include", 1),
    ("shards", '#include "shards/sock.c"\n', "include", 1),
    ("proto", "#include <sys/socket.h>\n", "pure", 1),
    ("proto", "#include <string.h>\n", "pure", 1),
    ("patterns", "#include <time.h>\n", "pure", 1),
    ("patterns", RAW_OPENING + "#include <unistd.h>\n", "pure", 2),
    ("mem", RAW_OPENING + "#include <liburing.h>\n", "owner", 2),
    ("shards", RAW_OPENING + "#include <liburing.h>\n", "owner", 2),
    ("perf/peers", "#include <liburing.h>\n", "owner", 1),
    ("perf/workloads", "#include <nng/nng.h>\n", "owner", 1),
    ("runtime", "#include <numa.h>\n", "owner", 1),
    ("runtime", "#include <hwloc.h>\n", "owner", 1),
    ("runtime", "#include <bpf/libbpf.h>\n", "owner", 1),
    ("mem", "#include <sodium.h>\n", "owner", 1),
    ("mem", "#include <criterion/criterion.h>\n", "owner", 1),
    ("tools", "#include <zmq.h>\n", "owner", 1),
    ("tools", "#include <jansson.h>\n", "owner", 1),
    ("perf/stats", "#include <jansson.h>\n", "owner", 1),
    ("perf/workloads", "#include <zlib.h>\n", "owner", 1),
    ("runtime", "#include <liburing.h>\n", "raw", 1),
    ("mem", "#include <stdatomic.h>\n", "raw", 1),
    ("mem", "static _Atomic int x;\n", "raw", 1),
    ("mem", "#define COPY(a, b, n) memcpy(a, b, n)\n", "raw", 1),
    ("mem", "/* RAW: because. */\n", "raw", 1),
    ("mem", "/* Not the first line. */\n" + RAW_OPENING + body("memcpy(p, q, 1);"), "raw", 5),
    ("mem", LONG, "length", 2),
    ("tools", LONG, "length", 2),
    ("mem", "/* TODO: later */\n", "rot", 1),
    ("tests", "// FIXME\n", "rot", 1),
    ("mem", "#if 0\nint x;\n#endif\n", "rot", 1),
]
PLANTS += tokens(
    "shards", "raw", 3,
    "memcpy(p, q, 1);", "memmove(p, q, 1);", "memset(p, 0, 1);", "__builtin_memcpy(p, q, 1);",
    "copy = memcpy;", "strcpy(p, q);", "p = malloc(1);", "p = calloc(1, 1);", "p = realloc(p, 2);",
    "free(p);", "p = aligned_alloc(8, 8);", "p = strdup(q);", "p = mmap(0, 1, 2, 3, 4, 5);",
    "munmap(p, 1);", "mlock(p, 1);", "madvise(p, 1, 2);", "mbind(p, 1, 2, 3, 4, 5);",
    "__atomic_load_n(p, 0);", "atomic_fetch_add(p, 1);", "__sync_synchronize();",
    '__asm__ volatile("" ::: "memory");', "struct io_uring_cqe *cqe = 0;", "io_uring_enter(1);",
    "int s = socket(1, 2, 3);", "bind(s, a, 1);", "listen(s, 1);", "accept(s, 0, 0);",
    "connect (s, a, 1);", "read(s, p, 1);", "write(s, p, 1);", "send(s, p, 1, 0);",
    "sendmsg(s, p, 0);", "recv(s, p, 1, 0);", "recvmsg(s, p, 0);", "close(s);", "ioctl(s, 1);",
    "fcntl(s, 1);", "epoll_wait(s, p, 1, 0);", "eventfd(0, 0);", "setsockopt(s, 1, 2, p, 4);",
    "if (shutdown(s, 1))", "syscall(1);", "clock_gettime(1, p);", "pthread_create(p, 0, f, 0);",
    "struct x *y = (struct x *)p;", "y = (const struct x *)p;", "return (struct x *)p;",
    "g((struct x *)(p));", "z = *(struct x **)p;", "y = (union u *)&p;",
    "a = b ? (struct x *)p : 0;", 'puts("/*"); memset(p, 0, 1); puts("*/");',
    "c = '\"'; memset(p, 0, 1);")

# (room, text): nothing may be found in these.
LOOKALIKES = [
    ("mem", "/* memcpy(p, q, 1), (struct x *)p */\n// malloc(1)\n"),
    ("mem", body('puts("memcpy(p) // (struct x *)p"); puts("\\"malloc(1)");')),
    ("mem", RAW_OPENING + "#include <stdatomic.h>\n" + body("memcpy(p, (struct x *)p, 1);")),
    ("mem", RAW_OPENING + "#include <numa.h>\n#include <numaif.h>\n"),
    ("runtime", RAW_OPENING + '#include <liburing.h>\n#include "runtime/op.h"\n'),
    ("proto", '#include "mem/slice.h"\n#include "proto/wire.h"\n#include <stdint.h>\n'),
    ("proto", RAW_OPENING + "#include <string.h>\n"),
    ("patterns", '#include <monocoque/msg.h>\n#include "mem/list.h"\n'),
    ("shards", '#include "proto/zmtp.h"\n#include "patterns/pipe.h"\n#include "runtime/op.h"\n'),
    ("shards", body("o->close(p); o.send (p); mcq_close(p); my_malloc_count++;")),
    ("shards", body("o->free(p); uint32_t free = o->free; free++;")),
    ("patterns", "static bool send(struct x *a)\n{\n    return send(a);\n}\n"),
    ("patterns", "void g(struct x *) __attribute__((cold));\nbool (*send)(struct x *);\n"),
    ("patterns", "size_t n = sizeof(struct x *);\n" + LONG_ENOUGH),
    ("patterns", body("void *const q = p; struct x y = (struct x){0};")),
    ("include/monocoque", "#include <monocoque/base.h>\n#include <stddef.h>\n"),
    ("tools", '#include <monocoque.h>\n#include "tools/text.h"\n#include <sys/socket.h>\n'),
    ("tools", '#include "text.h"\n' + body("memcpy(p, q, 1); close(s);")),
    ("perf", '#include "mem/hdr.h"\n#include "perf/peers/peer.h"\n#include <zmq.h>\n'),
    ("perf/output", "#include <jansson.h>\n#include <zlib.h>\n"),
    ("perf", '#include "tools/mcq-doctor/doctor.h"\n'),
    ("perf/micro", '#include "proto/zmtp.h"\n#include "patterns/pipe.h"\n'),
    ("tests", '#include "proto/zmtp.h"\n#include <criterion/criterion.h>\n' + LONG),
]


def planted(root, number, room, text):
    folder = os.path.join(root, room)
    os.makedirs(folder, exist_ok=True)
    path = f"{room}/zz_plant_{number}.c"
    with open(os.path.join(root, path), "w", encoding="utf-8") as f:
        f.write(text)
    return path


def judge(paths, report):
    """Yields one complaint per plant that was not found and per lookalike that was."""
    found = {}
    for path, line, rule, text in report.violations:
        found.setdefault(path, []).append((line, rule))
    for number, (_, text, rule, line) in enumerate(PLANTS):
        if found.get(paths[number]) != [(line, rule)]:
            yield f"expected {rule} in line {line}, got {found.get(paths[number])}:\n{text}"
    for number, (_, text) in enumerate(LOOKALIKES, len(PLANTS)):
        if paths[number] in found:
            yield f"expected nothing, got {found[paths[number]]}:\n{text}"


def check_sodium():
    """The first user of libsodium is right, the second is one too many."""
    with tempfile.TemporaryDirectory() as tree:
        for number in (0, 1):
            planted(tree, number, "proto", RAW_OPENING + "#include <sodium.h>\n")
        rules = [(v[0], v[2]) for v in layers.check(tree).violations]
        if rules != [("proto/zz_plant_1.c", "owner")]:
            yield f"a second user of libsodium was not found: {rules}"


def run(root):
    with tempfile.TemporaryDirectory() as tree:
        for room in layers.ROOMS:
            if os.path.isdir(os.path.join(root, room)):
                shutil.copytree(os.path.join(root, room), os.path.join(tree, room))
        before = len(layers.check(tree).violations)
        plants = [(room, text) for room, text, _, _ in PLANTS] + LOOKALIKES
        paths = [planted(tree, n, room, text) for n, (room, text) in enumerate(plants)]
        report = layers.check(tree)
    failures = list(judge(paths, report)) + list(check_sodium())
    if len(report.violations) - before != len(PLANTS):
        failures.append("the plants changed what is found elsewhere")
    for failure in failures:
        print(f"layers self test: {failure}")
    cnt = len(plants) + 2
    print(f"{cnt - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0
