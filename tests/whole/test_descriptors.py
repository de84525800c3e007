"""A front that has as many descriptors open as it may."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import client
import pytest
from harness import APPS, until
from running import Gilkeeper

Start = Callable[..., Gilkeeper]
Closing = Callable[[client.Connection], client.Connection]
CONF = """
GilkeeperBodyBufferSize 65536
KeepAliveTimeout 300
RequestReadTimeout header=300 body=300
Timeout 300
Alias /static ${APP}/probes.py
WSGIDaemonProcess one threads=2
WSGIScriptAlias / ${APP}/probes.py process-group=one application-group=%{GLOBAL}
"""
TICKS = os.sysconf("SC_CLK_TCK")


@pytest.fixture
def closing() -> Iterator[Closing]:
    """Connections that are closed at the end, however it comes."""
    with ExitStack() as stack:
        yield stack.enter_context


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def asked(connection: client.Connection, target: str = "/single") -> client.Response:
    connection.send(client.message("GET", target))
    return connection.response()


def test_connections_beyond_the_limit_wait(gilkeeper: Start, closing: Closing) -> None:
    """Reported: with as many clients as a front may have descriptors, a restarted worker got no link and static files were a 500.

    Met on a server with many kept-alive clients. The log had twenty lines a second.
    """
    server = gilkeeper([APPS / "probes.py"], CONF, descriptors=256)
    front = server.front()
    most = resource.prlimit(front, resource.RLIMIT_NOFILE)[0]
    assert most == 256
    # More than there are descriptors: the kernel keeps those that the front does not accept.
    clients = [closing(server.connect(60)) for _ in range(300)]
    said = server.wait_log(r"GK0014: .*")[0]
    assert "256" in said and "LimitNOFILE" in said
    first, last = clients[0], clients[-1]
    last.send(client.message("GET", "/single"))
    before = cpu(front)
    # Those that are in go on, whatever they ask for: files and bodies on disk need a descriptor too.
    assert asked(first, "/sleep?seconds=2").body == b"slept"
    assert asked(first, "/static").status == 200
    first.send(client.message("POST", "/count", {"Content-Length": "300000"}) + b"b" * 300_000)
    assert first.response().json["length"] == 300_000
    assert cpu(front) - before < 1.0
    assert len([line for line in server.log().splitlines() if "GK0014" in line]) == 1
    assert descriptors(front) < most
    # A new worker takes the place of one that dies.
    worker = asked(first, "/where").json["pid"]
    os.kill(worker, signal.SIGKILL)
    until(lambda: (answer := asked(first, "/where")).status == 200 and answer.json["pid"] != worker, "a new worker serves")
    # Who leaves makes room.
    for connection in clients[:150]:
        connection.close()
    assert last.response().status == 200
    for connection in clients[150:]:
        assert asked(connection).status == 200


def test_a_limit_that_is_reached_within(gilkeeper: Start, closing: Closing) -> None:
    """Reported: with as many clients as a front may have descriptors, a restarted worker got no link and static files were a 500.

    Here the limit of the running front is lowered below what it has open.
    """
    server = gilkeeper([APPS / "probes.py"], CONF)
    front = server.front()
    inside = closing(server.connect(60))
    assert asked(inside).status == 200
    before = resource.prlimit(front, resource.RLIMIT_NOFILE)
    resource.prlimit(front, resource.RLIMIT_NOFILE, (descriptors(front), before[1]))
    used = cpu(front)
    waiting = [closing(server.connect(60)) for _ in range(5)]
    for connection in waiting:
        connection.send(client.message("GET", "/single"))
    server.wait_log("GK0014")
    assert asked(inside, "/sleep?seconds=2").body == b"slept"
    # Without a descriptor there is no file, for the time being.
    assert asked(inside, "/static").status == 503
    inside.send(client.message("POST", "/count", {"Content-Length": "300000"}) + b"b" * 300_000)
    refused = inside.response()
    assert (refused.status, refused.get("Retry-After")) == (503, "1")
    assert len([line for line in server.log().splitlines() if "GK0014" in line]) == 1
    assert cpu(front) - used < 1.0
    resource.prlimit(front, resource.RLIMIT_NOFILE, before)
    for connection in waiting:
        assert connection.response().status == 200
