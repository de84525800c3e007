"""Control groups with limits: processes by the CPUs of the group, and a worker that the kernel kills for want of memory."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import harness
import pytest
from harness import until
from playing import Network, Part, asked, environment, state

HERE = Path(__file__).resolve().parent
TOKEN = {"Authorization": "Bearer a token that somebody has made"}
MIB = 1 << 20
# Bytes of a worker with its ballast and of the server beside it are more than three quarters of that.
LIMIT, BALLAST = 208, 150


class Group:
    """A control group of this test's own, below that of the test."""

    def __init__(self, controller: str) -> None:
        lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
        old = [path for _, controllers, path in lines if controller in controllers.split(",")]
        self.version = 1 if old else 2
        if old:
            parent = Path("/sys/fs/cgroup", controller, old[0].lstrip("/"))
        else:
            # A group with processes cannot have limited ones below it, but for the top one.
            parent = Path("/sys/fs/cgroup")
            if controller not in (parent / "cgroup.subtree_control").read_text().split():
                raise OSError(f"{controller} is not given to groups")
        self.folder = parent / f"gilkeeper-test-{os.getpid()}"
        self.folder.mkdir()

    def limit(self, **values: str) -> None:
        for name, value in values.items():
            (self.folder / name.replace("__", ".")).write_text(value)

    def inside(self, command: list[str]) -> list[str]:
        return ["sh", "-c", f'echo $$ >{self.folder}/cgroup.procs && exec "$@"', "sh", *command]

    def remove(self) -> None:
        until(lambda: not (self.folder / "cgroup.procs").read_text(), "the group is empty")
        self.folder.rmdir()


@pytest.fixture
def group() -> Iterator[Callable[[str], Group]]:
    made: list[Group] = []

    def make(controller: str) -> Group:
        try:
            made.append(Group(controller))
        except OSError as error:
            pytest.skip(f"no control group can be made here: {error}")
        return made[-1]

    yield make
    for one in made:
        one.remove()


def processes(command: list[str], folder: Path) -> int:
    """The number that `--processes auto` means for a command that runs `gilkeeper check`."""
    (folder / "site.conf").write_text("WSGIDaemonProcess site processes=auto\n")
    whole = [*command, harness.gilkeeper(), "check", "-c", str(folder / "site.conf"), "--format", "json"]
    told = subprocess.run(whole, capture_output=True, text=True, timeout=60, cwd=folder)
    assert told.returncode == 0, told
    return int(json.loads(told.stdout)["site"]["groups"][0]["processes"])


def test_auto_heeds_the_processors_that_are_allowed(tmp_path: Path) -> None:
    first = min(os.sched_getaffinity(0))
    assert shutil.which("taskset") and processes(["taskset", "-c", str(first)], tmp_path) == 1


def test_auto_heeds_the_quota_of_the_control_group(tmp_path: Path, group: Callable[[str], Group]) -> None:
    own = group("cpu")
    for tenths, expected in ((5, 1), (10, 1), (15, min(2, len(os.sched_getaffinity(0))))):
        quota = str(tenths * 10_000)
        if own.version == 1:
            own.limit(cpu__cfs_quota_us=quota)
        else:
            own.limit(cpu__max=f"{quota} 100000")
        assert processes(own.inside(["env"]), tmp_path) == expected, tenths


def test_a_worker_that_the_kernel_kills_for_want_of_memory_is_named(
    tmp_path: Path, group: Callable[[str], Group], running: Callable[[Part], Part]
) -> None:
    """Reported: such a worker was only a crash. Met in containers, where memory is narrow and the log is all there is."""
    own = group("memory")
    if own.version == 1:
        own.limit(memory__limit_in_bytes=str(LIMIT * MIB), memory__swappiness="0")
    else:
        own.limit(memory__max=str(LIMIT * MIB), memory__swap__max="0")
    address = Network().address("site")
    arguments = [str(HERE / "eater.py"), "--host", address, "--admin", f"{address}:8001", "--log-level", "info"]
    command = own.inside([harness.gilkeeper(), "serve", *arguments])
    given = environment(state(tmp_path / "state")) | {"BALLAST": str(BALLAST)}
    server = running(Part("site", command, tmp_path, given, tmp_path))
    site, admin = f"http://{address}:8000", f"http://{address}:8001"
    until(lambda: asked(admin + "/readyz")[0] == 200, "the server is ready", 30)
    until(lambda: "GK0053" in server.text(), "the start warns of the narrow limit")
    assert asked(site + "/")[0] == 200
    # Before the kernel kills, it takes back what the group has read from files, code too: on a busy disk that may take long.
    eaten = asked(site + "/eat", patience=120)
    assert eaten[0] == 502, (eaten, server.text()[-3000:])
    until(lambda: asked(site + "/")[0] == 200, "another worker serves", 30)
    said = f"signal 9 (KILL), the kernel killed it because memory ran out: its control group may use {LIMIT} MiB"
    assert said in server.text(), server.text()[-3000:]

    def metrics() -> str:
        return asked(admin + "/metrics", TOKEN)[1]

    until(lambda: re.search(r'^gilkeeper_worker_restarts_total\{.*reason="out_of_memory".*\} [1-9]$', metrics(), re.M), "it is counted")
    text = metrics()
    assert re.search(r"^gilkeeper_memory_kills_total [1-9]", text, re.M)
    assert f"gilkeeper_memory_limit_bytes {LIMIT * MIB}.0" in text or f"gilkeeper_memory_limit_bytes {LIMIT * MIB}\n" in text
    server.end(10)
