"""bench/packages: a run of scripts/packages-by-mode goes on where the last one stopped, and its page is made of several runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import harness
import pytest

sys.path.insert(0, str(harness.REPOSITORY / "bench/packages"))
import by_mode  # noqa: E402
from by_mode import Kept, NoWheel, one  # noqa: E402
from page import modules, page  # noqa: E402
from table import PACKAGES, Package  # noqa: E402

PACKAGE = Package("lxml", "from lxml import etree", "pass")
ROW = {"date": "2026-11-29", "cpython": "3.14.7", "version": "6.1.3", "cells": {"first": "works", "second": "does not load"}}


class Calls:
    """Takes the places of what tries and what asks, and counts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, wheel: bool = True) -> None:
        self.seen: list[str] = []

        def made(*given: Any) -> None:
            if not wheel:
                raise NoWheel

        def truth(*given: Any) -> dict[str, Any]:
            self.seen.append("tried")
            return {"version": "6.1.3", "cells": {"first": "works"}}

        def asked(environment: Any, way: str) -> dict[str, str]:
            self.seen.append(way)
            return {"sub-interpreter": "safe"}

        monkeypatch.setattr(by_mode, "Environment", made)
        monkeypatch.setattr(by_mode, "truth", truth)
        monkeypatch.setattr(by_mode, "asked", asked)

    def row(self, kept: Kept, ways: list[str], *again: str) -> dict[str, Any]:
        return one("uv", "3.14", sys.executable, PACKAGE, kept, ways, list(again))


def test_a_run_does_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, kept = Calls(monkeypatch), Kept(tmp_path)
    calls.row(kept, ["eager"])
    row = calls.row(kept, ["eager", "inside"])
    assert calls.seen == ["tried", "eager", "inside"]
    assert kept.row(PACKAGE) == row
    assert set(row["doctor"]) == {"eager", "inside"}
    calls.row(kept, ["eager"], "doctor")
    calls.row(kept, [], "tries")
    assert calls.seen[3:] == ["eager", "tried"]


def test_a_package_without_a_wheel_is_not_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, kept = Calls(monkeypatch, wheel=False), Kept(tmp_path)
    assert calls.row(kept, ["eager"]) == calls.row(kept, ["eager"])
    assert calls.seen == []
    assert "| lxml | no wheel | " in page(["lxml"], {"3.14": {"numpy": ROW, **{"lxml": kept.row(PACKAGE)}}}, "")


def test_a_page_keeps_what_it_says_of_cpythons_that_were_tried_elsewhere() -> None:
    first = page(["lxml"], {"3.14": {"lxml": ROW}, "3.14t": {"lxml": {**ROW, "version": "6.1.2"}}, "3.15": {}}, "")
    later = page(["lxml"], {"3.14": {}, "3.14t": {}, "3.15": {"lxml": {**ROW, "cpython": "3.15.0"}}}, first)
    assert later.startswith(first.rstrip())
    headings = [line for line in later.splitlines() if line.startswith("## CPython")]
    assert headings == ["## CPython 3.14.7", "## CPython 3.14.7, free-threaded build", "## CPython 3.15.0"]


def test_days_of_several_runs_are_named() -> None:
    text = page(["lxml", "numpy"], {"3.14": {"lxml": ROW, "numpy": {**ROW, "date": "2026-11-30"}}}, "")
    assert "Tried on 2026-11-29 to 2026-11-30." in text


def test_an_old_release_that_does_not_import_is_no_wheel() -> None:
    old = {**ROW, "version": "0.1", "cells": {}, "main": "ImportError"}
    rows = {"numpy": ROW, "lxml": old}
    assert "| lxml | no wheel |" in page(["lxml", "numpy"], {"3.14": {"lxml": ROW}, "3.15": rows}, "")
    assert "| lxml | 0.1 | not in the main" in page(["lxml", "numpy"], {"3.14": {"lxml": {**ROW, "version": "0.1"}}, "3.15": rows}, "")


def test_the_page_has_the_modules_that_are_not_named_like_their_package() -> None:
    rows = modules(PACKAGES).splitlines()
    assert {"| yaml | PyYAML |", "| PIL | pillow |", "| google.protobuf | protobuf |", "| bson | pymongo |"} <= set(rows)
    # The same but for case, dots and dashes.
    assert not [row for row in rows if row.startswith(("| zope.interface", "| charset_normalizer", "| flask", "| lxml"))]
    assert modules(PACKAGES) in (harness.REPOSITORY / "docs/reference/packages.md").read_text()
