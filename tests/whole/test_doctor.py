"""`gilkeeper doctor` on packages from the package index, as installed: the known facts of each are found."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import harness
import pytest

SITE = Path(__file__).resolve().parent / "doctor_site"
SCRIPTS = harness.REPOSITORY / "scripts"
NAME = os.environ.get("GILKEEPER_PYTHON_NAME", "3.14")
REFUSES = "does not support loading in subinterpreters"
ONCE = "this module can only be loaded into one interpreter per process"

pytestmark = [
    pytest.mark.skipif(NAME not in ("3.11", "3.14", "3.14t", "3.15"), reason="knows the findings of 3.11, 3.14, 3.14t and 3.15"),
    # One process for all cases: they share a report.
    pytest.mark.xdist_group("doctor"),
]


def output(*command: object) -> str:
    told = subprocess.run([str(word) for word in command], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert told.returncode == 0, told.stderr
    return told.stdout.strip()


@pytest.fixture(scope="module")
def python() -> str:
    """A Python with the site's requirements and without Gilkeeper: `doctor` needs none there."""
    own = SITE / f"requirements-{NAME}.txt"
    requirements = own if own.exists() else SITE / "requirements.txt"
    base = output(SCRIPTS / "python-of", NAME)
    return output(SCRIPTS / "venv", Path(output(SCRIPTS / "cache-dir")) / f"doctor-{NAME}", base, requirements)


def doctor(python: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [harness.gilkeeper(), "doctor", str(SITE / "wsgi.py"), "--python", python, *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def report(python: str) -> dict[str, Any]:
    told = doctor(python, "--format", "json")
    assert told.returncode == 1, told.stderr
    return json.loads(told.stdout)


def outcome(report: dict[str, Any], distribution: str, place: str) -> set[tuple[str, bool]]:
    """Outcomes of a distribution's extension modules: (outcome, its exception is a known one)."""
    modules = [one for one in report["modules"] if (one["distribution"] or "").lower() == distribution.lower()]
    assert modules, distribution
    found = [one["outcomes"][place] for one in modules]
    known = (REFUSES, ONCE, "cannot load module more than once per process")
    return {(one["outcome"], any(text in (one.get("error") or "") for text in known)) for one in found}


def test_the_release_is_named_as_python_names_it(python: str, report: dict[str, Any]) -> None:
    """Reported: of 3.15.0rc2 the doctor said 3.15.0."""
    assert report["python"]["version"] == output(python, "-c", "import platform; print(platform.python_version())").rstrip("+")


# Their makers publish no wheel for these builds, so pip cannot install them there: there is nothing to examine.
WITHOUT_WHEEL = {"3.14t": ("orjson", "psycopg-binary"), "3.15": ("orjson",)}


def must_be_installable(distribution: str) -> None:
    if distribution in WITHOUT_WHEEL.get(NAME, ()):
        pytest.skip(f"{distribution} has no wheel for CPython {NAME}, see WITHOUT_WHEEL")


LOADS, REFUSED, LOST = {("loads", False)}, {("refuses", True)}, {("lost", True)}
# Its second module is asked for only where the first one loaded.
BOTH_LOST = {("lost", True), ("lost", False)}


@pytest.mark.skipif(NAME == "3.11", reason="needs CPython 3.12")
@pytest.mark.parametrize(
    ("distribution", "wanted"),
    [("numpy", REFUSED), ("lxml", REFUSED), ("orjson", REFUSED), ("psycopg-binary", BOTH_LOST), ("PyYAML", LOST)],
)
def test_own_gil(report: dict[str, Any], distribution: str, wanted: set[tuple[str, bool]]) -> None:
    """NumPy refuses first, and what lies behind it is judged all the same."""
    must_be_installable(distribution)
    assert outcome(report, distribution, "own-gil") == wanted


@pytest.mark.parametrize(
    ("distribution", "first", "second"),
    [
        ("numpy", LOADS, REFUSED),
        ("lxml", LOADS, REFUSED),
        ("orjson", LOADS, LOADS),
        ("psycopg-binary", LOADS, BOTH_LOST),
        ("PyYAML", LOADS, LOST),
    ],
)
def test_sub_interpreters(report: dict[str, Any], distribution: str, first: set[tuple[str, bool]], second: set[tuple[str, bool]]) -> None:
    must_be_installable(distribution)
    if NAME == "3.14t" and distribution == "numpy":
        # A free-threaded build asks for the declaration in every sub-interpreter.
        first = REFUSED
    assert outcome(report, distribution, "sub-interpreter") == first
    assert outcome(report, distribution, "second-sub-interpreter") == second


@pytest.mark.skipif(NAME != "3.14", reason="what a package declares depends on the build")
def test_declarations(report: dict[str, Any]) -> None:
    declared = {one["name"]: (one["declares"]["interpreters"], one["declares"]["gil"]) for one in report["modules"]}
    assert declared["numpy._core._multiarray_umath"] == ("none", "not-used")
    assert declared["orjson.orjson"] == ("none", "used")
    assert {declared[name] for name in ("lxml.etree", "yaml._yaml", "psycopg_binary.pq")} == {("undeclared", "undeclared")}


@pytest.mark.skipif(NAME != "3.15", reason="needs lazy imports, of CPython 3.15")
def test_lazy_imports_change_no_outcome(python: str, report: dict[str, Any], tmp_path: Path) -> None:
    """Reported: lxml was called safe in every mode where the application imported it lazily."""
    script = tmp_path / "wsgi.py"
    imports = ["lazy import numpy, yaml, psycopg", "lazy from lxml import etree"]
    script.write_text("\n".join([*imports, "def application(environ, start_response):", "    return [etree, numpy, yaml, psycopg]", ""]))
    command = [harness.gilkeeper(), "doctor", str(script), "--python", python, "--format", "json"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    assert told.returncode == 1, told.stderr
    lazily = json.loads(told.stdout)
    verdicts = [[(one["mode"], one["verdict"]) for one in each["modes"]] for each in (lazily, report)]
    assert verdicts[0] == verdicts[1]
    for place in ("own-gil", "sub-interpreter", "second-sub-interpreter"):
        for distribution in ("numpy", "lxml", "PyYAML", "psycopg-binary"):
            assert outcome(lazily, distribution, place) == outcome(report, distribution, place), (distribution, place)


@pytest.mark.skipif(NAME != "3.14t", reason="needs a free-threaded build")
def test_without_gil(report: dict[str, Any]) -> None:
    """lxml turns the GIL on, in all of its modules; NumPy and PyYAML do not."""
    assert outcome(report, "numpy", "free-threading") == LOADS
    assert outcome(report, "PyYAML", "free-threading") == LOADS
    assert outcome(report, "lxml", "free-threading") == {("gil-back", False)}
    back = [one for one in report["findings"] if one["what"] == "gil-back"]
    # A finding about what the application loads, and one about modules that it may load later.
    assert [one["subject"].split()[0] for one in back] == ["lxml"] * 2
    assert set(back[0]["modules"]).isdisjoint(back[1]["modules"])


@pytest.mark.skipif(NAME != "3.14", reason="the packages are examined with 3.14")
def test_modules_kept_elsewhere_or_empty_or_loaded_later(report: dict[str, Any]) -> None:
    """Reported: argon2-cffi was called unsafe and works, coverage's tracer safe and is empty, websockets' C part was not looked at."""
    for distribution in ("argon2-cffi-bindings", "cffi"):
        assert outcome(report, distribution, "sub-interpreter") == LOADS
        assert outcome(report, distribution, "second-sub-interpreter") == LOADS
    assert outcome(report, "coverage", "second-sub-interpreter") == {("empty", False)}
    later = next(one for one in report["modules"] if one["name"] == "websockets.speedups")
    assert later["loaded"] is False and later["outcomes"]["sub-interpreter"]["outcome"] == "loads"


@pytest.mark.skipif(NAME != "3.14", reason="the packages are examined with 3.14")
def test_check_warns_of_packages_that_refuse_the_sites_interpreters(python: str, tmp_path: Path) -> None:
    """Reported: nothing said that psycopg2 and bcrypt refuse the sub-interpreter that mod_wsgi's defaults choose."""

    def warnings(conf: str) -> list[str]:
        (tmp_path / "site.conf").write_text(conf)
        command = [harness.gilkeeper(), "check", "-c", "site.conf", "--format", "json", "--python", python]
        told = subprocess.run(command, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL, cwd=tmp_path)
        assert told.returncode == 0, told.stderr
        return [one["message"] for one in json.loads(told.stdout)["diagnostics"] if one["severity"] == "warning"]

    mount = f"{SITE}/wsgi.py"
    every, second = warnings(f"WSGIScriptAlias /a {mount}\nWSGIScriptAlias /b {mount}\n")
    assert "bcrypt 5.0.0" in every and "psycopg2-binary 2.9.13" in every and "SQLAlchemy" not in every
    assert "SQLAlchemy 2.1.9" in second and "numpy 2.5.5" in second and "bcrypt" not in second
    assert warnings(f"WSGIScriptAlias / {mount} application-group=%{{GLOBAL}}\n") == []


def test_the_exit_status_and_the_page(python: str) -> None:
    told = doctor(python, "--for", "sub-interpreter")
    assert told.returncode == 1, told.stderr
    assert "What to change" in told.stdout and "WSGIApplicationGroup %{GLOBAL}" in told.stdout
    untried = "free-threading" if NAME != "3.14t" else "own-gil"
    mode = next(line for line in told.stdout.splitlines() if line.startswith(untried))
    assert "not tried" in mode
