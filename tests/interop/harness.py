"""Tests, each in a process of its own: whatever it does or leaves behind ends with it."""

import fnmatch
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback

import zmq

from program import Peer, Program, Unexpected, WAIT_S
from stream import Wrong

PARALLEL = (os.cpu_count() or 1) + 1
TEST_S = 400  # a test that takes longer has failed
TEXT_MAX = 5000  # of a failure; less than a pipe holds, however it is escaped

TESTS = []


class Skip(Exception):
    """The reason why a test can't run here."""


class Failed(Exception):
    """What is not as it should be."""


def test(name, function, *args, quick=True, timeout=TEST_S):
    TESTS.append({"name": name, "run": lambda env: function(env, *args), "quick": quick,
                  "timeout": timeout})


def testcase(quick=True, timeout=TEST_S):
    """Decorates a test function of a module: its name is MODULE/FUNCTION."""
    def add(function):
        name = f"{function.__module__}/{function.__name__}"
        test(name, function, quick=quick, timeout=timeout)
        return function
    return add


def expect(condition, text):
    if not condition:
        raise Failed(text)


class Env:
    """What a test works with; everything it gives ends with the test."""

    def __init__(self, options):
        self.bin = options.bin
        self.examples = options.examples
        self.long = options.long
        self.quick = options.quick
        self.folder = tempfile.mkdtemp(prefix="mcq-")
        self.programs = []
        self.context = zmq.Context()

    def count(self, cnt):
        """How many messages: a quick run sends fewer where they are many."""
        if self.long:
            return cnt * 10
        fewer = self.quick and "MCQ_TEST_LONG" not in os.environ
        return cnt // 4 if fewer and cnt >= 1000 else cnt

    def start(self, kind, argv, **pipes):
        program = kind(argv, **pipes)
        self.programs.append(program)
        return program

    def cat(self, *args, **pipes):
        return self.start(Program, [os.path.join(self.bin, "mcq-cat"), *args], **pipes)

    def peer(self, *args):
        return self.start(Peer, [os.path.join(self.bin, "interop-peer"), *args])

    def example(self, name, *args):
        """Small and not pinned, as several run at once."""
        return self.start(Program, [os.path.join(self.examples, name), *args, "--cpus", "none",
                                    "--arena", "32M", "--large-bytes", "16M"])

    def socket(self, kind, **options):
        """A libzmq socket that never blocks for ever. options: lower case names of zmq options."""
        sock = self.context.socket(kind)
        sock.linger = 0
        sock.rcvtimeo = sock.sndtimeo = WAIT_S * 1000
        for name, value in options.items():
            setattr(sock, name, value)
        return sock

    def ipc(self, name="s"):
        return f"ipc://{self.folder}/{name}"

    def port(self):
        """A port that is free now, below the ephemeral ones."""
        start = 10000 + os.getpid() * 37 % 20000
        for port in range(start, start + 2000):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue
        raise Failed("no free port")

    def close(self):
        for program in self.programs:
            program.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def until(condition, text, timeout=WAIT_S):
    """Waits for something that nobody announces."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"{text}: not in {timeout} s")
        time.sleep(0.005)


def need_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as why:
        raise Skip(f"no IPv6 loopback here: {why.strerror}") from None


def bind(sock, endpoint):
    """Returns the endpoint with its actual port."""
    sock.bind(endpoint)
    return sock.last_endpoint.decode().rstrip("\0")


# --- One test ------------------------------------------------------------------------------------


def judge(case, options):
    """Runs a test here. Returns (verdict, text)."""
    env = Env(options)
    try:
        case["run"](env)
        return "passed", ""
    except Skip as reason:
        return "skipped", str(reason)
    except (Failed, Wrong, Unexpected, zmq.ZMQError) as why:
        where = traceback.extract_tb(why.__traceback__)
        lines = [f"{os.path.basename(f.filename)}:{f.lineno}" for f in where[2:]
                 if f.filename.startswith(os.path.dirname(__file__))]
        said = [f"\n    {p}" + "".join(f"\n      {line[:200]}" for line in p.err.lines[-6:])
                for p in env.programs[-3:]]
        return "failed", f"{why}\n    at {' '.join(lines)}{''.join(said)}"
    except BaseException:  # whatever it is, it is this test's verdict
        return "failed", traceback.format_exc()
    finally:
        env.close()


def child_main(case, options, pipe):
    os.setpgid(0, 0)  # so that all it starts can be ended with it
    verdict, text = judge(case, options)
    os.write(pipe, json.dumps([verdict, text[:TEXT_MAX]]).encode())
    # Without ending libzmq's context, which would wait for what is unsent.
    os._exit(0)


class Running:
    def __init__(self, case, options):
        self.case = case
        self.start = time.monotonic()
        self.pipe, write_end = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.pipe)
            child_main(case, options, write_end)
        os.close(write_end)
        self.said = b""

    def late(self):
        return time.monotonic() - self.start > self.case["timeout"]

    def read(self):
        """Takes what it says. True at the end."""
        chunk = os.read(self.pipe, 65536)
        self.said += chunk
        return not chunk

    def end(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        os.waitpid(self.pid, 0)
        os.close(self.pipe)

    def verdict(self):
        if self.said:
            return json.loads(self.said)
        if self.late():
            return "failed", f"not done after {self.case['timeout']} s"
        return "failed", "the test's process crashed"


# --- All of them ---------------------------------------------------------------------------------


class Report:
    def __init__(self, verbose):
        self.verbose = verbose
        self.cnt = {"passed": 0, "failed": 0, "skipped": 0}

    def add(self, running):
        verdict, text = running.verdict()
        self.cnt[verdict] += 1
        name = running.case["name"]
        seconds = time.monotonic() - running.start
        if verdict == "failed":
            print(f"FAIL {name} ({seconds:.1f} s): {text}", flush=True)
        elif verdict == "skipped":
            print(f"SKIP {name}: {text}", flush=True)
        elif self.verbose:
            print(f"ok   {name} ({seconds:.1f} s)", flush=True)

    def close(self):
        print(f"{self.cnt['passed']} passed, {self.cnt['failed']} failed,"
              f" {self.cnt['skipped']} skipped", flush=True)
        return 1 if self.cnt["failed"] else 0


def chosen(options):
    cases = [c for c in TESTS if not options.quick or c["quick"]]
    if options.only:
        cases = [c for c in cases if fnmatch.fnmatch(c["name"], f"*{options.only}*")]
    return cases


def run(options):
    for name in ("mcq-cat", "interop-peer"):
        if not os.access(os.path.join(options.bin, name), os.X_OK):
            print(f"{options.bin} has no {name}: build it, or say where with --bin",
                  file=sys.stderr)
            return 2
    report = Report(options.verbose)
    waiting = chosen(options)[::-1]
    if not waiting:
        print(f"no test is called {options.only}", file=sys.stderr)
        return 2
    running = []
    try:
        while waiting or running:
            while waiting and len(running) < PARALLEL:
                running.append(Running(waiting.pop(), options))
            ready, _, _ = select.select([r.pipe for r in running], [], [], 0.5)
            for r in list(running):
                if (r.pipe in ready and r.read()) or r.late():
                    running.remove(r)
                    r.end()
                    report.add(r)
    finally:
        for r in running:
            r.end()
    return report.close()
