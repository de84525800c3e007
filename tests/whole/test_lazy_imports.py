"""Lazy imports (CPython 3.15): by default none of them waits for a request, in any GIL mode."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
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


def deployed(gilkeeper: Start, folder: Path, mode: str, options: str = "", **environment: str) -> Gilkeeper:
    (folder / "deployed.py").write_text(SCRIPT)
    (folder / "release.py").write_text('NAME = b"first"\n')
    # Without byte code: two releases of one second and one length look alike to Python's cache.
    conf = f"""WSGIDontWriteBytecode On
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
    assert "SyntaxError" in told.stdout + told.stderr and "release.py" in told.stdout + told.stderr
    assert server.workers() == before
    assert server.ask("/").body == b"first before"


@modes
def test_no_request_pays_an_import(gilkeeper: Start, tmp_path: Path, mode: str) -> None:
    server = deployed(gilkeeper, tmp_path, mode, PYTHON_LAZY_IMPORTS="all")
    with ThreadPoolExecutor(THREADS) as pool:
        bodies = list(pool.map(lambda _: server.ask("/").body, range(THREADS)))
    assert bodies == [b"first before"] * THREADS


def test_the_application_may_keep_its_lazy_imports(gilkeeper: Start, tmp_path: Path) -> None:
    server = deployed(gilkeeper, tmp_path, HERE_MODES[0], "lazy-imports=application")
    assert server.ask("/").body == b"first in the request"
    assert server.ask("/").body == b"first before"
