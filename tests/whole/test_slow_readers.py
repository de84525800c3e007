"""Clients that ask for much and read little, or nothing: the others are served, and every byte arrives in the end."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import client
import harness
import pytest
from harness import free_port, until
from running import MEGABYTE, Gilkeeper, descriptors, memory

Start = Callable[..., Gilkeeper]
APPLICATION = '''
import hashlib, itertools

BLOCKS = [hashlib.shake_128(b"%d" % n).digest(65536) for n in range(64)]


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    path = environ["PATH_INFO"]
    if path == "/one-piece":
        return [b"".join(BLOCKS)]
    return BLOCKS if path == "/large" else itertools.cycle(BLOCKS) if path == "/endless" else [b"quick"]
'''
LARGE = b"".join(hashlib.shake_128(b"%d" % number).digest(65536) for number in range(64))
CONF = """
WSGIDaemonProcess slow processes=2 threads=4 %s
WSGIScriptAlias / ${APP}/slow.py process-group=slow application-group=%%{GLOBAL}
"""


@pytest.fixture
def application(tmp_path: Path) -> Path:
    file = tmp_path / "slow.py"
    file.write_text(APPLICATION)
    return file


class Reader(client.Connection):
    """A client for which the kernel keeps few bytes."""

    def __init__(self, port: int, target: str, address: str = "127.0.0.1") -> None:
        self.socket, self.buffer = socket.socket(), b""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(60)
        self.socket.bind((address, 0))
        self.socket.connect(("127.0.0.1", port))
        self.send(client.message("GET", target))


@pytest.fixture
def readers() -> Iterator[Callable[..., list[Reader]]]:
    made: list[Reader] = []

    def make(number: int, server: Gilkeeper, target: str, address: str = "127.0.0.1") -> list[Reader]:
        fresh = [Reader(server.port, target, address) for _ in range(number)]
        made.extend(fresh)
        return fresh

    yield make
    for reader in made:
        reader.close()


def spooled(server: Gilkeeper) -> int:
    """Bytes on disk of files without a name that the processes with the clients have open."""
    found = 0
    for link in [link for pid in server.speakers() for link in descriptors(pid).iterdir()]:
        try:
            # Memory files have no blocks of a disk and are deleted, too.
            if os.readlink(link).endswith(" (deleted)") and "memfd:" not in os.readlink(link):
                found += os.stat(link).st_blocks * 512
        except FileNotFoundError:
            continue
    return found


def test_clients_that_read_nothing_hold_no_request_thread(gilkeeper: Start, application: Path, readers: Callable[..., list[Reader]]) -> None:
    """Reported: sixteen clients that asked for 4 MB and read nothing stopped a site of two processes with four threads.

    Met with slow links and with clients that stop reading on purpose. Reported later: pages that are one piece held their threads all the same.
    """
    server = gilkeeper([application], CONF % "")
    slow = readers(16, server, "/large") + readers(16, server, "/one-piece")
    for _ in range(50):
        assert server.ask("/", timeout=15.0).body == b"quick"
    until(lambda: sum(one["busy"] for one in server.status()["workers"]) == 0, "no response holds a request thread")
    for reader in slow:
        answer = reader.response()
        assert answer.complete and answer.body == LARGE
    until(lambda: spooled(server) == 0, "the disk's space is given back")


def test_responses_without_an_end_are_paced(gilkeeper: Start, application: Path, readers: Callable[..., list[Reader]]) -> None:
    """They hold their request threads, and no more memory and disk than they may."""
    server = gilkeeper([application], CONF % f"response-buffer-size={MEGABYTE} response-spool-size={4 * MEGABYTE}")
    before = {pid: memory(pid) for pid in (server.front(), *server.workers())}
    # In embedded mode they may all come to one process, which has four threads and lets one address have three.
    count = 3 if harness.ENGINE == "embedded" else 6
    slow = readers(count, server, "/endless")
    until(lambda: spooled(server) >= count * 4 * MEGABYTE, "the files are full", 40)
    for _ in range(50):
        (other,) = readers(1, server, "/", "127.0.0.2")
        other.socket.settimeout(15)
        assert other.response().body == b"quick"
        other.close()
    assert spooled(server) <= count * 5 * MEGABYTE
    grown = {pid: memory(pid) - size for pid, size in before.items()}
    # In embedded mode the front sends from the application's own memory, of which it may hold 16 MiB (gk_python's `kept/lent.rs`).
    most = (40 if harness.ENGINE == "embedded" else 24) * MEGABYTE
    assert all(size <= most for size in grown.values()), grown
    for reader in slow:
        reader.reset()
    until(lambda: spooled(server) == 0, "the disk's space is given back")
    until(lambda: sum(one["busy"] for one in server.status()["workers"]) == 0, "the requests were cancelled")


def test_one_address_never_holds_all_request_threads(gilkeeper: Start, application: Path, readers: Callable[..., list[Reader]]) -> None:
    """Sixteen responses without an end at once, eight threads: a client of another address is served, those of the slow one wait."""
    server = gilkeeper([application], CONF % f"response-spool-size={MEGABYTE}")
    slow = readers(16, server, "/endless")
    for reader in slow[:2]:
        assert reader.head().status == 200
    for _ in range(20):
        (other,) = readers(1, server, "/", "127.0.0.2")
        assert other.response().body == b"quick"
        other.close()
    for reader in slow:
        reader.reset()
    until(lambda: sum(one["busy"] for one in server.status()["workers"]) == 0, "the requests were cancelled")


ONE = """
WSGIDaemonProcess slow processes=1 threads=1 response-spool-size=1048576
WSGIScriptAlias / ${APP}/slow.py process-group=slow application-group=%{GLOBAL}
"""


def test_one_client_never_holds_the_only_request_thread(gilkeeper: Start, application: Path, readers: Callable[..., list[Reader]]) -> None:
    """Reported: one response without an end that its client does not read held the only thread of a site until Timeout.

    Met with a site of one process with one thread; here the client asks again and again, with many requests at once.
    """
    server = gilkeeper([application], ONE, admin=free_port())
    server.wait_workers(1)
    slow = readers(12, server, "/endless")
    until(lambda: sum(one["busy"] for one in server.status()["workers"]) == 1, "the thread is busy")
    for _ in range(10):
        (other,) = readers(1, server, "/", "127.0.0.2")
        other.socket.settimeout(10)
        assert other.response().body == b"quick"
        other.close()
        slow += readers(1, server, "/endless")
    log = server.error_log.read_text()
    assert "GK0025" in log and "127.0.0.1" in log and "process group 'slow'" in log, log
    # An ordinary response reaches a client of the same address, who has nothing to do with it, whole.
    for reader in slow:
        reader.reset()
    (honest,) = readers(1, server, "/large")
    answer = honest.response()
    assert answer.complete and answer.body == LARGE
    figures = f"http://127.0.0.1:{server.admin}/metrics"
    counted = re.compile(r'^gilkeeper_responses_total\{[^}]*reason="unread"[^}]*\} [1-9]', re.M)
    until(lambda: counted.search(urllib.request.urlopen(figures, timeout=20).read().decode()), "the cut responses are counted", 20)


@pytest.mark.of_daemon_mode("each process has a part of the spool, and may give one whole response of it to a client")
def test_one_client_has_a_quarter_of_the_spool(gilkeeper: Start, application: Path, readers: Callable[..., list[Reader]]) -> None:
    """Reported: for the seconds in which endless responses of one address filled the spool, they held all threads of a site."""
    conf = f"GilkeeperResponseSpool {64 * MEGABYTE}\n" + CONF % f"response-spool-size={16 * MEGABYTE}"
    server = gilkeeper([application], conf)
    readers(16, server, "/endless")
    until(lambda: spooled(server) >= 15 * MEGABYTE, "its part is full", 30)
    for _ in range(20):
        (other,) = readers(1, server, "/", "127.0.0.2")
        other.socket.settimeout(10)
        assert other.response().body == b"quick"
        other.close()
        # Each file may be some blocks larger than what was reserved. Each of several fronts may give a client one whole response.
        assert spooled(server) <= (2 if harness.ENGINE == "fronts" else 1) * 18 * MEGABYTE
