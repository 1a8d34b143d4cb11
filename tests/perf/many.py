"""Holds mcq-perf's workloads of many connections to what they promise: fanout, fanin, slow,
connect, scale, and hop's artefact.

usage: many.py MCQ_PERF [--without PEER]...   no figure of speed is judged
"""

import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading

QUIET = ["--runs", "1", "--seconds", "0.1", "--quiet", "--json", "--idle", "block"]
CHECKED = ["lost", "doubled", "damaged"]
SLOW_KEYS = ["subs", "size", "max_msgs_per_s", "load_msgs_per_s", "runs", "msgs_per_s", "p50_us",
             "p99_us"]
SLOW_RUN_KEYS = ["stopped", "msgs_per_s", "p50_us", "p99_us", "max_us", "lost", "slow", "dropped",
                 "dropped_counted", "blocks_peak", "blocks_empty"]


class Failure(Exception):
    pass


def check(what, condition):
    if not condition:
        raise Failure(what)


def run(program, *words, files=None, timeout=60):
    """Runs it in a session of its own, in which nobody may be left afterwards."""
    limit = None
    if files:
        limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    child = subprocess.Popen([program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, start_new_session=True, preexec_fn=limit)
    out, err = child.communicate(timeout=timeout)
    try:
        os.killpg(child.pid, 0)
    except ProcessLookupError:
        return child.returncode, out, err
    raise Failure("a child is left behind")


def results(program, *words):
    """The artefact's results. A generator that this host held up is no fault of the program."""
    code, out, err = run(program, *words, *QUIET)
    check(f"exit {code}: {err.strip()}", code in (0, 1) and out != "")
    got = json.loads(out)["results"]
    reasons = [one["reason"] for result in got for one in result["runs"] if not one["valid"]]
    check(f"{reasons}", all("asked for" in reason for reason in reasons))
    check(f"exit {code}", (code == 0) == (not reasons))
    return got


def only(program, *words):
    got = results(program, *words)
    return [(result["params"], result["runs"][0]) for result in got]


def none_wrong(one):
    for key in CHECKED:
        check(f"{key}: {one['metrics']}", one["metrics"][key] == 0)


def costs(one):
    for side in ("server", "client"):
        for key in ("cpu_s", "cpu_ns_per_msg", "syscalls_per_msg"):
            check(f"{side}_{key}", f"{side}_{key}" in one["metrics"])


def fanout(program):
    flood, paced = only(program, "fanout", "--peers", "mcq", "--subs", "5", "--rate", "1000")
    check(f"{flood[0]}", flood[0]["subs"] == 5 and flood[0]["pace"] == "flood")
    check(f"{paced[0]}", paced[0]["pace"] == "fixed" and paced[0]["rate"] == 1000)
    check("no latency of a flood", flood[1].get("histograms", {}) == {})
    hists = paced[1]["histograms"]
    for name in ("one_way", "response", "last", "skew", "lag"):
        check(f"{name} in {list(hists)}", hists[name]["count"] > 0)
    check(f"{hists}", hists["one_way"]["count"] == 5 * hists["last"]["count"] == 500)
    check(f"{hists}", hists["skew"]["points"]["max"] <= hists["last"]["points"]["max"])
    for _, one in (flood, paced):
        none_wrong(one)
    costs(flood[1])


def fanin(program):
    flood, echo, paced = only(program, "fanin", "--peers", "mcq", "--conns", "6", "--rate", "1200")
    check(f"{flood[0]}", flood[0]["conns"] == 6 and flood[0]["pattern"] == "push")
    check(f"{echo[0]}", echo[0]["pattern"] == "echo" and echo[0]["depth"] == 16)
    check(f"{paced[1]['metrics']}", paced[1]["metrics"]["msgs"] == 120)
    check("service", echo[1]["histograms"]["service"]["count"] == echo[1]["metrics"]["msgs"])
    for _, one in (flood, echo, paced):
        none_wrong(one)
        check("fairness", 0 <= one["metrics"]["fairness"] <= 1)
    costs(echo[1])


def slow(program):
    got = only(program, "slow", "--peers", "mcq", "--subs", "4", "--load", "0.001")
    stopped = [(params, one) for params, one in got if "stopped" in params]
    check(f"{[params for params, _ in got]}",
          [params["stopped"] for params, _ in stopped] == ["none", "one"])
    for _, one in stopped:
        check("others", one["histograms"]["others"]["count"] > 0)
        check(f"{one['metrics']}", one["metrics"]["dropped"] == 0 and one["metrics"]["lost"] == 0)


def slow_of_its_own(program):
    """mcq alone, with what its library tells: the object as it has always been."""
    code, out, err = run(program, "slow", "--subs", "4", "--runs", "1", "--seconds", "0.1",
                         "--json")
    check(f"exit {code}: {err.strip()}", code == 0)
    got = json.loads(out)
    check(f"{list(got)}", list(got)[:len(SLOW_KEYS)] == SLOW_KEYS and got["schema"] == "mcq-perf")
    check(f"{got['runs']}", [list(one) for one in got["runs"]] == [SLOW_RUN_KEYS] * 2)


def connect(program, peer):
    for transport in ("tcp", "ipc"):
        got = only(program, "connect", "--peers", peer, "--conns", "8", "--transport", transport,
                   "--size", "300", "--no-trace")
        for params, one in got:
            check(f"{params}", params["conns"] == 8 and params["transport"] == transport)
            check(f"{one['metrics']}", one["metrics"]["connections_per_s"] > 0)
            check("answers", one["histograms"]["response"]["count"] == one["metrics"]["msgs"])


def scale(program, peer):
    got = only(program, "scale", "--peers", peer, "--idle-conns", "0,50", "--conns", "4", "--rate",
               "1000", "--no-trace")
    for params, one in got:
        check(f"{params}", params["conns"] == 4 and params["idle_conns"] in (0, 50))
        check(f"{one['metrics']}", one["metrics"]["msgs"] == 100)
        check("memory", ("connection_bytes" in one["metrics"]) == (params["idle_conns"] == 50))
        check("memory of all", one["metrics"]["connection_share_bytes"] > 0)


def answers(said):
    """A server that says this to whoever comes, once; its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def serve():
        kept = []
        while True:
            try:
                kept.append(listener.accept()[0])
                kept[-1].sendall(said)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    return listener


def refused(program, words, reason, files=None):
    code, out, err = run(program, *words, *QUIET, files=files)
    check(f"exit {code}: {err}", code == 1)
    got = [one["reason"] for result in json.loads(out)["results"] for one in result["runs"]]
    check(f"{got}", all(reason in one for one in got) and got)


def strangers(program):
    for said, reason in ((b"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks another protocol"),
                         (b"\xff" + bytes(8) + b"\x7f\x03\x00CURVE" + bytes(47), "another protocol")):
        with answers(said) as listener:
            endpoint = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
            refused(program, ["connect", "--connect", endpoint, "--conns", "4", "--no-trace"],
                    reason)


def descriptors(program):
    refused(program, ["scale", "--peers", "mcq", "--idle-conns", "1000", "--no-trace"],
            "raise the hard limit", files=200)
    refused(program, ["connect", "--peers", "mcq", "--conns", "1000", "--no-trace"],
            "descriptors", files=200)


def usage(program):
    for words in (["fanin", "--size", "8"], ["fanout", "--conns", "3"], ["connect", "--subs", "3"],
                  ["slow", "--subs", "1"], ["scale", "--idle-conns", "x"]):
        code, out, err = run(program, *words)
        check(f"{words}: exit {code}", code == 2 and out == "" and "mcq-perf" in err)


def hop(program):
    with tempfile.TemporaryDirectory() as folder:
        code, out, err = run(program, "hop", "--via", "post", "--count", "500", "--idle", "block",
                             "--json", "--out", folder)
        check(f"exit {code}: {err}", code == 0 and json.loads(out)["via"] == "post")
        with open(os.path.join(folder, "result.json"), encoding="utf-8") as file:
            result, = json.load(file)["results"]
        check(f"{result['params']}", result["params"]["via"] == "post"
              and result["params"]["size"] == 32)
        trips = result["runs"][0]["histograms"]["rtt"]["count"]
        check(f"{trips} trips", 3 * 499 <= trips <= 3 * 500)


def cases(program, missing):
    yield "fanout", lambda: fanout(program)
    yield "fanin", lambda: fanin(program)
    yield "slow", lambda: slow(program)
    yield "slow of its own", lambda: slow_of_its_own(program)
    for peer in [p for p in ("mcq", "libzmq", "nng", "epoll") if p not in missing]:
        yield f"connect {peer}", lambda p=peer: connect(program, p)
    for peer in [p for p in ("mcq", "libzmq") if p not in missing]:
        yield f"scale {peer}", lambda p=peer: scale(program, p)
    yield "strangers", lambda: strangers(program)
    yield "descriptors", lambda: descriptors(program)
    yield "usage", lambda: usage(program)
    yield "hop", lambda: hop(program)


def main(program, missing):
    passed = failed = 0
    if len(os.sched_getaffinity(0)) < 2:
        print("SKIP many: one CPU is allowed")
        return 77
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
