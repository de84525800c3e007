"""Each test runs once for each wheel; one that takes `installed` once for each wheel that a CPython here can run, and one that takes
`native` leaves out those in an emulator."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import harness
import pytest
from wheels import Installed, Wheel, install, python, source, wheels

# `make wheels` makes one, a ring has none.
collect_ignore = [] if source() else ["test_source.py"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "wheel" in metafunc.fixturenames:
        found = wheels()
        assert found, "there is no wheel; scripts/wheels or scripts/build makes some, and GILKEEPER_WHEELS says where"
        if "installed" in metafunc.fixturenames:
            found = [one for one in found if python(one)]
        if "native" in metafunc.fixturenames:
            found = [one for one in found if not one.emulated]
        metafunc.parametrize("wheel", found, ids=str)


class Environments(dict[Wheel, list[str]]):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __missing__(self, wheel: Wheel) -> list[str]:
        self[wheel] = install(wheel, self.folder / str(wheel))
        return self[wheel]


@pytest.fixture(scope="session")
def environments() -> Iterator[dict[Wheel, list[str]]]:
    """The command `gilkeeper` of a new virtual environment for each wheel that a test has asked for."""
    folder = Path(tempfile.mkdtemp(prefix="gilkeeper-wheel-"))
    # Servers of other users run from there.
    folder.chmod(0o755)
    yield Environments(folder)
    shutil.rmtree(folder)


@pytest.fixture
def installed(wheel: Wheel, environments: dict[Wheel, list[str]]) -> list[str]:
    """The command `gilkeeper` of a virtual environment with the wheel, and nothing but what a test of this file has added."""
    return environments[wheel]


@pytest.fixture
def native(installed: list[str]) -> list[str]:
    """The same, on a CPython of this machine's own kind."""
    return installed


@pytest.fixture
def serve(wheel: Wheel, installed: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Installed]]:
    if wheel.emulated:
        # An emulator takes seconds to start a Python.
        monkeypatch.setattr(harness, "START_SECONDS", 300.0)
        monkeypatch.setattr(harness, "STOP_SECONDS", 120.0)
    started: list[Installed] = []

    def start(files: list[Path], conf: str) -> Installed:
        server = Installed(installed, files, conf)
        started.append(server)
        # No compiler, no Rust, nothing else of this machine's.
        server.extra_environment["PATH"] = str(Path(installed[0]).parent)
        server.start()
        return server

    yield start
    for server in started:
        server.kill()
        server.clean()
