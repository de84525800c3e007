"""The soak: many requests over processes, threads and sub-interpreters, and many starts and stops of workers. Both look
for what grows, what crashes and what does not end. `scripts/soak` runs the long form, `test_soak.py` the short one.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import client
from running import Gilkeeper, memory

HERE = Path(__file__).resolve().parent
# By GIL mode; `embedded` is the shared GIL in embedded mode.
MODES = {
    "shared": "",
    "own": "WSGIPerInterpreterGIL On\n",
    "free-threading": "WSGIFreeThreading On\n",
    "embedded": "GilkeeperEmbedded On\n",
}
GROUPS = ("a", "b", "c", "d")
PROCESSES, THREADS = 2, 8
# How far resident memory may be from its middle value, as a part of it. A few thousand requests do not bring every thread
# into every interpreter, and each of those pairs has its own arenas and stacks: so the short form has more room.
FLAT, FLAT_IN_SHORT = 0.05, 0.15
# How many of the things that requests make may be there at one look and not at the other. Free lists of CPython fill up
# slowly, to a few thousand blocks; and of the latest connections a template of environ is kept, 64 for each script.
SLACK, SLACKS = 64, {"blocks": 8000, "our kept references": 64 * len(GROUPS) + 64}
MIXED = """
local paths = {"/", "/echo", "/blocks", "/write", "/cycle", "/pause"}
local groups = {"a", "b", "c", "d"}
local count = 0
request = function()
    count = count + 1
    local path = "/" .. groups[count % 4 + 1] .. paths[math.floor(count / 4) % 6 + 1]
    if path:sub(3) == "/echo" then
        return wrk.format("POST", path, nil, string.rep("x", count % 2000))
    end
    return wrk.format("GET", path)
end
"""
WRONG = r"Fatal Python error|panicked|not the last thread|Segmentation|GK000[23]|Exception ignored|signal \d+"


def configuration(mode: str, processes: int = PROCESSES, threads: int = THREADS, groups: tuple[str, ...] = GROUPS) -> str:
    aliases = "".join(
        f"WSGIScriptAlias /{group} ${{APP}}/soaked.py process-group=soak application-group={group}\n" for group in groups
    )
    return f"{MODES[mode]}WSGIDaemonProcess soak processes={processes} threads={threads} shutdown-timeout=20\n{aliases}"


def server_for(mode: str, **given: Any) -> Gilkeeper:
    server = Gilkeeper([HERE / "soaked.py"], configuration(mode, **given), name=f"soak-{mode}")
    server.start()
    return server


@dataclass
class Figures:
    """Figures of one soak."""

    mode: str
    requests: int = 0
    seconds: float = 0.0
    memory: dict[int, list[int]] = field(default_factory=dict)
    before: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict)
    after: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def spread(self) -> float:
        """The largest distance of a worker's resident memory from its middle value, as a part of it."""
        spreads = [max(abs(one - (max(seen) + min(seen)) / 2) for one in seen) / ((max(seen) + min(seen)) / 2) for seen in self.memory.values() if seen]
        return max(spreads, default=0.0)

    def line(self) -> str:
        resident = ", ".join(f"{min(seen) / 1e6:.1f}-{max(seen) / 1e6:.1f} MB" for seen in self.memory.values() if seen)
        return f"{self.mode:<15}{self.requests:>8} requests in {self.seconds:.0f} s; resident {resident} (±{self.spread():.1%}); " + (
            "; ".join(self.problems) or "no problem"
        )


def balances(server: Gilkeeper) -> dict[tuple[int, str], dict[str, Any]]:
    """Objects that each interpreter of each process holds, at rest. The first round only collects garbage: CPython counts
    blocks for all interpreters of the process together."""
    look(server)
    return look(server)


def look(server: Gilkeeper) -> dict[tuple[int, str], dict[str, Any]]:
    found: dict[tuple[int, str], dict[str, Any]] = {}
    deadline = time.monotonic() + 60
    while len(found) < PROCESSES * len(GROUPS) and time.monotonic() < deadline:
        for group in GROUPS:
            # Several at once, so that no process takes all of them.
            with server.connect(30) as one, server.connect(30) as two:
                for connection in (one, two):
                    connection.send(client.message("GET", f"/{group}/balance"))
                for connection in (one, two):
                    answer = connection.response().json
                    found[answer["pid"], answer["group"]] = answer
    return found


def load(server: Gilkeeper, seconds: int, script: Path) -> int:
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", "--timeout", "20s", "-s", str(script), f"http://127.0.0.1:{server.port}/"]
    text = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=True).stdout
    requests = re.search(r"(\d+) requests in", text)
    assert requests, text
    assert "Non-2xx" not in text and "Socket errors" not in text, text
    return int(requests[1])


def soak(mode: str, requests: int, events: bool = False, flat: float = FLAT) -> Figures:
    """`requests` requests in one mode, at least, after half as many for the warm-up."""
    figures, warm = Figures(mode), 0
    server = Gilkeeper([HERE / "soaked.py"], configuration(mode), name=f"soak-{mode}")
    if events:
        server.extra_environment["SOAK_EVENTS"] = "1"
    server.start()
    script, everything = server.root / "mixed.lua", server.root / "everything.lua"
    # Without a GIL, CPython's collector lets garbage cycles pile up to a part of the process's memory before it looks at
    # them: resident memory is then a matter of when it looked. They come in one load of their own.
    script.write_text(MIXED.replace("/cycle", "/") if mode == "free-threading" else MIXED)
    everything.write_text(MIXED)
    # wrk counts in whole seconds.
    seconds = 2 if requests > 50_000 else 1
    try:
        server.wait_workers(PROCESSES)
        while warm < requests // 2:
            warm += load(server, seconds, script)
        figures.before = balances(server)
        begun = time.monotonic()
        while figures.requests < requests:
            figures.requests += load(server, seconds, script)
            for pid in server.workers():
                figures.memory.setdefault(pid, []).append(memory(pid))
        load(server, seconds, everything)
        figures.after = balances(server)
        figures.seconds = time.monotonic() - begun
        figures.problems += differences(mode, figures)
        if set(figures.memory) != set(server.workers()):
            figures.problems.append(f"workers were replaced: {sorted(figures.memory)} and now {server.workers()}")
        if figures.spread() > flat:
            figures.problems.append(f"memory is not flat: ±{figures.spread():.1%}")
        if server.stop() != 0:
            figures.problems.append("the server's exit status is not 0")
    except BaseException:
        server.kill()
        raise
    figures.problems += ends(server, PROCESSES, PROCESSES * len(GROUPS))
    if not figures.problems:
        server.clean()
    return figures


def differences(mode: str, figures: Figures) -> Iterator[str]:
    """Figures that grew between the two looks, with the number of requests."""
    if len(figures.before) != PROCESSES * len(GROUPS) or figures.before.keys() != figures.after.keys():
        yield f"not every interpreter answered: {sorted(figures.before)} and {sorted(figures.after)}"
        return
    for key, after in figures.after.items():
        before = figures.before[key]
        if after["gil_mode"] != ("shared" if mode == "embedded" else mode):
            yield f"{key} runs in mode {after['gil_mode']}"
        for name, now in after.items():
            if name in ("pid", "group", "gil_mode") or (name == "blocks" and mode == "free-threading"):
                continue
            if now > before[name] + SLACKS.get(name, SLACK):
                yield f"{name} grew from {before[name]} to {now} in {key}"


def ends(server: Gilkeeper, workers: int, interpreters: int) -> Iterator[str]:
    """Problems in the ends of the workers, by the error log of a server that has stopped."""
    log = server.log() + server.console()
    for line in re.findall(rf".*(?:{WRONG}).*", log)[:5]:
        yield line
    statuses = re.findall(r"worker \d+ \(pid \d+\) of process group '\w+' ended: (.*)", log)
    if statuses != ["exit status 0"] * workers:
        yield f"{len(statuses)} workers ended, not {workers}; with {sorted(set(statuses))}"
    joined = log.count("background thread joined")
    if joined != interpreters:
        yield f"{joined} atexit functions ran after their threads, not {interpreters}"


def cycles(mode: str, number: int, at_once: int = 4) -> tuple[int, list[str]]:
    """At least `number` workers started and stopped by reloads, `at_once` of them each time; each serves a little."""
    groups = GROUPS[:2]
    server = server_for(mode, processes=at_once, threads=2, groups=groups)
    started = at_once
    try:
        server.wait_workers(at_once)
        while started < number:
            for group in groups:
                assert server.ask(f"/{group}/").body == b"Hello"
            told = server.tell("reload", seconds=120)
            assert told.returncode == 0, told.stderr
            started += at_once
        assert server.stop() == 0
    except BaseException:
        server.kill()
        raise
    problems = list(ends(server, started, started * len(groups)))
    if not problems:
        server.clean()
    return started, problems
