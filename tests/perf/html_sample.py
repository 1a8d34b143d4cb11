"""Artefacts as mcq-perf leaves them, made up from distributions: what the report has to show, and what
it has to survive. Nothing in them was measured.

usage: html_sample.py FOLDER     writes NAME.json for each
"""

import json
import math
import os
import random
import sys

POINTS = [("p50", 50), ("p90", 90), ("p99", 99), ("p999", 99.9), ("p9999", 99.99),
          ("p99999", 99.999)]
START_S = 1763900000.1
ENVIRONMENT = {
    "host": {"kernel": "6.18.0", "command line": "root=/dev/vda1 console=ttyS0",
             "hypervisor": "KVM", "name": "bench-1"},
    "cpu": {"model": "AMD EPYC 9575F", "cores": "2", "threads per core": "1",
            "mitigations": "spectre_v2: Enhanced IBRS; others not affected",
            "governor": "unknown", "used": "server 0, client 1"},
    "clock": {"source": "tsc", "resolution": "1 ns"},
    "memory": {"transparent huge pages": "madvise", "memlock": "8 MiB", "huge pages": "0"},
    "net": {"lo mtu": "65536"},
    "build": {"compiler": "gcc 12.2.0", "flags": "-O2 -flto", "revision": "05f581b",
              "optimized": "yes"},
    "library": {"ring": "single issuer, deferred task work, receive bundles"},
    "doctor": {"verdict": "WARN (0 FAIL, 2 WARN, 1 UNKNOWN)", "failed": "none",
               "warned": "isolcpus, irq_affinity", "unknown": "governor"},
    "date": {"utc": "2025-11-23 12:13:20"},
}


class Latency:
    """A body, a shoulder and a tail, as quantiles."""

    def __init__(self, median, tail=1.0, count=500000):
        self.median, self.tail, self.count = median, tail, count

    def at(self, percent):
        above = max(1 - percent / 100, 1e-9)
        nines = -math.log10(above)
        body = 0.82 + 0.36 * min(percent, 90) / 90
        return self.median * body * (1 + 0.22 * self.tail * max(0, nines - 1) ** 1.7)

    def drawn(self, rng):
        return Latency(self.median * rng.uniform(0.97, 1.03), self.tail * rng.uniform(0.85, 1.2),
                       self.count)

    def histogram(self):
        points = {name: round(self.at(p), 3) if self.count * (1 - p / 100) >= 10 else None
                  for name, p in POINTS}
        return {"count": self.count, "min_us": round(self.at(0), 3),
                "mean_us": round(self.median * 1.1, 3), "stddev_us": round(self.median * 0.4, 3),
                "max_us": round(self.at(100 - 100 / self.count), 3),
                "points": {**points, "max": round(self.at(100 - 100 / self.count), 3)},
                "hdr": "HISTFAAAABx42pNpmSzMwMDAxAABzFCaEUQz2n+AMIAAAE3rA2c="}

    def curve(self, runs):
        step, percent, pairs = 0.5, 0.0, []
        while self.count * runs * (1 - percent / 100) >= 10:
            pairs.append([round(percent, 6), round(self.at(percent), 3)])
            step = (100 - percent) / 20
            percent += step
        return pairs


def spread(values):
    known = sorted(v for v in values if v is not None)
    if not known:
        return None
    return {"median": known[len(known) // 2], "low": known[0], "high": known[-1]}


def result(rng, workload, arm, params, latencies, metrics, runs=5, refused=None, series=None):
    """refused: {index: reason}; metrics: {name: value or None}."""
    made = []
    for i in range(runs):
        histograms = {name: latency.drawn(rng).histogram() for name, latency in latencies.items()}
        reason = (refused or {}).get(i)
        made.append({"valid": reason is None, "reason": reason, "start_s": START_S + 7 * i,
                     "seconds": 5.0,
                     "metrics": {k: v if v is None else v * rng.uniform(0.98, 1.02)
                                 for k, v in metrics.items()},
                     "histograms": histograms})
        if series:
            made[-1]["series"] = series(rng)
    good = [run for run in made if run["valid"]]
    summary = {"metrics": {}, "histograms": {}}
    for name in metrics if good else ():
        summary["metrics"][name] = spread([run["metrics"][name] for run in good])
    for name, latency in latencies.items() if good else ():
        points = {p: spread([run["histograms"][name]["points"][p] for run in good])
                  for p in [*dict(POINTS), "max"]}
        summary["histograms"][name] = {"points": points, "curve": latency.curve(len(good))}
    return {"workload": workload, "arm": arm, "params": params, "runs": made, "summary": summary}


def comparison(a, b, results, figure, higher=False):
    if " " in figure:
        name, point = figure.split(" ")
        take = lambda r: r["summary"]["histograms"].get(name, {}).get("points", {}).get(point)
    else:
        take = lambda r: r["summary"]["metrics"].get(figure)
    left, right = take(results[a]), take(results[b])
    if not left or not right:
        return None
    ratio = right["median"] / left["median"]
    width = 1 + 0.5 * abs((left["high"] - left["low"]) / left["median"]) + 0.02
    low, high = ratio / width, ratio * width
    verdict = "no evidence" if low <= 1 <= high else \
        "better" if (ratio > 1) == higher else "worse"
    return {"workload": results[a]["workload"], "a": a, "b": b, "figure": figure,
            "median_a": left["median"], "median_b": right["median"], "ratio": ratio, "low": low,
            "high": high, "p_value": 0.4 if verdict == "no evidence" else 0.008, "runs_a": 5,
            "runs_b": 5, "verdict": verdict}


def artefact(command, words, results, figures=(), pairs=None):
    pairs = pairs if pairs is not None else [(0, i) for i in range(1, len(results))]
    found = [comparison(a, b, results, figure, "per_s" in figure or figure == "fairness")
             for a, b in pairs for figure in figures]
    return {"schema": "mcq-perf", "version": 1, "command": command,
            "arguments": [command, *words], "environment": ENVIRONMENT, "results": results,
            "comparisons": [c for c in found if c]}


def costs(server_ns, calls):
    return {"server_cpu_ns_per_msg": server_ns, "client_cpu_ns_per_msg": server_ns * 1.2,
            "server_syscalls_per_msg": calls, "client_syscalls_per_msg": calls * 1.1}


def rtt(rng):
    base = {"size": 64, "transport": "tcp", "idle": "spin"}
    arms = [("mcq", "pinned", 7.9, 1.0, 4100, 1.02), ("libzmq", "pinned", 31.0, 2.2, 9800, 4.1),
            ("libzmq", "free", 38.5, 2.9, 11200, 4.3), ("nng", "pinned", 29.1, 1.9, 8700, 3.8),
            ("raw", "pinned", 7.1, 0.9, 3300, 2.0), ("spin", "pinned", 6.2, 0.8, 3100, 2.4),
            ("epoll", "pinned", 9.4, 1.2, 4300, 3.0), ("uring", "pinned", 7.6, 1.1, 3900, 1.1)]
    results = [result(rng, "rtt", peer, {**base, "peer": peer, "placement": place},
                      {"rtt": Latency(us, tail, 400000)},
                      {"msgs_per_s": 1e6 / us, **costs(cpu, calls), "floor_us": 5.1})
               for peer, place, us, tail, cpu, calls in arms]
    return artefact("rtt", ["--peers", "mcq,libzmq,nng,raw,spin,epoll,uring", "--runs", "5"], results,
                    ["rtt p50", "rtt p99", "rtt p999", "server_cpu_ns_per_msg"])


def load(rng, invalid):
    base = {"size": 64, "rate": 100000, "pace": "poisson", "transport": "tcp"}
    results = []
    for peer, us, tail, cpu in [("mcq", 11.2, 1.3, 1900), ("libzmq", 42, 3.1, 5200),
                                ("nng", 58, 4.2, 6100)]:
        refused = {2: "achieved 97.2 % of the rate asked (99.9 % wanted)",
                   4: "the generator's lag at p99 was 412 µs, 4.1 times the limit of 100 µs"}
        results.append(result(
            rng, "load", peer, {**base, "peer": peer},
            {"response": Latency(us, tail, 480000), "service": Latency(us * 0.96, tail * 0.7, 480000),
             "lag": Latency(0.4, 2.4, 480000)},
            {"msgs_per_s": 100000.0, "asked_per_s": 100000.0, "achieved_share": 0.9998, "msgs": 500000,
             "lost": 0, "doubled": 0, "server_cpu_s": None, **costs(cpu, 0.8)},
            refused=refused if invalid and peer == "nng" else None))
    return artefact("load", ["--rate", "100000", "--pace", "poisson", "--peers", "mcq,libzmq,nng"],
                    results, ["response p50", "response p99", "response p999", "response p9999",
                              "service p99", "server_cpu_ns_per_msg"])


def sweep(rng):
    results, pairs = [], []
    shares = [10, 25, 40, 55, 70, 80, 90, 95]
    most = {"mcq": 1900000, "libzmq": 1250000, "nng": 610000}
    for share in shares:
        first = len(results)
        for peer, us in [("mcq", 9.5), ("libzmq", 33), ("nng", 41)]:
            load_ = share / 100
            rate = most[peer] * load_
            late = Latency(us * (1 + 0.5 * load_ / (1.04 - load_)), 1 + 3 * load_ ** 4, 300000)
            bad = peer == "nng" and share == 95
            results.append(result(
                rng, "sweep", f"{peer} at {share} %",
                {"size": 64, "peer": peer, "share": share, "rate": round(rate), "transport": "tcp",
                 "max_per_s": most[peer]},
                {"response": late, "lag": Latency(0.5, 2, 300000)},
                {"msgs_per_s": rate, "asked_per_s": rate, **costs(2600 - 1500 * load_, 1 - 0.8 * load_)},
                runs=3, refused={i: "achieved 96.8 % of the rate asked" for i in range(3)}
                if bad else None))
        pairs += [(first, first + 1), (first, first + 2)]
    return artefact("sweep", ["--peers", "mcq,libzmq,nng"], results, ["response p50", "response p99",
                                                                      "response p999"], pairs)


def seconds(length, rate, us, leak):
    def make(rng):
        times = range(length)
        p50 = [us * rng.uniform(0.97, 1.03) for _ in times]
        p99 = [3 * us * rng.uniform(0.9, 1.3) for _ in times]
        top = [v * (rng.uniform(2, 5) if rng.random() < 0.97 else rng.uniform(40, 90)) for v in p99]
        rates = [rate * rng.uniform(0.998, 1.001) for _ in times]
        for i in range(length // 3, length // 3 + 3):
            rates[i], top[i] = rate * 0.93, 100000.0
        p50[length // 2] = None
        return {"interval_s": 1, "msgs_per_s": rates, "p50_us": p50, "p99_us": p99, "max_us": top,
                "rss_bytes": [21000000 + leak * i + rng.choice((0, 4096)) for i in times],
                "fds": [41] * length, "buffers": [64 + rng.choice((0, 1, 2)) for _ in times]}
    return make


def soak(rng, peers=("mcq",), length=1800):
    leaks = {"mcq": 0, "libzmq": 1200}
    results = [result(rng, "soak", peer, {"size": 64, "rate": 50000, "peer": peer, "transport": "tcp"},
                      {"response": Latency(10 if peer == "mcq" else 37, 1.6, 90000000)},
                      {"msgs_per_s": 50000, "rss_bytes_per_min": 60.0 * leaks[peer], "fds_per_min": 0.0,
                       "buffers_per_min": 0.001},
                      runs=1, series=seconds(length, 50000, 10 if peer == "mcq" else 37, leaks[peer]))
               for peer in peers]
    return artefact("soak", ["--seconds", str(length), "--peers", ",".join(peers)], results)


def fanout(rng):
    results, pairs = [], []
    for subs in (1, 10, 100, 1000):
        first = len(results)
        for peer, us in [("mcq", 6), ("libzmq", 24)]:
            results.append(result(
                rng, "fanout", peer, {"size": 64, "peer": peer, "subs": subs, "transport": "tcp"},
                {"one_way": Latency(us + 0.05 * us * subs, 1.4), "last": Latency(us + 0.1 * us * subs, 1.6),
                 "skew": Latency(0.5 + 0.05 * us * subs, 1.5)},
                {"msgs_per_s": 4e6 / (1 + us / 10), "fairness": 1 - 0.00005 * subs * us / 6,
                 "dropped": 0, **costs(100 + 20 * us, 0.05)}))
        pairs.append((first, first + 1))
    return artefact("fanout", ["--subs", "1,10,100,1000"], results,
                    ["one_way p99", "last p99", "fairness"], pairs)


def connect(rng):
    results = [result(rng, "connect", peer, {"conns": 1000, "peer": peer, "transport": "tcp"},
                      {"connect": Latency(us, 1.1, 5000)},
                      {"connections_per_s": rate, "connection_bytes": size, "connection_kernel_bytes": 9100.0})
               for peer, us, rate, size in [("mcq", 210, 24100, 1650), ("libzmq", 830, 7900, 21800),
                                            ("nng", 640, 9900, 14800)]]
    return artefact("connect", ["--conns", "1000"], results, ["connect p50", "connect p99",
                                                              "connections_per_s", "connection_bytes"])


def scale(rng):
    results = [result(rng, "scale", f"{peer} with {n} idle",
                      {"peer": peer, "idle_conns": n, "active": 64, "transport": "tcp"},
                      {"rtt": Latency(us * (1 + 0.06 * math.log10(n) ** 2 * grow), 1.5, 200000)},
                      {"connection_bytes": size, "connection_kernel_bytes": 9000.0, "msgs_per_s": 3e5 / grow})
               for n in (10, 100, 1000, 10000)
               for peer, us, grow, size in [("mcq", 60, 0.4, 1650), ("libzmq", 190, 2.0, 21900)]]
    return artefact("scale", ["--idle-conns", "10,100,1000,10000"], results, ["rtt p99", "connection_bytes"],
                    [(i, i + 1) for i in range(0, 8, 2)])


def jitter(rng):
    results = [result(rng, "jitter", f"cpu {cpu}", {"cpu": cpu}, {"gap": Latency(0.05, 30 + cpu * 20, 60000)},
                      {"lost_time_percent": 0.02 + 0.05 * cpu}, runs=3) for cpu in (0, 1)]
    return artefact("jitter", [], results, ["gap p99"])


def samples(seed=7):
    rng = random.Random(seed)
    return {"rtt": rtt(rng), "load": load(rng, False), "load-invalid": load(rng, True),
            "sweep": sweep(rng), "soak": soak(rng), "soak-two": soak(rng, ("mcq", "libzmq"), 120),
            "fanout": fanout(rng), "connect": connect(rng), "scale": scale(rng),
            "jitter": jitter(rng)}


def main(folder):
    os.makedirs(folder, exist_ok=True)
    for name, made in samples().items():
        with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as f:
            json.dump(made, f, ensure_ascii=False)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
