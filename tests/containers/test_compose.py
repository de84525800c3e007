"""deploy/compose.yaml: two replicas behind HAProxy, watched by Prometheus; both replicas are replaced under load."""

from __future__ import annotations

import csv
import json
import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import yaml
from composition import Composition
from harness import until
from playing import DEPLOY, Part, Visitors, asked

TOKEN = {"Authorization": "Bearer a token that somebody has made"}


def up(composition: Composition) -> list[str]:
    """The servers that HAProxy has asked and found ready; those that it has not asked yet are up for it, too."""
    _, page = asked(composition.address("balancer", 8404) + "/;csv")
    lines = page.removeprefix("# ").splitlines()
    rows = [row for row in csv.DictReader(lines) if row["pxname"] == "servers" and row["svname"].startswith("site-")]
    return [row["svname"] for row in rows if row["status"].startswith("UP") and row["check_status"] == "L7OK"]


def test_two_replicas_behind_haproxy_are_replaced_one_by_one_and_no_request_fails(
    tmp_path: Path, running: Callable[[Part], Part], visitors: Callable[..., Visitors]
) -> None:
    composition = Composition(tmp_path, running)
    sites = ["site-1", "site-2"]
    for name in [*sites, "balancer", "prometheus"]:
        composition.start(name)
    until(lambda: sorted(up(composition)) == sites, "HAProxy finds both replicas ready", 30)
    composition.checked("haproxy", "-c", "-f", str(tmp_path / "balancer-haproxy.cfg"))
    composition.checked("promtool", "check", "config", str(tmp_path / "prometheus-prometheus.yml"))
    balancer = composition.network.address("balancer")
    load = visitors(lambda: (balancer, 8080))
    until(lambda: load.answered > 200, "the load runs", 30)
    took = []
    for name in sites:
        took.append(composition.rolled(name))
        until(lambda: sorted(up(composition)) == sites, f"{name} is back", 90)
    before = load.answered
    until(lambda: load.answered > before + 200, "the load runs on", 30)

    # Prometheus, too, knows both, and the rule of the HorizontalPodAutoscaler gives a value for each.
    def values(query: str) -> list[float]:
        _, body = asked(composition.address("prometheus", 9090) + "/api/v1/query?" + urllib.parse.urlencode({"query": query}))
        found = json.loads(body)["data"]["result"] if body.startswith("{") else []
        return [float(one["value"][1]) for one in found]

    until(lambda: values('up{job="gilkeeper"}') == [1, 1], "Prometheus scrapes both", 30)
    [rule] = yaml.safe_load((DEPLOY / "kubernetes/prometheus-adapter.yaml").read_text())["rules"]["custom"]
    query = rule["metricsQuery"].replace("<<.LabelMatchers>>", 'job="gilkeeper"').replace("<<.GroupBy>>", "instance")
    until(lambda: len(values(query)) == 2, "the ratio of busy threads is known", 30)
    assert all(0 <= value <= 1 for value in values(query))
    # Both serve, and the admin pages ask for the token.
    for name in sites:
        page = composition.address(name, 8001) + "/metrics"
        assert asked(page)[0] == 401
        until(lambda page=page: re.search(r"^gilkeeper_front_requests_total [1-9]", asked(page, TOKEN)[1], re.M), f"{name} serves")
    load.end()
    assert load.failed == []
    assert all(seconds < 10 for seconds in took), took
