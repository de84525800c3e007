"""Several processes that speak HTTP send requests to the same workers: `--fronts`, and daemon groups beside the embedded one."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import client
import pytest
from client import message
from harness import free_port, until
from running import Gilkeeper

pytestmark = pytest.mark.of_daemon_mode("it asks for the arrangement that it tests")

Start = Callable[..., Gilkeeper]
# Tells which process answers, in which group, and how long the body was. `/slow` waits until there is a file `go`.
APPLICATION = """
import os, pathlib, time
HERE = pathlib.Path(__file__).parent
RELEASE = "first"
def application(environ, start_response):
    while environ["PATH_INFO"].endswith("/slow") and not (HERE / "go").exists():
        time.sleep(0.01)
    body = f"{os.getpid()} {environ['mod_wsgi.process_group']} {RELEASE} {len(environ['wsgi.input'].read())}".encode()
    if environ["PATH_INFO"] == "/brief":
        time.sleep(0.05)
    if environ["PATH_INFO"].endswith("/large"):
        body += b" " + b"x" * 3_000_000
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
FRONTS = ["{app}/wsgi.py", "--fronts", "2", "--processes", "2", "--threads", "2", "--graceful-timeout", "20", "--log-level", "info"]
BESIDE = """
GilkeeperEmbedded Beside
StartServers 2
ThreadsPerChild 2
WSGIDaemonProcess api processes=1 threads=2 graceful-timeout=20
WSGIScriptAlias /api ${APP}/wsgi.py process-group=api application-group=%{GLOBAL}
WSGIScriptAlias / ${APP}/wsgi.py process-group=%{GLOBAL} application-group=%{GLOBAL}
"""


def application(folder: Path) -> list[Path]:
    (folder / "wsgi.py").write_text(APPLICATION)
    return [folder / "wsgi.py"]


class Clients:
    """Ask on kept connections until they are told to end, and note what is no whole answer with 200."""

    def __init__(self, server: Gilkeeper, paths: list[str], number: int = 6) -> None:
        self.server, self.paths = server, paths
        self.ended, self.failures, self.answered = threading.Event(), [], 0
        self.threads = [threading.Thread(target=self.ask) for _ in range(number)]
        [one.start() for one in self.threads]

    def ask(self) -> None:
        while not self.ended.is_set():
            with self.server.connect() as connection:
                kept = True
                for path in self.paths * 1000:
                    if self.ended.is_set() or not kept:
                        break
                    body = b"y" * 100_000 if path.endswith("/up") else b""
                    try:
                        connection.send(message("POST" if body else "GET", path, {}, body))
                        response = connection.response()
                    except (client.Broken, OSError) as problem:
                        self.failures.append(f"{path}: {problem!r}")
                        break
                    if response.status != 200 or int(response.body.split()[3]) != len(body):
                        self.failures.append(f"{path}: {response.status} {response.body[:80]!r}")
                    self.answered += 1
                    kept = response.get("Connection") != "close"

    def wait(self, more: int = 200) -> None:
        """Waits for so many more answers."""
        wanted = self.answered + more
        until(lambda: self.answered >= wanted or not any(one.is_alive() for one in self.threads), f"{more} more answers", 30)

    def end(self) -> list[str]:
        self.ended.set()
        [one.join() for one in self.threads]
        return self.failures


def answer(server: Gilkeeper, path: str) -> tuple[int, str]:
    pid, group = server.ask(path).body.decode().split()[:2]
    return int(pid), group


def test_two_fronts_send_requests_to_each_worker_and_lose_none_in_kills_and_reloads(gilkeeper: Start, tmp_path: Path) -> None:
    server = gilkeeper(application(tmp_path), arguments=FRONTS)
    server.wait_workers(4)
    fronts, workers = set(server.workers("fronts")), set(server.workers("default"))
    assert len(fronts) == len(workers) == 2
    clients = Clients(server, ["/", "/up"])
    try:
        clients.wait()
        # A worker that dies: what it had not begun, and what may be asked again, goes to the other one.
        for _ in range(2):
            victim = server.workers("default")[0]
            os.kill(victim, signal.SIGKILL)
            until(lambda gone=victim: len(now := server.workers("default")) == 2 and gone not in now, "another one serves", 30)
            clients.wait(50)
    finally:
        failures = clients.end()
    # A POST that had begun in the killed process is not asked again.
    assert [one for one in failures if not one.startswith("/up: 50")] == []
    clients = Clients(server, ["/", "/up", "/large"])
    try:
        before = set(server.workers())
        for number in range(2):
            (server.root / "app/wsgi.py").write_text(APPLICATION.replace("first", f"release{number}"))
            told = server.tell("reload")
            assert told.returncode == 0, told.stderr
            # Whichever front takes the connection, and with one group reloaded alone, too.
            assert f"release{number}".encode() in server.ask("/").body
            clients.wait(50)
            (server.root / "app/wsgi.py").write_text(APPLICATION.replace("first", f"alone{number}"))
            told = server.tell("reload", "default")
            assert told.returncode == 0, told.stderr
            assert f"alone{number}".encode() in server.ask("/").body
            clients.wait(50)
        until(lambda: not before & {one["pid"] for one in server.status()["workers"]}, "the old processes have left", 30)
        assert b"alone1" in server.ask("/").body
    finally:
        assert clients.end() == []


def test_a_front_that_dies_takes_its_connections_and_no_worker(gilkeeper: Start, tmp_path: Path) -> None:
    server = gilkeeper(application(tmp_path), arguments=FRONTS)
    server.wait_workers(4)
    workers = set(server.workers("default"))
    with server.connect() as held:
        held.send(message("GET", "/slow"))
        until(lambda: sum(one["busy"] for one in server.status()["workers"]) == 1, "it runs", 20)
        for victim in server.workers("fronts"):
            os.kill(victim, signal.SIGKILL)
            until(lambda gone=victim: len(now := server.workers("fronts")) == 2 and gone not in now, "another front serves", 30)
            assert server.ask("/").status == 200
        with pytest.raises((client.Broken, OSError)):
            held.response()
    (server.root / "app/go").touch()
    until(lambda: sum(one["busy"] for one in server.status()["workers"]) == 0, "its request ends", 20)
    # No thread is lost with it.
    assert {answer(server, "/")[0] for _ in range(10)} <= workers
    assert set(server.workers("default")) == workers
    # A new front process has the same workers.
    os.kill(server.front(), signal.SIGKILL)
    until(lambda: server.status()["front"]["restarts"] == 1 and server.status()["front"]["state"] == "ready", "another front process", 30)
    assert {answer(server, "/")[0] for _ in range(10)} <= workers


def test_each_front_gets_its_turn_at_a_busy_worker(gilkeeper: Start, tmp_path: Path) -> None:
    options = ["{app}/wsgi.py", "--fronts", "2", "--processes", "1", "--threads", "1", "--log-level", "info"]
    server = gilkeeper(application(tmp_path), arguments=options)
    server.wait_workers(3)
    # Many connections: both fronts have some, and more requests than the one thread can hold.
    clients = Clients(server, ["/", "/up"], 24)
    try:
        clients.wait(1000)
    finally:
        failures = clients.end()
    assert failures == []
    until(lambda: not any(server.status()["front"]["queued"].values()), "nothing is left in a queue", 20)


def test_a_busy_worker_that_gave_requests_back_is_found_free_again(gilkeeper: Start, tmp_path: Path) -> None:
    """Met: what a worker had given back counted for the other front, and no request went there any more."""
    options = ["{app}/wsgi.py", "--fronts", "2", "--processes", "1", "--threads", "1", "--queue-timeout", "20", "--log-level", "info"]
    server = gilkeeper(application(tmp_path), arguments=options)
    server.wait_workers(3)
    for _ in range(3):
        clients = Clients(server, ["/brief"], 8)
        try:
            clients.wait(30)
        finally:
            failures = clients.end()
        assert failures == []
        assert server.ask("/").status == 200


def test_requests_that_a_busy_worker_gives_back_leave_the_queue_after_queue_timeout(gilkeeper: Start, tmp_path: Path) -> None:
    """Met: a request went to the worker again as soon as it came back, so it was never in the queue when the time was looked at."""
    options = ["{app}/wsgi.py", "--fronts", "2", "--processes", "1", "--threads", "2", "--queue-timeout", "3", "--log-level", "info"]
    server = gilkeeper(application(tmp_path), arguments=options)
    server.wait_workers(3)
    # From now on the fronts know how long a request takes.
    for _ in range(20):
        assert server.ask("/").status == 200
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(server.ask("/slow").status)) for _ in range(8)]
    try:
        [one.start() for one in threads]
        until(lambda: len(statuses) == 6, "all but those that run are refused", 30)
        assert statuses == [503] * 6
    finally:
        (server.root / "app/go").touch()
        [one.join() for one in threads]
    assert statuses[6:] == [200, 200]


def test_daemon_groups_stand_beside_the_embedded_one(gilkeeper: Start, tmp_path: Path) -> None:
    server = gilkeeper(application(tmp_path), BESIDE)
    server.wait_workers(3)
    embedded, daemon = set(server.workers("global")), set(server.workers("api"))
    assert (len(embedded), len(daemon)) == (2, 1)
    with server.connect() as connection:
        for path, group, pids in [("/", "global", embedded), ("/api", "api", daemon), ("/", "global", embedded), ("/api/up", "api", daemon)]:
            connection.send(message("POST", path, {}, b"y" * 300_000))
            pid, name, _, length = connection.response().body.split()
            assert (name.decode(), int(length)) == (group, 300_000) and int(pid) in pids
    clients = Clients(server, ["/", "/api/large", "/api/up"])
    try:
        clients.wait(50)
        for asked in (["reload"], ["reload", "api"], ["reload", "global"]):
            (server.root / "app/wsgi.py").write_text(APPLICATION.replace("first", "-".join(asked)))
            told = server.tell(*asked)
            assert told.returncode == 0, told.stderr
            clients.wait(50)
        # The script is one, so its change reloads both groups.
        until(lambda: all(b"reload-global" in server.ask(path).body for path in ("/", "/api")), "the new code answers", 20)
        requests = clients.answered
        until(lambda: server.status()["front"]["requests"] >= requests, "they are counted", 20)
    finally:
        assert clients.end() == []


RENAMED = """
{arrangement}
WSGIDaemonProcess {name} processes=1 threads=2 connect-timeout=1 graceful-timeout=20
WSGIScriptAlias /api ${{APP}}/wsgi.py process-group={name} application-group=%{{GLOBAL}}
"""


@pytest.mark.parametrize("arrangement", ["GilkeeperFronts 2", "GilkeeperEmbedded Beside\nStartServers 2"], ids=["fronts", "beside"])
def test_a_group_that_a_reload_renames_serves_the_clients_of_earlier_fronts(
    gilkeeper: Start, tmp_path: Path, arrangement: str
) -> None:
    """Met: its workers had left, so what clients of the earlier fronts were still sending, or sent next, got 503 after connect-timeout."""
    conf = RENAMED.replace("{arrangement}", arrangement)
    server = gilkeeper(application(tmp_path), conf.format(name="before"))
    server.wait_workers(3)
    with server.connect() as sending, server.connect() as begun:
        sending.send(message("POST", "/api/up", {}, b"y" * 8)[:-4])
        begun.send(b"GET /api HTTP/1.1\r\nHost: local")
        assert server.ask("/api").status == 200
        (server.root / "site.conf").write_text(conf.format(name="after"))
        told = server.tell("reload")
        assert told.returncode == 0, told.stderr
        until(lambda: answer(server, "/api")[1] == "after", "the new group answers", 20)
        for connection, rest, length in [(sending, b"yyyy", b"8"), (begun, b"host\r\n\r\n", b"0")]:
            connection.send(rest)
            response = connection.response()
            _, group, _, read = response.body.split()
            # The new one answers where a busy machine had not read anything yet.
            assert (response.status, read) == (200, length) and group in (b"before", b"after")
    # Nobody needs the old ones any more.
    until(lambda: len(server.status()["workers"]) == 3, "the earlier processes have left", 30)
    assert set(answer(server, "/api")[1] for _ in range(4)) == {"after"}


ARRANGED = """
{arrangement}
WSGIDaemonProcess site processes=2 threads=2 graceful-timeout=20
WSGIScriptAlias / ${{APP}}/wsgi.py process-group=site application-group=%{{GLOBAL}}
"""
SEVERAL, EMBEDDED, BESIDE_ONE = "GilkeeperFronts 2", "GilkeeperEmbedded On", "GilkeeperEmbedded Beside\nStartServers 2"


@pytest.mark.parametrize("first", ["", SEVERAL, EMBEDDED], ids=["daemon", "fronts", "embedded"])
def test_a_reload_to_other_processes_that_accept_connections_is_refused(gilkeeper: Start, tmp_path: Path, first: str) -> None:
    server = gilkeeper(application(tmp_path), ARRANGED.format(arrangement=first))
    until(lambda: server.ask("/").status == 200, "it serves")
    before = until(lambda: (found := server.workers()) and len(found) == (4 if first == SEVERAL else 2) and set(found), "all are ready", 30)
    words = {"": "one front", SEVERAL: "several fronts", EMBEDDED: "embedded mode"}
    for other in {"", SEVERAL, EMBEDDED} - {first}:
        (server.root / "site.conf").write_text(ARRANGED.format(arrangement=other))
        told = server.tell("reload")
        assert told.returncode != 0
        assert f"GilkeeperEmbedded or GilkeeperFronts changed, from {words[first]} to {words[other]}" in told.stderr, told.stderr
        assert server.ask("/").status == 200
        assert {one["pid"] for one in server.status()["workers"]} == before, "nothing was started for it"
    (server.root / "site.conf").write_text(ARRANGED.format(arrangement=first))
    told = server.tell("reload")
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize(
    "steps", [[SEVERAL, "GilkeeperFronts 3", SEVERAL], [EMBEDDED, BESIDE_ONE, EMBEDDED]], ids=["number-of-fronts", "beside"]
)
def test_a_reload_between_arrangements_that_are_alike_loses_no_request(gilkeeper: Start, tmp_path: Path, steps: list[str]) -> None:
    server = gilkeeper(application(tmp_path), ARRANGED.format(arrangement=steps[0]))
    until(lambda: server.ask("/").status == 200, "it serves")
    clients = Clients(server, ["/", "/up", "/large"])
    try:
        clients.wait(50)
        for step in steps[1:]:
            (server.root / "site.conf").write_text(ARRANGED.format(arrangement=step))
            told = server.tell("reload")
            assert told.returncode == 0, told.stderr
            clients.wait(100)
    finally:
        failures = clients.end()
    assert failures == []
    until(lambda: len(server.status()["workers"]) == (4 if steps[0] == SEVERAL else 2), "the earlier processes have left", 40)
    assert answer(server, "/")[1] == "site"


def test_a_stop_lets_a_request_in_a_daemon_group_end_that_came_through_an_embedded_process(
    gilkeeper: Start, tmp_path: Path
) -> None:
    server = gilkeeper(application(tmp_path), BESIDE)
    server.wait_workers(3)
    with server.connect() as one, server.connect() as two:
        one.send(message("GET", "/api/slow"))
        two.send(message("GET", "/slow"))
        until(lambda: sum(one["busy"] for one in server.status()["workers"]) == 2, "both run", 20)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: "the server stops" in server.console() + server.log(), "it stops", 20)
        (server.root / "app/go").touch()
        assert b" api " in one.response().body and b" global " in two.response().body
    assert server.process.wait(30) == 0


# What a process has that runs no application.
OF_A_FRONT = {
    "gilkeeper_process_context_switches_total",
    "gilkeeper_process_cpu_seconds_total",
    "gilkeeper_process_resident_memory_bytes",
    "gilkeeper_process_run_delay_seconds_total",
    "gilkeeper_worker_restarts_total",
}


def test_pages_and_commands_tell_of_fronts_what_a_front_has(gilkeeper: Start, tmp_path: Path) -> None:
    """Met: figures of requests, all 0, as if the fronts were workers; `front ready` while each of several fronts stood still."""
    admin = free_port()
    conf = "GilkeeperFrontTimeout 600\n" + ARRANGED.format(arrangement=SEVERAL)
    server = gilkeeper(application(tmp_path), conf, admin=admin)
    server.wait_workers(4)
    assert server.ask("/").status == 200
    until(lambda: client.ask(admin, "/readyz").status == 200, "it is ready", 20)

    def families(group: str) -> set[str]:
        page = client.ask(admin, "/metrics").body.decode()
        return {re.split("[{ ]", line)[0] for line in page.splitlines() if f'process_group="{group}"' in line}

    until(lambda: families("site") > OF_A_FRONT and families("fronts"), "the workers are measured", 20)
    assert families("fronts") == OF_A_FRONT
    status = server.tell("status").stdout
    assert "ready (2 processes accept connections)" in status, status
    assert all(line.split()[5:9] == ["shared", "-", "-", "-"] for line in status.splitlines() if line.startswith("fronts ")), status
    told = server.tell("profile", "--seconds", "1")
    assert " of 2 workers " in told.stdout, told.stdout + told.stderr
    fronts = server.workers("fronts")
    try:
        [os.kill(pid, signal.SIGSTOP) for pid in fronts]
        until(lambda: "no process accepts connections" in server.tell("status").stdout, "the status says so", 30)
        until(lambda: b"no front accepts connections" in client.ask(admin, "/readyz").body, "the health check says so", 30)
    finally:
        [os.kill(pid, signal.SIGCONT) for pid in fronts]
    assert server.ask("/").status == 200
