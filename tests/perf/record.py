"""docs/perf's page, made of made-up artefacts: what it says is what they say.

usage: record.py
"""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts",
                                "lib"))
import html_sample
import record_page


def check(what, condition):
    if not condition:
        raise AssertionError(what)


def slower_come_first(artefacts, text):
    """Every verdict for a peer is a line of the first table, the greatest factor first."""
    before, after = text.split("## Slower than a peer")[1].split("## " + next(iter(artefacts)))[0:2]
    factors = [float(f) for f in re.findall(r"\| ([0-9.]+) × \|", before)]
    wanted = [max(c["ratio"], 1 / c["ratio"]) for a in artefacts.values()
              for c in a["comparisons"] if c["verdict"] == "better"]
    check(f"{len(factors)} of {len(wanted)} lines", len(factors) == len(wanted) > 0)
    check("the greatest first", factors == sorted(factors, reverse=True))
    check("the greatest", abs(factors[0] - max(wanted)) < 0.01 * max(wanted))
    check("nothing of it behind", " × |" not in after)


def medians_are_there(artefacts, text):
    for name, artefact in artefacts.items():
        part = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for result in artefact["results"]:
            for histogram in result["summary"]["histograms"].values():
                for key in ("p50", "p99"):
                    shown = record_page.short(histogram["points"][key]["median"])
                    check(f"{name}: {shown}", shown in part)
        for run in (r for result in artefact["results"] for r in result["runs"]):
            check(f"{name}: {run['reason']}", run["valid"] or run["reason"] in part)


def tables_are_whole(artefacts, text):
    """As many cells in each row as in its head."""
    cells = 0
    for line in text.split("\n"):
        now = line.count(" | ") if line.startswith("|") else 0
        check(line, now == 0 or cells in (0, now))
        cells = now


def numbers_are_short(_artefacts, _text):
    shown = [record_page.short(v) for v in (None, 0, 0.00123, 0.5, 1.234, 56.78, 999.4, 9999,
                                            12345, 2.5e6, 3e9)]
    check(shown, shown == ["-", "0", "0.0012", "0.50", "1.23", "56.8", "999", "9999", "12.3 k",
                           "2.50 M", "3.00 G"])


def main():
    artefacts = html_sample.samples()
    text = record_page.page(artefacts, {name: f"mcq-perf {name}" for name in artefacts})
    passed = failed = 0
    for test in (slower_come_first, medians_are_there, tables_are_whole, numbers_are_short):
        try:
            test(artefacts, text)
            passed += 1
        except AssertionError as error:
            failed += 1
            print(f"FAILED {test.__name__}: {error}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
