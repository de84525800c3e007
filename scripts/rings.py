"""The rings of tests: the command of each, and the preparing jobs it needs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from side_by_side import Job, Lane

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"
COMPAT, WHOLE, BROWSER = ROOT / "compat", ROOT / "tests/whole", ROOT / "tests/browser"
APPLICATIONS, CONTAINERS, WHEELS = ROOT / "tests/applications", ROOT / "tests/containers", ROOT / "tests/wheels"
DOCUMENTS = ROOT / "tests/documents"
PYTHONS = ("3.11", "3.14", "3.14t")
# What depends on the CPython that it is built with, or runs one; the rest is tested once.
OF_PYTHON = "package(gk-python) + package(gk-wsgi) + package(gk-worker) + (package(gk-cli) & binary(doctor))"
# Of tests/whole, what depends on the CPython; the rest runs on 3.14 only.
ELSEWHERE = (
    "test_applications.py",
    "test_charsets.py",
    "test_deploys.py",
    "test_doctor.py",
    "test_ends.py",
    "test_large_bodies.py",
    "test_looking_in.py",
    "test_start_and_stop.py",
)
MODES = ("test_own_gil.py", "test_free_threading.py")
# Of tests/whole, what also runs in embedded mode: whatever depends on the process that has the clients, or on the front within
# a process that runs Python. A test of tests/whole looks whether each file stands here or among those below.
EMBEDDED = (
    "test_admin_process.py",
    "test_answers.py",
    "test_applications.py",
    "test_behind_proxies.py",
    "test_certificates.py",
    "test_deploys.py",
    "test_descriptors.py",
    "test_ends.py",
    "test_files.py",
    "test_forking.py",
    "test_full_disk.py",
    "test_holders.py",
    "test_http2.py",
    "test_large_bodies.py",
    "test_limits.py",
    "test_logs.py",
    "test_looking_in.py",
    "test_memory.py",
    "test_overload.py",
    "test_own_gil.py",
    "test_profile.py",
    "test_prometheus.py",
    "test_request_ids.py",
    "test_service_scripts.py",
    "test_slow_readers.py",
    "test_stack.py",
    "test_start_and_stop.py",
    "test_supervision.py",
    "test_tls.py",
    "test_unix_sockets.py",
    "test_users.py",
)
# Of these, what also runs with two fronts. The rest looks for the one front, or adds up processes that are two more there.
FRONTS = (
    "test_behind_proxies.py",
    "test_certificates.py",
    "test_ends.py",
    "test_files.py",
    "test_forking.py",
    "test_full_disk.py",
    "test_large_bodies.py",
    "test_limits.py",
    "test_logs.py",
    "test_looking_in.py",
    "test_own_gil.py",
    "test_request_ids.py",
    "test_service_scripts.py",
    "test_slow_readers.py",
    "test_start_and_stop.py",
    "test_supervision.py",
    "test_tls.py",
    "test_unix_sockets.py",
)
# The others, with the reason.
NOT_IN_EMBEDDED = {
    "test_admin_tls.py": "the admin process speaks TLS, which has no clients of the application in either mode",
    "test_again.py": "scripts/test; no server",
    "test_bench.py": "the bench's tables; no server",
    "test_charsets.py": "what a worker sets at its start, before it knows its engine",
    "test_compare.py": "commands that start and measure servers; they see a command line, a URL and admin pages",
    "test_completion.py": "the shells' completion; no server",
    "test_development.py": "dev, the server of Django and that of pytest, which are in daemon mode",
    "test_doctor.py": "a command that imports packages; no server",
    "test_embedded.py": "starts its servers in embedded mode itself",
    "test_first_hour.py": "transcripts of pages, with the commands that stand there",
    "test_free_threading.py": "needs 3.14t, which this ring does not have; its GIL modes are tested in daemon mode only",
    "test_from_apache.py": "configurations that are read and said, not served",
    "test_fronts.py": "starts its servers with several fronts, or beside embedded processes, itself",
    "test_lazy_imports.py": "needs CPython 3.15; imports know no engine",
    "test_otlp.py": "the admin process sends figures that test_prometheus.py compares in both modes",
    "test_packages_page.py": "bench/packages; no server",
    "test_pages.py": "commands and directives of the documents that are read, not served",
    "test_passing.py": "starts its servers in embedded mode itself",
    "test_side_by_side.py": "scripts/test; no server",
    "test_soak.py": "make soak runs it, and has embedded mode among its modes",
    "test_statsd.py": "as test_otlp.py",
    "test_systemd.py": "units and sockets, which are the supervisor's",
    "test_telemetry.py": "as test_otlp.py; the datagrams of a worker are written by a thread that knows no engine",
    "test_telemetry_serve.py": "pages of other servers",
    "test_traces.py": "has each case in both modes",
    "test_tune.py": "as test_compare.py",
    "test_upgrade.py": "has each case in both modes that depends on it",
}
# The same for a CPython that is not released yet, and what only that one has.
NEWEST = (
    "test_applications.py",
    "test_charsets.py",
    "test_doctor.py",
    "test_ends.py",
    "test_lazy_imports.py",
    "test_looking_in.py",
    "test_own_gil.py",
    "test_start_and_stop.py",
)
# Who yields to whom: compiling to everything, cases that wait to the Rust tests, of which some judge a share of time.
COMPILES, CASES = 10, 3


@dataclass
class Ring(Job):
    """A job that runs tests. `one`: it prints no counts, as a whole it passes or fails."""

    one: bool = False


# === preparing jobs ===


def step(name: str, *command: object, needs: tuple[Job, ...] = (), lane: Lane = Lane.WAITS, **environment: str) -> Job:
    nice = COMPILES if lane is Lane.BUILDS else 0
    return Job(name, [str(word) for word in command], ROOT, environment, list(needs), lane, nice)


def packages(*names: str) -> Job:
    return step(f"packages {' '.join(names)}", SCRIPTS / "packages", *names)


def peers() -> Job:
    return step("peers", SCRIPTS / "peers")


def venv(folder: Path) -> Job:
    """The environment that a folder's tests run in."""
    make = 'python=$("$0/python-of" 3.14) && "$0/venv" "$1" "$python" "$2"'
    return step(f"venv {folder.name}", "bash", "-c", make, SCRIPTS, folder / ".venv", folder / "requirements.txt")


def applications_of_others() -> Job:
    """The environment of the ring `applications`, with what it runs; outside the tree, since it takes long to install."""
    make = 'python=$("$0/python-of" 3.14) && cache=$("$0/cache-dir") && "$0/venv" "$cache/applications" "$python" "$1"'
    return step("venv applications", "bash", "-c", make, SCRIPTS, APPLICATIONS / "requirements.txt")


def wheel(name: str) -> Job:
    """The wheel, not optimised, on the CPython `name`."""
    return step(f"wheel {name}", SCRIPTS / "build", lane=Lane.BUILDS, PYTHON=name, VENV=str(venv_of(name)), PROFILE="dev")


def applications(name: str) -> Job:
    """What the applications import, beside the wheel on the CPython `name`."""
    pip = [venv_of(name) / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action", "ignore"]
    files = [f"--requirement={ROOT / folder / 'requirements.txt'}" for folder in ("apps/site", "apps/django_site")]
    return step(f"applications {name}", *pip, *files, needs=(wheel(name),))


def venv_of(name: str) -> Path:
    return ROOT / f".venv-{name}"


# === rings ===


def cargo(name: str, *arguments: str) -> list[str]:
    return [str(SCRIPTS / "with-python"), name, "cargo", *arguments]


def nextest(name: str, *arguments: str) -> list[str]:
    profile = ["--profile", "ci"] if os.environ.get("CI") else []
    # Always the workspace: with some of its packages chosen, features differ and dependencies are built again.
    return cargo(name, "nextest", "run", "--workspace", *profile, *arguments)


def pytest(folder: Path, *arguments: str) -> list[str]:
    return [str(folder / ".venv/bin/python"), "-m", "pytest", *arguments]


def beside(how: str) -> list[str]:
    """pytest's arguments for three cases at once: most of them wait."""
    return ["-n", "3", "--dist", how, "--maxschedchunk", "1"]


def of_gilkeeper(name: str, **more: str) -> dict[str, str]:
    """The environment of tests that run our server on the CPython `name`."""
    return {"UNDER_TEST": "ours", "GILKEEPER": str(venv_of(name) / "bin/gilkeeper"), "GILKEEPER_PYTHON_NAME": name, **more}


def rust(name: str) -> Ring:
    told, chosen = ("rust", []) if name == "3.14" else (f"rust-{name}", ["-E", OF_PYTHON])
    build = step(f"build {told}", *nextest(name, "--no-run"), lane=Lane.BUILDS)
    return Ring(told, nextest(name, "--no-fail-fast", "--no-tests=fail", *chosen), ROOT, needs=[build], lane=Lane.BUILDS)


def compat(under_test: str, engine: str = "daemon") -> Ring:
    command = pytest(COMPAT, *beside("loadfile"))
    if under_test == "ours":
        told, needs = "compat" if engine == "daemon" else f"compat-{engine}", [venv(COMPAT), wheel("3.14"), packages("curl")]
        return Ring(told, command, COMPAT, of_gilkeeper("3.14", ENGINE=engine), needs, nice=CASES)
    return Ring("compat-mod_wsgi", command, COMPAT, {"UNDER_TEST": "mod_wsgi"}, [venv(COMPAT), peers(), packages("curl")], nice=CASES)


def whole_of(engine: str) -> Ring:
    """Cases of tests/whole whose servers run in embedded mode where the configuration has one process group, or with two fronts."""
    needs = [venv(COMPAT), applications("3.14"), packages("curl", "openssl", "nghttp2-client", "wrk", "prometheus", "haproxy", "nginx-light")]
    needs.append(packages("logrotate"))
    chosen = ["-m", "not alone and not speed and not soak", *beside("loadgroup"), *(EMBEDDED if engine == "embedded" else FRONTS)]
    return Ring(f"whole-{engine}", pytest(COMPAT, *chosen), WHOLE, of_gilkeeper("3.14", ENGINE=engine), needs, nice=CASES)


def whole(name: str, kind: str = "whole") -> Ring:
    """tests/whole on the CPython `name`: the cases without a mark ("whole"), or those with the mark `kind`."""
    needs = [venv(COMPAT), applications(name), packages("wrk", "locales")]
    files, more = list(NEWEST if name.startswith("3.15") else ELSEWHERE), {}
    if name == "3.14":
        files = []
        # The released mod_wsgi is shown by our pages, Debian's Prometheus reads our metrics, its logrotate turns our logs over, its
        # proxies stand in front, its systemd judges our units, and nghttp2's clients speak HTTP/2.
        needs += [peers(), packages("prometheus", "logrotate", "haproxy", "nginx-light", "systemd", "curl", "openssl", "nghttp2-client")]
        # Shells that read our completion scripts.
        needs.append(packages("fish", "zsh"))
    if name.endswith("t"):
        # One server with two Pythons.
        more["GILKEEPER_OTHER_PYTHON"] = str(venv_of("3.14") / "bin/python")
        files += [file for file in MODES if file not in files]
        needs.append(applications("3.14"))
    if kind == "whole":
        chosen, lane, nice = ["-m", "not alone and not speed and not soak", *beside("loadgroup"), *files], Lane.WAITS, CASES
    else:
        chosen, lane, nice = ["-m", kind], Lane.ALONE, 0
    return Ring(f"{kind}-{name}", pytest(COMPAT, *chosen), WHOLE, of_gilkeeper(name, **more), needs, lane, nice)


def applications_ring(engine: str = "daemon") -> Ring:
    """tests/applications: other projects' applications, with what their clients do on waitress for a reference."""
    name = "applications" if engine == "daemon" else f"applications-{engine}"
    needs = [venv(COMPAT), applications_of_others(), wheel("3.14"), packages("curl", "git", "openssl")]
    return Ring(name, pytest(COMPAT, *beside("load")), APPLICATIONS, of_gilkeeper("3.14", ENGINE=engine), needs, nice=CASES)


def containers() -> Ring:
    """tests/containers: deploy/ without a container runtime or a cluster."""
    needs = [venv(CONTAINERS), wheel("3.14"), packages("haproxy", "prometheus", "curl", "openssl")]
    return Ring("containers", pytest(CONTAINERS, *beside("loadfile")), CONTAINERS, of_gilkeeper("3.14"), needs, nice=CASES)


def wheels() -> Ring:
    """tests/wheels: a wheel that other rings install, on a machine without Rust. `make wheels` runs it for those in dist/."""
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "wheels"
    environment = {"UNDER_TEST": "ours", "GILKEEPER_WHEELS": str(folder), "GILKEEPER_PYTHONS": "3.14"}
    pages = [ROOT / "apps/django_site/requirements.txt", ROOT / "apps/site/requirements.txt"]
    needs = [venv(COMPAT), wheel("3.14"), packages("binutils", "man-db", "curl"), step("wheelhouse", SCRIPTS / "wheelhouse", "3.14", *pages)]
    return Ring("wheels", pytest(COMPAT, *beside("load")), WHEELS, environment, needs, nice=CASES)


def documents() -> Ring:
    """tests/documents: the site of the documents."""
    make = 'python=$("$0/python-of" 3.14) && cache=$("$0/cache-dir") && "$0/venv" "$cache/docs" "$python" "$0/docs-requirements.txt"'
    tools = step("venv documents", "bash", "-c", make, SCRIPTS)
    return Ring("documents", pytest(COMPAT), DOCUMENTS, needs=[venv(COMPAT), tools], nice=CASES)


def browser(kind: str = "browser") -> Ring:
    """tests/browser: the cases without a mark ("browser"), or those with the mark `kind`."""
    needs = [venv(BROWSER), wheel("3.14"), packages("chromium")]
    if kind == "browser":
        return Ring(kind, pytest(BROWSER, "-m", "not alone"), BROWSER, of_gilkeeper("3.14"), needs, nice=CASES)
    return Ring(f"{kind}-browser", pytest(BROWSER, "-m", kind), BROWSER, of_gilkeeper("3.14"), needs, Lane.ALONE)


def rings() -> list[Ring]:
    """The rings of `make test`, in the order in which they begin where there is a choice, each after what it needs.

    By CPython: another one builds the crates again that depend on it.
    """
    doc = Ring("doc", cargo("3.14", "test", "--doc", "--workspace"), ROOT, lane=Lane.BUILDS)
    lint = Ring("lint", [str(SCRIPTS / "lint")], ROOT, lane=Lane.BUILDS, nice=COMPILES, one=True)
    engines = [compat("ours"), compat("ours", "embedded"), compat("ours", "fronts"), whole_of("embedded"), whole_of("fronts"), applications_ring("embedded")]
    of_3_14 = [compat("mod_wsgi"), whole("3.14"), *engines, applications_ring(), containers(), documents(), browser(), rust("3.14"), doc]
    others = [ring for name in ("3.11", "3.14t", "3.15") for ring in (whole(name), rust(name))]
    return [*of_3_14, *others, wheels(), lint, whole("3.14", "alone"), browser("alone")]


def measuring_rings() -> list[Ring]:
    """The rings that `make test` leaves out: those of `make soak` and `make bench`, and more CPythons: two take long to build, and
    3.12 is not on every machine."""
    more = [ring for name in ("3.12", "3.13", "3.15t") for ring in (whole(name), rust(name))]
    return [*(whole(name, "soak") for name in PYTHONS), whole("3.14", "speed"), *more]
