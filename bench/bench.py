"""The side-by-side benchmark: every server in one run, round by round, so that a machine that drifts hurts all alike.

    make bench                          everything: five rounds of three seconds
    make bench ARGS=--quick             three rounds of one second
    scripts/bench --servers gilkeeper,granian --workloads hello

Figures are medians over the rounds with their range; of `measurements`, `holders` and `pairs`, medians of pairs of seconds with what
half of them lie between. A run with an error or a wrong body makes its row invalid.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import forms
import harness
import report
from measure import awake, measure, mixed
from servers import APPS, SERVERS, NoSuchForm, Running


@dataclass(frozen=True)
class Workload:
    """An application, a page of it, what the page must hold, and processes x threads."""

    kind: str
    script: Path
    target: str
    expected: bytes
    processes: int
    threads: int
    connections: int = 32
    only: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.kind} {self.processes}x{self.threads}" + (f" c{self.connections}" if self.connections != 32 else "")


HELLO, SITE, SLEEP = APPS / "hello.py", APPS / "site" / "wsgi.py", APPS / "sleep5.py"
WORKLOADS = [
    Workload("hello", HELLO, "/", b"Hello, world!", 1, 1),
    Workload("hello", HELLO, "/", b"Hello, world!", 1, 4, only=("gilkeeper", "granian", "mod_wsgi-daemon")),
    Workload("hello", HELLO, "/", b"Hello, world!", 2, 4),
    Workload("list", SITE, "/", b"Invisible Cities", 1, 1),
    Workload("list", SITE, "/", b"Invisible Cities", 2, 4),
    Workload("sleep5", SLEEP, "/", b"waited", 1, 4),
]

KINDS = ["hello", "list", "sleep5", "mixed", "modes", "measurements", "holders", "pairs"]
# Those that ours is also measured beside, second by second.
BESIDE = ["granian", "mod_wsgi-daemon"]


def machine() -> list[str]:
    """What this ran on, and with which versions."""
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    python = harness.peers() / "bin" / "python"
    names = ("bjoern", "granian", "gunicorn", "mod_wsgi", "uWSGI", "waitress", "Flask")
    ask = f"import sys, importlib.metadata as m\nprint(sys.version.split()[0])\nfor name in {names}: print(name, m.version(name))"
    versions = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.splitlines()
    apache = subprocess.run([harness.apache(), "-v"], capture_output=True, text=True).stdout.split("\n")[0].partition("/")[2]
    return [
        f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, load {os.getloadavg()[0]:.2f} at the start",
        f"CPython {versions[0]}; {', '.join(versions[1:])}, Apache {apache}",
        "mod_wsgi-embedded runs 64 threads a child whatever T is, waitress has no processes, bjoern no threads",
        f"{time.strftime('%Y-%m-%d %H:%M')}; wrk on the same cores, one thread, keep-alive",
    ]


def one(row: report.Row, workload: Workload, seconds: float, warm_up: float) -> None:
    """One round of one row, added to it."""
    if row.note:
        return
    try:
        with Running(row.server, workload.script, workload.processes, workload.threads) as server:
            row.samples.append(measure(server, workload.target, workload.expected, workload.connections, seconds, warm_up))
    except NoSuchForm:
        row.note = "has no such form"
    except (RuntimeError, harness.Unusable, AssertionError, subprocess.CalledProcessError) as problem:
        row.note = str(problem).replace("\n", " ")[:300]
        print(f"bench: {row.server}, {row.workload}: {problem}", file=sys.stderr)


def mixed_load(servers: list[str], seconds: float, rounds: int) -> list[str]:
    """p99 of a fast route alone and beside a slow one that keeps three of four request threads."""
    lines = []
    for name in servers:
        seen = []
        for _ in range(rounds):
            try:
                with Running(name, SLEEP, 1, 4) as server:
                    seen.append(mixed(server, seconds, 3))
            except NoSuchForm:
                break
            except (RuntimeError, harness.Unusable, AssertionError, OSError) as problem:
                lines.append(f"mixed, {name}: invalid, {str(problem).splitlines()[0]}")
                seen = []
                break
        if seen:
            alone, beside = (sorted(pair[side] for pair in seen)[len(seen) // 2] for side in (0, 1))
            lines.append(f"mixed, {name}: p99 of a fast route {alone:.2f} ms alone, {beside:.2f} ms beside a slow one on 3 of 4 threads")
    return lines


def choose(given: str | None, known: list[str], what: str) -> list[str]:
    if given is None:
        return known
    names = given.split(",")
    for name in names:
        if name not in known:
            sys.exit(f"bench: '{name}' is none of the {what}: {', '.join(known)}.")
    return names


def measure_all(servers: list[str], kinds: list[str], rounds: int, seconds: float) -> tuple[list[report.Row], list[str]]:
    """Rows of the table, and the lines below it."""
    workloads = [workload for workload in WORKLOADS if workload.kind in kinds]
    rows = {
        (workload.name, server): report.Row(workload.name, server)
        for workload in workloads
        for server in servers
        if not workload.only or server in workload.only
    }
    for number in range(rounds):
        for workload in workloads:
            for server in servers:
                if row := rows.get((workload.name, server)):
                    one(row, workload, seconds, 1.0)
                    print(f"round {number + 1} of {rounds}, {workload.name}, {server}: " + report.cells(row)[2], file=sys.stderr)
    found = [row for row in rows.values() if row.note != "has no such form"]
    more = mixed_load(servers, seconds, min(rounds, 3)) if "mixed" in kinds else []
    if "gilkeeper" in servers:
        # Ours against itself, and two servers side by side; what fails here does not cost the rest of the run.
        peers = [peer for peer in BESIDE if peer in servers]
        more_forms = {
            "modes": lambda: forms.modes(min(rounds, 3), 1.0),
            "measurements": lambda: forms.measurements(rounds),
            "holders": lambda: forms.holders(rounds),
            "pairs": lambda: forms.beside(peers, rounds),
        }
        for kind in more_forms:
            if kind in kinds:
                try:
                    more += more_forms[kind]()
                except (RuntimeError, harness.Unusable, AssertionError, OSError) as problem:
                    more.append(f"{kind}: invalid, {str(problem).splitlines()[0]}")
    sleeping = [row for row in found if row.workload.startswith("sleep5") and not row.invalid]
    more += [f"sleep5, {row.server}: {row.middle('requests_per_second'):.0f} of the ideal 800 requests/s at T=4" for row in sleeping]
    more += report.threads_ratio(found) + report.ratios(found)
    return found, more


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description="The side-by-side benchmark.")
    parser.add_argument("--quick", action="store_true", help="three rounds of one second")
    parser.add_argument("--rounds", type=int, help="rounds, five by default")
    parser.add_argument("--seconds", type=int, help="length of a run in whole seconds (wrk knows no fractions), three by default")
    parser.add_argument("--servers", help=f"some of {','.join(SERVERS)}")
    parser.add_argument("--workloads", help=f"some of {','.join(KINDS)}")
    parser.add_argument("--out", type=Path, default=harness.REPOSITORY / "bench-results", help="folder for the results")
    given = parser.parse_args()
    rounds = given.rounds or (3 if given.quick else 5)
    seconds = given.seconds or (1.0 if given.quick else 3.0)
    if rounds < 1 or seconds < 1:
        sys.exit("bench: at least one round of one second is needed.")
    servers = choose(given.servers, list(SERVERS), "servers")
    kinds = choose(given.workloads, KINDS, "workloads")

    about = machine()
    print("\n".join(about), flush=True)
    with awake():
        found, more = measure_all(servers, kinds, rounds, seconds)
    text = report.document(about, found, more)
    given.out.mkdir(parents=True, exist_ok=True)
    stem = time.strftime("%Y%m%d-%H%M%S")
    (given.out / f"{stem}.md").write_text(text)
    (given.out / f"{stem}.json").write_text(json.dumps(report.as_json(about, found, more), indent=1))
    print("\n" + text)
    print(f"written to {given.out}/{stem}.md and .json")
    return 1 if any(row.invalid for row in found) else 0


if __name__ == "__main__":
    sys.exit(main())
