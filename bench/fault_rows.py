"""The rows of the fault table: what is done to a server with 2 processes x 4 threads, and what is counted meanwhile. What each means
stands in docs/design/reliability.md.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import client
from crowd import Bystander, Crowd, Tally, hold
from measure import answers, pss_megabytes
from servers import APPS, NoSuchForm, Running

SCRIPT = APPS / "faults.py"
PROCESSES, THREADS = 2, 4
# Descriptors that client and server need beside those of the connections.
SPARE = 400


@dataclass(frozen=True)
class Size:
    """How much of it: the whole form, or the short one."""

    seconds: float
    many: int
    bodies: int
    heads: int
    storm: float
    reloads: int
    # Seconds after which the answer to one request of many is late.
    patience: float


WHOLE = Size(seconds=3.0, many=10_000, bodies=1_000, heads=2_000, storm=15.0, reloads=3, patience=20.0)
QUICK = Size(seconds=1.5, many=2_000, bodies=300, heads=500, storm=4.0, reloads=1, patience=6.0)


@dataclass
class Outcome:
    """One server in one row, once. `figure` is the row's own one."""

    tally: Tally
    memory: float
    figure: float | None = None


@dataclass(frozen=True)
class Row:
    name: str
    run: Callable[[Running, Size], Outcome]
    # The row's own figure: its name with the unit, and whether less is better.
    figure: str = ""
    less: bool = True
    # p50 and p99 are those of clients beside the fault, and not of the clients that are the load.
    bystanders: bool = True
    # All logs go into a pipe that nobody reads.
    unread: bool = False


def bounded(count: int) -> int:
    """As many connections as descriptors allow in one process."""
    return min(count, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE)


def of(server: Running, tally: Tally, figure: float | None = None) -> Outcome:
    return Outcome(tally, pss_megabytes(server.pids()), figure)


# === overload ===


def burst(count: int) -> Callable[[Running, Size], Outcome]:
    def run(server: Running, size: Size) -> Outcome:
        with Crowd(server.port, count, "/sleep", again=True) as crowd:
            began = time.monotonic()
            tally = crowd.run(size.seconds)
            return of(server, tally, len(tally.seconds) / (time.monotonic() - began))

    return run


def ask_once(server: Running, size: Size) -> Outcome:
    with Crowd(server.port, bounded(size.many), "/sleep", again=False, patience=size.patience) as crowd:
        return of(server, crowd.run(60.0))


# === clients that hold what they have ===


def beside(server: Running, seconds: float, during: Callable[[], None] = lambda: None) -> Tally:
    """A bystander for so long; `during` is called again and again."""
    with Bystander(server.port) as bystander:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            during()
            time.sleep(0.05)
    return bystander.tally


def slow_readers(server: Running, size: Size) -> Outcome:
    held = hold(server.port, 16, client.message("GET", "/large"), window=4096)
    try:
        time.sleep(0.3)
        return of(server, beside(server, size.seconds))
    finally:
        for one in held:
            one.close()


def half_bodies(server: Running, size: Size) -> Outcome:
    """The figure is the memory that has not come back three seconds after the clients have gone."""
    before = pss_megabytes(server.pids())
    head = client.message("POST", "/upload", [("Content-Length", "200000")])
    held = hold(server.port, bounded(size.bodies), head + b"x" * 100_000)
    try:
        outcome = of(server, beside(server, size.seconds))
    finally:
        for one in held:
            one.close()
    time.sleep(3.0)
    outcome.figure = pss_megabytes(server.pids()) - before
    return outcome


def slow_heads(server: Running, size: Size) -> Outcome:
    held = hold(server.port, bounded(size.heads), b"GET /fast HTTP/1.1\r\nHost: localhost\r\nX: ")
    turn = 0

    def drip() -> None:
        # A twentieth of them each twentieth of a second: each sends a byte a second.
        nonlocal turn
        for one in held[turn % 20 :: 20]:
            with contextlib.suppress(OSError):
                one.send(b"x")
        turn += 1

    try:
        return of(server, beside(server, size.seconds, drip))
    finally:
        for one in held:
            one.close()


def idle(server: Running, size: Size) -> Outcome:
    """The figure is KiB for each connection that is kept open, five seconds after the last answer; memory is what is left three
    seconds after they were closed."""
    before = pss_megabytes(server.pids())
    crowd = Crowd(server.port, bounded(size.many), "/fast", again=False, patience=size.patience)
    try:
        tally = crowd.run(60.0)
        # Servers give back what the rush has taken when it is over, not at once.
        time.sleep(5.0)
        held, during = crowd.open(), pss_megabytes(server.pids())
    finally:
        crowd.end()
    time.sleep(3.0)
    return of(server, tally, (during - before) * 1024 / held if held else None)


# === faults ===


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Workers:
    """The processes that run the application: children of the first process, but for those that did not answer at the start."""

    def __init__(self, server: Running) -> None:
        self.server = server
        bodies: set[bytes] = set()
        end = time.monotonic() + 10
        while len(bodies) < PROCESSES and time.monotonic() < end:
            with Crowd(server.port, 16, "/pid", again=False, close=True) as crowd:
                bodies |= crowd.run(2.0).bodies
        self.first = {int(body) for body in bodies if body.isdigit()}
        self.others = set(children(server.process.pid)) - self.first

    def pids(self) -> list[int]:
        return [pid for pid in children(self.server.process.pid) if pid not in self.others]

    def kill(self, number: int = signal.SIGKILL) -> int | None:
        """Signals the oldest; its pid."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
                return pid
        return None


def under_load(server: Running, seconds: float, at: list[float], deed: Callable[[], object], clients: int = 16) -> Tally:
    """Clients that ask on new connections; the deed is done at these moments."""
    timers = [threading.Timer(moment, deed) for moment in at]
    with Crowd(server.port, clients, "/sleep", again=True, patience=5.0, close=True) as crowd:
        for timer in timers:
            timer.start()
        tally = crowd.run(seconds)
    for timer in timers:
        timer.join()
    return tally


def kills(server: Running, size: Size) -> Outcome:
    workers = Workers(server)
    step = size.seconds / 4
    return of(server, under_load(server, size.seconds + 1, [step, 2 * step, 3 * step], workers.kill))


def storm(server: Running, size: Size) -> Outcome:
    """The figure is the time from the last kill to the first good answer."""
    workers = Workers(server)
    with Bystander(server.port, patience=1.0) as bystander:
        end = time.monotonic() + size.storm
        while time.monotonic() < end:
            workers.kill()
            time.sleep(0.5)
    began = time.monotonic()
    recovered = None
    while recovered is None and time.monotonic() - began < 60:
        with contextlib.suppress(OSError, client.Broken, ValueError):
            if client.ask(server.port, "/fast", timeout=1.0).status == 200:
                recovered = time.monotonic() - began
    return of(server, bystander.tally, recovered if recovered is not None else 60.0)


def stopped(server: Running, size: Size) -> Outcome:
    workers = Workers(server)
    pid = workers.kill(signal.SIGSTOP)
    try:
        with Crowd(server.port, 8, "/sleep", again=True, patience=2.0, close=True) as crowd:
            return of(server, crowd.run(size.seconds + 3))
    finally:
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def reload(server: Running, size: Size) -> Outcome:
    number = signal.SIGUSR1 if server.name.startswith("mod_wsgi") else signal.SIGHUP
    at = [0.5 + 2.0 * n for n in range(size.reloads)]
    return of(server, under_load(server, at[-1] + 2.5, at, lambda: server.process.send_signal(number)))


def unread_log(server: Running, size: Size) -> Outcome:
    with Crowd(server.port, 8, "/chatty", again=True, patience=2.0) as crowd, Bystander(server.port) as bystander:
        crowd.run(size.seconds + 1)
    return of(server, bystander.tally)


ROWS = [
    Row("32 clients, closed loop", burst(32), "requests/s", less=False, bystanders=False),
    Row("128 clients, closed loop", burst(128), "requests/s", less=False, bystanders=False),
    Row("256 clients, closed loop", burst(256), "requests/s", less=False, bystanders=False),
    Row("1,000 clients, closed loop", burst(1_000), "requests/s", less=False, bystanders=False),
    Row("10,000 clients ask once", ask_once, bystanders=False),
    Row("10,000 idle connections", idle, "KiB for each", bystanders=False),
    Row("16 readers of 4 MB that do not read", slow_readers),
    Row("1,000 half-sent bodies of 200 kB", half_bodies, "MB not given back"),
    Row("2,000 slow heads", slow_heads),
    Row("three workers killed", kills),
    Row("a worker killed each half second", storm, "s to the first good answer"),
    Row("a worker stopped", stopped),
    Row("reloads", reload),
    Row("logs into a pipe that nobody reads", unread_log, unread=True),
]


def once(row: Row, name: str, size: Size) -> Outcome | None:
    """The row with a new server; None where the server has no such form."""
    reading, writing = os.pipe()
    try:
        server = Running(name, SCRIPT, PROCESSES, THREADS, console=writing if row.unread else None)
    except NoSuchForm:
        return None
    finally:
        # The server has its own; the other end stays open and unread until it has ended.
        os.close(writing)
    try:
        answers(server, "/fast", b"done")
        return row.run(server, size)
    finally:
        server.kill()
        os.close(reading)
