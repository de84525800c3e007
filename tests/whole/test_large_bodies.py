"""A hundred megabytes up and down through one request thread, with flat memory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import client
import pytest
from harness import APPS
from running import MEGABYTE, Gilkeeper, memory, reset_peak

Start = Callable[..., Gilkeeper]
SIZE = 100 * MEGABYTE
CONF = """
LimitRequestBody 0
WSGIChunkedRequest On
WSGIDaemonProcess large processes=1 threads=1
WSGIScriptAlias / ${APP}/probes.py process-group=large application-group=%{GLOBAL}
"""
# Bytes of one body that the front may hold in memory, beside its usual memory.
FRONT_GROWTH = 16 * MEGABYTE
WORKER_GROWTH = 8 * MEGABYTE


class Watched:
    """The peaks of worker and front while a block of work is done."""

    def __init__(self, server: Gilkeeper) -> None:
        server.ask("/count", "POST", body=b"x" * MEGABYTE)
        server.ask(f"/large?size={MEGABYTE}")
        self.pids = {"worker": server.workers()[0], "front": server.front()}
        self.before = {name: memory(pid) for name, pid in self.pids.items()}
        for pid in self.pids.values():
            reset_peak(pid)

    def check(self, more: int = 0) -> None:
        """`more`: bytes that the worker may hold beside its ordinary growth."""
        grown = {name: memory(pid, "VmHWM") - self.before[name] for name, pid in self.pids.items()}
        assert grown["worker"] <= WORKER_GROWTH + more and grown["front"] <= FRONT_GROWTH, grown


@pytest.mark.parametrize("kind", ["length", "chunked"])
def test_up(gilkeeper: Start, kind: str) -> None:
    server = gilkeeper([APPS / "probes.py"], CONF)
    watched = Watched(server)
    block = b"u" * MEGABYTE
    with server.connect(120) as connection:
        if kind == "length":
            connection.send(client.message("POST", "/count", {"Content-Length": str(SIZE)}))
            for _ in range(SIZE // MEGABYTE):
                connection.send(block)
        else:
            connection.send(client.message("POST", "/count", {"Transfer-Encoding": "chunked"}))
            for _ in range(SIZE // MEGABYTE):
                connection.send(b"%x\r\n" % len(block) + block + b"\r\n")
            connection.send(b"0\r\n\r\n")
        answer = connection.response()
    assert answer.status == 200 and answer.json["length"] == SIZE
    watched.check()


def test_up_and_down_at_once(gilkeeper: Start) -> None:
    """Reported: an application that answers while it reads waited for ever, since the rest of the body was dropped.

    The response begins when the first piece of the body was read; the rest comes while it is under way.
    """
    server = gilkeeper([APPS / "probes.py"], CONF)
    body = bytes(range(256)) * (4 * MEGABYTE // 256)
    answer = server.ask("/relay", "POST", body=body, timeout=60.0)
    assert answer.status == 200 and answer.body == body


@pytest.mark.parametrize("target", [f"/large?size={SIZE}", f"/large?size={SIZE}&block={8 * MEGABYTE}"])
def test_down(gilkeeper: Start, target: str) -> None:
    server = gilkeeper([APPS / "probes.py"], CONF)
    watched = Watched(server)
    with server.connect(120) as connection:
        connection.send(client.message("GET", target))
        assert connection.head().get("Content-Length") == str(SIZE)
        left = SIZE
        while left:
            block, whole = connection.exactly(min(left, MEGABYTE))
            assert whole
            left -= len(block)
    # A block of 8 MiB is the application's own memory, and half of one on its way through.
    watched.check(2 * 8 * MEGABYTE if "block" in target else 0)


def test_a_reader_that_stands_still_costs_no_memory(gilkeeper: Start) -> None:
    """A client that stops reading costs neither front nor worker memory, and the others none of their time."""
    server = gilkeeper([APPS / "probes.py"], CONF.replace("threads=1", "threads=3"))
    watched = Watched(server)
    with server.connect(120) as connection:
        connection.send(client.message("GET", f"/large?size={SIZE}"))
        assert connection.head().status == 200
        for _ in range(200):
            assert server.ask("/single").status == 200
        watched.check()


def test_slow_uploads_hold_no_request_thread(gilkeeper: Start) -> None:
    """Thirty clients in mid-upload, one request thread, and a quick request is answered at once."""
    server = gilkeeper([APPS / "probes.py"], CONF)
    uploads = [server.connect() for _ in range(30)]
    for connection in uploads:
        connection.send(client.message("POST", "/echo", {"Content-Length": "4"}) + b"ab")
    assert server.ask("/single").body == b"exactly one block"
    for connection in uploads:
        connection.send(b"cd")
    assert {connection.response().body for connection in uploads} == {b"abcd"}
    for connection in uploads:
        connection.close()


def sleeps(pid: int) -> int:
    """Times that the request threads of a worker have waited for something."""
    tasks = [task for task in Path(f"/proc/{pid}/task").iterdir() if (task / "comm").read_text().startswith("request-")]
    assert tasks
    return sum(int((task / "status").read_text().split("\nvoluntary_ctxt_switches:")[1].split()[0]) for task in tasks)


@pytest.mark.parametrize(
    ("method", "target", "body"), [("GET", f"/large?size={MEGABYTE}&block={MEGABYTE}", b""), ("POST", "/count", b"x" * 100_000)]
)
def test_a_large_body_passes_in_one_piece(gilkeeper: Start, method: str, target: str, body: bytes) -> None:
    """Reported: a response of 1 MB in one block put its request thread to sleep 33 times, as it went through a ring of 64 KiB.

    The thread sleeps once after each request, and may meet a lock now and then.
    """
    server = gilkeeper([APPS / "probes.py"], CONF)
    assert server.ask("/single").status == 200
    (worker,) = server.workers()
    with server.connect(60) as connection:
        message = client.message(method, target, {"Content-Length": str(len(body))} if body else {}) + body
        for count in (5, 50):
            before = sleeps(worker)
            for _ in range(count):
                connection.send(message)
                assert connection.response().status == 200
    assert sleeps(worker) - before <= 4 * 50


def test_many_streams_at_once_come_to_their_end(gilkeeper: Start, tmp_path: Path) -> None:
    """Met: where the link was full, the last frame of a response was lost, and client and front waited for it."""
    (tmp_path / "wsgi.py").write_text(
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return (b'x' * 20_000 for _ in range(50))\n"
    )
    server = gilkeeper([tmp_path / "wsgi.py"], arguments=["{app}/wsgi.py", "--threads", "3"])

    def ask(_: int) -> int:
        return len(server.ask("/", timeout=60).body)

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(ask, range(120))) == [1_000_000] * 120
