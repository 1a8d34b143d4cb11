// plot: lines over an axis, in one panel or several side by side. A figure is drawn for the
// width it has, again when that changes; what lies under the pointer, a finger or the arrow keys
// is read out.
//
// spec: {title, note, x: {scale, label, text}, y: {scale, label, text}, panels: [{title,
// lines}], stops}
// line: {name, style: {hue, dash}, points: [{x, y, low, high, valid, tell}], marks}; sorted by
// x; y may be null (a gap). marks: one at each point; else at the points nearest to
// spec.marksAt. stops: where the arrow keys halt, every x otherwise.
// A panel may have a y, a height and a share (of axes) of its own.
const plot = (() => {
    // Of the area in which lines are drawn; all in pixels.
    const HEIGHT = 210;
    const HEIGHT_NARROW = 180;
    const HEIGHT_WIDE = 280;
    const TOP = 10;
    const LEFT = 54;
    const RIGHT = 14;
    const BOTTOM = 40; /* room below it, with an axis and without */
    const BOTTOM_PLAIN = 6;
    const LABELS_WIDTH = 500; /* a narrower panel has a legend instead of names at its lines */
    const LABEL_LETTERS = 20;
    const LABEL_STEP = 15;
    const LETTER = 7; /* a letter's width, at the most */

    const px = (v) => Number(v.toFixed(1));
    const cut = (name) =>
        name.length > LABEL_LETTERS ? `${name.slice(0, LABEL_LETTERS - 1)}…` : name;

    const points = (panels) => panels.flatMap((p) => p.lines.flatMap((l) => l.points));

    // All panels have one x axis; those of one share have one y axis.
    function scales(spec, panel, height) {
        const xs = points(spec.panels).map((p) => p.x);
        const ys = points(spec.panels.filter((p) => p.share === panel.share))
            .flatMap((p) => [p.y, p.low, p.high])
            .filter((v) => v !== undefined);
        return {
            x: scale.make[spec.x.scale](xs, { tight: true }),
            y: scale.make[spec.y.scale](ys, { cnt: height < 120 ? 3 : 5 })
        };
    }

    function frame(spec, panel, width, named) {
        const height =
            panel.height ??
            spec.height ??
            (width < 420 ? HEIGHT_NARROW : width > 800 ? HEIGHT_WIDE : HEIGHT);
        const names = named
            ? spec.panels.flatMap((p) => p.lines).map((l) => cut(l.name).length * LETTER + 14)
            : [];
        // Panels above one another have their x axis at the last.
        const plain = spec.stacked && panel !== spec.panels[spec.panels.length - 1];
        const below = plain ? BOTTOM_PLAIN : BOTTOM;
        const box = {
            width,
            height: height + below,
            left: LEFT,
            right: width - Math.max(RIGHT, ...names),
            top: TOP,
            bottom: height,
            plain
        };
        const { x, y } = scales(spec, panel, height);
        return {
            ...box,
            x,
            y,
            named,
            atX: (v) => px(box.left + x.at(v) * (box.right - box.left)),
            atY: (v) => px(box.bottom - y.at(v) * (box.bottom - box.top))
        };
    }

    // Ticks whose texts would touch are left without one.
    function xAxis(spec, f) {
        let free = -Infinity;
        return f.x.ticks.map((v) => {
            const at = f.atX(v),
                label = spec.x.tick ? spec.x.tick(v) : spec.x.text(v);
            const half = (label.length * LETTER) / 2;
            const fits = at - half > free && at + half <= f.width;
            free = fits ? at + half + 10 : free;
            return [
                dom.svg("path", { class: "grid", d: `M${at} ${f.top}V${f.bottom}` }),
                fits &&
                    !f.plain &&
                    dom.svg("text", { x: at, y: f.bottom + 18, "text-anchor": "middle" }, label)
            ];
        });
    }

    const yAxis = (spec, f) =>
        f.y.ticks.map((v) => {
            const at = f.atY(v);
            return [
                dom.svg("path", { class: "grid", d: `M${f.left} ${at}H${f.right}` }),
                dom.svg("text", { x: f.left - 7, y: at + 4, "text-anchor": "end" }, spec.y.text(v))
            ];
        });

    function path(line, f) {
        let pen = "M";
        return line.points
            .map(({ x, y, valid }) => {
                if (y === null || valid === false) {
                    pen = "M";
                    return "";
                }
                // A point between two gaps is a line of no length, which a round end makes a dot.
                const piece = `${pen}${f.atX(x)} ${f.atY(y)}${pen === "M" ? "h0" : ""}`;
                pen = "L";
                return piece;
            })
            .join("");
    }

    // All points, or those nearest to where marks are wanted.
    function marked(line, at) {
        const known = line.points.filter((p) => p.y !== null);
        const last = known[known.length - 1]?.x;
        return line.marks || known.length === 1
            ? known
            : at
                  .filter((x) => x <= last)
                  .map(
                      (x) =>
                          known[
                              reader.nearest(
                                  known.map((p) => p.x),
                                  x
                              )
                          ]
                  );
    }

    function marksOf(line, at, f) {
        return marked(line, at).map((p) => [
            p.low != null &&
                p.high != null &&
                p.valid !== false &&
                dom.svg("path", {
                    class: "whisker",
                    d: `M${f.atX(p.x)} ${f.atY(p.low)}V${f.atY(p.high)}`
                }),
            dom.svg("path", {
                class: p.valid === false ? "mark hollow" : "mark",
                d: marks.shape(line.style, 3.2),
                transform: `translate(${f.atX(p.x)} ${f.atY(p.y)})`
            })
        ]);
    }

    function drawn(line, at, f) {
        const d = path(line, f);
        return dom.svg(
            "g",
            { class: `hue-${line.style.hue}` },
            d &&
                dom.svg("path", {
                    class: "line data",
                    d,
                    "stroke-dasharray": marks.dashes(line.style)
                }),
            marksOf(line, at, f)
        );
    }

    // Names at the ends of their lines, pushed apart.
    function labels(panel, f) {
        const ends = panel.lines
            .map((line) => ({
                line,
                last: [...line.points].reverse().find((p) => p.y !== null && p.valid !== false)
            }))
            .filter(({ last }) => last)
            .map(({ line, last }) => ({ line, x: f.atX(last.x), y: f.atY(last.y) }))
            .sort((a, b) => a.y - b.y);
        const close = (a, b) => Math.abs(a.x - b.x) < LABEL_LETTERS * LETTER;
        ends.forEach((end, i) => {
            end.y = Math.max(
                end.y,
                f.top + 4,
                ...ends
                    .slice(0, i)
                    .filter((e) => close(e, end))
                    .map((e) => e.y + LABEL_STEP)
            );
        });
        [...ends].reverse().forEach((end, i, from) => {
            end.y = Math.min(
                end.y,
                f.bottom - 2,
                ...from
                    .slice(0, i)
                    .filter((e) => close(e, end))
                    .map((e) => e.y - LABEL_STEP)
            );
        });
        return ends.map(({ line, x, y }) =>
            dom.svg(
                "text",
                {
                    class: `name hue-${line.style.hue}`,
                    x: Math.min(x + 8, f.right + 8),
                    y: px(y + 4)
                },
                cut(line.name)
            )
        );
    }

    function panelDrawing(spec, panel, width, holder) {
        const f = frame(spec, panel, width, spec.named && width >= LABELS_WIDTH);
        const over = dom.svg("g", {});
        const box = holder.readout;
        const image = dom.svg(
            "svg",
            {
                class: "plot",
                viewBox: `0 0 ${width} ${f.height}`,
                tabindex: "0",
                role: "img",
                "aria-label":
                    `${spec.title}${panel.title ? `, ${panel.title}` : ""}. ` +
                    `${units.list(panel.lines.map((l) => l.name))}. Arrow keys read values.`
            },
            xAxis(spec, f),
            yAxis(spec, f),
            dom.svg("path", { class: "axis", d: `M${f.left} ${f.bottom}H${f.right}` }),
            !f.plain &&
                dom.svg(
                    "text",
                    { class: "unit", x: f.right, y: f.height - 5, "text-anchor": "end" },
                    spec.x.label
                ),
            panel.lines.map((line) => drawn(line, spec.marksAt ?? [], f)),
            f.named && labels(panel, f),
            over
        );
        const hand = reader.cursor(spec, panel, f, over, box);
        const where = (event) => {
            const rect = image.getBoundingClientRect();
            hand.point(((event.clientX - rect.left) * width) / rect.width);
        };
        image.addEventListener("pointermove", where);
        image.addEventListener("pointerdown", where);
        image.addEventListener(
            "pointerleave",
            (event) => event.pointerType === "mouse" && hand.hide()
        );
        image.addEventListener("blur", hand.hide);
        image.addEventListener("keydown", (event) => hand.key(event.key) && event.preventDefault());
        hand.hide();
        holder.drawing.replaceChildren(image);
        return f.named;
    }

    function lines(spec) {
        const names = [
            ...new Map(spec.panels.flatMap((p) => p.lines).map((l) => [l.name, l])).values()
        ];
        const holders = spec.panels.map((panel) => {
            const drawing = dom.el("div", { class: "drawing" });
            const box = dom.el("div", { class: "readout", "aria-live": "polite", hidden: true });
            return {
                panel,
                drawing,
                readout: box,
                node: dom.el(
                    "div",
                    { class: "panel" },
                    panel.title ? dom.el("h4", {}, panel.title) : null,
                    dom.el("p", { class: "unit" }, panel.unit ?? spec.y.label),
                    dom.el("div", { class: "stage" }, drawing, box)
                )
            };
        });
        const shownLegend = marks.legend(names);
        const figure = dom.el(
            "figure",
            {
                class: `lines ${spec.stacked ? "stacked" : `of-${Math.max(spec.columns ?? 1, Math.min(4, holders.length))}`}`
            },
            dom.el(
                "figcaption",
                {},
                dom.el("h3", {}, spec.title),
                spec.note && dom.el("p", {}, spec.note)
            ),
            spec.control ?? null,
            shownLegend,
            dom.el(
                "div",
                { class: "panels" },
                holders.map((h) => h.node)
            )
        );
        watch(figure, holders, (holder, width) => {
            const named = panelDrawing(
                { ...spec, y: { ...spec.y, ...holder.panel.y }, named: names.length > 1 },
                holder.panel,
                width,
                holder
            );
            shownLegend.hidden = named || names.length < 2;
        });
        return figure;
    }

    // Draws each holder when its width is known, and whenever it changes.
    function watch(figure, holders, draw) {
        const widths = new Map();
        const observer = new ResizeObserver(() =>
            holders.forEach((holder) => {
                const width = Math.floor(holder.node.clientWidth);
                if (width > 0 && widths.get(holder) !== width) {
                    widths.set(holder, width);
                    try {
                        draw(holder, width);
                    } catch (error) {
                        figure.replaceChildren(
                            dom.el(
                                "p",
                                { class: "problem" },
                                `This plot can't be drawn: ${error.message}`
                            )
                        );
                    }
                }
            })
        );
        holders.forEach((holder) => observer.observe(holder.node));
    }

    return { lines, watch, px };
})();
