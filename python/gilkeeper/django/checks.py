"""The system check that asks `gilkeeper doctor` in which GIL modes the project is safe."""

import json
import os
import subprocess
import sys

from django.core.checks import Error, Warning

from .script import script


def gil_modes(app_configs, **options):
    """An error when the project cannot be imported, a warning for each mode that is not safe."""
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
        # Its progress stands before.
        said = done.stderr.strip().rpartition("\n")[2].removeprefix("gilkeeper: ")
        return [Error(f"gilkeeper doctor {name} failed: {said}", hint=f"Run gilkeeper doctor {name}.", id="gilkeeper.E002")]
    return [remark(mode, report, name) for mode in report["modes"] if mode["verdict"] == "unsafe"]


def remark(mode, report, name):
    """A warning about a mode with a finding against it."""
    findings = [finding["text"] for finding in report["findings"] if finding["mode"] in (mode["mode"], None)]
    why = mode["import_error"] or "; ".join(findings[:3])
    text = f"The project is unsafe in the GIL mode {mode['mode']}: {why}"
    hint = f"gilkeeper doctor {name} says more. It concerns projects that are served in this mode; the usual one is the main interpreter."
    return Warning(text, hint=hint, id="gilkeeper.W001")
