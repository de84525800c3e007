"""`running` ends what a test has started, and shows the logs of a test that failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playing import Part, Visitors


@pytest.fixture
def running() -> Iterator[Callable[[Part], Part]]:
    started: list[Part] = []

    def note(part: Part) -> Part:
        started.append(part)
        return part

    yield note
    for part in reversed(started):
        part.kill()


@pytest.fixture
def visitors() -> Iterator[Callable[..., Visitors]]:
    started: list[Visitors] = []

    def start(*arguments: object, **named: object) -> Visitors:
        started.append(Visitors(*arguments, **named))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for one in started:
        one.end()
