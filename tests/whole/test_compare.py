"""`gilkeeper compare` and `gilkeeper load` as a user runs them: real servers, real load, and failures."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import harness
import pytest
from harness import APPS
from running import Gilkeeper

Start = Callable[..., Gilkeeper]
ENDS = 60.0

PLAN = f"""
title = "A small one"

[workload]
script = "{APPS}/cpu_and_wait.py"
connections = 4
duration = 0.8
warm-up = 0.2
rounds = 2

[[form]]
name = "wall"
path = "/wall"

[[form]]
name = "cpu"
path = "/cpu"

[[variant]]
name = "one"
processes = 1
threads = 4
"""


def compare(plan: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [harness.gilkeeper(), "compare", str(plan), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=ENDS * 2, stdin=subprocess.DEVNULL)


def servers(mark: str) -> list[int]:
    """Living processes with the mark in their environment."""
    found = []
    for pid in harness.processes_of(mark):
        try:
            if b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            # It has ended since.
            continue
    return found


@pytest.fixture
def plan(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    yield path


@pytest.mark.alone("CPU per request, of a short load")
def test_a_table_with_the_servers_own_figures(plan: Path, tmp_path: Path) -> None:
    written = {kind: tmp_path / f"out.{kind}" for kind in ("json", "html", "markdown")}
    told = compare(plan, *(argument for kind, path in written.items() for argument in (f"--{kind}", str(path))))
    assert told.returncode == 0, told.stderr
    for text in ("A small one", "wall", "cpu", "rpm", "one"):
        assert text in told.stdout
    made: dict[str, Any] = json.loads(written["json"].read_text())
    wall, cpu = (table["rows"][0] for table in made["tables"])
    figure = lambda row, name: row["figures"][name]["median"]  # noqa: E731
    assert wall["errors"] == cpu["errors"] == 0
    assert 2.5 < figure(cpu, "cpu_per_request_ms") < 4.5
    # Four threads spin until the wall clock says so, and one at a time: less than 3 ms of it is theirs.
    assert figure(wall, "cpu_per_request_ms") < figure(cpu, "cpu_per_request_ms")
    assert cpu["gil_wait_exact"] is True and figure(cpu, "gil_wait_per_request_ms") > 1.0
    assert figure(cpu, "requests_per_minute") > 1000 and figure(cpu, "resident_mb") > 10
    assert 0.1 < figure(cpu, "cpu_per_process") < 1.2
    split = cpu["split"]
    assert split["blocked"] > 0 and abs(split["on_cpu"] * 1000 - figure(cpu, "cpu_per_request_ms")) < 0.2
    html = written["html"].read_text()
    assert "<svg" in html and "http" not in html.replace("http-equiv", "") and "class=\"mark\"" in html
    assert written["markdown"].read_text().count("| one |") == 2


def test_what_cannot_be_measured_is_a_sentence_and_the_rest_goes_on(plan: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        broken = f"""
[[variant]]
name = "no such python"
python = "9.9"
[[variant]]
name = "taken"
options = ["--host", "127.0.0.1", "--port", "{port}"]
[[variant]]
name = "no such option"
options = ["--thraeds", "2"]
[[variant]]
name = "does not import"
environment = {{ PYTHONDONTWRITEBYTECODE = "1" }}
config = "broken.conf"
"""
        (plan.parent / "broken.conf").write_text(
            f"Listen 127.0.0.1:{harness.free_port()}\nWSGIDaemonProcess x\nWSGIScriptAlias / {plan.parent}/broken.py process-group=x\n"
        )
        plan.write_text(PLAN.replace("rounds = 2", "rounds = 1").replace("duration = 0.8", "duration = 0.3") + broken)
        told = compare(plan)
    assert told.returncode == 1, told.stderr
    said = [line for line in told.stderr.splitlines() if line.startswith("gilkeeper: ")]
    assert len(said) == 4, told.stderr
    for line, words in zip(
        said,
        ["no such python: python 9.9: there is no python9.9", "taken: cannot listen on 127.0.0.1", "no such option: unexpected argument", "does not import: not one request was answered as it should be ("],
        strict=True,
    ):
        assert words in line, line
    assert f"{port}" in said[1] and "did you mean '--threads'" in said[2]
    row = next(line for line in told.stdout.splitlines() if line.startswith("one "))
    assert row.split()[-1] == "0"
    assert "rpm" in told.stdout and told.stdout.count("not measured: ") == 4


def test_a_typo_has_its_line(plan: Path) -> None:
    plan.write_text(PLAN.replace("connections = 4", "conections = 4"))
    told = compare(plan)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.strip().endswith("plan.toml:6: `conections` is unknown in [workload]; did you mean `connections`?")
    told = compare(plan.parent / "none.toml")
    assert told.returncode == 2 and "none.toml cannot be read" in told.stderr


@pytest.mark.parametrize("signalled", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_ended_goes_on(plan: Path, signalled: signal.Signals) -> None:
    results, run = plan.with_suffix(".results.jsonl"), f"compare-{os.getpid()}-{signalled}"
    environment = {**os.environ, harness.MARK: run}
    # Rounds without end, so that it cannot be over before the signal comes.
    command = [harness.gilkeeper(), "compare", str(plan), "--rounds", "50"]
    first = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        harness.until(lambda: results.exists() and results.read_text().count('"sample"') >= 2, "two trials are kept", ENDS)
    finally:
        first.send_signal(signalled)
    out, errors = first.communicate(timeout=ENDS)
    if signalled == signal.SIGINT:
        assert first.returncode == 1 and "goes on from there" in errors and "one" in out, errors
    harness.until(lambda: not servers(run), "no server stays behind", ENDS)
    kept = results.read_text().count('"sample"')
    told = compare(plan)
    assert told.returncode == 0 and f"{kept} trials are in the results already" in told.stderr, told.stderr
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    trials = [(line["sample"]["round"], line["sample"]["form"]) for line in lines if "sample" in line]
    assert trials[:4] == [(1, "wall"), (1, "cpu"), (2, "wall"), (2, "cpu")] and len(trials) == max(kept, 4)
    # Everything is there: the table comes without another trial.
    told = compare(plan)
    assert told.returncode == 0 and "trials are in the results already" in told.stderr and "round" not in told.stderr, told.stderr
    plan.write_text(PLAN.replace("/wall", "/cpu", 1))
    told = compare(plan)
    assert told.returncode == 2 and "results of another plan" in told.stderr


# === the load generator ===


def load(url: str, *more: str) -> dict[str, Any]:
    command = [harness.gilkeeper(), "load", url, "--format", "json", *more]
    told = subprocess.run(command, capture_output=True, text=True, timeout=ENDS, stdin=subprocess.DEVNULL)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def wrk(url: str, connections: int, seconds: int) -> float:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", url]
    told = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    return float(next(line.split()[1] for line in told.stdout.splitlines() if line.startswith("Requests/sec")))


@pytest.mark.speed("our load generator beside wrk")
@pytest.mark.parametrize("connections", [1, 32, 256])
def test_it_is_as_fast_as_wrk(gilkeeper: Start, connections: int) -> None:
    """Against an answer that the front gives without a worker, turn by turn: what else runs here hits both of a turn."""
    server = gilkeeper([APPS / "hello.py"], "WSGIDaemonProcess g\nWSGIScriptAlias /app ${APP}/hello.py process-group=g\n")
    url = f"http://127.0.0.1:{server.port}/nothing"
    ratios: list[float] = []

    def close() -> bool:
        theirs = wrk(url, connections, 1)
        ratios.append(load(url, "-c", str(connections), "-d", "1")["requests_per_second"] / theirs)
        return len(ratios) >= 3 and statistics.median(ratios) >= 0.85

    try:
        harness.until(close, "the median is at least 0.85 of wrk's", ENDS)
    except AssertionError as error:
        raise AssertionError(f"{error}: {ratios}") from None


@pytest.mark.alone("a rate, and latencies at that rate")
def test_an_open_loop_keeps_its_rate(gilkeeper: Start) -> None:
    server = gilkeeper([APPS / "sleep5.py"], arguments=["{app}/sleep5.py", "--threads", "4"])
    found = load(f"http://127.0.0.1:{server.port}/", "-c", "8", "-d", "2", "--rate", "200")
    assert (found["failed"], found["unsent"], found["latency"]["from"]) == (0, 0, "due")
    assert found["requests"] == 400
    assert 0.005 <= found["latency"]["quantiles"]["p50"] < 0.05
    # Four threads can do far less than that: requests that are due have to wait, and the generator reports the wait.
    found = load(f"http://127.0.0.1:{server.port}/slow", "-c", "8", "-d", "2", "--rate", "100")
    assert found["latency"]["quantiles"]["p99"] > 0.5 and found["requests"] + found["failed"] + found["unsent"] == 200, found


def test_load_says_what_is_wrong() -> None:
    for arguments, words in (
        (["https://x/"], "https is not spoken here"),
        (["http://127.0.0.1:1/"], "no connection to 127.0.0.1:1"),
        (["http://127.0.0.1/", "--header", "X"], "`X` is no header"),
        (["http://127.0.0.1/", "--rate", "many"], "--rate takes a number from 0.01"),
        (["http://127.0.0.1/", "--replay", "/no/such.log"], "/no/such.log cannot be read"),
    ):
        told = subprocess.run([harness.gilkeeper(), "load", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert told.returncode in (1, 2) and words in told.stderr and told.stderr.count("\n") == 1, told.stderr
