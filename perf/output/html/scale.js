// scale: from a value to its place between 0 and 1, and the ticks of an axis.
const scale = (() => {
    const usable = (values) => values.filter((v) => v !== null && Number.isFinite(v));

    function step(span, cnt) {
        const rough = span / cnt;
        const decade = 10 ** Math.floor(Math.log10(rough));
        return decade * ([1, 2, 5].find((m) => m * decade >= rough * 0.999) ?? 10);
    }

    // From zero, to a whole step, or just as far as the values go.
    function linear(values, { tight = false, cnt = 5 } = {}) {
        const known = usable(values);
        const from = Math.min(0, ...known);
        let to = known.length ? Math.max(...known) : 1;
        if (to <= from) {
            to = from + (Math.abs(from) || 1);
        }
        const by = step(to - from, cnt);
        const first = Math.floor(from / by + 1e-9) * by;
        const last = tight ? to : Math.ceil(to / by - 1e-9) * by;
        const ticks = [];
        for (let i = Math.ceil(first / by - 1e-9); i <= Math.floor(last / by + 1e-9); i++) {
            ticks.push(Number((i * by).toPrecision(12)));
        }
        return { at: (v) => (v - first) / (last - first), ticks };
    }

    const EVEN = [1, 2, 5];
    // The whole step below (or above) a value: 37 lies between 20 and 50.
    function even(value, up) {
        const decade = 10 ** Math.floor(Math.log10(value) + 1e-9);
        const near = [...EVEN, 10].map((m) => m * decade);
        return up
            ? near.find((v) => v >= value * 0.999999)
            : near.filter((v) => v <= value * 1.000001).pop();
    }

    // What is zero or less lies on the axis.
    function log(values, { tight = false, cnt = 6 } = {}) {
        const known = usable(values).filter((v) => v > 0);
        let from = known.length ? Math.min(...known) : 1;
        let to = known.length ? Math.max(...known) : 10;
        if (!tight) {
            [from, to] = [even(from, false), even(to, true)];
        }
        if (to <= from * 1.001) {
            [from, to] = [from / 2, to * 2];
        }
        const decades = Math.log10(to / from);
        const every = Math.max(1, Math.ceil(decades / cnt));
        const ticks = [];
        for (let e = Math.floor(Math.log10(from)) - 1; e <= Math.ceil(Math.log10(to)); e++) {
            const marks = decades <= (cnt < 5 ? 1 : 2.2) ? EVEN : e % every === 0 ? [1] : [];
            ticks.push(
                ...marks
                    .map((m) => Number((m * 10 ** e).toPrecision(3)))
                    .filter((v) => v >= from * 0.999 && v <= to * 1.001)
            );
        }
        const span = Math.log(to / from);
        return {
            at: (v) => (v > 0 ? Math.min(1, Math.max(0, Math.log(v / from) / span)) : 0),
            ticks
        };
    }

    // Percent, each nine as wide as the one before.
    function nines(values) {
        const of = (p) => -Math.log10(1 - Math.min(p, 99.9999999) / 100);
        const most = Math.max(1, ...usable(values).map(of));
        const ticks = [0, 50];
        for (let n = 1; n <= most + 1e-6; n++) {
            ticks.push(Number((100 * (1 - 10 ** -n)).toPrecision(10)));
        }
        return { at: (p) => of(p) / most, ticks };
    }

    const make = { linear, log, nines };
    return { make };
})();
