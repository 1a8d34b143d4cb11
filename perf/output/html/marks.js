// marks: what a peer looks like in every plot: its colour is a class, its shape and dashes are
// here, so that lines differ without colour, too.
const marks = (() => {
    const DASHES = [null, "6 4", "2 3", "9 3 2 3"];
    const SHAPES = [
        (r) => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
        (r) => `M${-r} ${-r}h${2 * r}v${2 * r}h${-2 * r}z`,
        (r) =>
            `M0 ${-1.3 * r}l${1.3 * r} ${1.3 * r}l${-1.3 * r} ${1.3 * r}l${-1.3 * r} ${-1.3 * r}z`,
        (r) => `M0 ${-1.2 * r}l${1.2 * r} ${2.1 * r}h${-2.4 * r}z`,
        (r) => `M0 ${1.2 * r}l${1.2 * r} ${-2.1 * r}h${-2.4 * r}z`,
        (r) => `M${-0.5 * r} ${-1.4 * r}h${r}v${2.8 * r}h${-r}z`,
        (r) => `M${-1.4 * r} ${-0.5 * r}h${2.8 * r}v${r}h${-2.8 * r}z`,
        (r) =>
            `M${-0.6 * r} ${-1.2 * r}h${1.2 * r}l${0.6 * r} ${1.2 * r}l${-0.6 * r} ${1.2 * r}h${-1.2 * r}l${-0.6 * r} ${-1.2 * r}z`
    ];

    const shape = (style, r) => SHAPES[style.hue % SHAPES.length](r);
    const dashes = (style) => DASHES[style.dash];

    function swatch(style) {
        return dom.svg(
            "svg",
            {
                class: `swatch hue-${style.hue}`,
                width: 26,
                height: 12,
                viewBox: "0 0 26 12",
                "aria-hidden": "true"
            },
            dom.svg("path", {
                class: "line",
                d: "M1 6H25",
                "stroke-dasharray": dashes(style)
            }),
            dom.svg("path", { class: "mark", d: shape(style, 3), transform: "translate(13 6)" })
        );
    }

    const legend = (names) =>
        dom.el(
            "ul",
            { class: "legend" },
            names.map(({ name, style }) =>
                dom.el("li", {}, swatch(style), dom.el("span", {}, name))
            )
        );

    return { shape, dashes, swatch, legend };
})();
