"""HTTP/2 without TLS: the rules of RFC 9113 one by one, and the clients of others."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# Each of these three adds its cases.
import http2_frame_cases  # noqa: F401
import http2_request_cases  # noqa: F401
import http2_stream_cases  # noqa: F401
import pytest
from harness import APPS, until
from http2_cases import CASES, run
from http2_wire import Wire, request
from hyperframe.frame import GoAwayFrame
from resetting import Attack
from running import MEGABYTE, Gilkeeper, memory

Start = Callable[..., Gilkeeper]

CONF = """
WSGIDaemonProcess main processes=2 threads=5
WSGIScriptAlias / ${APP}/streams.py process-group=main application-group=%{GLOBAL}
Protocols h2c http/1.1
H2MaxStreamErrors 0
"""


def test_every_rule_that_a_server_can_break_is_kept(gilkeeper: Start) -> None:
    server = gilkeeper([APPS / "streams.py"], CONF)
    address = ("127.0.0.1", server.port)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda case: run(case, address), CASES))
    wrong = {f"{case.section} {case.name}": problem for case, problem in zip(CASES, found, strict=True) if problem}
    for name, problem in wrong.items():
        print(f"{name}: {problem}")
    assert not wrong
    assert len(CASES) > 100


def curl(server: Gilkeeper, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["curl", "-sS", "--max-time", "30", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_curl_and_nghttp_speak_it(gilkeeper: Start) -> None:
    server = gilkeeper([APPS / "streams.py"], CONF)
    url = f"http://127.0.0.1:{server.port}"
    for arguments, version in ((["--http2-prior-knowledge"], "2"), (["--http2"], "1.1"), (["--http1.1"], "1.1")):
        told = curl(server, *arguments, "-w", " %{http_version}", f"{url}/tiny")
        assert (told.stdout, told.returncode) == (f"hello {version}", 0), (arguments, told.stderr)
    values: dict[str, Any] = json.loads(curl(server, "--http2-prior-knowledge", f"{url}/environ?a=b").stdout)
    assert {name: values[name] for name in ("SERVER_PROTOCOL", "HTTP_HOST", "REQUEST_URI", "wsgi.url_scheme")} == {
        "SERVER_PROTOCOL": "HTTP/2.0",
        "HTTP_HOST": f"127.0.0.1:{server.port}",
        "REQUEST_URI": "/environ?a=b",
        "wsgi.url_scheme": "http",
    }
    broken = curl(server, "--http2-prior-knowledge", "-o", "/dev/null", f"{url}/broken")
    assert broken.returncode == 92, broken.stderr
    # One connection, several requests with bodies at once.
    nghttp = ["nghttp", "-n", "-v", "-m", "20", "-d", "/proc/self/exe", f"{url}/body/length"]
    told = subprocess.run(nghttp, capture_output=True, text=True, timeout=60)
    assert told.returncode == 0 and told.stdout.count(":status: 200") == 20, told.stdout[-2000:]
    load = ["h2load", "-n", "5000", "-c", "10", "-m", "10", f"{url}/tiny"]
    told = subprocess.run(load, capture_output=True, text=True, timeout=120)
    assert "5000 succeeded, 0 failed, 0 errored, 0 timeout" in told.stdout, told.stdout


def test_nothing_is_lost_while_a_reload_and_a_stop_send_their_clients_away(gilkeeper: Start) -> None:
    server = gilkeeper([APPS / "streams.py"], CONF)
    address = ("127.0.0.1", server.port)
    asked, answered, begun = 0, 0, threading.Barrier(5)
    lock = threading.Lock()
    over = threading.Event()

    def client() -> None:
        nonlocal asked, answered
        first = True
        while not over.is_set():
            with Wire(address) as wire:
                last, number = None, 1
                while last is None and not over.is_set():
                    wire.send(wire.headers(number, request("/sleep?0.01")))
                    status = wire.status(number)
                    with lock:
                        asked, answered = asked + 1, answered + (status == 200)
                    if first:
                        first = bool(begun.wait(30)) and False
                    last = next((frame for frame in wire.seen if isinstance(frame, GoAwayFrame)), None)
                    wire.ping()
                    number += 2

    threads = [threading.Thread(target=client) for _ in range(4)]
    [thread.start() for thread in threads]  # type: ignore[func-returns-value]
    begun.wait(30)
    for _ in range(3):
        before = asked
        assert server.tell("reload").returncode == 0
        until(lambda before=before: asked > before + 50, "the clients go on", 30)  # type: ignore[misc]
    over.set()
    [thread.join(30) for thread in threads]  # type: ignore[func-returns-value]
    assert (asked, answered) == (asked, asked) and asked > 150
    with Wire(address) as wire:
        wire.send(wire.headers(1, request("/sleep?1")))
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert wire.status(1) == 200 and wire.body(1) == b"hello"
        assert any(isinstance(frame, GoAwayFrame) for frame in wire.seen)
        stopping.join(60)


def bystanders(url: str, requests: int) -> list[float]:
    """The times of a bystander's requests, sorted, in milliseconds."""
    load = ["h2load", "-n", str(requests), "-c", "4", "-m", "1", "--log-file=/dev/stdout", url]
    told = subprocess.run(load, capture_output=True, text=True, timeout=120)
    rows = [line.split("\t") for line in told.stdout.splitlines()]
    times = sorted(int(row[2]) / 1000 for row in rows if len(row) == 3 and row[1] == "200")
    assert len(times) == requests, told.stdout[-1000:]
    return times


def test_requests_that_are_taken_back_at_once_reach_no_application(gilkeeper: Start) -> None:
    """Rapid reset (CVE-2023-44487): a request and its end in one write, again and again, by clients that come back."""
    server = gilkeeper([APPS / "streams.py"], CONF)

    def served() -> int:
        # A busy machine may keep a worker from answering in time.
        told = lambda: (found := server.status()["workers"]) and not any(worker["silent"] for worker in found) and found
        return sum(worker["requests"] for worker in until(told, "every worker tells its figures", 30))

    url = f"http://127.0.0.1:{server.port}/tiny"
    bystanders(url, 100)
    front, before = server.front(), served()
    held = memory(front)
    with Attack(("127.0.0.1", server.port), clients=10, rate=300) as attack:
        until(lambda: attack.ended >= 20, "each is ended, and again when it comes back", 60)
        bystanders(url, 100)
        grown = memory(front) - held
    until(lambda: served() == before + 100, "the application was called for the bystander alone")
    assert attack.sent > 10 * 30 and grown < 32 * MEGABYTE, (attack.sent, grown)
    log = server.error_log.read_text()
    assert "GK0036" in log and "GK0034" not in log


@pytest.mark.speed("judges the times of bystanders while others attack")
def test_clients_that_take_back_their_requests_are_ended_and_hurt_nobody(gilkeeper: Start) -> None:
    """Fifty connections, three hundred requests a second each, half of them taken back at once and half a moment later, for 20 s."""
    server = gilkeeper([APPS / "streams.py"], CONF)
    url = f"http://127.0.0.1:{server.port}/tiny"

    def worst(times: list[float]) -> float:
        return times[len(times) * 99 // 100]

    bystanders(url, 1000)
    calm = worst(bystanders(url, 5000))
    front = server.front()
    held, times = memory(front), list[float]()
    with Attack(("127.0.0.1", server.port), clients=50, rate=300, late=5) as attack:
        until(lambda: attack.ended >= 10, "attackers are ended", 60)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            times += bystanders(url, 1000)
        grown = memory(front) - held
    attacked = worst(sorted(times))
    calm = max(calm, worst(bystanders(url, 5000)))
    print(f"p99 of a bystander: {calm:.1f} ms in calm, {attacked:.1f} ms under attack; {attack.sent} requests, {attack.ended} ends")
    assert attacked < 3 * calm, (calm, attacked)
    assert grown < 64 * MEGABYTE
    log = server.error_log.read_text()
    assert "GK0036" in log and "GK0034" not in log
