// choice: one of several drawings at a time, chosen by the reader.
const choice = (() => {
    // options: [{name, draw}]; draw gives a node. first: the index of what is shown at first.
    function among(words, options, first) {
        const holder = dom.el("div", {}, options[first].draw());
        if (options.length === 1) {
            return holder;
        }
        const select = dom.el(
            "select",
            {},
            options.map(({ name }, i) =>
                dom.el("option", { value: i, selected: i === first }, name)
            )
        );
        select.addEventListener("change", () =>
            holder.replaceChildren(options[Number(select.value)].draw())
        );
        return dom.el(
            "div",
            {},
            dom.el("label", { class: "control" }, `${words} `, select),
            holder
        );
    }

    // By the place on the axis of a group; make(members, "70 %") gives a node or null. The last place
    // that most members have is shown at first.
    function places(group, words, members, make) {
        if (group.axis === null) {
            return make(members, "");
        }
        const of = (x) => members.filter((m) => m.x === x);
        const xs = [...new Set(members.map((m) => m.x))]
            .filter((x) => x !== null)
            .sort((a, b) => a - b);
        if (xs.length === 0) {
            return null;
        }
        const most = Math.max(...xs.map((x) => of(x).length));
        const name = (x) => arms.place(group.axis, { x });
        return among(
            words,
            xs.map((x) => ({ name: name(x), draw: () => make(of(x), name(x)) })),
            xs.findLastIndex((x) => of(x).length === most)
        );
    }

    return { among, places };
})();
