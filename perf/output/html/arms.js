// arms: the results of one workload as a reader tells them apart. What all have in common is
// said once; a numeric parameter that differs within a peer is what figures are drawn against.
const arms = (() => {
    // A peer has its colour on every page; strangers take what is left.
    const HUES = new Map(
        ["mcq", "libzmq", "nng", "raw", "spin", "epoll", "uring"].map((p, i) => [p, i])
    );
    const HUE_CNT = 8;
    const AXES = [
        "share",
        "share_percent",
        "rate",
        "gap_us",
        "gap_ns",
        "gap",
        "idle_conns",
        "conns",
        "subs",
        "senders",
        "size"
    ];

    const peerOf = (result) =>
        (typeof result.params.peer === "string" && result.params.peer) ||
        result.arm.split(/[ ,(:]/)[0] ||
        result.arm;

    function varying(results) {
        const keys = [...new Set(results.flatMap((r) => Object.keys(r.params)))];
        return keys.filter((key) => new Set(results.map((r) => r.params[key])).size > 1);
    }

    function axisOf(results, keys) {
        const peers = new Map();
        for (const r of results) {
            peers.set(peerOf(r), [...(peers.get(peerOf(r)) ?? []), r]);
        }
        const distinct = (key) =>
            Math.max(
                ...[...peers.values()].map(
                    (own) =>
                        new Set(own.map((r) => r.params[key]).filter((v) => typeof v === "number"))
                            .size
                )
            );
        const fit = keys.filter((key) => distinct(key) > 1);
        return AXES.find((key) => fit.includes(key)) ?? fit[0] ?? null;
    }

    // Numbers that follow the axis (the rate of a share) tell nothing of their own.
    function tellsApart(results, key, axis) {
        return (
            key !== axis &&
            key !== "peer" &&
            key !== "count" &&
            (axis === null || results.every((r) => typeof r.params[key] !== "number"))
        );
    }

    function group(results) {
        const keys = varying(results);
        const axis = axisOf(results, keys);
        const told = keys.filter((key) => tellsApart(results, key, axis));
        const common = Object.entries(results[0]?.params ?? {}).filter(
            ([key]) => !keys.includes(key)
        );
        const names = new Map();
        const members = results.map((result) => {
            const peer = peerOf(result);
            const base = axis === null ? result.arm : peer;
            const more = told
                .map((key) => result.params[key])
                .filter(
                    (v) => v !== undefined && v !== null && v !== "" && !base.includes(String(v))
                )
                .map(String);
            const name = [base, ...more].join(", ");
            names.set(name, peer);
            return { result, peer, name, x: axis === null ? null : (result.params[axis] ?? null) };
        });
        const styles = styled(names);
        return {
            members: members.map((m) => ({ ...m, style: styles.get(m.name) })),
            axis,
            common,
            names: [...names.keys()].map((name) => ({ name, style: styles.get(name) }))
        };
    }

    function styled(names) {
        const styles = new Map(),
            seen = new Map();
        const taken = new Set(
            [...names.values()].map((p) => HUES.get(p)).filter((h) => h !== undefined)
        );
        let free = 0;
        const hues = new Map();
        for (const [name, peer] of names) {
            if (!hues.has(peer)) {
                let hue = HUES.get(peer) ?? null;
                if (hue === null) {
                    while (taken.has(free) && taken.size < HUE_CNT) {
                        free++;
                    }
                    hue = free % HUE_CNT;
                    taken.add(hue);
                }
                hues.set(peer, hue);
            }
            const nth = seen.get(peer) ?? 0;
            seen.set(peer, nth + 1);
            styles.set(name, { hue: hues.get(peer), dash: nth % 4 });
        }
        return styles;
    }

    // What a member is at: "70 %", "1,000 subscribers".
    function place(axis, { x }) {
        if (axis === null || x === null) {
            return "";
        }
        const { unit, name } = kinds.param(axis);
        return typeof x !== "number"
            ? `${name.toLowerCase()} ${x}`
            : unit === ""
              ? units.counted(x, name.toLowerCase(), name.toLowerCase())
              : units.text(x, unit);
    }

    // The workloads of an artefact, each with its arms told apart, and its comparisons naming them.
    function workloads(artefact) {
        return [...new Set(artefact.results.map((r) => r.workload))].map((name) => {
            const own = group(artefact.results.filter((r) => r.workload === name));
            const member = (result) => own.members.find((m) => m.result === result);
            const full = (m) => [m.name, place(own.axis, m)].filter(Boolean).join(", ");
            const comparisons = artefact.comparisons
                .filter((c) => c.workload === name && member(c.a) && member(c.b))
                .map((c) => ({
                    ...c,
                    nameA: member(c.a).name,
                    nameB: member(c.b).name,
                    place: place(own.axis, member(c.a)),
                    x: member(c.a).x
                }));
            return { name, artefact, group: own, comparisons, full };
        });
    }

    return { workloads, place, peerOf };
})();
