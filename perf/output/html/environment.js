// environment: what was measured on, and what the doctor said of it.
const environment = (() => {
    const NAMES = {
        host: "Host",
        cpu: "CPU",
        clock: "Clock",
        memory: "Memory",
        net: "Network",
        build: "Build",
        library: "Library",
        date: "Date"
    };
    const WORDS = ["FAIL", "UNKNOWN", "WARN", "PASS"];

    const words = (key) => key.replace(/_/g, " ");

    function facts(group) {
        return dom.el(
            "dl",
            {},
            Object.entries(group).map(([name, text]) => [
                dom.el("dt", {}, words(name)),
                dom.el("dd", {}, text || "unknown")
            ])
        );
    }

    // "WARN (0 FAIL, 2 WARN, 1 UNKNOWN)": the first word is the verdict.
    const word = (text) => WORDS.find((w) => text.toUpperCase().startsWith(w)) ?? "UNKNOWN";

    function doctor(env) {
        const group = env.doctor;
        if (!group || Object.keys(group).length === 0) {
            return dom.el(
                "p",
                { class: "doctor" },
                dom.el("strong", { class: "chip" }, "UNKNOWN"),
                " No verdict on this host: the doctor wasn't asked."
            );
        }
        const { verdict, ...rest } = group;
        const said = verdict ?? Object.values(rest)[0];
        return dom.el(
            "div",
            { class: "doctor" },
            dom.el(
                "p",
                {},
                dom.el("strong", { class: `chip is-${word(said).toLowerCase()}` }, word(said)),
                dom.el("span", {}, `mcq-doctor's verdict on this host: ${said}`)
            ),
            facts(rest)
        );
    }

    // Artefacts of one host and build share an entry.
    function section(artefacts) {
        const sets = new Map();
        for (const a of artefacts) {
            // What differs from call to call says nothing of the host.
            const key = JSON.stringify({
                ...a.environment,
                date: "",
                doctor: "",
                host: { ...a.environment.host, load: "" }
            });
            sets.set(key, [...(sets.get(key) ?? []), a]);
        }
        const several = sets.size > 1;
        return dom.el(
            "section",
            { id: "environment" },
            dom.el("h2", {}, "Environment"),
            [...sets.values()].map((own) => {
                const env = own[0].environment;
                const groups = Object.entries(env).filter(([name]) => name !== "doctor");
                return dom.el(
                    "div",
                    {},
                    several && dom.el("h3", {}, units.list(own.map((a) => a.command))),
                    doctor(env),
                    groups.length === 0
                        ? dom.el(
                              "p",
                              { class: "problem" },
                              "The artefact doesn't say what it was measured on."
                          )
                        : dom.el(
                              "details",
                              {},
                              dom.el("summary", {}, "Host, clock, memory, build and options"),
                              dom.el(
                                  "div",
                                  { class: "groups" },
                                  groups.map(([name, group]) =>
                                      dom.el(
                                          "div",
                                          {},
                                          dom.el(
                                              "h4",
                                              {},
                                              Object.hasOwn(NAMES, name) ? NAMES[name] : words(name)
                                          ),
                                          facts(group)
                                      )
                                  )
                              )
                          )
                );
            })
        );
    }

    return { section };
})();
