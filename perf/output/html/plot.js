// plot: lines over an axis, in one panel or several side by side. A figure is drawn for the width it
// has, again when that changes; what lies under the pointer, a finger or the arrow keys is read out.
//
// spec: {title, note, x: {scale, label, text}, y: {scale, label, text}, panels: [{title, lines}], stops}
// line: {name, style: {hue, dash}, points: [{x, y, low, high, valid, tell}], marks}; sorted by x; y may
// be null (a gap). marks: one at each point; else at the points nearest to spec.marksAt. stops: where
// the arrow keys halt, every x otherwise. A panel may have a y, a height and a share (of axes) of its own.
const plot = (() => {
    const HEIGHT = 210, HEIGHT_NARROW = 180, HEIGHT_WIDE = 280, TOP = 10, BOTTOM = 40, BOTTOM_PLAIN = 6, LEFT = 54, RIGHT = 14;
    const LABELS_WIDTH = 500; /* a narrower panel has a legend instead of names at its lines */
    const LETTER = 7, LABEL_LETTERS = 20, LABEL_STEP = 15, SNAP = 14;
    const DASHES = [null, "6 4", "2 3", "9 3 2 3"];
    const SHAPES = [
        (r) => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
        (r) => `M${-r} ${-r}h${2 * r}v${2 * r}h${-2 * r}z`,
        (r) => `M0 ${-1.3 * r}l${1.3 * r} ${1.3 * r}l${-1.3 * r} ${1.3 * r}l${-1.3 * r} ${-1.3 * r}z`,
        (r) => `M0 ${-1.2 * r}l${1.2 * r} ${2.1 * r}h${-2.4 * r}z`,
        (r) => `M0 ${1.2 * r}l${1.2 * r} ${-2.1 * r}h${-2.4 * r}z`,
        (r) => `M${-0.5 * r} ${-1.4 * r}h${r}v${2.8 * r}h${-r}z`,
        (r) => `M${-1.4 * r} ${-0.5 * r}h${2.8 * r}v${r}h${-2.8 * r}z`,
        (r) => `M${-0.6 * r} ${-1.2 * r}h${1.2 * r}l${0.6 * r} ${1.2 * r}l${-0.6 * r} ${1.2 * r}h${-1.2 * r}l${-0.6 * r} ${-1.2 * r}z`,
    ];

    const px = (v) => Number(v.toFixed(1));
    const shape = (style, r) => SHAPES[style.hue % SHAPES.length](r);
    const cut = (name) => (name.length > LABEL_LETTERS ? `${name.slice(0, LABEL_LETTERS - 1)}…` : name);

    function swatch(style) {
        return dom.svg("svg", { class: `swatch hue-${style.hue}`, width: 26, height: 12,
            viewBox: "0 0 26 12", "aria-hidden": "true" },
        dom.svg("path", { class: "line", d: "M1 6H25", "stroke-dasharray": DASHES[style.dash] }),
        dom.svg("path", { class: "mark", d: shape(style, 3), transform: "translate(13 6)" }));
    }

    const legend = (names) => dom.el("ul", { class: "legend" },
        names.map(({ name, style }) => dom.el("li", {}, swatch(style), dom.el("span", {}, name))));

    const points = (panels) => panels.flatMap((p) => p.lines.flatMap((l) => l.points));

    // All panels have one x axis; those of one share have one y axis.
    function scales(spec, panel, height) {
        const xs = points(spec.panels).map((p) => p.x);
        const ys = points(spec.panels.filter((p) => p.share === panel.share))
            .flatMap((p) => [p.y, p.low, p.high]).filter((v) => v !== undefined);
        return { x: scale.make[spec.x.scale](xs, { tight: true }),
            y: scale.make[spec.y.scale](ys, { cnt: height < 200 ? 3 : 5 }) };
    }

    function frame(spec, panel, width, named) {
        const height = panel.height ?? spec.height ?? (width < 420 ? HEIGHT_NARROW : width > 800 ? HEIGHT_WIDE : HEIGHT);
        const names = named ? spec.panels.flatMap((p) => p.lines)
            .map((l) => cut(l.name).length * LETTER + 14) : [];
        // Panels above one another have their x axis at the last.
        const plain = spec.stacked && panel !== spec.panels[spec.panels.length - 1];
        const below = plain ? BOTTOM_PLAIN : BOTTOM;
        const box = { width, height: height + below, left: LEFT, right: width - Math.max(RIGHT, ...names),
            top: TOP, bottom: height, plain };
        const { x, y } = scales(spec, panel, height);
        return { ...box, x, y, named,
            atX: (v) => px(box.left + x.at(v) * (box.right - box.left)),
            atY: (v) => px(box.bottom - y.at(v) * (box.bottom - box.top)) };
    }

    // Ticks whose texts would touch are left without one.
    function xAxis(spec, f) {
        let free = -Infinity;
        return f.x.ticks.map((v) => {
            const at = f.atX(v), label = spec.x.tick ? spec.x.tick(v) : spec.x.text(v);
            const half = label.length * LETTER / 2;
            const fits = at - half > free && at + half <= f.width;
            free = fits ? at + half + 10 : free;
            return [dom.svg("path", { class: "grid", d: `M${at} ${f.top}V${f.bottom}` }),
                fits && !f.plain && dom.svg("text", { x: at, y: f.bottom + 18, "text-anchor": "middle" }, label)];
        });
    }

    const yAxis = (spec, f) => f.y.ticks.map((v) => {
        const at = f.atY(v);
        return [dom.svg("path", { class: "grid", d: `M${f.left} ${at}H${f.right}` }),
            dom.svg("text", { x: f.left - 7, y: at + 4, "text-anchor": "end" }, spec.y.text(v))];
    });

    function path(line, f) {
        let pen = "M";
        return line.points.map(({ x, y, valid }) => {
            if (y === null || valid === false) {
                pen = "M";
                return "";
            }
            const piece = `${pen}${f.atX(x)} ${f.atY(y)}`;
            pen = "L";
            return piece;
        }).join("");
    }

    // All points, or those nearest to where marks are wanted.
    function marked(line, at) {
        const known = line.points.filter((p) => p.y !== null);
        const last = known[known.length - 1]?.x;
        return line.marks || known.length === 1 ? known
            : at.filter((x) => x <= last).map((x) => known[nearest(known.map((p) => p.x), x)]);
    }

    function marks(line, at, f) {
        return marked(line, at).map((p) => [
            p.low != null && p.high != null && p.valid !== false && dom.svg("path",
                { class: "whisker", d: `M${f.atX(p.x)} ${f.atY(p.low)}V${f.atY(p.high)}` }),
            dom.svg("path", { class: p.valid === false ? "mark hollow" : "mark", d: shape(line.style, 3.2),
                transform: `translate(${f.atX(p.x)} ${f.atY(p.y)})` })]);
    }

    function drawn(line, at, f) {
        const d = path(line, f);
        return dom.svg("g", { class: `hue-${line.style.hue}` },
            d && dom.svg("path", { class: "line data", d,
                "stroke-dasharray": DASHES[line.style.dash] }),
            marks(line, at, f));
    }

    // Names at the ends of their lines, pushed apart.
    function labels(panel, f) {
        const ends = panel.lines.map((line) => ({ line,
            last: [...line.points].reverse().find((p) => p.y !== null && p.valid !== false) }))
            .filter(({ last }) => last).map(({ line, last }) =>
                ({ line, x: f.atX(last.x), y: f.atY(last.y) })).sort((a, b) => a.y - b.y);
        const close = (a, b) => Math.abs(a.x - b.x) < LABEL_LETTERS * LETTER;
        ends.forEach((end, i) => {
            end.y = Math.max(end.y, f.top + 4,
                ...ends.slice(0, i).filter((e) => close(e, end)).map((e) => e.y + LABEL_STEP));
        });
        [...ends].reverse().forEach((end, i, from) => {
            end.y = Math.min(end.y, f.bottom - 2,
                ...from.slice(0, i).filter((e) => close(e, end)).map((e) => e.y - LABEL_STEP));
        });
        return ends.map(({ line, x, y }) => dom.svg("text", { class: `name hue-${line.style.hue}`,
            x: Math.min(x + 8, f.right + 8), y: px(y + 4) }, cut(line.name)));
    }

    function nearest(sorted, value) {
        let low = 0, high = sorted.length - 1;
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
            const point = own[nearest(own.map((p) => f.atX(p.x)), at)];
            return { line, point: Math.abs(f.atX(point.x) - at) <= SNAP ? point : null };
        });
    }

    function readout(spec, x, read) {
        const rows = read.map(({ line, point }) => dom.el("tr", {},
            dom.el("td", {}, swatch(line.style)), dom.el("th", { scope: "row" }, line.name),
            dom.el("td", {}, point === null ? units.NONE : (spec.y.exact ?? spec.y.text)(point.y)),
            point?.tell && dom.el("td", { class: "faint" }, point.tell)));
        return [dom.el("p", {}, `${spec.x.name ? `${spec.x.name} ` : ""}${spec.x.text(x)}`),
            dom.el("table", {}, dom.el("tbody", {}, rows))];
    }

    function cursor(spec, panel, f, group, box) {
        const all = [...new Set(panel.lines.flatMap((l) => l.points.filter((p) => p.y !== null)
            .map((p) => p.x)))].sort((a, b) => a - b);
        const stops = spec.stops?.filter((x) => all.length && x <= all[all.length - 1] + 1e-9) ?? all;
        let now = null;
        const hide = () => {
            now = null;
            group.replaceChildren();
            box.replaceChildren();
            box.hidden = true;
        };
        const show = (x) => {
            now = x;
            const at = f.atX(x), read = reading(panel, f, at);
            group.replaceChildren(dom.svg("path", { class: "cursor", d: `M${at} ${f.top}V${f.bottom}` }),
                ...read.filter((r) => r.point).map(({ line, point }) => dom.svg("path",
                    { class: `mark hue-${line.style.hue}`, d: shape(line.style, 4),
                        transform: `translate(${f.atX(point.x)} ${f.atY(point.y)})` })));
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
            const to = { ArrowRight: idx + 1, ArrowLeft: idx < 0 ? stops.length - 1 : idx - 1, Home: 0,
                End: stops.length - 1 }[name];
            if (name === "Escape") {
                hide();
            } else if (to !== undefined && stops.length) {
                show(stops[Math.min(stops.length - 1, Math.max(0, to))]);
            }
            return name === "Escape" || to !== undefined;
        };
        return { point, key, hide };
    }

    function panelDrawing(spec, panel, width, holder) {
        const f = frame(spec, panel, width, spec.named && width >= LABELS_WIDTH);
        const over = dom.svg("g", {});
        const box = holder.readout;
        const image = dom.svg("svg", { class: "plot", viewBox: `0 0 ${width} ${f.height}`, tabindex: "0",
            role: "img", "aria-label": `${spec.title}${panel.title ? `, ${panel.title}` : ""}. `
                + `${units.list(panel.lines.map((l) => l.name))}. Arrow keys read values.` },
        xAxis(spec, f), yAxis(spec, f),
        dom.svg("path", { class: "axis", d: `M${f.left} ${f.bottom}H${f.right}` }),
        !f.plain && dom.svg("text", { class: "unit", x: f.right, y: f.height - 5, "text-anchor": "end" }, spec.x.label),
        panel.lines.map((line) => drawn(line, spec.marksAt ?? [], f)), f.named && labels(panel, f), over);
        const reader = cursor(spec, panel, f, over, box);
        const where = (event) => {
            const rect = image.getBoundingClientRect();
            reader.point((event.clientX - rect.left) * width / rect.width);
        };
        image.addEventListener("pointermove", where);
        image.addEventListener("pointerdown", where);
        image.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && reader.hide());
        image.addEventListener("blur", reader.hide);
        image.addEventListener("keydown", (event) => reader.key(event.key) && event.preventDefault());
        reader.hide();
        holder.drawing.replaceChildren(image);
        return f.named;
    }

    function lines(spec) {
        const names = [...new Map(spec.panels.flatMap((p) => p.lines).map((l) => [l.name, l])).values()];
        const holders = spec.panels.map((panel) => {
            const drawing = dom.el("div", { class: "drawing" });
            const box = dom.el("div", { class: "readout", "aria-live": "polite", hidden: true });
            return { panel, drawing, readout: box, node: dom.el("div", { class: "panel" },
                panel.title ? dom.el("h4", {}, panel.title) : null,
                dom.el("p", { class: "unit" }, panel.unit ?? spec.y.label),
                dom.el("div", { class: "stage" }, drawing, box)) };
        });
        const shownLegend = legend(names);
        const figure = dom.el("figure", { class: `lines ${spec.stacked ? "stacked" : `of-${Math.min(4, holders.length)}`}` },
            dom.el("figcaption", {}, dom.el("h3", {}, spec.title),
                spec.note && dom.el("p", {}, spec.note)), spec.control ?? null, shownLegend,
            dom.el("div", { class: "panels" }, holders.map((h) => h.node)));
        watch(figure, holders, (holder, width) => {
            const named = panelDrawing({ ...spec, y: { ...spec.y, ...holder.panel.y },
                named: names.length > 1 }, holder.panel, width, holder);
            shownLegend.hidden = named || names.length < 2;
        });
        return figure;
    }

    // Draws each holder when its width is known, and whenever it changes.
    function watch(figure, holders, draw) {
        const widths = new Map();
        const observer = new ResizeObserver(() => holders.forEach((holder) => {
            const width = Math.floor(holder.node.clientWidth);
            if (width > 0 && widths.get(holder) !== width) {
                widths.set(holder, width);
                try {
                    draw(holder, width);
                } catch (error) {
                    figure.replaceChildren(dom.el("p", { class: "problem" },
                        `This plot can't be drawn: ${error.message}`));
                }
            }
        }));
        holders.forEach((holder) => observer.observe(holder.node));
    }

    return { lines, legend, swatch, shape, watch, px };
})();
