// page: the report, put together from the artefacts in the page.
const page = (() => {
    const artefacts = [...document.querySelectorAll("script.artefact")].map((s) =>
        data.read(s.textContent)
    );
    const good = artefacts.filter((a) => a.results?.length > 0);

    // What fails says so in its place; the rest of the page stands.
    function guarded(what, make) {
        try {
            return make();
        } catch (error) {
            return dom.el("p", { class: "problem" }, `${what} can't be shown: ${error.message}`);
        }
    }

    const workloads = good
        .flatMap(arms.workloads)
        .map((w, i) => ({ ...w, id: `workload-${i + 1}` }));
    const peers = [...new Set(good.flatMap((a) => a.results.map(arms.peerOf)))];

    function title() {
        const names = [...new Set(workloads.map((w) => w.name))];
        const [first, ...others] = peers;
        const what =
            names.length > 4
                ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`
                : units.list(names);
        return names.length === 0
            ? "Nothing measured"
            : `${what}: ${others.length > 0 ? `${first} beside ${units.list(others)}` : first}`;
    }

    function when() {
        const starts = good
            .flatMap((a) => a.results.flatMap((r) => r.runs.map((run) => run.start)))
            .filter((s) => s !== null)
            .sort((a, b) => a - b);
        return starts.length === 0
            ? ""
            : `${new Date(starts[0] * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
    }

    function header() {
        const env = good[0]?.environment ?? {};
        const facts = [
            when(),
            env.cpu?.model,
            env.host?.kernel && `kernel ${env.host.kernel}`,
            (env.build?.git ?? env.build?.revision) &&
                `revision ${env.build.git ?? env.build.revision}`
        ];
        return dom.el(
            "header",
            {},
            dom.el("p", { class: "kicker" }, "mcq-perf report"),
            dom.el("h1", {}, title()),
            dom.el(
                "p",
                { class: "meta" },
                facts.filter(Boolean).map((fact) => dom.el("span", {}, fact))
            )
        );
    }

    const contents = () =>
        workloads.length > 1 &&
        dom.el(
            "nav",
            { "aria-label": "Workloads" },
            dom.el(
                "ul",
                {},
                workloads.map((w) => dom.el("li", {}, dom.el("a", { href: `#${w.id}` }, w.name)))
            )
        );

    const command = (artefact) =>
        `mcq-perf ${artefact.arguments
            .map((word) =>
                /^[\w@%+=:,.\/-]+$/.test(word) ? word : `'${word.replace(/'/g, "'\\''")}'`
            )
            .join(" ")}`;

    // With few arms the figures come first; with a parameter varied their shape does, and the table
    // of all is folded.
    function tables(group) {
        const made = [summary.percentiles(group), summary.metrics(group)].flat().filter(Boolean);
        return group.axis === null || made.length === 0
            ? made
            : [
                  dom.el(
                      "details",
                      {},
                      dom.el(
                          "summary",
                          {},
                          `All figures (${units.counted(group.members.length, "arm")})`
                      ),
                      made
                  )
              ];
    }

    function workload({ id, name, artefact, group, comparisons }) {
        const empty = group.members.every((m) => m.result.runs.length === 0);
        return dom.el(
            "section",
            { class: "workload", id },
            dom.el("h2", {}, name),
            kinds.workload(name) && dom.el("p", { class: "means" }, kinds.workload(name)),
            guarded("The parameters", () => summary.parameters(group)),
            empty && dom.el("p", { class: "problem" }, "This workload has no runs."),
            group.axis === null && guarded("The figures", () => tables(group)),
            guarded("The plot against the parameter", () => against.section(group)),
            guarded("The percentile curves", () => curve.section(group)),
            guarded("The time series", () => series.section(group)),
            guarded("The comparison", () => compare.section(comparisons)),
            guarded("The bars", () => bars.section(group)),
            group.axis !== null && guarded("The figures", () => tables(group)),
            guarded("The runs", () => summary.runs(group)),
            dom.el("p", { class: "again" }, "Again: ", dom.el("code", {}, command(artefact)))
        );
    }

    function reading() {
        const says = [
            "Every message carries a number and a checksum; a gap, a duplicate or damage makes a run invalid. Invalid runs are shown and enter no figure.",
            "A figure is the median over valid runs, and beneath it the least and the most. A percentile is said only if at least ten samples lie above it; otherwise n/a.",
            "Response counts from the planned send, so that what a stall delays is charged to it. Service counts from the actual send. The lag between the two is the generator's.",
            "Runs of all arms are interleaved. The unit of comparison is the run: the ratio of medians has a bootstrap interval of 95 %, and a permutation test has to agree before anything but \u201cno evidence\u201d is said.",
            "This page is one file: it loads nothing and asks nobody."
        ];
        return dom.el(
            "footer",
            {},
            dom.el("h2", {}, "How to read this"),
            dom.el(
                "ul",
                {},
                says.map((text) => dom.el("li", {}, text))
            )
        );
    }

    function problems() {
        const list = artefacts.filter((a) => a.problem);
        return artefacts.length === 0
            ? dom.el(
                  "p",
                  { class: "problem" },
                  "This report has no artefact in it: mcq-perf report RESULT.json --out FILE.html puts some there."
              )
            : list.map((a) => dom.el("p", { class: "problem" }, a.problem));
    }

    // Paper has no pointer: what is folded is unfolded, and folded again after.
    function printing() {
        let folded = [];
        addEventListener("beforeprint", () => {
            folded = [...document.querySelectorAll("details:not([open])")];
            folded.forEach((d) => {
                d.open = true;
            });
        });
        addEventListener("afterprint", () =>
            folded.forEach((d) => {
                d.open = false;
            })
        );
    }

    document.title = `${title()} – mcq-perf`;
    document
        .getElementById("report")
        .replaceChildren(
            ...[
                guarded("The title", header),
                guarded("The verdict", () => verdict.section(artefacts, workloads)),
                ...[problems()].flat(),
                guarded("The contents", contents),
                good.length > 0 && guarded("The environment", () => environment.section(good)),
                ...workloads.map((w) => guarded(`The workload ${w.name}`, () => workload(w))),
                reading()
            ].filter(Boolean)
        );
    printing();
    return { artefacts };
})();
