"""A whole Gilkeeper, as a user runs it: started from the command line or a configuration, asked with its own commands.

Built on the scenario suite's harness; adds the commands, the load generator and what /proc tells.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness

MEGABYTE = 1 << 20
# The process group of several fronts.
FRONTS = "fronts"


class Gilkeeper(harness.Server):
    """The server under test with a configuration, or, where `arguments` are given, from the command line alone."""

    def __init__(
        self,
        files: list[Path],
        conf: str = "",
        arguments: list[str] | None = None,
        name: str = "whole",
        admin: int | None = None,
        server_root: Path | None = None,
        error_log: Path | None = None,
        descriptors: int | None = None,
    ) -> None:
        super().__init__(files, conf, name, "ours")
        self.arguments, self.admin, self.descriptors = arguments, admin, descriptors
        self.server_root = server_root or self.root / "server-root"
        self.error_log = error_log or self.error_log

    def command(self) -> list[str]:
        pages = "off" if self.admin is None else f"127.0.0.1:{self.admin}"
        if self.arguments is None:
            file = str(self.root / "server.conf")
            command = [harness.gilkeeper(), "serve", "-c", file, "--server-root", str(self.server_root), "--admin", pages]
            # Of every process; `prlimit` of util-linux.
            bound = [] if self.descriptors is None else ["prlimit", f"--nofile={self.descriptors}:{self.descriptors}"]
            return [*bound, *command]
        given = [argument.replace("{app}", str(self.root / "app")) for argument in self.arguments]
        if harness.ENGINE == "embedded" and not {"--embedded", "--fronts"} & set(given):
            given.append("--embedded")
        if harness.ENGINE == "fronts" and not {"--embedded", "--fronts"} & set(given):
            given += ["--fronts", "2"]
        address = ["--host", "127.0.0.1", "--port", str(self.port)]
        return [harness.gilkeeper(), "serve", *given, *address, "--server-root", str(self.server_root), "--admin", pages]

    def tell(self, *arguments: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Runs `gilkeeper …` against this server."""
        command = [harness.gilkeeper(), *arguments, "--server-root", str(self.server_root)]
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)

    def status(self) -> dict[str, Any]:
        told = self.tell("status", "--format", "json")
        if "gives no sign of life" in told.stderr:
            # It waits for a second and a half, and machines that run tests may be busier than that.
            told = self.tell("status", "--format", "json")
        assert told.returncode == 0, told.stderr
        return json.loads(told.stdout)

    def workers(self, group: str | None = None) -> list[int]:
        """The pids of the workers that are ready. Without `group` the fronts that ENGINE has added are left out."""
        found = [one for one in self.status()["workers"] if one["state"] == "ready"]
        left_out = FRONTS if harness.ENGINE == "fronts" and group is None else None
        return [one["pid"] for one in found if group in (None, one["process_group"]) and one["process_group"] != left_out]

    def wait_workers(self, number: int) -> list[int]:
        return harness.until(lambda: len(found := self.workers()) == number and found, f"{number} workers are ready", 30)

    def front(self) -> int:
        """The front's pid."""
        return int(self.status()["front"]["pid"])

    def is_embedded(self) -> bool:
        return super().is_embedded() if self.arguments is None else "--embedded" in self.command()

    def speaks_http_in_workers(self) -> bool:
        """Whether this server runs in embedded mode or has several fronts, because of ENGINE or of its own words."""
        own = {"--embedded", "--fronts"} & set(self.arguments or []) or re.search("GilkeeperEmbedded|GilkeeperFronts", (self.root / "site.conf").read_text())
        return self.is_embedded() or bool(own)

    def speakers(self) -> list[int]:
        """The pids of the processes that have the clients' connections: the front, or all of several, or in embedded mode all workers."""
        if harness.ENGINE == "fronts":
            return harness.until(lambda: self.workers(FRONTS), "a front has the clients", 30)
        return harness.until(self.workers, "a process has the clients", 30) if self.is_embedded() else [self.front()]


# === /proc ===


def memory(pid: int, field: str = "VmRSS") -> int:
    """Bytes of a field of /proc/PID/status."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert found, f"{field} of {pid}"
    return int(found[1]) * 1024


def descriptors(pid: int) -> Path:
    """The folder of a process's descriptors, or those of its thread that speaks HTTP in embedded mode, which has a table of its own."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text() == "gk-front\n":
            return task / "fd"
    return Path(f"/proc/{pid}/fd")


def reset_peak(pid: int) -> None:
    """Begins a new peak: VmHWM counts from here."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


# === load ===


@dataclass
class Load:
    """Counts of a run of wrk."""

    requests: int
    refused: int
    socket_errors: int
    text: str


class Wrk:
    """wrk with `connections` kept-alive connections, in the background until `end`."""

    def __init__(self, url: str, connections: int = 64) -> None:
        command = ["wrk", "-t1", f"-c{connections}", "-d300s", "--timeout", "20s", url]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)

    def __enter__(self) -> Wrk:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def end(self) -> Load:
        """Stops it; wrk prints its counts when it is interrupted."""
        self.process.send_signal(signal.SIGINT)
        text, _ = self.process.communicate(timeout=60)
        requests = re.search(r"(\d+) requests in", text)
        assert requests, text
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
        errors = sum(int(number) for number in sockets.groups()) if sockets else 0
        return Load(int(requests[1]), int(refused[1]) if refused else 0, errors, text)


def readable_by_others(path: str) -> bool:
    """True if another user could run the file at `path`."""
    real = Path(os.path.realpath(path))
    return all(folder.stat().st_mode & 0o001 for folder in real.parents) and bool(real.stat().st_mode & 0o005)
