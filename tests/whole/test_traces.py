"""Traces before a released collector (rotel), by HTTP and by gRPC, and exemplars before the distribution's own Prometheus."""

from __future__ import annotations

import concurrent.futures
import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import harness
import pytest
from running import Gilkeeper
from test_otlp import Collector
from test_prometheus import PROMETHEUS, command

Start = Callable[..., Gilkeeper]
APP = """
import time
from flask import Flask, request

application = Flask(__name__)

def spin(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass

@application.get("/slow")
def slow():
    spin(0.3)
    return {key: request.environ.get(key) for key in ("HTTP_TRACEPARENT", "HTTP_TRACESTATE", "HTTP_X_REQUEST_ID")}

@application.get("/fast")
def fast():
    return "fast"

@application.get("/fail")
def fail():
    raise ValueError("as asked")
"""
CONF = """
GilkeeperTraces {url} ratio={ratio} slow=0.2 interval=1 service=shop header="X-Api-Key: some key"
WSGITrustedProxies 127.0.0.1
WSGIDaemonProcess shop threads=3
WSGIScriptAlias / ${{APP}}/shop.py process-group=shop application-group=%{{GLOBAL}}
"""
TRACE, ASKED = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@dataclass
class Span:
    """A span as the collector has logged it."""

    trace: str
    parent: str
    id: str
    name: str
    kind: str
    start: int
    end: int
    status: str
    attributes: dict[str, Any] = field(default_factory=dict)
    events: str = ""


def spans(text: str) -> list[Span]:
    found = []
    for part in text.split("\nSpan #")[1:]:
        part = part.split("\nResourceSpans #")[0]

        def one(name: str, part: str = part) -> str:
            line = re.search(rf"^ *{name} *: ?(.*)$", part, re.M)
            return line[1].strip() if line else ""

        head, _, events = part.partition("\nEvents:")
        values = re.findall(r"^ +-> ([\w.]+): (\w+)\((.*)\)$", head, re.M)
        attributes = {key: float(value) if kind in ("Int", "Double") else value for key, kind, value in values}
        numbers = [int(one(name)) for name in ("Start time", "End time")]
        texts = [one(name) for name in ("Trace ID", "Parent ID", "ID", "Name", "Kind")]
        found.append(Span(*texts, *numbers, one("Status code"), attributes, events))
    return found


class TraceCollector(Collector):
    """A rotel that logs traces."""

    def options(self, passes_on_to: int) -> list[str]:
        del passes_on_to
        return ["--debug-log", "traces", "--debug-log-verbosity", "detailed", "--exporter", "blackhole"]

    def spans(self, name: str) -> list[Span]:
        return [span for span in spans(self.text()) if span.name.startswith(name)]


@pytest.fixture
def rotel(tmp_path: Path) -> Iterator[TraceCollector]:
    one = TraceCollector(tmp_path / "rotel.log", 0)
    harness.until(lambda: "Starting Rotel" in one.text(), "rotel runs", 20)
    yield one
    one.end()


@pytest.fixture
def shop(gilkeeper: Start, tmp_path: Path) -> Callable[[str, float], Gilkeeper]:
    (tmp_path / "shop.py").write_text(APP)

    def start(url: str, ratio: float, mode: str = "daemon", processes: int = 1) -> Gilkeeper:
        conf = CONF.format(url=url, ratio=ratio).replace("threads=3", f"processes={processes} threads=3")
        embedded = "GilkeeperEmbedded On" if mode == "embedded" else ""
        return gilkeeper([tmp_path / "shop.py"], f"{embedded}\n{conf}", admin=harness.free_port())

    return start


@pytest.mark.parametrize(("protocol", "mode"), [("http", "daemon"), ("grpc", "daemon"), ("http", "embedded")])
def test_a_slow_request_has_its_spans_in_a_released_collector(
    shop: Callable[..., Gilkeeper], rotel: TraceCollector, protocol: str, mode: str
) -> None:
    """Reported: no spans came of embedded mode. Met with `--embedded` and any receiver."""
    port = rotel.port if protocol == "http" else rotel.grpc
    server = shop(f"{protocol}://127.0.0.1:{port}", 0, mode)
    server.wait_workers(1)
    sent = {"traceparent": f"00-{TRACE}-{ASKED}-00", "tracestate": "vendor=1", "X-Request-ID": "of-the-proxy"}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        other = pool.submit(server.ask, "/slow")
        told = pool.submit(server.ask, "/slow", headers=sent).result()
        assert other.result().status == 200
    assert told.get("x-request-id") == told.json["HTTP_X_REQUEST_ID"] == "of-the-proxy"
    assert told.json["HTTP_TRACESTATE"] == "vendor=1"
    version, trace, ours, flags = told.json["HTTP_TRACEPARENT"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "00") and ours != ASKED
    found = harness.until(lambda: len(rotel.spans("GET /slow")) == 2 and spans(rotel.text()), "the spans of both", 20)
    own = [span for span in found if span.trace == TRACE]
    (whole,) = [span for span in own if span.name == "GET /slow"]
    assert (whole.kind, whole.parent, whole.id) == ("SPAN_KIND_SERVER", ASKED, ours)
    assert "service.name: Str(shop)" in rotel.text()
    expected = {
        "http.request.method": "GET",
        "url.path": "/slow",
        "url.scheme": "http",
        "http.response.status_code": 200,
        "server.address": "localhost",
        "client.address": "127.0.0.1",
        "gilkeeper.request_id": "of-the-proxy",
        "gilkeeper.process_group": "shop",
        "gilkeeper.route": "/slow",
        "gilkeeper.answered_by": "application",
    }
    assert {key: whole.attributes.get(key) for key in expected} == expected
    assert whole.attributes["process.pid"] == server.workers()[0]
    inner = {span.name: span for span in own if span.parent == ours}
    assert set(inner) == {"queue", "application", "response"}
    for span in inner.values():
        # Times of a worker are its own clock's. The application ends with its close(), which may be after the client had its answer.
        assert whole.start - 5_000_000 <= span.start <= min(span.end, whole.end + 5_000_000), (whole, span)
        assert span.name == "application" or span.end <= whole.end + 5_000_000, (whole, span)
    application = inner["application"]
    took = (application.end - application.start) / 1e9
    split = [application.attributes[f"gilkeeper.{part}"] for part in ("cpu", "gil_wait", "runnable", "blocked")]
    inside = took + application.attributes["gilkeeper.starting"]
    assert took >= 0.3 and split[0] >= 0.25 and abs(sum(split) - inside) < 0.02 * inside, (took, split)
    # Lines are named by a thread that comes by now and then.
    if application.attributes.get("gilkeeper.gil_culprit") == "/slow" and "gilkeeper.gil_holder" in application.attributes:
        assert re.match(r"spin \(.*shop\.py:\d+\)$", application.attributes["gilkeeper.gil_holder"])
    # A fast one is not sent; one that fails is, and one that the proxy wants.
    assert server.ask("/fast").status == 200
    assert server.ask("/fail").status == 500
    assert server.ask("/fast", headers={"traceparent": f"00-{TRACE}-{ASKED}-01"}).status == 200
    assert server.ask("/no/such", headers={"traceparent": f"00-{TRACE}-{ASKED}-01"}).status == 404
    (failed,) = harness.until(lambda: rotel.spans("GET /fail"), "the span of the failure", 20)
    assert failed.status == "STATUS_CODE_ERROR" and failed.attributes["http.response.status_code"] == 500
    harness.until(lambda: rotel.spans("GET /fast") and rotel.spans("GET /no/such"), "the sampled spans", 20)
    # Where the machine stands still, a fast one is slow.
    assert all(span.parent == ASKED or span.end - span.start >= 200_000_000 for span in rotel.spans("GET /fast"))
    assert not re.search(r"\b(ERROR|WARN)\b", rotel.text().replace("STATUS_CODE_ERROR", "")), rotel.text()[-2000:]


@pytest.mark.parametrize("mode", ["daemon", "embedded"])
def test_every_request_has_spans_of_its_own(
    shop: Callable[..., Gilkeeper], rotel: TraceCollector, mode: str
) -> None:
    """Reported: no spans came of embedded mode, and requests of two processes had the same numbers. Met with `processes=2`."""
    server = shop(f"http://127.0.0.1:{rotel.port}", 1, mode, processes=2)
    workers = server.wait_workers(2)
    # Either process may have one.
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: server.ask("/fast"), range(24)))
    assert [answer.status for answer in answers] == [200] * 24
    found = harness.until(lambda: len(rotel.spans("GET /fast")) >= 24 and rotel.spans("GET /fast"), "the spans of all", 30)
    assert len({span.trace for span in found}) == len({span.id for span in found}) == len(found) == 24
    assert {span.attributes["process.pid"] for span in found} <= set(workers)
    inner = rotel.spans("application")
    assert sorted(span.parent for span in inner) == sorted(span.id for span in found)
    # What a worker measured is with the request that it belongs to.
    pairs = {span.id: span for span in found}
    assert all(abs(span.start - pairs[span.parent].start) < 5_000_000_000 for span in inner)


def test_nobody_at_the_receiver_costs_nothing_but_spans(shop: Callable[[str, float], Gilkeeper]) -> None:
    for protocol in ("http", "grpc"):
        server = shop(f"{protocol}://127.0.0.1:{harness.free_port()}", 1)
        server.wait_workers(1)
        assert server.ask("/fast").status == 200
        server.wait_log(f"spans cannot be pushed to {protocol}://127.0.0.1:[0-9]+: .*", 20)
        assert server.ask("/fast").status == 200


def test_exemplars_lead_from_prometheus_to_traces(shop: Callable[[str, float], Gilkeeper], tmp_path: Path) -> None:
    server = shop(f"http://127.0.0.1:{harness.free_port()}", 1)
    server.wait_workers(1)
    port = harness.free_port()
    (tmp_path / "prometheus.yml").write_text(PROMETHEUS.format(port=server.admin))
    arguments = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data", "--enable-feature=exemplar-storage"]
    arguments.append(f"--web.listen-address=127.0.0.1:{port}")
    log = tmp_path / "prometheus.log"
    with open(log, "wb") as written:
        process = subprocess.Popen([command("prometheus"), *arguments], stdout=written, stderr=written, stdin=subprocess.DEVNULL)
    began = time.time() - 60

    def exemplars() -> dict[str, dict[str, str]]:
        """Trace by name of the histogram, of the last exemplar."""
        assert process.poll() is None, log.read_text()
        query = {"query": '{__name__=~"gilkeeper_.*_bucket"}', "start": began, "end": time.time() + 60}
        url = f"http://127.0.0.1:{port}/api/v1/query_exemplars?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                found = json.loads(answer.read())["data"]
        except OSError:
            return {}
        return {one["seriesLabels"]["__name__"]: one["exemplars"][-1] for one in found}

    try:
        traces = set()
        for _ in range(3):
            traces.add(server.ask("/slow").json["HTTP_TRACEPARENT"].split("-")[1])
        names = {"gilkeeper_response_seconds_bucket", "gilkeeper_request_seconds_bucket", "gilkeeper_request_cpu_seconds_bucket"}
        found = harness.until(lambda: names <= set(now := exemplars()) and now, "exemplars of three histograms", 40)
        for name in names:
            assert found[name]["labels"]["trace_id"] in traces and float(found[name]["value"]) > 0.2, found[name]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert not [line for line in log.read_text().splitlines() if "level=warn" in line and "SIGTERM" not in line], log.read_text()
