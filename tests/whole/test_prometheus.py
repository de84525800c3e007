"""`/metrics` before the distribution's own Prometheus: promtool finds nothing to say, a scrape gives no warning."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import harness
import pytest
from running import Gilkeeper

HERE = Path(__file__).resolve().parent

CONF = """
WSGIDaemonProcess "a \\"b\\" \\\\c" processes=2 threads=3
WSGIScriptAlias /named ${APP}/mixed.py process-group='a "b" \\c' application-group="x{y}"
WSGIScriptAlias / ${APP}/mixed.py process-group='a "b" \\c' application-group=%{GLOBAL}
"""
PROMETHEUS = """
global: {{scrape_interval: 3s, scrape_timeout: 3s}}
scrape_configs:
  - job_name: gilkeeper
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def command(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is missing; scripts/packages prometheus installs it"
    return found


def served(gilkeeper: Callable[..., Gilkeeper]) -> Gilkeeper:
    """A server that has served, failed, and lost a worker; its names want to be quoted."""
    server = gilkeeper([HERE / "mixed.py"], CONF, admin=harness.free_port())
    server.wait_workers(2)
    for path in ("/spin", "/named/wait", "/fail", "/missing", "/collect"):
        server.ask(path)
    server.status()
    return server


def test_promtool_finds_nothing_to_say(gilkeeper: Callable[..., Gilkeeper]) -> None:
    server = served(gilkeeper)

    def page() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.admin}/metrics", timeout=20) as answer:
            return answer.read().decode()

    text = harness.until(lambda: (found := page()) if 'code="404"' in page() else "", "the requests are counted")
    checked = subprocess.run([command("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", ""), checked


class Prometheus:
    """A running Prometheus that scrapes a server."""

    def __init__(self, server: Gilkeeper, folder: Path, *arguments: str) -> None:
        self.port, self.log = harness.free_port(), folder / "log"
        (folder / "prometheus.yml").write_text(PROMETHEUS.format(port=server.admin))
        given = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", "--log.level=info"]
        given.append(f"--web.listen-address=127.0.0.1:{self.port}")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [command("prometheus"), *given, *arguments], cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def api(self, path: str) -> Any:
        assert self.process.poll() is None, self.log.read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=20) as answer:
                return json.loads(answer.read())["data"]
        except urllib.error.HTTPError as error:
            # 503 until it has read its storage.
            error.close()
        except OSError:
            pass
        return None

    def value(self, query: str) -> float:
        found = self.api("query?" + urllib.parse.urlencode({"query": query}))
        return float(found["result"][0]["value"][1]) if found and found["result"] else 0.0

    def end(self) -> list[str]:
        """Ends it; returns what it complained of."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        complaints = [line for line in self.log.read_text().splitlines() if re.search(r"level=(warn|error)", line)]
        # It says so of every SIGTERM.
        return [line for line in complaints if "Received SIGTERM" not in line]


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Callable[..., Prometheus]]:
    started: list[Prometheus] = []

    def start(server: Gilkeeper, *arguments: str) -> Prometheus:
        started.append(Prometheus(server, tmp_path, *arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.end()


def test_prometheus_scrapes_without_a_warning(gilkeeper: Callable[..., Gilkeeper], prometheus: Callable[..., Prometheus]) -> None:
    server = served(gilkeeper)
    reader = prometheus(server)
    requests = 'sum(gilkeeper_requests_total{process_group="a \\"b\\" \\\\c"})'
    harness.until(lambda: reader.value(requests) >= 5, "Prometheus knows five requests", 40)
    for _ in range(20):
        server.ask("/wait")
    harness.until(lambda: reader.value(requests) >= 25, "Prometheus knows the next twenty", 30)
    assert reader.value('count(gilkeeper_request_seconds_bucket{le="+Inf"})') == 2
    assert reader.value("sum(gilkeeper_gil_enabled)") == 2
    assert reader.value('sum(gilkeeper_requests_total{application_group="x{y}"})') == 1
    harness.until(lambda: reader.value('count_over_time(up{job="gilkeeper"}[1m])') >= 4, "four scrapes are over", 60)
    assert reader.value('min_over_time(up{job="gilkeeper"}[1m])') == 1
    [target] = reader.api("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    assert reader.end() == []


def test_prometheus_stores_native_histograms(gilkeeper: Callable[..., Gilkeeper], prometheus: Callable[..., Prometheus]) -> None:
    server = served(gilkeeper)
    for _ in range(20):
        # 3 ms each.
        server.ask("/wait")
    reader = prometheus(server, "--enable-feature=native-histograms")
    name = 'gilkeeper_application_seconds{application_group!="x{y}"}'
    harness.until(lambda: reader.value(f"histogram_count({name})") == 24, "Prometheus knows the requests", 40)
    with urllib.request.urlopen(f"http://127.0.0.1:{server.admin}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    read = re.findall(r"^gilkeeper_application_seconds_sum{(.*)} (\S+)$", text, re.M)
    sums = [float(value) for labels, value in read if "x{y}" not in labels]
    assert [reader.value(f"histogram_sum({name})")] == pytest.approx(sums)
    # The classic form cannot tell 2.6 ms from 4.9 ms; no more than four requests were shorter than 3 ms, and a bucket is 9 % wide.
    assert reader.value(f"histogram_quantile(0.25, {name})") >= 0.003 * 0.9
    assert reader.value(f"histogram_fraction(0, 0.0026, {name})") <= 4 / 24
    # One series in place of nineteen; counters and gauges as in the text.
    assert reader.value('count({__name__=~"gilkeeper_.*_bucket"})') == 0
    assert reader.value("sum(gilkeeper_requests_total)") == 25
    assert reader.value('sum(gilkeeper_requests_total{application_group="x{y}"})') == 1
    assert reader.value("sum(gilkeeper_gil_enabled)") == 2
    [target] = reader.api("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    assert reader.end() == []
