"""`gilkeeper tune` on applications with a known answer, with a short budget. What it recommends, not how fast it is: `--grid`
measures that. One search runs with the other tests, the rest before `make bench`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import harness
import pytest
from harness import APPS

SCRIPTS = harness.REPOSITORY / "scripts"
NAME = os.environ.get("GILKEEPER_PYTHON_NAME", "3.14")
SEVERAL = (os.cpu_count() or 1) > 1


def tune(*arguments: str, budget: int = 40, environment: dict[str, str] | None = None) -> dict[str, Any]:
    command = [harness.gilkeeper(), "tune", str(APPS / "kinds.py"), "--format", "json", "--budget", str(budget), *arguments]
    everything = {**os.environ, **(environment or {})}
    told = subprocess.run(command, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL, env=everything)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def threads(config: dict[str, Any]) -> int:
    return int(config["processes"] * config["threads"])


@pytest.mark.speed("a search by measurements")
def test_what_waits_wants_threads() -> None:
    found = tune("--path", "/waits")
    assert not found["leave_it"] and threads(found["recommended"]["config"]) >= 14, found["recommended"]
    assert found["recommended"]["directive"].startswith("WSGIDaemonProcess my-app processes=")


@pytest.mark.speed("a search by measurements")
@pytest.mark.skipif(not SEVERAL, reason="needs two cores")
def test_what_computes_in_python_wants_more_than_one_gil() -> None:
    config = tune("--path", "/python", "--connections", "8")["recommended"]["config"]
    assert config["processes"] > 1 or config["gil"] != "shared", config


@pytest.mark.speed("a search by measurements")
@pytest.mark.skipif(not SEVERAL, reason="needs two cores")
def test_what_lets_go_of_the_gil_is_well_off_with_threads() -> None:
    config = tune("--path", "/hash", "--connections", "8")["recommended"]["config"]
    assert threads(config) > 1 and config["gil"] == "shared", config


def numpy() -> str:
    """A folder that NumPy is installed in."""
    requirements = Path(__file__).resolve().parent / "doctor_site" / "requirements.txt"
    base, cache = (subprocess.check_output(command, text=True).strip() for command in ([SCRIPTS / "python-of", NAME], [SCRIPTS / "cache-dir"]))
    python = subprocess.check_output([SCRIPTS / "venv", Path(cache) / f"doctor-{NAME}", base, requirements], text=True).strip()
    question = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return subprocess.check_output([python, "-c", question], text=True).strip()


def tune_with_numpy(budget: int) -> dict[str, Any]:
    arguments = ("--path", "/numpy", "--connections", "8", "--python-path", numpy())
    return tune(*arguments, budget=budget, environment={"KINDS_NUMPY": "1"})


@pytest.mark.alone("a search by measurements")
def test_what_the_doctor_rejects_is_never_tried() -> None:
    found = tune_with_numpy(20)
    assert "own-gil" in found["rejected_modes"] and "numpy" in found["rejected_modes"]["own-gil"].lower()
    assert not any("own GIL" in name for name in found["tried"]), found["tried"]
    assert found["recommended"]["config"]["gil"] == "shared"


@pytest.mark.speed("a search by measurements")
@pytest.mark.skipif(not SEVERAL, reason="needs two cores")
def test_what_is_not_safe_with_its_own_gil_wants_processes() -> None:
    assert tune_with_numpy(40)["recommended"]["config"]["processes"] > 1


def test_what_cannot_be_tuned_is_a_sentence(tmp_path: Path) -> None:
    script = tmp_path / "wsgi.py"
    script.write_text("import nothing_of_this_name\n")
    told = subprocess.run([harness.gilkeeper(), "tune", str(script)], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert told.returncode == 2 and "nothing_of_this_name" in told.stderr, told.stderr
    told = subprocess.run([harness.gilkeeper(), "tune", str(tmp_path / "none.py")], capture_output=True, text=True, timeout=120)
    assert told.returncode == 2 and "none.py" in told.stderr
