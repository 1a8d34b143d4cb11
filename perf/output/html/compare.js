// compare: two arms by one figure. A factor above 1 says that the first arm does better,
// whichever way is better for the figure, so that one axis serves all.
const compare = (() => {
    const KEY_POINTS = ["p50", "p99", "p999"];
    const ALL_UP_TO = 16; /* with more comparisons only the usual figures are drawn */
    const WORST_MAX = 12;
    const ROW = 26;
    const ROW_NARROW = 42;
    const NARROW = 560;
    const NAME = 200;
    const VALUE = 170;
    const LETTER = 6.4;
    const WORDS = { worse: "worse", better: "better", open: "no evidence" };

    const times = (factor) => `${units.plain(factor)}×`;
    const label = (c) => [c.figure.name, c.place].filter(Boolean).join(", ");
    const value = (v, figure) => units.figure(v, figure.unit === "ratio" ? "" : figure.unit);
    const word = (cell) => ({ cell, class: "words" });
    const interval = (c) =>
        c.from === null ? units.NONE : `${units.plain(c.from)}\u2013${units.plain(c.to)}`;

    const usual = (c) =>
        c.figure.histogram !== null
            ? KEY_POINTS.includes(c.figure.point) && c.figure.histogram !== "lag"
            : ["connections_per_s", "connection_bytes", "fairness"].includes(c.figure.key);

    // Over an axis one percentile is enough; its curve is drawn elsewhere.
    const along = (c) => c.x === null || c.figure.point === null || c.figure.point === "p99";

    // The axis covers every interval, at least from a half to twice.
    function ends(rows) {
        const all = rows.flatMap((c) => [c.factor, c.from, c.to]).filter((v) => v !== null);
        return [Math.min(0.5, ...all), Math.max(2, ...all)];
    }

    function mark(c, axis, y) {
        const x = axis(c.factor);
        return dom.svg(
            "g",
            { class: `row of-${c.outcome}` },
            dom.svg(
                "title",
                {},
                `${label(c)}, ${c.nameA} against ${c.nameB}: ${WORDS[c.outcome]}; ` +
                    `${value(c.medianA, c.figure)} and ${value(c.medianB, c.figure)}, ${times(c.factor)}` +
                    ` (95 %: ${interval(c)}), p = ${units.plain(c.p)}, ${c.runsA ?? "?"} and ${c.runsB ?? "?"} runs`
            ),
            c.from !== null &&
                dom.svg("path", {
                    class: "interval data",
                    d: `M${axis(c.from)} ${y}H${axis(c.to)}`
                }),
            dom.svg("path", {
                class: "estimate",
                transform: `translate(${x} ${y})`,
                d: marks.shape(
                    { hue: c.outcome === "worse" ? 2 : c.outcome === "better" ? 1 : 0 },
                    4
                )
            })
        );
    }

    // rows of all: what the axis has to hold, the same for every peer.
    function drawing(rows, all, width, last) {
        const narrow = width < NARROW;
        const [left, right] = narrow ? [12, width - 12] : [NAME, width - VALUE];
        const high = narrow ? ROW_NARROW : ROW,
            top = 8,
            bottom = top + rows.length * high;
        const log = scale.make.log(ends(all), { tight: true, cnt: 5 });
        const axis = (v) => plot.px(left + log.at(v) * (right - left));
        const one = axis(1);
        // Where it is narrow the texts stand between the rows of the axis.
        const spans = narrow
            ? rows.map((_, i) => [top + i * high + 18, top + i * high + 36])
            : [[top, bottom]];
        const letters = Math.floor((narrow ? width * 0.55 : NAME - 12) / LETTER);
        const texts = rows.map((c, i) => {
            const y = top + i * high + (narrow ? 12 : high / 2 + 4);
            const name = label(c);
            return [
                dom.svg(
                    "text",
                    {
                        class: "row",
                        x: narrow ? 0 : NAME - 12,
                        y,
                        "text-anchor": narrow ? "start" : "end"
                    },
                    name.length > letters ? `${name.slice(0, letters - 1)}…` : name
                ),
                dom.svg(
                    "text",
                    { class: `row of-${c.outcome}`, x: width, y, "text-anchor": "end" },
                    `${times(c.factor)} (${interval(c)})`
                )
            ];
        });
        let free = -Infinity;
        const ticks = log.ticks.map((v) => {
            const x = axis(v),
                text = `${Number(v.toPrecision(3))}×`,
                half = (text.length * LETTER) / 2;
            const fits = x - half > free && x + half < width;
            free = fits ? x + half + 8 : free;
            return [
                dom.svg("path", {
                    class: v === 1 ? "axis" : "grid",
                    d: spans.map(([from, to]) => `M${x} ${from}V${to}`).join("")
                }),
                last &&
                    fits &&
                    dom.svg("text", { x, y: bottom + 16, "text-anchor": "middle" }, text)
            ];
        });
        return dom.svg(
            "svg",
            {
                class: "plot",
                viewBox: `0 0 ${width} ${bottom + (last ? 24 : 2)}`,
                role: "img",
                "aria-label": rows
                    .map((c) => `${label(c)}: ${times(c.factor)}, ${WORDS[c.outcome]}`)
                    .join("; ")
            },
            dom.svg("path", {
                class: "worse-side",
                d: spans.map(([from, to]) => `M${left} ${from}H${one}V${to}H${left}z`).join("")
            }),
            ticks,
            texts,
            rows.map((c, i) => mark(c, axis, top + i * high + (narrow ? 27 : high / 2)))
        );
    }

    function byPeer(rows) {
        const sets = new Map();
        for (const c of rows) {
            const key = `${c.nameA} against ${c.nameB}`;
            sets.set(key, [...(sets.get(key) ?? []), c]);
        }
        return sets;
    }

    // By figure, and along the axis within one.
    function sorted(rows) {
        const figures = [...new Set(rows.map((c) => c.figure.name))];
        return [...rows].sort(
            (c, d) =>
                figures.indexOf(c.figure.name) - figures.indexOf(d.figure.name) ||
                (c.x ?? 0) - (d.x ?? 0)
        );
    }

    function whole(rows) {
        return dom.el(
            "details",
            {},
            dom.el("summary", {}, `All ${units.counted(rows.length, "comparison")}`),
            dom.table(
                "Medians over runs; the factor is above 1 where the first does better.",
                [
                    "First",
                    word("Second"),
                    word("Figure"),
                    "First's",
                    "Second's",
                    "Factor",
                    "95 %",
                    "p",
                    "Runs",
                    word("The first does")
                ],
                rows.map((c) => [
                    c.nameA,
                    word(c.nameB),
                    word(label(c)),
                    value(c.medianA, c.figure),
                    value(c.medianB, c.figure),
                    times(c.factor),
                    interval(c),
                    units.plain(c.p),
                    `${c.runsA ?? units.NONE}, ${c.runsB ?? units.NONE}`,
                    word(WORDS[c.outcome])
                ])
            )
        );
    }

    function section(rows) {
        if (rows.length === 0) {
            return null;
        }
        const few = rows.filter((c) => usual(c) && along(c));
        const shown = rows.length <= ALL_UP_TO || few.length === 0 ? rows : few;
        const holders = [...byPeer(shown)].map(([title, own], i, all) => {
            const stage = dom.el("div", { class: "drawing" });
            return {
                own: sorted(own),
                stage,
                last: i === all.length - 1,
                node: dom.el("div", { class: "panel" }, dom.el("h4", {}, title), stage)
            };
        });
        const figure = dom.el(
            "figure",
            { class: "forest of-1" },
            dom.el(
                "figcaption",
                {},
                dom.el("h3", {}, "Compared"),
                dom.el(
                    "p",
                    {},
                    "How many times better the first does, with 95 % intervals over runs. " +
                        "Left of 1, shaded, it does worse. Diamond: worse; square: better; circle: no evidence."
                )
            ),
            dom.el(
                "div",
                { class: "panels" },
                holders.map((h) => h.node)
            )
        );
        plot.watch(figure, holders, (holder, width) =>
            holder.stage.replaceChildren(drawing(holder.own, shown, width, holder.last))
        );
        return dom.el("div", {}, figure, whole(rows));
    }

    // What does worse than a peer, the greatest first.
    function worst(rows) {
        const worse = rows.filter((c) => c.outcome === "worse").sort((x, y) => x.factor - y.factor);
        if (worse.length === 0) {
            return null;
        }
        const names = [...new Set(worse.map((c) => c.nameA))];
        const several = names.length > 1;
        const table = (own, caption) =>
            dom.table(
                caption,
                [
                    "Peer",
                    "Factor",
                    word("Figure"),
                    several && word("Who"),
                    several ? "Its own" : names[0],
                    "Peer",
                    "95 %",
                    word("Workload")
                ].filter(Boolean),
                own.map((c) =>
                    [
                        c.nameB,
                        times(c.factor),
                        word(label(c)),
                        several && word(c.nameA),
                        value(c.medianA, c.figure),
                        value(c.medianB, c.figure),
                        interval(c),
                        word(c.workload)
                    ].filter((cell) => cell !== false)
                )
            );
        const [first, more] = [worse.slice(0, WORST_MAX), worse.slice(WORST_MAX)];
        return [
            table(
                first,
                `${units.list(names)} against each peer, medians over runs. A factor of 0.5 is ` +
                    "half as good as the peer."
            ),
            more.length > 0 &&
                dom.el(
                    "details",
                    {},
                    dom.el("summary", {}, `${more.length} more`),
                    table(more, "The rest of what does worse.")
                )
        ];
    }

    return { section, worst };
})();
