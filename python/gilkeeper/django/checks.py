"""The system check that asks `gilkeeper doctor` in which GIL modes the project is safe."""

import json
import os
import subprocess
import sys

from django.core.checks import Error, Info, Warning

from .script import script


def gil_modes(app_configs, **options):
    """An error when the project cannot be imported, a remark for each mode that is not safe."""
    try:
        name = script()
    except ValueError as why:
        return [Error(str(why), id="gilkeeper.E001")]
    # `manage.py` has put the project's folder there.
    folder = os.path.abspath(sys.path[0] or ".")
    command = [sys.executable, "-m", "gilkeeper", "doctor", name, "--working-directory", folder, "--format", "json"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        said = (done.stderr or done.stdout).strip()
        return [Error(f"gilkeeper doctor {name} failed: {said}", hint=f"Run gilkeeper doctor {name}.", id="gilkeeper.E002")]
    return [remark for mode in report["modes"] for remark in of_mode(mode, report, name)]


def of_mode(mode, report, name):
    """`verdict` is safe, unsafe, unknown or untried; an untried one is none of this Python."""
    if mode["verdict"] in ("safe", "untried"):
        return
    findings = [finding["text"] for finding in report["findings"] if finding["mode"] == mode["mode"]]
    why = mode["import_error"] or mode["why"] or "; ".join(findings[:3]) or "see the report"
    kind = Warning if mode["verdict"] == "unsafe" else Info
    number = "W001" if kind is Warning else "I001"
    text = f"The project is {mode['verdict']} in the GIL mode {mode['mode']}: {why}"
    yield kind(text, hint=f"gilkeeper doctor {name} says more; the mode with one GIL for the process is not concerned.", id=f"gilkeeper.{number}")
