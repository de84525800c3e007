#!/usr/bin/env bash
# StatsD 0.9.0 adds a histogram's values up as a counter.
#
# hot-shots, datadog and others send latencies as `|h` (histogram) or `|d` (distribution), types of DogStatsD. StatsD counts a
# line that it cannot read as bad, so a missing type should show there. It takes any unknown type for `c` instead: three
# requests of 320 ms are a counter of 960, nothing is bad, and a graph of it follows the traffic, which looks plausible.
#
# Seen with Node.js 20, hot-shots 17.1.1:  counter latency 960, timer latency absent, bad lines 0    1|x|y|z -> bad lines 1
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

npm install --silent --no-fund --no-audit --ignore-scripts --prefix . statsd@0.9.0 hot-shots@17.1.1
cat >look.js <<'JS'
const assert = require("node:assert");
const dgram = require("node:dgram");
const fs = require("node:fs");
const net = require("node:net");
const { spawn } = require("node:child_process");
const { StatsD } = require("hot-shots");

const freePort = () =>
    new Promise((give) => {
        const server = net.createServer().listen(0, "127.0.0.1", () => {
            const { port } = server.address();
            server.close(() => give(port));
        });
    });
const pause = () => new Promise((done) => setTimeout(done, 50));
// The text of one command of the management port; waits until it listens.
async function told(port, command) {
    for (let tries = 0; tries < 400; tries++) {
        const answer = await new Promise((give) => {
            let text = "";
            const socket = net.connect(port, "127.0.0.1", () => socket.write(`${command}\n`));
            socket.on("data", (piece) => (text += piece).includes("END") && socket.end());
            socket.on("close", () => give(text));
            socket.on("error", () => {});
        });
        if (answer) return answer;
        await pause();
    }
    throw new Error("StatsD did not begin to listen");
}

(async () => {
    const [port, management] = [await freePort(), await freePort()];
    const settings = { port, address: "127.0.0.1", mgmt_port: management, mgmt_address: "127.0.0.1", flushInterval: 600000, backends: [] };
    fs.writeFileSync("settings.js", JSON.stringify(settings));
    const daemon = spawn("node", ["node_modules/statsd/stats.js", "settings.js"], { stdio: ["ignore", "ignore", "inherit"] });
    try {
        await told(management, "counters");
        const client = new StatsD({ host: "127.0.0.1", port });
        for (let i = 0; i < 3; i++) client.histogram("latency", 320);
        client.increment("sent");
        const seen = async (name) => {
            const text = await told(management, "counters");
            return text.match(new RegExp(`'?${name}'?: (\\d+)`))?.[1] ?? "absent";
        };
        while ((await seen("sent")) === "absent") await pause();
        const timer = (await told(management, "timers")).includes("latency") ? "present" : "absent";
        const first = [await seen("latency"), timer, await seen("statsd.bad_lines_seen")];
        const raw = dgram.createSocket("udp4");
        raw.send("broken:1|x|y|z", port, "127.0.0.1");
        while ((await seen("statsd.bad_lines_seen")) === "0") await pause();
        console.log(`counter latency ${first[0]}, timer latency ${first[1]}, bad lines ${first[2]}    1|x|y|z -> bad lines ${await seen("statsd.bad_lines_seen")}`);
        assert.deepEqual(first, ["960", "absent", "0"]);
        raw.close();
        client.close();
    } finally {
        daemon.kill();
    }
})();
JS
timeout 50 node look.js
