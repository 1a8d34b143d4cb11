// summary: the figures of a workload as tables: what is common to all arms, percentiles, single
// figures, and every run by itself.
const summary = (() => {
    const spread = (v, unit, missing) => {
        if (!v) {
            return { cell: units.NONE, class: "none", title: missing };
        }
        const range =
            v.low !== null && v.high !== null && v.low !== v.high
                ? dom.el("small", {}, `${units.plain(v.low)}\u2013${units.plain(v.high)}`)
                : null;
        return { cell: [units.plain(v.median), range] };
    };

    const share = (result) => {
        const good = result.runs.filter((run) => run.valid).length;
        return {
            cell: `${good} of ${result.runs.length}`,
            class: good === result.runs.length && good > 0 ? null : "refused"
        };
    };

    const nameOf = (group) => (m) =>
        dom.el(
            "span",
            { class: `arm hue-${m.style.hue}` },
            marks.swatch(m.style),
            dom.el(
                "span",
                {},
                group.axis === null ? m.name : `${m.name}, ${arms.place(group.axis, m)}`
            )
        );

    function percentiles(group) {
        const keys = curve.ordered(
            new Set(group.members.flatMap((m) => Object.keys(m.result.histograms)))
        );
        const name = nameOf(group);
        return keys.map((key) => {
            const kind = kinds.histogram(key);
            const rows = group.members.filter((m) => m.result.histograms[key]);
            return dom.table(
                `${kind.name}, µs${kind.means ? `: ${kind.means}` : ""}`,
                ["Arm", "Valid runs", ...kinds.POINTS.map(kinds.point)],
                rows.map((m) => [
                    name(m),
                    share(m.result),
                    ...kinds.POINTS.map((point) =>
                        spread(
                            m.result.histograms[key].points[point],
                            "us",
                            "too few samples above this percentile"
                        )
                    )
                ])
            );
        });
    }

    // Columns in the order of the harness; those it doesn't know follow.
    function metrics(group) {
        const keys = [
            ...new Set(
                group.members.flatMap((m) =>
                    Object.entries(m.result.metrics)
                        .filter(([, v]) => v)
                        .map(([key]) => key)
                )
            )
        ];
        const at = (key) => (kinds.metricOrder.indexOf(key) + 1000) % 1000;
        keys.sort((a, b) => at(a) - at(b));
        if (keys.length === 0) {
            return null;
        }
        const name = nameOf(group);
        const head = (key) => {
            const kind = kinds.metric(key);
            const unit = kind.unit === "us" ? "µs" : kind.unit === "ratio" ? "" : kind.unit;
            return { cell: [kind.name, unit && dom.el("small", {}, unit)] };
        };
        return dom.table(
            "Single figures, medians over valid runs",
            ["Arm", "Valid runs", ...keys.map(head)],
            group.members.map((m) => [
                name(m),
                share(m.result),
                ...keys.map((key) => spread(m.result.metrics[key], "", "not measured"))
            ])
        );
    }

    function runs(group) {
        const name = nameOf(group);
        const cnt = group.members.reduce((sum, m) => sum + m.result.runs.length, 0);
        if (cnt === 0) {
            return null;
        }
        const rows = group.members.flatMap((m) =>
            m.result.runs.map((run) => {
                const [key] = curve.ordered(Object.keys(run.histograms));
                const points = run.histograms[key]?.points ?? {};
                return [
                    name(m),
                    run.number,
                    {
                        cell: run.valid ? "valid" : "invalid",
                        class: run.valid ? "words" : "words refused"
                    },
                    run.start === null
                        ? units.NONE
                        : new Date(run.start * 1000).toISOString().slice(11, 19),
                    units.plain(run.seconds),
                    units.plain(run.metrics.msgs_per_s ?? null),
                    ...["p50", "p99", "p999", "max"].map((point) =>
                        units.plain(points[point] ?? null)
                    ),
                    { cell: run.reason, class: "words reason" }
                ];
            })
        );
        return dom.el(
            "details",
            {},
            dom.el("summary", {}, `Every run (${cnt})`),
            dom.table(
                "Each run by itself; percentiles in µs",
                [
                    "Arm",
                    "Run",
                    "Counts",
                    "Start, UTC",
                    "Seconds",
                    "Rate, /s",
                    "p50",
                    "p99",
                    "p99.9",
                    "max",
                    "Why not"
                ],
                rows
            )
        );
    }

    function parameters(group) {
        const known = group.common.filter(([key, v]) => key !== "peer" && v !== "" && v !== null);
        return known.length === 0
            ? null
            : dom.el(
                  "dl",
                  { class: "facts" },
                  known.map(([key, v]) => {
                      const kind = kinds.param(key);
                      return dom.el(
                          "div",
                          {},
                          dom.el("dt", {}, kind.name.toLowerCase()),
                          dom.el(
                              "dd",
                              {},
                              typeof v !== "number"
                                  ? v
                                  : kind.unit === ""
                                    ? units.count(v)
                                    : units.text(v, kind.unit)
                          )
                      );
                  })
              );
    }

    return { parameters, percentiles, metrics, runs };
})();
