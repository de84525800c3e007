"""Fixtures and marks of the scenario suite.

`server` is the server under test on the test module's own scenario, one for the module. With ENGINE=embedded a server has one
process group, so a case that is about another than the scenario's first is marked `group("name")`, and one that needs several at once
`of_daemon_mode("why")`. A test marked
`gap("why")` must fail on ours: when it passes, the mark goes, so that the list of gaps stays true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import harness
import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gap(why): not built yet in ours; must fail there, so that the list stays true")
    config.addinivalue_line("markers", "only(server, why): a case that has no meaning on the other server")
    config.addinivalue_line("markers", "group(name): the process group that the case is about, the scenario's first without it")
    config.addinivalue_line("markers", "of_daemon_mode(why): means nothing in embedded mode, where a site has one process group")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        if harness.UNDER_TEST == "ours" and (gap := item.get_closest_marker("gap")):
            item.add_marker(pytest.mark.xfail(reason=gap.args[0], strict=True))
        only = item.get_closest_marker("only")
        daemon = item.get_closest_marker("of_daemon_mode")
        assert daemon is None or daemon.args, "a case of daemon mode says why it is one"
        elsewhere = only is not None and only.args[0] != harness.UNDER_TEST
        (dropped if elsewhere or (daemon and harness.ENGINE == "embedded") else kept).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


def pytest_report_header() -> str:
    return f"under test: {harness.UNDER_TEST}"


@pytest.fixture(scope="module")
def server_of(request: pytest.FixtureRequest) -> Iterator[Callable[[str | None], harness.Server]]:
    """The module's server: one for all process groups of the scenario, or in embedded mode one for each, by the group's name; None: the
    first group."""
    folder, servers = Path(request.path).parent, {}
    with ExitStack() as running:

        def of(group: str | None) -> harness.Server:
            named = group if harness.ENGINE == "embedded" else None
            if named not in servers:
                servers[named] = running.enter_context(contextmanager(harness.scenario)(folder, group=named))
            return servers[named]

        yield of


def group_of(request: pytest.FixtureRequest) -> str | None:
    mark = request.node.get_closest_marker("group")
    return mark.args[0] if mark else None


@pytest.fixture
def server(request: pytest.FixtureRequest, server_of: Callable[[str | None], harness.Server]) -> harness.Server:
    return server_of(group_of(request))


@pytest.fixture
def own_server(request: pytest.FixtureRequest) -> Iterator[harness.Server]:
    """A server for this test alone, for the ones that make it end."""
    yield from harness.scenario(Path(request.path).parent, group=group_of(request))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the end of the error log."""
    report = yield
    if report.failed and report.when == "call":
        for name in ("server", "own_server"):
            if found := getattr(item, "funcargs", {}).get(name):
                log = re.sub(r"^.*AH0\d{4}.*\n", "", found.log(), flags=re.M)
                log = re.sub(r"^.*\[wsgi:info\].*\n", "", log, flags=re.M)
                report.sections.append((f"error log of {found.under_test}", log[-1500:]))
    return report
