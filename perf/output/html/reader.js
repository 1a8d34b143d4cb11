// reader: reads values off a panel, under the pointer, a finger or the arrow keys.
const reader = (() => {
    const SNAP = 14; /* a point farther from the cursor than this, in pixels, isn't read */

    function nearest(sorted, value) {
        let low = 0,
            high = sorted.length - 1;
        while (high - low > 1) {
            const middle = (low + high) >> 1;
            [low, high] = sorted[middle] <= value ? [middle, high] : [low, middle];
        }
        return Math.abs(sorted[low] - value) <= Math.abs(sorted[high] - value) ? low : high;
    }

    // At x of the axis: of each line the point nearest, if it is near enough on the screen.
    function reading(panel, f, at) {
        return panel.lines.map((line) => {
            const own = line.points.filter((p) => p.y !== null);
            if (own.length === 0) {
                return { line, point: null };
            }
            const point =
                own[
                    nearest(
                        own.map((p) => f.atX(p.x)),
                        at
                    )
                ];
            return { line, point: Math.abs(f.atX(point.x) - at) <= SNAP ? point : null };
        });
    }

    function readout(spec, x, read) {
        // A line that has nothing here says nothing.
        const rows = read
            .filter(({ point }) => point !== null)
            .map(({ line, point }) =>
                dom.el(
                    "tr",
                    {},
                    dom.el("td", {}, marks.swatch(line.style)),
                    dom.el("th", { scope: "row" }, line.name),
                    dom.el("td", {}, (spec.y.exact ?? spec.y.text)(point.y)),
                    point.tell && dom.el("td", { class: "faint" }, point.tell)
                )
            );
        return [
            dom.el("p", {}, `${spec.x.name ? `${spec.x.name} ` : ""}${spec.x.text(x)}`),
            dom.el("table", {}, dom.el("tbody", {}, rows))
        ];
    }

    function cursor(spec, panel, f, group, box) {
        const all = [
            ...new Set(
                panel.lines.flatMap((l) => l.points.filter((p) => p.y !== null).map((p) => p.x))
            )
        ].sort((a, b) => a - b);
        const stops =
            spec.stops?.filter((x) => all.length && x <= all[all.length - 1] + 1e-9) ?? all;
        let now = null;
        const hide = () => {
            now = null;
            group.replaceChildren();
            box.replaceChildren();
            box.hidden = true;
        };
        const show = (x) => {
            now = x;
            const at = f.atX(x),
                read = reading(panel, f, at);
            group.replaceChildren(
                dom.svg("path", { class: "cursor", d: `M${at} ${f.top}V${f.bottom}` }),
                ...read
                    .filter((r) => r.point)
                    .map(({ line, point }) =>
                        dom.svg("path", {
                            class: `mark hue-${line.style.hue}`,
                            d: marks.shape(line.style, 4),
                            transform: `translate(${f.atX(point.x)} ${f.atY(point.y)})`
                        })
                    )
            );
            box.replaceChildren(...readout(spec, x, read));
            box.hidden = false;
            const left = at < (f.left + f.right) / 2;
            box.style.left = left ? `${Math.min(at + 12, f.width - 20)}px` : "auto";
            box.style.right = left ? "auto" : `${f.width - at + 12}px`;
            box.style.maxWidth = `${Math.max(120, left ? f.width - at - 12 : at - 12)}px`;
        };
        const point = (at) => all.length && show(all[nearest(all.map(f.atX), at)]);
        const key = (name) => {
            const idx = now === null ? -1 : nearest(stops, now);
            const to = {
                ArrowRight: idx + 1,
                ArrowLeft: idx < 0 ? stops.length - 1 : idx - 1,
                Home: 0,
                End: stops.length - 1
            }[name];
            if (name === "Escape") {
                hide();
            } else if (to !== undefined && stops.length) {
                show(stops[Math.min(stops.length - 1, Math.max(0, to))]);
            }
            return name === "Escape" || to !== undefined;
        };
        return { point, key, hide };
    }

    return { nearest, cursor };
})();
