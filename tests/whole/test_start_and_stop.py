"""Starting as a user does, and ending so that no process, socket or child is left."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import client
import harness
from harness import APPS, until
from running import Gilkeeper

Start = Callable[..., Gilkeeper]


def sockets_below(server: Gilkeeper) -> list[str]:
    return [str(path) for path in server.root.rglob("*") if path.is_socket()]


def ended(server: Gilkeeper) -> int:
    assert server.process is not None
    status = server.process.wait(20)
    until(lambda: not server.pids(), "every process has ended", 10)
    assert sockets_below(server) == []
    return status


def test_ctrl_c(gilkeeper: Start) -> None:
    """The terminal sends SIGINT to every process of the foreground group at once."""
    server = gilkeeper([APPS / "site"], arguments=["{app}/wsgi.py", "--processes", "2", "--threads", "5"])
    assert server.ask("/").status == 200
    until(lambda: f"http://127.0.0.1:{server.port}" in server.console(), "the URL is printed")
    assert server.process is not None
    os.killpg(server.process.pid, signal.SIGINT)
    assert ended(server) == 0
    assert "Traceback" not in server.console() and "panicked" not in server.console()


def test_term_lets_requests_end(gilkeeper: Start) -> None:
    server = gilkeeper([APPS / "probes.py"], arguments=["{app}/probes.py", "--threads", "3"])
    server.ask("/single")
    with server.connect() as connection:
        connection.send(client.message("GET", "/counted?key=x&n=50&how=slow"))
        assert connection.head().status == 200
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        body, whole = connection.chunks()
        assert whole and len(body) == 50 * 65536
    assert ended(server) == 0


def test_stop(gilkeeper: Start) -> None:
    server = gilkeeper([APPS / "hello.py"], arguments=["{app}/hello.py"])
    assert server.tell("stop").returncode == 0
    assert ended(server) == 0


def test_stop_now_does_not_wait(gilkeeper: Start) -> None:
    server = gilkeeper([APPS / "probes.py"], arguments=["{app}/probes.py", "--threads", "2"])
    server.ask("/single")
    with server.connect() as connection:
        connection.send(client.message("GET", "/sleep?seconds=60"))
        begun = time.monotonic()
        assert server.tell("stop", "--now").returncode == 0
        ended(server)
        assert time.monotonic() - begun < 10


def test_the_first_response_comes_soon(gilkeeper: Start) -> None:
    """Within 300 ms on a warm cache, or on a machine where a Python alone is slow to start, within ten times of that; from the
    command on, best of five to ten, as other work shares the machine."""
    best, alone = 9.0, 9.0
    for attempt in range(10):
        if attempt >= 5 and best < 0.3:
            break
        begun = time.monotonic()
        subprocess.run([Path(harness.gilkeeper()).parent / "python", "-c", "import wsgiref"], check=True)
        alone = min(alone, time.monotonic() - begun)
        server = Gilkeeper([APPS / "hello.py"], arguments=["{app}/hello.py"])
        begun = time.monotonic()
        server.start()
        assert server.ask("/").status == 200
        best = min(best, time.monotonic() - begun)
        server.stop()
        server.clean()
    assert best < max(0.3, 10 * alone), (best, alone)


def test_bad_input_is_one_sentence(gilkeeper: Start) -> None:
    for arguments in (["/nowhere/wsgi.py"], ["-c", "/nowhere/site.conf"], ["--threads", "many"], ["--no-such-option"]):
        told = subprocess.run([harness.gilkeeper(), "serve", *arguments], capture_output=True, text=True, timeout=30)
        assert told.returncode == 2, (arguments, told)
        assert "Traceback" not in told.stderr and "panicked" not in told.stderr and told.stderr.strip()


def test_a_port_in_use_is_one_sentence(gilkeeper: Start) -> None:
    server = gilkeeper([APPS / "hello.py"], arguments=["{app}/hello.py"])
    other = [harness.gilkeeper(), "serve", str(APPS / "hello.py"), "--port", str(server.port), "--admin", "off"]
    told = subprocess.run([*other, "--server-root", str(server.root / "other")], capture_output=True, text=True, timeout=30)
    assert told.returncode in (1, 2) and str(server.port) in told.stderr and "Traceback" not in told.stderr


def test_commands_without_a_server(gilkeeper: Start) -> None:
    for command in ("status", "reload", "stop"):
        whole = [harness.gilkeeper(), command, "--server-root", "/nowhere/at/all"]
        told = subprocess.run(whole, capture_output=True, text=True, timeout=30)
        assert told.returncode in (1, 2) and told.stderr.strip() and "Traceback" not in told.stderr


def test_a_dead_front_is_replaced(gilkeeper: Start) -> None:
    server = gilkeeper([APPS / "hello.py"], arguments=["{app}/hello.py", "--processes", "2"])
    workers = server.wait_workers(2)
    before = server.front()
    os.kill(before, signal.SIGKILL)
    until(lambda: answers(server), "a new front answers")
    assert server.front() != before
    assert sorted(server.workers()) == sorted(workers)


def answers(server: Gilkeeper) -> bool:
    try:
        return server.ask("/").status == 200
    except (OSError, client.Broken):
        return False


def test_a_dead_supervisor_takes_everything_along(gilkeeper: Start) -> None:
    server = gilkeeper([APPS / "hello.py"], arguments=["{app}/hello.py", "--processes", "2"])
    assert server.process is not None
    server.process.kill()
    server.process.wait(10)
    until(lambda: not server.pids(), "every process has ended", 15)
