// Reads .hlog files with the public hdr-histogram-js, and prints per file what is in each line.
// usage: node hdr_reader.js FOLDER-OF-NODE-MODULES FILE.hlog...
const { readFileSync } = require("fs");
const hdr = require(require("path").join(process.argv[2], "hdr-histogram-js"));

const ppms = [0, 100000, 500000, 900000, 990000, 999000, 999900, 1000000];

const files = process.argv.slice(3).map((path) => {
    const reader = new hdr.HistogramLogReader(readFileSync(path, "utf8"), 64, false);
    const lines = [];
    for (let h = reader.nextIntervalHistogram(); h; h = reader.nextIntervalHistogram()) {
        lines.push({
            tag: h.tag,
            count: h.totalCount,
            start: h.startTimeStampMsec,
            end: h.endTimeStampMsec,
            mean: h.mean,
            deviation: h.stdDeviation,
            values: Object.fromEntries(ppms.map((ppm) => [ppm, h.getValueAtPercentile(ppm / 1e4)])),
            text: h.outputPercentileDistribution(5, 1000),
        });
    }
    return lines;
});
console.log(JSON.stringify(files));
