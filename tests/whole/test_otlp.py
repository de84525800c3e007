"""OTLP with a released collector (rotel) in the middle: Gilkeeper pushes, rotel takes it in, logs it and passes it on, compressed,
to `gilkeeper telemetry serve`."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import harness
import pytest
from gathering import Gatherer
from running import Gilkeeper

HERE = Path(__file__).resolve().parent
CONF = """
GilkeeperOTLP http://127.0.0.1:{port} interval=1 header="X-Api-Key: some key"
WSGIDaemonProcess shop processes=2 threads=3
WSGIScriptAlias / ${{APP}}/mixed.py process-group=shop application-group=%{{GLOBAL}}
"""


class Collector:
    """A running rotel."""

    def __init__(self, log: Path, passes_on_to: int) -> None:
        scripts = harness.REPOSITORY / "scripts"
        subprocess.run([scripts / "packages", "libpython3.11"], check=True)
        python = subprocess.run([scripts / "python-of", "3.11"], capture_output=True, text=True, check=True).stdout.strip()
        made = [scripts / "venv", HERE / ".venv-otlp", python, HERE / "otlp-requirements.txt"]
        venv = Path(subprocess.run(made, capture_output=True, text=True, check=True).stdout.strip()).parent.parent
        [agent] = venv.glob("lib/python3*/site-packages/rotel/rotel-agent")
        self.port, self.grpc, self.log = harness.free_port(), harness.free_port(), log
        arguments = ["--otlp-http-endpoint", f"127.0.0.1:{self.port}", "--otlp-grpc-endpoint", f"127.0.0.1:{self.grpc}"]
        arguments += ["--batch-timeout", "200ms", *self.options(passes_on_to)]
        with open(log, "wb") as written:
            self.process = subprocess.Popen([agent, "start", *arguments], stdout=written, stderr=written, stdin=subprocess.DEVNULL)

    def options(self, passes_on_to: int) -> list[str]:
        """It logs metrics and passes everything on."""
        arguments = ["--debug-log", "metrics", "--debug-log-verbosity", "detailed"]
        arguments += ["--exporter", "otlp", "--otlp-exporter-protocol", "http", "--otlp-exporter-compression", "gzip"]
        return [*arguments, "--otlp-exporter-endpoint", f"http://127.0.0.1:{passes_on_to}"]

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Callable[[int], Collector]]:
    started: list[Collector] = []

    def start(passes_on_to: int) -> Collector:
        started.append(Collector(tmp_path / "rotel.log", passes_on_to))
        return started[-1]

    yield start
    for one in started:
        one.end()


def test_a_released_collector_takes_our_metrics_and_we_take_its(
    gilkeeper: Callable[..., Gilkeeper], gatherer: Callable[..., Gatherer], collector: Callable[[int], Collector]
) -> None:
    ours = gatherer("--otlp", "127.0.0.1:0")
    found = re.search(r"OTLP at http://127\.0\.0\.1:(\d+)/v1/metrics", ours.line)
    assert found, ours.line
    rotel = collector(int(found[1]))
    harness.until(lambda: "Starting Rotel" in rotel.text(), "rotel runs", 20)
    server = gilkeeper([HERE / "mixed.py"], CONF.format(port=rotel.port), admin=harness.free_port())
    server.wait_workers(2)
    group = f"{os.uname().nodename}/shop"
    harness.until(lambda: ours.workers(group), "the server is known", 20)
    for _ in range(60):
        assert server.ask("/wait").status == 200
    for _ in range(5):
        assert server.ask("/missing").status == 404

    def arrived() -> bool:
        told = ours.read("/metrics")
        labels = f'process_group="{group}",application_group=""'
        counts = [re.search(rf'^gilkeeper_requests_total{{{re.escape(labels)},code="{code}"}} (\d+)$', told, re.M) for code in (200, 404)]
        return all(counts) and [int(count[1]) for count in counts if count] == [60, 5]

    harness.until(arrived, "65 requests have come through the collector", 20)
    [one] = ours.workers(group)
    assert (one["source"], one["threads"], one["instance"]) == ("otlp", 6, str(server.server_root))
    distribution = json.loads(ours.read("/api/v1/distribution?from=-60"))
    assert 60 <= distribution["requests"] <= 65 and 0.002 < distribution["response"]["mean"] < 2, distribution
    text = rotel.text()
    assert "host.name: Str(" in text and "service.instance.id: Str(" in text
    names = set(re.findall(r"-> Name: (gilkeeper_\w+)", text))
    page = urllib.request.urlopen(f"http://127.0.0.1:{server.admin}/metrics", timeout=20)
    with page as answer:
        prometheus = set(re.findall(r"^# TYPE (\w+)", answer.read().decode(), re.M))
    assert names <= prometheus and {"gilkeeper_requests_total", "gilkeeper_request_seconds", "gilkeeper_threads"} <= names
    assert not re.search(r"\b(ERROR|WARN)\b", text), text[-2000:]


def test_json_and_refusals(gatherer: Callable[..., Gatherer]) -> None:
    ours = gatherer("--otlp", "127.0.0.1:0")
    found = re.search(r"OTLP at (\S+)", ours.line)
    assert found

    def post(body: bytes, kind: str, encoding: str | None = None) -> tuple[int, str]:
        headers = {"Content-Type": kind} | ({"Content-Encoding": encoding} if encoding else {})
        try:
            with urllib.request.urlopen(urllib.request.Request(found[1], body, headers), timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def attribute(key: str, value: str) -> dict[str, object]:
        return {"key": key, "value": {"stringValue": value}}

    point = {
        "attributes": [attribute("process_group", "app"), attribute("application_group", ""), attribute("code", "200")],
        "timeUnixNano": "1700000000000000000",
        "asDouble": 12,
    }
    metric = {"name": "gilkeeper_requests_total", "sum": {"dataPoints": [point], "aggregationTemporality": 2, "isMonotonic": True}}
    resource = {"attributes": [attribute("host.name", "far"), attribute("service.instance.id", "one")]}
    message = json.dumps({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]}).encode()
    assert post(message, "application/json") == (200, "{}")
    assert post(gzip.compress(message), "application/json; charset=utf-8", "gzip") == (200, "{}")
    harness.until(lambda: ours.workers("far/app"), "it is there")
    for body, kind, encoding, status, says in (
        (b"{", "application/json", None, 400, "is not an ExportMetricsServiceRequest"),
        (b"\xff\xff\xff", "application/x-protobuf", None, 400, "is not an ExportMetricsServiceRequest"),
        (message, "text/plain", None, 415, "Content-Type must be"),
        (message, "application/json", "br", 415, "Content-Encoding must be gzip"),
        (b"nonsense", "application/json", "gzip", 400, "is not gzip"),
        (gzip.compress(b"\0" * (40 << 20)), "application/x-protobuf", "gzip", 413, "after decompression"),
    ):
        code, text = post(body, kind, encoding)
        assert code == status and says in text and text.count("\n") == 1, (code, text)
    assert ours.status()["intake"]["pushes_refused"] == 6


def test_nobody_at_the_endpoint_costs_nothing_but_pushes(gilkeeper: Callable[..., Gilkeeper]) -> None:
    server = gilkeeper([HERE / "mixed.py"], CONF.format(port=harness.free_port()))
    server.wait_workers(2)
    server.wait_log("metrics cannot be pushed to http://127.0.0.1:[0-9]+/v1/metrics: .*; each interval tries again")
    assert server.ask("/spin").status == 200
