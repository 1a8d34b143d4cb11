// kinds: what the keys of an artefact mean: a name, a unit, and which way is better.
const kinds = (() => {
    const METRICS = {
        msgs_per_s: ["Rate", "/s", "high"],
        mb_per_s: ["Data rate", "MB/s", "high"],
        asked_per_s: ["Rate asked", "/s", null],
        achieved_share: ["Achieved of asked", "ratio", "high"],
        msgs: ["Messages", "", null],
        late: ["Without room when due", "", null],
        lost: ["Lost", "", "low"],
        doubled: ["Doubled or reordered", "", "low"],
        damaged: ["Damaged", "", "low"],
        dropped: ["Dropped by policy", "", null],
        server_cpu_s: ["Server CPU", "s", "low"],
        client_cpu_s: ["Client CPU", "s", "low"],
        server_cpu_ns_per_msg: ["Server CPU per message", "ns", "low"],
        client_cpu_ns_per_msg: ["Client CPU per message", "ns", "low"],
        server_syscalls_per_msg: ["Server system calls per message", "", "low"],
        client_syscalls_per_msg: ["Client system calls per message", "", "low"],
        server_switches_forced: ["Server forced switches", "", "low"],
        client_switches_forced: ["Client forced switches", "", "low"],
        connections_per_s: ["Connections", "/s", "high"],
        connection_bytes: ["Memory per connection, process", "bytes", "low"],
        connection_pss_bytes: ["Memory per connection, process, shared pages in part", "bytes", "low"],
        connection_kernel_bytes: ["Memory per connection, kernel", "bytes", "low"],
        connection_buffers: ["Library buffers per connection", "", "low"],
        connection_share_bytes: ["Server memory by all connections", "bytes", "low"],
        server_rss_bytes: ["Server memory", "bytes", "low"],
        fairness: ["Fairness, least of most", "ratio", "high"],
        rss_bytes_per_min: ["Resident memory", "bytes/min", "low"],
        fds_per_min: ["Descriptors", "/min", "low"],
        buffers_per_min: ["Buffers", "/min", "low"],
        client_rss_bytes_per_min: ["Client's resident memory", "bytes/min", "low"],
        client_fds_per_min: ["Client's descriptors", "/min", "low"],
        floor_us: ["Floor of this machine", "us", null],
        lost_time_percent: ["Time lost in gaps", "%", "low"],
        gaps_per_s: ["Gaps", "/s", "low"]
    };
    const HISTOGRAMS = {
        rtt: ["Round trip", "closed loop, from one reply to the next"],
        response: ["Response", "planned send to arrival"],
        service: ["Service", "actual send to arrival"],
        lag: ["Generator lag", "planned send until the generator came to it"],
        one_way: ["One way", "send to arrival in another process"],
        last: ["Last subscriber", "send to arrival at the last subscriber"],
        skew: ["Skew", "first subscriber to last"],
        connect: ["Connect", "connect to the end of the handshake"],
        gap: ["Gaps", "in a thread that only reads the clock"],
        others: ["The others", "peers beside the stalled one"]
    };
    const SERIES = {
        msgs_per_s: ["Rate", "/s"],
        p50_us: ["p50", "us"],
        p99_us: ["p99", "us"],
        max_us: ["Maximum", "us"],
        rss_bytes: ["Resident memory", "bytes"],
        fds: ["Open descriptors", ""],
        buffers: ["Buffers in use", ""]
    };
    const WORKLOADS = {
        rtt: "Round trips one at a time: a closed loop, which hides what a stall costs those who wait.",
        throughput: "As many messages per second as go through.",
        load: "Open loop at a given rate; latency counts from the planned send, so a stall is charged to everything it delays.",
        sweep: "Latency under load: open loop at shares of the greatest rate that was measured.",
        idle: "The first message after a pause.",
        fanout: "One publisher, many subscribers.",
        fanin: "Many senders, one receiver.",
        slow: "One peer stalls; what the others notice.",
        connect: "A logon storm: how fast connections come up, and how long one handshake takes.",
        scale: "Many idle connections beside the active ones: memory of each, and the tail of those in use.",
        soak: "A constant rate for a long time: what should be flat is flat, or not.",
        jitter: "What the host itself takes from a thread that does nothing else.",
        hop: "From thread to thread inside one process.",
        ab: "Two commands, their runs interleaved."
    };
    const SUFFIXES = [
        ["_per_s", "/s"],
        ["_us", "us"],
        ["_ns", "ns"],
        ["_ns_per_msg", "ns"],
        ["_ms", "ms"],
        ["_s", "s"],
        ["_bytes", "bytes"],
        ["_percent", "%"],
        ["_mb", "MB"]
    ];

    // What is worth a plot; the others are read in tables.
    const drawn = [
        "msgs_per_s",
        "connections_per_s",
        "connection_bytes",
        "connection_kernel_bytes",
        "fairness",
        "server_cpu_ns_per_msg",
        "client_cpu_ns_per_msg",
        "server_syscalls_per_msg",
        "client_syscalls_per_msg",
        "lost_time_percent"
    ];

    const own = (map, key) => (Object.hasOwn(map, key) ? map[key] : null);
    const words = (key) => {
        const spaced = key.replace(/_/g, " ").trim();
        return spaced.charAt(0).toUpperCase() + spaced.slice(1);
    };

    function guessed(key) {
        const [end, unit] = SUFFIXES.find(([suffix]) => key.endsWith(suffix)) ?? ["", ""];
        return {
            key,
            name: words(key.slice(0, key.length - end.length)),
            unit,
            better: unit === "/s" ? "high" : "low"
        };
    }

    function metric(key) {
        const known = own(METRICS, key);
        return known ? { key, name: known[0], unit: known[1], better: known[2] } : guessed(key);
    }

    function series(key) {
        const known = own(SERIES, key);
        return known ? { key, name: known[0], unit: known[1] } : guessed(key);
    }

    function histogram(key) {
        const [name, means] = own(HISTOGRAMS, key) ?? [words(key), ""];
        return { key, name, means };
    }

    const POINTS = ["p50", "p90", "p99", "p999", "p9999", "p99999", "max"];
    // "p999" is read as p99.9; anything else stays.
    function point(key) {
        const digits = /^p(\d\d)(\d+)$/.exec(key);
        return digits ? `p${digits[1]}.${digits[2]}` : key;
    }

    // "response p99_us": a histogram and a percentile, or the key of a metric.
    function figure(text) {
        const [first, second] = text.split(" ");
        const at = (second ?? "").replace(/_us$/, "");
        if (second !== undefined && (POINTS.includes(at) || /^p\d+$/.test(at))) {
            return {
                name: `${histogram(first).name} ${point(at)}`,
                unit: "us",
                better: "low",
                histogram: first,
                point: at
            };
        }
        return { ...metric(text), histogram: null, point: null };
    }

    const param = (key) => {
        const { name, unit } = guessed(key);
        const UNITS = { size: "bytes", rate: "/s", share: "%", seconds: "s", warmup: "s" };
        const NAMES = { conns: "Connections", idle_conns: "Idle connections", subs: "Subscribers" };
        return { key, name: own(NAMES, key) ?? name, unit: own(UNITS, key) ?? unit };
    };

    return {
        metric,
        drawn,
        series,
        histogram,
        figure,
        point,
        param,
        POINTS,
        metricOrder: Object.keys(METRICS),
        histogramOrder: Object.keys(HISTOGRAMS),
        seriesOrder: Object.keys(SERIES),
        workload: (name) => own(WORKLOADS, name) ?? ""
    };
})();
