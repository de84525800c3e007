"""Starting as a user does, and ending so that no process, socket or child is left."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import client
import harness
import pytest
from harness import APPS, until
from http2_wire import Wire, request
from running import Gilkeeper

Start = Callable[..., Gilkeeper]
TOLD = ("--log-level", "notice")


def sockets_below(server: Gilkeeper) -> list[str]:
    return [str(path) for path in server.root.rglob("*") if path.is_socket()]


def ended(server: Gilkeeper) -> int:
    assert server.process is not None
    status = server.process.wait(30)
    until(lambda: not server.pids(), "every process has ended")
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


def test_a_stop_ends_within_ten_seconds_whatever_is_open(gilkeeper: Start) -> None:
    """Reported: with an open stream a stop took 17 to 20 s, and docker kills after 10. Met with server-sent events in a container."""
    server = gilkeeper([Path(__file__).with_name("streaming.py")], arguments=["{app}/streaming.py", "--threads", "5", *TOLD])
    assert server.process is not None
    with ExitStack() as open_ones:
        idle, endless, heeding, slow = (open_ones.enter_context(server.connect()) for _ in range(4))
        idle.send(client.message("GET", "/"))
        assert idle.response().status == 200
        for connection, path in ((endless, "/endless"), (heeding, "/heeding"), (slow, "/large")):
            connection.send(client.message("GET", path))
            assert connection.head().status == 200
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        # At once: the idle connection, and the stream that heeds what the application hears.
        assert idle.closed_by_server()
        assert heeding.chunks() == (b"data: begun\n\ndata: ended\n\n", True)
        at_once = time.monotonic() - begun
        # At the end of graceful-timeout, four seconds: the endless stream, and the reader that does not read.
        assert endless.chunks()[1] is False
        later = time.monotonic() - begun
        assert 3 < later and later - at_once > 0.5, "none of them waits for the others"
        assert ended(server) == 0
        # Ten where the machine has nothing else to do.
        assert time.monotonic() - begun < 15
    assert server.console().count("the application hears shutdown_signal") == 1
    assert "a second signal cuts them off" in server.console()


def test_requests_that_came_before_the_stop_are_answered(gilkeeper: Start) -> None:
    """Reported: a request on a kept connection was lost when it came just before the stop. Met under load, behind a proxy that keeps
    connections."""
    server = gilkeeper([APPS / "hello.py"], arguments=["{app}/hello.py", *TOLD])
    assert server.process is not None
    front = server.front()
    with server.connect() as kept:
        # Just now: a connection that has been quiet for a while waits in another place.
        kept.send(client.message("GET", "/"))
        assert kept.response().status == 200
        os.kill(front, signal.SIGSTOP)
        try:
            kept.send(client.message("GET", "/"))
            server.process.send_signal(signal.SIGTERM)
            until(lambda: "the server stops" in server.console(), "the supervisor stops")
        finally:
            os.kill(front, signal.SIGCONT)
        # The front may read the request before it hears of the stop: then its answer does not say "close" yet.
        assert kept.response().status == 200
        assert kept.closed_by_server(), "the connection is closed behind the answer"
    assert ended(server) == 0


@pytest.mark.parametrize("engine", [[], ["--fronts", "2"], ["--embedded", "--processes", "2"]], ids=" ".join)
def test_a_stopping_server_refuses_new_clients_at_once(gilkeeper: Start, tmp_path: Path, engine: list[str]) -> None:
    """Met: clients could connect for as long as one request ran, and got a reset at the end."""
    (tmp_path / "wsgi.py").write_text(
        "import pathlib, time\n"
        "def application(environ, start_response):\n"
        "    while environ['PATH_INFO'] == '/slow' and not pathlib.Path(__file__).with_name('go').exists():\n"
        "        time.sleep(0.01)\n"
        "    start_response('200 OK', [('Content-Length', '4')])\n"
        "    return [b'done']\n"
    )
    options = ["{app}/wsgi.py", "--threads", "3", "--graceful-timeout", "60", *engine]
    server = gilkeeper([tmp_path / "wsgi.py"], arguments=options)

    def refuses() -> bool:
        try:
            server.connect().close()
        except ConnectionRefusedError:
            return True
        return False

    with server.connect() as running:
        running.send(client.message("GET", "/slow"))
        until(lambda: sum(one["busy"] for one in server.status()["workers"]) == 1, "it runs", 20)
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        until(refuses, "clients are refused while it runs", 20)
        (server.root / "app/go").touch()
        assert running.response().body == b"done"
    assert ended(server) == 0


def test_a_second_signal_hurries_and_says_so(gilkeeper: Start) -> None:
    given = ["{app}/streaming.py", "--graceful-timeout", "60", *TOLD]
    server = gilkeeper([Path(__file__).with_name("streaming.py")], arguments=given)
    assert server.process is not None
    with server.connect() as endless:
        endless.send(client.message("GET", "/endless"))
        assert endless.head().status == 200
        server.process.send_signal(signal.SIGTERM)
        until(lambda: "running requests have 60 s (graceful-timeout)" in server.console(), "the first signal is told")
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert ended(server) == 0
        assert time.monotonic() - begun < 50
    assert server.console().count("asked again to stop, at once: running requests are cut off") == 1


def test_a_drain_makes_clients_go_elsewhere_and_can_be_taken_back(gilkeeper: Start) -> None:
    server = gilkeeper([APPS / "hello.py"], arguments=["{app}/hello.py", "--http2", "--keep-alive-timeout", "60"], admin=harness.free_port())

    def ready() -> int:
        return client.ask(server.admin or 0, "/readyz").status

    def drains() -> tuple[bool, bool]:
        return server.status()["draining"], "draining" in server.tell("status").stdout

    with server.connect() as connection, Wire(("127.0.0.1", server.port)) as wire:
        connection.send(client.message("GET", "/"))
        assert connection.response().get("Connection") is None
        wire.send(wire.headers(1, request("/")))
        assert wire.status(1) == 200
        assert drains() == (False, False)
        assert server.tell("drain", "--wait", "0").stdout.strip() == "drained"
        assert drains() == (True, True)
        until(lambda: ready() == 503, "the server is not ready")
        assert "drain" in client.ask(server.admin or 0, "/readyz").body.decode()
        connection.send(client.message("GET", "/"))
        last = connection.response()
        assert (last.status, last.get("Connection")) == (200, "close") and connection.closed_by_server()
        assert wire.code() == 0, "GOAWAY, without another request"
    assert server.ask("/").status == 200, "it serves on"
    with Wire(("127.0.0.1", server.port)) as wire:
        wire.send(wire.headers(1, request("/")))
        assert (wire.status(1), wire.code()) == (200, 0), "one request, and GOAWAY"
    assert server.tell("drain", "--undo").returncode == 0
    assert drains() == (False, False)
    until(lambda: ready() == 200, "the server is ready again")
    assert server.tell("drain", "--wait", "soon").returncode == 2


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
        assert time.monotonic() - begun < 50


def test_the_first_response_comes_soon(gilkeeper: Start) -> None:
    """Within 300 ms on a warm cache, or on a machine where a Python alone is slow to start, within ten times of that; from the
    command on, best of five to thirty, as other work shares the machine. Two fronts are two more Pythons to start."""
    best, alone, most = 9.0, 9.0, 0.6 if harness.ENGINE == "fronts" else 0.3
    for attempt in range(30):
        if attempt >= 5 and best < max(most, 10 * alone):
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
    assert best < max(most, 10 * alone), (best, alone)


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
    for command in ("status", "reload", "drain", "stop"):
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
    until(lambda: not server.pids(), "every process has ended")
