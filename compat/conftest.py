"""Fixtures and marks of the scenario suite.

`server` is the server under test on the test module's own scenario, one for the module. A test marked
`gap("why")` must fail on ours: when it passes, the mark goes, so that the list of gaps stays true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import harness
import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gap(why): not built yet in ours; must fail there, so that the list stays true")
    config.addinivalue_line("markers", "only(server, why): a case that has no meaning on the other server")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    kept, dropped = [], []
    for item in items:
        if harness.UNDER_TEST == "ours" and (gap := item.get_closest_marker("gap")):
            item.add_marker(pytest.mark.xfail(reason=gap.args[0], strict=True))
        only = item.get_closest_marker("only")
        (dropped if only and only.args[0] != harness.UNDER_TEST else kept).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


def pytest_report_header() -> str:
    return f"under test: {harness.UNDER_TEST}"


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[harness.Server]:
    yield from harness.scenario(Path(request.path).parent)


@pytest.fixture
def own_server(request: pytest.FixtureRequest) -> Iterator[harness.Server]:
    """A server for this test alone, for the ones that make it end."""
    yield from harness.scenario(Path(request.path).parent)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A failed test shows the end of the error log."""
    report = yield
    if report.failed and report.when == "call":
        for name in ("server", "own_server"):
            if found := getattr(item, "funcargs", {}).get(name):
                log = re.sub(r"^.*AH0\d{4}.*\n", "", found.log(), flags=re.M)
                log = re.sub(r"^.*\[wsgi:info\].*\n", "", log, flags=re.M)
                report.sections.append((f"error log of {found.under_test}", log[-1500:]))
    return report
