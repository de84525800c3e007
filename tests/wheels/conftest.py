"""Each test runs once for each wheel; one that takes `installed` once for each wheel that a CPython here can run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import harness
import pytest
from wheels import Installed, Wheel, install, python, wheels


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "wheel" in metafunc.fixturenames:
        found = wheels()
        assert found, "there is no wheel; scripts/wheels or scripts/build makes some, and GILKEEPER_WHEELS says where"
        if "installed" in metafunc.fixturenames:
            found = [one for one in found if python(one)]
        metafunc.parametrize("wheel", found, ids=str)


@pytest.fixture
def installed(wheel: Wheel) -> Iterator[list[str]]:
    """The command `gilkeeper` of a new virtual environment with nothing but the wheel."""
    folder = Path(tempfile.mkdtemp(prefix="gilkeeper-wheel-"))
    yield install(wheel, folder / "venv")
    shutil.rmtree(folder)


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
