"""Tries packages in each kind of interpreter, asks `gilkeeper doctor` about the same, and writes docs/reference/packages.md.

    scripts/packages-by-mode                          all packages of table.py on each CPython that scripts/pythons has made
    scripts/packages-by-mode --pythons 3.14 --packages lxml PyYAML

Each package has a virtual environment of its own, with wheels only, below scripts/cache-dir: what another package brings along changes what
an import does. Each try is a process with a time limit. What is found of a package is kept in a file beside its environment: a run goes on
where the last one stopped, `--again` does it anew. The page is made of all that is kept; a CPython without kept rows keeps its part of it.
Exit status 1: the doctor says otherwise somewhere, or something could not be tried.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

from agreement import WAYS, WORKS, agreement, compared
from page import page
from table import PACKAGES, Package

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent.parent / "docs/reference/packages.md"
# A try hangs when it has used so many seconds of a processor, or none for so many seconds, or has not ended after so many: the machine
# may be busy, and threads that only wake up now and then use a little for ever.
MOST, IDLE, LONGEST = 60, 30, 180
# The doctor has a limit for each trial, of which there are several.
DOCTOR = 3 * LONGEST
KINDS = {"main": "main", "legacy": "legacy", "isolated": "isolated", "free": "main"}


def output(*command: object, limit: float = 600) -> str:
    told = subprocess.run([str(word) for word in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=limit)
    if told.returncode != 0:
        raise RuntimeError(told.stderr.strip())
    return told.stdout.strip()


def hangs(child: subprocess.Popen[bytes]) -> bool:
    """Waits for the end of a child; true if it does not come."""
    used, since = 0.0, time.monotonic()
    end = since + LONGEST
    while True:
        try:
            child.wait(1)
            return False
        except subprocess.TimeoutExpired:
            fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
            now = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            # Threads that wait may wake up now and then.
            if now > used + 0.3:
                used, since = now, time.monotonic()
            if used > MOST or time.monotonic() - since > IDLE or time.monotonic() > end:
                return True


class NoWheel(Exception):
    """A package has no wheel for a CPython."""


class Environment:
    """The virtual environment of one package on one CPython."""

    def __init__(self, uv: str, base: str, folder: Path, package: Package) -> None:
        self.package, self.folder = package, folder
        self.python = folder / "bin/python"
        if not (folder / "made").exists():
            output(uv, "venv", "--quiet", "--no-project", "--clear", "--python", base, folder)
            install = [uv, "pip", "install", "--quiet", "--no-config", "--python", self.python, "--only-binary", ":all:"]
            try:
                output(*install, package.name)
            except RuntimeError as error:
                if "no wheels" in str(error) or "unsatisfiable" in str(error):
                    raise NoWheel from error
                raise
            for name in package.beside:
                # One without a wheel is left out, as it is optional.
                subprocess.run([str(word) for word in [*install, name]], capture_output=True, stdin=subprocess.DEVNULL)
            (folder / "made").touch()

    def facts(self) -> dict[str, Any]:
        """Version of the package, and the files of the extension modules of its parts."""
        source = """
import json, os, re, sys
from importlib import metadata
plain = lambda name: re.sub(r"[-_.]+", "-", name).lower()
asked = json.loads(sys.argv[1])
files, found = [], []
for one in metadata.distributions():
    if plain(one.metadata["Name"]) in map(plain, asked["owners"]):
        found += [one.metadata["Name"]]
        files += [os.path.realpath(one.locate_file(file)) for file in one.files or () if str(file).endswith(".so")]
print(json.dumps({"version": metadata.version(asked["name"]), "files": files}))
"""
        name = self.package.name.partition("[")[0]
        asked = json.dumps({"name": name, "owners": self.package.owners()})
        return dict(json.loads(output(self.python, "-c", source, asked)))

    def tried(self, setting: str, files: list[str], free_threaded: bool) -> list[dict[str, Any]]:
        """What each interpreter of one process said."""
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report"
            job = {"kind": KINDS[setting], "imports": self.package.imports, "use": self.package.use, "files": files, "report": str(report)}
            command = [str(self.python)]
            if free_threaded and setting != "free":
                command += ["-X", "gil=1"]
            command += [str(HERE / "trial.py"), json.dumps(job)]
            child = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
            hung = hangs(child)
            if hung:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            told = [json.loads(line) for line in report.read_text().splitlines()] if report.exists() else []
        ended = any("ended" in one for one in told)
        found = []
        for number in range(1, 3 if setting == "legacy" else 2):
            of = [one for one in told if one.get("number") == number]
            died = "hangs" if hung else "ends the process"
            if not of or not of[-1].get("over"):
                found.append({"word": died})
                break
            found.append(of[-1])
        # From 3.13 on a try ends its interpreters.
        if KINDS[setting] != "main" and not ended and all("word" not in one for one in found):
            found = [{**one, "unended": hung or child.returncode < 0} for one in found]
        return found


def cell(told: dict[str, Any], main: dict[str, Any]) -> str:
    """What became of a package, in the words of the page."""
    if "word" in told:
        return str(told["word"])
    if told["error"]:
        return "does not load" if told["stage"] == "import" else "fails in use"
    if set(told["parts"]) < set(main["parts"]):
        return "without its C part"
    return "does not end" if told.get("unended") else WORKS


def truth(environment: Environment, python: str) -> dict[str, Any]:
    facts, free_threaded = environment.facts(), python.endswith("t")
    row: dict[str, Any] = {"version": facts["version"], "cells": {}, "errors": {}}
    main = environment.tried("main", facts["files"], free_threaded)[0]
    row["native"] = bool(main.get("parts"))
    if main.get("error") or "word" in main:
        row["main"] = main.get("error") or main["word"]
        return row
    tries = {"legacy": ["first", "second"], "isolated": ["own-gil"]}
    if python == "3.11":
        del tries["isolated"]
    if free_threaded:
        tries["free"] = ["free"]
    for setting, names in tries.items():
        for name, told in zip(names, environment.tried(setting, facts["files"], free_threaded)):
            row["cells"][name] = cell(told, main)
            row["errors"][name] = told.get("error")
            if name == "free" and told.get("gil") and row["cells"][name] == WORKS:
                row["cells"][name] = "GIL on"
    if "second" not in row["cells"]:
        row["cells"]["second"] = row["cells"]["first"]
    return row


def asked(environment: Environment, way: str) -> dict[str, str]:
    """The doctor's verdict for each mode, of a script that imports the package in one way."""
    imports = environment.package.imports
    inside = f"    {imports}\n" if way == "inside" else ""
    script = f"{WAYS[way](imports)}\n\n\ndef application(environ, start_response):\n{inside}    start_response('200 OK', [])\n    return []\n"
    gilkeeper = os.environ["GILKEEPER"]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as told, tempfile.TemporaryFile("w+") as errors:
        file = Path(folder) / "wsgi.py"
        file.write_text(script)
        command = [gilkeeper, "doctor", str(file), "--python", str(environment.python), "--working-directory", folder]
        command += ["--time-limit", str(LONGEST), "--format", "json"]
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=told, stderr=errors, start_new_session=True)
        try:
            child.wait(DOCTOR)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            return {"": "hangs"}
        if child.returncode not in (0, 1):
            errors.seek(0)
            return {"": errors.read().strip().rpartition("\n")[2]}
        told.seek(0)
        return {one["mode"]: one["verdict"] for one in json.load(told)["modes"]}


class Kept:
    """The rows of one CPython: a file for each package, so that runs may go on where others stopped, and several at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def row(self, package: Package) -> dict[str, Any]:
        file = self.folder / f"{package.name}.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def keep(self, package: Package, row: dict[str, Any]) -> None:
        file = self.folder / f"{package.name}.json"
        new = file.with_suffix(".new")
        new.write_text(json.dumps(row, indent=1))
        new.rename(file)

    def rows(self) -> dict[str, dict[str, Any]]:
        every = {package.name: self.row(package) for package in PACKAGES}
        return {name: row for name, row in every.items() if row}


def one(uv: str, python: str, base: str, package: Package, kept: Kept, ways: list[str], again: list[str]) -> dict[str, Any]:
    """The row of a package on one CPython: what is missing of it is tried, and kept at once."""
    row = {} if "tries" in again else kept.row(package)
    if not (row.get("cells") or row.get("main") or row.get("no-wheel")):
        row = {"date": date.today().isoformat(), "cpython": output(base, "-c", "import platform; print(platform.python_version())"), **row}
        try:
            environment = Environment(uv, base, kept.folder / package.name, package)
            row |= truth(environment, python)
        except NoWheel:
            row |= {"version": None, "no-wheel": True, "cells": {}}
        kept.keep(package, row)
    if row["cells"] and "main" not in row:
        environment = Environment(uv, base, kept.folder / package.name, package)
        for way in ways:
            if (way != "lazy" or python.startswith("3.15")) and ("doctor" in again or way not in row.get("doctor", {})):
                row["doctor"] = {**row.get("doctor", {}), way: asked(environment, way)}
                kept.keep(package, row)
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pythons", nargs="+", help="names of scripts/pythons")
    parser.add_argument("--packages", nargs="+", help="some of the packages")
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), default=["eager", "lazy", "inside"], help="how the doctor's script imports")
    parser.add_argument("--again", nargs="+", default=[], choices=["tries", "doctor"], help="do anew what is kept of an earlier run")
    parser.add_argument("--at-once", type=int, default=1, help="packages that are tried at once")
    given = parser.parse_args()
    cache, uv = Path(os.environ["CACHE"]), os.environ["UV"]
    pythons = dict(line.split(" ", 1) for line in os.environ["PYTHONS"].splitlines())
    wanted = [package for package in PACKAGES if not given.packages or package.name in given.packages]
    wrong = 0
    for python in given.pythons or pythons:
        base, kept = pythons[python], Kept(cache / python)
        kept.folder.mkdir(exist_ok=True)

        def row(package: Package, python: str = python, base: str = base, kept: Kept = kept) -> dict[str, Any]:
            try:
                return one(uv, python, base, package, kept, given.ways, given.again)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                # A download that failed, for example: the next run tries it.
                return {"version": None, "cells": {}, "untried": str(error)[-300:]}

        with ThreadPoolExecutor(given.at_once) as pool:
            for package, found in zip(wanted, pool.map(row, wanted)):
                _, differs = compared(found)
                wrong += len(differs) + ("untried" in found)
                words = found.get("untried") or found.get("main") or found["cells"] or "no wheel"
                print(f"{python:6} {package.name:20} {found['version'] or '-':12} {words}", *differs, sep="\n       ", flush=True)
        print(f"{python:6} the doctor agrees: {agreement(kept.rows()) or 'not asked'}", flush=True)
    stored = {name: Kept(cache / name).rows() for name in pythons}
    PAGE.write_text(page([package.name for package in PACKAGES], stored, PAGE.read_text()))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
