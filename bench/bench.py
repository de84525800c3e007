"""The side-by-side benchmark: every server in one run, round by round, so that a machine that drifts hurts all alike.

    make bench                          everything: five rounds of three seconds
    make bench ARGS=--quick             three rounds of one second
    make bench ARGS="--workloads all"   the table: hello, Flask, large bodies, busy CPUs, beside every server that can be had;
                                        "--workloads all --minutes 13" for as many rounds as fit
    make bench ARGS="--workloads threads"   two request threads without a GIL against one
    scripts/bench --servers gilkeeper,granian --workloads hello
    python bench/beside/publish.py bench-results/DATE.json   puts a table into the documents

CPUs may sleep. With --idle-loop none does: a loop of the scheduler's idle class runs on each, which makes runs on a virtual machine more alike.

Figures are medians over the rounds with their range; of `measurements`, `holders`, `threads` and `pairs`, medians of pairs of seconds
with what half of them lie between. A run with an error or a wrong body makes its row invalid.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import forms
import harness
import report
from beside import ratios
from beside.workloads import SLEEP, TABLE, WORKLOADS, Workload, chosen
from measure import awake, busy, measure, mixed
from servers import SERVERS, Missing, NoSuchForm, Running, newest


KINDS = ["hello", "list", "sleep5", "mixed", "modes", "measurements", "holders", "threads", "pairs"]
# Those of the table that are none of the above, which are measured when they are named, or all of them by the word "all".
MORE = [kind for kind in dict.fromkeys(workload.kind for workload in TABLE) if kind not in KINDS]
# Servers of the table alone, and those that it leaves out: one for its newest version, and one that decides no row.
ONLY_TABLE, LEFT_OUT = ("gilkeeper-embedded", "granian-newest", "fastpysgi", "caddysnake"), ("granian", "waitress")
# Those that ours is also measured beside, second by second.
BESIDE = ["granian", "mod_wsgi-daemon"]


def machine(idle_loop: bool) -> list[str]:
    """What this ran on, and with which versions."""
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    python = harness.peers() / "bin" / "python"
    names = ("bjoern", "granian", "gunicorn", "mod_wsgi", "uWSGI", "waitress", "Flask")
    ask = f"import sys, importlib.metadata as m\nprint(sys.version.split()[0])\nfor name in {names}: print(name, m.version(name))"
    versions = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.splitlines()
    versions += newest()
    apache = subprocess.run([harness.apache(), "-v"], capture_output=True, text=True).stdout.split("\n")[0].partition("/")[2]
    return [
        f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, load {os.getloadavg()[0]:.2f} at the start",
        f"CPython {versions[0]}; {', '.join(versions[1:])}, Apache {apache}",
        "mod_wsgi-embedded runs 64 threads a child whatever T is, waitress has no processes, bjoern no threads",
        f"{time.strftime('%Y-%m-%d %H:%M')}; wrk on the same cores, one thread, keep-alive; CPUs {'never sleep (idle loop)' if idle_loop else 'may sleep'}",
    ]


def one(row: report.Row, workload: Workload, seconds: float, warm_up: float) -> None:
    """One round of one row, added to it."""
    if row.note:
        return
    try:
        with Running(row.server, workload.script, workload.processes, workload.threads) as server:
            page = (workload.target, workload.expected, workload.connections)
            with busy() if workload.busy else nullcontext():
                row.samples.append(measure(server, *page, seconds, warm_up, workload.post))
    except Missing as why:
        row.note = f"not installed: {why}"
    except NoSuchForm:
        row.note = "has no such form"
    except (RuntimeError, harness.Unusable, AssertionError, subprocess.CalledProcessError) as problem:
        row.note = str(problem).split("\n")[0].rstrip(":")[:200]
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


def rounds_in(rounds: int, minutes: float | None) -> Iterator[int]:
    """The rounds' numbers; with `minutes`, no round begins that would last beyond them, were it as long as the longest so far."""
    began = last = time.monotonic()
    longest = 0.0
    for number in range(rounds):
        if number and minutes is not None and last - began + longest > minutes * 60:
            return
        yield number
        now = time.monotonic()
        longest, last = max(longest, now - last), now


def measure_all(
    servers: list[str], kinds: list[str], rounds: int, seconds: float, table: bool, minutes: float | None
) -> tuple[list[report.Row], list[str]]:
    """Rows of the table, and the lines below it."""
    workloads = chosen(kinds, table)
    rows = {
        (workload.name, server): report.Row(workload.name, server)
        for workload in workloads
        for server in servers
        if not workload.only or server in workload.only
    }
    for number in rounds_in(rounds, minutes):
        for workload in workloads:
            for server in servers:
                if row := rows.get((workload.name, server)):
                    one(row, workload, seconds, 1.0)
                    print(f"round {number + 1} of {rounds}, {workload.name}, {server}: " + report.cells(row)[2], file=sys.stderr)
    found = [row for row in rows.values() if table or row.note != "has no such form"]
    if table:
        return found, []
    more = mixed_load(servers, seconds, min(rounds, 3)) if "mixed" in kinds else []
    if "gilkeeper" in servers:
        # Ours against itself, and two servers side by side; what fails here does not cost the rest of the run.
        peers = [peer for peer in BESIDE if peer in servers]
        more_forms = {
            "modes": lambda: forms.modes(min(rounds, 3), 1.0),
            "measurements": lambda: forms.measurements(rounds),
            "holders": lambda: forms.holders(rounds),
            "threads": lambda: forms.threads(rounds),
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
    parser.add_argument("--minutes", type=float, help="with '--workloads all': no round begins that would last longer than so many minutes in all")
    parser.add_argument("--servers", help=f"some of {','.join(SERVERS)}")
    parser.add_argument("--workloads", help=f"'all' for the table, or some of {','.join(KINDS + MORE)}")
    parser.add_argument("--idle-loop", action="store_true", help="no CPU sleeps: a loop of the scheduler's idle class runs on each")
    parser.add_argument("--out", type=Path, default=harness.REPOSITORY / "bench-results", help="folder for the results")
    given = parser.parse_args()
    rounds = given.rounds or (3 if given.quick else 5)
    seconds = given.seconds or (1.0 if given.quick else 3.0)
    if rounds < 1 or seconds < 1:
        sys.exit("bench: at least one round of one second is needed.")
    table = given.workloads == "all"
    if given.minutes is not None and not table:
        sys.exit("bench: --minutes goes with '--workloads all' only.")
    usual = [name for name in SERVERS if name not in (LEFT_OUT if table else ONLY_TABLE)]
    servers = choose(given.servers, list(SERVERS), "servers") if given.servers else usual
    kinds = KINDS if table or given.workloads is None else choose(given.workloads, KINDS + MORE, "workloads")

    about = machine(given.idle_loop)
    print("\n".join(about), flush=True)
    with awake() if given.idle_loop else nullcontext():
        found, more = measure_all(servers, kinds, rounds, seconds, table, given.minutes)
    done = max((len(row.samples) for row in found), default=0)
    about.insert(-1, f"{done} round{'s' * (done != 1)} of {seconds:g} s each")
    results = report.as_json(about, found, more)
    text = ratios.document(about, results["rows"]) if table else report.document(about, found, more)
    given.out.mkdir(parents=True, exist_ok=True)
    stem = time.strftime("%Y%m%d-%H%M%S")
    (given.out / f"{stem}.md").write_text(text)
    (given.out / f"{stem}.json").write_text(json.dumps(results, indent=1))
    print("\n" + text)
    print(f"written to {given.out}/{stem}.md and .json")
    # What a peer cannot do is a gap with its name; ours has none.
    wrong = [row for row in found if row.invalid and (not table or row.server in ratios.OURS)]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
