"""Requests that fork: the child ends where it comes back to the server, in each GIL mode that this Python has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import harness
import pytest
from running import Gilkeeper

Start = Callable[..., Gilkeeper]
FILES = [Path(__file__).parent / "forks.py"]

# CPython does not support a fork of the main interpreter in a process that has others, so the other one has a process group of its own.
GROUPS = """
WSGIDaemonProcess one threads=4
WSGIDaemonProcess isolated threads=2
<WSGIInterpreterOptions process-group=isolated application-group=own>
    WSGIPerInterpreterGIL On
</WSGIInterpreterOptions>
WSGIScriptAlias /main ${APP}/forks.py process-group=one application-group=%{GLOBAL}
WSGIScriptAlias /own ${APP}/forks.py process-group=isolated application-group=own
"""


@pytest.mark.of_daemon_mode("its site has two process groups, and embedded mode has one")
def test_a_child_that_comes_back_ends_and_the_worker_goes_on(gilkeeper: Start) -> None:
    """Reported: a child that returned, raised or called sys.exit served on as a second worker and outlived the server."""
    server = gilkeeper(FILES, GROUPS)
    pid = server.ask("/main/pid").body
    for way, status in (("return", b"0"), ("raise", b"1"), ("exit", b"3")):
        # More than there are threads: each has forked.
        for _ in range(8):
            assert server.ask(f"/main/{way}").body == status
    # It is CPython that refuses.
    first = server.ask("/own/return").body
    assert first not in (b"", b"of a child")
    assert server.ask("/own/return").body == first
    assert server.ask("/main/pid").body == pid
    # Of each thread: a request thread has forked.
    children = "".join(file.read_text() for file in Path(f"/proc/{int(pid)}/task").glob("*/children"))
    assert children == ""
    worker = next(one for one in server.status()["workers"] if one["pid"] == int(pid))
    assert worker["requests"] == 2 + 3 * 8
    harness.until(lambda: server.log().count("its child returned from the WSGI call") >= 8, "each is in the log")
