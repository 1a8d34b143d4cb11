// dom: elements. Text of artefacts is a stranger's: it gets into the page as text nodes and
// attribute values only, never as markup.
const dom = (() => {
    const SVG = "http://www.w3.org/2000/svg";

    function fill(node, attributes, children) {
        for (const [name, value] of Object.entries(attributes ?? {})) {
            if (value !== null && value !== undefined && value !== false) {
                node.setAttribute(name, value === true ? "" : String(value));
            }
        }
        for (const child of children.flat(Infinity)) {
            if (child !== null && child !== undefined && child !== false) {
                node.append(child instanceof Node ? child : String(child));
            }
        }
        return node;
    }

    const el = (tag, attributes, ...children) =>
        fill(document.createElement(tag), attributes, children);
    const svg = (tag, attributes, ...children) =>
        fill(document.createElementNS(SVG, tag), attributes, children);

    // rows: arrays of cells; a cell is a child of td, or {cell, ...attributes of the td}.
    function table(caption, columns, rows) {
        const cell = (tag, content) => {
            const whole =
                content !== null && typeof content === "object" && "cell" in content
                    ? content
                    : { cell: content };
            const { cell: inner, ...attributes } = whole;
            return el(tag, attributes, inner);
        };
        const head = columns.map((c) =>
            cell(
                "th",
                typeof c === "object" && "cell" in c
                    ? { scope: "col", ...c }
                    : { cell: c, scope: "col" }
            )
        );
        const body = rows.map((row) =>
            el(
                "tr",
                {},
                row.map((c, i) =>
                    cell(
                        i === 0 ? "th" : "td",
                        i === 0
                            ? {
                                  scope: "row",
                                  ...(c !== null && typeof c === "object" && "cell" in c
                                      ? c
                                      : { cell: c })
                              }
                            : c
                    )
                )
            )
        );
        return el(
            "div",
            { class: "table" },
            el("p", { class: "caption" }, caption),
            el(
                "div",
                { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
                el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, body))
            )
        );
    }

    return { el, svg, table };
})();
