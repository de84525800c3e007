"""More requests than request threads, and requests that kill their workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from harness import until
from running import Gilkeeper, Wrk

Start = Callable[..., Gilkeeper]
SCRIPT = """
import os
import signal
import time


def application(environ, start_response):
    if environ["PATH_INFO"] == "/crash":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.005)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
"""


def site(gilkeeper: Start, folder: Path, options: str = "") -> Gilkeeper:
    (folder / "busy.py").write_text(SCRIPT)
    conf = f"""
WSGIDaemonProcess site processes=2 threads=4 {options}
WSGIScriptAlias / ${{APP}}/busy.py process-group=site application-group=%{{GLOBAL}}
"""
    server = gilkeeper([folder], conf)
    server.wait_workers(2)
    return server


def test_a_burst_is_queued_and_not_refused(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported: of 256 clients of 8 request threads, 83 % met 503."""
    server = site(gilkeeper, tmp_path)
    with Wrk(f"http://127.0.0.1:{server.port}/", 256) as wrk:
        until(lambda: len(server.access()) > 3000, "the load goes on", 30)
        load = wrk.end()
    assert load.requests > 1000 and (load.refused, load.socket_errors) == (0, 0), load.text
    queue = server.status()["front"]["queues"]["site"]
    assert (queue["overloaded"], queue["full"], queue["timed_out"]) == (False, 0, 0)


def test_a_full_queue_is_shown(gilkeeper: Start, tmp_path: Path) -> None:
    server = site(gilkeeper, tmp_path, "queue-memory=1048576")
    with Wrk(f"http://127.0.0.1:{server.port}/", 256) as wrk:
        until(lambda: server.status()["front"]["queues"]["site"]["overloaded"], "the group is overloaded", 30)
        assert "process group 'site' is overloaded" in server.tell("status").stdout
        load = wrk.end()
    assert load.refused > 0 and load.socket_errors == 0, load.text
    server.wait_log("GK0030")
    # In embedded mode each process has a queue.
    assert 1 <= server.log().count("GK0030") <= len(server.speakers()), "thousands of refusals are one line"


@pytest.mark.of_daemon_mode("the connection ends with the process that serves it, and with it the list of routes")
def test_a_route_that_kills_workers_is_named(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported: a request that kills its worker again and again was one line among many."""
    server = site(gilkeeper, tmp_path)

    def named() -> bool:
        assert server.ask("/crash", timeout=60.0).status in (502, 503)
        return "GK0032" in server.log()

    until(named, "the route is named", 60)
    server.wait_log("while they serve GET /crash")
    assert server.ask("/", timeout=60.0).body == b"ok"
    [deadly] = server.status()["front"]["queues"]["site"]["deadly"]
    assert deadly["route"] == "GET /crash" and deadly["deaths"] >= 3
    assert "die again and again while they serve GET /crash" in server.tell("status").stdout
