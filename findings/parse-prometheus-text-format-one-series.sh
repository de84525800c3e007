#!/usr/bin/env bash
# parse-prometheus-text-format 1.1.1 (npm) keeps one series of a labelled histogram, without its labels, sum and count.
#
# A metric is a family of series, one for each set of labels; the parser returns them all for counters and gauges. Of a
# histogram or summary it merges the series into one: each later route overwrites the buckets of the one before, and what is
# left carries no label that could tell whose they are. A dashboard shows the last route's latency as the site's.
# prom-client 15.1.3 of the same ecosystem writes the text here.
#
# Seen with Node.js 20:  counter: 2 series    histogram of /slow 3 and /fast 1: 1 series, no labels, +Inf 1, sum absent
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

npm install --silent --no-fund --no-audit --ignore-scripts --prefix . parse-prometheus-text-format@1.1.1 prom-client@15.1.3
cat >read.js <<'JS'
const assert = require("node:assert");
const parse = require("parse-prometheus-text-format");
const { Counter, Histogram, Registry } = require("prom-client");

(async () => {
    const registry = new Registry();
    const shared = { help: "Requests.", labelNames: ["route"], registers: [registry] };
    const counter = new Counter({ name: "requests_total", ...shared });
    const histogram = new Histogram({ name: "request_seconds", buckets: [0.1], ...shared });
    for (const [route, times] of [["/slow", 3], ["/fast", 1]]) {
        for (let i = 0; i < times; i++) {
            counter.inc({ route });
            histogram.observe({ route }, route === "/slow" ? 5 : 0.01);
        }
    }
    const text = await registry.metrics();
    assert(text.includes('request_seconds_bucket{le="+Inf",route="/slow"} 3'));
    const families = Object.fromEntries(parse(text).map((family) => [family.name, family.metrics]));
    const [counters, histograms] = [families.requests_total, families.request_seconds];
    const only = histograms[0];
    console.log(
        `counter: ${counters.length} series    histogram of /slow 3 and /fast 1: ${histograms.length} series, ` +
            `${only.labels ? "labels" : "no labels"}, +Inf ${only.buckets["+Inf"]}, sum ${only.sum ?? "absent"}`,
    );
    assert.equal(counters.length, 2);
    assert.deepEqual(histograms, [{ buckets: { 0.1: "1", "+Inf": "1" } }]);
})();
JS
node read.js
