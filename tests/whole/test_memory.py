"""Memory of a worker beyond that of a bare Python, and memory of the front.

Private memory counts. How many of the extension module's clean pages count as resident is decided by the kernel, which maps as
much around a touched page as the page cache holds in one piece; they are shared by all processes of the server, and in the
unoptimised module of the tests there are several times more of them than in a release. Neither do the pages count that the
loader of shared objects writes: the module's table of addresses takes 0.3 MB in a release and 2 MB without optimisation.
"""

from __future__ import annotations

import re
import resource
import socket
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import client
import harness
from harness import APPS, ENGINE, until
from running import MEGABYTE, Gilkeeper

Start = Callable[..., Gilkeeper]
# A worker imports these, too.
BARE = "import sys, threading, importlib.util; sys.path.insert(0, sys.argv[1]); import hello; print('ready', flush=True); sys.stdin.read()"


def private(pid: int) -> int:
    """Private bytes of a process, without those of our module that are read-only: another server that begins or ends beside this one makes
    them shared or private."""
    text, total = Path(f"/proc/{pid}/smaps").read_text(), 0
    for mapping in re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", text, flags=re.M):
        if not re.match(r"\S+ r-[x-]p .*/_native\.", mapping):
            total += sum(int(number) for number in re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+) kB", mapping, re.M))
    return total * 1024


def settles(pid: int, most: int) -> None:
    """Waits until a process has given back what it does not need, and then has at most so many private bytes."""
    seen: list[int] = []
    try:
        until(lambda: seen.append(private(pid)) or seen[-1] <= most, "memory is given back")
    except AssertionError:
        assert seen[-1] <= most


def test_memory_after_the_first_requests(gilkeeper: Start) -> None:
    server = gilkeeper([APPS / "hello.py"], arguments=["{app}/hello.py", "--processes", "2", "--threads", "5"])
    for _ in range(100):
        assert server.ask("/").status == 200
    python = str(Path(harness.gilkeeper()).parent / "python")
    pipe = subprocess.PIPE
    # Two, as there are two workers: what both map is nobody's own.
    bare = [subprocess.Popen([python, "-c", BARE, str(APPS)], stdin=pipe, stdout=pipe) for _ in range(2)]
    try:
        for process in bare:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        alone = private(bare[0].pid)
    finally:
        for process in bare:
            process.communicate(b"")
    workers = [private(pid) for pid in server.workers()]
    # In embedded mode each has a front.
    most = 6 if server.is_embedded() else 2
    assert max(workers) <= alone + most * MEGABYTE, (workers, alone)
    assert private(server.front()) <= 25 * MEGABYTE


IDLE = """
KeepAliveTimeout 300
WSGIDaemonProcess one threads=4
WSGIScriptAlias / ${APP}/probes.py process-group=one application-group=%{GLOBAL}
"""


def test_idle_connections_take_little_and_give_it_back(gilkeeper: Start) -> None:
    """Reported: 6.9 KiB of the front for each idle connection, most of it buffers that were free and not given back.

    Met with thousands of kept-alive clients. The unoptimised module of the tests has larger futures than a release.
    """
    number = 4_000
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    server = gilkeeper([APPS / "probes.py"], IDLE)
    (front,) = server.speakers()
    request = client.message("GET", "/single")
    server.ask("/single")
    before = private(front)
    with ExitStack() as stack:
        for _ in range(number):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            connection.sendall(request)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        settles(front, before + number * 4096)
    # In embedded mode the memory of connections lies among that of the application's objects: pages that hold both stay.
    settles(front, before + (3 if ENGINE == "embedded" else 1) * MEGABYTE)


def test_memory_of_half_sent_bodies_is_what_came_and_goes_back(gilkeeper: Start) -> None:
    """Reported: 263 KB of the front for each body of 200 kB that was half sent, never given back.

    Met with slow uploads on a small machine.
    """
    number = 300
    server = gilkeeper([APPS / "probes.py"], IDLE)
    (front,) = server.speakers()
    server.ask("/single")
    before = private(front)
    head = client.message("POST", "/count", {"Content-Length": "200000"})
    with ExitStack() as stack:
        for _ in range(number):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            connection.sendall(head + b"b" * 100_000)
        until(lambda: private(front) - before >= number * 90_000, "the bodies came")
        settles(front, before + number * 180_000)
    settles(front, before + 4 * MEGABYTE)
