"""Counts single tests from what the test programs print.

Three forms are read: Criterion's synthesis line, a last line `N passed, N failed[, N skipped]`, and
else the result of the program as one test. A skip says its reason in a line `SKIP name: reason`
(Criterion: `[SKIP] suite::test: reason`).
"""

import re

SYNTHESIS = re.compile(r"Synthesis: Tested: (\d+) \| Passing: (\d+) \| Failing: \d+ \| Crashing: \d+")
CLOSING = re.compile(r"^(?:\w+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.MULTILINE)
SKIP = re.compile(r"^(?:\[SKIP\]|SKIP) ?(.+)$", re.MULTILINE)
CTEST_OUTPUT = re.compile(r"^(\d+): ?(.*)$")
CTEST_RESULT = re.compile(r"^\s*\d+/\d+ Test\s+#(\d+): (.+?) \.+ *(\**)(Passed|Skipped|\w.*)")


class Tally:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed = passed
        self.failed = failed
        self.skipped = skipped
        self.skips = []  # "name: reason"
        self.failures = []  # (name, output)

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.skips += other.skips
        self.failures += other.failures

    def __str__(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {self.skipped} skipped" if self.skipped else "")


def counted(output):
    """The tests that the output itself counts, or None."""
    synthesis = SYNTHESIS.findall(output)
    if synthesis:
        # Tested leaves skipped and disabled tests out; failing includes the crashed.
        tested = sum(int(t) for t, _ in synthesis)
        passing = sum(int(p) for _, p in synthesis)
        return Tally(passing, tested - passing, len(SKIP.findall(output)))
    closing = CLOSING.findall(output)
    if closing:
        passed, failed, skipped = (int(n or 0) for n in closing[-1])
        return Tally(passed, failed, skipped)
    return None


def of_program(name, output, ok, skip=False):
    """One program that ended well (ok), said it skipped itself (skip), or failed."""
    tally = counted(output)
    if tally is None:
        tally = Tally(0, 0, 1) if skip else Tally(int(ok), int(not ok))
    elif not ok and tally.failed == 0:
        # All its tests passed and it still ended badly: a leak at exit, a crash between tests.
        tally.failed = 1
    if tally.failed:
        tally.failures.append((name, output))
    tally.skips = [f"{name}: {reason}" for reason in SKIP.findall(output)]
    while len(tally.skips) < tally.skipped:
        tally.skips.append(f"{name}: no reason given")
    return tally


def of_ctest(output):
    """The whole of `ctest -V`, whose lines carry the number of their test."""
    outputs, total = {}, Tally()
    for line in output.split("\n"):
        m = CTEST_OUTPUT.match(line)
        if m:
            outputs.setdefault(m[1], []).append(m[2])
            continue
        m = CTEST_RESULT.match(line)
        if m:
            text = "\n".join(outputs.get(m[1], [])) + f"\n{m[4].strip()}"
            total.add(of_program(m[2], text, m[4].startswith("Passed"), m[4].startswith("Skipped")))
    return total
