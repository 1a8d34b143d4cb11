"""Programs under test: started with pipes, read by threads, ended by their own id."""

import os
import queue
import re
import signal
import subprocess
import threading
import time

WAIT_S = 120  # for anything a program is expected to do; generous, as builds under test may be slow
SANITIZER = re.compile(r"runtime error:|ERROR: \w+Sanitizer|WARNING: ThreadSanitizer")


class Unexpected(Exception):
    """A program did not do what was expected."""


class Output:
    """The lines of one pipe, as they come; None at its end."""

    def __init__(self, pipe):
        self.lines = []
        self.fresh = queue.Queue()
        self.thread = threading.Thread(target=self.read, args=(pipe,), daemon=True)
        self.thread.start()

    def read(self, pipe):
        for raw in pipe:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            self.lines.append(line)
            self.fresh.put(line)
        self.fresh.put(None)
        pipe.close()

    def next(self, timeout):
        """The next line, None at the end; queue.Empty after timeout."""
        line = self.fresh.get(timeout=max(timeout, 0.001))
        if line is None:
            self.fresh.put(None)
        return line


class Program:
    def __init__(self, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE):
        self.argv = [str(a) for a in argv]
        self.child = subprocess.Popen(self.argv, stdin=stdin, stdout=stdout,
                                      stderr=subprocess.PIPE)
        self.pid = self.child.pid
        self.out = Output(self.child.stdout) if stdout == subprocess.PIPE else None
        self.err = Output(self.child.stderr)

    def __str__(self):
        return " ".join([os.path.basename(self.argv[0])] + self.argv[1:])

    def unexpected(self, text):
        raise Unexpected(f"{self}: {text} (exit {self.child.poll()})")

    def await_line(self, output, pattern, timeout=WAIT_S):
        """The match of the first line from now on that pattern matches."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = output.next(deadline - time.monotonic())
            except queue.Empty:
                self.unexpected(f"no line {pattern!r} in {timeout} s")
            if line is None:
                self.unexpected(f"ended without a line {pattern!r}")
            match = re.search(pattern, line)
            if match:
                return match

    def await_err(self, pattern, timeout=WAIT_S):
        return self.await_line(self.err, pattern, timeout)

    def endpoint(self):
        """Of the next bind."""
        return self.await_err(r"^bound (\S+)$")[1]

    def line(self, timeout=WAIT_S):
        """The next line of stdout."""
        return self.await_line(self.out, r"^", timeout).string

    def write(self, text):
        self.child.stdin.write(text.encode())
        self.child.stdin.flush()

    def feed(self, text):
        """Writes beside the test, which may have to read before all of it is taken."""
        threading.Thread(target=self.feed_all, args=(text,), daemon=True).start()

    def feed_all(self, text):
        try:
            self.write(text)
            self.close_stdin()
        except BrokenPipeError:
            pass

    def close_stdin(self):
        self.child.stdin.close()

    def signal(self, number=signal.SIGTERM):
        os.kill(self.pid, number)

    def wait(self, timeout=WAIT_S):
        """The exit code."""
        try:
            code = self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.unexpected(f"still runs after {timeout} s")
        for output in (self.out, self.err):
            if output is not None:
                output.thread.join(WAIT_S)
        if any(SANITIZER.search(line) for line in self.err.lines):
            self.unexpected("the sanitizer found something")
        return code

    def expect_exit(self, code=0, timeout=WAIT_S):
        found = self.wait(timeout)
        if found != code:
            said = self.out.lines[-1][:300] if self.out and self.out.lines else ""
            self.unexpected(f"exit code {found}, expected was {code}: {said}")

    def close(self):
        """Whatever state it is in."""
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()


class Peer(Program):
    """interop-peer, whose last line tells what it did."""

    def finish(self, timeout=WAIT_S):
        """Waits for its own end and returns the number it tells."""
        self.expect_exit(0, timeout)
        match = re.match(r"ok \w+ (\d+)$", self.out.lines[-1] if self.out.lines else "")
        if not match:
            self.unexpected("said nothing at its end")
        return int(match[1])

    def stop(self):
        """Ends an echo."""
        self.signal()
        return self.finish()
