"""pytest's plugin: the fixture `gilkeeper_server`, a server of its own for the tests of an application.

The application is the ini option `gilkeeper_app`, or what a fixture `gilkeeper_app` of the tests returns.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

# Longest wait for the end, or for a line of the log, in seconds.
PATIENCE = 30


@dataclass(frozen=True)
class LiveServer:
    """A server that serves."""

    url: str
    pid: int
    log: Path

    def path(self, path):
        """The URL of a path on the server."""
        return self.url.rstrip("/") + "/" + path.lstrip("/")

    def wait_for_log(self, text, timeout=PATIENCE):
        """The log, once it holds this text: the server writes a line without making the request wait for it, so the answer may come first."""
        end = time.monotonic() + timeout
        while text not in (log := self.log.read_text(errors="replace")):
            if time.monotonic() >= end:
                pytest.fail(f"{text!r} did not come into the server's log within {timeout} s:\n{log}", pytrace=False)
            time.sleep(0.01)
        return log


def pytest_addoption(parser):
    parser.addini("gilkeeper_app", "Application of the fixture gilkeeper_server, as `gilkeeper serve` takes it.", default="")
    parser.addini("gilkeeper_options", "Further options of `gilkeeper serve`.", type="args", default=[])


@pytest.fixture(scope="session")
def gilkeeper_app(pytestconfig):
    """The application, as `gilkeeper serve` takes it."""
    return pytestconfig.getini("gilkeeper_app")


@pytest.fixture(scope="session")
def gilkeeper_options(pytestconfig):
    """Further options of `gilkeeper serve`."""
    return pytestconfig.getini("gilkeeper_options")


@pytest.fixture(scope="session")
def gilkeeper_server(gilkeeper_app, gilkeeper_options, pytestconfig):
    """A running server with the application: `url`, `path()`, `pid`, `log` and `wait_for_log()`."""
    if not gilkeeper_app:
        pytest.fail("gilkeeper_server needs the application: gilkeeper_app in pytest's ini file, or a fixture of that name", pytrace=False)
    # The name of a socket has at most 107 bytes, and pytest's own folders are deep.
    with tempfile.TemporaryDirectory(prefix="gilkeeper-") as folder:
        log = Path(folder, "log")
        command = [sys.executable, "-m", "gilkeeper", "serve", gilkeeper_app, "--host", "127.0.0.1", "--port", "0", "--admin", "off"]
        command += ["--server-root", f"{folder}/state", *gilkeeper_options]
        # It ends with this process, and options of a deployment do not count.
        environment = os.environ | {"GILKEEPER_ENDS_WITH_PARENT": str(os.getpid())}
        with log.open("wb") as errors:
            server = subprocess.Popen(
                command, cwd=pytestconfig.rootpath, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        try:
            first = server.stdout.readline()
            words = first.split()
            if not first.startswith("Serving ") or len(words) < 2:
                server.wait(timeout=PATIENCE)
                pytest.fail(f"gilkeeper serve {gilkeeper_app} did not start:\n{first}{log.read_text(errors='replace')}", pytrace=False)
            yield LiveServer(words[1], server.pid, log)
        finally:
            server.terminate()
            try:
                server.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            server.stdout.close()
