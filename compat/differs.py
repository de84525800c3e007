"""Known differences: what each server is expected to do, under a heading of docs/mod_wsgi-differences.md."""

from __future__ import annotations

from typing import TypeVar

import harness

Value = TypeVar("Value")


def differs(heading: str, *, ours: Value, mod_wsgi: Value) -> Value:
    """The expectation for the server under test. `heading` stands in docs/mod_wsgi-differences.md, with the reason."""
    return ours if harness.UNDER_TEST == "ours" else mod_wsgi
