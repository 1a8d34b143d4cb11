"""The rules of the house: who may include whom, and where raw operations may be.

Directions are those of docs/ARCHITECTURE.md. Raw operations are allowed only in files whose first
line opens a comment `/* RAW: why; which invariant makes it sound; who may call */`.
"""

import os
import re

from source import Source

LIBRARY = ("include", "mem", "proto", "patterns", "runtime", "shards")
PROGRAMS = ("tools", "perf", "examples")
ROOMS = LIBRARY + PROGRAMS + ("tests",)

# Which rooms' headers a room may include, beside its own and the public ones.
MAY_INCLUDE = {
    "include": (),
    "mem": (),
    "proto": ("mem",),
    "patterns": ("mem",),
    "runtime": ("mem",),
    "shards": ("mem", "proto", "patterns", "runtime"),
    "tools": (),
    "perf": (),
    "examples": (),
}
# mcq-perf records with the library's own histogram, and writes the doctor's verdict beside it.
ALSO = {"perf": ("mem/hdr.h", "tools/mcq-doctor/doctor.h")}
# These look inside: the unit tests of a room, and what measures a room without the kernel.
EXEMPT = ("tests/", "perf/micro/")

# The headers of an outside library, and the one room, or folder of one, it belongs to.
OWNERS = (
    (re.compile(r"(liburing(/.*)?|linux/io_uring)\.h|liburing\.h"), "liburing", "runtime"),
    (re.compile(r"numa(if|compat1)?\.h"), "libnuma", "mem"),
    (re.compile(r"hwloc(/.*)?\.h|hwloc\.h"), "hwloc", "shards"),
    (re.compile(r"(bpf/.*|linux/bpf.*)\.h"), "libbpf", "shards"),
    (re.compile(r"sodium(/.*)?\.h|sodium\.h"), "libsodium", "proto"),
    (re.compile(r"criterion/.*\.h"), "Criterion", "tests"),
    (re.compile(r"c?zmq(_.*)?\.h"), "libzmq", "perf"),
    (re.compile(r"nng/.*\.h"), "nng", "perf/peers"),
    (re.compile(r"jansson\.h"), "jansson", "perf/output"),
    (re.compile(r"zlib\.h"), "zlib", "perf/output"),
)

# One file of another room that may include it, too: the peer that is bare io_uring.
GUESTS = {"liburing": "perf/peers/uring.c"}

# What a column may know of the world: nothing but names of types and limits.
PURE_HEADERS = {"stddef.h", "stdint.h", "stdbool.h", "limits.h", "inttypes.h", "stdalign.h"}
PUBLIC_HEADERS = {"stddef.h", "stdint.h", "stdbool.h", "limits.h"}
RAW_HEADERS = re.compile(r"stdatomic\.h|liburing.*|linux/io_uring\.h|sys/mman\.h|x?mmintrin\.h"
                         r"|x86intrin\.h|immintrin\.h")

# Names without another meaning: any mention counts.
RAW_NAMES = (
    ("memory", r"(?:__builtin_)?(?:w?mem(?:cpy|move|set|pcpy|ccpy)|bcopy|bzero|explicit_bzero)"
               r"|__builtin_mem\w+|st[rp]n?cpy|strn?cat|v?sprintf|gets"),
    ("alloc", r"(?:__builtin_)?(?:malloc|calloc|realloc|reallocarray|aligned_alloc|posix_memalign"
              r"|memalign|valloc|pvalloc|strdup|strndup|v?asprintf|alloca)"),
    ("mmap", r"mmap(?:64)?|munmap|mremap|mprotect|madvise|mlock2?|mlockall|munlock|munlockall"
             r"|mincore|mbind|[gs]et_mempolicy|move_pages|memfd_create|numa_\w+"),
    ("atomic", r"__atomic_\w+|atomic_\w+|_Atomic|__sync_\w+|__asm__|__asm|asm"),
    ("io_uring", r"io_uring_\w+"),
)
# Names that a member or a function of the file may have as well: only calls count.
RAW_CALLS = (
    ("alloc", "free brk sbrk"),
    ("syscall", r"""
        syscall socket socketpair bind listen accept accept4 connect shutdown read readv pread
        preadv preadv2 write writev pwrite pwritev pwritev2 send sendto sendmsg sendmmsg sendfile
        recv recvfrom recvmsg recvmmsg splice open openat creat close close_range dup dup2 dup3
        pipe pipe2 ioctl fcntl flock poll ppoll select pselect epoll_create epoll_create1 epoll_ctl
        epoll_wait epoll_pwait eventfd eventfd_read eventfd_write timerfd_create timerfd_settime
        signalfd inotify_init setsockopt getsockopt getsockname getpeername getaddrinfo
        getnameinfo freeaddrinfo stat fstat lstat fstatat access unlink unlinkat rename mkdir rmdir
        chmod chown truncate ftruncate fsync fopen fdopen popen opendir system fork vfork clone
        execv execve execvp waitpid kill raise signal sigaction sigprocmask sigwait
        sched_setaffinity sched_getaffinity sched_setscheduler sched_yield sched_getcpu getcpu
        setpriority getrlimit setrlimit prlimit getrusage prctl personality clock_gettime
        clock_getres clock_nanosleep gettimeofday nanosleep usleep sleep getrandom getentropy
        getpid gettid getuid geteuid uname sysinfo sysconf bpf if_nametoindex
        pthread_\w+ sem_\w+"""),
)

CAST = re.compile(r"\(\s*(?:(?:const|volatile)\s+)*(?:struct|union)\s+\w+\s*(?:const\s*)?"
                  r"\*[\s*const]*\)\s*(?=[A-Za-z0-9_&*(\-+!~])")
# A parenthesis after one of these words opens an operand; after another word, parameters.
OPERAND_WORDS = {"return", "case", "else", "do", "in"}
ROT = re.compile(r"\b(TODO|FIXME|XXX)\b")
DISABLED = re.compile(r"^[ \t]*#[ \t]*if[ \t]+0\b", re.MULTILINE)

FUNCTION_LINES_MAX = 100
FUNCTION_LINES_WARN = 70
FILE_LINES_WARN = 500


def raw_pattern():
    names = [f"(?P<name_{kind}>{names})" for kind, names in RAW_NAMES]
    calls = [rf"(?P<call_{kind}>{'|'.join(names.split())})(?=\s*\()" for kind, names in RAW_CALLS]
    return re.compile(r"\b(?:" + "|".join(names + calls) + r")\b")


RAW = raw_pattern()


class Report:
    def __init__(self):
        self.violations = []  # (path, line, rule, text)
        self.notes = []

    def fail(self, source, line, rule, text):
        self.violations.append((source.path, line, rule, text))

    def note(self, source, line, rule, text):
        self.notes.append((source.path, line, rule, text))


def is_raw(source):
    return source.text.startswith("/* RAW:")


def is_exempt(source):
    return source.path.startswith(EXEMPT)


def check_room_include(source, line, name, report):
    """An include of one of our own headers."""
    room = source.room
    target = name.split("/", 1)[0]
    if name.endswith(".c"):
        report.fail(source, line, "include", f'"{name}": a source is linked, not included')
    elif target in ("monocoque", "monocoque.h"):
        pass
    elif target == room and room != "include":
        pass
    elif target not in MAY_INCLUDE[room] and name not in ALSO.get(room, ()):
        report.fail(source, line, "include", f'{room}/ may not include "{name}"')


def check_system_include(source, line, name, report):
    for pattern, library, owner in OWNERS:
        if (pattern.fullmatch(name) and not source.path.startswith(owner + "/")
                and source.path != GUESTS.get(library)):
            report.fail(source, line, "owner", f"<{name}>: {library} belongs to {owner}/")
            return
    if source.room in ("proto", "patterns"):
        # string.h declares nothing a pure file may call, except where the file is raw.
        allowed = PURE_HEADERS | ({"string.h"} if is_raw(source) else set())
        if name not in allowed and name != "sodium.h":
            report.fail(source, line, "pure", f"<{name}>: {source.room}/ knows no system")
    elif source.room == "include" and name not in PUBLIC_HEADERS:
        report.fail(source, line, "pure", f"<{name}>: a public header needs types only")
    if source.room in LIBRARY and RAW_HEADERS.fullmatch(name) and not is_raw(source):
        report.fail(source, line, "raw", f"<{name}> in a file that doesn't open with RAW:")


def check_includes(source, report):
    if is_exempt(source):
        return
    for line, name, form in source.includes():
        if form == "macro":
            report.fail(source, line, "include", f"{name}: a computed include can't be checked")
        elif name.split("/", 1)[0] in ROOMS + ("monocoque", "monocoque.h"):
            check_room_include(source, line, name, report)
        elif form == '"':
            # A program is one folder that nobody includes from elsewhere.
            if source.room in LIBRARY or "/" in name:
                report.fail(source, line, "include", f'"{name}": write the path from the root')
        else:
            check_system_include(source, line, name, report)


def check_raw_tokens(source, report):
    own = source.static_functions()
    for m in RAW.finditer(source.code):
        kind = m.lastgroup
        before = source.code[:m.start()].rstrip()
        if before.endswith((".", "->")):
            continue
        if kind.startswith("call_") and m[0] in own:
            continue
        report.fail(source, source.line_of(m.start()), "raw",
                    f"{m[0]} ({kind.split('_', 1)[1]}) in a file that doesn't open with RAW:")
    for m in CAST.finditer(source.code):
        before = source.code[:m.start()].rstrip()
        word = re.search(r"\w+$", before)
        if before.endswith(")") or (word and word[0] not in OPERAND_WORDS):
            continue
        report.fail(source, source.line_of(m.start()), "raw",
                    f"cast {' '.join(m[0].split())} in a file that doesn't open with RAW:")


def check_raw_opening(source, report):
    """What a RAW file owes its reader: a closed comment that says why and who may call."""
    opening = source.text.split("*/", 1)[0]
    if "*/" not in source.text or len(opening.split()) < 12:
        report.fail(source, 1, "raw", "the RAW: comment says why, which invariant makes it sound,"
                                      " and who may call")


def check_rot(source, report):
    for m in ROT.finditer(source.comments):
        report.fail(source, source.line_of(m.start()), "rot", f"{m[0]}: finish it or leave it out")
    for m in DISABLED.finditer(source.code):
        report.fail(source, source.line_of(m.start()), "rot", "#if 0: delete it")


def check_length(source, report):
    if source.lines > FILE_LINES_WARN:
        report.note(source, 1, "length", f"{source.lines} lines: more than one noun?")
    for line, length in source.functions():
        text = f"a function of {length} lines"
        if length > FUNCTION_LINES_MAX:
            report.fail(source, line, "length", f"{text}, at most {FUNCTION_LINES_MAX}")
        elif length > FUNCTION_LINES_WARN:
            report.note(source, line, "length", f"{text}, aim for {FUNCTION_LINES_WARN} at most")


def check_sodium(sources, report):
    users = [s for s in sources if s.room == "proto"
             and any(name == "sodium.h" for _, name, _ in s.includes())]
    for source in users[1:]:
        report.fail(source, 1, "owner", f"libsodium belongs to one file, {users[0].path}")


def check_source(source, report):
    check_includes(source, report)
    check_rot(source, report)
    if source.room == "tests":
        return
    check_length(source, report)
    if source.room not in LIBRARY:
        return
    if is_raw(source):
        check_raw_opening(source, report)
    else:
        check_raw_tokens(source, report)


def sources_of(root):
    for room in ROOMS:
        for folder, _, names in os.walk(os.path.join(root, room)):
            for name in names:
                if name.endswith((".c", ".h", ".cpp", ".hpp")):
                    path = os.path.join(folder, name)
                    with open(path, encoding="utf-8") as f:
                        yield Source(os.path.relpath(path, root).replace(os.sep, "/"), f.read())


def check(root):
    report = Report()
    sources = sorted(sources_of(root), key=lambda s: s.path)
    for source in sources:
        check_source(source, report)
    check_sodium(sources, report)
    report.files = len(sources)
    return report
