#!/usr/bin/python3
"""Holds mcq-topo to its contract: exit codes, JSON, the picture.

usage: cli.py MCQ_TOPO     from the root of the source; ends with `N passed, N failed`
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as tree

SHARD_KEYS = ["id", "cpu", "core", "package", "node", "sqpoll_cpu", "arena_bytes"]
BIG = "pack:2 group:4 [numa(memory=64GB)] l3:2 core:8 pu:2"
WRONG = [
    (["--synthetic", "nonsense"], "describes no machine"),
    (["--synthetic", "pack:999999 core:999999 pu:2"], "more than 65536"),
    (["--synthetic", ""], "describes no machine"),
    (["--synthetic"], "needs a value"),
    (["--synthetic", "pack:1 pu:1", "--xml", "x"], "one machine"),
    (["--xml", "/does/not/exist"], "no file"),
    (["--xml", "/etc/passwd"], "lstopo"),
    (["--shards", "0"], "1 to 128"),
    (["--shards", "129"], "1 to 128"),
    (["--nic", "no-such-if"], "no network interface"),
    (["--nic", "node:99"], "no NUMA node"),
    (["--cpus", "0,0"], "twice"),
    (["--nonsense"], "no option"),
    (["nonsense"], "no command"),
    (["--svg"], "needs a value"),
]
PICTURES = [
    (["--shards", "3", "--synthetic", "pack:1 core:1 pu:1"], 1),
    (["--shards", "96", "--ring", "sqpoll", "--sqpoll-share", "3", "--synthetic",
      "pack:2 [numa] l3:8 core:8 pu:2"], 256),
    (["--shards", "128", "--synthetic", BIG], 256),
    (["--shards", "20", "--smt", "use", "--xml", "tests/topo/hybrid.xml"], 24),
    (["--shards", "3", "--nic", "enp65s0", "--xml", "tests/topo/nic.xml"], 8),
    (["--shards", "5", "--synthetic", "pack:1 l3:1 [numa] core:3 pu:1"], 3),
    (["--shards", "2", "--synthetic", "pu:1024"], 1024),
    (["--shards", "100", "--synthetic", "pack:4 [numa] l3:8 core:16 pu:4"], 1024),
    (["--shards", "2", "--synthetic", "pack:2 l3:1 group:2 [numa] core:4 pu:8"], 128),
]


class Failure(Exception):
    pass


def check(what, condition):
    if not condition:
        raise Failure(what)


class Tool:
    def __init__(self, path):
        self.path = path

    def run(self, *words, timeout=300):
        done = subprocess.run([self.path, *words], capture_output=True, text=True, timeout=timeout)
        return done.returncode, done.stdout, done.stderr


def wrong_words_exit_2_and_say_why(tool):
    for words, says in WRONG:
        code, out, err = tool.run(*words)
        check(f"{words}: exit {code}", code == 2)
        check(f"{words}: stdout {out!r}", out == "")
        check(f"{words}: stderr {err!r}", says in err and len(err.strip().split("\n")) == 1)


def a_file_that_cannot_be_written_exits_1(tool):
    code, _, err = tool.run("--synthetic", "pu:1", "--svg", "/does/not/exist.svg")
    check(f"exit {code}: {err}", code == 1 and "/does/not/exist.svg" in err)
    code, _, err = tool.run("--synthetic", "pu:1", "--svg", "/dev/full")
    check(f"full: exit {code}: {err}", code == 1)


def help_has_both_kinds_of_options(tool):
    code, out, _ = tool.run("--help")
    check(f"exit {code}", code == 0)
    for word in ("--synthetic", "--svg", "--json", "--shards", "--nic", "--sqpoll-cpus"):
        check(word, word in out)
    check("width", max(map(len, out.split("\n"))) <= 100)


def json_has_these_keys_alone(tool):
    for words in ([], ["plan"], ["--shards", "2"], ["--shards", "40", "--synthetic", BIG]):
        code, out, err = tool.run(*words, "--json")
        check(f"exit {code}: {err}", code == 0)
        plan = json.loads(out)
        check(f"{words}: {list(plan)}", list(plan) == ["shards", "notes"])
        for index, shard in enumerate(plan["shards"]):
            check(f"{words}: {list(shard)}", list(shard) == SHARD_KEYS)
            check("id", shard["id"] == index)
            check("values", all(v is None or isinstance(v, int) for v in shard.values()))
        check("notes", all(isinstance(n, str) for n in plan["notes"]))


def json_is_what_the_golden_plans_hold(tool):
    for name in ("dual-64-snc", "hybrid", "sqpoll-spare", "smt-leave-too-many", "nic-in-xml"):
        machine = args = None
        with open(f"tests/topo/{name}.txt", encoding="utf-8") as f:
            for line in f:
                word, _, rest = line.strip().partition(" ")
                if word == "synthetic":
                    machine = ["--synthetic", rest]
                elif word == "xml":
                    machine = ["--xml", f"tests/topo/{rest}"]
                elif word == "args":
                    args = rest.split()
        code, out, err = tool.run(*machine, *args, "--json")
        check(f"{name}: exit {code}: {err}", code == 0)
        with open(f"tests/topo/{name}.json", encoding="utf-8") as f:
            check(f"{name}: differs", out == f.read())


def the_table_has_a_line_per_shard_and_note(tool):
    code, out, _ = tool.run("--synthetic", "core:4 pu:2", "--shards", "6")
    lines = out.rstrip().split("\n")
    check(f"exit {code}", code == 0)
    check(out, lines[0].split()[:2] == ["shard", "CPU"])
    check(out, [line.split()[0] for line in lines[1:7]] == list("012345"))
    check(out, lines[7] == "" and lines[8].startswith("note: ") and len(lines) == 9)
    check("columns", len({len(line) for line in lines[:7]}) == 1)


def number(element, name):
    return float(element.get(name))


def frames(picture):
    for r in picture.iter("{http://www.w3.org/2000/svg}rect"):
        if not r.get("width").endswith("%"):
            yield (number(r, "x"), number(r, "y"), number(r, "x") + number(r, "width"),
                   number(r, "y") + number(r, "height"))


def crossed(a, b):
    """Neither apart nor one inside the other."""
    apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    a_in_b = a[0] >= b[0] and a[1] >= b[1] and a[2] <= b[2] and a[3] <= b[3]
    b_in_a = b[0] >= a[0] and b[1] >= a[1] and b[2] <= a[2] and b[3] <= a[3]
    return not apart and not a_in_b and not b_in_a


def words_of(picture):
    """Boxes of the texts, as wide as a wide font makes them."""
    for t in picture.iter("{http://www.w3.org/2000/svg}text"):
        size, x, y = number(t, "font-size"), number(t, "x"), number(t, "y")
        width = 0.6 * size * len(t.text)
        if t.get("text-anchor") == "middle":
            x -= width / 2
        yield (x, y - 0.8 * size, x + width, y + 0.2 * size), t.text


def overlapping(boxes):
    """Pairs of texts that cover one another, by rows so that many take no time."""
    ordered = sorted(boxes, key=lambda b: b[0][1])
    for i, (a, first) in enumerate(ordered):
        for b, second in ordered[i + 1:]:
            if b[1] >= a[3]:
                break
            if a[0] < b[2] and b[0] < a[2]:
                yield first, second


def pictures_are_whole_and_nothing_overlaps(tool):
    for words, cpus in PICTURES:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "m.svg")
            code, out, err = tool.run(*words, "--svg", path)
            check(f"{words}: exit {code}: {err}", code == 0 and out != "")
            picture = tree.parse(path).getroot()
        width, height = number(picture, "width"), number(picture, "height")
        boxes = list(frames(picture))
        texts = list(words_of(picture))
        drawn = sum(1 for _, text in texts if re.fullmatch(r"#\d+", text))
        check(f"{words}: {drawn} CPUs drawn", drawn == cpus)
        for box in boxes + [box for box, _ in texts]:
            check(f"{words}: {box} leaves {width} x {height}",
                  box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height)
        sample = boxes if len(boxes) < 400 else boxes[::7]
        for a in sample:
            for b in boxes:
                check(f"{words}: {a} crosses {b}", not crossed(a, b))
        for first, second in overlapping(texts):
            raise Failure(f"{words}: '{first}' and '{second}' overlap")
        check(f"{words}: shape", 0.4 < width / height < 4)


def the_picture_shows_who_sits_where(tool):
    code, out, _ = tool.run("--shards", "3", "--ring", "sqpoll", "--sqpoll-share", "2",
                            "--synthetic", "pack:1 [numa] l3:1 core:6 pu:1", "--svg", "-")
    texts = [text for _, text in words_of(tree.fromstring(out))]
    check(f"exit {code}", code == 0)
    for word in ("S0", "S1", "S2", "K0+1", "K2", "package 0", "L3 0", "core 5", "#5"):
        check(f"{word} is missing", texts.count(word) == 1)


TESTS = [wrong_words_exit_2_and_say_why, a_file_that_cannot_be_written_exits_1,
         help_has_both_kinds_of_options, json_has_these_keys_alone,
         json_is_what_the_golden_plans_hold, the_table_has_a_line_per_shard_and_note,
         pictures_are_whole_and_nothing_overlaps, the_picture_shows_who_sits_where]


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    tool, failed = Tool(arguments[0]), 0
    for test in TESTS:
        try:
            test(tool)
        except Failure as failure:
            failed += 1
            print(f"FAILED: {test.__name__}: {failure}")
    print(f"{len(TESTS) - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main(sys.argv[1:]))
