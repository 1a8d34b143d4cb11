// compare: two arms by one figure. A factor above 1 says that the first arm does better, whichever way
// is better for the figure, so that one axis serves all.
const compare = (() => {
    const KEY_POINTS = ["p50", "p99", "p999"];
    const ALL_UP_TO = 16; /* with more comparisons only the usual figures are drawn */
    const WORST_MAX = 12;
    const ROW = 26, ROW_NARROW = 42, NARROW = 560, NAME = 200, VALUE = 170, LETTER = 6.4;
    const WORDS = { worse: "worse", better: "better", open: "no evidence" };

    const times = (factor) => `${units.plain(factor)}×`;
    const value = (v, figure) => units.text(v, figure.unit === "ratio" ? "" : figure.unit);
    const interval = (c) => (c.from === null ? units.NONE : `${units.plain(c.from)}\u2013${units.plain(c.to)}`);

    const usual = (c) => (c.figure.histogram !== null
        ? KEY_POINTS.includes(c.figure.point) && c.figure.histogram !== "lag"
        : ["msgs_per_s", "connections_per_s", "conn_bytes", "fairness"].includes(c.figure.key));

    // The axis covers every interval, at least from a half to twice.
    function ends(rows) {
        const all = rows.flatMap((c) => [c.factor, c.from, c.to]).filter((v) => v !== null);
        return [Math.min(0.5, ...all), Math.max(2, ...all)];
    }

    function mark(c, axis, y) {
        const x = axis(c.factor);
        return dom.svg("g", { class: `row of-${c.outcome}` },
            dom.svg("title", {}, `${c.figure.name}, ${c.a.arm} against ${c.b.arm}: ${WORDS[c.outcome]}; `
                + `${value(c.medianA, c.figure)} and ${value(c.medianB, c.figure)}, ${times(c.factor)}`
                + ` (95 %: ${interval(c)}), p = ${units.plain(c.p)}, ${c.runsA ?? "?"} and ${c.runsB ?? "?"} runs`),
            c.from !== null && dom.svg("path", { class: "interval data", d: `M${axis(c.from)} ${y}H${axis(c.to)}` }),
            dom.svg("path", { class: "estimate", transform: `translate(${x} ${y})`,
                d: plot.shape({ hue: c.outcome === "worse" ? 2 : c.outcome === "better" ? 1 : 0 }, 4) }));
    }

    function drawing(rows, label, width) {
        const narrow = width < NARROW;
        const [left, right] = narrow ? [12, width - 12] : [NAME, width - VALUE];
        const high = narrow ? ROW_NARROW : ROW, top = 8, bottom = top + rows.length * high;
        const log = scale.make.log(ends(rows), { tight: false, cnt: 5 });
        const axis = (v) => plot.px(left + log.at(v) * (right - left));
        const one = axis(1);
        const letters = Math.floor((narrow ? width * 0.55 : NAME - 12) / LETTER);
        const texts = rows.map((c, i) => {
            const y = top + i * high + (narrow ? 12 : high / 2 + 4);
            const name = label(c);
            return [dom.svg("text", { class: "row", x: narrow ? 0 : NAME - 12, y, "text-anchor": narrow ? "start" : "end" },
                name.length > letters ? `${name.slice(0, letters - 1)}…` : name),
            dom.svg("text", { class: `row of-${c.outcome}`, x: width, y, "text-anchor": "end" },
                `${times(c.factor)} (${interval(c)})`)];
        });
        let free = -Infinity;
        const ticks = log.ticks.map((v) => {
            const x = axis(v), text = times(v), half = text.length * LETTER / 2;
            const fits = x - half > free && x + half < width;
            free = fits ? x + half + 8 : free;
            return [dom.svg("path", { class: v === 1 ? "axis" : "grid", d: `M${x} ${top}V${bottom}` }),
                fits && dom.svg("text", { x, y: bottom + 16, "text-anchor": "middle" }, text)];
        });
        return dom.svg("svg", { class: "plot", viewBox: `0 0 ${width} ${bottom + 24}`, role: "img",
            "aria-label": rows.map((c) => `${label(c)}: ${times(c.factor)}, ${WORDS[c.outcome]}`).join("; ") },
        dom.svg("path", { class: "worse-side", d: `M${left} ${top}H${one}V${bottom}H${left}z` }),
        ticks, texts, rows.map((c, i) => mark(c, axis,
            top + i * high + (narrow ? 27 : high / 2))));
    }

    function byPeer(rows, group) {
        const name = (result) => group.members.find((m) => m.result === result)?.name ?? result.arm;
        const sets = new Map();
        for (const c of rows) {
            const key = `${name(c.a)} against ${name(c.b)}`;
            sets.set(key, [...(sets.get(key) ?? []), c]);
        }
        return sets;
    }

    function whole(rows) {
        return dom.el("details", {}, dom.el("summary", {}, `All ${units.counted(rows.length, "comparison")}`),
            dom.table("Medians over runs; the factor is above 1 where the first does better.",
                ["Arms", "Figure", "First", "Second", "Factor", "95 %", "p", "Runs", "Verdict on the first"],
                rows.map((c) => [`${c.a.arm} \u2013 ${c.b.arm}`, { cell: c.figure.name, class: "words" },
                    value(c.medianA, c.figure), value(c.medianB, c.figure), times(c.factor), interval(c),
                    units.plain(c.p), `${c.runsA ?? units.NONE}, ${c.runsB ?? units.NONE}`,
                    { cell: WORDS[c.outcome], class: "words" }])));
    }

    function section(rows, group) {
        if (rows.length === 0) {
            return null;
        }
        const few = rows.filter(usual);
        const shown = rows.length <= ALL_UP_TO || few.length === 0 ? rows : few;
        const place = (c) => {
            const member = group.members.find((m) => m.result === c.a);
            return member && group.axis !== null && member.x !== null ? `, ${arms.place(group.axis, member)}` : "";
        };
        const holders = [...byPeer(shown, group)].map(([title, own]) => {
            const stage = dom.el("div", { class: "drawing" });
            return { own, stage, node: dom.el("div", { class: "panel" }, dom.el("h4", {}, title), stage) };
        });
        const figure = dom.el("figure", { class: "forest of-1" }, dom.el("figcaption", {},
            dom.el("h3", {}, "Compared"), dom.el("p", {}, "How many times better the first does, with 95 % intervals over runs. "
                + "Left of 1, shaded, it does worse. Diamond: worse; square: better; circle: no evidence.")),
        dom.el("div", { class: "panels" }, holders.map((h) => h.node)));
        plot.watch(figure, holders, (holder, width) => holder.stage.replaceChildren(
            drawing(holder.own, (c) => `${c.figure.name}${place(c)}`, width)));
        return dom.el("div", {}, figure, whole(rows));
    }

    // What does worse than a peer, the greatest first.
    function worst(rows) {
        const worse = rows.filter((c) => c.outcome === "worse").sort((x, y) => x.factor - y.factor);
        if (worse.length === 0) {
            return null;
        }
        const table = (own, caption) => dom.table(caption,
            ["Slower or dearer", "Than", "Workload", "Figure", "Its figure", "The peer's", "Factor", "95 %"],
            own.map((c) => [c.a.arm, { cell: c.b.arm, class: "words" }, { cell: c.workload, class: "words" },
                { cell: c.figure.name, class: "words" }, value(c.medianA, c.figure),
                value(c.medianB, c.figure), times(c.factor), interval(c)]));
        const [first, more] = [worse.slice(0, WORST_MAX), worse.slice(WORST_MAX)];
        return [table(first, "Medians over runs. A factor of 0.5 is half as good."),
            more.length > 0 && dom.el("details", {}, dom.el("summary", {}, `${more.length} more`),
                table(more, "The rest of what does worse."))];
    }

    return { section, worst };
})();
