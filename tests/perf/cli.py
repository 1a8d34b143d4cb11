"""Holds mcq-perf to its contract: keys, nulls, exit codes, and that nothing outlives it.

usage: cli.py MCQ_PERF [--without PEER]...   short runs; no figure is judged, only its shape
"""

import json
import os
import signal
import subprocess
import sys
import time

RTT_KEYS = ["peer", "idle", "size", "count", "p50_us", "p90_us", "p99_us", "p999_us", "p9999_us",
            "max_us"]
RATE_KEYS = ["peer", "size", "seconds", "msgs", "msgs_per_s", "mb_per_s"]
ROW_KEYS = ["workload", "peer", "idle", "size", "runs", "median", "ratio_raw", "ratio_libzmq"]
HOP_KEYS = ["via", "size", "p50_us", "p99_us", "floor_us", "msgs_per_s"]
WRONG = [
    ["hop", "--via", "tcp"], ["hop", "--size", "7"], ["hop", "--size", "1025"], ["hop", "--runs", "1"],
    [], ["nonsense"], ["rtt"], ["throughput"], ["rtt", "--peer", "other"],
    ["rtt", "--peer", "raw-frames"], ["rtt", "--peer", "raw", "--idle", "sleep"],
    ["rtt", "--peer", "raw", "--size", "0"], ["rtt", "--peer", "raw", "--size", "-1"],
    ["rtt", "--peer", "raw", "--count", "1x"], ["rtt", "--peer", "raw", "more"],
    ["throughput", "--peer", "raw", "--seconds", "nan"], ["compare", "--peer", "raw"],
    ["throughput", "--peer", "raw", "--idle", "spin"], ["compare", "--unknown"],
    ["rtt", "--peer", "mcq", "--arena", "1x"], ["rtt", "--peer", "mcq", "--cpus", "0"],
]


class Failure(Exception):
    pass


def check(what, condition):
    if not condition:
        raise Failure(what)


def run(program, *words, timeout=60):
    """Runs it in a session of its own, in which nobody may be left afterwards."""
    child = subprocess.Popen([program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, start_new_session=True)
    out, err = child.communicate(timeout=timeout)
    try:
        os.killpg(child.pid, 0)
    except ProcessLookupError:
        return child.returncode, out, err
    raise Failure("a child is left behind")


def measured(program, *words):
    code, out, err = run(program, *words, "--json")
    check(f"exit {code}: {err.strip()}", code == 0)
    return json.loads(out)


def ordered(values):
    known = [v for v in values if v is not None]
    return known == sorted(known)


def rtt(program, peer, idle, size):
    got = measured(program, "rtt", "--peer", peer, "--idle", idle, "--size", str(size), "--count",
                   "2000")
    check(f"keys {list(got)}", list(got)[:len(RTT_KEYS)] == RTT_KEYS)
    check(f"{got}", got["peer"] == peer and got["size"] == size and got["count"] == 2000)
    check("libzmq says it blocks", got["idle"] == ("block" if peer == "libzmq" else idle))
    check("libzmq has a key for it", got.get("always_blocks", False) == (peer == "libzmq"))
    # 20 samples lie above p99 of 2,000 and 2 above p99.9.
    check(f"nulls: {got}", got["p99_us"] is not None and got["p999_us"] is None)
    check(f"order: {got}", ordered([got[k] for k in RTT_KEYS[4:]]) and got["p50_us"] > 0.1)


def throughput(program, peer, size):
    got = measured(program, "throughput", "--peer", peer, "--size", str(size), "--seconds", "0.1")
    check(f"keys {list(got)}", list(got)[:len(RATE_KEYS)] == RATE_KEYS)
    rate = got["msgs"] / got["seconds"]
    check(f"rate: {got}", got["msgs"] > 0 and abs(rate / got["msgs_per_s"] - 1) < 0.001)
    check(f"bytes: {got}", abs(got["msgs_per_s"] * size / 1e6 - got["mb_per_s"]) < 0.01)
    check(f"window: {got}", 0.1 <= got["seconds"] < 5)


def hop(program, via, idle, size):
    got = measured(program, "hop", "--via", via, "--idle", idle, "--size", str(size), "--count",
                   "2000")
    check(f"keys {list(got)}", list(got)[:len(HOP_KEYS)] == HOP_KEYS)
    check(f"{got}", got["via"] == via and got["size"] == size and got["msgs_per_s"] > 0)
    check(f"order: {got}", 0 < got["p50_us"] <= got["p99_us"] and got["floor_us"] > 0)


def few_samples(program):
    got = measured(program, "rtt", "--peer", "raw", "--idle", "block", "--count", "19")
    check(f"{got}", got["p50_us"] is None and got["max_us"] is not None)


def compare(program, missing):
    code, out, err = run(program, "compare", "--quick", "--runs", "1", "--count", "200",
                         "--seconds", "0.05", "--json")
    check(f"exit {code}: {err.strip()}", code == 0)
    rows = json.loads(out)
    check(f"{len(rows)} rows", len(rows) == 5 + 2 * 4)
    for row in rows:
        check(f"keys {list(row)}", list(row)[:len(ROW_KEYS)] == ROW_KEYS)
        there = row["peer"] not in missing
        check(f"{row}", (row["runs"] == 1 and row["median"] > 0) if there else "missing" in row)
        if row["peer"] == "raw":
            check(f"{row}", row["ratio_raw"] == 1)


def usage(program):
    for words in WRONG:
        code, out, err = run(program, *words)
        check(f"{words}: exit {code}", code == 2 and out == "" and "mcq-perf" in err)
    code, out, _ = run(program, "--help")
    check("--help", code == 0 and "throughput" in out and "--uring-features" in out)


def library_options(program):
    """They reach the mcq peer, and what it refuses is its reason."""
    words = ["rtt", "--peer", "mcq", "--idle", "block", "--count", "200"]
    got = measured(program, *words, "--arena", "16M", "--large-bytes=1M", "--uring-features", "6.1")
    check(f"{got}", got["p50_us"] > 0)
    for option, value, reason in (("--arena", "1M", "arena"), ("--uring-features", "-no", "'-no'")):
        code, out, _ = run(program, *words, option, value, "--json")
        check(f"exit {code}: {out}", code == 1 and reason in json.loads(out)["missing"])


def one_cpu(program):
    cpu = min(os.sched_getaffinity(0))
    code, out, _ = run("taskset", "-c", str(cpu), program, "rtt", "--peer", "raw", "--json")
    check(f"exit {code}: {out}", code == 1 and "two CPUs" in json.loads(out)["missing"])


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(child) for child in f.read().split()]


def killed_child(program, which):
    """The parent notices at once, says which side it was, and takes the other one with it."""
    child = subprocess.Popen([program, "throughput", "--peer", "raw", "--seconds", "30", "--json"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 10
    while len(children_of(child.pid)) < 2:
        check("two children", time.monotonic() < deadline)
    both = children_of(child.pid)
    os.kill(both[which], signal.SIGKILL)
    out, _ = child.communicate(timeout=20)
    side = "server" if which == 0 else "client"
    check(f"exit {child.returncode}", child.returncode == 1)
    check(f"{out}", f"the {side} died of signal 9" in json.loads(out)["missing"])
    check("both are reaped", not any(os.path.exists(f"/proc/{pid}") for pid in both))


def cases(program, missing):
    for peer in [p for p in ("mcq", "libzmq", "raw") if p not in missing]:
        for idle in ("spin", "block"):
            for size in (1, 16, 70000):
                yield f"rtt {peer} {idle} {size} B", lambda p=peer, i=idle, s=size: rtt(program, p,
                                                                                       i, s)
    for peer in [p for p in ("mcq", "libzmq", "raw", "raw-frames") if p not in missing]:
        for size in (1, 16, 255, 256, 65536, 300000):
            yield f"throughput {peer} {size} B", lambda p=peer, s=size: throughput(program, p, s)
    for via in ("post", "inproc") if "mcq" not in missing else ():
        for idle in ("spin", "block"):
            for size in (8, 1024):
                yield f"hop {via} {idle} {size} B", lambda v=via, i=idle, s=size: hop(program, v,
                                                                                      i, s)
    yield "few samples", lambda: few_samples(program)
    yield "compare", lambda: compare(program, missing)
    yield "usage", lambda: usage(program)
    if "mcq" not in missing:
        yield "library options", lambda: library_options(program)
    yield "one CPU", lambda: one_cpu(program)
    yield "server killed", lambda: killed_child(program, 0)
    yield "client killed", lambda: killed_child(program, 1)


def main(program, missing):
    if len(os.sched_getaffinity(0)) < 2:
        print("SKIP cli: one CPU is allowed and mcq-perf spins on two")
        return 77
    passed = failed = 0
    for name, case in cases(program, missing):
        try:
            case()
            passed += 1
        except (Failure, ValueError, KeyError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"FAILED {name}: {error}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    names = sys.argv[2:]
    if len(sys.argv) < 2 or names[::2] != ["--without"] * (len(names) // 2):
        sys.exit(__doc__)
    sys.exit(main(os.path.abspath(sys.argv[1]), set(names[1::2])))
