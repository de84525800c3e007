"""A running `gilkeeper telemetry serve`."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import harness


class Gatherer:
    """A running `gilkeeper telemetry serve`."""

    def __init__(self, *arguments: str) -> None:
        # Apache's user must reach the socket, so not below pytest's own folders.
        self.folder = Path(tempfile.mkdtemp(prefix="gilkeeper-gather-"))
        self.folder.chmod(0o755)
        self.socket = self.folder / "telemetry.sock"
        command = [harness.gilkeeper(), "telemetry", "serve", "--directory", str(self.folder), "--listen", "127.0.0.1:0"]
        command += ["--listen-datagrams", f"unix:{self.socket}", "--socket-mode", "0666", *arguments]
        self.log = self.folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        assert self.line.startswith("Showing http://127.0.0.1:"), self.line + self.log.read_text()
        self.url = self.line.split()[1].rstrip("/;")

    def read(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=20) as answer:
            return answer.read().decode()

    def status(self) -> dict[str, Any]:
        return json.loads(self.read("/api/v1/status"))

    def events(self) -> list[dict[str, Any]]:
        return json.loads(self.read("/api/v1/events"))["events"]

    def workers(self, group: str) -> list[dict[str, Any]]:
        return [one for one in self.status()["workers"] if one["process_group"] == group and "threads" in one]

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=20)
        assert not self.socket.exists()
        return self.process.returncode
