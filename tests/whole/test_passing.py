"""Kept connections of embedded mode go to the process that has a free thread, and in a reload to the new processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import client
import pytest
from client import message
from harness import until
from running import Gilkeeper

Start = Callable[..., Gilkeeper]
# Tells which process answers, and with which code. `/slow` waits until there is a file `go`, `/brief` takes two milliseconds.
APPLICATION = """
import os, pathlib, time
HERE = pathlib.Path(__file__).parent
RELEASE = "first"
def application(environ, start_response):
    while environ["PATH_INFO"] == "/slow" and not (HERE / "go").exists():
        time.sleep(0.01)
    if environ["PATH_INFO"] == "/brief":
        time.sleep(0.002)
    body = f"{os.getpid()} {RELEASE} {environ['QUERY_STRING'] or len(environ['wsgi.input'].read())}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
OPTIONS = ["{app}/wsgi.py", "--embedded", "--processes", "2", "--threads", "1", "--graceful-timeout", "20", "--log-level", "info"]


@pytest.fixture
def connections() -> Iterator[Callable[[Gilkeeper, int], list[client.Connection]]]:
    with ExitStack() as stack:
        yield lambda server, number: [stack.enter_context(server.connect()) for _ in range(number)]


def application(folder: Path) -> list[Path]:
    (folder / "wsgi.py").write_text(APPLICATION)
    return [folder / "wsgi.py"]


def ask(connection: client.Connection, path: str = "/", body: bytes = b"") -> tuple[int, str]:
    connection.send(message("POST" if body else "GET", path, {}, body))
    response = connection.response()
    assert response.status == 200 and response.get("Connection") != "close"
    pid, release, length = response.body.decode().split()
    assert int(length) == len(body)
    return int(pid), release


def running(server: Gilkeeper) -> int:
    return sum(worker["busy"] for worker in server.status()["workers"])


def test_a_kept_connection_waits_for_no_thread_while_another_process_has_one(
    gilkeeper: Start, tmp_path: Path, connections: Callable[[Gilkeeper, int], list[client.Connection]]
) -> None:
    """A reverse proxy keeps its connections. All of them may be in one process, where one slow request stopped the site.

    Reported of embedded mode beside nginx.
    """
    server = gilkeeper(application(tmp_path), arguments=OPTIONS)
    workers = set(server.wait_workers(2))
    kept = connections(server, 9)
    owners = [ask(connection)[0] for connection in kept]
    # Of nine connections one process has five at least.
    stuck = max(workers, key=owners.count)
    slow, *others = [connection for connection, owner in zip(kept, owners, strict=True) if owner == stuck]
    slow.send(message("GET", "/slow"))
    until(lambda: running(server) == 1, "the slow request runs")
    (free,) = workers - {stuck}
    for number, connection in enumerate(others * 3):
        # Small bodies, and such as come after their heads.
        assert ask(connection, "/", b"x" * (number % 3) * 100_000)[0] == free
    (server.root / "app/go").touch()
    assert slow.response().body.startswith(b"%d " % stuck)
    # It is one of those that serve again.
    assert ask(slow)[0] in workers


def test_pipelined_requests_on_many_connections_are_answered_in_order(
    gilkeeper: Start, tmp_path: Path, connections: Callable[[Gilkeeper, int], list[client.Connection]]
) -> None:
    """More clients than threads, each of which sends twenty requests without waiting: connections change the process between them."""
    server = gilkeeper(application(tmp_path), arguments=OPTIONS)
    server.wait_workers(2)
    kept = connections(server, 8)
    for half in range(2):
        for number in range(10):
            for connection in kept:
                connection.send(message("GET", f"/brief?{half}-{number}"))
        for connection in kept:
            for number in range(10):
                response = connection.response()
                assert (response.status, response.body.decode().split()[2]) == (200, f"{half}-{number}")


def test_kept_connections_outlive_a_reload(
    gilkeeper: Start, tmp_path: Path, connections: Callable[[Gilkeeper, int], list[client.Connection]]
) -> None:
    server = gilkeeper(application(tmp_path), arguments=OPTIONS)
    server.wait_workers(2)
    kept = connections(server, 6)
    for release in ("second", "third"):
        before = {ask(connection)[0] for connection in kept}
        (server.root / "app/wsgi.py").write_text(APPLICATION.replace("first", release))
        told = server.tell("reload")
        assert told.returncode == 0, told.stderr
        # A new process serves, so the others know of its room: without it a leaving one would end a connection with its response.
        with server.connect() as fresh:
            assert ask(fresh)[1] == release
        for connection in kept:
            # Its old process may not have heard yet that it is to leave.
            until(lambda connection=connection: ask(connection)[1] == release, "a new process has the connection")
        assert not before & {ask(connection)[0] for connection in kept}
        until(lambda before=before: not before & set(server.pids()), "the old processes have ended", 30)
    for connection in kept:
        assert ask(connection)[1] == "third"


@pytest.mark.parametrize("bound", ["PerAddress 3", " 6"])
def test_bounds_on_connections_do_not_refuse_those_that_change_the_process(
    gilkeeper: Start, tmp_path: Path, connections: Callable[[Gilkeeper, int], list[client.Connection]], bound: str
) -> None:
    """A client at its bound lost a request in each reload: its connections came to new processes, each of which counts for itself."""
    conf = f"""
GilkeeperEmbedded On
GilkeeperMaxConnections{bound}
WSGIDaemonProcess site processes=2 threads=1 graceful-timeout=20
WSGIScriptAlias / ${{APP}}/wsgi.py process-group=site application-group=%{{GLOBAL}}
"""
    server = gilkeeper(application(tmp_path), conf)
    server.wait_workers(2)
    # Three in each process, or fewer where one has refused some.
    kept = [connection for connection in connections(server, 3) if ask(connection)]
    for release in ("second", "third"):
        (server.root / "app/wsgi.py").write_text(APPLICATION.replace("first", release))
        told = server.tell("reload")
        assert told.returncode == 0, told.stderr
        for connection in kept:
            until(lambda connection=connection: ask(connection)[1] == release, "a new process has the connection")


def test_connections_of_a_process_that_is_the_last_to_leave_are_not_passed_to_nobody(
    gilkeeper: Start, tmp_path: Path, connections: Callable[[Gilkeeper, int], list[client.Connection]]
) -> None:
    """From two processes to one, which has no queue of connections: the old processes answer themselves, and say that they close."""
    conf = """
GilkeeperEmbedded On
# The reload waits five seconds for the word of the one that is stopped.
KeepAliveTimeout 60
WSGIDaemonProcess site processes=%d threads=1 graceful-timeout=20
WSGIScriptAlias / ${APP}/wsgi.py process-group=site application-group=%%{GLOBAL}
"""
    server = gilkeeper(application(tmp_path), conf % 2)
    before = server.wait_workers(2)
    kept = connections(server, 4)
    owners = {ask(connection)[0] for connection in kept}
    # Old, still, and with a free thread as far as the others know.
    stopped = next(pid for pid in before if len(owners) == 1 and pid not in owners or len(owners) == 2 and pid == max(owners))
    asked = [connection for connection in kept if ask(connection)[0] != stopped]
    os.kill(stopped, signal.SIGSTOP)
    try:
        (server.root / "site.conf").write_text(conf % 1)
        assert server.tell("reload").returncode == 0
        for connection in asked:
            connection.send(message("GET", "/"))
            assert connection.response().status == 200
    finally:
        os.kill(stopped, signal.SIGCONT)


def test_a_process_that_dies_takes_none_that_it_has_passed_on(
    gilkeeper: Start, tmp_path: Path, connections: Callable[[Gilkeeper, int], list[client.Connection]]
) -> None:
    server = gilkeeper(application(tmp_path), arguments=OPTIONS)
    workers = server.wait_workers(2)
    kept = connections(server, 12)
    owners = [ask(connection)[0] for connection in kept]
    stuck = max(workers, key=owners.count)
    slow, *others = [connection for connection, owner in zip(kept, owners, strict=True) if owner == stuck]
    slow.send(message("GET", "/slow"))
    until(lambda: running(server) == 1, "the slow request runs")
    for connection in others:
        connection.send(message("GET", "/"))
    for connection in others:
        assert connection.response().status == 200
    os.kill(stuck, signal.SIGKILL)
    with pytest.raises((client.Broken, OSError)):
        slow.response()
    for connection in others:
        assert ask(connection)[0] != stuck
