"""The alert rules before Debian's promtool, and the dashboard for Grafana: both read only metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def promtool(*arguments: str) -> str:
    found = shutil.which("promtool")
    assert found, "promtool is missing; scripts/packages prometheus installs it"
    ran = subprocess.run([found, *arguments], cwd=DEPLOY, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def documented() -> set[str]:
    return set(re.findall(r"`(gilkeeper_\w+)`", (ROOT / "docs/reference/metrics.md").read_text()))


def read_by(text: str) -> set[str]:
    """The metrics in queries, without the suffixes of a histogram's series."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bgilkeeper_\w+", text)}


def test_the_rules_say_what_their_tests_say() -> None:
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts.test.yml")


def test_each_alert_is_seen_to_fire_and_to_keep_silent() -> None:
    """Reported: five alerts were only tested not to fire. Met with `GilkeeperGilBound`."""
    alerts = re.findall(r"^ +- alert: (\w+)$", (DEPLOY / "alerts.yml").read_text(), re.M)
    tested = (DEPLOY / "alerts.test.yml").read_text()
    fires = set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n +- exp_labels", tested))
    silent = set(re.findall(r"alertname: (\w+)\}", tested))
    assert alerts and (set(alerts) - fires, set(alerts) - silent) == (set(), set())


@pytest.mark.parametrize("file", ["deploy/alerts.yml", "deploy/alerts.test.yml", "grafana/gilkeeper.json"])
def test_every_metric_is_on_the_reference_page(file: str) -> None:
    missing = read_by((ROOT / file).read_text()) - documented()
    assert missing == set()


def panels() -> list[dict[str, Any]]:
    board = json.loads((ROOT / "grafana/gilkeeper.json").read_text())
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def test_the_grafana_dashboard_tells_jobs_and_instances_apart_and_says_what_it_shows() -> None:
    """Reported: two servers of one Prometheus were added up, and no panel had a description."""
    board = json.loads((ROOT / "grafana/gilkeeper.json").read_text())
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "job", "instance", "group"]
    for panel in panels():
        assert len(panel["description"]) > 20, panel["title"]
        for target in panel["targets"]:
            asked = re.findall(r"gilkeeper_\w+\{([^}]*)\}", target["expr"])
            assert len(asked) == len(re.findall(r"gilkeeper_\w+", target["expr"])), target["expr"]
            for selector in asked:
                assert 'job=~"$job"' in selector and 'instance=~"$instance"' in selector, target["expr"]
    queries = " ".join(target["expr"] for panel in panels() for target in panel["targets"])
    names = ["responses_total", "response_seconds", "ready", "queue_length", "refused_requests_total", "request_exceptions_total"]
    for name in [*names, "gil_holder_seconds_total", "request_lock_wait_seconds_total", "busy_thread_seconds_total"]:
        assert f"gilkeeper_{name}" in queries, name


def test_queries_are_understood(tmp_path: Path) -> None:
    """Grafana's variables replaced by values, each query is a rule that promtool reads."""
    rules = []
    for panel in panels():
        for target in panel["targets"]:
            expr = target["expr"].replace("$__rate_interval", "5m")
            rules.append({"record": "x:y", "expr": expr, "labels": {"n": str(len(rules))}})
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", str(tmp_path / "rules.yml"))
