// data: artefacts as the page uses them. What comes in may be cut off, of another version, or
// made to harm: every value is taken by its type, and what is missing is null, "" or empty.
const data = (() => {
    const isObject = (v) => v !== null && typeof v === "object" && !Array.isArray(v);
    const object = (v) => (isObject(v) ? v : {});
    const list = (v) => (Array.isArray(v) ? v : []);
    const LARGEST = 1e15; /* nothing that was measured is above it, and its texts have a place on an axis */
    const number = (v) => (typeof v === "number" && Math.abs(v) <= LARGEST ? v : null);
    const text = (v) =>
        typeof v === "string"
            ? v
            : typeof v === "number"
              ? String(v)
              : typeof v === "boolean"
                ? v
                    ? "yes"
                    : "no"
                : "";
    // Without a prototype: a key named "constructor" is a key like any other.
    const mapped = (v, take) =>
        Object.entries(object(v)).reduce((all, [key, value]) => {
            all[key] = take(value);
            return all;
        }, Object.create(null));

    function spread(v) {
        const { median, low, high } = object(v);
        return number(median) === null
            ? null
            : { median: number(median), low: number(low), high: number(high) };
    }

    function curve(v) {
        return list(v)
            .map((pair) => ({ p: number(list(pair)[0]), us: number(list(pair)[1]) }))
            .filter(({ p, us }) => p !== null && us !== null && p >= 0 && p < 100);
    }

    function run(v, idx) {
        const { valid, reason, start_s, seconds, metrics, histograms, series } = object(v);
        const { interval_s, ...kinds_ } = object(series);
        return {
            number: idx + 1,
            valid: valid === true,
            reason: text(reason) || (valid === true ? "" : "no reason given"),
            start: number(start_s),
            seconds: number(seconds),
            metrics: mapped(metrics, number),
            histograms: mapped(histograms, (h) => ({
                ...mapped(h, number),
                points: mapped(object(h).points, number)
            })),
            interval: number(interval_s) ?? 1,
            series: Object.fromEntries(
                Object.entries(kinds_)
                    .map(([key, values]) => [key, list(values).map(number)])
                    .filter(([, values]) => values.some((value) => value !== null))
            )
        };
    }

    function result(v) {
        const { workload, arm, params, runs, summary } = object(v);
        const name = text(arm) || "unnamed";
        return {
            workload: text(workload) || "unnamed",
            arm: name,
            params: mapped(params, (value) =>
                typeof value === "number" ? number(value) : text(value)
            ),
            runs: list(runs).map(run),
            metrics: mapped(object(summary).metrics, spread),
            histograms: mapped(object(summary).histograms, (h) => ({
                points: mapped(object(h).points, spread),
                curve: curve(object(h).curve)
            }))
        };
    }

    function comparison(v, results) {
        const c = object(v);
        const a = results[number(c.a) ?? -1],
            b = results[number(c.b) ?? -1];
        const [ratio, low, high] = [number(c.ratio), number(c.low), number(c.high)];
        if (!a || !b || ratio === null || ratio <= 0) {
            return null;
        }
        const figure = kinds.figure(text(c.figure));
        const fits = low !== null && high !== null && low > 0 && high >= low;
        // As an advantage of a: above 1 it is a that does better, whichever way is better; the
        // artefact's verdict knows that best.
        const turned =
            c.verdict === "better"
                ? ratio > 1
                : c.verdict === "worse"
                  ? ratio < 1
                  : figure.better === "high";
        return {
            a,
            b,
            figure,
            ratio,
            low,
            high,
            workload: text(c.workload) || a.workload,
            medianA: number(c.median_a),
            medianB: number(c.median_b),
            p: number(c.p_value),
            runsA: number(c.runs_a),
            runsB: number(c.runs_b),
            factor: turned ? 1 / ratio : ratio,
            from: fits ? (turned ? 1 / high : low) : null,
            to: fits ? (turned ? 1 / low : high) : null,
            // The verdict is of b against a.
            outcome: c.verdict === "better" ? "worse" : c.verdict === "worse" ? "better" : "open"
        };
    }

    function artefact(v) {
        const { command, arguments: words, environment } = v;
        const results = list(v.results).map(result);
        return {
            command: text(command) || "unnamed",
            arguments: list(words).map(text),
            environment: mapped(environment, (group) => mapped(group, text)),
            results,
            comparisons: list(v.comparisons)
                .map((c) => comparison(c, results))
                .filter(Boolean)
        };
    }

    // An artefact, or {problem: a sentence}.
    function read(source) {
        let v;
        try {
            v = JSON.parse(source);
        } catch (error) {
            return {
                problem:
                    source.trim() === ""
                        ? "This artefact is empty."
                        : `This artefact can't be read as JSON: ${error.message}.`
            };
        }
        if (!isObject(v) || v.schema !== "mcq-perf") {
            return {
                problem: "This isn't an artefact of mcq-perf: its schema isn't \"mcq-perf\"."
            };
        }
        if (v.version !== 1) {
            return {
                problem:
                    `This artefact has version ${text(v.version) || "unknown"} of the schema; ` +
                    "this page reads version 1. Make the report with the mcq-perf that wrote it."
            };
        }
        const made = artefact(v);
        return made.results.length === 0
            ? { ...made, problem: `mcq-perf ${made.command} left no results.` }
            : made;
    }

    return { read };
})();
