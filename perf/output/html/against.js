// against: figures over the parameter that was varied: latency against load, against the length
// of a pause, against the number of connections.
const against = (() => {
    const POINTS = ["p50", "p99", "p999"];
    const LOADS = ["share", "share_percent", "rate"];
    const LOG_FROM = 20; /* the axis is logarithmic from this ratio of its ends */

    function median(values) {
        const sorted = values.filter((v) => v !== null && v !== undefined).sort((a, b) => a - b);
        const half = sorted.length >> 1;
        return sorted.length === 0
            ? null
            : sorted.length % 2
              ? sorted[half]
              : (sorted[half - 1] + sorted[half]) / 2;
    }

    // A result without a valid run is drawn hollow from what its runs gave.
    const valued = (spread, values) =>
        spread
            ? { y: spread.median, low: spread.low, high: spread.high }
            : { y: median(values), valid: false };
    const pointOf = (result, key, point) =>
        valued(
            result.histograms[key]?.points[point],
            result.runs.map((run) => run.histograms[key]?.points[point])
        );
    const metricOf = (result, key) =>
        valued(
            result.metrics[key],
            result.runs.map((r) => r.metrics[key])
        );

    function abscissa(group) {
        const byLoad =
            LOADS.includes(group.axis) &&
            group.members.every((m) => metricOf(m.result, "msgs_per_s").y !== null);
        const xOf = (m) => (byLoad ? metricOf(m.result, "msgs_per_s").y : m.x);
        const xs = group.members.map(xOf).filter((x) => typeof x === "number");
        const kind = byLoad ? { name: "achieved", unit: "/s" } : kinds.param(group.axis);
        const wide =
            !byLoad && Math.min(...xs) > 0 && Math.max(...xs) / Math.min(...xs) >= LOG_FROM;
        return {
            xOf,
            byLoad,
            scale: wide ? "log" : "linear",
            label: `${byLoad ? "achieved rate" : kind.name.toLowerCase()}${wide ? ", log" : ""}`,
            text: (v) => units.text(v, kind.unit),
            name: byLoad ? "at" : kind.name
        };
    }

    function lines(group, x, valueOf) {
        return group.names
            .map(({ name, style }) => ({
                name,
                style,
                marks: true,
                points: group.members
                    .filter((m) => m.name === name && typeof x.xOf(m) === "number")
                    .map((m) => ({
                        x: x.xOf(m),
                        ...valueOf(m.result),
                        tell: x.byLoad ? `at ${arms.place(group.axis, m)}` : undefined
                    }))
                    .filter((p) => p.y !== null)
                    .sort((a, b) => a.x - b.x)
            }))
            .filter((l) => l.points.length);
    }

    const refused = (panels) =>
        panels.some((p) => p.lines.some((l) => l.points.some((q) => q.valid === false)));

    function figure(group, x, title, panels) {
        const shown = panels.filter((p) => p.lines.length > 0);
        return shown.length === 0
            ? null
            : plot.lines({
                  title,
                  x,
                  columns: 2,
                  note: `Medians over runs; bars from the least to the most.${
                      refused(shown) ? " Hollow: no valid run, joined to nothing." : ""
                  }`,
                  y: {
                      scale: "log",
                      label: "latency, log",
                      text: (v) => units.text(v, "us"),
                      exact: (v) => units.figure(v, "us")
                  },
                  panels: shown
              });
    }

    function metricPanels(group, x) {
        return kinds.drawn
            .filter(
                (key) =>
                    !(x.byLoad && key === "msgs_per_s") &&
                    group.members.some((m) => metricOf(m.result, key).y !== null)
            )
            .map((key) => {
                const kind = kinds.metric(key);
                return {
                    title: kind.name,
                    unit: kind.unit === "ratio" ? "ratio" : "median over runs",
                    share: key,
                    y: {
                        scale: "linear",
                        text: (v) => units.text(v, kind.unit === "ratio" ? "" : kind.unit),
                        exact: (v) => units.figure(v, kind.unit === "ratio" ? "" : kind.unit)
                    },
                    lines: lines(group, x, (result) => metricOf(result, key))
                };
            });
    }

    function section(group) {
        if (group.axis === null) {
            return null;
        }
        const x = abscissa(group);
        const keys = curve.ordered(
            new Set(
                group.members.flatMap((m) => [
                    ...Object.keys(m.result.histograms),
                    ...m.result.runs.flatMap((run) => Object.keys(run.histograms))
                ])
            )
        );
        const [main, ...rest] = keys;
        const others = rest.filter((key) => key !== "lag");
        const noun = x.byLoad ? "load" : kinds.param(group.axis).name.toLowerCase();
        const panel = (key, point, title) => ({
            title,
            lines: lines(group, x, (result) => pointOf(result, key, point))
        });
        return [
            main &&
                figure(group, x, `${kinds.histogram(main).name} against ${noun}`, [
                    ...POINTS.map((point) => panel(main, point, kinds.point(point))),
                    ...rest
                        .filter((key) => key === "lag")
                        .map((key) => panel(key, "p99", `${kinds.histogram(key).name}, p99`))
                ]),
            figure(
                group,
                x,
                `Beside it, against ${noun}`,
                others.map((key) => panel(key, "p99", `${kinds.histogram(key).name}, p99`))
            ),
            figure(group, x, `What it costs, against ${noun}`, metricPanels(group, x))
        ].filter(Boolean);
    }

    return { section };
})();
