"""`gilkeeper telemetry serve`: the released mod_wsgi under Apache, and several servers, on our own pages."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import harness
import pytest
from gathering import Gatherer
from running import Gilkeeper

HERE = Path(__file__).resolve().parent


CONF = """
WSGITelemetryService unix:{socket} interval=0.5
WSGISlowRequests 1
WSGIDaemonProcess shop processes=2 threads=3
WSGIScriptAlias / ${{APP}}/mixed.py process-group=shop application-group=%{{GLOBAL}}
"""


@pytest.fixture
def apache() -> Iterator[Callable[[Path], harness.Server]]:
    """The released mod_wsgi under Apache, sending to that socket."""
    started: list[harness.Server] = []

    def start(socket: Path) -> harness.Server:
        server = harness.Server([HERE / "mixed.py"], CONF.format(socket=socket), "gathered", "mod_wsgi")
        started.append(server)
        return server.start()

    yield start
    for server in started:
        if server.process is not None and server.process.poll() is None:
            server.stop()
        server.clean()


def header(kind: int, pid: int, seq: int, version: int = 1) -> bytes:
    return b"WSGI" + struct.pack("<BBHIId", version, kind, 0, pid, seq, 1.7e9)


def text(number: int, value: str) -> bytes:
    return struct.pack("<HBH", number, 4, len(value)) + value.encode()


def count(number: int, value: int) -> bytes:
    return struct.pack("<HBQ", number, 1, value)


def decimal(number: int, value: float) -> bytes:
    return struct.pack("<HBd", number, 2, value)


def test_mod_wsgi_under_apache_appears_with_its_requests(
    gatherer: Callable[..., Gatherer], apache: Callable[[Path], harness.Server]
) -> None:
    ours = gatherer()
    theirs = apache(ours.socket)
    host = os.uname().nodename
    group = f"{host}/shop"
    for _ in range(40):
        assert theirs.ask("/spin").status == 200
    assert theirs.ask("/echo", method="POST", body=b"z" * 5000).body == b"z" * 5000
    assert theirs.ask("/slow").status == 200

    def served() -> bool:
        return sum(one["requests"] for one in ours.workers(group)) >= 42

    harness.until(served, "42 requests are counted")
    workers = ours.workers(group)
    assert len(workers) == 2 and {one["threads"] for one in workers} == {3}, workers
    assert {one["host"] for one in workers} == {host} and {one["source"] for one in workers} == {"mod_wsgi"}
    assert theirs.process and {one["instance"] for one in workers} == {str(theirs.process.pid)}
    assert all(one["resident"] > 1 << 20 and not one["gil_wait_exact"] for one in workers)
    status = ours.status()
    assert status["intake"]["refused"] == 0 and status["intake"]["lost"] == 0, status["intake"]
    # What the pages draw: throughput over the last minute, the distribution, the slow request with its path.
    history = json.loads(ours.read("/api/v1/history?from=-60&step=1"))
    # Rates of the seconds as they were: one of a busy machine is longer than a second, so only the distribution's counts can be summed.
    assert any(row["point"]["requests"] > 0 for row in history["points"])
    names = {name for row in history["points"] for name in row["workers"]}
    assert {f"{host}:{one['pid']}" for one in workers} <= names
    distribution = json.loads(ours.read("/api/v1/distribution?from=-60"))
    assert 40 < distribution["requests"] < 44 and distribution["response"]["mean"] > 0.003
    slowest = json.loads(ours.read("/api/v1/requests"))["slowest"]
    assert slowest[0]["path"] == "/slow" and 1.1 < slowest[0]["application"] < 20, slowest
    metrics = ours.read("/metrics")
    assert f'gilkeeper_requests_total{{process_group="{group}",application_group="",code="200"}}' in metrics
    # One worker is killed: its slot is taken over, and the dead one is gone.
    killed = workers[0]["pid"]
    os.kill(killed, signal.SIGKILL)

    def gone() -> bool:
        living = {one["pid"] for one in ours.workers(group)}
        return killed not in living and len(living) == 2

    harness.until(gone, "the killed process is gone", 30)
    event = next(one for one in ours.events() if one["what"] == "worker_gone")
    assert event["pid"] == killed and event["reason"] == "gone" and event["process_group"] == group
    theirs.stop()
    harness.until(lambda: not ours.workers(group), "the stopped processes are gone")

    def left() -> set[str]:
        return {one["reason"] for one in ours.events() if one["what"] == "worker_left" and one["process_group"] == group}

    harness.until(left, "their end is an event")
    assert left() == {"shutdown_signal"}, ours.events()


def test_one_bad_datagram_is_counted_and_skipped(gatherer: Callable[..., Gatherer]) -> None:
    ours = gatherer()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(str(ours.socket))
        good = header(2, 5, 1) + text(5, "web1") + text(6, "app") + decimal(10, 1.0) + decimal(11, 1.0) + count(20, 3) + count(50, 2)
        for bad in (
            b"",
            b"nonsense",
            header(2, 5, 1, version=9),
            header(77, 5, 1),
            good[:-3],
            good + text(20, "many"),
            good + decimal(60, float("nan")),
            os.urandom(3000),
        ):
            sender.send(bad)
        sender.send(good)
        sender.send(header(2, 5, 4) + text(5, "web1") + text(6, "app") + decimal(10, 1.0) + decimal(11, 1.0) + count(20, 4) + count(50, 2))
        harness.until(lambda: ours.workers("web1/app"), "the good one is there")
        intake = harness.until(lambda: (now := ours.status()["intake"])["datagrams"] == 2 and now, "both are read")
        assert (intake["refused"], intake["lost"]) == (8, 2)
        assert 'gilkeeper_received_datagrams_total{outcome="refused"} 8' in ours.read("/metrics")
        harness.until(lambda: "a datagram cannot be read and is skipped" in ours.log.read_text(), "the log says so")


def test_the_same_pid_of_two_servers_is_two_processes(gatherer: Callable[..., Gatherer]) -> None:
    ours = gatherer()
    # Two senders, each of them a process of its own, speak for a pid 7 on a host of the same name.
    script = "import socket, sys; one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)"
    script += "; one.connect(sys.argv[1]); one.send(sys.stdin.buffer.read())"
    for requests in (10, 200):
        record = header(2, 7, 1) + text(5, "web") + text(6, "app") + decimal(10, 1.0) + count(20, requests) + count(50, 2)
        python = Path(harness.gilkeeper()).parent / "python"
        subprocess.run([python, "-c", script, str(ours.socket)], input=record, check=True)
    workers = harness.until(lambda: len(found := ours.workers("web/app")) == 2 and found, "two processes are there")
    assert {one["pid"] for one in workers} == {7} and len({one["name"] for one in workers}) == 2
    harness.until(lambda: {one["requests"] for one in ours.workers("web/app")} == {10, 200}, "each has its own requests")


def test_gilkeepers_own_datagrams_are_shown_too(gatherer: Callable[..., Gatherer], gilkeeper: Callable[..., Gilkeeper]) -> None:
    ours = gatherer()
    server = gilkeeper([HERE / "mixed.py"], CONF.format(socket=ours.socket))
    pids = set(server.wait_workers(2))
    for _ in range(30):
        assert server.ask("/wait").status == 200
    group = f"{os.uname().nodename}/shop"
    harness.until(lambda: {one["pid"] for one in ours.workers(group)} == pids, "both workers are there")
    harness.until(lambda: sum(one["requests"] for one in ours.workers(group)) == 30, "30 requests are counted")
    server.stop()
    harness.until(lambda: not ours.workers(group), "both have left")


def test_refusals_are_one_sentence(gatherer: Callable[..., Gatherer], tmp_path: Path) -> None:
    ours = gatherer()

    def refused(*arguments: str) -> str:
        command = [harness.gilkeeper(), "telemetry", "serve", "--directory", str(tmp_path), "--listen", "127.0.0.1:0", *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
        assert ended.returncode == 2 and ended.stderr.count("\n") == 1, ended
        return ended.stderr

    assert "another process listens on" in refused("--listen-datagrams", f"unix:{ours.socket}")
    (tmp_path / "file").write_text("x")
    assert "is not a socket" in refused("--listen-datagrams", f"unix:{tmp_path}/file")
    assert "takes unix:/path" in refused("--listen-datagrams", "tcp:9")
    assert "takes an octal number" in refused("--socket-mode", "rw")
    assert "--otlp takes IP:PORT" in refused("--otlp", "here")
    assert "cannot listen on" in refused("--otlp", ours.url.removeprefix("http://"))
