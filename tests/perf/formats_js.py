"""Reads what mcq-perf saves with hdr-histogram-js, a public reader of the formats.

usage: formats_js.py PERF_SPECIMEN FOLDER   FOLDER, of the build, is where npm installs it; without
npm or a registry the test is skipped, for formats.py has a decoder of its own
"""

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

PACKAGE = "hdr-histogram-js@3.0.1"
HIGHEST = 60_000_000_000
SKIP = 77


def skip(reason):
    print(f"SKIP perf-formats-js: {reason}")
    sys.exit(SKIP)


def installed(folder):
    modules = os.path.abspath(os.path.join(folder, "node_modules"))
    if not shutil.which("node") or not shutil.which("npm"):
        skip("there is no node or no npm here")
    if not os.path.isdir(os.path.join(modules, "hdr-histogram-js")):
        os.makedirs(folder, exist_ok=True)
        try:
            done = subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund",
                                   "--prefix", folder, PACKAGE], capture_output=True, timeout=300)
        except subprocess.TimeoutExpired:
            skip(f"npm gave no {PACKAGE} within two minutes")
        if done.returncode != 0:
            skip(f"npm can't install {PACKAGE}")
    return modules


def truth_of(folder):
    truth = {}
    with open(os.path.join(folder, "truth.txt"), encoding="ascii") as f:
        for line in f:
            result, tag, key, value = line.split()
            truth.setdefault((int(result), tag), {})[key] = int(value)
    return truth


def near(value, exact):
    return exact - 1 <= value <= exact * 1.001 + 1


def compare(result, place, line, truth, gram):
    by_interval = line["tag"] == "run1"
    exact = truth[(result, f"run1@{place}" if by_interval else line["tag"])]
    if line["count"] != exact["cnt"]:
        yield f"{result} {place}: {line['count']} records, not {exact['cnt']}"
    start = 1763900000.5 + result + (0.5 * place if by_interval else 0)
    if abs(line["start"] / 1e3 - start) > 0.002:
        yield f"{result} {place}: starts at {line['start']}"
    for ppm, value in line["values"].items():
        # What lies past the longest value of the format is written as that value; the reader
        # gives the least, of all percentiles, rounded down.
        if int(ppm) > 0 and exact[ppm] <= HIGHEST and not near(value, exact[ppm]):
            yield f"{result} {place} {ppm}: {value}, exactly {exact[ppm]}"
    if not by_interval and exact["1000000"] <= HIGHEST:
        yield from compare_gram(result, line["text"], gram)


def rows(text):
    for line in text.splitlines()[2:]:
        if line and not line.startswith("#"):
            yield [float(x) for x in line.split()[:3]]


def compare_gram(result, theirs, ours):
    """At each value and share that our table gives, theirs has no other."""
    table = list(rows(theirs))
    for value, share, cnt in rows(ours):
        at = next(((v, c) for v, s, c in table if s >= share - 1e-12), table[-1][::2])
        if share < 1 and not (value <= at[0] * 1.001 + 0.001 and cnt <= at[1]):
            yield f"{result}: ours {value} {cnt} at {share}, theirs {at}"
    if list(rows(ours))[-1][2] != table[-1][2]:
        yield f"{result}: ours ends with {list(rows(ours))[-1]}, theirs with {table[-1]}"


def main(program, modules):
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, folder], check=True, timeout=300)
        truth = truth_of(folder)
        logs = sorted(glob.glob(os.path.join(folder, "*.hlog")))
        here = os.path.dirname(os.path.abspath(__file__))
        done = subprocess.run(["node", os.path.join(here, "hdr_reader.js"), modules, *logs],
                              capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            print(done.stderr)
            print("0 passed, 1 failed")
            return 1
        for path, lines in zip(logs, json.loads(done.stdout)):
            result = int(path.rsplit("-", 1)[1].split(".")[0])
            with open(path[:-5] + "-rtt.hgrm", encoding="ascii") as f:
                gram = f.read()
            if len(lines) != sum(1 for r, tag in truth if r == result and
                                 ("@" in tag) == (lines[0]["tag"] == "run1")):
                failures.append(f"{path}: {len(lines)} lines")
            for place, line in enumerate(lines):
                failures += compare(result, place, line, truth, gram)
    for failure in failures[:20]:
        print(f"FAIL {failure}")
    print(f"{len(logs) if not failures else 0} passed, {len(failures)} failed")
    return 1 if failures else 0


if len(sys.argv) != 3:
    print(__doc__, file=sys.stderr)
    sys.exit(2)
sys.exit(main(sys.argv[1], installed(sys.argv[2])))
