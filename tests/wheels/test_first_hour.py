"""The first hour with a wheel and nothing else: README, the guide's pages for Django and Flask from an empty folder, and a server as in a
container. For each wheel that a CPython of this machine runs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import GUIDE, commands, newcomer, without_a_home
from wheels import Wheel, get_applications

# What the pages' lines call, beside what the virtual environment has. No compiler and no cargo are among them.
TOOLS = ("bash", "curl", "env")


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty one. pytest's own has so long a path that the one of a control socket in it is too long."""
    made = Path(tempfile.mkdtemp(prefix="first-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def alone(native: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The PATH of a machine with the wheel, its Python and little else."""
    monkeypatch.setenv("GILKEEPER", native[0])
    tools = folder / "tools"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name, path="/usr/bin:/bin") or "/missing")
    path = f"{Path(native[0]).parent}:{tools}"
    assert not any(shutil.which(name, path=path) for name in ("cargo", "rustc", "cc", "gcc", "make"))
    return path


@pytest.mark.parametrize("page", ["../../README.md", "django.md", "flask.md"])
def test_a_newcomer_s_page_is_a_transcript(page: str, wheel: Wheel, alone: str, folder: Path) -> None:
    get_applications(wheel, commands())
    newcomer(GUIDE / page, folder, PATH=alone)


def test_a_server_without_a_home_writes_into_its_state_folder_only(alone: str) -> None:
    without_a_home()
