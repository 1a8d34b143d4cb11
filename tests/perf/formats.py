"""Reads back what mcq-perf saves, with decoders that share no code with it: .hlog, .hgrm, CSV, JSON.

usage: formats.py PERF_SPECIMEN   every percentile is held against the sorted samples, 0.1 % apart
"""

import base64
import csv
import glob
import json
import math
import os
import re
import struct
import subprocess
import sys
import tempfile
import zlib

HIGHEST = 60_000_000_000
NEAR = 0.001


class Failure(Exception):
    pass


def check(what, condition):
    if not condition:
        raise Failure(what)


def truth_of(folder):
    """{(result, tag): {ppm or "cnt": ns}}"""
    truth = {}
    with open(os.path.join(folder, "truth.txt"), encoding="ascii") as f:
        for line in f:
            result, tag, key, value = line.split()
            truth.setdefault((int(result), tag), {})[key] = int(value)
    return truth


def varints(data):
    """ZigZag LEB128, of nine bytes at most: the ninth has eight bits."""
    at = 0
    while at < len(data):
        value = shift = 0
        for place in range(9):
            byte = data[at]
            at += 1
            value |= (byte if place == 8 else byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        yield (value >> 1) ^ -(value & 1)


def decoded(text):
    """[(lowest, highest equivalent value, count)] of a base64 V2 histogram."""
    outside = base64.b64decode(text, validate=True)
    cookie, length = struct.unpack(">II", outside[:8])
    check("cookie outside", cookie == 0x1C849304 | 0x10 and length == len(outside) - 8)
    inside = zlib.decompress(outside[8:])
    cookie, length, offset, digits, lowest, highest, ratio = struct.unpack(">IIIIQQd", inside[:40])
    check("head inside", cookie == 0x1C849303 | 0x10 and length == len(inside) - 40)
    check("parameters", (offset, digits, lowest, highest, ratio) == (0, 3, 1, HIGHEST, 1.0))
    counts, idx = [], 0
    for number in varints(inside[40:]):
        if number < 0:
            idx -= number
            continue
        if number:
            # 2048 sub-buckets; of each bucket but the first the upper half is used.
            bucket, sub = (0, idx) if idx < 2048 else (idx // 1024 - 1, idx % 1024 + 1024)
            counts.append((sub << bucket, ((sub + 1) << bucket) - 1, number))
        idx += 1
    return counts


def value_at(counts, ppm):
    total = sum(number for _, _, number in counts)
    rank, seen = max(1, -(-total * ppm // 1_000_000)), 0
    for low, high, number in counts:
        seen += number
        if seen >= rank:
            return low, high
    raise Failure("no value at the percentile")


def hold(what, counts, exact):
    check(f"{what}: count", sum(number for _, _, number in counts) == exact["cnt"])
    for ppm, ns in exact.items():
        if ppm == "cnt":
            continue
        low, high = value_at(counts, int(ppm))
        if ns > HIGHEST:
            check(f"{what} {ppm}: out of range is the last", low <= HIGHEST <= high)
        else:
            check(f"{what} {ppm}: {low}..{high}, exactly {ns}", low <= ns <= high)
            check(f"{what} {ppm}: {high} for {ns}", high - ns <= max(1, ns) * NEAR)


def log_lines(path):
    """(tag, start, length, max, text) of each line."""
    with open(path, encoding="ascii") as f:
        lines = f.read().splitlines()
    check("version", "#[Histogram log format version 1.3]" in lines)
    check("start", any(re.match(r"#\[StartTime: \d+\.\d{3} \(seconds since epoch\), \d{4}-", line)
                       for line in lines))
    check("legend", '"StartTimestamp","Interval_Length","Interval_Max",'
                    '"Interval_Compressed_Histogram"' in lines)
    for line in lines:
        if not line.startswith(("#", '"')):
            tag, start, length, most, text = line.split(",")
            check(f"tag {tag}", tag.startswith("Tag="))
            yield tag[4:], float(start), float(length), float(most), text


def one(folder, pattern):
    found = glob.glob(os.path.join(folder, pattern))
    check(f"{pattern}: {found}", len(found) == 1)
    return found[0]


def results_of(truth):
    return sorted({result for result, _ in truth})


def logs(folder, truth):
    for result in results_of(truth):
        lines = list(log_lines(one(folder, f"rtt-*-{result}.hlog")))
        by_interval = any(tag.startswith("run1@") for r, tag in truth if r == result)
        check("lines", len(lines) == (4 if by_interval else 1))
        for place, (tag, start, length, most, text) in enumerate(lines):
            key = (result, f"run1@{place}" if by_interval else tag)
            check(f"{key} {start} {length}", (start, length) == ((0.5 * place, 0.5) if by_interval
                                                                 else (0, 2)))
            check(f"{key} max", abs(most - truth[key]["1000000"] / 1e6) <= 0.001)
            hold(f".hlog {key}", decoded(text), truth[key])


def grams(folder, truth):
    row = re.compile(r" *(\d+\.\d{3}) (\d\.\d{12}) +(\d+)(?: +(\d+\.\d{2}))?$")
    for result in results_of(truth):
        exact = truth[(result, "run1-rtt")]
        with open(one(folder, f"rtt-*-{result}-rtt.hgrm"), encoding="ascii") as f:
            lines = f.read().splitlines()
        check("head", lines[0].split() == ["Value", "Percentile", "TotalCount",
                                           "1/(1-Percentile)"] and lines[1] == "")
        rows = [row.match(line) for line in lines[2:-3]]
        check("rows", all(rows) and len(rows) >= 2)
        values = [tuple(float(x) if x else math.inf for x in m.groups()) for m in rows]
        check("rising", values == sorted(values))
        for value, share, cnt, inverse in values:
            check("inverse", share == 1 or abs(inverse - 1 / (1 - share)) <= 0.006 + 1e-11 * inverse ** 2)
            check("total", cnt >= share * exact["cnt"] * (1 - 1e-9))
        check("last", values[-1][1:] == (1, exact["cnt"], math.inf))
        check("max", abs(values[-1][0] * 1e3 - exact["1000000"]) <= 1)
        for ppm in ("500000", "1000000"):
            said = next(v for v, share, _, _ in values if share >= int(ppm) / 1e6)
            off = said * 1e3 - exact[ppm]
            check(f"p {ppm}: {said}", -1 <= off <= max(1, exact[ppm] * NEAR))
        foot = re.match(r"#\[Max +=  *([\d.]+), Total count +=  *(\d+)\]$", lines[-2])
        check("foot", foot and int(foot[2]) == exact["cnt"]
              and re.match(r"#\[Mean +=  *[\d.]+, StdDeviation +=  *[\d.]+\]$", lines[-3])
              and re.match(r"#\[Buckets =  *26, SubBuckets +=  *2048\]$", lines[-1]))


def tables(folder, truth):
    with open(os.path.join(folder, "runs.csv"), encoding="utf-8", newline="") as f:
        runs = list(csv.DictReader(f))
    check("runs", len(runs) == len(results_of(truth)))
    for number, run in enumerate(runs):
        check(f"{run}", run["arm"] == 'specimen, "a/b"' and run["shape"] == str(number)
              and run["valid"] == "1" and float(run["msgs"]) == 200000 and None not in run)
    with open(os.path.join(folder, "points.csv"), encoding="utf-8", newline="") as f:
        points = list(csv.DictReader(f))
    check("points", len(points) == 7 * len(runs))
    for point in points:
        exact = truth[(int(point["shape"]), "run1-rtt")]
        ppm = {"p50": "500000", "p90": "900000", "p99": "990000", "p999": "999000",
               "p9999": "999900", "max": "1000000"}.get(point["point"])
        if ppm is None:
            # Two records of 200,000 lie above p99.999.
            check(f"{point}", point["us"] == "")
        elif exact[ppm] <= HIGHEST or ppm == "1000000":
            off = float(point["us"]) * 1e3 - exact[ppm]
            check(f"{point}", -1e-6 <= off + 1e-3 and off <= exact[ppm] * NEAR + 1e-3)


def artefact(folder, truth):
    with open(os.path.join(folder, "result.json"), encoding="utf-8") as f:
        got = json.load(f)
    check("schema", (got["schema"], got["version"], got["valid"]) == ("mcq-perf", 1, True))
    for number, result in enumerate(got["results"]):
        hist = result["runs"][0]["histograms"]["rtt"]
        exact = truth[(number, "run1-rtt")]
        hold(f"JSON {number}", decoded(hist["hdr"]), exact)
        check("extremes", abs(hist["min_us"] * 1e3 - exact["0"]) < 0.01
              and abs(hist["max_us"] * 1e3 - exact["1000000"]) < 0.01)
        check("null", hist["points"]["p99999"] is None)
        curve = result["summary"]["histograms"]["rtt"]["curve"]
        check("curve", curve == sorted(curve) and curve[0][0] == 0 and len(curve) > 50
              and 10 / 200000 <= 1 - curve[-1][0] / 100 < 20 / 200000)
    with open(os.path.join(folder, "report.html"), encoding="utf-8") as f:
        check("page", '"schema": "mcq-perf"' in f.read())


TESTS = (logs, grams, tables, artefact)


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([arguments[0], folder], check=True, timeout=300)
        truth = truth_of(folder)
        for test in TESTS:
            try:
                test(folder, truth)
            except (Failure, ValueError, KeyError, zlib.error, struct.error) as error:
                failed += 1
                print(f"FAIL {test.__name__}: {type(error).__name__} {error}")
    print(f"{len(TESTS) - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main(sys.argv[1:]))
