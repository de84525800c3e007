"""Runs deploy/compose.yaml without containers: each service is a process with a loopback address, by the very file and the files that
it mounts. Names of services become their addresses; images become the programs of this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from playing import DEPLOY, Network, Part, serve

Service = dict[str, Any]
TOKEN = "a token that somebody has made"


def seconds(text: str) -> float:
    assert text.endswith("s"), text
    return float(text[:-1])


class Composition:
    def __init__(self, folder: Path, running: Callable[[Part], Part]) -> None:
        self.services: dict[str, Service] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
        self.folder, self.running, self.network = folder, running, Network()
        self.parts: dict[str, Part] = {}
        for name in self.services:
            self.network.address(name)

    def address(self, name: str, port: int) -> str:
        return f"http://{self.network.address(name)}:{port}"

    def start(self, name: str) -> Part:
        service = self.services[name]
        if "build" in service:
            # A container that is made again has a new state.
            folder = self.folder / f"{name}-{len(list(self.folder.iterdir()))}"
            folder.mkdir()
            part = serve(self.network, name, service["command"], folder)
        else:
            part = self.other(name, service)
        self.parts[name] = self.running(part)
        return part

    def other(self, name: str, service: Service) -> Part:
        """A service whose files are mounted: they are translated, and the command names them where they are now."""
        mounted = {}
        for volume in service["volumes"]:
            source, target, mode = volume.split(":")
            assert mode == "ro"
            copy = self.folder / f"{name}-{Path(source).name}"
            if source == "./admin.token":
                text = TOKEN
            else:
                text = self.network.translate((DEPLOY / source).read_text(), name)
                text = text.replace("credentials_file: ", f"credentials_file: {name}-").replace("rule_files: [", f"rule_files: [{name}-")
            copy.write_text(text)
            mounted[target] = copy
        command = [self.network.translate(word, name) for word in service["command"]]
        for target, copy in mounted.items():
            command = [word.replace(target, str(copy)) for word in command]
        command = [word.replace("=/prometheus", f"={self.folder}/{name}-data") for word in command]
        if command[0].startswith("-"):
            # The image's own program.
            command = [service["image"].split("/")[-1].split(":")[0], *command]
        path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        return Part(name, command, self.folder, path, self.folder)

    def stop(self, name: str) -> float:
        """As `docker compose` does: the hooks, TERM, and KILL after the grace period."""
        service, part = self.services[name], self.parts.pop(name)
        for hook in service.get("pre_stop", []):
            done = part.run(hook["command"])
            assert done.returncode == 0, done
        return part.end(seconds(service.get("stop_grace_period", "10s")))

    def rolled(self, name: str) -> float:
        took = self.stop(name)
        self.start(name)
        return took

    def checked(self, *command: str) -> None:
        """A program that checks a file of the composition."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
