#!/usr/bin/python3
"""mcq-topo steer on a running program: what it shows and changes, and how it says no.

usage: steer_cli.py MCQ_TOPO SHARDED     SHARDED: examples/sharded; exit 77: no eBPF here
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys

WAIT_S = 300
RULES = "127.1.0.0/16=0,127.2.0.0/16=1"
WRONG = [  # on a running bind; exit code, and what is said
    (["nonsense"], 2, "no command"),
    (["set"], 2, "needs a value"),
    (["list", "more"], 2, "what is 'more'"),
    (["set", "127.1.0.0/33=0"], 2, "write /0 to /32"),
    (["set", "127.1.0.0/16=2"], 2, "no shard 2"),
    (["set", "127.1.0.0/16"], 2, "PREFIX=SHARD"),
    (["set", "127.9.0.0/16=1,mode=best"], 2, "hash, cpu, port, weights, least"),
    (["set", "weights=1:2:3"], 2, "weight"),
    (["set", "rung=cbpf"], 2, "chosen at bind"),
    (["set", "127.9.0.0/16=1,"], 2, "comma"),
    (["remove", "127.9.0.0/16"], 1, "no rule"),
    (["remove", "127.1.0.0/16=0"], 2, "prefix alone"),
    (["drain", "2"], 2, "no shard 2"),
    (["drain", "one"], 2, "no shard"),
    (["drain", "4294967296"], 2, "no shard"),
    (["show", "--bind", "nobody"], 1, "no steered bind"),
    (["show", "--bind"], 2, "needs a value"),
]


class Failure(Exception):
    pass


def check(what, condition):
    if not condition:
        raise Failure(what)


class Service:
    """The example, and mcq-topo on it alone: others may run here."""

    def __init__(self, tool, sharded, steer):
        self.tool = tool
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.endpoint = f"tcp://127.0.0.1:{self.port}"
        self.program = subprocess.Popen(
            [sharded, self.endpoint, steer, "--cpus", "none", "--arena", "32M", "--large-bytes",
             "16M", "--log", "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.rung = None
        for line in self.program.stderr:
            match = re.search(r"steered by (\w+)", line)
            if match:
                self.rung = match.group(1)
                break
        self.program.stdout.readline()  # the first report: all shards listen

    def run(self, *words):
        if "--bind" not in words:
            words += ("--bind", str(self.program.pid))
        done = subprocess.run([self.tool, "steer", *words], capture_output=True, text=True,
                              timeout=WAIT_S)
        return done.returncode, done.stdout, done.stderr

    def do(self, *words):
        code, out, err = self.run(*words)
        check(f"{words}: exit {code}: {out}{err}", code == 0 and out == "" and err == "")

    def show(self):
        code, out, err = self.run("show", "--json")
        check(f"show: exit {code}: {err}", code == 0 and err == "")
        return json.loads(out)

    def lands_on(self, source):
        """The shard whose counter of connections the next one from there moves."""
        before = [self.total(s) for s in self.show()["shards"]]
        with socket.create_connection(("127.0.0.1", self.port), WAIT_S, (source, 0)) as sock:
            check(f"{source}: no greeting", sock.recv(1) == b"\xff")
        moved = [i for i, s in enumerate(self.show()["shards"]) if self.total(s) == before[i] + 1]
        check(f"{source}: moved {moved}", len(moved) == 1)
        return moved[0]

    @staticmethod
    def total(shard):
        return sum(shard[key] for key in ("exact", "prefix", "mode", "elsewhere"))

    def close(self, how=signal.SIGTERM):
        self.program.send_signal(how)
        return self.program.wait(WAIT_S)


def it_shows_what_runs(service):
    code, out, err = service.run("list")
    check(f"list: exit {code}: {err}", code == 0)
    check(out, [line for line in out.split("\n") if service.endpoint in line.split()])
    code, out, _ = service.run("list", "--json")
    mine = [b for b in json.loads(out) if b["pid"] == service.program.pid]
    check(out, code == 0 and len(mine) == 1 and mine[0]["name"] == "service" and
          mine[0]["endpoint"] == service.endpoint and mine[0]["rules_cnt"] == 2)
    for which in (service.endpoint, mine[0]["path"], os.path.basename(mine[0]["path"])):
        code, out, err = service.run("show", "--bind", which)
        check(f"{which}: exit {code}: {err}", code == 0 and "127.2.0.0/16" in out)


def rules_are_swapped_while_it_runs(service):
    check("rules", [service.lands_on(f"127.{n}.0.5") for n in (1, 2)] == [0, 1])
    with socket.create_connection(("127.0.0.1", service.port), WAIT_S, ("127.1.0.6", 0)) as old:
        check("no greeting", old.recv(1) == b"\xff")
        service.do("set", "127.1.0.0/16=1,127.2.0.0/16=0,127.2.0.7=1")
        check("swapped", [service.lands_on(f"127.{n}.0.5") for n in (1, 2)] == [1, 0])
        check("exact", service.lands_on("127.2.0.7") == 1)
        old.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            while True:  # the rest of the greeting; the connection stays
                check("the old one has ended", old.recv(64) != b"")
    rules = {r["prefix"]: r for r in service.show()["rules"]}
    check(f"{rules}", rules["127.2.0.7"]["hits"] == 1 and rules["127.2.0.0/16"]["shard"] == 0)
    service.do("remove", "127.2.0.7")
    service.do("set", RULES)
    check("back", [service.lands_on(f"127.{n}.0.5") for n in (1, 2)] == [0, 1])


def a_drained_shard_gets_nobody(service):
    service.do("drain", "1")
    check("drained", service.lands_on("127.2.0.5") == 0)
    shards = service.show()["shards"]
    check(f"{shards}", [s["state"] for s in shards] == ["live", "drained"])
    service.do("undrain", "1")
    check("undrained", service.lands_on("127.2.0.5") == 1)


def modes_and_weights(service):
    service.do("set", "weights=0:1")
    check("weights", all(service.lands_on("127.3.0.1") == 1 for _ in range(5)))
    check("mode", service.show()["mode"] == "weights")
    service.do("set", "mode=hash")
    check("mode", service.show()["mode"] == "hash")


def what_cannot_be_written_exits_1(service):
    with open("/dev/full", "w", encoding="utf-8") as full:
        for words in (["list"], ["list", "--json"], ["show", "--bind", service.endpoint]):
            code = subprocess.run([service.tool, "steer", *words], stdout=full, timeout=WAIT_S,
                                  check=False).returncode
            check(f"{words}: exit {code}", code == 1)


def wrong_words_say_why_and_change_nothing(service):
    before = [(r["prefix"], r["shard"]) for r in service.show()["rules"]]
    for words, wanted, says in WRONG:
        code, out, err = service.run(*words)
        check(f"{words}: exit {code}, {err!r}", code == wanted and says in err)
        check(f"{words}: {out!r} {err!r}", out == "" and len(err.strip().split("\n")) == 1)
    after = service.show()
    check(f"{after}", [(r["prefix"], r["shard"]) for r in after["rules"]] == before and
          after["mode"] == "hash")


TESTS = [it_shows_what_runs, rules_are_swapped_while_it_runs, a_drained_shard_gets_nobody,
         modes_and_weights, what_cannot_be_written_exits_1,
         wrong_words_say_why_and_change_nothing]


def what_is_killed_is_not_shown(tool, sharded):
    service = Service(tool, sharded, RULES)
    path = service.show()["path"]
    service.close(signal.SIGKILL)
    code, out, err = service.run("show")
    check(f"exit {code}: {out}", code == 1 and "no steered bind" in err)
    check("its pins are still there", not os.path.exists(path))


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    service, failed = Service(*arguments, RULES), 0
    if service.rung != "ebpf":
        print(f"SKIP steer_cli: steered by {service.rung} here")
        service.close()
        return 77
    last = (what_is_killed_is_not_shown, arguments)
    for test, words in [(test, (service,)) for test in TESTS] + [last]:
        try:
            test(*words)
        except Failure as failure:
            failed += 1
            print(f"FAILED: {test.__name__}: {failure}")
    code = service.close()
    if code != 0:
        failed += 1
        print(f"FAILED: the program ended with {code}")
    print(f"{len(TESTS) + 1 - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main(sys.argv[1:]))
