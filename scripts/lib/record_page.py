"""docs/perf/README.md: tables of what every workload gave, made of result.json files alone."""

# What a table shows of a result; the rest is in the artefact.
METRICS = ["msgs_per_s", "connections_per_s", "connection_bytes", "connection_kernel_bytes",
           "fairness", "server_cpu_ns_per_msg", "server_syscalls_per_msg", "rss_bytes_per_min",
           "lost_time_percent", "dropped"]
HISTOGRAMS = ["rtt", "response", "service", "one_way", "last", "skew", "connect", "gap", "others",
              "lag"]
POINTS = ["p50", "p99", "p999", "max"]
# What one command asks for only once is said above its table.
HIDDEN = {"placement"}
UNIT = {"p50": "p50 µs", "p99": "p99 µs", "p999": "p99.9 µs", "max": "max µs"}


def short(value):
    """Three digits or so; large ones with a suffix that is read at once."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    for limit, suffix in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= limit:
            return short(value / {" G": 1e9, " M": 1e6, " k": 1e3}[suffix]) + suffix
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 4
    return f"{value:.{digits}f}"


def lead_of_b(comparison):
    """How many times better the second does, whichever way is better; None without a verdict."""
    ratio = comparison["ratio"]
    if comparison["verdict"] != "better" or not ratio or ratio <= 0:
        return None
    return max(ratio, 1 / ratio)


def varying(results):
    """The parameters that tell results of one workload apart."""
    keys = dict.fromkeys(key for r in results for key in r["params"])
    return [key for key in keys if key not in HIDDEN and
            len({str(r["params"].get(key)) for r in results}) > 1]


def name_of(result):
    place = result["params"].get("placement")
    free = place == "free" and "free" not in result["arm"]
    return result["arm"] + (", free" if free else "")


def point(result, histogram, key):
    summary = result["summary"]["histograms"].get(histogram)
    spread = summary["points"].get(key) if summary else None
    return spread["median"] if spread else None


def metric(result, key):
    spread = result["summary"]["metrics"].get(key)
    return spread["median"] if spread else None


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join(["---"] * len(head)) + " |"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def columns_of(results):
    """(head, a function of a result) for all that any of them has."""
    columns = [(key, lambda r, k=key: str(r["params"].get(k, "-")))
               for key in varying(results)]
    for key in METRICS:
        if any(metric(r, key) is not None for r in results):
            columns.append((key, lambda r, k=key: short(metric(r, k))))
    for histogram in HISTOGRAMS:
        for key in POINTS:
            if any(point(r, histogram, key) is not None for r in results):
                columns.append((f"{histogram} {UNIT[key]}",
                                lambda r, h=histogram, k=key: short(point(r, h, k))))
    return columns



def runs_of(result):
    valid = sum(run["valid"] for run in result["runs"])
    return str(valid) if valid == len(result["runs"]) else f"{valid} of {len(result['runs'])}"


def ratios_of(artefact, result_idx):
    """The main figure's factor over the first arm, above 1 where this one does better."""
    for c in artefact["comparisons"]:
        if c["b"] == result_idx and (c["figure"] == "msgs_per_s" or c["figure"].endswith(" p50") or
                                     c["figure"] == "connections_per_s"):
            high = not c["figure"].endswith(" p50")
            if c["ratio"]:
                factor = c["ratio"] if high else 1 / c["ratio"]
                return f"{factor:.2f} ({c['verdict']})"
    return ""


def kinds_of(results):
    """Results that were asked for the same kind of thing, by the words among their parameters."""
    told = [key for key in varying(results)
            if any(isinstance(r["params"].get(key), str) for r in results)]
    kinds = {}
    for r in results:
        words = ", ".join(f"{key} {r['params'][key]}" for key in told if key in r["params"])
        kinds.setdefault(words, []).append(r)
    return kinds


def kind_table(artefact, results):
    columns = columns_of(results)
    head = ["arm", "runs"] + [name for name, _ in columns] + ["of the first"]
    rows = [[name_of(r), runs_of(r)] + [cell(r) for _, cell in columns] +
            [ratios_of(artefact, artefact["results"].index(r))] for r in results]
    return table(head, rows)


def workload_tables(artefact, workload, title):
    own = [r for r in artefact["results"] if r["workload"] == workload]
    for words, results in kinds_of(own).items():
        name = ", ".join(part for part in (workload if title else "", words) if part)
        yield f"**{name}**" if name else ""
        yield kind_table(artefact, results)


def invalid_lines(artefact):
    return [f"- {r['workload']} {name_of(r)}: {run['reason']}" for r in artefact["results"]
            for run in r["runs"] if not run["valid"]]


def slower_rows(name, artefact):
    """Where the first arm does worse, with a verdict; the worst first."""
    for c in artefact["comparisons"]:
        lead = lead_of_b(c)
        if lead is not None:
            a, b = artefact["results"][c["a"]], artefact["results"][c["b"]]
            told = varying([r for r in artefact["results"] if r["workload"] == a["workload"]])
            params = ", ".join(f"{key} {a['params'][key]}" for key in told if key in a["params"])
            yield lead, [name, c["figure"], params or "-", name_of(a), short(c["median_a"]),
                         name_of(b), short(c["median_b"]), f"{lead:.2f} ×"]


def slower(artefacts):
    rows = sorted((row for name, a in artefacts.items() for row in slower_rows(name, a)),
                  key=lambda row: -row[0])
    if not rows:
        return "Nowhere that these runs prove."
    return table(["command", "figure", "parameters", "slower", "", "faster", "", "factor"],
                 [row for _, row in rows])


def machine(artefact):
    env = artefact["environment"]

    def fact(group, name):
        return env.get(group, {}).get(name, "unknown")
    return (f"{fact('cpu', 'model')}, Linux {fact('host', 'kernel')}, CPUs {fact('cpu', 'used')}; "
            f"doctor: {fact('doctor', 'verdict')}; {fact('date', 'utc')}; revision "
            f"{fact('build', 'revision')}.")


def section(name, artefact, command):
    parts = [f"## {name}", f"```sh\n{command}\n```"]
    for workload in dict.fromkeys(r["workload"] for r in artefact["results"]):
        parts += workload_tables(artefact, workload, workload != name)
    refused = invalid_lines(artefact)
    if refused:
        parts += ["Not to be believed:\n\n" + "\n".join(refused)]
    return "\n\n".join(part for part in parts if part)


def page(artefacts, commands):
    """artefacts: by name, in their order; commands: what reproduces each."""
    first = next(iter(artefacts.values()), None)
    parts = ["# What every workload gave on one machine",
             machine(first) if first else "Nothing was measured.",
             "Written by `scripts/perf-record`; [../MEASURING.md](../MEASURING.md) says how it was "
             "measured and what the words mean. Figures are medians over the valid runs. The last "
             "column is the factor of the first latency or rate over the first arm, above 1 where "
             "that arm does better, and its verdict. Loopback has no wire; believe the ratios "
             "rather than the figures.",
             "The beginning of the page that `load` left: [at a desk](report-1280-light.png), "
             "[dark](report-1280-dark.png), [on a phone](report-375-light.png), "
             "[dark](report-375-dark.png).",
             "## Slower than a peer", slower(artefacts)]
    parts += [section(name, a, commands[name]) for name, a in artefacts.items()]
    return "\n\n".join(parts) + "\n"
