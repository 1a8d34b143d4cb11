"""The stages of scripts/test. A failed stage does not stop the others, except those that need what
it should have built."""

import glob
import os
import re
import signal
import subprocess
import sys
import time

import results

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOGS = os.path.join(ROOT, "build", "test-logs")
JOBS = str(os.cpu_count() or 1)
FUZZ_SECONDS = 600
RESTARTS_SECONDS = 600
SEEDS = 100000  # of the simulator
MUTATIONS = 1000000
NAMES_FAILURE = re.compile(r"\[----\]|\[FAIL\]|\[CRASH|FAILED|ERROR: ")
OUTPUT_LINES_MAX = 120  # of one failure, on the terminal; the log has all


class Stages:
    def __init__(self):
        self.total = results.Tally()
        self.broken = set()
        self.number = 0

    def run(self, title, command, read, needs=None, env=None, timeout=600):
        """Runs one stage; read(output, ok) gives its tally. Returns whether it succeeded."""
        if needs in self.broken:
            print(f"{title:<24} not run: {needs} failed", flush=True)
            return False
        self.number += 1
        name = f"{self.number:02d}-{title.replace(' ', '-')}.log"
        start = time.monotonic()
        output, ok = execute(command, os.path.join(LOGS, name), env, timeout)
        tally = read(output, ok)
        if not ok and tally.failed == 0:
            tally.failed = 1
            tally.failures.append((title, output))
        tally.skips = [skip if skip.startswith(title) else f"{title}: {skip}"
                       for skip in tally.skips]
        self.total.add(tally)
        if tally.failed:
            self.broken.add(title)
        seconds = time.monotonic() - start
        word = "FAILED" if tally.failed else "ok"
        count = str(tally) if tally.passed + tally.failed + tally.skipped else ""
        print(f"{title:<24} {word:<7} {seconds:6.1f} s  {count}".rstrip(), flush=True)
        for test, text in tally.failures:
            show(test, text, name)
        return not tally.failed

    def close(self):
        for skip in self.total.skips:
            print(f"skipped: {skip}")
        print(f"tests: {self.total.passed} passed, {self.total.failed} failed,"
              f" {self.total.skipped} skipped")
        return 1 if self.total.failed else 0


def execute(command, log, env, timeout):
    """Runs a command with its output in a log. Returns the output and whether it exited with 0."""
    with open(log, "wb") as f:
        child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=f,
                                 stderr=subprocess.STDOUT, env={**os.environ, **(env or {})},
                                 start_new_session=True)
        try:
            code = child.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            # Also what the command left behind: no stage may load the next one.
            stop(child)
    with open(log, encoding="utf-8", errors="replace") as f:
        output = f.read()
    if code is None:
        output += f"\nended after {timeout} s\n"
    return output, code == 0


def stop(child):
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def show(test, text, log):
    """The end of a failure's output, and before it the lines that name what failed: with tests in
    parallel they may stand anywhere."""
    lines = text.rstrip().split("\n")
    print(f"--- {test} (build/test-logs/{log})")
    for line in [line for line in lines if NAMES_FAILURE.search(line)][:OUTPUT_LINES_MAX]:
        print(line)
    if len(lines) > OUTPUT_LINES_MAX:
        print(f"... {len(lines) - OUTPUT_LINES_MAX} lines before")
    print("\n".join(lines[-OUTPUT_LINES_MAX:]))
    print("---", flush=True)


def as_build(output, ok):
    """A build proves nothing by itself: it counts only if it fails."""
    return results.Tally()


def as_ctest(output, ok):
    return results.of_ctest(output)


def as_program(name):
    return lambda output, ok: results.of_program(name, output, ok)


def build(stages, preset):
    script = f"cmake --preset {preset} && cmake --build --preset {preset} -j {JOBS}"
    return stages.run(f"{preset} build", ["sh", "-c", script], as_build, timeout=1200)


def ctest(stages, title, preset, *options, env=None):
    command = ["ctest", "--test-dir", f"build/{preset}", "-V", "-j", JOBS, "--no-tests=error",
               *options]
    stages.run(title, command, as_ctest, needs=f"{preset} build", env=env, timeout=900)


def interop(stages, title, preset, *options, env=None):
    """Real peers, whose python package only Debian's own interpreter has."""
    command = [sys.executable, "-B", "tests/interop/run.py", "--bin", f"build/{preset}/tools",
               *options]
    stages.run(title, command, as_program(title), needs=f"{preset} build", env=env, timeout=900)


def report_page(stages):
    """The HTML report of mcq-perf in a headless browser, which skips itself without one."""
    command = [sys.executable, "-B", "tests/perf/html.py", "build/dev/perf/output/html"]
    stages.run("report page", command, as_program("report page"), needs="dev build")


def fuzz_targets(stages, title):
    """The targets by name. None at all is a failure of the stage: what isn't there proves nothing."""
    names = [os.path.basename(path)[:-2].removeprefix("fuzz_")
             for path in sorted(glob.glob(os.path.join(ROOT, "tests", "fuzz", "*.c")))]
    if not names:
        stages.run(title, ["sh", "-c", "echo 'no target in tests/fuzz'; exit 1"], as_build)
    return names


def mutate(stages):
    for name in fuzz_targets(stages, "mutations"):
        command = [f"build/asan/tests/fuzz-{name}", "--mutate", str(MUTATIONS), "--seed",
                   str(time.time_ns()), f"tests/fuzz/corpus/{name}"]
        stages.run(f"mutations {name}", command, as_program(name), needs="asan build",
                   timeout=3600)


def fuzz(stages):
    """libFuzzer; what it finds new stays in build/fuzz-corpus, to be looked at and committed."""
    build(stages, "fuzz")
    targets = fuzz_targets(stages, "libFuzzer")
    for name in targets:
        seconds = FUZZ_SECONDS // len(targets)
        found = os.path.join("build", "fuzz-corpus", name)
        os.makedirs(os.path.join(ROOT, found), exist_ok=True)
        command = [f"build/fuzz/tests/fuzz-{name}", f"-max_total_time={seconds}",
                   f"-artifact_prefix={found}-", f"-fork={JOBS}", found,
                   f"tests/fuzz/corpus/{name}"]
        stages.run(f"libFuzzer {name}", command, as_program(name), needs="fuzz build",
                   timeout=seconds + 300)


def endure(stages):
    """What takes long: peers killed for ten minutes, the simulator's seeds and its plantings."""
    stages.run("restarts", ["build/dev/tests/restarts", str(RESTARTS_SECONDS)],
               as_program("restarts"), needs="dev build", timeout=RESTARTS_SECONDS + 300)
    stages.run("seeds", ["scripts/sim", "--seeds", str(SEEDS), "--jobs", JOBS],
               as_program("seeds"), timeout=7200)
    stages.run("ghosts", ["scripts/sim", "--ghosts"], as_program("ghosts"), timeout=1200)
    stages.run("plantings", ["scripts/sim", "--plants", "--jobs", JOBS], as_program("plantings"),
               timeout=3600)


def main(arguments):
    if arguments not in ([], ["--long"]):
        print("usage: scripts/test [--long]", file=sys.stderr)
        return 2
    os.makedirs(LOGS, exist_ok=True)
    old_kernel = {"MCQ_URING_FEATURES": "6.1"}
    stages = Stages()
    stages.run("layers", ["scripts/layers"], as_program("layers"))
    stages.run("layers self test", ["scripts/layers", "--self-test"], as_program("layers self test"))
    stages.run("format", ["scripts/format", "--check"], as_program("format"))
    build(stages, "dev")
    ctest(stages, "dev tests", "dev")
    report_page(stages)
    interop(stages, "interop", "dev")
    ctest(stages, "6.1 tests", "dev", "-L", "unit|program", env=old_kernel)
    interop(stages, "6.1 interop", "dev", "--quick", env=old_kernel)
    build(stages, "asan")
    ctest(stages, "asan tests", "asan")
    interop(stages, "asan interop", "asan", "--quick")
    if arguments == ["--long"]:
        interop(stages, "interop long", "dev", "--long")
        endure(stages)
        build(stages, "tsan")
        ctest(stages, "tsan tests", "tsan")
        mutate(stages)
        fuzz(stages)
    return stages.close()


sys.exit(main(sys.argv[1:]))
