"""deploy/kubernetes: valid by the published schemas, consistent, and rolled under load by a script that plays the kubelet."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from harness import REPOSITORY, until
from kubelet import Kubelet
from playing import DEPLOY, Part, Visitors

FOLDER = DEPLOY / "kubernetes"
HERE = Path(__file__).resolve().parent
# Of the schemas: the oldest release that is maintained, and the newest one.
RELEASES = ("1.32", "1.37")
Manifest = dict[str, Any]


def manifests() -> list[tuple[str, Manifest]]:
    files = sorted(FOLDER.glob("*.yaml"))
    others = ("kustomization.yaml", "prometheus-adapter.yaml")
    return [(file.name, each) for file in files if file.name not in others for each in yaml.safe_load_all(file.read_text())]


def one(kind: str) -> Manifest:
    [found] = [each for _, each in manifests() if each["kind"] == kind]
    return found


def test_the_published_schemas_accept_each_manifest() -> None:
    for name, manifest in manifests():
        if manifest["kind"] == "ServiceMonitor":
            continue
        for release in RELEASES:
            # Strict: a field that nobody knows is an error, as it is a mistake of spelling.
            kubernetes_validate.validate(manifest, release, strict=True)
    assert {manifest["kind"] for _, manifest in manifests()} == {
        "Deployment",
        "Service",
        "ServiceMonitor",
        "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
    }


def test_the_published_schema_accepts_the_service_monitor_and_refuses_a_wrong_one() -> None:
    if not (shutil.which("node") and shutil.which("npm")):
        subprocess.run([REPOSITORY / "scripts/packages", "nodejs", "npm"], check=True)
    home = HERE / ".schemas"
    shutil.copytree(HERE / "schemas", home, dirs_exist_ok=True)
    if not (home / "node_modules/@kubernetes-models/prometheus-operator/package.json").exists():
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(install, cwd=home, check=True, timeout=120, stdin=subprocess.DEVNULL)

    def checked(manifest: Manifest) -> subprocess.CompletedProcess[str]:
        command = ["node", "servicemonitor.js"]
        return subprocess.run(command, cwd=home, input=json.dumps(manifest), capture_output=True, text=True, timeout=60)

    good = one("ServiceMonitor")
    told = checked(good)
    assert told.returncode == 0, told.stderr
    told = checked({**good, "spec": {"selector": {}, "endpoints": "admin"}})
    assert told.returncode != 0 and "endpoints" in told.stderr


def test_names_meet() -> None:
    """What one manifest names, another one has: a schema sees one at a time."""
    deployment, monitor, scaler = one("Deployment"), one("ServiceMonitor"), one("HorizontalPodAutoscaler")
    template = deployment["spec"]["template"]
    [container] = template["spec"]["containers"]
    labels = template["metadata"]["labels"]
    ports = {port["name"] for port in container["ports"]}
    services = [each for _, each in manifests() if each["kind"] == "Service"]
    for selector in (
        deployment["spec"]["selector"]["matchLabels"],
        one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        *(service["spec"]["selector"] for service in services),
    ):
        assert selector.items() <= labels.items()
    assert {port["targetPort"] for service in services for port in service["spec"]["ports"]} <= ports
    assert {container[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")} == {"admin"}
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    [watched] = [service for service in services if wanted <= service["metadata"]["labels"].items()]
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in watched["spec"]["ports"]}
    secret = endpoint["authorization"]["credentials"]["name"]
    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    assert volumes["token"]["secret"]["secretName"] == secret
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    [metric] = scaler["spec"]["metrics"]
    [rule] = yaml.safe_load((FOLDER / "prometheus-adapter.yaml").read_text())["rules"]["custom"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"]
    known = set(re.findall(r"`(gilkeeper_\w+)`", (REPOSITORY / "docs/reference/metrics.md").read_text()))
    assert set(re.findall(r"gilkeeper_\w+(?=\{)", rule["metricsQuery"] + rule["seriesQuery"])) <= known
    listed = set(yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"])
    assert listed == {name for name, _ in manifests()}
    # What a stop may take is less than what the kubelet waits.
    words = container["args"] + container["lifecycle"]["preStop"]["exec"]["command"]
    times = [float(words[words.index(name) + 1]) for name in ("--graceful-timeout", "--wait")]
    assert sum(times) + 5 < template["spec"]["terminationGracePeriodSeconds"]


def test_a_rolling_update_under_load_loses_no_request(
    tmp_path: Path, running: Callable[[Part], Part], visitors: Callable[..., Visitors]
) -> None:
    cluster = Kubelet(one("Deployment"), tmp_path, running)
    cluster.scale(2)
    load = visitors(cluster.endpoint)
    until(lambda: load.answered > 200, "the load runs", 30)
    # A stream that would not end by itself, in a pod that goes.
    before = load.answered
    with closing(http.client.HTTPConnection(cluster.pods[0].address, cluster.ports["http"], timeout=30)) as stream:
        stream.request("GET", "/events")
        events = stream.getresponse()
        assert events.readline() == b"retry: 1000\n"
        cluster.roll()
        assert events.read().endswith(b"\n"), "the stream ends as it should, and is not cut off"
    until(lambda: load.answered > before + 200, "the load runs on", 30)
    load.end()
    assert (load.failed, cluster.unhealthy) == ([], [])
    assert len(cluster.pods) == 2 and all(pod.name.endswith("-new") for pod in cluster.pods)
    # As soon as there is nothing to wait for: 5 s of preStop, and a moment.
    assert len(cluster.durations) == 2 and all(5 <= duration < 20 for duration in cluster.durations), cluster.durations
