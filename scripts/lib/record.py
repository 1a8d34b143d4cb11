"""Every workload of mcq-perf once, and docs/perf/README.md from what they leave."""

import json
import os
import subprocess
import sys
import time

import record_page

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PERF = os.path.join(ROOT, "build", "release", "perf", "mcq-perf")
LEFT = os.path.join("build", "record")
PAGE = os.path.join("docs", "perf", "README.md")
WIDTHS = (1280, 375)
HEIGHT = 4000  # of a screenshot: the page's beginning
SHOWN = "load"  # whose page is shown
RUN_S = 400

ALL = "mcq,libzmq,nng,raw,spin,epoll,uring"
BOTH = "mcq,libzmq,nng"
# name: arguments, and those of --tiny. On two quiet cores: 5 minutes of compare, 75 s of compare
# over ipc, and less than a minute of each other.
WORKLOADS = {
    "compare": (["compare"], ["compare", "--quick", "--runs", "1", "--count", "300", "--seconds",
                              "0.05"]),
    "compare-ipc": (["compare", "--quick", "--transport", "ipc"],
                    ["compare", "--quick", "--runs", "1", "--count", "300", "--seconds", "0.05",
                     "--transport", "ipc"]),
    "load": (["load", "--peers", ALL, "--rate", "20000", "--size", "64", "--seconds", "1",
              "--runs", "5"],
             ["load", "--peers", "mcq,raw", "--rate", "1000", "--seconds", "0.1", "--runs", "1"]),
    "sweep": (["sweep", "--peers", BOTH, "--size", "64", "--seconds", "0.5", "--runs", "1"],
              ["sweep", "--peers", "mcq", "--quick", "--runs", "1", "--shares", "20"]),
    "idle": (["idle", "--peers", BOTH, "--idle", "block", "--gaps", "10us,1ms,100ms", "--runs", "5",
              "--seconds", "0.3"],
             ["idle", "--peers", "mcq", "--quick", "--runs", "1", "--gaps", "1ms"]),
    "fanout": (["fanout", "--peers", BOTH, "--quick", "--runs", "5"],
               ["fanout", "--peers", "mcq", "--quick", "--runs", "1", "--subs", "4"]),
    "fanin": (["fanin", "--peers", BOTH, "--quick", "--runs", "5"],
              ["fanin", "--peers", "mcq", "--quick", "--runs", "1", "--conns", "4"]),
    "slow": (["slow", "--peers", BOTH, "--quick", "--runs", "5"],
             ["slow", "--peers", "mcq", "--quick", "--runs", "1"]),
    "connect": (["connect", "--peers", BOTH, "--quick", "--runs", "5"],
                ["connect", "--peers", "mcq", "--quick", "--runs", "1"]),
    "scale": (["scale", "--peers", BOTH, "--idle-conns", "10,1000,10000", "--quick", "--runs", "1"],
              ["scale", "--peers", "mcq", "--quick", "--runs", "1", "--idle-conns", "10,100"]),
    "soak": (["soak", "--seconds", "30", "--runs", "1", "--peers", "mcq,libzmq"],
             ["soak", "--seconds", "1", "--runs", "1", "--peers", "mcq"]),
    "hop": (["hop"], ["hop", "--count", "2000"]),
    "jitter": (["jitter", "--seconds", "5", "--runs", "3"],
               ["jitter", "--seconds", "0.1", "--runs", "1"]),
}


def folder(name):
    return os.path.join(LEFT, name)


def artefact(name):
    path = os.path.join(ROOT, folder(name), "result.json")
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def build():
    for command in (["cmake", "--preset", "release"],
                    ["cmake", "--build", "--preset", "release", "-j", str(os.cpu_count() or 1)]):
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def measure(name, tiny):
    """A workload that fails leaves what it measured, and its output says why."""
    words = WORKLOADS[name][1 if tiny else 0]
    os.makedirs(os.path.join(ROOT, LEFT), exist_ok=True)
    start = time.monotonic()
    with open(os.path.join(ROOT, f"{folder(name)}.txt"), "w", encoding="utf-8") as f:
        try:
            code = subprocess.run([PERF, *words, "--out", folder(name)], cwd=ROOT, stdout=f,
                                  stderr=subprocess.STDOUT, timeout=RUN_S).returncode
        except subprocess.TimeoutExpired:
            code = f"none after {RUN_S} s"
    print(f"{name:<12} {time.monotonic() - start:6.1f} s  exit {code}", flush=True)


def report(names):
    files = [os.path.join(folder(name), "result.json") for name in names]
    subprocess.run([PERF, "report", *files, "--out", os.path.join(LEFT, "report.html")], cwd=ROOT,
                   check=True)


def write():
    found = {name: artefact(name) for name in WORKLOADS}
    commands = {name: "build/release/perf/mcq-perf " + " ".join(words[0])
                for name, words in WORKLOADS.items()}
    os.makedirs(os.path.join(ROOT, "docs", "perf"), exist_ok=True)
    with open(os.path.join(ROOT, PAGE), "w", encoding="utf-8") as f:
        f.write(record_page.page({n: a for n, a in found.items() if a}, commands))
    report([name for name, a in found.items() if a])
    print(PAGE)


def shots():
    """As somebody sees a report who got it sent: at a desk and on a phone, by day and by night."""
    sys.path.insert(0, os.path.join(ROOT, "tests", "perf"))
    import html_browser  # only here: it wants a Chromium
    program = html_browser.found()
    if program is None:
        sys.exit("no Chromium here (Debian: chromium-headless-shell)")
    browser = html_browser.Browser(program)
    try:
        for width in WIDTHS:
            for dark in (False, True):
                name = f"report-{width}-{'dark' if dark else 'light'}.png"
                browser.show(os.path.join(ROOT, folder(SHOWN), "report.html"), width, dark=dark,
                             phone=width < 600)
                browser.picture(os.path.join(ROOT, "docs", "perf", name),
                                clip={"x": 0, "y": 0, "width": width, "height": HEIGHT})
                print(os.path.join("docs", "perf", name))
    finally:
        browser.close()


def main(words):
    names = list(WORKLOADS)
    if words[:1] == ["--only"] and len(words) > 1:
        names = words[1].split(",")
        words = words[2:]
    if words not in ([], ["--tiny"], ["--write"], ["--shots"]) or not set(names) <= set(WORKLOADS):
        print("usage: scripts/perf-record [--only NAME,NAME...] [--tiny | --write | --shots]\n"
              f"names: {', '.join(WORKLOADS)}", file=sys.stderr)
        return 2
    if words == ["--shots"]:
        shots()
        return 0
    if words != ["--write"]:
        build()
        for name in names:
            measure(name, words == ["--tiny"])
    write()
    return 0


sys.exit(main(sys.argv[1:]))
