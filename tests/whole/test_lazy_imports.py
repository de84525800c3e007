"""Lazy imports (CPython 3.15): by default none of them waits for a request, in any GIL mode."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import until
from running import Gilkeeper
from soaking import MODES

Start = Callable[..., Gilkeeper]
PYTHON = os.environ.get("GILKEEPER_PYTHON_NAME", "3.14")
HERE_MODES = {"3.15": ["shared", "own"], "3.15t": ["own", "free-threading"]}.get(PYTHON, [])
THREADS = 8

pytestmark = pytest.mark.skipif(not HERE_MODES, reason="needs CPython 3.15")
modes = pytest.mark.parametrize("mode", HERE_MODES)

SCRIPT = """
import sys
lazy import release


def application(environ, start_response):
    loaded = "release" in sys.modules
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%s %s" % (release.NAME, b"before" if loaded else b"in the request")]
"""


def deployed(gilkeeper: Start, folder: Path, mode: str, options: str = "", engine: str = "", **environment: str) -> Gilkeeper:
    (folder / "deployed.py").write_text(SCRIPT)
    (folder / "release.py").write_text('NAME = b"first"\n')
    # Without byte code: two releases of one second and one length look alike to Python's cache.
    conf = f"""{engine}WSGIDontWriteBytecode On
{MODES[mode]}WSGIDaemonProcess site threads={THREADS} home=${{APP}} {options}
WSGIScriptAlias / ${{APP}}/deployed.py process-group=site application-group=one
"""
    server = gilkeeper([folder], conf, environment=environment)
    server.wait_workers(1)
    return server


@modes
def test_a_deploy_that_cannot_import_lazily_is_refused(gilkeeper: Start, tmp_path: Path, mode: str) -> None:
    """Reported: a reload took a release whose lazily imported module was broken; it was ready, and each request was a 500."""
    server = deployed(gilkeeper, tmp_path, mode, PYTHON_LAZY_IMPORTS="all")
    before = server.workers()
    (server.root / "app" / "release.py").write_text("NAME = b'broken\n")
    told = server.tell("reload")
    assert told.returncode == 1
    shown = told.stdout + told.stderr
    assert "Traceback (most recent call last)" in shown and "SyntaxError" in shown and "release.py" in shown
    assert server.workers() == before
    assert server.ask("/").body == b"first before"


@modes
def test_no_request_pays_an_import(gilkeeper: Start, tmp_path: Path, mode: str) -> None:
    server = deployed(gilkeeper, tmp_path, mode, PYTHON_LAZY_IMPORTS="all")
    with ThreadPoolExecutor(THREADS) as pool:
        bodies = list(pool.map(lambda _: server.ask("/").body, range(THREADS)))
    assert bodies == [b"first before"] * THREADS


# An import that takes longer than a request. Both sleep: a busy machine makes neither longer than the other.
SLOW_IMPORT, SLOW_REQUEST, MOST = 1.5, 1.0, 1.2
TIMED = f"""
import threading, time
lazy import release

together = threading.Barrier({THREADS})


def application(environ, start_response):
    together.wait()
    begun = time.monotonic()
    body = release.NAME
    time.sleep({SLOW_REQUEST})
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%f" % (time.monotonic() - begun)]
"""


@modes
def test_the_first_requests_take_as_long_as_the_next(gilkeeper: Start, tmp_path: Path, mode: str) -> None:
    """Reported: with eight threads the first request of each waited for a lazy import, twice as long as the import took."""
    server = deployed(gilkeeper, tmp_path, mode, "queue-timeout=60", PYTHON_LAZY_IMPORTS="all")
    (server.root / "app" / "deployed.py").write_text(TIMED)
    (server.root / "app" / "release.py").write_text(f"import time\ntime.sleep({SLOW_IMPORT})\nNAME = b'late'\n")

    def round_of_requests(_: int) -> float:
        with ThreadPoolExecutor(THREADS) as pool:
            return max(pool.map(lambda _: float(server.ask("/", timeout=60).body), range(THREADS)))

    # A busy machine may let a thread stand: that happens to one set of processes, while an import that a request pays happens to all.
    ratios: list[float] = []
    while len(ratios) < 3 and not (ratios and ratios[-1] <= MOST):
        told = server.tell("reload")
        assert told.returncode == 0, told.stdout + told.stderr
        first, second = (round_of_requests(number) for number in range(2))
        ratios.append(first / second)
    assert ratios[-1] <= MOST, ratios


@pytest.mark.parametrize("engine", ["", "GilkeeperEmbedded On\n"], ids=["daemon", "embedded"])
def test_the_application_may_keep_its_lazy_imports(gilkeeper: Start, tmp_path: Path, engine: str) -> None:
    server = deployed(gilkeeper, tmp_path, HERE_MODES[0], "lazy-imports=application", engine)
    assert "lazy-imports=application" in server.tell("status").stdout
    assert server.ask("/").body == b"first in the request"
    assert server.ask("/").body == b"first before"


def test_an_application_that_replaces_the_filter_is_named(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported: `status` called imports eager that an application had made lazy again, and nothing said so."""
    server = deployed(gilkeeper, tmp_path, HERE_MODES[0])
    (server.root / "app" / "deployed.py").write_text(SCRIPT.replace("import sys\n", "import sys\nsys.set_lazy_imports_filter(None)\n"))
    assert server.tell("reload").returncode == 0
    server.wait_log(r"deployed\.py or a module that it imports has called sys\.set_lazy_imports_filter\(\): lazy-imports=eager does not hold")
    assert server.ask("/").body == b"first in the request"


@pytest.mark.parametrize(
    ("lines", "mode"),
    [
        ("GilkeeperEmbedded On\nGilkeeperLazyImports application\n", "application"),
        ("GilkeeperLazyImports application\nGilkeeperEmbedded On lazy-imports=eager\n", "eager"),
        ("GilkeeperLazyImports application\n", "application"),
    ],
    ids=["embedded", "embedded-own", "daemon"],
)
def test_a_directive_does_without_a_declared_group(gilkeeper: Start, tmp_path: Path, lines: str, mode: str) -> None:
    """Reported: embedded mode without WSGIDaemonProcess could not leave lazy imports to the application."""
    (tmp_path / "deployed.py").write_text(SCRIPT)
    (tmp_path / "release.py").write_text('NAME = b"first"\n')
    conf = f"{lines}WSGIPythonPath ${{APP}}\nWSGIScriptAlias / ${{APP}}/deployed.py application-group=one\n"
    server = gilkeeper([tmp_path], conf)
    server.wait_workers(1)
    assert f"(lazy-imports={mode}) in: default" in server.tell("status").stdout
    assert server.ask("/").body == (b"first in the request" if mode == "application" else b"first before")


@pytest.mark.skipif(PYTHON.endswith("t"), reason="without a GIL no frame of another thread is read")
@pytest.mark.parametrize("mode", [mode for mode in HERE_MODES if mode != "free-threading"])
def test_a_lazy_import_under_way_has_a_name(gilkeeper: Start, tmp_path: Path, mode: str) -> None:
    """Reported: requests that waited for another one's lazy import were called blocked, and the request-timeout message named no module."""
    server = deployed(gilkeeper, tmp_path, mode, "lazy-imports=application request-timeout=3 interrupt-timeout=60 graceful-timeout=60")
    folder = server.root / "app"
    (folder / "release.py").write_text(
        "import os, time\nwhile not os.path.exists(os.path.join(os.path.dirname(__file__), 'end')):\n    time.sleep(0.01)\nNAME = b'late'\n"
    )
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(lambda: server.ask("/", timeout=60).status) for _ in range(2)]
        until(lambda: len(server.status()["workers"][0]["importing"]) == 2, "both requests are there", 30)
        texts = sorted(one.partition(" (request ")[2].partition(") ")[2] for one in server.status()["workers"][0]["importing"])
        assert texts == ["imports release lazily", "waits for the import lock, to import release lazily"]
        shown = server.tell("status").stdout
        assert "imports release lazily" in shown and "(lazy-imports=application) in: site" in shown
        server.wait_log(r"(?s)request-timeout.*\(waits for the import lock, to import release lazily\)", 60)
        (folder / "end").write_text("")
        # Both have got their RequestTimeout, which comes when the import or the wait is over.
        assert {one.result(60) for one in asked} <= {200, 500, 504}
