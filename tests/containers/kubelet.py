"""Pods of a Deployment as processes, treated as Kubernetes treats them: startup, readiness and liveness probes, endpoints that follow
readiness, a rolling update with a surge, preStop, TERM, and KILL when the grace period is over."""

from __future__ import annotations

import random
import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playing import Network, Part, asked, serve

Manifest = dict[str, Any]


@dataclass
class Pod:
    """A pod and its one container."""

    name: str
    address: str
    part: Part
    ready: bool = False
    misses: dict[str, int] = field(default_factory=dict)
    gone: threading.Event = field(default_factory=threading.Event)


class Kubelet:
    """Everything that happens to the pods of a deployment. `running` ends a process after the test."""

    def __init__(self, deployment: Manifest, folder: Path, running: Callable[[Part], Part]) -> None:
        self.spec = deployment["spec"]["template"]["spec"]
        [self.container] = self.spec["containers"]
        rolling = deployment["spec"]["strategy"]["rollingUpdate"]
        assert (rolling["maxUnavailable"], rolling["maxSurge"]) == (0, 1), "roll() does this one"
        self.ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        self.folder, self.running, self.network = folder, running, Network()
        self.pods: list[Pod] = []
        self.unhealthy: list[str] = []
        self.durations: list[float] = []

    # === the control plane ===

    def endpoint(self) -> tuple[str, int]:
        """The service: one of the ready pods, for each new connection."""
        ready = [pod for pod in self.pods if pod.ready]
        return random.choice(ready).address, self.ports["http"]

    def scale(self, number: int) -> None:
        starting = [self.create(f"site-{index}") for index in range(number)]
        for pod in starting:
            self.started(pod)

    def roll(self) -> None:
        """A pod of the new template is ready before an old one goes."""
        for old in list(self.pods):
            self.started(self.create(f"{old.name}-new"))
            self.delete(old)

    # === the kubelet ===

    def create(self, name: str) -> Pod:
        part = self.running(serve(self.network, name, self.container["args"], self.folder))
        pod = Pod(name, self.network.address(name), part)
        self.pods.append(pod)
        return pod

    def started(self, pod: Pod) -> None:
        """Waits for the startup probe, then watches the others."""
        probe = self.container["startupProbe"]
        for _ in range(probe["failureThreshold"]):
            if self.probe(pod, probe):
                break
            assert pod.part.process.poll() is None, pod.part.text()
            # Half of the period, so that the test is not slower than it has to be.
            pod.gone.wait(probe["periodSeconds"] / 2)
        else:
            raise AssertionError(f"{pod.name} would be restarted: it did not start\n{pod.part.text()}")
        pod.ready = True
        threading.Thread(target=self.watch, args=(pod,), daemon=True).start()

    def watch(self, pod: Pod) -> None:
        beat, probes = 0, ("readinessProbe", "livenessProbe")
        while not pod.gone.wait(1.0):
            beat += 1
            for kind in probes:
                probe = self.container[kind]
                if beat % probe["periodSeconds"]:
                    continue
                good = self.probe(pod, probe)
                pod.misses[kind] = 0 if good else pod.misses.get(kind, 0) + 1
                out = pod.misses[kind] >= probe["failureThreshold"]
                if kind == "readinessProbe":
                    pod.ready = good or (pod.ready and not out)
                elif out:
                    self.unhealthy.append(pod.name)

    def probe(self, pod: Pod, probe: Manifest) -> bool:
        get = probe["httpGet"]
        return asked(f"http://{pod.address}:{self.ports[get['port']]}{get['path']}")[0] == 200

    def delete(self, pod: Pod) -> None:
        """Endpoints follow the readiness probe alone: in a cluster the deletion takes the pod out sooner."""
        begun, grace = time.monotonic(), self.spec["terminationGracePeriodSeconds"]
        hook = self.container["lifecycle"]["preStop"]["exec"]["command"]
        done = pod.part.run(hook, grace)
        assert done.returncode == 0, (shlex.join(hook), done)
        pod.part.end(grace - (time.monotonic() - begun))
        self.durations.append(time.monotonic() - begun)
        pod.gone.set()
        pod.ready = False
        self.pods.remove(pod)
