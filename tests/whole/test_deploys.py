"""Reloads, kills and broken deploys under load: none of them may cost a request."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import APPS, ENGINE, until
from running import Gilkeeper, Wrk

Start = Callable[..., Gilkeeper]
THREADS = 5
# Without byte code: two releases of one second and one length look alike to Python's cache.
CONF = f"""
WSGIDontWriteBytecode On
WSGIDaemonProcess site processes=2 threads={THREADS} home=${{APP}}
WSGIScriptAlias / ${{APP}}/deployed.py process-group=site application-group=%{{GLOBAL}}
"""
SCRIPT = """
import release
import time


def application(environ, start_response):
    time.sleep(0.001)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(release.NAME)))])
    return [release.NAME]
"""



def deployed(gilkeeper: Start, folder: Path, options: str = "") -> Gilkeeper:
    """A server on a script that imports a release. `options`: more options of the process group."""
    (folder / "deployed.py").write_text(SCRIPT)
    (folder / "release.py").write_text('NAME = b"first"\n')
    server = gilkeeper([folder], CONF.replace("home=", f"{options} home="))
    server.wait_workers(2)
    return server


def test_ten_reloads_cost_no_request(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported of embedded mode: the first connection after `gilkeeper reload` could still have the old code."""
    server = deployed(gilkeeper, tmp_path)
    with Wrk(f"http://127.0.0.1:{server.port}/") as wrk:
        until(lambda: len(server.access()) > 100, "the load has begun")
        for number in range(10):
            before = set(server.workers())
            (server.root / "app" / "release.py").write_text(f'NAME = b"release {number}"\n')
            told = server.tell("reload")
            assert told.returncode == 0, told.stderr
            assert server.ask("/").body == f"release {number}".encode()
            assert not before & set(server.workers())
        load = wrk.end()
    assert load.requests > 0 and (load.refused, load.socket_errors) == (0, 0), load.text
    left = 6 if ENGINE == "fronts" else 4
    until(lambda: len(server.pids()) == left, "supervisor, front and new workers are left", 20)


def half_sent(client: socket.socket, path: str) -> None:
    """Sends a POST of 8 bytes but for the last four, and waits for its head to be read and routed before."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 8\r\nExpect: 100-continue\r\n\r\n"
    client.sendall(head.encode())
    interim = b""
    while not interim.endswith(b"\r\n\r\n"):
        interim += client.recv(1)
    assert interim.startswith(b"HTTP/1.1 100 "), interim
    client.sendall(b"half")


def test_a_group_that_a_reload_renames_serves_what_was_under_way(gilkeeper: Start) -> None:
    """Met: a request whose body was still being sent got 503 after connect-timeout, as its group had no worker any more."""
    conf = "WSGIDaemonProcess {0} threads=2 connect-timeout=1\nWSGIScriptAlias / ${{APP}}/probes.py process-group={0} application-group=%{{GLOBAL}}\n"
    server = gilkeeper([APPS / "probes.py"], conf.format("before"))
    server.wait_workers(1)
    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        half_sent(client, "/echo")
        (server.root / "site.conf").write_text(conf.format("after"))
        told = server.tell("reload")
        assert told.returncode == 0, told.stderr
        assert server.ask("/where").json["process_group"] == "after"
        client.sendall(b"rest")
        answer = b""
        while block := client.recv(1 << 16):
            answer += block
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    # Nothing needs the old one any more.
    server.wait_workers(1)


GONE = """
import pathlib, time
HERE = pathlib.Path(__file__).parent
RELEASE = b"first"
def application(environ, start_response):
    body = RELEASE + b" %d" % len(environ["wsgi.input"].read())
    while environ["PATH_INFO"] == "/endless" and not (HERE / "go").exists():
        time.sleep(0.01)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


def test_the_workers_of_a_group_that_a_reload_renames_have_their_graceful_timeout(gilkeeper: Start, tmp_path: Path) -> None:
    """Met: nothing bounded them, so one request that hung kept the process of a group that was gone for ever."""
    (tmp_path / "wsgi.py").write_text(GONE)
    conf = "WSGIDaemonProcess {0} threads=2 graceful-timeout=1 shutdown-timeout=1\nWSGIScriptAlias / ${{APP}}/wsgi.py process-group={0} application-group=%{{GLOBAL}}\n"
    server = gilkeeper([tmp_path / "wsgi.py"], conf.format("before"))
    [old] = server.wait_workers(1)
    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(lambda: sum(one["busy"] for one in server.status()["workers"]) == 1, "it runs", 20)
        (server.root / "site.conf").write_text(conf.format("after"))
        told = server.tell("reload")
        assert told.returncode == 0, told.stderr
        until(lambda: old not in {one["pid"] for one in server.status()["workers"]}, "the old process has left", 20)
    assert server.ask("/").body == b"first 0"


def test_a_renamed_group_serves_its_loaded_code_where_the_script_has_changed_too(gilkeeper: Start, tmp_path: Path) -> None:
    """A request under way is served by the old group's process, and that loads no new code for it: nobody would take it otherwise."""
    (tmp_path / "wsgi.py").write_text(GONE)
    conf = "WSGIDaemonProcess {0} threads=2 connect-timeout=1\nWSGIScriptAlias / ${{APP}}/wsgi.py process-group={0} application-group=%{{GLOBAL}}\n"
    server = gilkeeper([tmp_path / "wsgi.py"], conf.format("before"))
    server.wait_workers(1)
    assert server.ask("/").body == b"first 0"
    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        half_sent(client, "/")
        (server.root / "site.conf").write_text(conf.format("after"))
        (server.root / "app/wsgi.py").write_text(GONE.replace("first", "second"))
        told = server.tell("reload")
        assert told.returncode == 0, told.stderr
        until(lambda: server.ask("/").body == b"second 0", "the new code answers", 20)
        client.sendall(b"rest")
        answer = b""
        while block := client.recv(1 << 16):
            answer += block
    # The change alone reloads the group as well, on a busy machine before the command does.
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith((b"first 8", b"second 8")), answer
    server.wait_workers(1)


@pytest.mark.of_daemon_mode("the connection ends with the process that serves it, and nobody can try its request again")
def test_kills_under_load_cost_no_get(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported: each kill of a worker was a 502 for every request in it, also for those that are safe to repeat."""
    server = deployed(gilkeeper, tmp_path)
    retried = kills = 0
    with Wrk(f"http://127.0.0.1:{server.port}/") as wrk:
        until(lambda: len(server.access()) > 100, "the load has begun")
        # Three, and more if all of them met a worker without a request.
        while kills < 3 or (retried == 0 and kills < 30):
            server.wait_workers(2)
            status = server.status()
            has = status["front"]["in_flight"]
            victim = max(status["workers"], key=lambda worker: has.get(str(worker["worker"]), 0))["pid"]
            os.kill(victim, signal.SIGKILL)
            kills += 1
            until(lambda gone=victim: gone not in (left := server.workers()) and len(left) == 2, "a new worker is ready", 30)
            # A front that has no time to answer leaves its part out.
            retried = server.status()["front"]["queues"].get("site", {}).get("retried", retried)
        load = wrk.end()
    assert load.requests > 0 and (load.refused, load.socket_errors) == (0, 0), load.text
    retried = server.status()["front"]["queues"]["site"]["retried"]
    assert 0 < retried <= kills * THREADS
    until(lambda: server.log().count("GK0031") >= retried, "each is in the log")
    assert server.log().count("GK0031") == retried


@pytest.mark.of_daemon_mode("the connection ends with the process that serves it")
def test_kills_without_retry_cost_only_what_was_in_flight(gilkeeper: Start, tmp_path: Path) -> None:
    server = deployed(gilkeeper, tmp_path, "retry=off")
    with Wrk(f"http://127.0.0.1:{server.port}/") as wrk:
        until(lambda: len(server.access()) > 100, "the load has begun")
        os.kill(gone := server.wait_workers(2)[0], signal.SIGKILL)
        until(lambda: gone not in (left := server.workers()) and len(left) == 2, "a new worker is ready", 30)
        load = wrk.end()
    assert load.socket_errors == 0, load.text
    assert load.refused <= THREADS, load.text
    until(lambda: sum(" 502 " in line for line in server.access()) == load.refused, "each failure is a 502 in the access log")


def test_a_broken_deploy_changes_nothing(gilkeeper: Start, tmp_path: Path) -> None:
    server = deployed(gilkeeper, tmp_path)
    before = sorted(server.workers())
    with Wrk(f"http://127.0.0.1:{server.port}/") as wrk:
        until(lambda: len(server.access()) > 100, "the load has begun")
        (server.root / "app" / "release.py").write_text("NAME = b'broken\n")
        told = server.tell("reload")
        load = wrk.end()
    assert told.returncode == 1
    assert "SyntaxError" in told.stdout + told.stderr and "release.py" in told.stdout + told.stderr
    until(lambda: "SyntaxError" in server.log() + server.console(), "the log tells, too")
    assert (load.refused, load.socket_errors) == (0, 0), load.text
    assert sorted(server.workers()) == before
    assert server.ask("/").body == b"first"


def test_hup_reloads(gilkeeper: Start, tmp_path: Path) -> None:
    server = deployed(gilkeeper, tmp_path)
    (server.root / "app" / "release.py").write_text('NAME = b"second"\n')
    assert server.process is not None
    server.process.send_signal(signal.SIGHUP)
    until(lambda: server.ask("/").body == b"second", "the new release answers", 20)


def test_usr1_replaces_the_workers_without_a_failure(gilkeeper: Start, tmp_path: Path) -> None:
    server = deployed(gilkeeper, tmp_path)
    with Wrk(f"http://127.0.0.1:{server.port}/", 16) as wrk:
        until(lambda: len(server.access()) > 100, "the load has begun")
        before = set(server.workers())
        assert server.process is not None
        server.process.send_signal(signal.SIGUSR1)
        until(lambda: len(found := set(server.workers())) == 2 and not found & before, "two new workers are ready", 30)
        load = wrk.end()
    assert (load.refused, load.socket_errors) == (0, 0), load.text


def test_a_touched_script_restarts_its_group_without_a_failure(gilkeeper: Start, tmp_path: Path) -> None:
    server = deployed(gilkeeper, tmp_path)
    with Wrk(f"http://127.0.0.1:{server.port}/", 16) as wrk:
        until(lambda: len(server.access()) > 100, "the load has begun")
        (server.root / "app" / "release.py").write_text('NAME = b"second"\n')
        os.utime(server.root / "app" / "deployed.py")
        until(lambda: server.ask("/").body == b"second", "the new release answers", 20)
        load = wrk.end()
    assert (load.refused, load.socket_errors) == (0, 0), load.text


def test_a_rewritten_module_restarts_its_group_without_a_failure(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported: after a refused deploy, a repair of the file with the mistake was not seen where only the refused workers had read it.

    Met with `reload-on-changes=On` and a mistake in a new module.
    """
    server = deployed(gilkeeper, tmp_path, "reload-on-changes=On")
    first, release = set(server.workers()), server.root / "app" / "release.py"

    def logged() -> str:
        return server.log() + server.console()

    with Wrk(f"http://127.0.0.1:{server.port}/", 16) as wrk:
        until(lambda: len(server.access()) > 100, "the load has begun")
        release.write_text('NAME = b"second"\n')
        until(lambda: server.ask("/").body == b"second", "the new release answers", 20)
        assert f"{release} changed: process group 'site' is reloaded" in logged()
        until(lambda: len(found := set(server.workers())) == 2 and not found & first, "both workers were replaced", 20)
        second = sorted(server.workers())
        # The mistake is in a file that only the new workers have read.
        (fresh := release.with_name("fresh.py")).write_text("NAME = b'broken\n")
        release.write_text("from fresh import NAME\n")
        until(lambda: "SyntaxError" in logged() and "reload refused" in logged(), "the broken release is refused", 20)
        until(lambda: sorted(server.workers()) == second, "the second release's workers are left", 20)
        assert server.ask("/").body == b"second"
        fresh.write_text('NAME = b"third"\n')
        until(lambda: server.ask("/").body == b"third", "the repaired release answers", 20)
        load = wrk.end()
    assert (load.refused, load.socket_errors) == (0, 0), load.text


def test_maximum_requests_under_load_cost_no_request(gilkeeper: Start, tmp_path: Path) -> None:
    (tmp_path / "deployed.py").write_text(SCRIPT)
    (tmp_path / "release.py").write_text('NAME = b"first"\n')
    server = gilkeeper([tmp_path], CONF.replace("home=", "maximum-requests=500 home="))
    first = set(server.wait_workers(2))
    with Wrk(f"http://127.0.0.1:{server.port}/", 16) as wrk:
        until(lambda: len(found := set(server.workers())) == 2 and not found & first, "both workers were replaced", 60)
        load = wrk.end()
    assert (load.refused, load.socket_errors) == (0, 0), load.text
