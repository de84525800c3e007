"""The list of differences is true: every heading has a case, and every case a heading with theirs, ours and why."""

from __future__ import annotations

import ast
import re

from harness import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "mod_wsgi-differences.md"


def in_cases() -> set[str]:
    """The headings that the scenarios' calls of differs() name."""
    found = set()
    for file in sorted((REPOSITORY / "compat" / "scenarios").glob("*/test_*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "differs":
                heading = node.args[0]
                assert isinstance(heading, ast.Constant), f"{file.name}:{node.lineno}: the heading is a plain string"
                found.add(str(heading.value))
    return found


def test_headings_and_cases_are_the_same() -> None:
    assert set(re.findall(r"^## (.+)$", DOCUMENT.read_text(), re.M)) == in_cases()


def test_each_heading_says_theirs_ours_and_why() -> None:
    for section in DOCUMENT.read_text().split("\n## ")[1:]:
        name, _, text = section.partition("\n")
        assert re.findall(r"^- (Theirs|Ours|Why): ", text, re.M) == ["Theirs", "Ours", "Why"], name
