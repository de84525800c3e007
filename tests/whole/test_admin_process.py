"""The process of the admin pages: the front serves on without it and starts another one; it ends with the front."""

from __future__ import annotations

import os
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import harness
from harness import APPS, until
from running import Gilkeeper
from test_memory import private
from test_stack import get

Start = Callable[..., Gilkeeper]


def started(gilkeeper: Start) -> tuple[Gilkeeper, str]:
    server = gilkeeper([APPS / "hello.py"], arguments=["{app}/hello.py", "--processes", "2"], admin=0)
    server.wait_workers(2)
    return server, server.status()["admin"].rstrip("/")


def admin_processes(server: Gilkeeper) -> list[int]:
    return [pid for pid in server.pids() if "admin.py" in harness.command_of(pid)]


def parent_and_threads(pid: int) -> tuple[int, int]:
    text = Path(f"/proc/{pid}/status").read_text()
    parent, threads = (re.search(rf"^{field}:\s+(\d+)$", text, re.M) for field in ("PPid", "Threads"))
    assert parent and threads
    return int(parent[1]), int(threads[1])


def shown(admin: str) -> dict[str, Any] | None:
    """What the pages show; `None` while nobody answers."""
    try:
        return get(admin, "/api/v1/status")
    except OSError:
        return None


def readiness(admin: str) -> int:
    """What a load balancer sees; 0 while nobody answers."""
    try:
        with urllib.request.urlopen(f"{admin}/readyz", timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_a_new_process_calls_no_server_unready_that_serves(gilkeeper: Start) -> None:
    """Reported: it said 503 until the front had told it something."""
    server, admin = started(gilkeeper)
    until(lambda: readiness(admin) == 200, "the server is ready", 30)
    for _ in range(3):
        [before] = admin_processes(server)
        os.kill(before, signal.SIGKILL)
        seen = []
        until(lambda: seen.append(readiness(admin)) or (seen[-1] == 200 and admin_processes(server) not in ([], [before])), "another one", 30)
        assert set(seen) <= {0, 200}, seen


def test_requests_go_on_while_the_pages_are_away(gilkeeper: Start) -> None:
    server, admin = started(gilkeeper)
    [first] = admin_processes(server)
    front = server.front()
    assert parent_and_threads(first)[0] == front
    assert private(first) <= 20 << 20
    # With a second thread each request of the front would cost more.
    assert parent_and_threads(front)[1] == 1
    os.kill(first, signal.SIGKILL)
    said = r"GK0017: the admin process \(pid \d+\) ended: signal 9 \(KILL\); it is started again in 1 s"
    until(lambda: re.search(said, server.console()), "the log says so")
    assert server.ask("/").body == b"Hello, world!"
    [second] = until(lambda: admin_processes(server), "another admin process")
    assert second != first and server.front() == front
    # It knows the workers that were there before it, and where their figures stand.
    status = until(lambda: (now := shown(admin)) and len(now["workers"]) == 2 and now["connections"] == 0 and now, "the workers are shown")
    assert {worker["pid"] for worker in status["workers"]} == set(server.workers())
    # Their counters stand in their scoreboards, and lose nothing.
    with urllib.request.urlopen(f"{admin}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    assert re.search(r'^gilkeeper_requests_total\{[^}]*code="200"[^}]*\} 1$', text, re.M), text


def total(admin: str, name: str, part: str = "") -> float:
    """The sum of a family's lines; -1 while nobody answers."""
    try:
        with urllib.request.urlopen(f"{admin}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return -1.0
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{") and part in line)


def test_what_ended_workers_did_is_not_forgotten(gilkeeper: Start) -> None:
    """Reported: after a restart of the admin process the counters began without the workers that had ended before."""
    server, admin = started(gilkeeper)
    for _ in range(20):
        server.ask("/")
    until(lambda: total(admin, "gilkeeper_requests_total") == 20, "all requests are counted")
    old = server.workers()
    os.kill(old[0], signal.SIGKILL)
    until(lambda: total(admin, "gilkeeper_worker_restarts_total", 'reason="crash"') == 1, "the crash is counted")
    # As soon as its last second is read, and before its counters are handed on.
    [first] = admin_processes(server)
    os.kill(first, signal.SIGKILL)
    until(lambda: [pid for pid in admin_processes(server) if pid != first], "another admin process", 20)
    until(lambda: total(admin, "gilkeeper_requests_total") == 20, "no request is forgotten", 20)
    assert total(admin, "gilkeeper_worker_restarts_total", 'reason="crash"') == 1


def test_it_ends_with_the_front_and_comes_again_with_the_next(gilkeeper: Start) -> None:
    server, admin = started(gilkeeper)
    [first] = admin_processes(server)
    front = server.front()
    os.kill(front, signal.SIGKILL)
    until(lambda: first not in server.pids(), "the admin process has ended with its front")
    [second] = until(lambda: admin_processes(server), "the next front has one")
    assert parent_and_threads(second)[0] == until(lambda: (now := server.status()["front"]["pid"]) != front and now, "another front")
    status = until(lambda: (now := shown(admin)) and len(now["workers"]) == 2 and now, "the workers are shown")
    assert {worker["pid"] for worker in status["workers"]} == set(server.workers())
