"""Holds mcq-perf's gate, ab and report to their contract, on figures made up here.

usage: verdicts_cli.py MCQ_PERF
"""

import json
import os
import random
import subprocess
import sys
import tempfile


class Failure(Exception):
    pass


def check(what, condition):
    if not condition:
        raise Failure(what)


def made(rate, runs=8, valid=True, size=64, seed=1):
    """An artefact with a rate that spreads by a percent."""
    draw = random.Random(seed)
    return {"schema": "mcq-perf", "version": 1, "command": "throughput",
            "environment": {"cpu": {"model": "</script><b>"}},
            "results": [{"workload": "throughput", "arm": "mcq", "params": {"size": size},
                         "runs": [{"valid": valid, "reason": None if valid else "a gap",
                                   "start_s": 1.5, "seconds": 1,
                                   "metrics": {"msgs_per_s": rate * draw.gauss(1, 0.01)}}
                                  for _ in range(runs)]}]}


def run(program, *words):
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


def saved(folder, name, what):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(what if isinstance(what, str) else json.dumps(what))
    return path


def gate(program, folder):
    base = saved(folder, "base.json", made(1000))
    for words, status, said in (
            ([base, saved(folder, "same.json", made(1000, seed=2))], 0, "nothing is worse"),
            ([base, saved(folder, "worse.json", made(900, seed=3))], 3, "WORSE"),
            ([base, saved(folder, "better.json", made(1100, seed=4))], 0, "better"),
            ([base, saved(folder, "worse.json", made(900, seed=3)), "--percent", "20"], 0,
             "more than 20 %"),
            ([base, saved(folder, "less.json", made(990, seed=5)), "--percent", "0.0"], 0, ""),
            ([base, saved(folder, "invalid.json", made(1000, valid=False))], 1, "INVALID"),
            ([base, saved(folder, "size.json", made(1000, size=65))], 1, "size 64"),
            ([base, saved(folder, "few.json", made(1000, runs=4))], 1, "4 runs"),
            ([base, saved(folder, "broken.json", '{"schema"')], 1, "isn't JSON"),
            ([base, os.path.join(folder, "nothing.json")], 1, "can't be opened"),
            ([base], 2, ""), ([], 2, "")):
        code, out, err = run(program, "gate", *words)
        check(f"gate {words}: exit {code}: {out}{err}", code == status and said in out + err)


def printing(folder, name, what):
    """A command whose calls print so: what, a text per call in turn."""
    saved(folder, name, "\n".join(what))
    counter = os.path.join(folder, name + ".at")
    saved(folder, name + ".at", "0")
    return (f"n=$(cat '{counter}'); n=$((n + 1)); echo $n > '{counter}'; echo {name} >> "
            f"'{os.path.join(folder, 'order')}'; sed -n \"${{n}}p\" '{os.path.join(folder, name)}'")


def flat(value, cnt, seed):
    draw = random.Random(seed)
    return [json.dumps({"peer": "mcq", "size": 16, "p50_us": value * draw.gauss(1, 0.01),
                        "p9999_us": None}) for _ in range(cnt)]


def ab(program, folder):
    a = printing(folder, "a", flat(12, 10, 6))
    code, out, err = run(program, "ab", a, printing(folder, "b", flat(13, 10, 7)))
    check(f"ab: exit {code}: {out}{err}", code == 0 and "worse" in out and "p50_us" in out)
    with open(os.path.join(folder, "order"), encoding="ascii") as f:
        check("ABBA", f.read().split() == list("abba" * 5))
    code, out, err = run(program, "ab", "--quiet", printing(folder, "a", flat(12, 10, 8)),
                         printing(folder, "b", flat(12, 10, 9)))
    check(f"ab: exit {code}: {out}{err}", code == 0 and "no evidence" in out and err == "")
    check("sizes aren't figures", "size" not in out)


def ab_artefacts(program, folder):
    first = [json.dumps(made(1000, 2, seed=n)) for n in range(5)]
    second = [json.dumps(made(1200, 2, seed=n + 50)) for n in range(5)]
    out_dir = os.path.join(folder, "ab-out")
    code, out, err = run(program, "ab", "--runs", "5", "--out", out_dir,
                         printing(folder, "a", first), printing(folder, "b", second))
    check(f"ab: exit {code}: {out}{err}", code == 0 and "better" in out)
    with open(os.path.join(out_dir, "result.json"), encoding="utf-8") as f:
        got = json.load(f)
    check("two arms", [r["arm"] for r in got["results"]] == ["A mcq", "B mcq"])
    check("a call is a run", [len(r["runs"]) for r in got["results"]] == [5, 5])
    check("verdict", [c["verdict"] for c in got["comparisons"]] == ["better"])
    for other, why in (("false", "failed (status 1)"), ("echo nonsense", "can't be read"),
                       (f"echo '{json.dumps(made(1, valid=False))}'", "aren't valid"),
                       ("echo '{}'", "")):
        code, out, err = run(program, "ab", "--runs", "5", printing(folder, "a", first), other)
        check(f"{other}: exit {code}: {out}{err}", code == 1 and why in err)


def report(program, folder):
    files = [saved(folder, "one.json", made(1)), saved(folder, "two.json", made(2))]
    page = os.path.join(folder, "page.html")
    code, out, err = run(program, "report", *files, "--out", page)
    check(f"report: exit {code}: {err}", code == 0 and page in out)
    with open(page, encoding="utf-8") as f:
        text = f.read()
    check("two artefacts", text.count('<script type="application/json" class="artefact">') == 2)
    check("nothing ends its element", "\\u003c/script>\\u003cb>" in text and "<b>" not in text)
    before = os.path.getmtime(page)
    code, _, err = run(program, "report", saved(folder, "bad.json", "{}"), "--out", page)
    check(f"report: exit {code}", code == 1 and "schema" in err)
    check("an older page stays", os.path.getmtime(page) == before)
    code, _, err = run(program, "report", files[0], "--out", os.path.join(folder, "no", "page"))
    check(f"report: exit {code}: {err}", code == 1 and "can't be written" in err)


TESTS = (gate, ab, ab_artefacts, report)


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    failed = 0
    for test in TESTS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(os.path.abspath(arguments[0]), folder)
            except Failure as failure:
                failed += 1
                print(f"FAIL {test.__name__}: {failure}")
    print(f"{len(TESTS) - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main(sys.argv[1:]))
