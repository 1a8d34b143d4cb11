"""Holds mcq-perf to its contract: keys, nulls, exit codes, and that nothing outlives it.

usage: cli.py MCQ_PERF [--without PEER]...   short runs; no figure is judged, only its shape
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

RTT_KEYS = ["peer", "idle", "size", "count", "p50_us", "p90_us", "p99_us", "p999_us", "p9999_us",
            "max_us"]
RATE_KEYS = ["peer", "size", "seconds", "msgs", "msgs_per_s", "mb_per_s"]
COST_KEYS = ["server_cpu_s", "client_cpu_s", "server_cpu_ns_per_msg", "client_cpu_ns_per_msg",
             "server_syscalls_per_msg", "client_syscalls_per_msg", "schema", "version"]
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
    ["load", "--gaps", "1us"], ["load", "--burst", "3"], ["load", "--trace", "x"],
    ["load", "--pace", "trace"], ["load", "--pace", "often"], ["load", "--rate", "0"],
    ["load", "--peers", "mcq,mcq"], ["load", "--peers", "mcq,"], ["load", "--warmup", "-1"],
    ["load", "--type", "dealer"], ["load", "--connect", "host:1"], ["load", "--stall-ms", "5"],
    ["idle", "--gaps", "10us,61s"], ["idle", "--gaps", ""], ["sweep", "--shares", "0,50"],
    ["scale", "--idle-conns", "10,x"], ["slow", "--subs", "1"], ["gate", "a.json"],
    ["gate", "a.json", "b.json", "c.json"], ["ab", "true"], ["report"], ["serve", "--peer", "mcq"],
    ["serve", "--bind", "tcp://127.0.0.1:0"], ["rtt", "--peer", "mcq", "--transport", "udp"],
    ["rtt", "--peers", "mcq,other"], ["throughput", "--peers", "raw", "--idle", "spin"],
    ["rtt", "--runs", "2"], ["compare", "--peers", "mcq,raw"], ["rtt", "--peer", "raw", "--runs", "0"],
    ["rtt", "--peer", "mcq", "--arena", "1x"], ["rtt", "--peer", "mcq", "--cpus", "0"],
]


# Memory of the mcq peer: its default costs more to lay out than these runs take.
SMALL = ("--arena", "32M", "--large-bytes", "8M")

# All sizes and ways, or some of each.
LONG = "MCQ_TEST_LONG" in os.environ


class Failure(Exception):
    pass


def check(what, condition):
    if not condition:
        raise Failure(what)


def run(program, *words, timeout=300):
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
    more = () if "--quiet" in words else ("--quiet",)
    if "--arena" not in words and words[0] in ("rtt", "throughput", "hop", "compare"):
        more += SMALL
    code, out, err = run(program, *words, "--json", *more)
    check(f"exit {code}: {err.strip()}", code == 0)
    return json.loads(out)


def costs(got, traced=True):
    """CPU seconds and system calls of both sides, behind what was there before."""
    check(f"keys {list(got)}", list(got)[-len(COST_KEYS):] == COST_KEYS)
    check(f"schema: {got}", got["schema"] == "mcq-perf" and got["version"] == 1)
    for side in ("server", "client"):
        cpu_s, per_msg = got[f"{side}_cpu_s"], got[f"{side}_cpu_ns_per_msg"]
        msgs = got.get("msgs", got.get("count"))
        check(f"{side}: {got}", cpu_s > 0 and abs(cpu_s * 1e9 / msgs / per_msg - 1) < 0.05)
        calls = got[f"{side}_syscalls_per_msg"]
        check(f"{side}: {got}", calls is None if not traced else calls is None or calls > 0)


def ordered(values):
    known = [v for v in values if v is not None]
    return known == sorted(known)


def rtt(program, peer, idle, size, *more):
    got = measured(program, "rtt", "--peer", peer, "--idle", idle, "--size", str(size), "--count",
                   "2000", *more)
    costs(got, "--no-trace" not in more)
    check(f"keys {list(got)}", list(got)[:len(RTT_KEYS)] == RTT_KEYS)
    check(f"{got}", got["peer"] == peer and got["size"] == size and got["count"] == 2000)
    check("libzmq says it blocks", got["idle"] == ("block" if peer == "libzmq" else idle))
    check("libzmq has a key for it", got.get("always_blocks", False) == (peer == "libzmq"))
    # 20 samples lie above p99 of 2,000 and 2 above p99.9.
    check(f"nulls: {got}", got["p99_us"] is not None and got["p999_us"] is None)
    check(f"order: {got}", ordered([got[k] for k in RTT_KEYS[4:]]) and got["p50_us"] > 0.1)


def throughput(program, peer, size, *more):
    got = measured(program, "throughput", "--peer", peer, "--size", str(size), "--seconds", "0.1",
                   *more)
    costs(got, "--no-trace" not in more)
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


def peers_of(program):
    """The names that --peer takes, as its complaint lists them."""
    _, _, err = run(program, "rtt", "--peer", "none of them")
    return err.split(" wants ")[1].split(", not ")[0].replace(" or ", ", ").split(", ")


def rows_of(peers):
    """Which rows a quick comparison has: round trips spinning and blocking, and two sizes."""
    trips = [("rtt", p, "spin") for p in ("mcq", "raw", "spin", "epoll", "uring") if p in peers]
    trips += [("rtt", p, "block") for p in ("mcq", "libzmq", "nng", "raw", "epoll", "uring")
              if p in peers]
    return sorted(trips + 2 * [("throughput", p, None) for p in peers])


def compare(program, missing, transport):
    """The rows' keys are those of the first version; the artefact has the same figures."""
    with tempfile.TemporaryDirectory() as folder:
        code, out, err = run(program, "compare", "--quick", "--runs", "1", "--count", "200",
                             "--seconds", "0.05", "--json", "--quiet", "--no-trace",
                             "--transport", transport, "--out", folder, timeout=200)
        check(f"exit {code}: {err.strip()}", code == 0)
        with open(os.path.join(folder, "result.json"), encoding="utf-8") as f:
            saved = json.load(f)
    rows = json.loads(out)
    got = sorted((r["workload"], r["peer"], r["idle"] if r["workload"] == "rtt" else None)
                 for r in rows)
    check(f"rows {got}", got == rows_of(peers_of(program)))
    for row in rows:
        check(f"keys {list(row)}", list(row)[:len(ROW_KEYS)] == ROW_KEYS)
        there = row["peer"] not in missing
        check(f"{row}", (row["runs"] == 1 and row["median"] > 0) if there else "missing" in row)
        check(f"{row}", row["peer"] != "raw" or row["ratio_raw"] == 1)
        check(f"{row}", not there or row_saved(row, saved))


def row_saved(row, saved):
    """Whether a row's median stands in a result of the same peer, size and placement."""
    wait = row["idle"] if row["workload"] == "rtt" else None
    for result in saved["results"]:
        params, metrics = result["params"], result["summary"]["metrics"]
        if (result["workload"], result["arm"], params["size"], params.get("wait")) == \
                (row["workload"], row["peer"], row["size"], wait) and \
                params.get("placement", "pinned") == row["placement"]:
            if wait is None:
                return abs(metrics["msgs_per_s"]["median"] / row["median"] - 1) < 1e-3
            points = result["summary"]["histograms"]["rtt"]["points"]
            return abs(points["p50"]["median"] / row["median"] - 1) < 1e-3
    return False


def several(program, missing):
    """In turns: each second round is the first one backwards; all are compared with the first."""
    peers = [p for p in ("raw", "mcq", "libzmq") if p not in missing]
    got = measured(program, "rtt", "--peers", ",".join(peers), "--idle", "block", "--runs", "2",
                   "--count", "300", "--quiet")
    check(f"schema: {list(got)}", got["schema"] == "mcq-perf" and got["command"] == "rtt")
    arms = [(r["arm"], r["params"].get("placement")) for r in got["results"]]
    wanted = [(p, place) for p in peers
              for place in (("pinned", "free") if p == "libzmq" else (None,))]
    check(f"arms {arms}", arms == wanted)
    turns = sorted((r["runs"][i]["start_s"], arm) for r, arm in zip(got["results"], arms)
                   for i in range(2))
    order = [arm for _, arm in turns]
    check(f"order {order}", order[:len(arms)] == arms and order[len(arms):] == arms[::-1])
    check("compared with the first", {c["a"] for c in got["comparisons"]} == {0} and
          {got["results"][c["b"]]["arm"] for c in got["comparisons"]} == set(peers[1:]))


def several_runs(program):
    """--runs makes an artefact of one peer, too; without it the object is what it always was."""
    got = measured(program, "throughput", "--peer", "raw", "--runs", "2", "--seconds", "0.1",
                   "--quiet", "--no-trace")
    (result,) = got["results"]
    rates = [r["metrics"]["msgs_per_s"] for r in result["runs"]]
    spread = result["summary"]["metrics"]["msgs_per_s"]
    check(f"{rates} {spread}", len(rates) == 2 and not got["comparisons"] and
          abs(sum(rates) / 2 / spread["median"] - 1) < 1e-6 and spread["low"] == min(rates))


def some_cannot(program):
    """Who can't take part is named, and the others are measured."""
    code, out, err = run(program, "rtt", "--peers", "raw,raw-frames", "--idle", "block", "--runs",
                         "1", "--count", "200", "--json", "--quiet")
    check(f"exit {code}: {err}", code == 1 and "raw-frames" in err)
    check(f"{out}", [r["arm"] for r in json.loads(out)["results"]] == ["raw"])


def doctor_line(program):
    words = ["rtt", "--peer", "raw", "--idle", "block", "--count", "200", "--no-trace", "--json"]
    code, out, err = run(program, *words)
    json.loads(out)
    check(f"exit {code}: {err}", code == 0 and err.count("mcq-doctor") == 1 and "WARN" in err)
    code, _, err = run(program, *words, "--quiet")
    check(f"exit {code}: {err}", code == 0 and err == "")


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


def calls_counted(program):
    """A blocking round trip on bare sockets is one send and one receive on each side."""
    got = measured(program, "rtt", "--peer", "raw", "--idle", "block", "--count", "500")
    for side in ("server", "client"):
        calls = got[f"{side}_syscalls_per_msg"]
        check(f"{side}: {calls}", calls is None or 1.9 < calls < 2.1)


def handler(program, peer):
    """What the server's handler burns shows in each trip, and in the server's CPU time."""
    got = measured(program, "rtt", "--peer", peer, "--idle", "block", "--count", "500",
                   "--delay-ns", "200000", "--no-trace")
    check(f"{got}", got["p50_us"] > 200 and got["server_cpu_ns_per_msg"] > 190000)


def artefact(program, *words):
    """--out leaves the same figures as a file."""
    with tempfile.TemporaryDirectory() as folder:
        got = measured(program, *words, "--out", folder)
        with open(os.path.join(folder, "result.json"), encoding="utf-8") as f:
            saved = json.load(f)
    check(f"{saved['command']}", saved["command"] == words[0] and saved["version"] == 1)
    check(f"{saved['environment']}", saved["environment"])
    (result,) = saved["results"]
    (run_,) = result["runs"]
    cpu_s = run_["metrics"]["server_cpu_s"]
    check(f"{run_['metrics']}", run_["valid"] and abs(cpu_s - got["server_cpu_s"]) < 0.001)
    if words[0] == "rtt":
        p50 = run_["histograms"]["rtt"]["points"]["p50"]
        check(f"p50 {p50}: {got}", abs(p50 - got["p50_us"]) < 0.01)


def serve(program, peer, bind):
    """A server for others, against which clients of both libraries and both types measure."""
    server = subprocess.Popen([program, "serve", "--peer", peer, "--bind", bind, "--idle",
                               "block"], stdout=subprocess.PIPE, text=True)
    try:
        endpoint = server.stdout.readline().split()[-1]
        for kind in ((), ("--type", "dealer"), ("--type", "req")):
            got = measured(program, "rtt", "--peer", peer, "--connect", endpoint, "--idle",
                           "block", "--count", "300", "--no-trace", *kind)
            check(f"{got}", got["count"] == 300 and got["server_cpu_s"] is None)
        server.terminate()
        check("it ends well", server.wait(20) == 0)
        check("its file is gone", not os.path.exists(bind.removeprefix("ipc://")))
    finally:
        server.kill()
        server.wait()


def nobody_serves(program):
    """A server that isn't there is told."""
    code, out, _ = run(program, "rtt", "--peer", "raw", "--connect", "tcp://127.0.0.1:9", "--json")
    check(f"exit {code}: {out}", code == 1 and json.loads(out)["missing"])


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
    out, _ = child.communicate(timeout=300)
    side = "server" if which == 0 else "client"
    check(f"exit {child.returncode}", child.returncode == 1)
    check(f"{out}", f"the {side} died of signal 9" in json.loads(out)["missing"])
    check("both are reaped", not any(os.path.exists(f"/proc/{pid}") for pid in both))


def untraced(size):
    """A run that counts calls takes as long again: one size has it."""
    return () if size == 16 else ("--no-trace",)


def cases(program, missing):
    for peer in [p for p in ("mcq", "libzmq", "raw") if p not in missing]:
        for idle in ("spin", "block"):
            for size in (1, 16, 70000) if LONG else (16, 70000):
                yield f"rtt {peer} {idle} {size} B", lambda p=peer, i=idle, s=size: rtt(
                    program, p, i, s, *untraced(s))
    for peer in [p for p in ("mcq", "libzmq", "raw", "raw-frames") if p not in missing]:
        for size in (1, 16, 255, 256, 65536, 300000) if LONG else (16, 256, 300000):
            yield f"throughput {peer} {size} B", lambda p=peer, s=size: throughput(
                program, p, s, *untraced(s))
    for peer in [p for p in ("mcq", "libzmq", "raw") if p not in missing]:
        yield f"rtt {peer} ipc", lambda p=peer: rtt(program, p, "block", 16, "--transport", "ipc",
                                                    "--no-trace")
        yield f"throughput {peer} ipc", lambda p=peer: throughput(program, p, 64, "--transport",
                                                                  "ipc", "--no-trace")
    for peer in [p for p in ("mcq", "libzmq") if p not in missing]:
        yield f"handler {peer}", lambda p=peer: handler(program, p)
        yield f"serve {peer} tcp", lambda p=peer: serve(program, p, "tcp://127.0.0.1:0")
        path = f"ipc:///tmp/mcq-perf-cli-{os.getpid()}.sock"
        yield f"serve {peer} ipc", lambda p=peer, b=path: serve(program, p, b)
    yield "calls are counted", lambda: calls_counted(program)
    yield "artefact of rtt", lambda: artefact(program, "rtt", "--peer", "raw", "--idle", "block",
                                              "--count", "500")
    yield "artefact of throughput", lambda: artefact(program, "throughput", "--peer", "raw",
                                                     "--seconds", "0.1")
    yield "nobody serves", lambda: nobody_serves(program)
    for via in ("post", "inproc") if "mcq" not in missing else ():
        for idle in ("spin", "block"):
            for size in (8, 1024) if LONG else (8 if idle == "spin" else 1024,):
                yield f"hop {via} {idle} {size} B", lambda v=via, i=idle, s=size: hop(program, v,
                                                                                      i, s)
    yield "few samples", lambda: few_samples(program)
    for transport in ("tcp", "ipc") if LONG else ("tcp",):
        yield f"compare {transport}", lambda t=transport: compare(program, missing, t)
    yield "several peers", lambda: several(program, missing)
    yield "several runs", lambda: several_runs(program)
    yield "some can't", lambda: some_cannot(program)
    yield "doctor", lambda: doctor_line(program)
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
