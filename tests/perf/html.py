"""The HTML report in a real browser: drawn, readable, quiet on the network, and unmoved by what an
artefact may contain.

usage: html.py [FOLDER [PICTURES]]   FOLDER holds head.html and tail.html, by default made anew;
                                     PICTURES is where screenshots go, for somebody to look at
"""

import copy
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading

import html_browser
import html_sample

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PARTS = os.path.join(ROOT, "perf", "output", "html")
BEGIN, END = '<script type="application/json" class="artefact">', "</script>\n"
WIDE, PHONE = 1280, 375
MUTANTS = 24
MUTANTS_PER_PAGE = 12
CVD_MIN = 0.08  # distance in OKLab, about four times what can just be told apart
# Of colour-blind eyes, in linear light (severity 1.0): deutan, protan, tritan.
EYES = [
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
]


class Failure(Exception):
    pass


def check(what, condition):
    if not condition:
        raise Failure(what)


def none(what, found):
    check(f"{what}: " + "; ".join(found[:5]), not found)


class Ear:
    """A port on this host that nobody may speak to."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.heard = 0
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            self.socket.accept()[0].close()
            self.heard += 1


class Page:
    """The browser with the page under test."""

    def __init__(self, browser, built, folder):
        self.browser, self.folder = browser, folder
        with open(os.path.join(built, "head.html"), encoding="utf-8") as f:
            self.head = f.read()
        with open(os.path.join(built, "tail.html"), encoding="utf-8") as f:
            self.tail = f.read()
        with open(os.path.join(os.path.dirname(__file__), "html_checks.js"), encoding="utf-8") as f:
            self.checks = f.read()

    def load(self, artefacts, width=WIDE, dark=False, raw=False, scripts=True):
        """artefacts: objects, or texts that are meant to be artefacts."""
        texts = [a if isinstance(a, str) else json.dumps(a, ensure_ascii=False) for a in artefacts]
        path = os.path.join(self.folder, "report.html")
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.head)
            f.writelines(BEGIN + (t if raw else t.replace("<", "\\u003c")) + END for t in texts)
            f.write(self.tail)
        self.path = path
        self.browser.show(path, width, dark=dark, scripts=scripts, phone=width == PHONE)
        if scripts:
            self.browser.value(f"window.checks = {self.checks}; 0")

    def ask(self, expression):
        return self.browser.value(expression)

    def found(self, name):
        return self.ask(f"checks.{name}()")

    def text(self, selector):
        return self.ask(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def texts(self, selector):
        return self.ask(f"[...document.querySelectorAll({json.dumps(selector)})].map((n) => n.innerText)")

    def quiet(self):
        none("the browser complains", self.browser.said())
        others = [url for url in self.browser.asked_for() if url != f"file://{self.path}"]
        none("asked for", others)

    def whole(self):
        self.quiet()
        for name in ("plots", "words", "overflow", "strange"):
            none(name, self.found(name))


def shows(sample, width, dark):
    def test(page):
        page.load([sample], width, dark)
        page.whole()
        none("contrast", page.found("contrast"))
        check("a title", sample["command"] in page.text("h1"))
        for selector in ("#verdict strong", "#environment .chip", ".workload h2", ".workload .table",
                         ".workload figure", "footer li", ".again code"):
            check(f"{selector} is there", page.ask(f"!!document.querySelector({json.dumps(selector)})"))
        check("the fallback is gone", "could not be drawn" not in page.text("main"))
        # Folded parts, too.
        page.ask("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        page.browser.settle()
        page.whole()
        none("contrast unfolded", page.found("contrast"))
    return test


def figures_are_the_artefacts(page):
    sample = html_sample.samples()["rtt"]
    page.load([sample])
    rows = page.ask("checks.cells('Round trip')")
    check(f"columns {rows[0]}", rows[0] == ["Arm", "Valid runs", "p50", "p90", "p99", "p99.9", "p99.99",
                                            "p99.999", "max"])
    for row, result in zip(rows[1:], sample["results"], strict=True):
        points = result["summary"]["histograms"]["rtt"]["points"]
        for cell, name in zip(row[2:], points, strict=True):
            value = points[name] and points[name]["median"]
            expected = "n/a" if value is None else f"{value:,.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"
            check(f"{result['arm']} {name}: {cell}, not {expected}", cell == expected)


def curves_are_where_they_belong(page):
    sample = html_sample.samples()["rtt"]
    page.load([sample])
    curve = sample["results"][0]["summary"]["histograms"]["rtt"]["curve"]
    read = page.ask("checks.curve(0)")
    wanted = [min(curve, key=lambda pair: abs(pair[0] - p))[1] for p in (50, 90, 99, 99.9, 99.99, 99.999)]
    check(f"{len(read)} marks for {len(wanted)}", len(read) == len(wanted))
    for value, expected in zip(read, wanted):
        check(f"{value} where {expected} belongs", abs(value / expected - 1) < 0.02)


def verdict_names_the_slower(page):
    samples = html_sample.samples()
    page.load([samples["rtt"]])
    check("valid", page.text("#verdict strong") == "VALID")
    rows = page.ask("checks.cells('mcq, pinned against each peer')")[1:]
    worse = [c for c in samples["rtt"]["comparisons"] if c["verdict"] == "better"]
    check(f"{len(rows)} rows for {len(worse)}", len(rows) == len(worse) > 0)
    factors = [float(row[1].rstrip("×")) for row in rows]
    check("the worst first", factors == sorted(factors) and max(factors) < 1)
    names = {samples["rtt"]["results"][c["b"]]["arm"] for c in worse}
    check(f"by name: {names}", {row[0].split(",")[0] for row in rows} == names)
    none_worse = {**samples["rtt"], "comparisons": [c for c in samples["rtt"]["comparisons"]
                                                    if c["verdict"] != "better"]}
    page.load([none_worse])
    check("nothing is slower", "Nothing that was compared is slower" in page.text("#verdict"))


def higher_is_better_is_turned(page):
    sample = copy.deepcopy(html_sample.samples()["connect"])
    base = {"workload": "connect", "a": 0, "b": 1, "figure": "connections_per_s", "median_a": 100.0,
            "median_b": 200.0, "ratio": 2.0, "low": 1.6, "high": 2.5, "p_value": 0.01, "runs_a": 5,
            "runs_b": 5, "verdict": "better"}
    sample["comparisons"] = [base]
    page.load([sample])
    row = page.ask("checks.cells('mcq against each peer')")[1]
    check(f"a peer twice as fast: {row}", row[0] == "libzmq" and row[1] == "0.50×" and "0.40–0.63" in row)


def invalid_says_why(page):
    sample = html_sample.samples()["load-invalid"]
    page.load([sample])
    text = page.text("#verdict")
    check("invalid", "INVALID" in text and "13 runs of 15" in text)
    for run in (r for result in sample["results"] for r in result["runs"] if not r["valid"]):
        check(f"{run['reason']} is said", run["reason"] in text)
    check("and by whom", "load: nng, run 3" in text)


def environment_says_what_it_must(page):
    sample = copy.deepcopy(html_sample.samples()["jitter"])
    page.load([sample])
    check("the doctor's word", page.text("#environment .chip") == "WARN")
    check("its list", "isolcpus, irq_affinity" in page.text("#environment"))
    check("an optimized build", "optimization" not in page.text("#verdict"))
    for group, facts in sample["environment"].items():
        for name, value in facts.items():
            check(f"{group} {name}", value in page.ask("document.querySelector('main').textContent"))
    sample["environment"]["build"]["optimized"] = "no: figures of this build say nothing"
    sample["environment"].pop("doctor")
    page.load([sample])
    check("not an optimized build", "without optimization" in page.text("#verdict"))
    check("no doctor", page.text("#environment .chip") == "UNKNOWN")


def several_in_one_page(page):
    samples = html_sample.samples()
    page.load([samples["rtt"], samples["load-invalid"], "{", samples["sweep"]])
    page.whole()
    check("contents", page.texts("nav a") == ["rtt", "load", "sweep"])
    check("the broken one is told", any("can't be read as JSON" in t for t in page.texts(".problem")))
    check("and counts", page.text("#verdict strong") == "INVALID")


def keys_and_pointer_read_values(page):
    page.load([html_sample.samples()["rtt"]], PHONE)
    box = "[...document.querySelectorAll('.readout')].find((n) => !n.hidden)"
    page.ask("document.querySelector('figure.lines svg.plot').focus()")
    page.browser.key("ArrowRight")
    check("p50 first", (page.ask(f"{box}?.innerText") or "").startswith("p50\n"))
    page.browser.key("ArrowRight")
    page.browser.key("ArrowRight")
    check("then p90", (page.ask(f"{box}?.innerText") or "").startswith("p90"))
    curve = html_sample.samples()["rtt"]["results"][0]["summary"]["histograms"]["rtt"]["curve"]
    value = min(curve, key=lambda pair: abs(pair[0] - 90))[1]
    check("with its value", f"{value:.2f} µs" in page.ask(f"{box}.innerText"))
    none("overflow", page.found("overflow"))
    page.browser.key("Escape")
    check("gone", page.ask(f"{box} === undefined"))
    for share in (0.3, 0.95):
        x, y = page.ask("(() => { const s = document.querySelector('figure.lines svg.plot'); s.scrollIntoView();"
                        f" const r = s.getBoundingClientRect(); return [r.left + r.width * {share}, r.top + 60]; }})()")
        page.browser.point(x, y)
        page.browser.settle()
        check("under the pointer", "mcq" in (page.ask(f"{box}?.innerText") or ""))
        none("overflow", page.found("overflow"))

    # At the greatest load of all only one peer was measured.
    page.load([html_sample.samples()["sweep"]])
    page.ask("document.querySelector('figure.lines svg.plot').focus()")
    page.browser.key("End")
    text = page.ask(f"{box}.innerText")
    check(f"one peer alone: {text}", "mcq" in text and "at 95 %" in text
          and "nng" not in text and "libzmq" not in text)


def curve_at_another_load(page):
    page.load([html_sample.samples()["sweep"]])
    title = "[...document.querySelectorAll('h3')].find((n) => n.innerText.startsWith('Latency by')).innerText"
    check("the last that all have", page.ask(title) == "Latency by percentile, at 90 %")
    page.ask("(() => { const s = document.querySelector('.control select'); s.value = '0';"
             " s.dispatchEvent(new Event('change')); })()")
    page.browser.settle()
    check("then another", page.ask(title) == "Latency by percentile, at 10 %")
    page.whole()


def themes_differ_and_paper_is_light(page):
    background = "getComputedStyle(document.documentElement).backgroundColor"
    seen = []
    for dark in (False, True):
        page.load([html_sample.samples()["load"]], dark=dark)
        seen.append(page.ask(background))
    check(f"light and dark are {seen}", seen[0] == "rgb(255, 255, 255)" and seen[1] != seen[0])
    page.browser.ask("Emulation.setEmulatedMedia", media="print", features=[
        {"name": "prefers-color-scheme", "value": "dark"}])
    check("paper is light", page.ask(background) == seen[0])
    none("contrast on paper", page.found("contrast"))
    page.ask("dispatchEvent(new Event('beforeprint'))")
    check("unfolded for paper", page.ask("!document.querySelector('details:not([open])')"))
    page.ask("dispatchEvent(new Event('afterprint'))")
    check("folded again", page.ask("!document.querySelector('details[open]')"))


def without_scripts(page):
    page.load([html_sample.samples()["load"]], scripts=False)
    try:
        check("a sentence", "With scripts off" in page.text("noscript"))
    finally:
        page.browser.ask("Emulation.setScriptExecutionDisabled", value=False)


def strings_of(value, change):
    """A copy in which every string that is no key of the schema's own is changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [strings_of(v, change) for v in value]
    if isinstance(value, dict):
        return {k: v if k in ("schema", "verdict", "figure") else strings_of(v, change)
                for k, v in value.items()}
    return value


def hostile_texts_stay_texts(page):
    ear = Ear()
    url = f"http://127.0.0.1:{ear.port}/x"
    attacks = [
        f"</script><script>window.hit = 1; fetch('{url}')</script>",
        f"<img src='{url}' onerror='window.hit = 1'>",
        f"<svg onload=\"window.hit = 1\"><image href='{url}'/></svg>",
        f"<!--<script>window.hit = 1;</script>{url}",
        f"\"><iframe src='{url}'></iframe><style>@import '{url}';</style>",
        "javascript:window.hit = 1", "__proto__", "constructor", "a" * 400, "\u202e\u0000 \U0001f680",
    ]
    samples = html_sample.samples()
    for attack in attacks:
        hurt = strings_of(samples["load-invalid" if attack in attacks[2:] else "fanout"],
                          lambda text: f"{text}{attack}")
        first = hurt["results"][0]
        first["params"].update({attack: attack, "__proto__": "x", "constructor": "y"})
        hurt["environment"][attack] = {attack: attack}
        first["runs"][0]["metrics"][attack] = 1
        first["summary"]["metrics"][attack] = {"median": 1, "low": 1, "high": 1}
        page.load([hurt], PHONE)
        page.whole()
        check(f"{attack} ran", page.ask("window.hit === undefined"))
        if attack.isprintable():
            check(f"{attack} is shown as it is",
                  attack in page.ask("document.querySelector('main').textContent"))
    # Even unescaped, as no writer may leave it.
    for attack in attacks[:5]:
        page.load([json.dumps(strings_of(samples["jitter"], lambda text: text + attack))], raw=True)
        check(f"{attack} ran", page.ask("window.hit === undefined"))
    check("somebody was called", ear.heard == 0)


def broken_artefacts_say_so(page):
    good = html_sample.samples()["load"]
    cases = ["", "   ", "{", "null", "[]", "7", '"text"', "{}", json.dumps(good)[:-200],
             {**good, "schema": "other"}, {**good, "version": 2}, {**good, "version": None},
             {**good, "results": []}, {**good, "results": None}, {**good, "results": {"a": 1}}]
    for case in cases:
        page.load([case], PHONE)
        page.whole()
        check(f"{str(case)[:60]}: a sentence", page.text(".problem").endswith("."))
        check(f"{str(case)[:60]}: invalid", page.text("#verdict strong") == "INVALID")
    page.load([])
    page.whole()
    check("no artefact at all is told", "no artefact in it" in page.text(".problem"))
    empty = copy.deepcopy(good)
    for result in empty["results"]:
        result["runs"], result["summary"] = [], {}
    page.load([{**empty, "comparisons": [], "environment": {}}])
    page.whole()
    check("no runs are told", "no runs" in page.text("#verdict") and page.text("#verdict strong") == "INVALID")


def mutated(rng, value):
    """A copy with some nodes replaced by what doesn't belong there."""
    junk = [None, -1, 0, 1e308, -1e308, "", "x", [], {}, [None], {"a": []}, True, 1e-300, [[[]]], "p50 p99_us"]
    value = copy.deepcopy(value)
    for _ in range(rng.randrange(1, 8)):
        node = value.get("results") if rng.random() < 0.7 else value
        node = node if isinstance(node, (dict, list)) else value
        while True:
            keys = list(node) if isinstance(node, dict) else range(len(node))
            if not keys:
                break
            key = rng.choice(list(keys))
            if key in ("schema", "version"):
                continue
            if not isinstance(node[key], (dict, list)) or not node[key] or rng.random() < 0.12:
                if rng.random() < 0.2:
                    del node[key]
                else:
                    node[key] = copy.deepcopy(rng.choice(junk))
                break
            node = node[key]
    return value


def mutants_are_drawn(page):
    rng = random.Random(11)
    samples = [html_sample.samples()[name] for name in ("load-invalid", "fanout", "soak-two", "connect", "rtt")]
    for first in range(0, MUTANTS, MUTANTS_PER_PAGE):
        page.load([mutated(rng, rng.choice(samples)) for _ in range(MUTANTS_PER_PAGE)], PHONE)
        try:
            page.whole()
        except Failure as failure:
            raise Failure(f"mutants from {first}: {failure}") from failure


def oklab(rgb):
    r, g, b = rgb
    long, middle, short = (max(0.0, x) ** (1 / 3) for x in (
        0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b,
        0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b,
        0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b))
    return (0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
            1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
            0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short)


def peers_differ_for_every_eye(page):
    for dark in (False, True):
        page.load([html_sample.samples()["load"]], dark=dark)
        style = "getComputedStyle(document.documentElement).getPropertyValue('--hue-%d').trim()"
        colours = [page.ask(style % i) for i in range(7)]
        linear = [[c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
                   for c in (int(text[i:i + 2], 16) / 255 for i in (1, 3, 5))] for text in colours]
        for eye in EYES:
            seen = [oklab([min(1, max(0, sum(a * b for a, b in zip(row, rgb)))) for row in eye])
                    for rgb in linear]
            for i, one in enumerate(seen):
                for j, other in enumerate(seen[:i]):
                    apart = sum((a - b) ** 2 for a, b in zip(one, other)) ** 0.5
                    check(f"{colours[i]} and {colours[j]} are {apart:.3f} apart", apart >= CVD_MIN)


def policy_allows_nothing_else(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page.head)[1]
    check(policy, policy.startswith("default-src 'none'; ") and "unsafe" not in policy and "http" not in policy)
    check("no address in the page", not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page.head + page.tail))
    check("no markup from texts", not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b"
                                               r"|new Function", page.tail))


def tests():
    yield "policy", policy_allows_nothing_else
    for name, sample in html_sample.samples().items():
        for width, dark in ((WIDE, False), (PHONE, True)):
            yield f"{name} at {width} px, {'dark' if dark else 'light'}", shows(sample, width, dark)
    for test in (figures_are_the_artefacts, curves_are_where_they_belong, verdict_names_the_slower,
                 higher_is_better_is_turned, invalid_says_why,
                 environment_says_what_it_must, several_in_one_page,
                 keys_and_pointer_read_values, curve_at_another_load, themes_differ_and_paper_is_light,
                 without_scripts, hostile_texts_stay_texts, broken_artefacts_say_so, mutants_are_drawn,
                 peers_differ_for_every_eye):
        yield test.__name__.replace("_", " "), test


def pictures(page, folder):
    os.makedirs(folder, exist_ok=True)
    for name, sample in html_sample.samples().items():
        for width in (WIDE, PHONE):
            for dark in (False, True):
                page.load([sample], width, dark)
                page.browser.picture(os.path.join(folder, f"{name}-{width}-{'dark' if dark else 'light'}.png"))


def main(arguments):
    if len(arguments) > 2:
        sys.exit(__doc__)
    program = html_browser.found()
    if program is None:
        print("SKIP html: no Chromium here (Debian: chromium-headless-shell)")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    failed = passed = 0
    with tempfile.TemporaryDirectory(prefix="mcq-html-") as folder:
        built = arguments[0] if arguments else folder
        if not arguments:
            subprocess.run(["cmake", f"-DOUT={folder}", "-P", os.path.join(PARTS, "inline.cmake")], check=True)
        browser = html_browser.Browser(program)
        try:
            page = Page(browser, built, folder)
            for name, test in tests():
                try:
                    test(page)
                    passed += 1
                except (Failure, html_browser.Trouble) as failure:
                    failed += 1
                    print(f"FAILED {name}: {failure}", flush=True)
            if len(arguments) == 2:
                pictures(page, arguments[1])
        finally:
            browser.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
