"""The short form of the soak: nothing grows, every worker ends as it should. `make soak` runs it before the long one."""

from __future__ import annotations

import os

import pytest
from soaking import FLAT_IN_SHORT, cycles, soak

PYTHON = os.environ.get("GILKEEPER_PYTHON_NAME", "3.14")
MODES = {"3.11": ["shared"], "3.14": ["shared", "own", "embedded"], "3.14t": ["own", "free-threading"]}[PYTHON]


pytestmark = pytest.mark.soak("ten thousand requests a case")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("events", [False, True], ids=["plain", "events"])
def test_requests_leave_nothing_behind(mode: str, events: bool) -> None:
    figures = soak(mode, 10_000, events, FLAT_IN_SHORT)
    assert not figures.problems, figures.line()


@pytest.mark.parametrize("mode", MODES)
def test_workers_start_and_stop(mode: str) -> None:
    started, problems = cycles(mode, 20)
    assert started >= 20 and not problems, problems
