"""A front that has as many descriptors open as it may."""

from __future__ import annotations

import itertools
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import client
import pytest
from harness import APPS, until
from running import Gilkeeper, descriptors

Start = Callable[..., Gilkeeper]
Closing = Callable[[client.Connection], client.Connection]
CONF = """
GilkeeperBodyBufferSize 65536
KeepAliveTimeout 300
RequestReadTimeout header=300 body=300
Timeout 300
Alias /static ${APP}/hello.py
WSGIDaemonProcess one threads=2
WSGIScriptAlias / ${APP}/probes.py process-group=one application-group=%{GLOBAL}
"""
TICKS = os.sysconf("SC_CLK_TCK")


@pytest.fixture
def closing() -> Iterator[Closing]:
    """Connections that are closed at the end, however it comes."""
    with ExitStack() as stack:
        yield stack.enter_context


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def asked(connection: client.Connection, target: str = "/single") -> client.Response:
    connection.send(client.message("GET", target))
    return connection.response()


def begun(connection: client.Connection, method: str = "GET") -> client.Connection:
    """A connection with the start of a request: it is not idle, so it does not give way."""
    connection.send(f"{method} ".encode())
    return connection


def ended(connection: client.Connection, target: str = "/single", body: bytes = b"") -> client.Response:
    """The answer to the request that was begun."""
    headers = {"Content-Length": str(len(body))} if body else {}
    message = client.message("POST" if body else "GET", target, headers) + body
    connection.send(message.partition(b" ")[2])
    return connection.response()


@pytest.mark.of_daemon_mode("its clients outlive the worker, and here connections end with it")
def test_connections_beyond_the_limit_wait(gilkeeper: Start, closing: Closing) -> None:
    """Reported: with as many clients as a front may have descriptors, a restarted worker got no link and static files were a 500.

    Met on a server with many kept-alive clients. The log had twenty lines a second.
    """
    server = gilkeeper([APPS / "probes.py", APPS / "hello.py"], CONF, descriptors=256)
    (front,) = server.speakers()
    most = resource.prlimit(front, resource.RLIMIT_NOFILE)[0]
    assert most == 256
    # More than there are descriptors: the kernel keeps those that the front does not accept.
    clients = [begun(closing(server.connect(60)), "POST" if number == 2 else "GET") for number in range(300)]
    said = server.wait_log(r"GK0014: .*")[0]
    assert "256" in said and "LimitNOFILE" in said
    last = clients[-1]
    last.send(client.message("GET", "/single").partition(b" ")[2])
    before = cpu(front)
    # Those that are in go on, whatever they ask for: files and bodies on disk need a descriptor too.
    assert ended(clients[0], "/sleep?seconds=2").body == b"slept"
    assert ended(clients[1], "/static").status == 200
    assert ended(clients[2], "/count", b"b" * 300_000).json["length"] == 300_000
    assert cpu(front) - before < 1.0
    assert len([line for line in server.log().splitlines() if "GK0014" in line]) == 1
    assert len(os.listdir(descriptors(front))) < most
    # A new worker takes the place of one that dies.
    worker = ended(clients[3], "/where").json["pid"]
    os.kill(worker, signal.SIGKILL)
    inside = iter(clients[4:50])

    def replaced() -> bool:
        answer = ended(next(inside), "/where")
        return answer.status == 200 and answer.json["pid"] != worker

    until(replaced, "a new worker serves")
    # Who leaves makes room.
    for connection in clients[50:200]:
        connection.close()
    assert last.response().status == 200
    for connection in clients[200:299]:
        assert ended(connection).status == 200


def test_the_longest_idle_give_way_to_new_ones(gilkeeper: Start, closing: Closing) -> None:
    """Reported: with as many kept-alive connections as descriptors allow, new clients waited until one closed.

    Met with clients that keep their connections for minutes. Hundreds come, and each is served at once.
    """
    server = gilkeeper([APPS / "probes.py", APPS / "hello.py"], CONF, descriptors=256)
    (front,) = server.speakers()
    busy = begun(closing(server.connect(60)))
    used = cpu(front)
    clients = []
    for _ in range(600):
        clients.append(closing(server.connect(60)))
        assert asked(clients[-1]).body == b"exactly one block"
    assert cpu(front) - used < 3.0
    assert len(os.listdir(descriptors(front))) < 256
    # The newest are there, the oldest are gone, and so no place was kept empty.
    assert asked(clients[-100]).status == 200
    assert clients[0].closed_by_server()
    assert ended(busy).status == 200


def test_a_limit_that_is_reached_within(gilkeeper: Start, closing: Closing) -> None:
    """Reported: with as many clients as a front may have descriptors, a restarted worker got no link and static files were a 500.

    Here the limit of the running front is lowered below what it has open.
    """
    server = gilkeeper([APPS / "probes.py", APPS / "hello.py"], CONF)
    (front,) = server.speakers()
    # The worker has its link before the limit comes.
    assert server.ask("/single").status == 200
    inside = [begun(closing(server.connect(60)), method) for method in ("GET", "GET", "POST")]
    until(lambda: server.status()["front"]["connections"] == 3, "all are in")
    before = resource.prlimit(front, resource.RLIMIT_NOFILE)
    numbers = {int(name) for name in os.listdir(descriptors(front))}
    resource.prlimit(front, resource.RLIMIT_NOFILE, (next(number for number in itertools.count() if number not in numbers), before[1]))
    used = cpu(front)
    waiting = [begun(closing(server.connect(60))) for _ in range(5)]
    server.wait_log("GK0014")
    # Without a descriptor there is no file, for the time being.
    inside[1].send(client.message("GET", "/static").partition(b" ")[2])
    inside[2].send((client.message("POST", "/count", {"Content-Length": "300000"}) + b"b" * 300_000).partition(b" ")[2])
    missing, refused = inside[1].response(), inside[2].response()
    assert missing.status == 503
    assert (refused.status, refused.get("Retry-After")) == (503, "1")
    assert ended(inside[0], "/sleep?seconds=2").body == b"slept"
    assert len([line for line in server.log().splitlines() if "GK0014" in line]) == 1
    assert cpu(front) - used < 1.0
    resource.prlimit(front, resource.RLIMIT_NOFILE, before)
    for connection in waiting:
        assert ended(connection).status == 200
