// verdict: first of all, whether the figures may be believed, and where a peer does better.
const verdict = (() => {
    const REASONS_MAX = 8;

    // Of artefacts that can't be read, arms without runs, and runs that don't count.
    function reasons(artefacts, workloads) {
        return [
            ...artefacts
                .filter((a) => a.problem)
                .map((a) => ({ who: a.command ?? "artefact", why: a.problem })),
            ...workloads.flatMap((w) =>
                w.group.members.flatMap((m) => {
                    const who = `${w.name}: ${w.full(m)}`;
                    return m.result.runs.length === 0
                        ? [{ who, why: "no runs" }]
                        : m.result.runs
                              .filter((run) => !run.valid)
                              .map((run) => ({
                                  who: `${who}, run ${run.number}`,
                                  why: run.reason
                              }));
                })
            )
        ];
    }

    const item = ({ who, why }) => dom.el("li", {}, dom.el("strong", {}, who), ` \u2013 ${why}`);

    function whyNot(list) {
        const [first, more] = [list.slice(0, REASONS_MAX), list.slice(REASONS_MAX)];
        return [
            dom.el("ul", { class: "reasons" }, first.map(item)),
            more.length > 0 &&
                dom.el(
                    "details",
                    {},
                    dom.el("summary", {}, `${more.length} more`),
                    dom.el("ul", { class: "reasons" }, more.map(item))
                )
        ];
    }

    function counts(artefacts) {
        const results = artefacts.flatMap((a) => a.results ?? []);
        const runs = results.flatMap((r) => r.runs);
        const good = runs.filter((run) => run.valid).length;
        if (runs.length === 1) {
            return good === 1 ? "The one run counts." : "The one run doesn't count; it is shown.";
        }
        return good === runs.length
            ? `All ${units.counted(runs.length, "run")} of ${units.counted(results.length, "arm")} count.`
            : `${units.counted(good, "run")} of ${runs.length} count; the others are shown and enter no figure.`;
    }

    const unoptimized = (artefacts) =>
        artefacts.some((a) => /^no\b/.test(a.environment?.build?.optimized ?? ""));

    function compared(rows) {
        if (rows.length === 0) {
            return dom.el("p", {}, "Nothing was compared.");
        }
        const of = (outcome) => rows.filter((c) => c.outcome === outcome).length;
        const tally =
            `${units.counted(rows.length, "comparison")}: ${of("worse")} worse, ` +
            `${of("better")} better, ${of("open")} without evidence.`;
        const worst = compare.worst(rows);
        return worst === null
            ? dom.el("p", {}, `Nothing that was compared is slower than a peer. ${tally}`)
            : [dom.el("h3", {}, "Slower than a peer"), dom.el("p", {}, tally), worst];
    }

    function section(artefacts, workloads) {
        const list = reasons(artefacts, workloads);
        const valid = list.length === 0 && artefacts.length > 0;
        return dom.el(
            "section",
            { id: "verdict", class: valid ? "is-valid" : "is-invalid" },
            dom.el("h2", { class: "visually-hidden" }, "Verdict"),
            dom.el(
                "p",
                { class: "verdict" },
                dom.el("strong", {}, valid ? "VALID" : "INVALID"),
                dom.el(
                    "span",
                    {},
                    artefacts.length ? counts(artefacts) : "There is no artefact in this page."
                )
            ),
            unoptimized(artefacts) &&
                dom.el(
                    "p",
                    { class: "problem" },
                    "Built without optimization: these figures say nothing."
                ),
            list.length > 0 && whyNot(list),
            compared(workloads.flatMap((w) => w.comparisons))
        );
    }

    return { section };
})();
