"""`gilkeeper(...)` starts a server for one test and looks afterwards that nothing of it is left."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import harness
import pytest
from gathering import Gatherer
from running import Gilkeeper

# Needs a Python that can do without the GIL.
collect_ignore = [] if os.environ.get("GILKEEPER_PYTHON_NAME", "").endswith("t") else ["test_free_threading.py"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "of_daemon_mode(why): means nothing in embedded mode")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ENGINE=embedded servers run in embedded mode where they can, and the cases of daemon mode are left out."""
    marks = [(item, item.get_closest_marker("of_daemon_mode")) for item in items]
    assert all(mark.args for _, mark in marks if mark), "a case of daemon mode says why it is one"
    if harness.ENGINE == "embedded":
        config.hook.pytest_deselected(items=[item for item, mark in marks if mark])
        items[:] = [item for item, mark in marks if not mark]


@pytest.fixture
def gilkeeper() -> Iterator[Callable[..., Gilkeeper]]:
    started: list[Gilkeeper] = []

    def start(*given: Any, environment: dict[str, str] | None = None, **named: Any) -> Gilkeeper:
        server = Gilkeeper(*given, **named)
        server.extra_environment.update(environment or {})
        started.append(server)
        server.start()
        return server

    yield start
    problems = []
    for server in started:
        # One that a test has ended, or that has ended by itself, is looked over all the same.
        running = server.process is not None and server.process.poll() is None
        try:
            status = server.stop() if running else 0
            if status:
                problems.append(f"the server ended with {status}")
        except AssertionError as problem:
            problems.append(str(problem))
        server.kill()
        problems += server.alarms()
    if harness.ENGINE == "embedded" and started and not any(server.speaks_http_in_workers() for server in started):
        problems.append("it ran in daemon mode: its site needs a single process group, or the case the mark of_daemon_mode")
    assert not problems, problems
    for server in started:
        server.clean()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: that of a socket has 107 bytes."""
    made = Path(tempfile.mkdtemp(prefix="first-hour-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def gatherer() -> Iterator[Callable[..., Gatherer]]:
    started: list[Gatherer] = []

    def start(*arguments: str) -> Gatherer:
        started.append(Gatherer(*arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            assert one.end() == 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the end of the logs of its servers."""
    report = yield
    if report.failed and report.when == "call":
        began = call.start
        folders = Path(tempfile.gettempdir()).glob("gilkeeper-whole-*")
        for folder in sorted(folder for folder in folders if folder.stat().st_mtime >= began - 60):
            for name in ("console.log", "error.log"):
                if (folder / name).exists():
                    report.sections.append((f"{folder.name}/{name}", (folder / name).read_text(errors="replace")[-2500:]))
    return report
