"""The stages of scripts/test. A failed stage does not stop the others, except those that need what
it should have built.

Many tests wait more than they compute, so that one stage alone leaves cores idle: two run side by
side. Whoever is free takes the first stage that may begin."""

import glob
import os
import re
import signal
import subprocess
import sys
import threading
import time

import results

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOGS = os.path.join(ROOT, "build", "test-logs")
JOBS = str(os.cpu_count() or 1)
LANES = 2
FUZZ_SECONDS = 600
RESTARTS_SECONDS = 600
SEEDS = 100000  # of the simulator
MUTATIONS = 1000000
NAMES_FAILURE = re.compile(r"\[----\]|\[FAIL\]|\[CRASH|FAILED|ERROR: ")
OUTPUT_LINES_MAX = 120  # of one failure, on the terminal; the log has all


class Stage:
    """needs: a stage that must have succeeded; after: one that must only be over, as both use the
    same files. read(output, ok) gives the tally."""

    def __init__(self, title, command, read, needs=None, after=None, env=None, timeout=1800):
        self.title, self.command, self.read = title, command, read
        self.needs, self.after = needs, after
        self.env, self.timeout = env, timeout


class Stages:
    def __init__(self, env):
        self.env = env
        self.total = results.Tally()
        self.broken = set()
        self.over = set()
        self.waiting = []
        self.children = set()
        self.number = 0
        self.changed = threading.Condition()

    def add(self, *arguments, **options):
        self.waiting.append(Stage(*arguments, **options))

    def run(self, lanes):
        """Runs what was added, and returns when all of it is over."""
        threads = [threading.Thread(target=self.lane, daemon=True) for _ in range(lanes)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException:
            with self.changed:
                self.waiting.clear()
                for child in list(self.children):
                    kill(child)
            raise

    def lane(self):
        while (stage := self.take()) is not None:
            try:
                self.one(stage)
            except Exception as why:  # whatever it is, it is this stage's failure
                tally = results.Tally(0, 1)
                tally.failures.append((stage.title, repr(why)))
                self.tell(stage, tally, 0, "")

    def take(self):
        """The first stage that may begin; None if there are no more."""
        with self.changed:
            while self.waiting:
                for stage in self.waiting:
                    if {stage.needs, stage.after} - {None} <= self.over:
                        self.waiting.remove(stage)
                        return stage
                self.changed.wait()
        return None

    def one(self, stage):
        with self.changed:
            if stage.needs in self.broken:
                print(f"{stage.title:<24} not run: {stage.needs} failed", flush=True)
                self.end(stage, True)
                return
            self.number += 1
            name = f"{self.number:02d}-{stage.title.replace(' ', '-')}.log"
        start = time.monotonic()
        output, ok = execute(stage.command, os.path.join(LOGS, name),
                             {**self.env, **(stage.env or {})}, stage.timeout, self.children)
        tally = stage.read(output, ok)
        if not ok and tally.failed == 0:
            tally.failed = 1
            tally.failures.append((stage.title, output))
        self.tell(stage, tally, time.monotonic() - start, name)

    def tell(self, stage, tally, seconds, name):
        tally.skips = [skip if skip.startswith(stage.title) else f"{stage.title}: {skip}"
                       for skip in tally.skips]
        word = "FAILED" if tally.failed else "ok"
        count = str(tally) if tally.passed + tally.failed + tally.skipped else ""
        with self.changed:
            print(f"{stage.title:<24} {word:<7} {seconds:6.1f} s  {count}".rstrip(), flush=True)
            for test, text in tally.failures:
                show(test, text, name)
            tally.failures = [(f"{stage.title}: {test}", "") for test, _ in tally.failures]
            self.total.add(tally)
            self.end(stage, tally.failed != 0)

    def end(self, stage, broken):
        if broken:
            self.broken.add(stage.title)
        self.over.add(stage.title)
        self.changed.notify_all()

    def close(self):
        for skip in self.total.skips:
            print(f"skipped: {skip}")
        for test, _ in self.total.failures:
            print(f"failed: {test}")
        print(f"tests: {self.total.passed} passed, {self.total.failed} failed,"
              f" {self.total.skipped} skipped")
        return 1 if self.total.failed else 0


def execute(command, log, env, timeout, children):
    """Runs a command with its output in a log. Returns the output and whether it exited with 0."""
    with open(log, "wb") as f:
        child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=f,
                                 stderr=subprocess.STDOUT, env={**os.environ, **env}, start_new_session=True)
        children.add(child)
        try:
            code = child.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            # Also what the command left behind: no stage may load the next one.
            stop(child)
            children.discard(child)
    with open(log, encoding="utf-8", errors="replace") as f:
        output = f.read()
    if code is None:
        output += f"\nended after {timeout} s\n"
    return output, code == 0


def kill(child):
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def stop(child):
    kill(child)
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
    stages.add(f"{preset} build", ["sh", "-c", script], as_build)


def ctest(stages, title, preset, *options, **order):
    command = ["ctest", "--test-dir", f"build/{preset}", "-V", "-j", JOBS, "--no-tests=error",
               *options]
    stages.add(title, command, as_ctest, needs=f"{preset} build", **order)


def interop(stages, title, preset, *options, env=None):
    """Real peers, whose python package only Debian's own interpreter has."""
    command = [sys.executable, "-B", "tests/interop/run.py", "--bin", f"build/{preset}/tools",
               *options]
    stages.add(title, command, as_program(title), needs=f"{preset} build", env=env)


def report_page(stages):
    """The HTML report of mcq-perf in a headless browser, which skips itself without one."""
    command = [sys.executable, "-B", "tests/perf/html.py", "build/dev/perf/output/html"]
    stages.add("report page", command, as_program("report page"), needs="dev build")


def fuzz_targets(stages, title):
    """The targets by name. None at all is a failure of the stage: what isn't there proves nothing."""
    names = [os.path.basename(path)[:-2].removeprefix("fuzz_")
             for path in sorted(glob.glob(os.path.join(ROOT, "tests", "fuzz", "*.c")))]
    if not names:
        stages.add(title, ["sh", "-c", "echo 'no target in tests/fuzz'; exit 1"], as_build)
    return names


def mutate(stages):
    for name in fuzz_targets(stages, "mutations"):
        command = [f"build/asan/tests/fuzz-{name}", "--mutate", str(MUTATIONS), "--seed",
                   str(time.time_ns()), f"tests/fuzz/corpus/{name}"]
        stages.add(f"mutations {name}", command, as_program(name), needs="asan build",
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
        stages.add(f"libFuzzer {name}", command, as_program(name), needs="fuzz build",
                   timeout=seconds + 300)


def endure(stages):
    """What takes long: peers killed for ten minutes, the simulator's seeds and its plantings."""
    stages.add("restarts", ["build/dev/tests/restarts", str(RESTARTS_SECONDS)],
               as_program("restarts"), needs="dev build", timeout=RESTARTS_SECONDS + 300)
    stages.add("seeds", ["scripts/sim", "--seeds", str(SEEDS), "--jobs", JOBS],
               as_program("seeds"), timeout=7200)
    stages.add("ghosts", ["scripts/sim", "--ghosts"], as_program("ghosts"), timeout=1200)
    stages.add("plantings", ["scripts/sim", "--plants", "--jobs", JOBS], as_program("plantings"),
               timeout=3600)


def everything(stages, long):
    """In the order in which they begin: what others wait for first."""
    old_kernel = {"MCQ_URING_FEATURES": "6.1"}
    # What no feature of the ring can reach is not run again without them.
    ring = [] if long else ["-E", "^(test-(mem|patterns|perf|proto|sim)|topo_plans|steer_twin)$"]
    build(stages, "dev")
    stages.add("layers", ["scripts/layers"], as_program("layers"))
    stages.add("layers self test", ["scripts/layers", "--self-test"],
               as_program("layers self test"))
    stages.add("format", ["scripts/format", "--check"], as_program("format"))
    build(stages, "asan")
    ctest(stages, "dev tests", "dev")
    interop(stages, "interop", "dev")
    ctest(stages, "asan tests", "asan")
    # ctest keeps its notes in the folder of the build.
    ctest(stages, "6.1 tests", "dev", "-L", "unit|program", *ring, env=old_kernel,
          after="dev tests")
    interop(stages, "asan interop", "asan", "--quick")
    interop(stages, "6.1 interop", "dev", "--quick", env=old_kernel)
    report_page(stages)


def at_length(stages):
    interop(stages, "interop long", "dev", "--long")
    endure(stages)
    build(stages, "tsan")
    ctest(stages, "tsan tests", "tsan")
    mutate(stages)
    fuzz(stages)


def main(arguments):
    if arguments not in ([], ["--long"]):
        print("usage: scripts/test [--long]", file=sys.stderr)
        return 2
    os.makedirs(LOGS, exist_ok=True)
    long = arguments == ["--long"]
    stages = Stages({"MCQ_TEST_LONG": "1"} if long else {})
    everything(stages, long)
    stages.run(LANES)
    if long:
        at_length(stages)
        stages.run(1)
    return stages.close()


sys.exit(main(sys.argv[1:]))
