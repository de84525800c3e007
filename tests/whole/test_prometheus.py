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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import harness
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


def test_prometheus_scrapes_without_a_warning(gilkeeper: Callable[..., Gilkeeper], tmp_path: Path) -> None:
    server = served(gilkeeper)
    port = harness.free_port()
    (tmp_path / "prometheus.yml").write_text(PROMETHEUS.format(port=server.admin))
    arguments = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data", "--log.level=info"]
    arguments.append(f"--web.listen-address=127.0.0.1:{port}")
    log = tmp_path / "log"
    with open(log, "wb") as written:
        process = subprocess.Popen(
            [command("prometheus"), *arguments], cwd=tmp_path, stdout=written, stderr=written, stdin=subprocess.DEVNULL
        )

    def api(path: str) -> Any:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=20) as answer:
                return json.loads(answer.read())["data"]
        except urllib.error.HTTPError as error:
            # 503 until it has read its storage.
            error.close()
        except OSError:
            pass
        return None

    def value(query: str) -> float:
        found = api("query?" + urllib.parse.urlencode({"query": query}))
        return float(found["result"][0]["value"][1]) if found and found["result"] else 0.0

    try:
        requests = 'sum(gilkeeper_requests_total{process_group="a \\"b\\" \\\\c"})'
        harness.until(lambda: value(requests) >= 5, "Prometheus knows five requests", 40)
        for _ in range(20):
            server.ask("/wait")
        harness.until(lambda: value(requests) >= 25, "Prometheus knows the next twenty", 30)
        assert value('count(gilkeeper_request_seconds_bucket{le="+Inf"})') == 2
        assert value("sum(gilkeeper_gil_enabled)") == 2
        assert value('sum(gilkeeper_requests_total{application_group="x{y}"})') == 1
        harness.until(lambda: value('count_over_time(up{job="gilkeeper"}[1m])') >= 4, "four scrapes are over", 60)
        assert value('min_over_time(up{job="gilkeeper"}[1m])') == 1
        [target] = api("targets")["activeTargets"]
        assert (target["health"], target["lastError"]) == ("up", "")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    text = log.read_text()
    complaints = [line for line in text.splitlines() if re.search(r"level=(warn|error)", line)]
    # It says so of every SIGTERM.
    assert [line for line in complaints if "Received SIGTERM" not in line] == []
