#!/usr/bin/python3
"""Holds mcq-doctor to its contract: what it says of golden machines, of damaged files, and of this
host; that it opens nothing for writing; its text, JSON and docs.

usage: cli.py MCQ_DOCTOR     from the root of the source; ends with `N passed, N failed`
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import machines

STATUSES = ("PASS", "UNKNOWN", "WARN", "FAIL")
MEMBERS = ["schema", "version", "verdict", "kernel", "cpus", "note", "nic", "shards", "window_ms",
           "counts", "checks"]
CHECK_MEMBERS = ["id", "group", "status", "found", "path", "wanted", "cost", "fix"]
WRONG = [
    (["--nonsense"], "no option"),
    (["nonsense"], "no option"),
    (["--root"], "needs a value"),
    (["--root", "/does/not/exist"], "No such file"),
    (["--root", "/" + "x" * 300], "--root"),
    (["--window", "60001"], "0 to 60000"),
    (["--window", "-1"], "0 to 60000"),
    (["--width", "59"], "60 to"),
    (["--cpus", "5000"], "--cpus"),
    (["--cpus", "1-0"], "--cpus"),
    (["--shards", "0"], "1 to 128"),
]
# What may stand in place of a file. None is a form that any of the files has, but for free text.
DAMAGE = {
    "empty": b"",
    "newlines": b"\n\n\n\n",
    "words": b"what is this? 7 of 9\n",
    "bytes": bytes(range(256)),
    "not utf-8": b"\xff\xfe\xfd\xfc\n",
    "huge number": b"99999999999999999999999999\n",
    "number and more": b"0x10 0\n",
    "long line": b"z" * 300000,
    "long list": b"7,,7," * 50000,
    "too long": b"1 " * (3 << 20),
    "format": b"%s%n%s%n%99999d\n",
    "colons": b":::::\n::\n[[[]]]\n",
}
HEAVY = 100000
# Here nothing is a legal text, too: an empty list of CPUs.
LEGAL = {("proc/irq/24/effective_affinity_list", "irq-affinity"),
         ("proc/irq/24/effective_affinity_list", "irq-nic"),
         ("proc/irq/25/effective_affinity_list", "irq-affinity"),
         ("proc/irq/25/effective_affinity_list", "irq-nic"),
         ("sys/devices/system/cpu/isolated", "cpu-isolated"),
         ("sys/devices/system/cpu/nohz_full", "cpu-nohz-full")}
# Files whose text is free: any of it is a legal one, which lacks what is looked for.
FREE = ("/comm", "proc/cmdline", "cpuidle/", "sys_vendor", "clock_name", "msi_irqs/",
        "proc/sys/kernel/version", "watchdog_cpumask", "available_clocksource", "scaling_governor",
        "energy_performance_preference", "current_clocksource", "proc/net/route", "osrelease",
        "proc/swaps")
WRITE_FLAGS = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND")

passed = failed = 0


def check(what, good, told=""):
    global passed, failed
    passed += bool(good)
    failed += not good
    if not good:
        print(f"doctor-cli: {what}: {told}")


def drop_root():
    """So that files of mode 0 can't be read."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


def run(doctor, *options, low=False):
    return subprocess.run([doctor, *options], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=300, check=False, preexec_fn=drop_root if low else None)


def report(doctor, *options, low=False):
    done = run(doctor, "--json", *options, low=low)
    if done.returncode != 0 or done.stderr:
        raise RuntimeError(f"{options}: exit {done.returncode}, {done.stderr.decode()[:500]}")
    return json.loads(done.stdout.decode("ascii"))


def well_formed(what, told):
    check(f"{what}: members", list(told) == MEMBERS, list(told))
    check(f"{what}: schema", (told["schema"], told["version"]) == ("mcq-doctor", 1))
    counts = {s: sum(c["status"] == s for c in told["checks"]) for s in STATUSES}
    check(f"{what}: counts", told["counts"] == counts, (told["counts"], counts))
    worst = max(told["checks"], key=lambda c: STATUSES.index(c["status"]))["status"]
    check(f"{what}: verdict", told["verdict"] == worst, (told["verdict"], worst))
    ids = [c["id"] for c in told["checks"]]
    check(f"{what}: ids", len(ids) == len(set(ids)) and len(ids) >= 80, ids)
    for c in told["checks"]:
        bad = c["status"] in ("WARN", "FAIL")
        check(f"{what}: {c['id']}", list(c) == CHECK_MEMBERS, list(c))
        check(f"{what}: {c['id']} says what was found", c["found"] and c["path"], c)
        check(f"{what}: {c['id']} costs", re.search(r"\.$", c["cost"]), c["cost"])
        check(f"{what}: {c['id']} has a fix if it is bad", (c["fix"] is not None) == bad, c)
        check(f"{what}: {c['id']} leaves nothing to fill in",
              not re.search(r"\{(cpus|each|house|housemask|nic|hugepages)\}", c["fix"] or ""), c)
        if c["status"] == "UNKNOWN":
            check(f"{what}: {c['id']} has a reason", len(c["found"]) > 8, c["found"])


def fixes_are_commands(what, told):
    """A shell can parse each one."""
    for c in told["checks"]:
        if c["fix"] and not c["fix"].startswith(("no command: ", "kernel command line: ")):
            done = subprocess.run(["sh", "-n", "-c", c["fix"]], capture_output=True, check=False)
            check(f"{what}: the fix of {c['id']} is a command", done.returncode == 0,
                  (c["fix"], done.stderr))


def golden(doctor, root, machine):
    told = report(doctor, "--root", root, *machine.options, low=bool(machine.unreadable))
    well_formed(machine.name, told)
    fixes_are_commands(machine.name, told)
    known = {c["id"] for c in told["checks"]}
    check(f"{machine.name}: expectations are of checks", set(machine.others) <= known,
          set(machine.others) - known)
    for c in told["checks"]:
        check(f"{machine.name}: {c['id']} is {machine.expected(c['id'])}",
              c["status"] == machine.expected(c["id"]), c)
    return told


def text_is_aligned(doctor, root, machine):
    for width in (60, 80, 120):
        done = run(doctor, "--root", root, "--width", str(width), *machine.options)
        lines = done.stdout.decode("ascii").splitlines()
        for line in lines:
            check(f"{machine.name}: {width} columns", len(line) <= width, line)
            check(f"{machine.name}: no space at the end", line == line.rstrip(), repr(line))
            check(f"{machine.name}: columns", re.match(
                r"$|\S|  (PASS|UNKNOWN|WARN|FAIL) +(\d+(  \S|$)|[a-z0-9-]+ +\S)"
                r"| {10}(read|wanted|cost|fix) +\S| {15}\S| {17}\S| {33}\S", line), repr(line))
        starts = [re.match(r"  \S+ +[a-z][a-z0-9-]+ +", line) for line in lines]
        check(f"{machine.name}: one column of findings", {m.end() for m in starts if m} == {33},
              {m.end() for m in starts if m})
        check(f"{machine.name}: no colours in a file", "\033" not in done.stdout.decode())


def pasted_commands(doctor, root, machine, told):
    """What the text shows of a command, put together as a shell does, is the command."""
    done = run(doctor, "--root", root, "--width", "80", *machine.options)
    shown, fix = [], None
    for line in done.stdout.decode().splitlines() + [""]:
        if line.startswith("          fix"):
            fix = [line[17:]]
        elif fix is not None and line.startswith(" " * 17):
            fix.append(line[17:])
        elif fix is not None:
            shown.append(pasted(fix))
            fix = None
    wanted = [c["fix"] for c in told["checks"] if c["fix"]]
    check(f"{machine.name}: commands can be pasted", shown == wanted,
          [p for p in zip(shown, wanted) if p[0] != p[1]])


def pasted(lines):
    """A shell joins lines at a backslash, but not in a comment, which each line begins anew."""
    text = lines[0]
    for before, line in zip(lines, lines[1:]):
        if before.endswith("\\") and not before.startswith("# "):
            text = text[:-1] + line
        elif line.startswith("# ") and before.startswith("# "):
            text += line[1:]
        else:
            text += " " + line
    return text


def strict(doctor, roots):
    for name, code in (("tuned", 0), ("empty", 0), ("vm", 1), ("laptop", 1), ("bare cpus", 1)):
        root, machine = roots[name]
        done = run(doctor, "--strict", "--root", root, *machine.options)
        check(f"--strict: {name}", done.returncode == code, done.returncode)


def damaged(doctor, root, machine, base, damage, path, content):
    whole = os.path.join(root, path)
    with open(whole, "rb") as f:
        before = f.read()
    with open(whole, "wb") as f:
        f.write(content)
    try:
        told = report(doctor, "--root", root, *machine.options)
    except (RuntimeError, ValueError, subprocess.TimeoutExpired) as e:
        check(f"{path}: {damage}", False, e)
        return
    finally:
        with open(whole, "wb") as f:
            f.write(before)
    now = {c["id"]: c for c in told["checks"]}
    check(f"{path}: {damage}: all checks", set(now) == set(base))
    free = any(part in path for part in FREE)
    for name, c in now.items():
        good = c["status"] == base[name] or c["status"] == "UNKNOWN" or \
            (free and c["status"] in ("WARN", "FAIL")) or \
            (not content.strip() and (path, name) in LEGAL)
        if not good or not c["found"]:
            check(f"{path}: {damage}: {name} guesses", False, c)


def read_files(machine):
    """Those of other CPUs than the shards' aren't."""
    return [p for p in sorted(machine.files) if not re.search(r"/cpu[014567]/", p)]


def mutations(doctor, root, machine):
    """Damages every file there is, one at a time. A machine where all is well, so that nothing may
    become worse of what nobody could read."""
    told = report(doctor, "--root", root, *machine.options)
    base = {c["id"]: c["status"] for c in told["checks"]}
    for number, path in enumerate(read_files(machine)):
        for damage, content in DAMAGE.items():
            # all are read by the same function, so that a few will do for what is large
            if len(content) < HEAVY or number % 8 == 0:
                damaged(doctor, root, machine, base, damage, path, content)


def odd_files(doctor, root, machine):
    """What is no file: folders, pipes nobody writes to, links to nowhere. A few at a time."""
    paths = [os.path.join(root, path) for path in read_files(machine)]
    for first in range(12):
        odd = paths[first::12]
        for path in odd:
            os.rename(path, path + ".kept")
        for kind, make, drop in (("folder", os.mkdir, os.rmdir), ("pipe", os.mkfifo, os.unlink),
                                 ("loop", lambda p: os.symlink(p, p), os.unlink)):
            for path in odd:
                make(path)
            try:
                told = report(doctor, "--root", root, *machine.options)
                check(f"{kind}s in place of {odd}", told["counts"]["UNKNOWN"] > 0)
            except (RuntimeError, ValueError, subprocess.TimeoutExpired) as e:
                check(f"{kind}s in place of {odd}", False, e)
            for path in odd:
                drop(path)
        for path in odd:
            os.rename(path + ".kept", path)


def this_host(doctor):
    told = report(doctor, "--window", "20")
    well_formed("this host", told)
    fixes_are_commands("this host", told)
    done = run(doctor, "--window", "0", "--width", "80")
    check("this host as text", done.returncode == 0 and b"in all" in done.stdout, done.stderr)
    done = run(doctor, "--window", "0", "--json", low=True)
    check("this host, seen by nobody", done.returncode == 0 or os.getuid() == 0, done.stderr)


def reads_only(doctor):
    """By every call that opens or changes something."""
    strace = shutil.which("strace")
    if strace is None:
        print("SKIP doctor-cli reads_only: no strace")
        return
    # LeakSanitizer can't work under a tracer
    os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        done = subprocess.run([strace, "-f", "-o", log, "-e",
                               "trace=%file,openat,creat,write,pwrite64,ioctl,mount,ptrace,adjtimex"
                               ",clock_adjtime,settimeofday,sched_setscheduler", doctor, "--window",
                               "1", "--json"], capture_output=True, timeout=300, check=False)
        if done.returncode != 0 and b"ptrace" in done.stderr.lower():
            print("SKIP doctor-cli reads_only: no ptrace here")
            return
        with open(log, encoding="utf-8", errors="replace") as f:
            calls = f.read().splitlines()
    opened = [c for c in calls if "openat(" in c]
    check("strace saw files of /proc and /sys", sum('"/sys' in c or '"/proc' in c
                                                    for c in opened) > 50, len(opened))
    for call in calls:
        check("opened for writing", not (("open" in call) and WRITE_FLAGS.search(call)), call)
        check("changes a file", not re.search(r"\b(unlink|rename|mkdir|chmod|chown|truncate|link|"
                                              r"symlink|mknod|utimens\w*|mount)(at|at2)?\(", call),
              call)
        check("writes but to its output", not re.search(r"\bp?write(64)?\((?![12],)", call), call)
        check("sets the time", not re.search(r"adjtimex?\(.*modes=(?!0)|settimeofday", call), call)


def tuned_profile(doctor, root, machine):
    done = run(doctor, "--emit-tuned", "--root", root, *machine.options)
    text = done.stdout.decode()
    sections = re.findall(r"^\[(\w+)\]$", text, re.M)
    check("tuned: sections", sections == ["main", "cpu", "vm", "sysctl", "sysfs", "net",
                                          "bootloader"], sections)
    check("tuned: the command line", "cmdline_monocoque=+isolcpus=domain,managed_irq,2-3 "
          "nohz_full=2-3 rcu_nocbs=2-3 irqaffinity=0-1,4-7 " in text, text)
    check("tuned: masks", "/sys/devices/virtual/workqueue/cpumask=f3\n" in text, text)
    check("tuned: the interface", "[net]\ndevices=eth0\n" in text, text)
    for line in text.splitlines():
        check("tuned: a line", re.match(r"$|#|\[\w+\]$|[\w./*-]+=\S", line), line)
    # What it sets is what the machine that has it set passes with.
    for name, value in re.findall(r"^([a-z]+\.[\w.]+)=(.*)$", text, re.M):
        if name == "vm.nr_hugepages":
            check("tuned: huge pages of two shards", value == "256", value)
        elif name != "vm.swappiness":
            with open(os.path.join(root, "proc/sys", name.replace(".", "/")), encoding="utf-8") as f:
                check(f"tuned: {name}", f.read().split() == value.split(), value)


def usage(doctor):
    done = run(doctor, "--help")
    check("--help", done.returncode == 0 and b"--emit-tuned" in done.stdout and
          b"--cpus" in done.stdout)
    for options, word in WRONG:
        done = run(doctor, *options)
        check(f"{options} is refused", done.returncode == 2 and not done.stdout, done)
        check(f"{options} is told why", word in done.stderr.decode(), done.stderr)


def docs(doctor):
    table = run(doctor, "--list").stdout.decode()
    with open("docs/DOCTOR.md", encoding="utf-8") as f:
        check("docs/DOCTOR.md has the table of `mcq-doctor --list`", table in f.read())


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        doctor = os.path.join(folder, "mcq-doctor")  # where nobody may run it, too
        shutil.copy(sys.argv[1], doctor)
        roots = {}
        for make in machines.ALL:
            machine = make()
            root = os.path.join(folder, machine.name.replace(" ", "-"))
            os.mkdir(root)
            machine.write(root)
            roots[machine.name] = (root, machine)
            told = golden(doctor, root, machine)
            text_is_aligned(doctor, root, machine)
            if not machine.unreadable:
                pasted_commands(doctor, root, machine, told)
        strict(doctor, roots)
        tuned_profile(doctor, *roots["tuned"])
        usage(doctor)
        docs(doctor)
        this_host(doctor)
        reads_only(doctor)
        mutations(doctor, *roots["tuned"])
        odd_files(doctor, *roots["tuned"])
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
