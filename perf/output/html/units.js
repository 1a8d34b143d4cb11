// units: numbers as a reader sees them. A figure has three significant digits, as its histogram has.
const units = (() => {
    const NONE = "n/a";

    function grouped(text) {
        const [whole, rest] = text.split(".");
        const parts = whole.replace(/\B(?=(\d{3})+$)/g, ",");
        return (rest === undefined ? parts : `${parts}.${rest}`).replace(/^-/, "\u2212");
    }

    function plain(value) {
        if (value === null) {
            return NONE;
        }
        const size = Math.abs(value);
        if (size === 0) {
            return "0";
        }
        if (size < 0.01) {
            return value.toPrecision(2).replace(/^-/, "\u2212");
        }
        return grouped(value.toFixed(size < 9.995 ? 2 : size < 99.95 ? 1 : 0));
    }

    // Few digits, for ticks: 0.5, 20, 1500.
    const short = (value) => grouped(String(Number(value.toPrecision(3))));

    function scaled(value, steps) {
        const size = Math.abs(value);
        const step = steps.find(([from]) => size >= from) ?? steps[steps.length - 1];
        return [value / step[0], step[1]];
    }

    const TIMES = [[1e6, "s"], [1e3, "ms"], [1, "µs"], [1e-3, "ns"]];
    const THOUSANDS = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]];
    const BYTES = [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]];

    function joined(value, steps, after = "") {
        if (value === null) {
            return NONE;
        }
        const [figure, name] = value === 0 ? [0, steps === BYTES ? "B" : ""] : scaled(value, steps);
        const unit = `${name}${after}`;
        return unit === "" ? short(figure)
            : unit === "k" || unit === "M" || unit === "G" ? `${short(figure)}${unit}`
            : `${short(figure)} ${unit}`;
    }

    // With its unit, scaled: for axes and read-outs.
    const SCALED = {
        us: (v) => (v === 0 ? "0" : joined(v, TIMES)),
        ns: (v) => (v === 0 ? "0" : joined(v === null ? null : v / 1000, TIMES)),
        s: (v) => (v === 0 ? "0" : joined(v === null ? null : v * 1e6, TIMES)),
        bytes: (v) => joined(v, BYTES),
        "/s": (v) => joined(v, THOUSANDS, "/s").replace(/ (?=[kMG]\/s)/, "\u2009"),
        "%": (v) => (v === null ? NONE : `${short(v)} %`),
        "": (v) => joined(v, THOUSANDS),
    };

    function text(value, unit) {
        const format = SCALED[unit];
        return format ? format(value) : value === null ? NONE : `${short(value)} ${unit}`;
    }

    // 99.9 of 0.1 % above; what binary fractions add is cut off.
    const percentile = (p) => `p${Number(p.toPrecision(8))}`;

    function duration(seconds) {
        if (seconds < 120) {
            return `${short(seconds)} s`;
        }
        return seconds < 7200 ? `${short(seconds / 60)} min` : `${short(seconds / 3600)} h`;
    }

    function list(words) {
        return words.length < 2 ? words.join("")
            : `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`;
    }

    const counted = (cnt, one, many = `${one}s`) => `${grouped(String(cnt))} ${cnt === 1 ? one : many}`;

    return { plain, text, percentile, duration, list, counted, NONE };
})();
