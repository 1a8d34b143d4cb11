// curve: latency by percentile, each nine as wide as the one before. The generator's lag stands
// beside what was measured, on the same axis: a figure below it is the generator's.
const curve = (() => {
    const MARKS = [50, 90, 99, 99.9, 99.99, 99.999, 99.9999];
    const STOPS = [50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999, 99.9999];

    const ordered = (keys) =>
        [...keys].sort((a, b) => {
            const at = (key) => (kinds.histogramOrder.indexOf(key) + 1000) % 1000;
            return at(a) - at(b);
        });

    function histogramsOf(members) {
        return ordered(
            new Set(
                members.flatMap(({ result }) =>
                    Object.entries(result.histograms)
                        .filter(([, h]) => h.curve.length > 1)
                        .map(([key]) => key)
                )
            )
        );
    }

    const line =
        (key) =>
        ({ result, name, style }) => ({
            name,
            style,
            points: (result.histograms[key]?.curve ?? []).map(({ p, us }) => ({ x: p, y: us }))
        });

    function figure(members, at) {
        const keys = histogramsOf(members);
        if (keys.length === 0) {
            return null;
        }
        return plot.lines({
            title: `Latency by percentile${at ? `, at ${at}` : ""}`,
            note: "All valid runs together. A line ends where fewer than ten samples lie above.",
            x: {
                scale: "nines",
                label: "percentile",
                text: units.percentile,
                tick: (p) => `${Number(p.toPrecision(8))} %`
            },
            y: {
                scale: "log",
                label: "latency, log",
                text: (v) => units.text(v, "us"),
                exact: (v) => units.figure(v, "us")
            },
            stops: STOPS,
            marksAt: MARKS,
            panels: keys.map((key) => ({
                title: keys.length > 1 ? kinds.histogram(key).name : "",
                unit:
                    keys.length > 1
                        ? kinds.histogram(key).means
                        : `${kinds.histogram(key).name}: ${kinds.histogram(key).means}`,
                lines: members.map(line(key)).filter((l) => l.points.length > 1)
            }))
        });
    }

    const drawable = ({ result }) =>
        Object.values(result.histograms).some((h) => h.curve.length > 1);

    function section(group) {
        const members = group.members.filter(drawable);
        return members.length === 0
            ? null
            : choice.places(group, "Percentiles at", members, figure);
    }

    return { section, ordered };
})();
