// bars: single figures of each arm beside one another, from zero, with the least and the most of
// runs.
const bars = (() => {
    const ROW = 24;
    const BAR = 12;
    const LETTER = 7.2;
    const NAME_SHARE = 0.4;
    const VALUE = 80;

    function drawing(kind, rows, width) {
        const unit = kind.unit === "ratio" ? "" : kind.unit;
        const left = Math.min(
            width * NAME_SHARE,
            Math.max(...rows.map((r) => r.name.length)) * LETTER + 10
        );
        const axis = scale.make.linear(rows.flatMap(({ value }) => [value.median, value.high]));
        const at = (v) => plot.px(left + axis.at(v) * (width - left - VALUE));
        const letters = Math.max(4, Math.floor((left - 10) / LETTER + 0.01));
        return dom.svg(
            "svg",
            {
                class: "plot",
                viewBox: `0 0 ${width} ${rows.length * ROW + 4}`,
                role: "img",
                "aria-label": `${kind.name}. ${rows
                    .map((r) => `${r.name}: ${units.figure(r.value.median, unit)}`)
                    .join("; ")}`
            },
            rows.map(({ name, style, value }, i) => {
                const y = i * ROW + 4,
                    middle = y + BAR / 2;
                const { low, high } = value;
                return dom.svg(
                    "g",
                    { class: `hue-${style.hue}` },
                    dom.svg(
                        "title",
                        {},
                        `${name}: ${units.figure(value.median, unit)}` +
                            (low === null || high === null
                                ? ""
                                : ` (${units.figure(low, unit)} to ${units.figure(high, unit)})`)
                    ),
                    dom.svg(
                        "text",
                        { class: "row", x: left - 10, y: middle + 4, "text-anchor": "end" },
                        name.length > letters ? `${name.slice(0, letters - 1)}…` : name
                    ),
                    dom.svg("path", {
                        class: "bar data",
                        d: `M${at(0)} ${y}H${at(value.median)}v${BAR}H${at(0)}z`
                    }),
                    low !== null &&
                        high !== null &&
                        dom.svg("path", {
                            class: "whisker over",
                            d: `M${at(low)} ${middle}H${at(high)}`
                        }),
                    dom.svg(
                        "text",
                        {
                            class: "row",
                            x: at(Math.max(value.median, high ?? 0)) + 7,
                            y: middle + 4
                        },
                        units.figure(value.median, unit)
                    )
                );
            }),
            dom.svg("path", { class: "axis", d: `M${plot.px(left)} 0V${rows.length * ROW}` })
        );
    }

    function section(group) {
        if (group.axis !== null || group.members.length < 2) {
            return null;
        }
        // At a given rate the rate that was achieved is a condition, not a figure.
        const open = group.members.some((m) => m.result.metrics.asked_per_s);
        const panels = kinds.drawn
            .filter((key) => !(open && key === "msgs_per_s"))
            .map((key) => ({
                kind: kinds.metric(key),
                rows: group.members
                    .filter((m) => m.result.metrics[key])
                    .map((m) => ({ ...m, value: m.result.metrics[key] }))
            }))
            .filter(({ rows }) => rows.length > 0);
        if (panels.length === 0) {
            return null;
        }
        const holders = panels.map((panel) => {
            const stage = dom.el("div", { class: "drawing" });
            return {
                ...panel,
                stage,
                node: dom.el(
                    "div",
                    { class: "panel" },
                    dom.el("h4", {}, panel.kind.name),
                    dom.el(
                        "p",
                        { class: "unit" },
                        panel.kind.better === "high" ? "more is better" : "less is better"
                    ),
                    stage
                )
            };
        });
        const figure = dom.el(
            "figure",
            { class: `bars of-${Math.min(2, panels.length)}` },
            dom.el(
                "figcaption",
                {},
                dom.el("h3", {}, "Rates and costs"),
                dom.el(
                    "p",
                    {},
                    "Medians over runs; the line across a bar's end goes from the least to the most."
                )
            ),
            dom.el(
                "div",
                { class: "panels" },
                holders.map((h) => h.node)
            )
        );
        plot.watch(figure, holders, (holder, width) =>
            holder.stage.replaceChildren(drawing(holder.kind, holder.rows, width))
        );
        return figure;
    }

    return { section };
})();
