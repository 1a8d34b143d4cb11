# The script's parts, each after those it uses.
set(MCQ_REPORT_SCRIPTS
    dom.js units.js kinds.js data.js arms.js choice.js scale.js marks.js reader.js plot.js curve.js against.js series.js bars.js
    compare.js summary.js environment.js verdict.js page.js)
