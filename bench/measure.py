"""One measurement: load from wrk, CPU and memory of a server's processes from /proc, and whether the answers were right."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import client
from servers import Running

TICK = os.sysconf("SC_CLK_TCK")
POST = Path(__file__).resolve().parent / "post.lua"


@dataclass
class Sample:
    """One run. `invalid` says why its figures must not be used."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us_per_request: float
    pss_mb: float
    # Share of the machine's CPU time that a hypervisor gave to other machines meanwhile.
    stolen: float = 0.0
    invalid: str = ""


# A run from which more than this was stolen is measured again, so many times at most; the least disturbed one counts.
STOLEN = 0.02
TRIES = 4


def machine_time() -> tuple[int, int]:
    """Ticks of all CPUs: in all, and stolen by the hypervisor."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return sum(ticks), ticks[7]


@contextmanager
def busy() -> Iterator[None]:
    """Meanwhile a loop like any other process computes on each CPU."""
    loop = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"
    with loops(loop):
        yield


@contextmanager
def loops(script: str) -> Iterator[None]:
    """Meanwhile this Python script runs once for each CPU, with its number."""
    running = [subprocess.Popen([sys.executable, "-c", script, str(cpu)]) for cpu in sorted(os.sched_getaffinity(0))]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


@contextmanager
def awake() -> Iterator[None]:
    """Meanwhile no CPU is ever idle: a loop of the scheduler's idle class runs where nothing else wants to. A virtual machine
    gives an idle CPU back, and how long it takes to get it again, some 30 µs or many times that, is its neighbours' affair.
    Loads that sleep and wake ten thousand times a second would measure that."""
    loop = (
        "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\n"
        "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass"
    )
    with loops(loop):
        yield


def cpu_seconds(pids: list[int]) -> float:
    """User and system time of the processes, threads included."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def pss_megabytes(pids: list[int]) -> float:
    """Memory with shared pages counted once."""
    total = 0
    for pid in pids:
        try:
            found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
        except OSError:
            continue
        total += int(found[1]) if found else 0
    return total / 1024


def milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}[unit]


def megabytes(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(B|KB|MB|GB)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"B": 1 / 1048576, "KB": 1 / 1024, "MB": 1.0, "GB": 1024.0}[unit]


def answers(server: Running, target: str, expected: bytes, seconds: float = 30.0, post: int = 0) -> int:
    """Waits until the server answers as it should; the size of that response in bytes, head and all. `post`: bytes of a POST's body."""
    about = {"host": f"127.0.0.1:{server.port}"}
    request = client.message("POST", target, body=b"p" * post, **about) if post else client.message("GET", target, **about)
    deadline = time.monotonic() + seconds
    last = "nothing"
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise RuntimeError(f"{server.name} ended with {server.process.returncode}:\n{server.words()}")
        try:
            with client.Connection(server.port, 5.0) as connection:
                connection.send(request)
                head = connection.head()
                size = len(f"{head.version} {head.status} {head.reason}\r\n\r\n")
                size += sum(len(f"{name}: {value}\r\n") for name, value in head.headers)
                if (length := head.get("Content-Length")) is not None:
                    body, _ = connection.exactly(int(length))
                    size += len(body)
                else:
                    body, _ = connection.chunks()
                    size += len(body) + len(f"{len(body):x}\r\n\r\n0\r\n\r\n")
            if head.status == 200 and expected in body:
                return size
            last = f"{head.status} {body[:100]!r}"
        except (OSError, client.Broken, ValueError) as problem:
            last = repr(problem)
        time.sleep(0.02)
    raise RuntimeError(f"{server.name} gave {last} for {target}:\n{server.words()}")


def load(port: int, target: str, connections: int, seconds: float, cpu: int | None = None, post: int = 0) -> str:
    """What wrk prints; `cpu`: the only one it runs on; `post`: bytes of a POST's body."""
    command = [] if cpu is None else ["taskset", "-c", str(cpu)]
    command += ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "--timeout", "10s"]
    command += ["-s", str(POST)] if post else []
    environment = {**os.environ, "POST": str(post)}
    command.append(f"http://127.0.0.1:{port}{target}")
    return subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL, env=environment).stdout


def measure(
    server: Running, target: str, expected: bytes, connections: int, seconds: float, warm_up: float, post: int = 0
) -> Sample:
    """Warm-up, then the run, with the server's CPU around it; again when the hypervisor took much of the machine meanwhile."""
    size = answers(server, target, expected, post=post)
    load(server.port, target, connections, max(warm_up, 1.0), post=post)
    best: Sample | None = None
    for _ in range(TRIES):
        sample = one_run(server, target, expected, size, connections, seconds, post=post)
        if best is None or sample.invalid or sample.stolen < best.stolen:
            best = sample
        if sample.invalid or best.stolen <= STOLEN:
            break
    assert best is not None
    return best


def one_run(
    server: Running, target: str, expected: bytes, size: int, connections: int, seconds: float, cpu: int | None = None, post: int = 0
) -> Sample:
    """One run of the load, on one CPU only where `cpu` says which; `size` is that of a right response."""
    all_before, stolen_before = machine_time()
    pids = server.pids()
    before = cpu_seconds(pids)
    text = load(server.port, target, connections, seconds, cpu, post)
    used = cpu_seconds(server.pids()) - before
    all_after, stolen_after = machine_time()
    counted = re.search(r"(\d+) requests in ([\d.]+\w+), ([\d.]+\w+) read", text)
    assert counted, text
    requests = int(counted[1])
    # wrk rounds its time to 10 ms, so the rate is its own line.
    rate = re.search(r"^Requests/sec:\s+([\d.]+)", text, re.M)
    quantiles = {name: milliseconds(value) for name, value in re.findall(r"^\s+(50|99)%\s+([\d.]+\w+)$", text, re.M)}
    invalid = []
    if found := re.search(r"Non-2xx or 3xx responses: (\d+)", text):
        invalid.append(f"{found[1]} responses were no success")
    if found := re.search(r"Socket errors: .*", text):
        if any(int(number) for number in re.findall(r"\d+", found[0])):
            invalid.append(found[0].lower())
    expected_size = requests * size / 1048576
    # What had come of responses that were not complete at the end is read, too.
    parts = connections * size / 1048576
    if requests and not expected_size * 0.95 <= megabytes(counted[3]) <= expected_size * 1.05 + parts:
        invalid.append(f"{counted[3]} read for {requests} requests of {size} bytes")
    try:
        answers(server, target, expected, 5.0, post)
    except RuntimeError as problem:
        invalid.append(str(problem).splitlines()[0])
    return Sample(
        requests_per_second=float(rate[1]) if rate else 0.0,
        p50_ms=quantiles.get("50", 0.0),
        p99_ms=quantiles.get("99", 0.0),
        cpu_us_per_request=used / requests * 1e6 if requests else 0.0,
        pss_mb=pss_megabytes(server.pids()),
        stolen=(stolen_after - stolen_before) / max(all_after - all_before, 1),
        invalid="; ".join(invalid),
    )


def latencies(port: int, target: str, seconds: float) -> list[float]:
    """Milliseconds of each request of one connection that asks again as soon as it is answered, sorted."""
    took = []
    end = time.monotonic() + seconds
    request = client.message("GET", target)
    with client.Connection(port) as connection:
        while (begun := time.monotonic()) < end:
            connection.send(request)
            answer = connection.response()
            took.append((time.monotonic() - begun) * 1000)
            if answer.status != 200 or not answer.complete:
                raise RuntimeError(f"{answer.status} for {target}")
    return sorted(took)


def quantile(values: list[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)]


def mixed(server: Running, seconds: float, slow_connections: int) -> tuple[float, float]:
    """p99 of /fast in ms: alone, and beside /slow on `slow_connections` connections."""
    answers(server, "/fast", b"waited")
    latencies(server.port, "/fast", 0.5)
    alone = quantile(latencies(server.port, "/fast", seconds), 0.99)
    command = ["wrk", "-t1", f"-c{slow_connections}", f"-d{seconds + 1:g}s", f"http://127.0.0.1:{server.port}/slow"]
    slow = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        latencies(server.port, "/fast", 0.3)
        beside = quantile(latencies(server.port, "/fast", seconds), 0.99)
    finally:
        slow.wait(30)
    return alone, beside
