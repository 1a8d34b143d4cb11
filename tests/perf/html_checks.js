// What html.py looks at inside the page. Each returns a list of sentences: what is wrong.
(() => {
    const all = (selector, root = document) => [...root.querySelectorAll(selector)];
    const shown = (node) => node.checkVisibility({ visibilityProperty: true });
    const says = (node) =>
        `<${node.tagName.toLowerCase()} class="${node.getAttribute("class") ?? ""}"> ` +
        `"${node.textContent.trim().slice(0, 60)}"`;

    function overflow() {
        const wide = document.documentElement.clientWidth,
            found = [];
        if (document.documentElement.scrollWidth > wide) {
            found.push(`the page is ${document.documentElement.scrollWidth} px wide in ${wide}`);
        }
        for (const node of all("main *")) {
            const rect = node.getBoundingClientRect();
            if (
                shown(node) &&
                rect.width > 0 &&
                !node.closest(".scroll > *, .visually-hidden") &&
                (rect.right > wide + 0.5 || rect.left < -0.5)
            ) {
                found.push(
                    `${says(node)} lies at ${rect.left.toFixed(0)} to ${rect.right.toFixed(0)} of ${wide}`
                );
            }
        }
        return found;
    }

    function plots() {
        const found = [];
        for (const figure of all("figure")) {
            const images = all("svg.plot", figure);
            if (images.length === 0) {
                found.push(`a figure without a plot: ${says(figure)}`);
            }
            for (const image of images) {
                const drawn = all(".data, .mark", image);
                if (drawn.length === 0 || all("text", image).length === 0) {
                    found.push(`nothing drawn in ${image.getAttribute("aria-label").slice(0, 80)}`);
                }
            }
        }
        for (const node of all("main svg *")) {
            for (const { name, value } of node.attributes) {
                if (/NaN|undefined|Infinity|null/.test(value)) {
                    found.push(`${name}="${value.slice(0, 60)}" of ${node.tagName}`);
                }
            }
        }
        return found;
    }

    // Words that only a mistake of the script puts there.
    const words = () =>
        all("main *")
            .filter(
                (node) =>
                    node.children.length === 0 &&
                    /\bNaN\b|\bundefined\b|\bInfinity\b|\bnull\b|\[object|can't be (shown|drawn)/.test(
                        node.textContent
                    )
            )
            .map(says);

    function colour(text) {
        const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
        return { r, g, b, a };
    }
    function light({ r, g, b }) {
        const of = (c) =>
            c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4;
        return 0.2126 * of(r) + 0.7152 * of(g) + 0.0722 * of(b);
    }
    function behind(node) {
        for (let at = node; at; at = at.parentElement) {
            const own = colour(getComputedStyle(at).backgroundColor);
            if (own.a > 0) {
                return own;
            }
        }
        return { r: 255, g: 255, b: 255 };
    }
    function contrast() {
        const found = new Set();
        for (const node of all("main *")) {
            const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim() !== "");
            if (!own || !shown(node) || node.tagName === "title") {
                continue;
            }
            const style = getComputedStyle(node);
            const ink = light(colour(node instanceof SVGElement ? style.fill : style.color));
            const page = light(behind(node));
            const ratio = (Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05);
            if (ratio < 4.5) {
                found.add(`${ratio.toFixed(2)} at ${says(node)}`);
            }
        }
        return [...found];
    }

    // What a value of "1.5 ms" is in µs.
    function micros(text) {
        const [, figure, unit] = /^([\d.,]+)\s*(ns|µs|ms|s)$/.exec(text);
        return Number(figure.replace(/,/g, "")) * { ns: 1e-3, µs: 1, ms: 1e3, s: 1e6 }[unit];
    }
    // The marks of a line of a plot with a logarithmic axis of time, as values read off that axis.
    function marks(image, hue) {
        const ticks = all("text[text-anchor=end]", image)
            .filter((t) => /[µmn]?s$/.test(t.textContent) && t.getAttribute("class") === null)
            .map((t) => ({
                y: Number(t.getAttribute("y")) - 4,
                log: Math.log(micros(t.textContent))
            }));
        const [first, last] = [ticks[0], ticks[ticks.length - 1]];
        return all(`g.hue-${hue} .mark`, image).map((m) => {
            const y = Number(/ ([\d.]+)\)/.exec(m.getAttribute("transform"))[1]);
            return Math.exp(
                first.log + ((last.log - first.log) * (y - first.y)) / (last.y - first.y)
            );
        });
    }
    const curve = (hue) =>
        marks(
            all("figure.lines svg.plot").find((s) =>
                s.getAttribute("aria-label").startsWith("Latency by percentile")
            ),
            hue
        );

    const cells = (caption) => {
        const box = all(".table").find((t) =>
            t.querySelector(".caption").textContent.startsWith(caption)
        );
        return box
            ? all("tr", box).map((tr) =>
                  all("th, td", tr).map((c) =>
                      (c.querySelector("small") ? c.firstChild.textContent : c.textContent).trim()
                  )
              )
            : [];
    };

    // Elements that a stranger's text could have made.
    const strange = () =>
        all(
            "img, iframe, object, embed, link, base, form, video, audio, main script, main style, " +
                "main [onerror], main [onload], main [onclick], a:not([href^='#'])"
        ).map(says);

    return { overflow, plots, words, contrast, curve, cells, strange };
})();
