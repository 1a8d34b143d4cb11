// verdict: first of all, whether the figures may be believed, and where a peer does better.
const verdict = (() => {
    const REASONS_MAX = 8;

    function reasons(artefacts) {
        return artefacts.flatMap((a) => (a.problem ? [{ who: a.command ?? "artefact", why: a.problem }]
            : a.results.flatMap((r) => (r.runs.length === 0
                ? [{ who: `${r.workload}: ${r.arm}`, why: "no runs" }]
                : r.runs.filter((run) => !run.valid).map((run) => ({
                    who: `${r.workload}: ${r.arm}${placed(r)}, run ${run.number}`, why: run.reason }))))));
    }

    const placed = (r) => ["share", "rate", "gap_us", "idle_conns", "conns", "subs"].filter((key) =>
        typeof r.params[key] === "number" && !/\d/.test(r.arm)).slice(0, 1).map((key) =>
        ` at ${kinds.param(key).name.toLowerCase()} ${units.text(r.params[key], kinds.param(key).unit)}`).join("");

    const item = ({ who, why }) => dom.el("li", {}, dom.el("strong", {}, who), ` \u2013 ${why}`);

    function whyNot(list) {
        const [first, more] = [list.slice(0, REASONS_MAX), list.slice(REASONS_MAX)];
        return [dom.el("ul", { class: "reasons" }, first.map(item)), more.length > 0
            && dom.el("details", {}, dom.el("summary", {}, `${more.length} more`),
                dom.el("ul", { class: "reasons" }, more.map(item)))];
    }

    function counts(artefacts) {
        const results = artefacts.flatMap((a) => a.results ?? []);
        const runs = results.flatMap((r) => r.runs);
        const good = runs.filter((run) => run.valid).length;
        return good === runs.length
            ? `All ${units.counted(runs.length, "run")} of ${units.counted(results.length, "arm")} count.`
            : `${units.counted(good, "run")} of ${runs.length} count; the others are shown and enter no figure.`;
    }

    function compared(rows) {
        if (rows.length === 0) {
            return dom.el("p", {}, "Nothing was compared.");
        }
        const of = (outcome) => rows.filter((c) => c.outcome === outcome).length;
        const tally = `${units.counted(rows.length, "comparison")}: ${of("worse")} worse, `
            + `${of("better")} better, ${of("open")} without evidence.`;
        const worst = compare.worst(rows);
        return worst === null
            ? dom.el("p", {}, `Nothing that was compared is slower than a peer. ${tally}`)
            : [dom.el("h3", {}, "Slower than a peer"), dom.el("p", {}, tally), worst];
    }

    function section(artefacts) {
        const list = reasons(artefacts);
        const valid = list.length === 0 && artefacts.length > 0;
        return dom.el("section", { id: "verdict", class: valid ? "is-valid" : "is-invalid" },
            dom.el("h2", { class: "visually-hidden" }, "Verdict"),
            dom.el("p", { class: "verdict" }, dom.el("strong", {}, valid ? "VALID" : "INVALID"),
                dom.el("span", {}, artefacts.length ? counts(artefacts) : "There is no artefact in this page.")),
            list.length > 0 && whyNot(list), compared(artefacts.flatMap((a) => a.comparisons ?? [])));
    }

    return { section };
})();
