"""The source distribution: pip builds and installs it where no wheel fits, on a machine with Rust."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import harness
import pytest
from pages import without_a_home
from wheels import SCRIPTS, source


def test_pip_builds_and_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = source()
    assert archive
    told = subprocess.run([SCRIPTS / "python-of", "3.14"], stdout=subprocess.PIPE, text=True, check=True)
    commands = tmp_path / "venv/bin"
    subprocess.run([told.stdout.strip(), "-m", "venv", commands.parent], check=True)
    cargo = shutil.which("cargo")
    assert cargo, "there is no cargo"
    environment = {
        **os.environ,
        "PATH": f"{commands}:{Path(cargo).parent}:/usr/bin:/bin",
        # Not optimised, and what the tests have compiled of other projects is taken from there.
        "MATURIN_PEP517_ARGS": "--profile dev --features as-tested",
        "CARGO_TARGET_DIR": os.environ.get("CARGO_TARGET_DIR", str(harness.REPOSITORY / "target")),
    }
    pip = [commands / "python", "-m", "pip", "install", "--disable-pip-version-check", archive]
    done = subprocess.run(pip, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    monkeypatch.setenv("GILKEEPER", str(commands / "gilkeeper"))
    without_a_home()
    pages = {page.name for page in (commands.parent / "share/man/man1").iterdir()}
    assert {"gilkeeper.1", "gilkeeper-serve.1"} <= pages
