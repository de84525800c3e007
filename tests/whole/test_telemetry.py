"""mod_wsgi's telemetry datagrams: the released mod_wsgi-telemetry takes every one of them, all the time.

GILKEEPER_TELEMETRY_SECONDS sets how long (20); docs/design/telemetry.md has the figures of five minutes.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import client
import harness
import pytest
from running import Gilkeeper

HERE = Path(__file__).resolve().parent
SECONDS = float(os.environ.get("GILKEEPER_TELEMETRY_SECONDS", "20"))
PATHS = ["/spin", "/wait", "/spin", "/echo", "/long", "/missing", "/collect", "/fail"]


def tools() -> Path:
    """The commands of mod_wsgi-telemetry, in a virtual environment of their own."""
    scripts = harness.REPOSITORY / "scripts"
    python = subprocess.run([scripts / "python-of", "3.14"], capture_output=True, text=True, check=True).stdout.strip()
    made = [scripts / "venv", HERE / ".venv-telemetry", python, HERE / "telemetry-requirements.txt"]
    made_at = subprocess.run(made, capture_output=True, text=True, check=True).stdout.strip()
    return Path(made_at).parent


class Receiver:
    """A running `mod_wsgi-telemetry serve`."""

    def __init__(self, socket: Path, *more: str) -> None:
        self.port = harness.free_port()
        command = [tools() / "mod_wsgi-telemetry", "serve", "--listen", f"unix:{socket}", "--http-port", str(self.port), *more]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
        harness.until(self.there, "mod_wsgi-telemetry answers", 30)

    def there(self) -> bool:
        assert self.process.poll() is None, "mod_wsgi-telemetry ended"
        try:
            self.state()
        except OSError:
            return False
        return True

    def state(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/state", timeout=60) as answer:
            return json.loads(answer.read())

    def end(self) -> str:
        """Ends it; returns its output."""
        self.process.send_signal(signal.SIGTERM)
        text, _ = self.process.communicate(timeout=30)
        return text


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Callable[[], Receiver]]:
    started: list[Receiver] = []

    def start() -> Receiver:
        started.append(Receiver(tmp_path / "telemetry.sock"))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.end()


class Load(threading.Thread):
    """Asks for these paths in turn until its end is asked for."""

    def __init__(self, port: int, paths: list[str]) -> None:
        super().__init__(daemon=True)
        self.port, self.paths, self.over, self.asked = port, paths, threading.Event(), 0

    def run(self) -> None:
        while not self.over.is_set():
            for path in self.paths:
                try:
                    client.ask(self.port, path, "POST" if path == "/echo" else "GET", body=b"y" * 3000 if path == "/echo" else b"")
                except (OSError, client.Broken):
                    # A worker that is killed takes its requests with it.
                    continue
                self.asked += 1


CONF = """
WSGITelemetryService unix:{socket}
WSGISlowRequests 1
WSGIDaemonProcess main processes=2 threads=4
WSGIDaemonProcess other processes=1 threads=2
WSGIScriptAlias /other ${{APP}}/mixed.py process-group=other application-group=named
WSGIScriptAlias / ${{APP}}/mixed.py process-group=main application-group=%{{GLOBAL}}
"""


def metric(pages: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", pages, re.M)
    assert found, f"{name} in\n{pages}"
    return float(found[1])


def test_mod_wsgi_telemetry_takes_every_datagram(
    gilkeeper: Callable[..., Gilkeeper], receiver: Callable[[], Receiver], tmp_path: Path
) -> None:
    theirs = receiver()
    server = gilkeeper([HERE / "mixed.py"], CONF.format(socket=tmp_path / "telemetry.sock"), admin=harness.free_port())
    server.wait_workers(3)

    def pages() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.admin}/metrics", timeout=20) as answer:
            return answer.read().decode()

    loads = [Load(server.port, PATHS[n:] + PATHS[:n]) for n in range(4)]
    loads += [Load(server.port, [f"/other{path}" for path in PATHS]), Load(server.port, ["/slow"])]
    for load in loads:
        load.start()
    # What is tried here is how long it goes well.
    threading.Event().wait(SECONDS / 2)
    assert server.tell("reload").returncode == 0
    killed = server.wait_workers(3)[0]
    threading.Event().wait(SECONDS / 2)
    os.kill(killed, signal.SIGKILL)
    harness.until(lambda: killed not in server.workers() and len(server.workers()) == 3, "another worker is there", 30)
    for load in loads:
        load.over.set()
    for load in loads:
        load.join(30)
    told = pages()
    sent, dropped = (metric(told, f'gilkeeper_telemetry_datagrams_total{{outcome="{one}"}}') for one in ("sent", "dropped"))
    server.stop()
    state = harness.until(
        lambda: (found := theirs.state())["lifecycle_events"][-1]["kind"] == "process_stopped" and found, "the last process has stopped", 30
    )
    text = theirs.end()
    print(f"{sum(load.asked for load in loads)} requests, {state['total_received']} datagrams, {sent} sent when asked last")
    # A receiver that pauses for a moment may miss some; none that arrived is malformed.
    assert dropped <= 0.02 * sent, (dropped, sent)
    assert state["decode_errors"] == 0 and "rror" not in re.sub(r'".*?"', "", text), text
    assert state["total_received"] + dropped >= sent > SECONDS * 3
    groups = {process["process_group"] for process in state["processes"]}
    assert groups == {"main", "other"} and len(state["processes"]) >= 7, state["processes"]
    fields = [sample["fields"] for process in state["processes"] for sample in process["samples"]]
    assert sum(one["request_count"] for one in fields) >= 0.9 * sum(load.asked for load in loads)
    assert all(len(one["request_time_buckets"]) == 65 for one in fields)
    for name in ("status_2xx_total", "status_4xx_total", "status_5xx_total", "input_bytes_total", "output_bytes_total"):
        assert sum(one[name] for one in fields) > 0, name
    slow = [one["entry"] for one in state["slow_requests"]]
    assert any(one["path_info"] == "/slow" and one["duration"] > 1.1 for one in slow), slow
    assert any(process["gc_events"] for process in state["processes"])
    kinds = [(event["kind"], event["shutdown_reason"]) for event in state["lifecycle_events"]]
    assert ("process_stopping", "script_reload") in kinds and ("process_stopped", "script_reload") in kinds
    assert ("process_stopped", "crash") in kinds and ("process_stopped", "shutdown_signal") in kinds


def test_a_receiver_that_comes_late_or_goes_costs_nothing_but_datagrams(
    gilkeeper: Callable[..., Gilkeeper], receiver: Callable[[], Receiver], tmp_path: Path
) -> None:
    socket = tmp_path / "telemetry.sock"
    # With the admin pages off, too.
    conf = CONF.format(socket=socket).replace(".sock", ".sock interval=0.5")
    server = gilkeeper([HERE / "mixed.py"], conf)
    server.wait_workers(3)
    server.wait_log("nobody receives telemetry at")
    first = receiver()
    harness.until(lambda: len(first.state()["processes"]) == 3, "the first receiver knows three processes")
    first.end()
    socket.unlink(missing_ok=True)
    assert server.ask("/spin").status == 200
    second = receiver()
    harness.until(lambda: len(second.state()["processes"]) == 3, "the second receiver knows three processes")
    server.wait_log("receives telemetry again; [1-9][0-9]* datagrams were lost")
    assert second.state()["decode_errors"] == 0
