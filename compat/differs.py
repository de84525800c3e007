"""Known differences: an expectation for each server, under a heading of docs/mod_wsgi-differences.md."""

from __future__ import annotations

from typing import TypeVar

import harness

Value = TypeVar("Value")


def differs(heading: str, *, ours: Value, mod_wsgi: Value) -> Value:
    """The expectation for the server under test. `heading` is one of docs/mod_wsgi-differences.md, with the reason."""
    return ours if harness.UNDER_TEST == "ours" else mod_wsgi
