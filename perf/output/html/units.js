// units: numbers as a reader sees them. A figure has three significant digits, as its histogram
// has.
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

    // Without zeros at the end, for ticks and parameters: 0.5, 20, 1,500.
    const short = (value) =>
        Math.abs(value) < 1e6
            ? grouped(String(Number(value.toPrecision(3))))
            : value.toExponential(0).replace("+", "").replace(/^-/, "\u2212");
    const exact = (value) =>
        value === 0
            ? "0"
            : grouped(Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));

    function scaled(value, steps) {
        const size = Math.abs(value);
        const step = steps.find(([from]) => size >= from) ?? steps[steps.length - 1];
        return [value / step[0], step[1]];
    }

    const TIMES = [
        [1e6, "s"],
        [1e3, "ms"],
        [1, "µs"],
        [1e-3, "ns"]
    ];
    const THOUSANDS = [
        [1e9, "G"],
        [1e6, "M"],
        [1e3, "k"],
        [1, ""]
    ];
    const BYTES = [
        [1e9, "GB"],
        [1e6, "MB"],
        [1e3, "kB"],
        [1, "B"]
    ];

    function joined(value, steps, after, digits) {
        const [figure, name] = scaled(value, steps);
        const unit = `${name}${after}`;
        return `${digits(figure)}${unit === "" ? "" : after === "" && steps === THOUSANDS ? unit : ` ${unit}`}`;
    }

    const UNITS = {
        us: [1, TIMES, ""],
        ns: [1e-3, TIMES, ""],
        s: [1e6, TIMES, ""],
        bytes: [1, BYTES, ""],
        "/s": [1, THOUSANDS, "/s"],
        "": [1, THOUSANDS, ""]
    };

    // With its unit, scaled.
    function text(value, unit, digits = short) {
        if (value === null || value === 0) {
            return value === null ? NONE : "0";
        }
        if (!Object.hasOwn(UNITS, unit)) {
            return `${digits(value)} ${unit}`;
        }
        const [times, steps, after] = UNITS[unit];
        return joined(value * times, steps, after, digits);
    }

    const figure = (value, unit) => text(value, unit, exact);

    // A digit more than the nines it has: p50, p97.5, p99.953.
    function percentile(p) {
        const nines = p < 100 ? Math.floor(-Math.log10(1 - p / 100) + 1e-9) : 9;
        return `p${Number(p.toFixed(Math.max(0, nines)))}`;
    }

    function duration(seconds) {
        if (seconds < 120) {
            return `${short(seconds)} s`;
        }
        return seconds < 7200 ? `${short(seconds / 60)} min` : `${short(seconds / 3600)} h`;
    }

    function list(words) {
        return words.length < 2
            ? words.join("")
            : `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`;
    }

    const count = (value) => grouped(String(value));
    const counted = (cnt, one, many = `${one}s`) => `${count(cnt)} ${cnt === 1 ? one : many}`;

    return { plain, text, figure, percentile, duration, list, count, counted, NONE };
})();
