// series: figures per interval over the time of a run. Longer runs than the screen is wide keep the
// least and the most of each bucket, so no peak is lost.
const series = (() => {
    const BUCKETS = 400;
    const MARKED_UP_TO = 60; /* so few points are marked, each */
    const HEIGHT = 110;
    const HEIGHT_LATENCY = 190;
    const LATENCIES = ["p50_us", "p99_us", "max_us"];
    const LATENCY_HUES = [3, 0, 1];
    const SLOPES = {
        rss_bytes: "rss_bytes_per_min",
        fds: "fds_per_min",
        buffers: "buffers_per_min"
    };

    function thinned(points) {
        if (points.length <= 2 * BUCKETS) {
            return points;
        }
        const each = points.length / BUCKETS,
            kept = [];
        for (let b = 0; b < BUCKETS; b++) {
            const bucket = points.slice(Math.floor(b * each), Math.floor((b + 1) * each));
            const known = bucket.filter((p) => p.y !== null).sort((p, q) => p.y - q.y);
            const ends =
                known.length === 0
                    ? bucket.slice(0, 1)
                    : [...new Set([known[0], known[known.length - 1]])].sort((p, q) => p.x - q.x);
            kept.push(...ends);
        }
        return kept;
    }

    function runsOf(group) {
        return group.members
            .map((m) => ({
                ...m,
                runs: m.result.runs.filter((run) => Object.keys(run.series).length > 0)
            }))
            .filter((m) => m.runs.length > 0);
    }

    const line = (member, run, key, by, name, style) => ({
        name: name ?? member.name,
        style: style ?? member.style,
        marks: (run.series[key] ?? []).length <= MARKED_UP_TO,
        points: thinned(
            (run.series[key] ?? []).map((y, i) => ({ x: ((i + 1) * run.interval) / by, y }))
        )
    });

    function slope(member, run, key) {
        const kind = kinds.metric(SLOPES[key] ?? "");
        const value = Object.hasOwn(SLOPES, key) ? (run.metrics[SLOPES[key]] ?? null) : null;
        const [unit] = kind.unit.split("/");
        return value === null ? "" : `${value > 0 ? "+" : ""}${units.text(value, unit)} a minute`;
    }

    function panels(members, by, at) {
        const run = (m) => m.runs[Math.min(at, m.runs.length - 1)];
        const keys = [...new Set(members.flatMap((m) => Object.keys(run(m).series)))].sort(
            (a, b) =>
                ((kinds.seriesOrder.indexOf(a) + 100) % 100) -
                ((kinds.seriesOrder.indexOf(b) + 100) % 100)
        );
        const latency = {
            scale: "log",
            text: (v) => units.text(v, "us"),
            exact: (v) => units.figure(v, "us")
        };
        const own = LATENCIES.filter((key) => keys.includes(key));
        const together = members.length === 1 && own.length > 1;
        return keys
            .filter((key) => !(together && own.includes(key) && key !== own[0]))
            .map((key) => {
                const kind = kinds.series(key);
                if (together && key === own[0]) {
                    return {
                        title: "Latency",
                        unit: "log",
                        share: "latency",
                        y: latency,
                        height: HEIGHT_LATENCY,
                        lines: own.map((each) =>
                            line(members[0], run(members[0]), each, by, kinds.series(each).name, {
                                hue: LATENCY_HUES[LATENCIES.indexOf(each)],
                                dash: 0
                            })
                        )
                    };
                }
                return {
                    title: kind.name,
                    share: kind.unit === "us" ? "latency" : key,
                    unit:
                        kind.unit === "us"
                            ? "log"
                            : members
                                  .map((m) => slope(m, run(m), key))
                                  .filter(Boolean)
                                  .join("; "),
                    y:
                        kind.unit === "us"
                            ? latency
                            : {
                                  scale: "linear",
                                  text: (v) => units.text(v, kind.unit),
                                  exact: (v) => units.figure(v, kind.unit)
                              },
                    lines: members.map((m) => line(m, run(m), key, by))
                };
            });
    }

    function figure(members, at, place) {
        const lasts = members.map((m) => {
            const run = m.runs[Math.min(at, m.runs.length - 1)];
            return (
                run.interval * Math.max(...Object.values(run.series).map((values) => values.length))
            );
        });
        const [by, unit] =
            Math.max(...lasts) < 300
                ? [1, "s"]
                : Math.max(...lasts) < 4 * 3600
                  ? [60, "min"]
                  : [3600, "h"];
        return plot.lines({
            title: `Over time${place ? `, at ${place}` : ""}`,
            stacked: true,
            height: HEIGHT,
            note: `Each interval of ${units.text(members[0].runs[0].interval, "s")} by itself.`,
            x: {
                scale: "linear",
                label: `time, ${unit}`,
                text: (v) => units.text(v, unit),
                name: "at",
                tick: (v) => String(v)
            },
            y: { scale: "linear", label: "", text: String },
            panels: panels(members, by, at)
        });
    }

    function byRun(members, at) {
        const most = Math.max(...members.map((m) => m.runs.length));
        return choice.among(
            "Over time in run",
            Array.from({ length: most }, (_, i) => ({
                name: String(i + 1),
                draw: () => figure(members, i, at)
            })),
            0
        );
    }

    function section(group) {
        const members = runsOf(group);
        return members.length === 0 ? null : choice.places(group, "Over time at", members, byRun);
    }

    return { section };
})();
