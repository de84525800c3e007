"""Ends of workers: events for applications, threads that are waited for, and log lines about those that do not end."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import client
import pytest
from harness import until
from running import Gilkeeper
from soaking import MODES

Start = Callable[..., Gilkeeper]
HERE = Path(__file__).resolve().parent
PYTHON = os.environ.get("GILKEEPER_PYTHON_NAME", "3.14")
HERE_MODES = ["shared"] if PYTHON == "3.11" else ["own", "free-threading"] if PYTHON.endswith("t") else ["shared", "own"]
NAMES = {"": "%{GLOBAL}", "named": "named"}
ENDED = r"worker \d+ \(pid \d+\) of process group 'ends' ended: (.*)"

modes = pytest.mark.parametrize("mode", HERE_MODES)


def ending(
    gilkeeper: Start, mode: str, how: str, timeout: float = 10, groups: tuple[str, ...] = ("", "named"), restricted: str = ""
) -> Gilkeeper:
    aliases = "".join(
        f"WSGIScriptAlias /{group or 'main'} ${{APP}}/ends.py process-group=ends application-group={NAMES[group]}\n" for group in groups
    )
    conf = f"{MODES[mode]}{restricted}WSGIDaemonProcess ends threads=2 shutdown-timeout={timeout}\n{aliases}"
    server = gilkeeper([HERE / "ends.py"], conf, environment={"ENDS": how or "nothing"})
    server.wait_workers(1)
    for group in groups:
        assert server.ask(f"/{group or 'main'}/").body == b"fine", server.log()
    return server


def stopped(server: Gilkeeper) -> tuple[str, list[str]]:
    """The log, and how the worker ended."""
    server.stop()
    log = server.log() + server.console()
    assert "Fatal Python error" not in log and "Exception ignored" not in log, log[-3000:]
    return log, re.findall(ENDED, log)


@modes
def test_a_thread_ends_through_its_subscription(gilkeeper: Start, mode: str) -> None:
    server = ending(gilkeeper, mode, "subscribed atexit pool")
    log, statuses = stopped(server)
    assert statuses == ["exit status 0"], log
    for group in NAMES:
        assert f"ends: the thread has ended in '{group}'" in log
        assert f"ends: atexit ran in '{group}'" in log
    assert log.count("WSGI0097") == 2 and "ZeroDivisionError" in log and "WSGI0098" in log
    assert "GK000" not in log


@modes
def test_usual_libraries_disturb_no_end(gilkeeper: Start, mode: str) -> None:
    """Reported: a worker on CPython 3.12.1 ended by SIGABRT ("free(): invalid pointer") where an application with a GIL of its own had
    imported ssl or hashlib."""
    server = ending(gilkeeper, mode, "libraries atexit")
    log, statuses = stopped(server)
    assert statuses == ["exit status 0"], log[-2000:]
    for group in NAMES:
        assert f"ends: atexit ran in '{group}'" in log


@modes
def test_the_atexit_deadlock_is_named(gilkeeper: Start, mode: str) -> None:
    """The thread waits for its atexit function, and atexit comes after the thread."""
    server = ending(gilkeeper, mode, "deadlock", timeout=10, groups=("named",))
    log, statuses = stopped(server)
    line = re.search(r"GK0002: (.*)", log)
    assert line, log[-2000:]
    assert "Application group 'named'" in line[1] and "'patient'" in line[1] and "subscribe_shutdown" in line[1]
    assert "the thread has ended in 'named'" in log and statuses == ["exit status 0"]


@modes
def test_a_thread_without_end_is_named_and_left(gilkeeper: Start, mode: str) -> None:
    server = ending(gilkeeper, mode, "endless atexit", timeout=5, groups=("",))
    log, statuses = stopped(server)
    assert re.search(r"GK0002: The main interpreter.*'patient'", log), log[-2000:]
    assert "ends: atexit ran in ''" in log and "shutdown-timeout is over" in log
    assert statuses == ["exit status 1"]


@modes
def test_a_subscriber_that_does_not_return_is_named(gilkeeper: Start, mode: str) -> None:
    server = ending(gilkeeper, mode, "slow-subscriber", timeout=2, groups=("named",))
    log, statuses = stopped(server)
    assert re.search(r"GK0003: Application group 'named'", log), log[-2000:]
    assert statuses == ["exit status 1"]


@pytest.mark.parametrize("mode", [mode for mode in HERE_MODES if mode != "own"])
def test_daemon_threads_stop_no_end(gilkeeper: Start, mode: str) -> None:
    server = ending(gilkeeper, mode, "daemon atexit")
    log, statuses = stopped(server)
    assert statuses == ["exit status 0"], log[-2000:]
    assert log.count("'daemonic'") == 2
    for group in NAMES:
        assert f"ends: atexit ran in '{group}'" in log


if "own" in HERE_MODES:

    def test_daemon_threads_are_refused_under_an_own_gil(gilkeeper: Start) -> None:
        server = ending(gilkeeper, "own", "")
        assert server.ask("/main/daemon").body == b"allowed"
        assert server.ask("/named/thread").body == b"daemon=False"
        server.mark_log()
        answer = server.ask("/named/daemon").body.decode()
        assert answer.startswith("RuntimeError: application group 'named'") and "subscribe_shutdown" in answer
        server.wait_log(r"GK0004: A daemon thread was refused \(.*ends\.py, line \d+\)")
        assert stopped(server)[1] == ["exit status 0"]


@modes
def test_restrictions_hold_in_every_interpreter(gilkeeper: Start, mode: str) -> None:
    """And the end of a process with them is none the worse."""
    server = ending(gilkeeper, mode, "atexit", restricted="WSGIRestrictStdin On\nWSGIRestrictStdout On\n")
    for path in ("/main", "/named"):
        server.mark_log()
        read, iterated, printed, signalled = server.ask(f"{path}/restricted").body.decode().split(" | ")
        assert read.startswith("OSError: sys.stdin access is restricted") and iterated == read
        assert printed.startswith("OSError: sys.stdout access is restricted") and signalled == "allowed"
        server.wait_log("Registration of a handler for signal 15 was ignored")
    assert stopped(server)[1] == ["exit status 0"]


@modes
def test_a_running_request_does_not_hold_up_the_end(gilkeeper: Start, mode: str) -> None:
    """Its stack is in the log, wherever it runs, and the worker ends in time."""
    server = ending(gilkeeper, mode, "", timeout=2)
    with server.connect() as one, server.connect() as two:
        for connection, group in ((one, "main"), (two, "named")):
            connection.send(client.message("GET", f"/{group}/sleep?60"))
        until(lambda: sum(worker["busy"] for worker in server.status()["workers"]) >= 2, "both requests run")
        assert server.tell("stop", "--now").returncode == 0
        assert server.process is not None
        server.process.wait(20)
    log = server.log()
    assert "Requests are still running" in log
    assert len(re.findall(r"ends\.py\", line \d+, in application", log)) == 2, log[-3000:]
    assert "Fatal Python error" not in log
